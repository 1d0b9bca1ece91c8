//! The release card: content, risk and safety of a release beside the decision that somebody must take.
//!
//! One picture for the check run on the candidate, the answer to `why`, and the API. Knows what was decided and looked
//! up. Must never judge anything: what is not known is shown as not known.

use super::release::{brief, sign};
use super::why::TraceCondition;
use crate::domain::effect::{CheckAction, CheckConclusion, CheckContent, Content, Target};
use crate::domain::event::{Change, StageStanding};
use crate::domain::facts::CheckStanding;
use crate::domain::ids::*;
use crate::domain::markdown::{clip, code, text};
use crate::domain::policy::{Band, GateName, OnFailure, Portion};
use crate::domain::release::gate::{Condition, approvals_wanted, approvers, bake};
use crate::domain::release::rollback::{Safety, default_target, safety};
use crate::domain::release::verify::{DryRun, Outcome};
use crate::domain::release::*;
use crate::domain::risk::ReleaseRisk;
use serde::{Serialize, Serializer};
use std::fmt::Write;

/// How many pull requests are told one by one.
const CHANGES_SHOWN: usize = 40;
/// Of one title, in characters.
const TITLE_CHARS: usize = 120;
/// Below GitHub's limit for a check run's summary, in characters; what is longer is cut at a line.
const SUMMARY_CHARS_MAX: usize = 60_000;

/// A release in the environment where it stands now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Card<'a> {
    pub service: &'a ServiceName,
    pub release: ReleaseNumber,
    pub sha: &'a Sha,
    pub environment: &'a EnvironmentName,
    pub standing: StageStanding,
    /// One sentence, Markdown.
    pub says: String,
    /// What it brings over what is live there, oldest release first.
    pub changes: Vec<&'a Change>,
    /// Probability that at least one of the changes needs a fix, a revert or a rollback, with its band; `None`: of a part
    /// of them nobody knows.
    #[serde(serialize_with = "risk_as_data")]
    pub risk: Option<(f64, Band)>,
    /// How that number comes about, and how much of it is known.
    pub composed: ReleaseRisk,
    /// Whether the environment could go back afterwards.
    pub rollback: Safety,
    /// Every condition of its gate; empty when it is at none.
    #[serde(serialize_with = "conditions_as_data")]
    pub conditions: &'a [Condition],
    /// What was looked up besides: the checks of its commit.
    pub known: Option<&'a Known>,
    /// What happens when the gate opens, one line a step.
    pub then: Vec<String>,
    /// What verifications that decide nothing would have said of its newest rollout there.
    pub dry_runs: &'a [DryRun],
    /// Whether a failure is taken back where that does no harm.
    pub on_failure: OnFailure,
}

fn risk_as_data<S: Serializer>(risk: &Option<(f64, Band)>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Risk {
        probability: f64,
        band: Band,
    }
    risk.map(|(probability, band)| Risk { probability, band }).serialize(serializer)
}

/// As an answer to `why` has them.
fn conditions_as_data<S: Serializer>(conditions: &[Condition], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(conditions.iter().map(TraceCondition::from))
}

/// The stage that a person would ask about: the first that has not succeeded, else the last.
pub fn focus(release: &Release) -> Option<&Stage> {
    let past = |stage: &&Stage| !matches!(stage.phase, StagePhase::Succeeded { .. });
    release.stages.iter().find(past).or(release.stages.last())
}

/// The card of a release.
pub fn card<'a>(state: &'a PipelineState, release: &'a Release, stage: &'a Stage) -> Card<'a> {
    let environment = &stage.policy.name;
    let standing = brief(state, release).stages.into_iter().find(|brief| brief.environment == *environment);
    let (standing, says) = standing.map_or((StageStanding::Ahead, String::new()), |brief| (brief.standing, brief.text));
    // Its age is judged as of the moment when it was looked up: a picture must not change with nobody touching it.
    let at = match (&stage.known, &stage.phase) {
        (Some(known), _) => known.at,
        (None, StagePhase::Waiting { since }) => *since,
        (None, _) => release.created_at,
    };
    let changes = content::changes(state, release, environment);
    Card {
        service: &state.service,
        release: release.number,
        sha: &release.sha,
        environment,
        standing,
        says,
        composed: content::together(&changes),
        changes,
        risk: content::risk(state, release, environment),
        rollback: safety(state, release, stage, at),
        conditions: &stage.conditions,
        known: stage.known.as_ref(),
        then: then(state, release, stage),
        dry_runs: &stage.dry_runs,
        on_failure: stage.policy.on_failure,
    }
}

fn then(state: &PipelineState, release: &Release, stage: &Stage) -> Vec<String> {
    let policy = &stage.policy;
    let name = code(policy.name.as_str());
    let portions: Vec<String> = policy.rollout.iter().map(|portion| text(&portion.to_string())).collect();
    let mut steps = match portions.as_slice() {
        [] | [_] => vec![format!("{} goes to {name} at once.", code(release.sha.short()))],
        many => {
            vec![format!("{} goes to {name} in {} steps: {}.", code(release.sha.short()), many.len(), many.join(", "))]
        }
    };
    let bake = bake(state, release, stage);
    if bake.0 > 0 {
        steps.push(format!("Each step must stay well for {bake}."));
    }
    let asked: Vec<String> = policy.verify.iter().filter(|v| !v.dry_run).map(|v| code(&v.name)).collect();
    if !asked.is_empty() {
        steps.push(format!("Each step is verified by {}.", asked.join(", ")));
    }
    let next = release.stages.iter().skip_while(|other| other.policy.name != policy.name).nth(1);
    if let Some(next) = next {
        steps.push(format!("Then it goes on to {}.", code(next.policy.name.as_str())));
    }
    steps
}

/// The card in Markdown.
pub fn markdown(state: &PipelineState, card: &Card<'_>) -> String {
    let mut out = String::new();
    let name = code(card.environment.as_str());
    let says = sentence(&card.says);
    let _ = writeln!(out, "{} **{name}**: {says}\n", sign(card.standing));
    blocks_and_words(&mut out, state, card);
    content_table(&mut out, card);
    risk(&mut out, card);
    rollback(&mut out, state, card);
    checks(&mut out, card);
    dry_runs(&mut out, state, card);
    conditions(&mut out, card);
    if matches!(card.standing, StageStanding::AwaitingApproval | StageStanding::Held | StageStanding::Waiting) {
        let _ = writeln!(out, "### What happens then\n");
        for step in &card.then {
            let _ = writeln!(out, "- {step}");
        }
    }
    cut(out.trim_end(), SUMMARY_CHARS_MAX)
}

fn sentence(words: &str) -> String {
    let ends = words.ends_with(['.', '!', '?', ')']);
    let mut chars = words.chars();
    let first = chars.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}{}", chars.as_str(), if ends || words.is_empty() { "" } else { "." })
}

/// The first lines of a card that fit into so many characters, with a word when there was more.
pub(super) fn cut(out: &str, chars_max: usize) -> String {
    if out.chars().count() <= chars_max {
        return out.to_owned();
    }
    let kept: String = out.chars().take(chars_max).collect();
    let at = kept.rfind('\n').unwrap_or(kept.len());
    format!("{}\n\n(cut: there is more than fits here)", &kept[..at])
}

fn blocks_and_words(out: &mut String, state: &PipelineState, card: &Card<'_>) {
    if let Some(release) = state.releases.get(&card.release) {
        if let Some(word) = &release.last_word {
            let _ = writeln!(out, "> {}\n", word.replace('\n', "\n> "));
        }
        if let Purpose::Requested { by, reason } = &release.purpose {
            let reason = reason.as_ref().map_or(String::new(), |reason| format!(": {}", text(reason)));
            let _ = writeln!(out, "{} asked for it{reason}.\n", code(by.as_str()));
        }
    }
}

fn content_table(out: &mut String, card: &Card<'_>) {
    let count = card.changes.len();
    if count == 0 {
        let _ = writeln!(out, "### Content\n\nNo pull request is known that it brings.\n");
        return;
    }
    let _ = writeln!(out, "### Content: {count} pull request{}\n", if count == 1 { "" } else { "s" });
    out.push_str("| Pull request | By | Risk | Closes |\n|---|---|---|---|\n");
    for change in card.changes.iter().rev().take(CHANGES_SHOWN) {
        let risk =
            change.risk.map_or("unknown".to_owned(), |(p, band)| format!("{} ({:.0} %)", band.word(), p * 100.0));
        let issues: Vec<String> = change.issues.iter().map(|issue| format!("#{issue}")).collect();
        let title = text(&clip(&change.title, TITLE_CHARS));
        let by = code(change.author.as_str()).replace('|', "\\|");
        let _ = writeln!(out, "| #{} {title} | {by} | {risk} | {} |", change.pull, issues.join(", "));
    }
    if count > CHANGES_SHOWN {
        let _ = writeln!(out, "| and {} older ones | | | |", count - CHANGES_SHOWN);
    }
    out.push('\n');
}

fn risk(out: &mut String, card: &Card<'_>) {
    let head = match card.risk {
        Some((probability, band)) => format!("{} ({:.0} %)", band.word(), probability * 100.0),
        None => "unknown".to_owned(),
    };
    let _ = writeln!(out, "### Risk: {head}\n\n{}\n", card.composed.sentence());
    let mut worst: Vec<&&Change> = card.changes.iter().filter(|change| !change.drivers.is_empty()).collect();
    worst.sort_by(|a, b| b.risk.map_or(0.0, |(p, _)| p).total_cmp(&a.risk.map_or(0.0, |(p, _)| p)));
    for change in worst.iter().take(3) {
        let _ = writeln!(out, "- #{}: {}", change.pull, change.drivers.join("; "));
    }
    if !worst.is_empty() {
        out.push('\n');
    }
}

fn rollback(out: &mut String, state: &PipelineState, card: &Card<'_>) {
    let suspects = matches!(card.standing, StageStanding::Failed | StageStanding::Undecided)
        .then(|| state.releases.get(&card.release))
        .flatten()
        .map(|release| content::suspects(state, release, card.environment))
        .unwrap_or_default();
    if !suspects.is_empty() {
        let _ = writeln!(out, "### Suspects, likeliest first\n");
        for suspect in suspects.iter().take(5) {
            let _ = writeln!(out, "1. #{}: {}", suspect.pull, suspect.because);
        }
        out.push('\n');
    }
    if let Some(revert) = state.releases.get(&card.release).and_then(|release| release.revert.as_ref()) {
        let _ = match &revert.standing {
            RevertStanding::Asked => writeln!(out, "A draft that reverts #{} is being prepared.\n", revert.pull),
            RevertStanding::Opened { number } => {
                writeln!(out, "#{number} is a draft that reverts #{}; look at it before you merge it.\n", revert.pull)
            }
            RevertStanding::Refused { because } => {
                writeln!(out, "#{} does not revert by itself: {}.\n", revert.pull, text(because.trim_end_matches('.')))
            }
        };
    }
    let safe = &card.rollback;
    match &safe.target {
        _ if matches!(card.standing, StageStanding::Failed) => {}
        None => {
            let _ = writeln!(
                out,
                "### Rollback: nothing to go back to\n\nNothing is live in {} yet.\n",
                code(card.environment.as_str())
            );
        }
        Some(target) if target.release == card.release => {}
        Some(target) => {
            let to = format!("release {} ({})", target.release, code(target.sha.short()));
            if safe.is_safe() && card.on_failure == OnFailure::Hold {
                let back = code(&format!("/plimsoll rollback {}", card.environment));
                let _ =
                    writeln!(out, "### Rollback: by a person\n\nOn failure it is held; {back} goes back to {to}.\n");
            } else if safe.is_safe() {
                let _ = writeln!(out, "### Rollback: ready\n\nOn failure it goes back to {to} by itself.\n");
            } else {
                let _ = writeln!(
                    out,
                    "### Rollback: only by a person\n\nOn failure it is held and does not go back to {to} by itself:\n"
                );
                for against in &safe.against {
                    let _ = writeln!(out, "- {}", text(against));
                }
                out.push('\n');
            }
        }
    }
}

fn checks(out: &mut String, card: &Card<'_>) {
    let Some(Some(checks)) = card.known.map(|known| known.checks.as_ref()) else { return };
    let count = |wanted: CheckStanding| checks.iter().filter(|check| check.standing == wanted).count();
    let (good, bad, open) =
        (count(CheckStanding::Success), count(CheckStanding::Failure), count(CheckStanding::Pending));
    if checks.is_empty() {
        let _ = writeln!(out, "### Checks: none\n\nNo check ran on {}.\n", code(card.sha.short()));
        return;
    }
    let _ = writeln!(out, "### Checks: {good} good, {bad} failed, {open} not ended\n");
    for check in checks.iter().filter(|check| check.standing != CheckStanding::Success).take(20) {
        let word = match check.standing {
            CheckStanding::Pending => "has not ended",
            CheckStanding::Failure => "failed",
            CheckStanding::Neutral => "was skipped",
            CheckStanding::Success => "succeeded",
        };
        let _ = writeln!(out, "- {} {word}", code(&check.name));
    }
    out.push('\n');
}

fn dry_runs(out: &mut String, state: &PipelineState, card: &Card<'_>) {
    if card.dry_runs.is_empty() {
        return;
    }
    let stage = state.releases.get(&card.release).and_then(|release| release.stage(card.environment));
    let steps: &[Portion] = stage.map_or(&[], |stage| &stage.policy.rollout);
    let _ = writeln!(out, "### Dry runs, which decide nothing\n");
    for run in card.dry_runs {
        let sign = match run.outcome {
            Outcome::Success => "✅",
            Outcome::Failure => "❌",
            Outcome::Inconclusive => "🕓",
        };
        let at = steps.get(run.step).filter(|_| steps.len() > 1);
        let at = at.map_or(String::new(), |portion| format!(" at {}", text(&portion.to_string())));
        let _ = writeln!(out, "- {sign} {} {}{at}: {}", code(&run.name), run.outcome.would(), text(&run.says));
    }
    out.push('\n');
}

fn conditions(out: &mut String, card: &Card<'_>) {
    if card.conditions.is_empty() {
        return;
    }
    let _ = writeln!(out, "### Conditions\n");
    for condition in card.conditions {
        let sign = if condition.met { "✅" } else { "❌" };
        let _ = writeln!(out, "- {sign} **{}**: {}", condition.gate.word(), condition.says);
    }
    out.push('\n');
}

// ---------------------------------------------------------------- check runs

/// Name of the check run that carries the card.
pub fn release_check(service: &ServiceName) -> String {
    format!("plimsoll/release ({service})")
}

/// Name of the check run that is red while an override awaits its review.
pub fn override_check(service: &ServiceName) -> String {
    format!("plimsoll/override ({service})")
}

/// The check runs of a pipeline: a card on each commit whose release wants a person's eye, and broken gates.
pub fn views(state: &PipelineState) -> Vec<(Target, Content)> {
    let mut views: Vec<(Target, Content)> = Vec::new();
    // The newest release of a commit speaks for it.
    for release in state.releases.values().rev().filter(|release| is_watched(release)) {
        let Some(stage) = focus(release) else { continue };
        let target = Target::CheckRun { name: release_check(&state.service), head_sha: release.sha.clone() };
        if views.iter().any(|(known, _)| *known == target) {
            continue;
        }
        views.push((target, Content::Check(check(state, release, stage))));
    }
    for sha in state.overrides.iter().map(|known| &known.sha) {
        let target = Target::CheckRun { name: override_check(&state.service), head_sha: sha.clone() };
        if !views.iter().any(|(known, _)| *known == target) {
            views.push((target, Content::Check(override_content(state, sha))));
        }
    }
    views
}

/// Whether a release gets a card: somebody must or may decide on its way, or it went wrong. What goes straight through
/// has the deployment's own status, and each card costs writes. Once it is true it stays true.
fn is_watched(release: &Release) -> bool {
    let asks = |stage: &Stage| {
        let policy = &stage.policy;
        policy.approval.is_some() || !policy.windows.is_empty() || !policy.verify.is_empty() || policy.rollout.len() > 1
    };
    let wrong = |stage: &Stage| matches!(stage.phase, StagePhase::Failed { .. } | StagePhase::Cancelled { .. });
    let reached = |stage: &Stage| match &stage.phase {
        StagePhase::Ahead | StagePhase::NotReached => false,
        // It had a card only if it had waited itself, and not if the one before it was superseded.
        StagePhase::Superseded { .. } => stage.known.is_some() || stage.deployment.is_some(),
        StagePhase::Waiting { .. }
        | StagePhase::Rolling(_)
        | StagePhase::Succeeded { .. }
        | StagePhase::Failed { .. }
        | StagePhase::Cancelled { .. } => true,
    };
    !release.is_rollback() && release.stages.iter().any(|stage| wrong(stage) || (asks(stage) && reached(stage)))
}

fn check(state: &PipelineState, release: &Release, stage: &Stage) -> CheckContent {
    let card = card(state, release, stage);
    let waits = |gate: GateName| stage.conditions.iter().any(|c| c.gate == gate && !c.met);
    let conclusion = match card.standing {
        StageStanding::AwaitingApproval | StageStanding::Undecided => CheckConclusion::ActionRequired,
        StageStanding::Failed => CheckConclusion::Failure,
        StageStanding::Live => CheckConclusion::Success,
        // GitHub shows buttons on completed check runs only, so even what is going on is shown as completed.
        StageStanding::Ahead
        | StageStanding::Waiting
        | StageStanding::Held
        | StageStanding::Running
        | StageStanding::Superseded
        | StageStanding::Cancelled
        | StageStanding::NotReached => CheckConclusion::Neutral,
    };
    let place = release.stages.iter().position(|other| other.policy.name == stage.policy.name).unwrap_or_default();
    let name = &stage.policy.name;
    let button = |word: &str, label: &str, description: &str| CheckAction {
        label: label.to_owned(),
        description: description.to_owned(),
        identifier: format!("{word}.{}.{place}", release.number),
    };
    let approve = button("approve", "Approve", "Let exactly this commit begin");
    let back = button("rollback", "Roll back", "Bring back what was good, and hold");
    let retry = button("retry", "Retry", "Try this release once more");
    let hold = button("hold", "Hold", "Let nothing more begin here");
    let held = state.blocks.iter().any(|b| b.kind == BlockKind::Hold && b.environment.as_ref() == Some(name));
    let target = default_target(state, name).is_some();
    let mut actions = match card.standing {
        StageStanding::AwaitingApproval | StageStanding::Held | StageStanding::Waiting => {
            let wanted = waits(GateName::Approval);
            wanted.then_some(approve).into_iter().chain((!held).then_some(hold)).collect()
        }
        StageStanding::Running | StageStanding::Undecided => {
            target.then_some(back).into_iter().chain((!held).then_some(hold)).collect::<Vec<_>>()
        }
        StageStanding::Live if state.live(name).is_some_and(|live| live.release == release.number) => {
            target.then_some(back).into_iter().collect()
        }
        StageStanding::Failed | StageStanding::Cancelled
            if matches!(stage.phase, StagePhase::Failed { .. } | StagePhase::Cancelled { .. }) =>
        {
            vec![retry]
        }
        StageStanding::Live
        | StageStanding::Failed
        | StageStanding::Cancelled
        | StageStanding::Ahead
        | StageStanding::Superseded
        | StageStanding::NotReached => Vec::new(),
    };
    actions.truncate(3);
    CheckContent {
        conclusion,
        title: title(state, release, stage, &card),
        summary: markdown(state, &card),
        text: None,
        annotations: Vec::new(),
        actions,
        asked: 0,
    }
}

fn title(state: &PipelineState, release: &Release, stage: &Stage, card: &Card<'_>) -> String {
    let name = &stage.policy.name;
    let number = release.number;
    match card.standing {
        StageStanding::AwaitingApproval => {
            let wanted = approvals_wanted(state, release, stage);
            let given = approvers(state, release, stage).len();
            format!("Release {number} awaits approval for {name} ({given} of {wanted})")
        }
        StageStanding::Held => format!("Release {number} is kept from {name}"),
        StageStanding::Waiting | StageStanding::Ahead => format!("Release {number} waits for {name}"),
        StageStanding::Running => format!("Release {number} is being rolled out to {name}"),
        StageStanding::Undecided => format!("Release {number} is undecided in {name}"),
        StageStanding::Live => format!("Release {number} is live in {name}"),
        StageStanding::Failed => format!("Release {number} failed in {name}"),
        StageStanding::Cancelled => format!("Release {number} was cancelled in {name}"),
        StageStanding::Superseded => format!("Release {number} was superseded"),
        StageStanding::NotReached => format!("Release {number} ended before {name}"),
    }
}

fn override_content(state: &PipelineState, sha: &Sha) -> CheckContent {
    let all: Vec<&Override> = state.overrides.iter().filter(|known| known.sha == *sha).collect();
    let open: Vec<&&Override> = all.iter().filter(|known| known.reviewed.is_none()).collect();
    let lines: Vec<String> = all.iter().map(|known| override_line(known)).collect();
    let actions = open.iter().take(3).map(|known| CheckAction {
        label: if open.len() == 1 { "Reviewed".to_owned() } else { format!("Reviewed {}", known.number) },
        description: "I looked at it, and did not do it".to_owned(),
        identifier: format!("reviewed.{}", known.number),
    });
    let title = match open.len() {
        0 => "Every override was reviewed".to_owned(),
        1 => "An override awaits its review".to_owned(),
        many => format!("{many} overrides await their review"),
    };
    CheckContent {
        conclusion: if open.is_empty() { CheckConclusion::Success } else { CheckConclusion::Failure },
        title,
        summary: lines.join("\n"),
        text: None,
        annotations: Vec::new(),
        actions: actions.collect(),
        asked: 0,
    }
}

fn override_line(known: &Override) -> String {
    let reviewed = match &known.reviewed {
        Some((by, _)) => format!("Reviewed by {}.", code(by.as_str())),
        None => {
            let issue = known.issue.as_deref().and_then(super::link);
            let issue = issue.map_or(String::new(), |url| format!(" in [the issue]({url})"));
            format!("Nobody has reviewed it{issue}; {} cannot.", code(known.by.as_str()))
        }
    };
    format!(
        "- {} overrode {} of {} for release {}: {}. {reviewed}",
        code(known.by.as_str()),
        code(known.gate.word()),
        code(known.environment.as_str()),
        known.release,
        text(known.reason.trim_end_matches('.'))
    )
}
