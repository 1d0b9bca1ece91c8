//! Real repositories, made by git in temporary folders.

mod bad_input;
mod index;
mod made;
mod measures;
mod mirrors;
mod outcomes;
