//! One event of a pipeline: what must be known for it, and what it changes.
//!
//! The door of this folder for `decide`. Knows nothing of how events come or where answers go.

use super::advance::{deliver, settle, take_back};
use super::command::{needs as command_needs, obey};
use super::content::{is_reachable, reachability};
use super::rollback::artifact_name;
use super::rollout::{self, Seen};
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::event::{Event, PipelineCommand, Signal};
use crate::domain::facts::{Absence, CheckStanding, Fact, Facts, Need, Permission, Standing};
use crate::domain::policy::Probe;
use crate::domain::policy::paths::irreversible_paths;
use crate::domain::reading::{Question, Reading};

/// How long what is shown beside a decision may be old while it can change.
const LOOK_AGAIN_AFTER: Span = Span::minutes(10);
/// How often what runs is compared with what was deployed.
const DRIFT_EVERY: Span = Span::minutes(10);

/// What must be known for an event, given what is known already.
pub fn needs(state: &PipelineState, event: &Event, facts: &Facts, now: Timestamp) -> Vec<Need> {
    match event {
        Event::Signal(Signal::ReleaseWanted { sha, plan, change }) => {
            if knows_change(state, change.pull) {
                return Vec::new();
            }
            placing_needs(state, sha, plan, facts)
        }
        Event::Signal(Signal::Commanded { command, plan }) => command_needs(state, command, plan, facts),
        Event::ActionRequested { action, head_sha, by } => {
            let Some(button) = button(state, action, head_sha) else { return Vec::new() };
            let mut needs = vec![Need::Permission { login: by.clone() }];
            if let Button::Command { release, verb } = button
                && let Some(known) = state.releases.get(&release)
            {
                let command = pressed(release, verb, by, facts, now);
                needs.extend(command_needs(state, &command, &known.plan, facts));
            }
            needs
        }
        Event::IssueClosed { key, by } if breakglass::of_issue(state, key).is_some() => {
            vec![Need::Permission { login: by.clone() }]
        }
        Event::Reported { report } => report::needs(state, report),
        Event::Look { .. } | Event::LookIfNewer { .. } => {
            let mut needs = rollout::needs(state, now);
            for unplaced in state.unplaced.iter().filter(|unplaced| unplaced.ask_at <= now) {
                needs.extend(placing_needs(state, &unplaced.sha, &unplaced.plan, facts));
            }
            needs.extend(card_needs(state, now));
            needs.extend(drift_due(state, now).into_iter().map(|(_, question)| Need::Reading { question }));
            needs
        }
        Event::RunChanged { .. }
        | Event::EffectEnded { .. }
        | Event::PullChanged { .. }
        | Event::CommentCreated { .. }
        | Event::ReviewChanged { .. }
        | Event::RecheckRequested { .. }
        | Event::Pushed { .. }
        | Event::AccessChanged { .. }
        | Event::GroupRequested { .. }
        | Event::GroupDestroyed { .. }
        | Event::LeftQueue { .. }
        | Event::ProtectionRequested { .. }
        | Event::IssueClosed { .. }
        | Event::Signal(
            Signal::PolicyWanted { .. }
            | Signal::PolicyReady
            | Signal::CommandAnswered { .. }
            | Signal::ReleaseMoved { .. }
            | Signal::GroupWanted { .. }
            | Signal::GroupJudged { .. }
            | Signal::HoldsChanged { .. }
            | Signal::PullEnded { .. }
            | Signal::ProtectionAsked { .. },
        ) => Vec::new(),
    }
}

/// Changes the state as the event demands, then starts whatever may start.
pub fn apply(state: &mut PipelineState, event: &Event, facts: &Facts, now: Timestamp, said: &mut Said) {
    // What ran out before this event no longer counts for it.
    block::expire(state, now, said);
    match event {
        Event::Signal(Signal::ReleaseWanted { sha, change, plan }) => {
            wanted(state, sha, change, plan, facts, now, said)
        }
        Event::Signal(Signal::Commanded { command, plan }) => obey(state, command, plan, facts, now, said),
        Event::Signal(Signal::PullEnded { pull }) => block::pull_ended(state, *pull, said),
        Event::Signal(Signal::ProtectionAsked { run, environment, sha, inputless, alone }) => protection::asked(
            state,
            Protection {
                run: *run,
                environment: environment.clone(),
                sha: sha.clone(),
                inputless: *inputless,
                alone: *alone,
                asked_at: now,
                reports: 0,
                said: String::new(),
            },
        ),
        Event::ActionRequested { action, head_sha, by } => press(state, action, head_sha, by, facts, now, said),
        Event::IssueClosed { key, by } => {
            if let Some(number) = breakglass::of_issue(state, key).map(|known| known.number) {
                breakglass::review(state, number, by, permission(facts, by), now, said);
            }
        }
        Event::Reported { report } => report::heard(state, report, facts, now, said),
        Event::RunChanged { run } => rollout::run_seen(state, run, Seen::Told, now, said),
        Event::EffectEnded { key, ending } => {
            rollout::effect_ended(state, key, ending, now, said);
            rollback::revert_ended(state, key, ending);
            breakglass::issue_ended(state, key, ending);
        }
        Event::Look { .. } | Event::LookIfNewer { .. } => {
            place_again(state, facts, now, said);
            look(state, facts, now, said);
        }
        Event::PullChanged { .. }
        | Event::CommentCreated { .. }
        | Event::ReviewChanged { .. }
        | Event::RecheckRequested { .. }
        | Event::Pushed { .. }
        | Event::AccessChanged { .. }
        | Event::GroupRequested { .. }
        | Event::GroupDestroyed { .. }
        | Event::LeftQueue { .. }
        | Event::ProtectionRequested { .. }
        | Event::Signal(
            Signal::PolicyWanted { .. }
            | Signal::PolicyReady
            | Signal::CommandAnswered { .. }
            | Signal::ReleaseMoved { .. }
            | Signal::GroupWanted { .. }
            | Signal::GroupJudged { .. }
            | Signal::HoldsChanged { .. },
        ) => {}
    }
    settle(state, now, said);
}

fn knows_change(state: &PipelineState, pull: PullNumber) -> bool {
    state.releases.values().any(|r| matches!(r.purpose, Purpose::Delivery) && r.changes.iter().any(|c| c.pull == pull))
}

/// What must be known to place a merged commit among the releases.
fn placing_needs(state: &PipelineState, sha: &Sha, plan: &Plan, facts: &Facts) -> Vec<Need> {
    let newest = since_newest(state, sha);
    let contained = newest.as_ref().is_some_and(|need| is_contained(need, facts));
    let before = earlier(state).filter(|_| contained).map(|release| since(release, sha));
    let failed = advance::blamed(state).map(|(_, release)| since(release, sha));
    [reachability(sha, plan)].into_iter().chain(newest).chain(before).chain(failed).collect()
}

/// How the newest release stands to a merged commit.
fn since_newest(state: &PipelineState, sha: &Sha) -> Option<Need> {
    Some(since(state.newest_forward()?, sha))
}

/// How a release stands to a merged commit. Seen from the merge, which most often comes after the release, there is no
/// difference that GitHub would have to compute.
fn since(release: &Release, sha: &Sha) -> Need {
    Need::Comparison { base: sha.to_string(), head: release.sha.to_string() }
}

/// Whether a release contains the commit from which it is seen.
fn is_contained(need: &Need, facts: &Facts) -> bool {
    match facts.get(need) {
        Some(Fact::Comparison(found)) => matches!(found.standing, Standing::Ahead | Standing::Identical),
        Some(_) | None => false,
    }
}

/// Whether the head of a comparison lies in its base.
fn is_within(head: Standing) -> bool {
    matches!(head, Standing::Behind | Standing::Identical)
}

/// The releases before the newest that may bring a merge of which nobody told: under way, or live somewhere. Oldest
/// first.
fn earlier(state: &PipelineState) -> impl Iterator<Item = &Release> {
    let newest = state.newest_forward().map(|release| release.number);
    let place = |live: &Live| content::delivery_of(state, state.releases.get(&live.release)?);
    let live: BTreeSet<ReleaseNumber> =
        state.environments.iter().filter_map(|e| e.live.as_ref()).filter_map(place).collect();
    let deliveries = state.releases.values().filter(|release| matches!(release.purpose, Purpose::Delivery));
    deliveries.filter(move |r| Some(r.number) < newest && (!r.ended() || live.contains(&r.number)))
}

fn wanted(
    state: &mut PipelineState,
    sha: &Sha,
    change: &Change,
    plan: &Plan,
    facts: &Facts,
    now: Timestamp,
    said: &mut Said,
) {
    if knows_change(state, change.pull) {
        return;
    }
    let answered = |need: Need| matches!(facts.get(&need), Some(Fact::Comparison(_)));
    if !answered(reachability(sha, plan)) || !since_newest(state, sha).is_none_or(answered) {
        let (sha, change, plan) = (sha.clone(), change.clone(), plan.clone());
        return place_later(state, Unplaced { sha, change, plan, tries: 0, ask_at: now }, facts, now, said);
    }
    if !is_reachable(sha, plan, facts) {
        said.notes.push(format!("{} of #{} is not on {}: not released", sha.short(), change.pull, plan.default_branch));
        return;
    }
    let contained = since_newest(state, sha).is_some_and(|need| is_contained(&need, facts));
    let newest = state.newest_forward().map(|r| r.number).filter(|_| contained);
    // What failed may have had it too: then somebody else is to blame, and nobody passes the hold by it.
    let blamed = |counts: &dyn Fn(&Need) -> bool| -> Vec<EnvironmentName> {
        let found = advance::blamed(state).filter(|(_, failed)| counts(&since(failed, sha)));
        found.map(|(name, _)| name.clone()).collect()
    };
    let Some(newest) = newest else {
        let cleared = blamed(&|need| is_contained(need, facts));
        deliver(state, sha.clone(), change.clone(), plan.clone(), now, said);
        cleared.iter().for_each(|name| block::clear_culprit(state, name, change.pull));
        return;
    };
    // A later merge was heard of first: its release brings this change too, and of several the first that does.
    let first = earlier(state).find(|release| is_contained(&since(release, sha), facts)).map_or(newest, |r| r.number);
    let known = |need: &Need| matches!(facts.get(need), Some(Fact::Comparison(_)));
    let cleared = blamed(&|need| !known(need) || is_contained(need, facts));
    take_back(state, change, said);
    cleared.iter().for_each(|name| block::clear_culprit(state, name, change.pull));
    advance::brings_more(state, first, change.clone(), now, said);
}

/// How often GitHub is asked where a merge stands: after 1 min, then twice as long each time, some four hours in all.
/// What it knows and does not tell is asked for at the last distance from then on.
const PLACING_TRIES: u32 = 8;
/// How many merges may wait for that; the oldest are given up first.
const UNPLACED_MAX: usize = 100;

/// Keeps a merge that GitHub did not place: releasing it blindly could bring an older commit over a newer one.
fn place_later(state: &mut PipelineState, mut unplaced: Unplaced, facts: &Facts, now: Timestamp, said: &mut Said) {
    let pull = unplaced.change.pull;
    let given_up = |lost: &Unplaced| {
        format!("#{} is not released: GitHub does not say where {} stands", lost.change.pull, lost.sha.short())
    };
    // What was placed before it in this very turn changed the question.
    let unasked = since_newest(state, &unplaced.sha).is_some_and(|need| !facts.has(&need));
    if unasked && unplaced.tries > 0 {
        unplaced.ask_at = now;
        state.unplaced.push(unplaced);
        return;
    }
    let absent = |need: Need| matches!(facts.get(&need), Some(Fact::Absent(Absence::NotFound)));
    let gone =
        absent(reachability(&unplaced.sha, &unplaced.plan)) || since_newest(state, &unplaced.sha).is_some_and(absent);
    if gone && unplaced.tries >= PLACING_TRIES {
        said.notes.push(given_up(&unplaced));
        return;
    }
    said.notes.push(format!("#{pull} waits: GitHub did not say where {} stands", unplaced.sha.short()));
    unplaced.ask_at = now.plus(Span::minutes(1 << unplaced.tries.min(PLACING_TRIES - 1)));
    unplaced.tries = unplaced.tries.saturating_add(1);
    state.unplaced.retain(|other| other.change.pull != pull);
    state.unplaced.push(unplaced);
    if state.unplaced.len() > UNPLACED_MAX {
        said.notes.push(given_up(&state.unplaced.remove(0)));
    }
}

fn place_again(state: &mut PipelineState, facts: &Facts, now: Timestamp, said: &mut Said) {
    let (due, rest): (Vec<Unplaced>, Vec<Unplaced>) =
        state.unplaced.drain(..).partition(|unplaced| unplaced.ask_at <= now);
    state.unplaced = rest;
    for unplaced in due {
        let before = state.unplaced.len();
        wanted(state, &unplaced.sha, &unplaced.change, &unplaced.plan, facts, now, said);
        // It was put back as new: it keeps the count of its tries.
        if state.unplaced.len() > before {
            state.unplaced.pop();
            place_later(state, unplaced, facts, now, said);
        }
    }
}

// ---------------------------------------------------------------- buttons

/// What a button of ours means.
enum Button {
    Command {
        release: ReleaseNumber,
        verb: Verb,
    },
    /// Somebody looked at an override.
    Reviewed {
        number: u64,
    },
}

/// Reads a button's identifier: `approve.7.1` is the second stage of release 7. It counts only for the commit that the
/// check run is on. `None`: it is none of ours, or of something that is gone.
fn button(state: &PipelineState, action: &str, head_sha: &Sha) -> Option<Button> {
    let mut parts = action.split('.');
    let (word, number) = (parts.next()?, parts.next()?.parse::<u64>().ok()?);
    if word == "reviewed" {
        let known = state.overrides.iter().find(|o| o.number == number && o.sha == *head_sha)?;
        return Some(Button::Reviewed { number: known.number });
    }
    let release = state.releases.get(&ReleaseNumber(number)).filter(|release| release.sha == *head_sha)?;
    let stage = release.stages.get(parts.next()?.parse::<usize>().ok()?)?;
    let environment = stage.policy.name.clone();
    let verb = match word {
        "approve" => Verb::Approve { environment, sha: Some(release.sha.to_string()), service: None },
        "rollback" => Verb::Rollback { environment, to: None, service: None, reason: None },
        "retry" => Verb::Retry { environment: Some(environment), service: None },
        "hold" => Verb::Hold { environment: Some(environment), service: None, lasts: None, reason: None },
        _ => return None,
    };
    Some(Button::Command { release: release.number, verb })
}

fn permission(facts: &Facts, login: &Login) -> Permission {
    match facts.permission(login) {
        Some(Ok(permission)) => *permission,
        Some(Err(_)) | None => Permission::None,
    }
}

/// A button as a command, written now: what binds it is the release that it stands on.
fn pressed(release: ReleaseNumber, verb: Verb, by: &Login, facts: &Facts, now: Timestamp) -> PipelineCommand {
    PipelineCommand {
        origin: Origin::Button { release },
        speculative: false,
        pull_open: false,
        by: by.clone(),
        permission: permission(facts, by),
        at: now,
        verb,
    }
}

fn press(
    state: &mut PipelineState,
    action: &str,
    head_sha: &Sha,
    by: &Login,
    facts: &Facts,
    now: Timestamp,
    said: &mut Said,
) {
    match button(state, action, head_sha) {
        None => said.notes.push(format!("{by} pressed a button of something that is gone")),
        Some(Button::Reviewed { number }) => {
            breakglass::review(state, number, by, permission(facts, by), now, said);
        }
        Some(Button::Command { release, verb }) => {
            let Some(known) = state.releases.get(&release) else { return };
            let plan = known.plan.clone();
            if let (Verb::Rollback { environment, .. }, false) = (&verb, may_go_back(state, known, &verb)) {
                let words = format!("⛔ Release {release} is neither live in {environment} nor on its way there.");
                said.notes.push(format!("{by} pressed a button of an earlier state"));
                if let Some(known) = state.releases.get_mut(&release) {
                    known.last_word = Some(words);
                }
                return;
            }
            let command = pressed(release, verb, by, facts, now);
            said.notes.push(format!("{by} pressed {action}"));
            obey(state, &command, &plan, facts, now, said);
        }
    }
}

/// A rollback's button is about its own release: only while that is what runs or what is being rolled out.
fn may_go_back(state: &PipelineState, release: &Release, verb: &Verb) -> bool {
    let Verb::Rollback { environment, .. } = verb else { return true };
    let rolls = state.rolling(environment).is_some_and(|(rolling, _)| rolling.number == release.number);
    let settled = state.rolling(environment).is_none() && rollback::left_behind(state, environment).is_none();
    rolls || (settled && state.live(environment).is_some_and(|live| live.release == release.number))
}

// ---------------------------------------------------------------- looking

/// Stages for which something should be shown, or judged, that was not looked up yet.
pub fn unknown(state: &PipelineState, now: Timestamp) -> impl Iterator<Item = (&Release, &Stage)> {
    state.releases.values().filter(|release| !release.is_rollback()).flat_map(move |release| {
        let wants = move |stage: &&Stage| match &stage.phase {
            StagePhase::Waiting { .. } => stage.policy.approval.is_some() || asks_of_live(state, release, stage),
            StagePhase::Rolling(_) => asks_of_target(release),
            StagePhase::Ahead
            | StagePhase::Succeeded { .. }
            | StagePhase::Failed { .. }
            | StagePhase::Cancelled { .. }
            | StagePhase::Superseded { .. }
            | StagePhase::NotReached => false,
        };
        let due = move |stage: &&Stage| look_again_at(state, release, stage).is_some_and(|at| at <= now);
        release.stages.iter().filter(wants).filter(due).map(move |stage| (release, stage))
    })
}

/// When what is shown of a stage must be looked up; `None`: it will not change.
fn look_again_at(state: &PipelineState, release: &Release, stage: &Stage) -> Option<Timestamp> {
    let live = state.live(&stage.policy.name).map(|live| &live.sha);
    let known = match &stage.known {
        // What was looked up for another target says nothing of this one.
        Some(known) if !asks_of_live(state, release, stage) || known.target.as_ref() == live => known,
        Some(_) | None => return Some(Timestamp(0)),
    };
    let pending = |checks: &Vec<CheckState>| checks.iter().any(|check| check.standing == CheckStanding::Pending);
    let unplaced = is_over_stray(state, release, stage) && known.contained.is_none();
    let changes = unplaced || needs_artifact(release) || known.checks.as_ref().is_some_and(pending);
    changes.then(|| known.at.plus(LOOK_AGAIN_AFTER))
}

/// When the clock must call for what is shown beside a decision.
pub fn next_card_look(state: &PipelineState) -> Option<Timestamp> {
    unknown(state, Timestamp(i64::MAX)).filter_map(|(release, stage)| look_again_at(state, release, stage)).min()
}

fn needs_artifact(release: &Release) -> bool {
    release.plan.pipeline.rollback.artifact.is_some()
}

/// Whether something must be known of what an environment would go back to.
fn asks_of_target(release: &Release) -> bool {
    needs_artifact(release) || !release.plan.pipeline.irreversible.is_empty()
}

/// Whether a release waits to be compared with a commit that somebody brought to its environment.
fn is_over_stray(state: &PipelineState, release: &Release, stage: &Stage) -> bool {
    matches!(stage.phase, StagePhase::Waiting { .. }) && content::stray(state, release, &stage.policy.name).is_some()
}

/// Whether something must be known of what runs in an environment, to go over it or back to it.
fn asks_of_live(state: &PipelineState, release: &Release, stage: &Stage) -> bool {
    asks_of_target(release) || is_over_stray(state, release, stage)
}

/// The artifact that the target of a stage's rollback needs.
fn target_artifact(state: &PipelineState, release: &Release, stage: &Stage) -> Option<Need> {
    let live = state.live(&stage.policy.name)?;
    artifact_name(&release.plan, &state.service, &live.sha).map(|name| Need::Artifact { name })
}

/// What changes between what is live, the target of a stage's rollback, and its release: also what no pull request told
/// of.
fn from_live(state: &PipelineState, release: &Release, stage: &Stage) -> Option<Need> {
    let live = state.live(&stage.policy.name)?;
    let named = !release.plan.pipeline.irreversible.is_empty();
    (named || is_over_stray(state, release, stage))
        .then(|| Need::Comparison { base: live.sha.to_string(), head: release.sha.to_string() })
}

fn card_needs(state: &PipelineState, now: Timestamp) -> Vec<Need> {
    unknown(state, now)
        .flat_map(|(release, stage)| {
            let checks = stage.policy.approval.as_ref().map(|_| Need::Checks { sha: release.sha.clone() });
            let of_live = target_artifact(state, release, stage).into_iter().chain(from_live(state, release, stage));
            checks.into_iter().chain(of_live)
        })
        .collect()
}

fn look(state: &mut PipelineState, facts: &Facts, now: Timestamp, said: &mut Said) {
    rollout::verified(state, facts, now, said);
    // What became known in this very turn is asked about in the next.
    let asked = |(release, stage): &(&Release, &Stage)| from_live(state, release, stage).is_none_or(|n| facts.has(&n));
    let wanted: Vec<(ReleaseNumber, EnvironmentName, Known)> = unknown(state, now)
        .filter(asked)
        .map(|(release, stage)| {
            let checks = match facts.checks(&release.sha) {
                Some(Ok(checks)) => Some(checks.clone()),
                Some(Err(_)) | None => None,
            };
            let artifact = match target_artifact(state, release, stage).and_then(|need| facts.get(&need)) {
                Some(Fact::Artifact(there)) => Some(*there),
                Some(_) | None => None,
            };
            let between = from_live(state, release, stage).and_then(|need| facts.get(&need));
            let irreversible = match between {
                Some(Fact::Comparison(found)) if !release.plan.pipeline.irreversible.is_empty() => {
                    let paths = irreversible_paths(&release.plan.pipeline, &found.files, &release.plan.paths);
                    // Of a list that was cut only what it shows is known.
                    (!paths.is_empty() || !found.files.cut).then_some(paths)
                }
                Some(_) | None => None,
            };
            let live = state.live(&stage.policy.name).map(|live| live.sha.clone());
            let target = live.filter(|_| asks_of_live(state, release, stage));
            let contained = match between {
                Some(Fact::Comparison(found)) => Some(is_within(found.standing)),
                // What was said of two commits stays true.
                Some(_) | None => stage.known.as_ref().filter(|k| k.target == target).and_then(|k| k.contained),
            };
            let contained = contained.filter(|_| is_over_stray(state, release, stage));
            let known = Known { at: now, checks, artifact, irreversible, target, contained };
            (release.number, stage.policy.name.clone(), known)
        })
        .collect();
    for (number, name, known) in wanted {
        if let Some(stage) = state.stage_mut(number, &name) {
            stage.known = Some(known);
        }
    }
    drift(state, facts, now, said);
    for (need, fact) in facts.iter() {
        match (need, fact) {
            (Need::Run { .. }, Fact::Run(run)) => rollout::run_seen(state, run, Seen::LookedAt, now, said),
            (Need::Run { run }, Fact::Absent(Absence::NotFound)) => rollout::run_gone(state, *run, now, said),
            (Need::RunByKey { .. }, Fact::RunByKey(Some(run))) => {
                rollout::run_seen(state, run, Seen::Found, now, said);
            }
            (Need::RunByKey { key, .. }, Fact::RunByKey(None) | Fact::Absent(_)) => {
                rollout::not_found(state, key, now, said);
            }
            // Nothing to see, or not yet; the clock calls again.
            (_, _) => {}
        }
    }
}

// ---------------------------------------------------------------- drift

/// The question that tells what an environment runs, where the policy of what is live has one.
fn live_question(state: &PipelineState, environment: &Environment) -> Option<Question> {
    let live = environment.live.as_ref()?;
    let stage = state.releases.get(&live.release)?.stage(&environment.name)?;
    stage.policy.verify.iter().find_map(|verification| match &verification.probe {
        Probe::Live { .. } => verify::questions(&verification.probe, live.at, live.at).into_iter().next(),
        Probe::Http { .. } | Probe::Prometheus { .. } | Probe::Workflow { .. } | Probe::Check { .. } => None,
    })
}

fn drift_due(state: &PipelineState, now: Timestamp) -> Vec<(EnvironmentName, Question)> {
    let idle = state.environments.iter().filter(|environment| state.rolling(&environment.name).is_none());
    idle.filter(|environment| next_look(environment).is_some_and(|at| at <= now))
        .filter_map(|environment| Some((environment.name.clone(), live_question(state, environment)?)))
        .collect()
}

fn next_look(environment: &Environment) -> Option<Timestamp> {
    let live = environment.live.as_ref()?;
    let last = environment.drift.as_ref().map_or(live.at, |drift| drift.asked_at);
    Some(last.plus(DRIFT_EVERY))
}

/// When what runs must be compared with what was deployed.
pub fn next_drift_look(state: &PipelineState) -> Option<Timestamp> {
    let idle = state.environments.iter().filter(|environment| state.rolling(&environment.name).is_none());
    idle.filter(|environment| live_question(state, environment).is_some()).filter_map(next_look).min()
}

fn drift(state: &mut PipelineState, facts: &Facts, now: Timestamp, said: &mut Said) {
    for (name, question) in drift_due(state, now) {
        let environment = state.environment_mut(&name);
        let Some(live) = environment.live.clone() else { continue };
        let Some(Ok(reading)) = facts.reading(&question) else { continue };
        let runs = match reading {
            Reading::Response { status: 200..=299, value: Some(said), .. }
                if !verify::names_commit(said, &live.sha) =>
            {
                Some(said.chars().take(60).collect::<String>())
            }
            Reading::Response { .. } | Reading::Samples(_) | Reading::Unanswered { .. } | Reading::Unasked { .. } => {
                None
            }
        };
        if let Some(runs) = &runs {
            let new = environment.drift.as_ref().is_none_or(|drift| drift.runs.as_ref() != Some(runs));
            if new {
                said.notes.push(format!("{name} says that it runs {runs}, not {}", live.sha.short()));
            }
        }
        environment.drift = Some(Drift { asked_at: now, runs });
    }
}
