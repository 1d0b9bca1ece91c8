//! Station 5: effects are performed, at most once.
//!
//! Knows waiting, settling and probing. Must never decide what should be done.

use super::ports::{ClaimedEffect, Clock, Done, EffectProgress, GitHub, GitHubError, Holder, Store, StoreError};
use super::step::backoff;
use crate::domain::effect::{Act, Ending, Work};
use crate::domain::ids::*;

/// How long an effect is held for one try.
const LEASE: Span = Span::minutes(2);
/// How long after its claim an effect may still be sent; the rest of the lease is for the answer.
const SEND_WITHIN: Span = Span::minutes(1);
/// How long to wait after an uncertain try before looking whether it happened: longer than GitHub's lists lag.
pub const SETTLE: Span = Span::seconds(45);
/// A lease that runs out was sent under early enough for its effect to be listed by then, also when clocks differ.
const _: () = assert!(LEASE.0 >= SEND_WITHIN.0 + SETTLE.0 + Span::seconds(10).0);
/// How often an effect is tried before a person must look.
const ATTEMPTS_MAX: u32 = 20;
/// And how long ago the first try must be by then: waits that GitHub asked for are counted as tries too.
const GIVE_UP_AFTER: Span = Span::hours(3);

/// What became of one look into the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing is due.
    Idle,
    /// An effect ended.
    Ended,
    /// It will be tried or looked for again.
    Later,
}

/// Takes one due effect and performs it.
pub async fn perform<S: Store, G: GitHub, C: Clock>(
    store: &S,
    github: &G,
    clock: &C,
    holder: &Holder,
) -> Result<Sent, StoreError> {
    let now = clock.now();
    let Some(claimed) = store.claim_effect(holder, now, now.plus(LEASE)).await? else { return Ok(Sent::Idle) };
    let progress = go_on(github, clock, &claimed, now).await;
    let sent = match &progress {
        EffectProgress::Ended(_) => Sent::Ended,
        EffectProgress::Later { .. } | EffectProgress::Settle { .. } => Sent::Later,
    };
    let key = &claimed.effect.key;
    let duration_ms = clock.now().since(now).0;
    match &progress {
        EffectProgress::Ended(Ending::Unknown { message }) => {
            tracing::error!(effect.key = %key, message, "effect needs a person");
        }
        EffectProgress::Ended(Ending::Done { url, .. }) => {
            tracing::info!(effect.key = %key, url = url.as_deref(), duration_ms, "effect done");
        }
        EffectProgress::Ended(Ending::Refused { message }) => {
            tracing::warn!(effect.key = %key, message, "GitHub refused the effect");
        }
        EffectProgress::Ended(Ending::Superseded) => tracing::info!(effect.key = %key, "effect superseded"),
        EffectProgress::Later { because, .. } => tracing::info!(effect.key = %key, because, "effect waits"),
        EffectProgress::Settle { because, .. } => {
            tracing::warn!(effect.key = %key, because, "effect may have happened")
        }
    }
    match store.finish_effect(key, holder, progress, clock.now()).await {
        Ok(()) => Ok(sent),
        // Somebody else took it over when the lease ran out, and finds what was done by its key.
        Err(StoreError::Conflict { .. }) => Ok(Sent::Later),
        Err(error) => Err(error),
    }
}

async fn go_on<G: GitHub, C: Clock>(
    github: &G,
    clock: &C,
    claimed: &ClaimedEffect,
    claimed_at: Timestamp,
) -> EffectProgress {
    if claimed.was_in_flight {
        // Whatever was sent before has had time to appear in GitHub's lists: an uncertain try is not due before
        // `SETTLE` is over, and a lease that ran out outlasts it. That this claim is marked as a try must not start
        // the time anew, or looks that fail would push each other on for ever.
        match github.probe(&claimed.effect, claimed.first_tried_at).await {
            Ok(Some(done)) => return EffectProgress::Ended(ended(done)),
            Ok(None) => {}
            Err(error) => return unsure(clock, claimed, error),
        }
    }
    // A process that was asleep must not send what another holder may be sending by now.
    if clock.now() > claimed_at.plus(SEND_WITHIN) {
        let because = "the lease is too old to send under".to_owned();
        return EffectProgress::Settle { until: clock.now().plus(SETTLE), because };
    }
    match github.perform(&claimed.effect, claimed.remote).await {
        Ok(done) => EffectProgress::Ended(ended(done)),
        Err(GitHubError::Wait { wait, what }) => {
            let because = format!("GitHub asks to wait {wait} before {what}");
            EffectProgress::Later { until: clock.now().plus(wait), because }
        }
        Err(error @ GitHubError::Unavailable { .. }) => {
            if is_enough(clock, claimed) {
                return EffectProgress::Ended(Ending::Refused { message: error.to_string() });
            }
            EffectProgress::Later { until: clock.now().plus(backoff(claimed.attempts)), because: error.to_string() }
        }
        Err(GitHubError::Refused { status, message, .. }) => {
            EffectProgress::Ended(Ending::Refused { message: format!("{message} ({status})") })
        }
        Err(GitHubError::Gone { message, .. }) => EffectProgress::Ended(Ending::Refused { message }),
        Err(error @ GitHubError::Uncertain { .. }) => {
            EffectProgress::Settle { until: clock.now().plus(SETTLE), because: error.to_string() }
        }
    }
}

/// Whether an effect was tried often and for long enough.
fn is_enough<C: Clock>(clock: &C, claimed: &ClaimedEffect) -> bool {
    claimed.attempts >= ATTEMPTS_MAX && clock.now().since(claimed.first_tried_at) >= GIVE_UP_AFTER
}

/// The look itself failed, so nothing may be sent: the effect may stand already.
fn unsure<C: Clock>(clock: &C, claimed: &ClaimedEffect, error: GitHubError) -> EffectProgress {
    let because = error.to_string();
    let give_up = is_enough(clock, claimed) || matches!(error, GitHubError::Gone { .. } | GitHubError::Refused { .. });
    if give_up {
        return EffectProgress::Ended(match &claimed.effect.work {
            // A view that is not shown does no harm; the next one replaces it.
            Work::Publish(_) | Work::Act(Act::React { .. } | Act::CancelRun { .. }) => {
                Ending::Refused { message: because }
            }
            Work::Act(
                Act::CreateDeployment { .. }
                | Act::DispatchWorkflow { .. }
                | Act::OpenIssue { .. }
                | Act::RevertPull { .. }
                | Act::AnswerProtection { .. },
            ) => Ending::Unknown { message: because },
        });
    }
    let wait = match error {
        GitHubError::Wait { wait, .. } => wait,
        GitHubError::Unavailable { .. }
        | GitHubError::Uncertain { .. }
        | GitHubError::Gone { .. }
        | GitHubError::Refused { .. } => backoff(claimed.attempts),
    };
    EffectProgress::Settle { until: clock.now().plus(wait), because }
}

fn ended(done: Done) -> Ending {
    Ending::Done { id: done.id, url: done.url }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
