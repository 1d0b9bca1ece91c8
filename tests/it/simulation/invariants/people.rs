//! What people do: only what they did and were allowed to counts, once, and for what they meant.
//!
//! Judges by comments, pressed buttons, closed issues and sent reports. Must never ask the code that obeys.

use super::super::answers::permission;
use super::super::scene::Scene;
use super::{
    OVERRIDE_ONCE, OVERRIDE_REVIEWED, PEOPLE_DID_IT, PEOPLE_END_HOLDS, PLAN_CHANGES_NOTHING, REPORTS_MATCH, SKEW_MAX,
    Turned, Word, brought, means, same_stage, stages, taken_back, words,
};
use plimsoll::domain::chatops::Verb;
use plimsoll::domain::event::{Event, Signal};
use plimsoll::domain::facts::Permission;
use plimsoll::domain::ids::*;
use plimsoll::domain::policy::GateName;
use plimsoll::domain::release::breakglass::issue_key;
use plimsoll::domain::release::{Block, BlockKind, Override, Owner, Purpose, Said, StagePhase, advance};

pub fn committed(scene: &mut Scene, turned: &Turned<'_>) {
    what_has_no_power_changes_nothing(scene, turned);
    blocks_end_as_they_may(scene, turned);
    people_did_it(scene, turned);
    overrides_are_real(scene, turned);
}

/// Plans, buttons of other commits and reports of others: the state is as if only the time had passed.
fn what_has_no_power_changes_nothing(scene: &mut Scene, turned: &Turned<'_>) {
    let Some(rules) =
        turned.heard.events.iter().map(|(_, event)| powerless(scene, turned, event)).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let Some(rule) = rules.first() else { return };
    let mut expected = turned.before.clone();
    advance::settle(&mut expected, turned.at, &mut Said::default());
    expected.commands = turned.after.commands.clone();
    let mut after = turned.after.clone();
    for (number, release) in &mut after.releases {
        // What a button came to is shown.
        if let Some(known) = expected.releases.get(number) {
            release.last_word = known.last_word.clone();
        }
    }
    // The sabotage of a later turn is no change of this one.
    if scene.sabotage.is_none_or(|sabotage| sabotage == super::super::scene::Sabotage::ReportUnchecked)
        && expected != after
    {
        scene.broke(rule, format!("{:?} changed {expected:?}\n    to {after:?}", turned.heard.events));
    }
}

/// The rule by which an event must change nothing; `None`: it may.
fn powerless(scene: &Scene, turned: &Turned<'_>, event: &Event) -> Option<&'static str> {
    match event {
        Event::Signal(Signal::Commanded { command, .. }) => {
            matches!(command.verb, Verb::Plan(_)).then_some(PLAN_CHANGES_NOTHING)
        }
        Event::Reported { report } => {
            let genuine = scene.record.reports.iter().any(|sent| sent.genuine && sent.report == **report);
            (!genuine).then_some(REPORTS_MATCH)
        }
        Event::ActionRequested { action, head_sha, .. } => {
            let mut parts = action.split('.');
            let (word, number) = (parts.next()?, parts.next()?.parse::<u64>().ok()?);
            let stands_on = match word {
                "reviewed" => turned.before.overrides.iter().find(|one| one.number == number).map(|one| &one.sha),
                _ => turned.before.releases.get(&ReleaseNumber(number)).map(|release| &release.sha),
            };
            (stands_on != Some(head_sha)).then_some(super::BUTTONS_BOUND)
        }
        _ => None,
    }
}

fn may(scene: &Scene, by: &str, least: Permission) -> bool {
    permission(scene.model.permission_of(by)) >= least
}

/// Whether somebody with that permission said something since.
fn said(scene: &Scene, turned: &Turned<'_>, since: i64, least: Permission, what: impl Fn(&Word) -> bool) -> bool {
    // Releases that were made in this turn are known only afterwards.
    words(scene, turned.after, since).iter().any(|word| may(scene, &word.by, least) && what(word))
}

fn blocks_end_as_they_may(scene: &mut Scene, turned: &Turned<'_>) {
    let mut stories = Vec::new();
    for block in &turned.before.blocks {
        let same = |other: &&Block| {
            (other.kind, &other.environment, &other.owner) == (block.kind, &block.environment, &block.owner)
        };
        let over = block.until.is_some_and(|until| until <= turned.at);
        if over || turned.after.blocks.iter().any(|other| same(&other)) {
            continue;
        }
        let since = block.since.0 - SKEW_MAX - 1_000;
        let ended = said(scene, turned, since, Permission::Write, |word| match (&word.verb, block.kind) {
            (Verb::Resume { environment, .. }, BlockKind::Hold) => {
                environment.is_none() || block.environment.is_none() || *environment == block.environment
            }
            (Verb::Retry { environment, .. }, BlockKind::Hold) if block.owner == Owner::Automation => {
                environment.is_none() || *environment == block.environment
            }
            (Verb::Unlock { environment, .. }, BlockKind::Lock) => {
                block.environment.as_ref() == Some(environment) && may_end(scene, block, &word.by)
            }
            (Verb::Unfreeze { environment }, BlockKind::Freeze) => {
                *environment == block.environment && may_end(scene, block, &word.by)
            }
            (_, _) => false,
        });
        let pull_ended = match &block.owner {
            Owner::Pull { pull, .. } => was_closed(scene, pull.0, since),
            Owner::Person(_) | Owner::Automation => false,
        };
        if !(ended || pull_ended || is_mended(scene, turned, block)) {
            stories.push(format!("{}: {block:?}", turned.before.service));
        }
    }
    for story in stories {
        scene.broke(PEOPLE_END_HOLDS, story);
    }
}

fn may_end(scene: &Scene, block: &Block, by: &str) -> bool {
    match &block.owner {
        Owner::Person(owner) | Owner::Pull { by: owner, .. } => {
            *owner == Login::new(by) || may(scene, by, Permission::Maintain)
        }
        Owner::Automation => true,
    }
}

/// Whether a pull request was merged or closed at some time since.
fn was_closed(scene: &Scene, pull: u64, since: i64) -> bool {
    let versions = scene.record.versions.get(&pull).map(Vec::as_slice).unwrap_or_default();
    let now = scene.model.pulls.get(&pull).is_some_and(|pull| !pull.is_open());
    now || versions.iter().any(|(at, version)| !version.open && *at >= since)
}

/// Whether a release that reverts the culprit of a hold went live in this turn.
fn is_mended(scene: &Scene, turned: &Turned<'_>, block: &Block) -> bool {
    let Some(culprit) = block.culprit.filter(|_| block.owner == Owner::Automation) else { return false };
    stages(turned.after).any(|(release, stage)| {
        let here = block.environment.as_ref() == Some(&stage.policy.name);
        let was = same_stage(turned.before, release, stage).map(|stage| &stage.phase);
        let now = matches!(stage.phase, StagePhase::Succeeded { .. });
        let new = now && !matches!(was, Some(StagePhase::Succeeded { .. }));
        here && new
            && taken_back(scene, &brought(scene, turned.before, release, &stage.policy.name), |_| true)
                .contains(&culprit.0)
    })
}

/// Blocks, rollbacks, cancellations, approvals and releases that are said to be somebody's.
fn people_did_it(scene: &mut Scene, turned: &Turned<'_>) {
    let mut stories = Vec::new();
    for block in turned.after.blocks.iter().filter(|block| block.number > turned.before.last_block) {
        let by = match &block.owner {
            Owner::Automation => continue,
            Owner::Person(by) | Owner::Pull { by, .. } => by,
        };
        let put = said(scene, turned, 0, Permission::Write, |word| {
            let meant = match (&word.verb, block.kind) {
                (Verb::Lock { environment, .. }, BlockKind::Lock) => block.environment.as_ref() == Some(environment),
                (Verb::Hold { environment, .. }, BlockKind::Hold) => *environment == block.environment,
                (Verb::Freeze { environment, .. }, BlockKind::Freeze) => *environment == block.environment,
                (_, _) => false,
            };
            meant && *by == Login::new(word.by.as_str())
        });
        if !put {
            stories.push(format!("{block:?}"));
        }
    }
    for (release, stage) in stages(turned.after) {
        let was = same_stage(turned.before, release, stage);
        let name = &stage.policy.name;
        if was.is_none() {
            let asked = match &release.purpose {
                Purpose::Rollback { by: Some(by), .. } => Some((by, "rollback")),
                Purpose::Requested { by, .. } => Some((by, "deploy")),
                Purpose::Delivery | Purpose::Rollback { by: None, .. } => None,
            };
            let asked = release.retried_by.as_ref().map(|by| (by, "retry")).or(asked);
            if let Some((by, what)) = asked
                && !said(scene, turned, 0, Permission::Write, |word| {
                    let meant = match &word.verb {
                        Verb::Rollback { environment, .. } => what == "rollback" && environment == name,
                        Verb::Deploy { environment, .. } | Verb::Promote { environment, .. } => {
                            what == "deploy" && environment == name
                        }
                        Verb::Retry { environment, .. } => {
                            what == "retry" && means(environment.as_ref(), &release.stages[0].policy.name)
                        }
                        _ => false,
                    };
                    meant && *by == Login::new(word.by.as_str())
                })
            {
                stories.push(format!("release {} in {name}: {what} by {by}", release.number));
            }
        }
        let new =
            |approval: &&plimsoll::domain::release::Approval| was.is_none_or(|was| !was.approvals.contains(approval));
        for approval in stage.approvals.iter().filter(new) {
            let given = said(scene, turned, 0, Permission::None, |word| {
                let sha = release.sha.as_str();
                let meant = match &word.verb {
                    Verb::Approve { environment, sha: named, .. } => {
                        environment == name && named.as_ref().is_none_or(|named| sha.starts_with(named.as_str()))
                    }
                    _ => false,
                };
                let bound = word.bound.as_ref().is_none_or(|bound| *bound == release.sha);
                meant && bound && approval.by == Login::new(word.by.as_str())
            });
            if !given {
                stories.push(format!("release {} in {name}: {approval:?}", release.number));
            }
        }
        if let (StagePhase::Cancelled { by, .. }, false) =
            (&stage.phase, matches!(was.map(|was| &was.phase), Some(StagePhase::Cancelled { .. })))
        {
            let cancelled = said(scene, turned, 0, Permission::Write, |word| match &word.verb {
                Verb::Cancel { environment, .. } => {
                    means(environment.as_ref(), name) && *by == Login::new(word.by.as_str())
                }
                _ => false,
            });
            if !cancelled {
                stories.push(format!("release {} in {name} was cancelled by {by}", release.number));
            }
        }
    }
    for story in stories {
        scene.broke(PEOPLE_DID_IT, story);
    }
}

/// Overrides of a gate that was overridden already and that nothing new kept since.
fn overridden_again<'a>(turned: &'a Turned<'_>) -> impl Iterator<Item = String> + 'a {
    let is_new = |one: &&Override| turned.before.overrides.iter().all(|known| known.number != one.number);
    turned.after.overrides.iter().filter(is_new).filter_map(|one| {
        let mut earlier = turned.after.overrides.iter().filter(|other| {
            other.number < one.number
                && (other.gate, other.release, &other.environment) == (one.gate, one.release, &one.environment)
        });
        let last = earlier.next_back()?;
        let kind = match one.gate {
            GateName::Lock => BlockKind::Lock,
            GateName::Hold => BlockKind::Hold,
            GateName::Freeze => BlockKind::Freeze,
            GateName::Order | GateName::Reverted | GateName::Window | GateName::Approval => {
                return Some(format!("{one:?} after {last:?}"));
            }
        };
        // What came after the first was not what its author saw. A block of this very turn may be over by its end.
        let mut blocks = turned.before.blocks.iter().chain(&turned.after.blocks);
        let newer = blocks.any(|block| {
            block.kind == kind && means(block.environment.as_ref(), &one.environment) && block.since >= last.at
        });
        (!newer).then(|| format!("{one:?} after {last:?}"))
    })
}

fn overrides_are_real(scene: &mut Scene, turned: &Turned<'_>) {
    let mut stories: Vec<(&'static str, String)> = Vec::new();
    for (release, stage) in stages(turned.after) {
        for gate in &stage.overrides {
            let of_it = |one: &&Override| {
                (one.gate, one.release, &one.environment) == (*gate, release.number, &stage.policy.name)
            };
            // A reviewed one may be forgotten when it is old.
            let known = turned.after.overrides.iter().filter(of_it).count();
            if known == 0 && !release.ended() {
                stories.push((OVERRIDE_ONCE, format!("release {}: {known} overrides of {gate:?}", release.number)));
            }
        }
    }
    stories.extend(overridden_again(turned).map(|story| (OVERRIDE_ONCE, story)));
    for known in &turned.after.overrides {
        let was = turned.before.overrides.iter().find(|one| one.number == known.number);
        let given = was.is_some()
            || said(scene, turned, 0, Permission::Maintain, |word| match &word.verb {
                Verb::Override { gate, environment, .. } => {
                    *gate == known.gate
                        && means(environment.as_ref(), &known.environment)
                        && known.by == Login::new(word.by.as_str())
                }
                _ => false,
            });
        if !given {
            stories.push((PEOPLE_DID_IT, format!("{known:?}")));
        }
        if let (Some((by, _)), true) = (&known.reviewed, was.is_none_or(|was| was.reviewed.is_none())) {
            let key = issue_key(&turned.after.repo, &turned.after.service, known.number);
            let closed = scene.record.closed.iter().any(|(of, who, _)| of == key.as_str() && who == by);
            let button = format!("reviewed.{}", known.number);
            let pressed = scene.record.presses.iter().any(|press| {
                press.action == button
                    && press.by == *by
                    && press.head_sha == known.sha
                    && press.service == turned.after.service
            });
            let entitled = known.by != *by && may(scene, by.as_str(), Permission::Write);
            if !(entitled && (closed || pressed)) {
                stories.push((OVERRIDE_REVIEWED, format!("{known:?}")));
            }
        }
    }
    for (rule, story) in stories {
        scene.broke(rule, story);
    }
}
