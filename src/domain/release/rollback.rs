//! What happens when a release fails: a hold, and the way back to what was good.
//!
//! Knows what was verified in an environment. Must never choose a commit that was not.

use super::block::hold;
use super::rollout::At;
use super::*;
use crate::domain::effect::Act;
use crate::domain::markdown::{code, text};
use crate::domain::policy::{OnFailure, Portion};

/// Whether something of a failed rollout may run in the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing was started.
    None,
    /// Something was.
    Possible,
    /// It cannot be told; a person must look before anything else is started.
    Unknown,
}

/// Whether an environment could go back after a release, judged before it starts and again when it fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Safety {
    /// What it would go back to; `None`: nothing is live there yet.
    pub target: Option<Live>,
    /// What speaks against going back without a person's word; whole sentences, plain text.
    pub against: Vec<String>,
}

impl Safety {
    /// Whether automation may go back.
    pub fn is_safe(&self) -> bool {
        self.target.is_some() && self.against.is_empty()
    }
}

/// Name of the artifact that a deployment of a commit needs, by the policy.
pub fn artifact_name(plan: &Plan, service: &ServiceName, sha: &Sha) -> Option<String> {
    let pattern = plan.pipeline.rollback.artifact.as_ref()?;
    Some(pattern.replace("{sha}", sha.as_str()).replace("{service}", service.as_str()))
}

/// Judges whether an environment could go back after a release.
pub fn safety(state: &PipelineState, release: &Release, stage: &Stage, now: Timestamp) -> Safety {
    let name = &stage.policy.name;
    let Some(target) = state.live(name).cloned() else {
        return Safety { target: None, against: vec!["Nothing is live there to go back to.".to_owned()] };
    };
    let mut against = Vec::new();
    let told = content::new_changes(state, release, name);
    for change in &told {
        if !change.irreversible.is_empty() {
            let what = change.irreversible.join(", ");
            let pull = change.pull;
            against.push(format!("Pull request {pull} changes {what}: an earlier commit does not take that back."));
        }
    }
    let known = stage.known.as_ref().filter(|known| known.target.as_ref().is_none_or(|sha| *sha == target.sha));
    let is_told = |path: &&String| told.iter().any(|change| change.irreversible.contains(path));
    let untold: Vec<&str> = known
        .and_then(|known| known.irreversible.as_ref())
        .into_iter()
        .flatten()
        .filter(|path| !is_told(path))
        .map(String::as_str)
        .collect();
    if !untold.is_empty() {
        let what = untold.join(", ");
        against.push(format!("What it brings changes {what}: an earlier commit does not take that back."));
    }
    if known.and_then(|known| known.artifact) == Some(false)
        && let Some(artifact) = artifact_name(&release.plan, &state.service, &target.sha)
    {
        against.push(format!("The artifact {artifact} of release {} is gone.", target.release));
    }
    if let Some(within) = release.plan.pipeline.rollback.within
        && target.at.plus(within) <= now
    {
        against.push(format!("Release {} went live more than {within} ago.", target.release));
    }
    Safety { target: Some(target), against }
}

/// Ends a rollout as failed: the environment is held, and brought back where the policy says so and something ran.
pub fn fail(state: &mut PipelineState, at: &At, why: String, damage: Damage, now: Timestamp, said: &mut Said) {
    let Some((release, stage)) = state.releases.get(&at.release).and_then(|r| Some((r, r.stage(&at.environment)?)))
    else {
        return;
    };
    let (is_rollback, plan, asked) = (release.is_rollback(), release.plan.clone(), release.asked.clone());
    let on_failure = stage.policy.on_failure;
    let safety = safety(state, release, stage, now);
    let culprit = match (is_rollback, damage) {
        (false, Damage::Possible) => {
            content::culprit(state, release, content::suspects(state, release, &at.environment))
        }
        (_, Damage::None | Damage::Possible | Damage::Unknown) => None,
    };
    // What takes the culprit back may run now and failed itself, or nobody can tell what runs: that nothing passes by.
    let mended = damage == Damage::Possible && block::may_be_mended_by(state, release, &at.environment);
    if mended || damage == Damage::Unknown {
        block::release_automation(state, &at.environment);
    }
    end(state, at, StagePhase::Failed { at: now, why: why.clone() });
    if let Some(stage) = state.stage_mut(at.release, &at.environment) {
        stage.untouched = damage == Damage::None;
    }
    said.notes.push(format!("release {} failed in {}: {why}", at.release, at.environment));
    let what =
        if is_rollback { format!("the rollback (release {})", at.release) } else { format!("release {}", at.release) };
    let mut reason = format!("{what} failed: {why}.");
    said.tell(asked.as_ref(), || format!("❌ Release {} failed in {}: {}.", at.release, at.environment, text(&why)));
    let goes_back = !is_rollback && damage == Damage::Possible && on_failure == OnFailure::Rollback;
    if goes_back && safety.target.is_some() && !safety.is_safe() {
        reason = format!("{reason} It is not rolled back by itself: {}", safety.against.join(" "));
    }
    hold(state, &at.environment, reason.clone(), culprit.as_ref().map(|suspect| suspect.pull), now);
    if let Some(suspect) = culprit.filter(|suspect| suspect.taken_back.is_none()) {
        prepare_revert(state, at, suspect.pull, &why, said);
    }
    if let (Some(to), true, true) = (safety.target.clone(), goes_back, safety.is_safe()) {
        begin(
            state,
            &at.environment,
            Going { to, from: Some(at.release), by: None, reason, plan, asked: None },
            now,
            said,
        );
    }
}

/// Ends a release in one environment, and with it what would have come after.
fn end(state: &mut PipelineState, at: &At, phase: StagePhase) {
    let Some(release) = state.releases.get_mut(&at.release) else { return };
    for stage in &mut release.stages {
        if stage.policy.name == at.environment {
            stage.phase = phase.clone();
            stage.conditions.clear();
        } else if matches!(stage.phase, StagePhase::Ahead) {
            stage.phase = StagePhase::NotReached;
        }
    }
}

/// Asks for a draft pull request that takes the likeliest culprit back; one a pull request, whatever else fails.
fn prepare_revert(state: &mut PipelineState, at: &At, pull: PullNumber, why: &str, said: &mut Said) {
    let (repo, service) = (state.repo.clone(), state.service.clone());
    let asked_before = state.releases.values().any(|r| r.revert.as_ref().is_some_and(|revert| revert.pull == pull));
    let Some(release) = state.releases.get_mut(&at.release).filter(|_| !asked_before) else { return };
    let title = release.changes.iter().find(|c| c.pull == pull).map_or_else(|| format!("#{pull}"), |c| c.title.clone());
    let body = format!(
        "Reverts {repo}#{pull}\n\nRelease {} of {} failed in {}: {why}. Of what it brought, #{pull} is the likeliest \
         culprit. Look before you merge: this was prepared, not decided.",
        at.release,
        code(service.as_str()),
        code(at.environment.as_str()),
        why = text(why),
    );
    release.revert = Some(Revert { pull, standing: RevertStanding::Asked });
    let act = Act::RevertPull { pull, title: format!("Revert \"{title}\""), body };
    said.acts.push((revert_key(&repo, &service, pull), act));
    said.notes.push(format!("a revert of #{pull} is prepared"));
}

/// Key of the pull request that takes another back.
pub fn revert_key(repo: &RepoName, service: &ServiceName, pull: PullNumber) -> EffectKey {
    EffectKey::new(format!("{repo}/{service}/revert-{pull}"))
}

/// Goes on after a revert was prepared or refused.
pub fn revert_ended(state: &mut PipelineState, key: &EffectKey, ending: &crate::domain::effect::Ending) {
    use crate::domain::effect::Ending;
    let (repo, service) = (state.repo.clone(), state.service.clone());
    for revert in state.releases.values_mut().filter_map(|release| release.revert.as_mut()) {
        if *key != revert_key(&repo, &service, revert.pull) {
            continue;
        }
        revert.standing = match ending {
            Ending::Done { id: Some(id), .. } => RevertStanding::Opened { number: PullNumber(*id) },
            Ending::Done { id: None, .. } | Ending::Superseded => {
                RevertStanding::Refused { because: "GitHub did not name it".to_owned() }
            }
            Ending::Refused { message } | Ending::Unknown { message } => {
                RevertStanding::Refused { because: message.clone() }
            }
        };
    }
}

/// A way back.
#[derive(Clone, Debug)]
pub struct Going {
    pub to: Live,
    pub from: Option<ReleaseNumber>,
    pub by: Option<Login>,
    pub reason: String,
    pub plan: Plan,
    pub asked: Option<Origin>,
}

/// Makes the release that brings an environment back, all at once and without asking anybody: it is mitigation. It is
/// verified like every release.
pub fn begin(
    state: &mut PipelineState,
    name: &EnvironmentName,
    going: Going,
    now: Timestamp,
    said: &mut Said,
) -> Option<ReleaseNumber> {
    let policy = going.plan.pipeline.environment(name).map(|(_, policy)| policy.clone())?;
    state.last_number += 1;
    let number = ReleaseNumber(state.last_number);
    let policy = EnvironmentPolicy { approval: None, rollout: vec![Portion::ALL], bake: Span(0), ..policy };
    said.notes.push(format!(
        "release {number} takes {name} back to release {} ({})",
        going.to.release,
        going.to.sha.short()
    ));
    let purpose = Purpose::Rollback { from: going.from, to: going.to.release, by: going.by, reason: going.reason };
    let mut release = Release::new(number, going.to.sha.clone(), purpose, going.plan, now);
    release.asked = going.asked;
    release.stages = vec![Stage::new(policy, StagePhase::Waiting { since: now })];
    state.releases.insert(number, release);
    Some(number)
}

/// Which verified release a rollback goes to when nobody names one: where a rollback was to go that failed; what is live,
/// while a newer one is being rolled out or left something of itself behind; else the one before it.
pub fn default_target<'a>(state: &'a PipelineState, name: &EnvironmentName) -> Option<&'a Live> {
    let environment = state.environment(name)?;
    let live = environment.live.as_ref()?;
    if state.rolling(name).is_some() {
        return Some(live);
    }
    match left_behind(state, name).map(|release| &release.purpose) {
        Some(Purpose::Rollback { to, .. }) => environment.good.iter().rev().find(|good| good.release == *to),
        Some(Purpose::Delivery | Purpose::Requested { .. }) => Some(live),
        None => environment.good.iter().rev().find(|good| good.sha != live.sha),
    }
}

/// The release of which something may run in an environment although it is not what is live there: the last one that
/// began and ended without success after that went live.
pub fn left_behind<'a>(state: &'a PipelineState, name: &EnvironmentName) -> Option<&'a Release> {
    let live_since = state.live(name).map_or(Timestamp(0), |live| live.at);
    let ended = state.releases.values().filter_map(|release| {
        // A way back that was never started says where it was to go all the same.
        let ran = |stage: &&Stage| stage.deployment.is_some() && (release.is_rollback() || !stage.untouched);
        let stage = release.stage(name).filter(ran)?;
        match &stage.phase {
            StagePhase::Failed { at, .. } | StagePhase::Cancelled { at, .. } if *at >= live_since => {
                Some((*at, release))
            }
            StagePhase::Failed { .. }
            | StagePhase::Cancelled { .. }
            | StagePhase::Ahead
            | StagePhase::Waiting { .. }
            | StagePhase::Rolling(_)
            | StagePhase::Succeeded { .. }
            | StagePhase::Superseded { .. }
            | StagePhase::NotReached => None,
        }
    });
    ended.max_by_key(|(at, release)| (*at, release.number)).map(|(_, release)| release)
}

/// Stops the rollout under way. What is being made on GitHub just now cannot be taken back: the rollout then keeps its
/// environment until it stands, so that nothing of it starts later.
pub fn abort(
    state: &mut PipelineState,
    name: &EnvironmentName,
    why: &Stop,
    now: Timestamp,
    said: &mut Said,
) -> Option<ReleaseNumber> {
    let (release, stage) = state.rolling(name)?;
    let at = At { release: release.number, environment: name.clone() };
    match &stage.rollout()?.phase {
        StepPhase::Creating | StepPhase::Dispatching { .. } | StepPhase::Finding { .. } => {
            said.notes.push(format!("release {} will be stopped in {name}", at.release));
            if let Some(Stage { phase: StagePhase::Rolling(rollout), .. }) = state.stage_mut(at.release, name) {
                rollout.stopping.get_or_insert_with(|| why.clone());
            }
        }
        StepPhase::Running { .. }
        | StepPhase::Baking { .. }
        | StepPhase::Between { .. }
        | StepPhase::Undecided { .. } => {
            stop(state, &at, why, now, said);
        }
    }
    Some(at.release)
}

/// Ends a rollout before its time, and cancels its run.
pub fn stop(state: &mut PipelineState, at: &At, why: &Stop, now: Timestamp, said: &mut Said) {
    let (repo, service) = (state.repo.clone(), state.service.clone());
    let Some((release, stage)) = state.releases.get(&at.release).and_then(|r| Some((r, r.stage(&at.environment)?)))
    else {
        return;
    };
    let asked = release.asked.clone();
    if let Some(Rollout {
        step,
        phase: StepPhase::Running { run, .. } | StepPhase::Baking { run: Some(run), .. },
        ..
    }) = stage.rollout()
    {
        let key = dispatch_key(&repo, &service, at.release, &at.environment, *step);
        said.acts.push((EffectKey::new(format!("{key}/cancel")), Act::CancelRun { run: *run }));
    }
    let words = match why {
        Stop::RolledBack { by } => format!("{by} rolled it back"),
        Stop::Cancelled { by } => format!("{by} cancelled it"),
        Stop::Superseded { by } => format!("release {by} took its place"),
    };
    let phase = match why {
        Stop::RolledBack { .. } => StagePhase::Failed { at: now, why: words.clone() },
        Stop::Cancelled { by } => StagePhase::Cancelled { at: now, by: by.clone() },
        Stop::Superseded { by } => StagePhase::Superseded { by: *by },
    };
    end(state, at, phase);
    said.tell(asked.as_ref(), || format!("Release {} was stopped in {}: {words}.", at.release, at.environment));
    said.notes.push(format!("release {} was stopped in {}: {words}", at.release, at.environment));
}
