//! What people read about things that were put aside.
//!
//! Knows words only.

use crate::domain::ids::{DeliveryId, Subject};
use crate::engine::ports::{ArrivalId, Source};

/// Why a second delivery under a known GUID was put aside.
pub(super) const OTHER_BYTES: &str = "the same GUID came before with another event or other bytes";

/// Names a parked delivery.
pub(super) fn delivery(id: &DeliveryId, event: &str) -> String {
    format!("delivery {id} ({event})")
}

/// Names a parked arrival.
pub(super) fn arrival(id: ArrivalId, subject: &Subject, source: &Source) -> String {
    let from = match source {
        Source::Delivery(id) => format!("delivery {id}"),
        Source::Lane(lane) => format!("lane {lane}"),
        Source::Effect(key) => format!("effect {key}"),
        Source::Person(login) => format!("@{login}"),
        Source::Operator => "the operator".to_owned(),
    };
    format!("arrival {} in {subject}, from {from}", id.0)
}
