//! Plimsoll says how much risk a release carries, and brings it safely into production.
//!
//! The modules stand in the order in which a delivery passes them; `ARCHITECTURE.md` draws the ring.

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod github;
pub mod history;
pub mod probe;
pub mod sandbox;
pub mod store;
pub mod telemetry;
pub mod web;
