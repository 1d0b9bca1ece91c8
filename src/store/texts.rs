//! What people read about things that were put aside.
//!
//! Knows words only.

use crate::domain::ids::DeliveryId;
use crate::engine::ports::{ArrivalId, Source};

/// Why a second delivery under a known GUID was put aside.
pub(super) const OTHER_BYTES: &str = "the same GUID came before with another event or other bytes";

/// Names a parked delivery.
pub(super) fn delivery(id: &DeliveryId, event: &str) -> String {
    format!("delivery {id} ({event})")
}

/// Names a parked arrival. Its source is missing when it cannot be read.
pub(super) fn arrival(id: ArrivalId, lane: &str, source: Option<&Source>) -> String {
    let from = match source {
        None => "what cannot be read".to_owned(),
        Some(Source::Delivery(id)) => format!("delivery {id}"),
        Some(Source::Lane(lane)) => format!("lane {lane}"),
        Some(Source::Effect(key)) => format!("effect {key}"),
        Some(Source::Person(login)) => format!("@{login}"),
        Some(Source::Run(run)) => format!("run {run}"),
        Some(Source::Operator) => "the operator".to_owned(),
    };
    format!("arrival {} in {lane}, from {from}", id.0)
}
