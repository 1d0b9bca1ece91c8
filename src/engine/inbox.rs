//! Station 1: deliveries become events in the inboxes of their lanes.
//!
//! Knows raw deliveries and who can read them. Must never look at what an event leads to.

use super::ports::{Arrival, Clock, Interpretation, NewDelivery, Sorted, Source, Store, StoreError, Webhooks};

/// How many deliveries are sorted in one transaction.
const BATCH: usize = 64;

/// Sorts one batch of deliveries; says how many there were.
pub async fn sort<S: Store, W: Webhooks, C: Clock>(store: &S, webhooks: &W, clock: &C) -> Result<usize, StoreError> {
    let deliveries = store.unsorted(BATCH).await?;
    let count = deliveries.len();
    if count == 0 {
        return Ok(0);
    }
    let sorted = deliveries.into_iter().map(|delivery| {
        let id = delivery.id.clone();
        let sorted = interpret(webhooks, &delivery);
        (id, sorted)
    });
    store.sort(sorted.collect(), clock.now()).await?;
    Ok(count)
}

fn interpret<W: Webhooks>(webhooks: &W, delivery: &NewDelivery) -> Sorted {
    match webhooks.interpret(&delivery.event, &delivery.body) {
        Interpretation::Events { installation, events } => {
            let arrivals = events.into_iter().map(|(subject, event)| Arrival {
                subject,
                installation: Some(installation),
                event,
                source: Source::Delivery(delivery.id.clone()),
                at: delivery.received_at,
            });
            Sorted::Events(arrivals.collect())
        }
        Interpretation::Ignored { because } => {
            tracing::debug!(delivery.id = %delivery.id, event = %delivery.event, because, "delivery ignored");
            Sorted::Ignored { because }
        }
        Interpretation::Unreadable { because } => {
            tracing::warn!(delivery.id = %delivery.id, event = %delivery.event, because, "delivery parked");
            Sorted::Parked { because }
        }
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
