//! Plimsoll.

pub mod sandbox;
