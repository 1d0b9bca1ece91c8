//! Delivers webhooks over HTTP, signed as GitHub signs them, and logs how it went.
//!
//! GitHub never delivers again by itself, and neither does this.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Shared;
use super::model::{DeliveryResult, OutgoingEvent};

/// Where webhooks go and what happens on the way.
#[derive(Debug, Clone, Default)]
pub struct HookSettings {
    /// Nothing is delivered, and nothing lost, while there is no address.
    pub url: Option<String>,
    pub secret: String,
    /// Holds deliveries back; they go out when this is off again.
    pub paused: bool,
    /// Loses so many of the next deliveries; they stand in the log as failed.
    pub lose_next: usize,
    /// Sends so many of the next deliveries twice, under the same GUID.
    pub double_next: usize,
    /// Sends what waits in the opposite order.
    pub reversed: bool,
}

/// Seconds after which GitHub gives a delivery up.
const TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 4_000;

/// The signature header's value for a body.
pub fn signature(secret: &str, body: &[u8]) -> String {
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Delivers what the model causes, until the runtime ends.
pub(super) async fn deliver_all(shared: Arc<Shared>) {
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build() else {
        return;
    };
    loop {
        let settings = shared.hook();
        if let (Some(url), false) = (&settings.url, settings.paused) {
            let mut waiting = {
                let mut model = shared.model();
                let waiting = model.take_events();
                shared.in_flight.fetch_add(waiting.len(), Ordering::SeqCst);
                waiting
            };
            if settings.reversed {
                waiting.reverse();
            }
            for event in waiting {
                deliver(&shared, &client, url, &settings.secret, event).await;
                shared.in_flight.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let _ = tokio::time::timeout(Duration::from_millis(200), shared.wake_hooks.notified()).await;
    }
}

async fn deliver(shared: &Arc<Shared>, client: &reqwest::Client, url: &str, secret: &str, event: OutgoingEvent) {
    let (lost, doubled) = shared.fate_of_next();
    if lost {
        let now = shared.now();
        shared.model().record_delivery(event, now, 0, DeliveryResult::Failed { why: "lost on purpose".to_owned() });
        return;
    }
    for _ in 0..if doubled { 2 } else { 1 } {
        let started = Instant::now();
        let result = send(shared, client, url, secret, &event).await;
        let now = shared.now();
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        shared.model().record_delivery(event.clone(), now, duration_ms, result);
    }
}

async fn send(
    shared: &Arc<Shared>,
    client: &reqwest::Client,
    url: &str,
    secret: &str,
    event: &OutgoingEvent,
) -> DeliveryResult {
    let body = match serde_json::to_vec(&*event.payload) {
        Ok(body) => body,
        Err(error) => {
            return DeliveryResult::Failed { why: error.to_string() };
        }
    };
    let app = shared.model().app.id;
    let request = client
        .post(url)
        .header("accept", "*/*")
        .header("content-type", "application/json")
        .header("user-agent", "GitHub-Hookshot/5a4d0d1")
        .header("x-github-delivery", &event.guid)
        .header("x-github-event", &event.event)
        .header("x-github-hook-id", "480001")
        .header("x-github-hook-installation-target-id", app.to_string())
        .header("x-github-hook-installation-target-type", "integration")
        .header("x-hub-signature-256", signature(secret, &body))
        .body(body);
    match request.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            let mut body = response.text().await.unwrap_or_default();
            body.truncate(body.floor_char_boundary(ANSWER_BYTES_MAX));
            DeliveryResult::Answered { status, body }
        }
        Err(error) if error.is_timeout() => DeliveryResult::Failed { why: "timed out".to_owned() },
        Err(error) => DeliveryResult::Failed { why: format!("failed to connect to host: {error}") },
    }
}
