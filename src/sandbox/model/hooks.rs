//! Webhooks on their way out, and the log of those delivered.

use std::sync::Arc;

use serde_json::Value;

use super::{InstallationState, Model};

/// A webhook that should be delivered.
#[derive(Debug, Clone)]
pub struct OutgoingEvent {
    pub guid: String,
    pub event: String,
    pub action: Option<String>,
    pub payload: Arc<Value>,
    pub redelivery: bool,
    /// When it happened.
    pub at: i64,
}

/// How a delivery ended.
#[derive(Debug, Clone)]
pub enum DeliveryResult {
    Answered {
        status: u16,
        body: String,
    },
    /// Nobody answered: refused, timed out, or the sandbox was told to lose it.
    Failed {
        why: String,
    },
}

/// A delivery as `GET /app/hook/deliveries` shows it.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: u64,
    pub event: OutgoingEvent,
    pub delivered_at: i64,
    pub duration_ms: u64,
    pub result: DeliveryResult,
}

/// Deliveries kept; the oldest go first.
const DELIVERIES_MAX: usize = 5_000;
/// GitHub shows and repeats deliveries of the past three days only.
const DELIVERIES_KEPT_MS: i64 = 3 * 86_400_000;

impl Model {
    /// Takes all webhooks that were caused since the last call, in order.
    pub fn take_events(&mut self) -> Vec<OutgoingEvent> {
        std::mem::take(&mut self.outgoing)
    }

    /// Says whether webhooks wait to be taken.
    pub fn has_events(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Writes a delivery into the log and returns its id.
    pub fn record_delivery(
        &mut self,
        event: OutgoingEvent,
        delivered_at: i64,
        duration_ms: u64,
        result: DeliveryResult,
    ) -> u64 {
        let id = self.next_id();
        self.deliveries.insert(id, Delivery { id, event, delivered_at, duration_ms, result });
        while self.deliveries.len() > DELIVERIES_MAX {
            self.deliveries.pop_first();
        }
        self.forget_old_deliveries(delivered_at);
        id
    }

    /// Drops the deliveries that are too old to be shown or repeated.
    pub fn forget_old_deliveries(&mut self, now: i64) {
        self.deliveries.retain(|_, delivery| now - delivery.delivered_at <= DELIVERIES_KEPT_MS);
    }

    /// Queues a delivery again, under the same GUID. Fails when there is none of this id.
    pub fn redeliver(&mut self, id: u64, now: i64) -> Result<(), super::Refusal> {
        self.forget_old_deliveries(now);
        let delivery = self.deliveries.get(&id).ok_or_else(super::Refusal::not_found)?;
        let event = OutgoingEvent { redelivery: true, at: now, ..delivery.event.clone() };
        self.outgoing.push(event);
        Ok(())
    }

    /// Says whether the App hears of such events: else nothing needs to be written for it.
    pub(super) fn hears(&self, event: &str) -> bool {
        self.is_installed() && self.app.events.iter().any(|name| name == event)
    }

    /// Queues an event of the repository: adds what every payload has.
    pub(super) fn send(&mut self, event: &str, action: Option<&str>, mut payload: Value, by: &str, now: i64) {
        if !self.hears(event) {
            return;
        }
        if let Some(action) = action {
            payload["action"] = Value::from(action);
        }
        payload["repository"] = self.payload_repository_json();
        payload["organization"] = self.organization_json();
        payload["sender"] = self.user_json(by);
        payload["installation"] = serde_json::json!({
            "id": self.installation.id,
            "node_id": super::json::node("MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u", self.installation.id),
        });
        self.send_raw(event, action, payload, now);
    }

    pub(super) fn send_raw(&mut self, event: &str, action: Option<&str>, payload: Value, now: i64) {
        if self.installation.state == InstallationState::Deleted && action != Some("deleted") {
            return;
        }
        let guid = self.next_guid();
        self.outgoing.push(OutgoingEvent {
            guid,
            event: event.to_owned(),
            action: action.map(str::to_owned),
            payload: Arc::new(payload),
            redelivery: false,
            at: now,
        });
    }

    fn next_guid(&mut self) -> String {
        self.guids += 1;
        let mixed = self.guids.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!(
            "{:08x}-{:04x}-11f0-8{:03x}-{:012x}",
            (mixed >> 32) as u32,
            (mixed >> 16) as u16,
            mixed & 0xfff,
            self.guids
        )
    }
}
