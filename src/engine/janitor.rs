//! Asks GitHub again for deliveries that it could not bring: it never tries a second time by itself.
//!
//! Knows which ones failed and how often it asked. Must never know what they hold: a delivery that comes is sorted like
//! any other, and one that came before is known by its GUID.

use super::ports::{Clock, Deliveries, GitHubError};
use crate::domain::ids::{DeliveryId, Span, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// GitHub keeps deliveries for three days.
const KEPT: Span = Span::hours(72);
/// How far each look reaches back over the one before.
const OVERLAP: Span = Span::hours(1);
/// How often one delivery is asked for by one process: what fails for ever is not worth more.
const TRIES_MAX: u32 = 3;
/// How many are asked for in one look, so that an outage does not end in a flood.
const AT_ONCE_MAX: usize = 100;
/// Time between two looks.
const EVERY: Duration = Duration::from_secs(600);

/// Remembers what was asked for.
#[derive(Debug, Default)]
pub struct Janitor {
    looked_at: Option<Timestamp>,
    tries: BTreeMap<DeliveryId, u32>,
}

impl Janitor {
    /// Looks once; says how many deliveries were asked for. The first look reaches back as far as GitHub remembers.
    pub async fn look<D: Deliveries>(&mut self, deliveries: &D, now: Timestamp) -> Result<usize, GitHubError> {
        let since = self.looked_at.map_or(now.minus(KEPT), |at| at.minus(OVERLAP));
        let failed = deliveries.failed(since).await?;
        let mut asked = 0;
        let mut left = false;
        for delivery in &failed {
            if asked == AT_ONCE_MAX {
                left = true;
                break;
            }
            let tries = self.tries.entry(delivery.id.clone()).or_default();
            if *tries >= TRIES_MAX {
                continue;
            }
            *tries += 1;
            deliveries.redeliver(delivery.attempt).await?;
            asked += 1;
            tracing::info!(delivery.id = %delivery.id, event = %delivery.event, "asked GitHub to deliver again");
        }
        // What GitHub no longer lists as failed need not be remembered.
        self.tries.retain(|id, _| failed.iter().any(|delivery| delivery.id == *id));
        if !left {
            self.looked_at = Some(now);
        }
        Ok(asked)
    }

    /// Looks at once and then every ten minutes, until `stop` is cancelled.
    pub async fn run<D: Deliveries, C: Clock>(mut self, deliveries: &D, clock: &C, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.look(deliveries, clock.now()).await {
                tracing::warn!(%error, "failed deliveries could not be looked for");
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "janitor_tests.rs"]
mod tests;
