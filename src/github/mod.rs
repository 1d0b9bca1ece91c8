//! The room that speaks with GitHub: its signatures, its payloads, its REST API, its limits.
//!
//! Knows octocrab, JSON Web Tokens and status codes, and lets none of them out: what leaves this room are the types of
//! `domain` and of `engine::ports`. Must never know the store, or what follows from what GitHub says.
//!
//! In reading order: a delivery is believed (`webhook`) and understood (`interpret`); the `client` asks and acts with
//! a `token`, under `limits`, over the `transport`; `observe` answers needs, `perform` does effects (one of them by
//! `graphql`), `probe` looks whether they stand; `app` is what the App may do as itself. `oidc` tells which workflow run a
//! caller is.

pub mod app;
pub mod client;
mod etags;
mod graphql;
pub mod interpret;
mod limits;
mod observe;
pub mod oidc;
#[cfg(test)]
mod oidc_tests;
mod path;
mod perform;
mod probe;
mod read;
#[cfg(test)]
mod script;
pub mod settings;
mod text;
mod token;
mod transport;
pub mod webhook;
mod wire;

pub use client::Client;
pub use interpret::Interpreter;
pub use oidc::{Issuer, IssuerSettings};
pub use settings::{ClientProblem, ClientSettings};
pub use token::key_signs;
pub use webhook::{Secrets, SignatureProblem};
pub use wire::key_marker;
