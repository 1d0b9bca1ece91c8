//! The room that speaks with GitHub: its signatures, its payloads, its REST API, its limits.
//!
//! Knows octocrab, JSON Web Tokens and status codes, and lets none of them out: what leaves this room are the types of
//! `domain` and of `engine::ports`. Must never know the store, or what follows from what GitHub says.

pub mod interpret;
pub mod webhook;
mod wire;
