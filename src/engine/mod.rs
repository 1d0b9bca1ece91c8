//! The shell around the domain: stations of the ring that wait, store and send.
//!
//! Knows the domain and its own ports. Must never know SQL, HTTP or a library that speaks them.

pub mod inbox;
pub mod janitor;
pub mod lanes;
pub mod outbox;
pub mod ports;
pub mod query;
pub mod run;
#[cfg(test)]
mod script;
pub mod step;
