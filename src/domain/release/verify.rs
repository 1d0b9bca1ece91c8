//! Verification of a step: what is asked when, and what the answers mean.
//!
//! Knows readings and thresholds. Must never ask anything itself.

use super::*;
use crate::domain::effect::Ending;
use crate::domain::facts::{Absence, CheckStanding, Fact, Facts, Need, RunStatus};
use crate::domain::markdown::code;
use crate::domain::policy::{Demand, NoData, Probe, Verification, Worse};
use crate::domain::reading::{Question, Reading, Series};

/// How long a run that GitHub did not name is looked for.
const FIND_FOR: Span = Span::minutes(5);

/// How one verification of a step goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When it was last asked; `None`: not yet.
    pub at: Option<Timestamp>,
    /// Good answers in a row.
    pub successes: u32,
    /// Bad answers in all.
    pub failures: u32,
    /// The newest answer, judged.
    pub heard: Option<Heard>,
    /// The workflow run of a workflow verification, and which try it is.
    pub run: Option<Trial>,
}

/// An answer, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    pub outcome: Outcome,
    /// A few words, plain text.
    pub says: String,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Success,
    Failure,
    Inconclusive,
}

/// What a verification that decides nothing would have said of a release in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    pub name: String,
    /// Of the rollout, from 0.
    pub step: usize,
    /// That the step had passed, had failed, or had stayed undecided.
    pub outcome: Outcome,
    /// What it heard when that came about: a few words, plain text.
    pub says: String,
}

impl std::fmt::Display for DryRun {
    /// Plain text, for instance `dry run of errors: would have failed, 0.31 is not below 0.05`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "dry run of {}: {}, {}", self.name, self.outcome.would(), self.says)
    }
}

impl Outcome {
    /// What it would have meant for a step, had it decided.
    pub fn would(self) -> &'static str {
        match self {
            Self::Success => "would have passed",
            Self::Failure => "would have failed",
            Self::Inconclusive => "would be undecided",
        }
    }
}

/// The workflow run of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// From 1.
    pub attempt: u32,
    pub since: Timestamp,
    pub standing: TrialStanding,
}

/// Where such a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialStanding {
    Dispatching,
    Finding,
    Running { run: RunId },
    Ended,
}

/// What a step's verification comes to so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Each has as many good answers in a row as it needs.
    Passed,
    /// Not yet; nothing is wrong.
    Open,
    /// One of them failed; the end of a sentence.
    Failed(String),
}

impl Asked {
    /// Nothing was asked yet.
    pub fn nothing() -> Self {
        Self { at: None, successes: 0, failures: 0, heard: None, run: None }
    }

    fn passed(&self, policy: &Verification) -> bool {
        self.successes >= policy.successes
    }

    fn failed(&self, policy: &Verification) -> bool {
        self.failures > policy.failures_allowed
    }

    /// Whether a question went out and is no longer on its way.
    fn was_asked(&self) -> bool {
        let run = self.run.as_ref().map(|trial| trial.standing);
        self.at.is_some() || matches!(run, Some(TrialStanding::Running { .. } | TrialStanding::Ended))
    }
}

/// Key of the dispatch of a workflow verification; `index` and `step` from 0.
pub fn trial_key(step: &EffectKey, index: usize, attempt: u32) -> EffectKey {
    EffectKey::new(format!("{step}/verify-{}/attempt-{attempt}", index + 1))
}

/// Judges the verifications of a step; those that decide nothing are left out.
pub fn verdict(policies: &[Verification], asked: &[Asked]) -> Verdict {
    let deciding = || policies.iter().zip(asked).filter(|(policy, _)| !policy.dry_run);
    let failed = deciding().find(|(policy, asked)| asked.failed(policy));
    if let Some((policy, asked)) = failed {
        let says = asked.heard.as_ref().map_or("", |heard| &heard.says);
        return Verdict::Failed(format!("verification {} failed: {says}", policy.name));
    }
    if deciding().all(|(policy, asked)| asked.passed(policy)) { Verdict::Passed } else { Verdict::Open }
}

/// Whether each verification that decides nothing was asked: until then a step stays, since it would hear nothing.
pub fn dry_runs_asked(policies: &[Verification], asked: &[Asked]) -> bool {
    policies.iter().zip(asked).filter(|(policy, _)| policy.dry_run).all(|(_, asked)| asked.was_asked())
}

/// Writes down what those that decide nothing would have said of a step so far; what is new of it.
///
/// What would have failed stays so in later steps. All else tells of the newest step, and while that goes on changes only
/// with the outcome: people see it on GitHub, where each change is a write. `over`: the step has ended.
pub fn note_dry_runs(
    policies: &[Verification],
    asked: &[Asked],
    (step, over): (usize, bool),
    known: &mut Vec<DryRun>,
) -> Vec<DryRun> {
    let mut new = Vec::new();
    for (policy, asked) in policies.iter().zip(asked).filter(|(policy, _)| policy.dry_run) {
        let Some(heard) = &asked.heard else { continue };
        let outcome = match (asked.failed(policy), asked.passed(policy)) {
            (true, _) => Outcome::Failure,
            (false, true) => Outcome::Success,
            (false, false) => Outcome::Inconclusive,
        };
        let old = known.iter().position(|old| old.name == policy.name);
        let same = old.map(|at| &known[at]).is_some_and(|old| (old.step, old.outcome) == (step, outcome));
        if old.is_some_and(|at| known[at].outcome == Outcome::Failure) || (same && !over) {
            continue;
        }
        let now = DryRun { name: policy.name.clone(), step, outcome, says: heard.says.clone() };
        if !same {
            new.push(now.clone());
        }
        match old {
            Some(at) => known[at] = now,
            None => known.push(now),
        }
    }
    new
}

/// What is still open of a step's verification, for the person who must decide; a few words.
pub fn undecided(policies: &[Verification], asked: &[Asked]) -> String {
    let open = policies.iter().zip(asked).filter(|(policy, asked)| !policy.dry_run && !asked.passed(policy));
    let words = open.map(|(policy, asked)| match &asked.heard {
        Some(heard) => format!("{}: {}", policy.name, heard.says),
        None => format!("{}: no answer", policy.name),
    });
    words.collect::<Vec<_>>().join("; ")
}

fn is_due(policy: &Verification, asked: &Asked, now: Timestamp) -> bool {
    // One that decides nothing goes on after it failed, and then nothing more is to be learned.
    !asked.failed(policy) && asked.at.is_none_or(|at| at.plus(policy.every) <= now)
}

/// Which verifications are asked at all: once all that decides has passed and the bake is over only dry runs keep the
/// step, and of the others only what was due before that still counts.
fn asks<'a>(
    policies: &'a [Verification],
    asked: &'a [Asked],
    until: Timestamp,
    now: Timestamp,
) -> impl Iterator<Item = (usize, &'a Verification, &'a Asked)> {
    let rests = until <= now && verdict(policies, asked) == Verdict::Passed;
    let overdue = move |policy: &Verification, asked: &Asked| asked.at.is_none_or(|at| at.plus(policy.every) <= until);
    let all = policies.iter().zip(asked).enumerate().map(|(index, (policy, asked))| (index, policy, asked));
    all.filter(move |(_, policy, asked)| policy.dry_run || !rests || overdue(policy, asked))
}

/// Whether something that has passed was due before the bake ended and was not asked since: it may be well no more.
pub fn is_overdue(policies: &[Verification], asked: &[Asked], until: Timestamp, now: Timestamp) -> bool {
    // A workflow is not asked again once it has passed.
    let again = |policy: &Verification| !policy.dry_run && !matches!(policy.probe, Probe::Workflow { .. });
    until <= now && asks(policies, asked, until, now).any(|(_, policy, _)| again(policy))
}

/// A place where something is verified: the release's step, and since when it rolls.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    pub sha: &'a Sha,
    pub key: &'a EffectKey,
    pub started_at: Timestamp,
    /// When its bake ends.
    pub until: Timestamp,
}

/// How many questions one turn asks outside GitHub: each may take many seconds, and a turn has two minutes.
const QUESTIONS_MAX: usize = 6;

/// What must be known to judge the verifications that are due; those that are not asked now are asked in the next turn.
pub fn needs(policies: &[Verification], asked: &[Asked], place: &Place<'_>, now: Timestamp) -> Vec<Need> {
    let mut needs = Vec::new();
    // What waited longest is asked first, so that each has its turn.
    let mut asking: Vec<_> = asks(policies, asked, place.until, now).collect();
    asking.sort_by_key(|(_, _, asked)| asked.at);
    for (index, policy, asked) in asking {
        match &policy.probe {
            Probe::Workflow { workflow } => match &asked.run {
                Some(Trial { standing: TrialStanding::Running { run }, .. }) if is_due(policy, asked, now) => {
                    needs.push(Need::Run { run: *run });
                }
                Some(Trial { standing: TrialStanding::Finding, since, attempt }) => needs.push(Need::RunByKey {
                    workflow: workflow.clone(),
                    key: trial_key(place.key, index, *attempt),
                    since: *since,
                }),
                Some(Trial {
                    standing: TrialStanding::Dispatching | TrialStanding::Running { .. } | TrialStanding::Ended,
                    ..
                })
                | None => {}
            },
            Probe::Check { .. } if is_due(policy, asked, now) => needs.push(Need::Checks { sha: place.sha.clone() }),
            Probe::Http { .. } | Probe::Prometheus { .. } | Probe::Live { .. } if is_due(policy, asked, now) => {
                let questions = questions(&policy.probe, place.started_at, now);
                let asked = needs.iter().filter(|need| matches!(need, Need::Reading { .. })).count();
                if asked + questions.len() <= QUESTIONS_MAX {
                    needs.extend(questions.into_iter().map(|question| Need::Reading { question }));
                }
            }
            Probe::Check { .. } | Probe::Http { .. } | Probe::Prometheus { .. } | Probe::Live { .. } => {}
        }
    }
    needs
}

/// What is asked for a probe: now, and where it compares, as it was just before the rollout.
pub fn questions(probe: &Probe, started_at: Timestamp, now: Timestamp) -> Vec<Question> {
    match probe {
        Probe::Http { url, json, .. } => {
            vec![Question::Http { url: url.clone(), pointer: json.as_ref().map(|(pointer, _)| pointer.clone()) }]
        }
        Probe::Live { url, pointer } => {
            vec![Question::Http { url: url.clone(), pointer: Some(pointer.clone().unwrap_or_default()) }]
        }
        Probe::Prometheus { server, query, over, demand } => {
            let question = |at| Question::Prometheus { server: server.clone(), query: query.clone(), at, over: *over };
            match demand {
                Demand::Below(_) | Demand::Above(_) => vec![question(now)],
                Demand::NotWorse { .. } => vec![question(now), question(started_at)],
            }
        }
        Probe::Workflow { .. } | Probe::Check { .. } => Vec::new(),
    }
}

/// Judges what was looked up for the verifications that are due, and dispatches workflows that are.
pub fn look(
    policies: &[Verification],
    asked: &mut [Asked],
    place: &Place<'_>,
    facts: &Facts,
    now: Timestamp,
) -> Vec<(usize, u32)> {
    let mut dispatches = Vec::new();
    for (index, (policy, asked)) in policies.iter().zip(asked.iter_mut()).enumerate() {
        let heard = match &policy.probe {
            Probe::Workflow { workflow } => {
                if let Some(attempt) = trial(policy, asked, workflow, index, place, facts, now) {
                    dispatches.push((index, attempt));
                }
                continue;
            }
            _ if !is_due(policy, asked, now) => continue,
            // Not looked up in this turn.
            Probe::Check { .. } if facts.checks(place.sha).is_none() => continue,
            Probe::Check { name } => match checked(name, facts.checks(place.sha)) {
                // No answer yet, so `no_data` does not speak for it either.
                Err(not_yet) => {
                    (asked.at, asked.heard) = (Some(now), Some(not_yet));
                    continue;
                }
                Ok(heard) => heard,
            },
            Probe::Http { .. } | Probe::Prometheus { .. } | Probe::Live { .. } => {
                let questions = questions(&policy.probe, place.started_at, now);
                let readings: Option<Vec<&Reading>> =
                    questions.iter().map(|q| facts.reading(q).and_then(Result::ok)).collect();
                // Not looked up in this turn: the clock calls again.
                let Some(readings) = readings else { continue };
                judged(&policy.probe, place.sha, &readings)
            }
        };
        asked.at = Some(now);
        count(policy, asked, heard);
    }
    dispatches
}

/// Counts an answer.
fn count(policy: &Verification, asked: &mut Asked, heard: Heard) {
    let outcome = match (heard.outcome, policy.no_data) {
        (Outcome::Inconclusive, NoData::Success) => Outcome::Success,
        (Outcome::Inconclusive, NoData::Failure) => Outcome::Failure,
        (outcome, _) => outcome,
    };
    match outcome {
        Outcome::Success => asked.successes += 1,
        Outcome::Failure => {
            asked.successes = 0;
            asked.failures += 1;
        }
        Outcome::Inconclusive => {}
    }
    asked.heard = Some(heard);
}

/// Goes on with a workflow verification; the number of the try that must be dispatched.
fn trial(
    policy: &Verification,
    asked: &mut Asked,
    workflow: &WorkflowFile,
    index: usize,
    place: &Place<'_>,
    facts: &Facts,
    now: Timestamp,
) -> Option<u32> {
    if asked.passed(policy) || asked.failed(policy) {
        return None;
    }
    let Some(trial) = &asked.run else {
        asked.run = Some(Trial { attempt: 1, since: now, standing: TrialStanding::Dispatching });
        return Some(1);
    };
    let (attempt, since) = (trial.attempt, trial.since);
    match trial.standing {
        TrialStanding::Dispatching => None,
        TrialStanding::Finding => {
            let key = trial_key(place.key, index, attempt);
            if let Some(Ok(Some(run))) = facts.run_by_key(workflow, &key, since) {
                run_seen(policy, asked, run, now);
            } else if since.plus(FIND_FOR) <= now {
                over(policy, asked, Outcome::Inconclusive, "no run was found for it", now);
            }
            None
        }
        TrialStanding::Running { run } => {
            match facts.get(&Need::Run { run }) {
                Some(Fact::Run(run)) => {
                    asked.at = Some(now);
                    run_seen(policy, asked, run, now);
                }
                Some(Fact::Absent(Absence::NotFound)) => {
                    over(policy, asked, Outcome::Inconclusive, "its run was deleted", now);
                }
                Some(_) | None => {}
            }
            None
        }
        TrialStanding::Ended if asked.at.is_none_or(|at| at.plus(policy.every) <= now) => {
            asked.run = Some(Trial { attempt: attempt + 1, since: now, standing: TrialStanding::Dispatching });
            Some(attempt + 1)
        }
        TrialStanding::Ended => None,
    }
}

fn over(policy: &Verification, asked: &mut Asked, outcome: Outcome, says: &str, now: Timestamp) {
    if let Some(trial) = &mut asked.run {
        trial.standing = TrialStanding::Ended;
    }
    asked.at = Some(now);
    count(policy, asked, Heard { outcome, says: says.to_owned() });
}

/// Goes on after the run of a workflow verification was seen.
pub fn run_seen(policy: &Verification, asked: &mut Asked, run: &RunSnapshot, now: Timestamp) {
    let Some(trial) = asked.run.as_mut().filter(|trial| trial.standing != TrialStanding::Ended) else { return };
    trial.standing = TrialStanding::Running { run: run.id };
    match run.status {
        RunStatus::Queued | RunStatus::InProgress => {}
        RunStatus::Succeeded => over(policy, asked, Outcome::Success, "its run succeeded", now),
        RunStatus::Failed => over(policy, asked, Outcome::Failure, "its run failed", now),
        RunStatus::TimedOut => over(policy, asked, Outcome::Failure, "its run timed out", now),
        RunStatus::Cancelled => over(policy, asked, Outcome::Inconclusive, "its run was cancelled", now),
        RunStatus::Other => over(policy, asked, Outcome::Inconclusive, "its run ended without a result", now),
    }
}

/// Goes on after the dispatch of a workflow verification ended.
pub fn dispatched(policy: &Verification, asked: &mut Asked, ending: &Ending, now: Timestamp) {
    let Some(trial) = asked.run.as_mut().filter(|trial| trial.standing == TrialStanding::Dispatching) else { return };
    match ending {
        Ending::Done { id: Some(id), .. } => trial.standing = TrialStanding::Running { run: RunId(*id) },
        Ending::Done { id: None, .. } => trial.standing = TrialStanding::Finding,
        Ending::Refused { message } | Ending::Unknown { message } => {
            let says = format!("its workflow was not started: {message}");
            over(policy, asked, Outcome::Inconclusive, &says, now);
        }
        Ending::Superseded => over(policy, asked, Outcome::Inconclusive, "its workflow was not started", now),
    }
}

/// When a verification must be looked at next, whatever else happens.
pub fn wake_at(policies: &[Verification], asked: &[Asked], until: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let soon = now.plus(Span::seconds(1));
    let due = asks(policies, asked, until, now).filter_map(|(_, policy, asked)| {
        let again = asked.at.map_or(soon, |at| at.plus(policy.every).max(soon));
        match (&policy.probe, &asked.run) {
            _ if policy.dry_run && asked.failed(policy) => None,
            (Probe::Workflow { .. }, _) if asked.passed(policy) => None,
            // The outbox owns it: it reports however long it takes.
            (Probe::Workflow { .. }, Some(Trial { standing: TrialStanding::Dispatching, .. })) => None,
            (Probe::Workflow { .. }, Some(Trial { standing: TrialStanding::Finding, .. })) => {
                Some(now.plus(Span::seconds(15)))
            }
            (_, _) => Some(again),
        }
    });
    due.min()
}

fn heard(outcome: Outcome, says: impl Into<String>) -> Heard {
    Heard { outcome, says: says.into() }
}

/// What a check says; an error when it has not ended.
fn checked(name: &str, checks: Option<Result<&Vec<CheckState>, &Absence>>) -> Result<Heard, Heard> {
    let Some(Ok(checks)) = checks else {
        return Ok(heard(Outcome::Inconclusive, "GitHub did not say how the checks stand"));
    };
    let named: Vec<&CheckState> = checks.iter().filter(|check| check.name == name).collect();
    if named.is_empty() {
        return Ok(heard(Outcome::Inconclusive, "there is no such check on the commit"));
    }
    let any = |standing| named.iter().any(|check| check.standing == standing);
    if any(CheckStanding::Failure) {
        Ok(heard(Outcome::Failure, "the check failed"))
    } else if any(CheckStanding::Pending) {
        Err(heard(Outcome::Inconclusive, "the check has not ended"))
    } else if any(CheckStanding::Success) {
        Ok(heard(Outcome::Success, "the check succeeded"))
    } else {
        Ok(heard(Outcome::Inconclusive, "the check was skipped"))
    }
}

/// Judges readings by what the policy demands; `readings` answer [`questions`] in their order.
pub fn judged(probe: &Probe, sha: &Sha, readings: &[&Reading]) -> Heard {
    let Some(now) = readings.first() else { return heard(Outcome::Inconclusive, "it was not asked") };
    for reading in readings {
        if let Reading::Unasked { because } = reading {
            return heard(Outcome::Inconclusive, because.clone());
        }
    }
    match probe {
        Probe::Http { expect, json, latency_below, .. } => http(now, *expect, json.as_ref(), *latency_below),
        Probe::Live { .. } => live(now, sha),
        Probe::Prometheus { demand, .. } => match (now, readings.get(1)) {
            (Reading::Samples(series), None) => threshold(series, *demand),
            (Reading::Samples(series), Some(Reading::Samples(before))) => compared(series, before, *demand),
            (Reading::Unanswered { because }, _) | (_, Some(Reading::Unanswered { because })) => {
                heard(Outcome::Inconclusive, because.clone())
            }
            (_, _) => heard(Outcome::Inconclusive, "the answer holds no samples"),
        },
        Probe::Workflow { .. } | Probe::Check { .. } => heard(Outcome::Inconclusive, "it is not asked like this"),
    }
}

fn http(reading: &Reading, expect: u16, json: Option<&(String, String)>, latency_below: Option<Span>) -> Heard {
    let (status, took, value) = match reading {
        Reading::Response { status, took, value } => (*status, *took, value.as_deref()),
        // The service was asked and stayed silent: that is an answer.
        Reading::Unanswered { because } => return heard(Outcome::Failure, because.clone()),
        Reading::Samples(_) | Reading::Unasked { .. } => return heard(Outcome::Inconclusive, "it was no HTTP answer"),
    };
    if status != expect {
        return heard(Outcome::Failure, format!("answered {status}, not {expect}"));
    }
    if let Some((pointer, wanted)) = json
        && value != Some(wanted.as_str())
    {
        let found = value.map_or("nothing".to_owned(), |value| format!("`{value}`"));
        return heard(Outcome::Failure, format!("{pointer} is {found}, not `{wanted}`"));
    }
    if let Some(below) = latency_below
        && took >= below
    {
        return heard(Outcome::Failure, format!("took {} ms, not less than {} ms", took.0, below.0));
    }
    heard(Outcome::Success, format!("answered {status} in {} ms", took.0))
}

/// Whether what runs says that it is a commit: the whole hash, or a beginning of at least seven digits.
pub fn names_commit(said: &str, sha: &Sha) -> bool {
    let said = said.trim().to_ascii_lowercase();
    said.contains(sha.as_str()) || (said.len() >= 7 && sha.as_str().starts_with(&said))
}

fn live(reading: &Reading, sha: &Sha) -> Heard {
    match reading {
        Reading::Response { status: 200..=299, value: Some(said), .. } if names_commit(said, sha) => {
            heard(Outcome::Success, format!("runs {}", sha.short()))
        }
        Reading::Response { status: 200..=299, value: Some(said), .. } => {
            let said: String = said.chars().take(60).collect();
            heard(Outcome::Failure, format!("runs {}, not {}", code(&said), sha.short()))
        }
        Reading::Response { status: 200..=299, value: None, .. } => {
            heard(Outcome::Inconclusive, "it does not say what it runs")
        }
        Reading::Response { status, .. } => heard(Outcome::Inconclusive, format!("answered {status}")),
        Reading::Unanswered { because } => heard(Outcome::Failure, because.clone()),
        Reading::Samples(_) | Reading::Unasked { .. } => heard(Outcome::Inconclusive, "it was no HTTP answer"),
    }
}

fn threshold(series: &[Series], demand: Demand) -> Heard {
    let samples = series.iter().flat_map(|one| one.samples.iter().map(move |value| (one, *value)));
    let (bound, word, good): (f64, &str, fn(f64, f64) -> bool) = match demand {
        Demand::Below(bound) => (bound, "below", |value, bound| value < bound),
        Demand::Above(bound) => (bound, "above", |value, bound| value > bound),
        Demand::NotWorse { .. } => return heard(Outcome::Inconclusive, "there is nothing to compare it with"),
    };
    let mut none = true;
    for (one, value) in samples {
        none = false;
        if !good(value, bound) {
            let of = if one.labels.is_empty() || one.labels == "{}" {
                String::new()
            } else {
                format!(" for {}", one.labels)
            };
            return heard(Outcome::Failure, format!("{}{of} is not {word} {}", shown(value), shown(bound)));
        }
    }
    if none {
        return heard(Outcome::Inconclusive, "the query matches nothing");
    }
    heard(Outcome::Success, format!("every sample is {word} {}", shown(bound)))
}

fn mean(series: &[Series]) -> Option<f64> {
    let samples: Vec<f64> = series.iter().flat_map(|one| one.samples.iter().copied()).collect();
    (!samples.is_empty()).then(|| samples.iter().sum::<f64>() / samples.len() as f64)
}

/// Means against means: worse only when it is worse by more than the part *and* by more than the minimum effect size.
fn compared(now: &[Series], before: &[Series], demand: Demand) -> Heard {
    let Demand::NotWorse { worse, by, at_least } = demand else { return threshold(now, demand) };
    let (Some(now), Some(before)) = (mean(now), mean(before)) else {
        return heard(Outcome::Inconclusive, "there are no samples from now or from before the release");
    };
    let growth = match worse {
        Worse::Higher => now - before,
        Worse::Lower => before - now,
    };
    let says = format!("{} now, {} before the release", shown(now), shown(before));
    if growth > before.abs() * by && growth > at_least {
        heard(Outcome::Failure, format!("{says}: worse by more than {:.0} % and {}", by * 100.0, shown(at_least)))
    } else {
        heard(Outcome::Success, says)
    }
}

/// A number as people read it: four digits that count.
fn shown(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
