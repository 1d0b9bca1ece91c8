//! What a service keeps of each repository's history: mirror, index, model; and how it answers for a pull request.
//!
//! Knows when to fetch, to mine and to learn anew. Must never keep a turn waiting for long: what takes longer goes on by
//! itself, and the pull request asks again.

use super::{HistoryError, Kept, Mirror, MirrorLimits, Remote, rows};
use crate::domain::effect::Effect;
use crate::domain::facts::{Absence, Fact, Need};
use crate::domain::ids::*;
use crate::domain::risk::{
    ChangeMetrics, Foretold, HeldTo, Known, Model, Pace, Past, PastVerdict, Practice, TrainingRow, checked, merge,
    practices, replay,
};
use crate::engine::ports::{Clock, Done, Failures, GitHub, GitHubError, RemoteRepository, Remotes};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a turn waits for an answer.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long nothing is tried after a fault, and after a limit was reached.
const REST_AFTER_FAULT: Span = Span::minutes(10);
const REST_AFTER_LIMIT: Span = Span::hours(24);
/// After which time a change that nothing speaks against counts as good.
const DELAY: Span = Span::hours(24 * 90);
/// New changes, or time, after which a model learns anew.
const LESSON_CHANGES: usize = 50;
const LESSON_AFTER: Span = Span::hours(24);
/// Recent changes among which a pull request is placed, and by which a model is held to what it said.
const RECENT_MAX: usize = 500;
const HELD_TO_MAX: usize = 1_000;
/// Lessons that are played again to hold a model to what it said.
const HELD_TO_LESSONS: usize = 4;
/// Indexes that are kept in memory.
const OPEN_MAX: usize = 8;

/// Answers for all repositories. Cheap to clone.
pub struct Histories<R, F, C> {
    shared: Arc<Shared<R, F, C>>,
}

impl<R, F, C> Clone for Histories<R, F, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<R, F, C> {
    folder: PathBuf,
    limits: MirrorLimits,
    /// Where repositories are fetched from, without a slash at the end.
    web_url: String,
    remotes: R,
    failures: F,
    clock: Arc<C>,
    desks: Mutex<BTreeMap<RepoName, Arc<tokio::sync::Mutex<Desk>>>>,
}

/// One repository's.
#[derive(Default)]
struct Desk {
    open: Option<Kept>,
    learned: Option<Learned>,
    /// Nothing is tried before; and what is said meanwhile.
    rests: Option<(Timestamp, String)>,
}

/// What was learned of a repository.
#[derive(Clone)]
struct Learned {
    model: Arc<Model>,
    /// Of the newest changes by this model.
    recent: Vec<f64>,
    said: Vec<PastVerdict>,
    drift: Option<String>,
    paid: Vec<Practice>,
    at: Timestamp,
    /// How many changes there were.
    changes: usize,
}

/// A pull request that is asked about.
#[derive(Clone, Debug)]
struct Asked {
    installation: InstallationId,
    repo: RepoName,
    number: PullNumber,
    head: Sha,
    base: RefName,
}

impl<R, F, C> Histories<R, F, C>
where
    R: Remotes + 'static,
    F: Failures + 'static,
    C: Clock + 'static,
{
    /// Keeps what it learns in a folder, which is made when it is not there.
    pub fn new(folder: PathBuf, bytes_max: u64, web_url: &str, remotes: R, failures: F, clock: Arc<C>) -> Self {
        let limits = MirrorLimits { bytes_max, ..MirrorLimits::default() };
        let web_url = web_url.trim_end_matches('/').to_owned();
        let shared = Shared { folder, limits, web_url, remotes, failures, clock, desks: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    async fn answer(&self, asked: Asked) -> Fact {
        let (told, hears) = oneshot::channel();
        let this = self.clone();
        // Goes on by itself when nobody waits any more: the next one who asks finds it done.
        tokio::spawn(async move { this.work(asked, told).await });
        match tokio::time::timeout(PATIENCE, hears).await {
            Ok(Ok(fact)) => fact,
            Ok(Err(_)) | Err(_) => Fact::Past(Past::Reading),
        }
    }

    async fn work(&self, asked: Asked, told: oneshot::Sender<Fact>) {
        let desk = self.desk(&asked.repo);
        // Whoever holds the desk for long reads the history for the first time; then one after the other would queue up.
        let Ok(mut desk) = tokio::time::timeout(PATIENCE, desk.lock()).await else {
            let _ = told.send(Fact::Past(Past::Reading));
            return;
        };
        let now = self.shared.clock.now();
        if let Some((until, message)) = &desk.rests
            && now < *until
        {
            let _ = told.send(unusable(message));
            return;
        }
        // The first answer waits for the first lesson: a verdict must not change its model because a service began anew.
        let first = desk.learned.is_none();
        match self.measured(&mut desk, &asked).await {
            Ok(metrics) => {
                desk.rests = None;
                if first {
                    self.learn(&mut desk, &asked.repo).await;
                }
                let _ = told.send(Fact::Past(Past::Known(Box::new(known(metrics, desk.learned.as_ref())))));
            }
            Err(problem) => {
                tracing::warn!(repo = %asked.repo, error = %problem.log, "the history cannot be used");
                let _ = told.send(unusable(&problem.said));
                desk.rests = problem.rests.map(|rest| (now.plus(rest), problem.said));
                return;
            }
        }
        if !first {
            self.learn(&mut desk, &asked.repo).await;
        }
        self.close_others(&asked.repo);
    }

    fn desk(&self, repo: &RepoName) -> Arc<tokio::sync::Mutex<Desk>> {
        let mut desks = self.shared.desks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(desks.entry(repo.clone()).or_default())
    }

    /// Gives back the memory of repositories that nobody asks about now.
    fn close_others(&self, but: &RepoName) {
        let mut desks = self.shared.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut over = desks.len().saturating_sub(OPEN_MAX);
        desks.retain(|repo, desk| {
            // One whose desk rests keeps that in mind.
            let idle = repo != but && desk.try_lock().is_ok_and(|desk| desk.rests.is_none());
            let goes = over > 0 && idle;
            over -= usize::from(goes);
            !goes
        });
    }

    async fn measured(&self, desk: &mut Desk, asked: &Asked) -> Result<ChangeMetrics, Problem> {
        let remote = self.shared.remotes.remote(asked.installation, &asked.repo).await?;
        if asked.base != remote.default_branch {
            return Err(Problem::of_this(format!(
                "It is kept of `{}` alone, and this pull request goes to `{}`.",
                remote.default_branch, asked.base
            )));
        }
        let name = folder_of(&asked.repo);
        let RemoteRepository { authorization, default_branch } = remote;
        let url = format!("{}/{}.git", self.shared.web_url, asked.repo);
        let mirror = Mirror::new(self.shared.folder.join(format!("{name}.git")), self.shared.limits);
        let remote = Remote { url, authorization: Some(authorization) };
        let fetched = mirror.fetch(&remote, &default_branch, &[asked.number]).await?;
        let head = fetched.pulls.iter().find(|(number, _)| *number == asked.number).map(|(_, sha)| sha.clone());
        if head.as_ref() != Some(&asked.head) {
            return Err(Problem::of_this(
                "GitHub does not hand out the head of this pull request any more.".to_owned(),
            ));
        }
        let (git_dir, file) = (mirror.git_dir().to_owned(), self.shared.folder.join(format!("{name}.index")));
        let (open, head) = (desk.open.take(), asked.head.clone());
        let measured = blocking(move || {
            let mut kept = match open {
                Some(kept) => kept,
                None => opened(&git_dir, &file)?,
            };
            kept.extend(&fetched.tip, &mut |_| {})?;
            let metrics = kept.measure_range(&fetched.tip, &head, None)?.metrics;
            Ok((kept, metrics))
        });
        let (kept, metrics) = measured.await?;
        desk.open = Some(kept);
        Ok(metrics)
    }

    /// Learns anew when enough has happened since the last time.
    async fn learn(&self, desk: &mut Desk, repo: &RepoName) {
        let Some(kept) = desk.open.take() else { return };
        let now = self.shared.clock.now();
        let given = self.shared.failures.failures(repo).await;
        let last = desk.learned.clone();
        let learned = blocking(move || {
            let changes = kept.changes();
            let due = last
                .as_ref()
                .is_none_or(|last| changes.len() >= last.changes + LESSON_CHANGES || now >= last.at.plus(LESSON_AFTER));
            if !due {
                return Ok((kept, last));
            }
            let outcomes = merge(kept.outcomes().into_iter().chain(given));
            let rows = rows(&changes, &outcomes, DELAY);
            Ok((kept, Some(lesson(&rows, now))))
        });
        match learned.await {
            Ok((kept, learned)) => {
                if let Some(learned) = &learned {
                    tracing::debug!(%repo, model = learned.model.title(), changes = learned.changes, "learned from history");
                }
                desk.open = Some(kept);
                desk.learned = learned;
            }
            Err(problem) => tracing::warn!(%repo, error = %problem.log, "nothing was learned from history"),
        }
    }
}

/// Learns from a repository's changes, and holds what comes out to what became of them.
fn lesson(rows: &[TrainingRow], now: Timestamp) -> Learned {
    let waiting = rows.iter().rev().take_while(|row| row.outcome_at(now).is_none()).count();
    let ahead = waiting + LESSON_CHANGES;
    let from = rows.len().saturating_sub(HELD_TO_MAX);
    let pace = Pace { begin_after: from, every: ((rows.len() - from) / HELD_TO_LESSONS).max(1) };
    // What was said before anything was learned here was not said by a model of this repository.
    let held: Vec<HeldTo> = replay(Model::shipped(), rows, pace, &mut |_| {})
        .into_iter()
        .filter(|told| told.learned)
        .filter_map(|Foretold { row, ours, shipped, .. }| {
            let said = PastVerdict { probability: ours, bad: rows.get(row)?.outcome_at(now)? };
            Some(HeldTo { said, shipped })
        })
        .collect();
    let checked = checked(Model::shipped(), &held, rows, now, ahead);
    let (drift, model) = (checked.drift(), checked.model);
    let said = held.into_iter().map(|held| held.said).collect();
    let paid = practices(&model, rows, now);
    let counted = rows.iter().rev().filter(|row| row.metrics.files.is_some_and(|files| files > 0));
    let recent = counted.take(RECENT_MAX).map(|row| model.probability(&row.metrics)).collect();
    Learned { model: Arc::new(model), recent, said, drift, paid, at: now, changes: rows.len() }
}

fn known(metrics: ChangeMetrics, learned: Option<&Learned>) -> Known {
    let Some(Learned { model, recent, said, drift, paid, .. }) = learned else {
        return Known { metrics, ..Known::default() };
    };
    let (recent, said, drift, paid) = (recent.clone(), said.clone(), drift.clone(), paid.clone());
    Known { metrics, model: Some(Box::new((**model).clone())), recent, said, drift, paid }
}

fn opened(git_dir: &Path, file: &Path) -> Result<Kept, HistoryError> {
    let (kept, how) = Kept::open(git_dir, file)?;
    tracing::debug!(?how, "the index of a history was opened");
    Ok(kept)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(Problem { said: BROKEN.to_owned(), log: error.to_string(), rests: Some(REST_AFTER_FAULT) }),
    }
}

/// A folder's name for a repository: both parts are letters, digits, `-`, `_` and `.`, but never begin with a dot.
fn folder_of(repo: &RepoName) -> String {
    let text = repo.to_string().to_lowercase();
    let (owner, name) = text.split_once('/').unwrap_or(("", &text));
    // Neither part holds a `+`, so two names that differ never meet.
    format!("{owner}+{name}")
}

const BROKEN: &str = "It could not be read just now.";

fn unusable(message: &str) -> Fact {
    Fact::Absent(Absence::Unusable { message: message.to_owned() })
}

/// Why there is no history to judge by.
struct Problem {
    /// A sentence for people; nothing internal.
    said: String,
    /// For the operator.
    log: String,
    /// How long the whole repository is left alone; `None`: only this question has no answer.
    rests: Option<Span>,
}

impl Problem {
    fn of_this(said: String) -> Self {
        Self { log: said.clone(), said, rests: None }
    }
}

impl From<GitHubError> for Problem {
    fn from(error: GitHubError) -> Self {
        let rests = match &error {
            GitHubError::Wait { wait, .. } => Some(*wait),
            GitHubError::Unavailable { .. } | GitHubError::Uncertain { .. } => Some(Span::minutes(1)),
            GitHubError::Refused { .. } | GitHubError::Gone { .. } => Some(REST_AFTER_FAULT),
        };
        Self { said: BROKEN.to_owned(), log: error.to_string(), rests }
    }
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        let (said, rests) = match &error {
            HistoryError::TooLarge(message) | HistoryError::TooSlow(message) => (sentence(message), REST_AFTER_LIMIT),
            HistoryError::Empty { .. } => ("The repository has none yet.".to_owned(), REST_AFTER_FAULT),
            HistoryError::ObjectFormat { format, .. } => {
                (format!("Its objects are named by {format}, and only SHA-1 is read."), REST_AFTER_LIMIT)
            }
            HistoryError::NoGit(_) => ("The service lacks the program git.".to_owned(), REST_AFTER_LIMIT),
            HistoryError::Unrelated { .. } => {
                return Self::of_this("This pull request has no commit in common with the default branch.".to_owned());
            }
            HistoryError::NoRepository { .. }
            | HistoryError::Shallow { .. }
            | HistoryError::NoCommit { .. }
            | HistoryError::Damaged { .. }
            | HistoryError::Busy { .. }
            | HistoryError::Git { .. }
            | HistoryError::File { .. } => (BROKEN.to_owned(), REST_AFTER_FAULT),
        };
        Self { said, log: error.to_string(), rests: Some(rests) }
    }
}

fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

/// A GitHub that also knows the past: questions about it are answered by the histories, all others go through.
pub struct Informed<G, R, F, C> {
    github: Arc<G>,
    histories: Option<Histories<R, F, C>>,
}

impl<G, R, F, C> Informed<G, R, F, C> {
    /// Without histories every question about the past has the answer that they are switched off.
    pub fn new(github: Arc<G>, histories: Option<Histories<R, F, C>>) -> Self {
        Self { github, histories }
    }
}

impl<G, R, F, C> GitHub for Informed<G, R, F, C>
where
    G: GitHub,
    R: Remotes + 'static,
    F: Failures + 'static,
    C: Clock + 'static,
{
    async fn observe(&self, installation: InstallationId, repo: &RepoName, need: &Need) -> Result<Fact, GitHubError> {
        let Need::Past { number, head_sha, base_ref } = need else {
            return self.github.observe(installation, repo, need).await;
        };
        let Some(histories) = &self.histories else { return Ok(unusable("The operator switched it off.")) };
        let (head, base) = (head_sha.clone(), base_ref.clone());
        Ok(histories.answer(Asked { installation, repo: repo.clone(), number: *number, head, base }).await)
    }

    async fn perform(&self, effect: &Effect, remote: Option<u64>) -> Result<Done, GitHubError> {
        self.github.perform(effect, remote).await
    }

    async fn probe(&self, effect: &Effect, since: Timestamp) -> Result<Option<Done>, GitHubError> {
        self.github.probe(effect, since).await
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
