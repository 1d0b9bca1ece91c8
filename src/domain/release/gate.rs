//! When a step may begin: every condition, met or not, with who can change it and how.
//!
//! Knows approvals, blocks, windows and freezes. Must never know how somebody became a member of a team, nor what time
//! it is: it is told.

use super::*;
use crate::domain::event::StageStanding;
use crate::domain::markdown::{code, text};
use crate::domain::policy::windows;
use crate::domain::policy::{Band, Requirement};

/// One condition of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub gate: GateName,
    pub met: bool,
    /// A whole sentence, Markdown; it reads the same until something changes.
    pub says: String,
    /// What would change it: a command as a person types it. `None`: nothing needs to, or only time can.
    pub next: Option<String>,
    /// Who may do that, Markdown.
    pub who: Option<String>,
    /// When time changes it, with the IANA zone to show that in.
    pub at: Option<(Timestamp, String)>,
}

impl Condition {
    fn met(gate: GateName, says: impl Into<String>) -> Self {
        Self { gate, met: true, says: says.into(), next: None, who: None, at: None }
    }

    fn unmet(gate: GateName, says: impl Into<String>) -> Self {
        Self { met: false, ..Self::met(gate, says) }
    }

    fn by(self, next: String, who: impl Into<String>) -> Self {
        Self { next: Some(next), who: Some(who.into()), ..self }
    }

    fn until(self, at: Option<Timestamp>, zone: &str) -> Self {
        Self { at: at.map(|at| (at, zone.to_owned())), ..self }
    }
}

const WRITERS: &str = "anybody with write permission";

/// Judges every condition of a release's next step in an environment, in the order in which they are told.
///
/// A rollback is mitigation: only its turn is asked for.
pub fn conditions(state: &PipelineState, release: &Release, stage: &Stage, now: Timestamp) -> Vec<Condition> {
    let mut conditions = vec![order(state, release, stage)];
    if release.is_rollback() {
        return conditions;
    }
    conditions.push(reverted(state, release, stage));
    conditions.push(blocks(state, release, stage, GateName::Lock, now));
    conditions.push(blocks(state, release, stage, GateName::Hold, now));
    conditions.push(freeze(state, release, stage, now));
    conditions.push(window(stage, now));
    conditions.push(approval(state, release, stage));
    for condition in &mut conditions {
        if !condition.met
            && stage.overrides.contains(&condition.gate)
            && !is_newer(state, release, stage, condition.gate)
        {
            *condition = Condition::met(condition.gate, format!("Overridden. {}", condition.says));
        }
    }
    conditions
}

/// Whether what closes a gate came after somebody overrode it: then it was not what they saw.
fn is_newer(state: &PipelineState, release: &Release, stage: &Stage, gate: GateName) -> bool {
    let name = &stage.policy.name;
    let mine = |o: &&Override| o.release == release.number && o.environment == *name && o.gate == gate;
    let Some(at) = state.overrides.iter().filter(mine).map(|o| o.at).max() else { return false };
    state.blocks.iter().any(|block| Some(block.kind) == kind_of(gate) && concerns(block, name) && block.since > at)
}

/// The blocks that close a gate; `None`: none do.
pub fn kind_of(gate: GateName) -> Option<BlockKind> {
    match gate {
        GateName::Lock => Some(BlockKind::Lock),
        GateName::Hold => Some(BlockKind::Hold),
        GateName::Freeze => Some(BlockKind::Freeze),
        GateName::Order | GateName::Reverted | GateName::Window | GateName::Approval => None,
    }
}

/// Whether nothing is in the way.
pub fn is_open(conditions: &[Condition]) -> bool {
    conditions.iter().all(|condition| condition.met)
}

/// What is in the way first, as a kind.
pub fn standing(conditions: &[Condition]) -> StageStanding {
    match conditions.iter().find(|condition| !condition.met).map(|condition| condition.gate) {
        None | Some(GateName::Order | GateName::Reverted) => StageStanding::Waiting,
        Some(GateName::Lock | GateName::Hold | GateName::Freeze | GateName::Window) => StageStanding::Held,
        Some(GateName::Approval) => StageStanding::AwaitingApproval,
    }
}

/// When time alone may change one of the conditions.
pub fn next_change(state: &PipelineState, stage: &Stage, now: Timestamp) -> Option<Timestamp> {
    let name = &stage.policy.name;
    let expiries = state.blocks.iter().filter(|block| concerns(block, name)).filter_map(|block| block.until);
    expiries
        .filter(|until| *until > now)
        .chain(windows::next_change(&stage.policy.windows, now))
        .chain(windows::next_freeze_change(&stage.policy.freezes, now))
        .min()
}

fn order(state: &PipelineState, release: &Release, stage: &Stage) -> Condition {
    let gate = GateName::Order;
    let name = &stage.policy.name;
    if let Some((busy, _)) = state.rolling(name).filter(|(busy, _)| busy.number != release.number) {
        let says = format!("It starts when release {} has ended in {}.", busy.number, code(name.as_str()));
        return Condition::unmet(gate, says);
    }
    if let Some((first, _)) = state.candidate(name).filter(|(first, _)| first.number != release.number)
        && matches!(stage.phase, StagePhase::Waiting { .. })
    {
        let many = release.plan.pipeline.max_changes.filter(|_| matches!(first.purpose, Purpose::Delivery));
        let because = match many {
            Some(max) => {
                format!(": together they would bring more than {max} pull requests, the policy's `max_changes`")
            }
            None => String::new(),
        };
        return Condition::unmet(gate, format!("It waits behind release {}{because}.", first.number));
    }
    if let (StagePhase::Waiting { .. }, Some(live), None) =
        (&stage.phase, content::stray(state, release, name), content::comes_after(state, release, stage))
    {
        return uncompared(release, stage, live);
    }
    match &stage.phase {
        StagePhase::Ahead => Condition::unmet(gate, "The environment before it comes first."),
        StagePhase::Waiting { .. }
        | StagePhase::Rolling(_)
        | StagePhase::Succeeded { .. }
        | StagePhase::Failed { .. }
        | StagePhase::Cancelled { .. }
        | StagePhase::Superseded { .. }
        | StagePhase::NotReached => Condition::met(gate, "It is this release's turn."),
    }
}

/// What a commit of no delivery runs over, or under, is not known yet.
fn uncompared(release: &Release, stage: &Stage, live: &Live) -> Condition {
    let (gate, name) = (GateName::Order, &stage.policy.name);
    let (runs, ours) = (code(live.sha.short()), code(release.sha.short()));
    let brought = format!("{runs}, which release {} brought to {}", live.release, code(name.as_str()));
    let asked = stage.known.as_ref().is_some_and(|known| known.target.as_ref() == Some(&live.sha));
    if !asked {
        return Condition::unmet(gate, format!("GitHub is asked whether {brought}, contains {ours}."));
    }
    let next = code(&format!("/plimsoll deploy {} to {name}", release.sha));
    let says = format!(
        "GitHub does not say whether {brought}, contains {ours}. It is asked every 10 minutes; {next} does not wait for that."
    );
    Condition::unmet(gate, says).by(next, WRITERS)
}

fn reverted(state: &PipelineState, release: &Release, stage: &Stage) -> Condition {
    let gate = GateName::Reverted;
    match content::taken_back(state, release, &stage.policy.name) {
        Some((change, by)) => Condition::unmet(
            gate,
            format!("#{change} was reverted by #{by}; a release that brings both takes its place."),
        ),
        None => Condition::met(gate, "Nothing that it brings was reverted since."),
    }
}

/// Whether a block is about an environment.
pub fn concerns(block: &Block, environment: &EnvironmentName) -> bool {
    block.environment.as_ref().is_none_or(|named| named == environment)
}

/// The blocks of one kind that keep a release from an environment now.
pub fn in_the_way<'a>(
    state: &'a PipelineState,
    release: &Release,
    environment: &EnvironmentName,
    kind: BlockKind,
    now: Timestamp,
) -> Vec<&'a Block> {
    let passes = |block: &Block| {
        block.culprit.is_some_and(|culprit| content::brings_revert_of(state, release, environment, culprit))
    };
    let blocks = state.blocks.iter().filter(|block| block.kind == kind && concerns(block, environment));
    blocks.filter(|block| block.until.is_none_or(|until| until > now) && !passes(block)).collect()
}

fn blocks(state: &PipelineState, release: &Release, stage: &Stage, gate: GateName, now: Timestamp) -> Condition {
    let name = &stage.policy.name;
    let kind = if gate == GateName::Lock { BlockKind::Lock } else { BlockKind::Hold };
    let shown = code(name.as_str());
    let found = in_the_way(state, release, name, kind, now);
    let word = if kind == BlockKind::Lock { "locked" } else { "held" };
    let Some(first) = found.first() else { return Condition::met(gate, format!("{shown} is not {word}.")) };
    let says: Vec<String> = found.iter().map(|block| block_in_words(block)).collect();
    let until = found.iter().map(|block| block.until).max_by_key(|until| until.map_or(i64::MAX, |at| at.0)).flatten();
    let (next, who) = match kind {
        BlockKind::Lock => (ending_command(first), owner_or_maintainers(&first.owner)),
        BlockKind::Hold | BlockKind::Freeze => (ending_command(first), WRITERS.to_owned()),
    };
    let says = format!("{shown} is {word}: {} {next} ends the {}.", says.join(" "), block::noun(kind));
    Condition::unmet(gate, says).by(next, who).until(until, "UTC")
}

/// A block with its owner and end, for instance `The database is being moved. (by ada, until Mon 2026-11-23 09:00 UTC)`.
pub fn block_in_words(block: &Block) -> String {
    let owner = match &block.owner {
        Owner::Automation => "Plimsoll".to_owned(),
        Owner::Person(login) => code(login.as_str()),
        Owner::Pull { pull, by } => format!("{} in #{pull}, until that is merged or closed", code(by.as_str())),
    };
    let until = block.until.map_or(String::new(), |until| format!(", until {}", windows::shown(until, "UTC")));
    format!("{} (by {owner}{until})", text(&block.reason))
}

fn owner_or_maintainers(owner: &Owner) -> String {
    match owner {
        Owner::Person(login) | Owner::Pull { by: login, .. } => {
            format!("{} or anybody with maintain permission", code(login.as_str()))
        }
        Owner::Automation => WRITERS.to_owned(),
    }
}

fn freeze(state: &PipelineState, release: &Release, stage: &Stage, now: Timestamp) -> Condition {
    let gate = GateName::Freeze;
    let name = &stage.policy.name;
    let shown = code(name.as_str());
    let found = in_the_way(state, release, name, BlockKind::Freeze, now);
    if let Some(first) = found.first() {
        let says: Vec<String> = found.iter().map(|block| block_in_words(block)).collect();
        let who = owner_or_maintainers(&first.owner);
        let next = ending_command(first);
        let condition =
            Condition::unmet(gate, format!("{shown} is frozen: {} {next} ends the freeze.", says.join(" ")));
        let last = found.iter().map(|block| block.until).max_by_key(|until| until.map_or(i64::MAX, |at| at.0));
        return condition.by(ending_command(first), who).until(last.flatten(), "UTC");
    }
    let band = content::risk(state, release, name).map(|(_, band)| band);
    match windows::frozen(&stage.policy.freezes, now, band) {
        Some(freeze) => {
            let ends = windows::shown(freeze.to, &freeze.zone);
            let pass = match (freeze.pass, band) {
                (Some(pass), Some(band)) => {
                    format!(" A release of {} risk or less may pass; this one's is {}.", pass.word(), band.word())
                }
                (Some(pass), None) => {
                    format!(" A release of {} risk or less may pass; this one's is not known.", pass.word())
                }
                (None, _) => String::new(),
            };
            let says = format!("{shown} is frozen until {ends}: {}.{pass}", text(&freeze.reason));
            Condition::unmet(gate, says)
                .by(override_command(gate, name), "anybody with maintain permission")
                .until(Some(freeze.to), &freeze.zone)
        }
        None => Condition::met(gate, format!("{shown} is not frozen.")),
    }
}

fn window(stage: &Stage, now: Timestamp) -> Condition {
    let gate = GateName::Window;
    let given = &stage.policy.windows;
    let (Some(first), false) = (given.first(), windows::is_open(given, now)) else {
        let says = if given.is_empty() { "Releases may go at any time." } else { "A release window is open." };
        return Condition::met(gate, says);
    };
    let opens = windows::next_change(given, now);
    let then = match opens {
        Some(at) => format!("the next one opens {}", windows::shown(at, &first.zone)),
        None => "none ever opens".to_owned(),
    };
    let texts: Vec<String> = given.iter().map(|window| code(&window.text)).collect();
    let says = format!("Outside the release windows ({}); {then}.", texts.join(", "));
    Condition::unmet(gate, says)
        .by(override_command(gate, &stage.policy.name), "anybody with maintain permission")
        .until(opens, &first.zone)
}

fn approval(state: &PipelineState, release: &Release, stage: &Stage) -> Condition {
    let gate = GateName::Approval;
    let name = &stage.policy.name;
    let Some(requirement) = &stage.policy.approval else {
        return Condition::met(gate, format!("{} needs no approval.", code(name.as_str())));
    };
    let wanted = approvals_wanted(state, release, stage);
    let given = approvers(state, release, stage);
    let names: Vec<String> = given.iter().map(|login| code(login.as_str())).collect();
    let sha = code(release.sha.short());
    if given.len() >= wanted {
        return Condition::met(gate, format!("{sha} is approved by {}.", names.join(", ")));
    }
    let why = if wanted > requirement.count as usize {
        let band = content::risk(state, release, name).map_or("unknown", |(_, band)| band.word());
        format!("; {wanted} because its risk is {band}")
    } else {
        String::new()
    };
    let by = if names.is_empty() { String::new() } else { format!(" by {}", names.join(", ")) };
    let says = format!(
        "Waits for approval of {sha} by {} ({} of {wanted} given{by}{why}): {}.",
        who_may(requirement),
        given.len(),
        approve_command(name)
    );
    let who = format!("{}, with no hand in the release", who_may(requirement));
    Condition::unmet(gate, says).by(approve_command(name), who)
}

/// The band that raises are judged by: a risk that nobody knows needs what the highest needs.
fn raising_band(state: &PipelineState, release: &Release, environment: &EnvironmentName) -> Band {
    content::risk(state, release, environment).map_or(Band::Critical, |(_, band)| band)
}

/// How many must approve a release in an environment, by its risk.
pub fn approvals_wanted(state: &PipelineState, release: &Release, stage: &Stage) -> usize {
    let Some(requirement) = &stage.policy.approval else { return 0 };
    if stage.policy.when_risk.is_empty() {
        return requirement.count as usize;
    }
    let band = raising_band(state, release, &stage.policy.name);
    let raised = stage.policy.when_risk.iter().filter(|raise| raise.from <= band).filter_map(|raise| raise.approvals);
    raised.chain([requirement.count]).max().unwrap_or(requirement.count) as usize
}

/// How long a step must stay well, by the release's risk.
pub fn bake(state: &PipelineState, release: &Release, stage: &Stage) -> Span {
    let policy = &stage.policy;
    if policy.when_risk.is_empty() || release.is_rollback() {
        return policy.bake;
    }
    let band = raising_band(state, release, &policy.name);
    let raised = policy.when_risk.iter().filter(|raise| raise.from <= band).filter_map(|raise| raise.bake);
    raised.chain([policy.bake]).max().unwrap_or(policy.bake)
}

/// Who has approved exactly this commit over exactly what is live, each once.
pub fn approvers<'a>(state: &PipelineState, release: &Release, stage: &'a Stage) -> Vec<&'a Login> {
    let live = state.live(&stage.policy.name).map(|live| &live.sha);
    let counts = |a: &&Approval| a.sha == release.sha && a.live.as_ref() == live;
    let mut by: Vec<&Login> = stage.approvals.iter().filter(counts).map(|a| &a.by).collect();
    by.sort();
    by.dedup();
    by
}

/// Says in words who may meet a requirement.
pub fn who_may(requirement: &Requirement) -> String {
    let mut who: Vec<String> =
        requirement.teams.iter().map(|team| format!("members of {}", code(team.as_str()))).collect();
    let users: Vec<String> = requirement.users.iter().map(|user| code(user.as_str())).collect();
    if !users.is_empty() {
        who.push(format!("{} (with write permission)", users.join(" or ")));
    }
    if who.is_empty() {
        return WRITERS.to_owned();
    }
    who.join(" or ")
}

/// The command that approves, as a person types it.
pub fn approve_command(environment: &EnvironmentName) -> String {
    code(&format!("/plimsoll approve {environment}"))
}

/// The command that ends holds, as a person types it.
pub fn resume_command(environment: &EnvironmentName) -> String {
    code(&format!("/plimsoll resume {environment}"))
}

/// The command that ends a block, as a person types it.
pub fn ending_command(block: &Block) -> String {
    let verb = match block.kind {
        BlockKind::Lock => "unlock",
        BlockKind::Hold => "resume",
        BlockKind::Freeze => "unfreeze",
    };
    match &block.environment {
        Some(environment) => code(&format!("/plimsoll {verb} {environment}")),
        None => code(&format!("/plimsoll {verb}")),
    }
}

fn override_command(gate: GateName, environment: &EnvironmentName) -> String {
    code(&format!("/plimsoll override {} {environment} --reason \"...\"", gate.word()))
}
