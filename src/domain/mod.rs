//! What Plimsoll decides, and nothing else: pure values in, pure values out.
//!
//! Knows the words of GitHub and of releases. Must never know a clock, chance, HTTP, SQL or anything that waits.

pub mod chatops;
pub mod decide;
pub mod effect;
pub mod event;
pub mod facts;
pub mod ids;
pub mod markdown;
pub mod nearest;
pub mod policy;
pub mod problem;
pub mod pull_request;
pub mod reading;
pub mod release;
pub mod repository;
pub mod risk;
pub mod state;
pub mod view;
