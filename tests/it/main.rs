//! What the whole promises, tested from outside: one binary, one module a promise.

mod github_client;
mod house;
mod licences;
mod manifest;
mod payloads;
mod probes;
mod sandbox_answers;
mod simulation;
mod snapshots;
mod spec;
mod store_contract;
