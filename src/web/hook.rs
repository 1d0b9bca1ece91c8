//! `POST /github/webhook`: keeps a delivery and answers, and does nothing else.
//!
//! This is the hot path: the bytes are verified and stored, never parsed. Must never tell a stranger anything before
//! the signature has been found right.

use super::{Shared, reply};
use crate::domain::ids::DeliveryId;
use crate::engine::ports::{Admitted, NewDelivery, Store, StoreError};
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::timeout;

/// Bodies above this many bytes, or of unknown length, are taken a few at a time.
pub const LARGE_BODY_BYTES: u64 = 256 * 1024;

/// Seconds after which a caller may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// How much of a body that was refused unread is still taken off the wire, so that the caller can read the answer.
const DISCARDED_BYTES_MAX: u64 = 32 * 1024 * 1024;
const DISCARDING_MAX: Duration = Duration::from_secs(2);

/// How many deliveries ended in which way since the process began.
#[derive(Default)]
pub(crate) struct HookCounts {
    pub stored: AtomicU64,
    pub duplicate: AtomicU64,
    pub parked: AtomicU64,
    pub refused: AtomicU64,
    pub unavailable: AtomicU64,
}

/// Takes one delivery in.
pub(super) async fn receive<S: Store + 'static>(State(shared): State<Arc<Shared<S>>>, request: Request) -> Response {
    match admit(&shared, request).await {
        Ok((delivery, admitted)) => {
            let (count, outcome) = match admitted {
                Admitted::Stored => (&shared.counts.stored, "stored"),
                Admitted::Duplicate => (&shared.counts.duplicate, "duplicate"),
                Admitted::Parked => (&shared.counts.parked, "parked"),
            };
            count.fetch_add(1, Relaxed);
            accepted(&delivery, outcome)
        }
        Err(refusal) => refused(&shared.counts, &refusal),
    }
}

async fn admit<S: Store>(shared: &Shared<S>, request: Request) -> Result<(DeliveryId, Admitted), Refusal> {
    let (door, limits) = (&shared.door, &shared.door.limits);
    let (head, body) = request.into_parts();
    let announced = body.size_hint().exact();
    if announced.is_some_and(|bytes| bytes > limits.body_bytes_max as u64) {
        discard(&head.headers, body).await;
        return Err(Refusal::TooLarge);
    }
    let Some(signature) = head.headers.get("x-hub-signature-256") else {
        discard(&head.headers, body).await;
        return Err(Refusal::Signature);
    };
    let _room = match announced {
        Some(bytes) if bytes <= LARGE_BODY_BYTES => None,
        Some(_) | None => {
            let room = timeout(limits.request_timeout, shared.large_bodies.acquire()).await;
            Some(room.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Busy)?)
        }
    };
    let body =
        timeout(limits.request_timeout, whole(body, limits.body_bytes_max)).await.map_err(|_| Refusal::TooSlow)??;
    if !(door.verify)(signature.to_str().ok(), &body) {
        return Err(Refusal::Signature);
    }
    // From here on the caller is known to hold the secret, and may be told what is wrong.
    let event = named(&head.headers, "x-github-event", |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        .ok_or(Refusal::EventHeader)?;
    let id = named(&head.headers, "x-github-delivery", |b| b.is_ascii_alphanumeric() || b == b'-')
        .ok_or(Refusal::DeliveryHeader)?;
    if !is_json(&head.headers) {
        return Err(Refusal::ContentType);
    }
    let id = DeliveryId::new(id);
    let delivery = NewDelivery { id: id.clone(), event: event.to_owned(), body, received_at: door.clock.now() };
    let admitted = timeout(limits.request_timeout, door.store.admit(delivery))
        .await
        .map_err(|_| Refusal::StoreSlow)?
        .map_err(Refusal::Store)?;
    (door.admitted)();
    Ok((id, admitted))
}

/// Why a delivery was not taken.
#[derive(Debug)]
enum Refusal {
    TooLarge,
    TooSlow,
    Truncated,
    Busy,
    Signature,
    EventHeader,
    DeliveryHeader,
    ContentType,
    StoreSlow,
    Store(StoreError),
}

impl Refusal {
    fn answer(&self) -> (StatusCode, &'static str) {
        match self {
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "A delivery has at most 25 MiB."),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive."),
            Self::Truncated => (StatusCode::BAD_REQUEST, "The body ended early."),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Too many large deliveries at once. Try again."),
            Self::Signature => (StatusCode::UNAUTHORIZED, "X-Hub-Signature-256 is missing or wrong."),
            Self::EventHeader => (StatusCode::BAD_REQUEST, "X-GitHub-Event is missing or is not the name of an event."),
            Self::DeliveryHeader => (StatusCode::BAD_REQUEST, "X-GitHub-Delivery is missing or is not a GUID."),
            Self::ContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Only JSON is read here. Set the webhook's content type to application/json in the App's settings.",
            ),
            Self::StoreSlow | Self::Store(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "The delivery could not be kept. Send it again.")
            }
        }
    }

    /// Whether our side is to blame, so that somebody here should look.
    fn is_ours(&self) -> bool {
        match self {
            Self::StoreSlow | Self::Store(_) | Self::Busy => true,
            Self::TooLarge
            | Self::TooSlow
            | Self::Truncated
            | Self::Signature
            | Self::EventHeader
            | Self::DeliveryHeader
            | Self::ContentType => false,
        }
    }
}

fn refused(counts: &HookCounts, refusal: &Refusal) -> Response {
    let (status, sentence) = refusal.answer();
    let count = if refusal.is_ours() { &counts.unavailable } else { &counts.refused };
    let so_far = count.fetch_add(1, Relaxed) + 1;
    // Anybody can cause these, so the log gets the 1st, 2nd, 4th, 8th... and not one line each.
    if so_far.is_power_of_two() {
        match refusal {
            Refusal::Store(error) => tracing::error!(so_far, %error, "deliveries could not be kept"),
            Refusal::StoreSlow | Refusal::Busy => tracing::error!(so_far, "deliveries could not be kept: {sentence}"),
            Refusal::TooLarge
            | Refusal::TooSlow
            | Refusal::Truncated
            | Refusal::Signature
            | Refusal::EventHeader
            | Refusal::DeliveryHeader
            | Refusal::ContentType => {
                tracing::warn!(so_far, status = status.as_u16(), "deliveries were refused: {sentence}");
            }
        }
    }
    let mut response = reply::text(status, sentence);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}

fn accepted(delivery: &DeliveryId, outcome: &str) -> Response {
    // A delivery's id has been checked to be letters, digits and dashes, so nothing needs escaping.
    let body = format!("{{\"delivery\":\"{delivery}\",\"outcome\":\"{outcome}\"}}\n");
    let json = HeaderValue::from_static("application/json");
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, json)], body).into_response()
}

/// The value of a header that must be 1 to 64 of certain characters.
fn named<'h>(headers: &'h HeaderMap, name: &str, allowed: impl Fn(u8) -> bool) -> Option<&'h str> {
    let value = headers.get(name)?.to_str().ok()?;
    ((1..=64).contains(&value.len()) && value.bytes().all(allowed)).then_some(value)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let media_type = value.split(';').next().unwrap_or("").trim();
    media_type.eq_ignore_ascii_case("application/json")
}

/// Reads a body of at most `bytes_max`. One that comes in a single piece is not copied.
async fn whole(mut body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    // The announced length is a stranger's word: never reserve much on it.
    let reserve = body.size_hint().lower().min(LARGE_BODY_BYTES) as usize;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Refusal::Truncated)?.into_data() else { continue };
        if first.len() + rest.len() + piece.len() > bytes_max {
            return Err(Refusal::TooLarge);
        }
        if rest.is_empty() && first.is_empty() {
            first = piece;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(reserve.max(first.len() + piece.len()));
            rest.extend_from_slice(&first);
            first = Bytes::new();
        }
        rest.extend_from_slice(&piece);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Takes a refused body off the wire without keeping it: a socket closed with unread bytes would be reset, and the
/// caller might never see the answer. Bounded in bytes and time.
async fn discard(headers: &HeaderMap, mut body: Body) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let drained = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, |piece| piece.len() as u64);
            if seen > DISCARDED_BYTES_MAX {
                return;
            }
        }
    };
    let _ = timeout(DISCARDING_MAX, drained).await;
}
