//! What the whole promises, tested from outside: one binary, one module a promise.

mod house;
mod licences;
mod manifest;
mod payloads;
mod simulation;
mod store_contract;
