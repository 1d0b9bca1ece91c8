//! What the engine needs from the world, as traits; other rooms make them real.
//!
//! Every method says when it may fail and what is then true. Knows no library that would do the work.

use crate::domain::effect::{Effect, Ending};
use crate::domain::event::Event;
use crate::domain::facts::{Fact, Need};
use crate::domain::ids::*;
use crate::domain::reading::{Question, Reading};
use crate::domain::risk::Outcome;
use serde::{Deserialize, Serialize};
use std::future::Future;

// ---------------------------------------------------------------- the clock

/// Says what time it is.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

// ---------------------------------------------------------------- webhooks

/// Turns a delivery's bytes into events for lanes. Pure.
pub trait Webhooks: Send + Sync {
    fn interpret(&self, event: &str, body: &[u8]) -> Interpretation;
}

/// What a delivery means.
#[derive(Clone, Debug, PartialEq)]
pub enum Interpretation {
    /// Events for lanes, in order; the installation that sent them.
    Events { installation: InstallationId, events: Vec<(Subject, Event)> },
    /// Nothing to do, and why that is right.
    Ignored { because: String },
    /// It should have been readable and was not.
    Unreadable { because: String },
}

// ---------------------------------------------------------------- GitHub

/// Asks GitHub and acts on it. No hidden retries: waiting is the engine's business.
pub trait GitHub: Send + Sync {
    /// Answers a need by reads only; safe to repeat. 404 and a plain 403 are [`Fact::Absent`], not errors.
    fn observe(
        &self,
        installation: InstallationId,
        repo: &RepoName,
        need: &Need,
    ) -> impl Future<Output = Result<Fact, GitHubError>> + Send;

    /// Does the effect once. `remote` is what an earlier publish of the same target is called on GitHub, to be changed
    /// in place of making a new one.
    fn perform(&self, effect: &Effect, remote: Option<u64>) -> impl Future<Output = Result<Done, GitHubError>> + Send;

    /// Looks whether the effect already stands on GitHub, by its key; `since` is when it was first tried.
    /// `Ok(None)`: it surely does not.
    fn probe(
        &self,
        effect: &Effect,
        since: Timestamp,
    ) -> impl Future<Output = Result<Option<Done>, GitHubError>> + Send;
}

/// An effect stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub id: Option<u64>,
    pub url: Option<String>,
}

/// Why GitHub did not do it, said as what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// A rate limit: nothing happened, ask again after `wait`.
    #[error("GitHub asks us to wait {wait} before `{what}`")]
    Wait { what: String, wait: Span },
    /// Nothing happened, and a fault of the moment is to blame: ask again a little later.
    #[error("GitHub could not be reached for `{what}`: {message}")]
    Unavailable { what: String, message: String },
    /// GitHub said no, and will again.
    #[error("GitHub refused `{what}` with {status}: {message}")]
    Refused { what: String, status: u16, message: String },
    /// What it is about is gone, or the App lost access to it.
    #[error("`{what}` is gone from GitHub: {message}")]
    Gone { what: String, message: String },
    /// It may have happened or not.
    #[error("no answer to `{what}`; it may have happened: {message}")]
    Uncertain { what: String, message: String },
}

/// Says how a repository is fetched.
pub trait Remotes: Send + Sync {
    /// An authorization for reading a repository, good for some minutes, and its default branch.
    fn remote(
        &self,
        installation: InstallationId,
        repo: &RepoName,
    ) -> impl Future<Output = Result<RemoteRepository, GitHubError>> + Send;
}

/// How a repository is fetched.
#[derive(Clone, Debug)]
pub struct RemoteRepository {
    /// Value of the `Authorization` header. Never to be logged, nor to stand on a command line.
    pub authorization: secrecy::SecretString,
    pub default_branch: RefName,
}

/// Tells of changes that went wrong where Plimsoll saw it itself.
pub trait Failures: Send + Sync {
    /// What is known of a repository's changes, in no order. Empty also when it cannot be told now.
    fn failures(&self, repo: &RepoName) -> impl Future<Output = Vec<Outcome>> + Send;
}

/// Knows which deliveries GitHub could not bring, and has it try again.
pub trait Deliveries: Send + Sync {
    /// Deliveries attempted since a moment that no attempt has brought home, oldest first.
    fn failed(&self, since: Timestamp) -> impl Future<Output = Result<Vec<FailedDelivery>, GitHubError>> + Send;

    /// Asks GitHub to deliver once more; it does so soon, under the same GUID.
    fn redeliver(&self, attempt: u64) -> impl Future<Output = Result<(), GitHubError>> + Send;
}

/// A delivery that no attempt has brought home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDelivery {
    /// Names the newest attempt, for [`Deliveries::redeliver`].
    pub attempt: u64,
    /// The GUID, which all attempts share.
    pub id: DeliveryId,
    pub event: String,
    /// When the newest attempt was made.
    pub at: Timestamp,
}

// ---------------------------------------------------------------- who calls

/// Says who a caller is that brings a token of its workflow run.
pub trait Callers: Send + Sync {
    /// Verifies a token. It is good for a few minutes and may be shown more than once.
    fn verify(&self, token: &str) -> impl Future<Output = Result<Claims, CallerError>> + Send;
}

/// What a verified token says of the run that brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub repository: RepoName,
    pub run: RunId,
    /// From 1; grows when the run is run again.
    pub attempt: u32,
    /// The environment of the job that asked for the token; `None`: the job names none.
    pub environment: Option<EnvironmentName>,
    /// Commit that the run was started on.
    pub sha: Sha,
}

/// Why it is not known who calls.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// The token does not count. The message is a sentence for the caller; it tells nothing of keys.
    #[error("{message}")]
    Invalid { message: String },
    /// Nothing can be said now: the issuer's keys could not be read. The message is for the log.
    #[error("{message}")]
    Unavailable { message: String },
}

// ---------------------------------------------------------------- what runs

/// Asks what runs, outside GitHub. Questions come from a repository's policy, so they are not to be trusted.
pub trait Probes: Send + Sync {
    /// Asks once, by reading only. Always answers, within seconds: what cannot be asked, or does not answer, is a
    /// [`Reading`] too.
    fn ask(&self, question: &Question) -> impl Future<Output = Reading> + Send;
}

// ---------------------------------------------------------------- the store

/// Why the store did not do it. After an error nothing of the call has happened, except with `Unavailable`, where a
/// commit may have become durable just before the fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed the lane first, or the lease was lost: drop the work and claim again.
    #[error("`{subject}` was changed by another holder")]
    Conflict { subject: String },
    /// The database cannot be used now.
    #[error("the store cannot be used: {message}")]
    Unavailable { message: String },
    /// What was read makes no sense. A delivery, arrival or effect that cannot be read has been put aside, so that the
    /// next call gets past it.
    #[error("the store holds what cannot be read: {message}")]
    Corrupt { message: String },
}

/// A delivery as it came in at the door; its signature has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    pub id: DeliveryId,
    pub event: String,
    pub body: bytes::Bytes,
    pub received_at: Timestamp,
}

/// What became of a delivery at the door. All three are durable when this is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Kept; it will be sorted.
    Stored,
    /// The same GUID with the same event and bytes was there before; nothing to do.
    Duplicate,
    /// The same GUID with other bytes: kept beside it and parked, for a person to look at.
    Parked,
}

/// What sorting made of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Sorted {
    /// Its events go into the inboxes of their lanes, in this order.
    Events(Vec<Arrival>),
    Ignored {
        because: String,
    },
    Parked {
        because: String,
    },
}

/// Something for a lane's inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    pub subject: Subject,
    /// The installation through which the lane may speak to GitHub; `None`: as before.
    pub installation: Option<InstallationId>,
    pub event: Event,
    pub source: Source,
    pub at: Timestamp,
}

/// Where an arrival came from, for the journal and `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Delivery(DeliveryId),
    Lane(Subject),
    Effect(EffectKey),
    Person(Login),
    /// A workflow run that reported; who it is was verified.
    Run(RunId),
    Operator,
}

/// A lane with work, held under a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedLane {
    pub subject: Subject,
    /// `None`: the lane has no state yet.
    pub snapshot: Option<Snapshot>,
    /// Oldest first, at most as many as asked for. Empty: the lane asked to be woken.
    pub arrivals: Vec<(ArrivalId, Arrival)>,
    /// Whether its `wake_at` is due.
    pub woken: bool,
    /// Turns of this lane that failed since the last that did not.
    pub failures: u32,
}

/// Number of a row in the inbox; rows of one lane are taken in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArrivalId(pub i64);

/// A lane's state at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Grows by one with each commit, from 1.
    pub version: u64,
    /// JSON.
    pub state: Vec<u8>,
}

/// Everything one turn decided; becomes durable as a whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnCommit {
    pub subject: Subject,
    /// The lease under which the turn was made.
    pub holder: Holder,
    /// Version that was loaded; `None`: there was none.
    pub expected_version: Option<u64>,
    pub state: Vec<u8>,
    pub wake_at: Option<Timestamp>,
    pub taken: Vec<ArrivalId>,
    /// New rows of the outbox. A key that is already there is left as it is.
    pub effects: Vec<Effect>,
    pub forwards: Vec<Arrival>,
    /// What happened and why, for people.
    pub journal: Vec<String>,
    pub at: Timestamp,
}

/// Who holds a lease: one instance of the service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder(pub String);

/// An effect to perform, marked in flight and held under a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedEffect {
    pub effect: Effect,
    /// What the newest finished publish of the same target made, when there is one.
    pub remote: Option<u64>,
    /// When it was first marked in flight; before this claim if `was_in_flight`.
    pub first_tried_at: Timestamp,
    /// When the try before this one was marked in flight; `None` on the first.
    pub last_tried_at: Option<Timestamp>,
    /// It was marked in flight before and not finished: it may stand on GitHub already.
    pub was_in_flight: bool,
    /// How often it has been claimed before.
    pub attempts: u32,
}

/// What to write about a claimed effect.
#[derive(Clone, Debug, PartialEq)]
pub enum EffectProgress {
    /// It ended. The lane hears of it: the arrival goes into its inbox in the same transaction.
    Ended(Ending),
    /// Nothing was sent, or surely nothing happened: plan it again for `until`.
    Later { until: Timestamp, because: String },
    /// It may have happened: keep it in flight and look (settle, probe) at `until`.
    Settle { until: Timestamp, because: String },
}

/// Keeps everything that must outlive the process. Every `&self` method is one transaction.
///
/// Lanes and effects are leased: a lease that has run out may be taken by another holder, and the commit of the old
/// one is then refused. `now` is always given; the store has no clock.
///
/// `admit`, `arrive` and `claim_effect` are flushed to disk when they return, and with them everything before. The others
/// outlive the process at once and a power cut a moment later, in their order.
pub trait Store: Send + Sync {
    /// Keeps a delivery. Durable (flushed to disk) before it returns; many callers share one flush.
    fn admit(&self, delivery: NewDelivery) -> impl Future<Output = Result<Admitted, StoreError>> + Send;

    /// Deliveries that were admitted and not sorted, oldest first; fewer than `limit` when they are large.
    fn unsorted(&self, limit: usize) -> impl Future<Output = Result<Vec<NewDelivery>, StoreError>> + Send;

    /// Writes what sorting made of deliveries; one that somebody else sorted meanwhile is left alone.
    fn sort(
        &self,
        sorted: Vec<(DeliveryId, Sorted)>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts an arrival into a lane's inbox from outside the ring (dashboard, CLI, sweep).
    fn arrive(&self, arrival: Arrival) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes the lane whose oldest arrival or due `wake_at` has waited longest, if its lease is free and it is not
    /// deferred past `now`; up to `arrivals_max` arrivals come with it.
    fn claim_lane(
        &self,
        holder: &Holder,
        now: Timestamp,
        lease_until: Timestamp,
        arrivals_max: usize,
    ) -> impl Future<Output = Result<Option<ClaimedLane>, StoreError>> + Send;

    /// Commits a turn and frees the lane; its failures are counted from 0 again.
    fn commit(&self, turn: TurnCommit) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Frees a lane whose turn failed, counts the failure, and leaves its inbox as it is until `until`.
    fn defer_lane(
        &self,
        subject: &Subject,
        holder: &Holder,
        until: Timestamp,
        because: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes arrivals that cannot be worked on out of the inbox and keeps them aside, visible; frees the lane,
    /// whose failures are counted from 0 again.
    fn park_arrivals(
        &self,
        subject: &Subject,
        holder: &Holder,
        arrivals: &[ArrivalId],
        because: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes the effect that has been due longest and marks it in flight in the same write. Effects on one target
    /// (for acts: of one key) are taken one at a time; a planned publish that a newer planned publish of the same
    /// target replaces is ended as superseded on the way (its lane hears of it too).
    fn claim_effect(
        &self,
        holder: &Holder,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> impl Future<Output = Result<Option<ClaimedEffect>, StoreError>> + Send;

    /// Writes how a claimed effect went on. Refused with `Conflict` when the lease was lost to another holder.
    fn finish_effect(
        &self,
        key: &EffectKey,
        holder: &Holder,
        progress: EffectProgress,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A lane's snapshot, without claiming it.
    fn peek(&self, subject: &Subject) -> impl Future<Output = Result<Option<Snapshot>, StoreError>> + Send;

    /// When there will next be something to claim, if nothing new arrives: the earliest of all due times after `now`.
    fn next_due(&self, now: Timestamp) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    /// Lines of a lane's journal, newest first.
    fn journal(
        &self,
        subject: &Subject,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<JournalLine>, StoreError>> + Send;

    /// What is known of a delivery: nothing, one, or several where its GUID came with other bytes; oldest first. For
    /// people: it may look through all deliveries.
    fn delivery(&self, id: &DeliveryId) -> impl Future<Output = Result<Vec<KnownDelivery>, StoreError>> + Send;

    /// Everything parked: deliveries and arrivals, newest first.
    fn parked(&self, limit: usize) -> impl Future<Output = Result<Vec<Parked>, StoreError>> + Send;

    /// Counts for health and metrics.
    fn counts(&self, now: Timestamp) -> impl Future<Output = Result<Counts, StoreError>> + Send;

    /// Forgets bodies of sorted deliveries, ended effects and journal lines older than `before`, a bounded number a
    /// call; returns how many rows went. The newest finished publish of each target is kept, and a GUID is remembered
    /// longer than its body.
    fn prune(&self, before: Timestamp) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// One line of the journal. `hash` is over the line and the hash of the line before it in the same lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalLine {
    pub at: Timestamp,
    pub version: u64,
    pub text: String,
    pub hash: String,
}

/// A delivery that came in at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDelivery {
    pub event: String,
    pub received_at: Timestamp,
    pub fate: Fate,
    /// `None`: it has been forgotten.
    pub body: Option<bytes::Bytes>,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits to be sorted.
    Unsorted,
    /// Its events went into the inboxes of their lanes.
    Sorted,
    Ignored {
        because: String,
    },
    Parked {
        because: String,
    },
}

/// Something that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    pub what: String,
    pub because: String,
    pub at: Timestamp,
}

/// How much there is of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub deliveries_unsorted: u64,
    pub deliveries_parked: u64,
    pub arrivals_waiting: u64,
    pub arrivals_parked: u64,
    pub effects_planned: u64,
    pub effects_in_flight: u64,
    pub lanes: u64,
}
