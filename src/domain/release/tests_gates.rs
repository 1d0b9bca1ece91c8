//! Gates, blocks, overrides and what people read about them.

use super::tests::*;
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::effect::{Act, Content, Target};
use crate::domain::event::{Event, Reverted};
use crate::domain::facts::RunStatus;
use crate::domain::policy::Portion;
use crate::domain::policy::{Band, Freeze, OnFailure, Raise, Requirement, Window};
use crate::domain::view;

/// A stage whose production a policy changes before anything is released.
fn with(change: impl FnOnce(&mut EnvironmentPolicy)) -> Stage1 {
    let mut stage = Stage1::new();
    change(&mut stage.plan.pipeline.environments[1]);
    stage
}

fn why(stage: &mut Stage1) -> String {
    stage.command("ada", Verb::Why { environment: production(), sha: None, service: None })
}

fn lock(lasts: Option<Span>) -> Verb {
    let reason = Some("The database is being moved.".to_owned());
    Verb::Lock { environment: production(), service: None, lasts, reason }
}

fn rolls(stage: &Stage1) -> Option<u64> {
    stage.state.rolling(&production()).map(|(release, _)| release.number.0)
}

fn risky(pull: u64, probability: f64) -> Change {
    Change { risk: Some((probability, Band::High)), ..change(pull, "ada") }
}

/// 2023-11-14 22:13:20 UTC is a Tuesday evening: the story's clock begins there.
fn office_hours() -> Vec<Window> {
    vec![Window {
        days: [true, true, true, true, true, false, false],
        from: 9 * 60,
        to: 16 * 60,
        zone: "Europe/Berlin".into(),
        text: "Mon-Fri 09:00-16:00 Europe/Berlin".into(),
    }]
}

#[test]
fn a_release_waits_for_its_window_and_starts_by_itself_when_it_opens() {
    let mut stage = with(|production| {
        production.approval = None;
        production.windows = office_hours();
    });
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    assert_eq!(rolls(&stage), None);
    insta::assert_snapshot!(why(&mut stage), @r#"
    ⏸️ Release 1 (`0000000`) in `production`: Outside the release windows (`Mon-Fri 09:00-16:00 Europe/Berlin`); the next one opens Wed 2023-11-15 09:00 Europe/Berlin.

    - ✅ **order**: It is this release's turn.
    - ✅ **reverted**: Nothing that it brings was reverted since.
    - ✅ **lock**: `production` is not locked.
    - ✅ **hold**: `production` is not held.
    - ✅ **freeze**: `production` is not frozen.
    - ❌ **window**: Outside the release windows (`Mon-Fri 09:00-16:00 Europe/Berlin`); the next one opens Wed 2023-11-15 09:00 Europe/Berlin. Changes Wed 09:00 Berlin, in 10 h.
    - ✅ **approval**: `production` needs no approval.

    Next: by itself Wed 09:00 Berlin, in 10 h; or `/plimsoll override window production --reason "..."`, by anybody with maintain permission.
    "#);
    stage.wait(Span::hours(12));
    assert_eq!(rolls(&stage), Some(1));
}

#[test]
fn a_freeze_lets_only_a_known_low_risk_pass() {
    let freeze = Freeze {
        from: Timestamp(0),
        to: Timestamp(1_700_100_000_000),
        reason: "holidays".into(),
        pass: Some(Band::Low),
        zone: "Europe/Berlin".into(),
    };
    let frozen = |production: &mut EnvironmentPolicy| {
        production.approval = None;
        production.freezes = vec![freeze];
    };
    let mut stage = with(frozen);
    let mut other = with(|production| production.freezes = stage.plan.pipeline.environments[1].freezes.clone());
    other.plan = stage.plan.clone();
    stage.merge_as(risky(7, 0.4)).run(RunStatus::Succeeded);
    insta::assert_snapshot!(why(&mut stage), @r#"
    ⏸️ Release 1 (`0000000`) in `production`: `production` is frozen until Thu 2023-11-16 03:00 Europe/Berlin: holidays. A release of low risk or less may pass; this one's is high.

    - ✅ **order**: It is this release's turn.
    - ✅ **reverted**: Nothing that it brings was reverted since.
    - ✅ **lock**: `production` is not locked.
    - ✅ **hold**: `production` is not held.
    - ❌ **freeze**: `production` is frozen until Thu 2023-11-16 03:00 Europe/Berlin: holidays. A release of low risk or less may pass; this one's is high. Changes Thu 03:00 Berlin, in 28 h.
    - ✅ **window**: Releases may go at any time.
    - ✅ **approval**: `production` needs no approval.

    Next: by itself Thu 03:00 Berlin, in 28 h; or `/plimsoll override freeze production --reason "..."`, by anybody with maintain permission.
    "#);
    other.merge_as(Change { risk: Some((0.05, Band::Low)), ..change(7, "ada") }).run(RunStatus::Succeeded);
    assert_eq!((rolls(&stage), rolls(&other)), (None, Some(1)));
}

#[test]
fn a_lock_runs_out_by_itself_and_what_waited_goes_on() {
    let mut stage = with(|production| production.approval = None);
    insta::assert_snapshot!(stage.command("grace", lock(Some(Span::hours(2)))), @"🔒 `production` is locked: The database is being moved. (by `grace`, until Wed 2023-11-15 00:13 UTC). A rollback may still start.");
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    assert_eq!(rolls(&stage), None);
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 1 (`0000000`) is live
    - `production`: nothing is live yet
      - ⏸️ release 1 (`0000000`): `production` is locked: The database is being moved. (by `grace`, until Wed 2023-11-15 00:13 UTC) `/plimsoll unlock production` ends the lock.
    - 🔒 `production` is locked: The database is being moved. (by `grace`, until Wed 2023-11-15 00:13 UTC)
    ");
    stage.wait(Span::hours(1));
    assert_eq!(rolls(&stage), None);
    stage.wait(Span::hours(1));
    assert_eq!(rolls(&stage), Some(1));
}

#[test]
fn blocks_of_different_owners_compose_and_the_last_to_end_lets_go() {
    let mut stage = with(|production| production.approval = None);
    stage.command("grace", lock(None));
    stage.command("ada", Verb::Hold { environment: None, service: None, lasts: None, reason: None });
    stage.command("linus", Verb::Freeze { environment: None, lasts: None, reason: Some("Audit.".into()) });
    stage.merge(7, "ada");
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: nothing is live yet
      - ⏸️ release 1 (`0000000`): `staging` is held: ada gave no reason. (by `ada` in #1, until that is merged or closed) `/plimsoll resume` ends the hold. `staging` is frozen: Audit. (by `linus`) `/plimsoll unfreeze` ends the freeze.
    - `production`: nothing is live yet
    - 🔒 `production` is locked: The database is being moved. (by `grace`)
    - ⏸️ every environment is held: ada gave no reason. (by `ada` in #1, until that is merged or closed)
    - ❄️ every environment is frozen: Audit. (by `linus`)
    ");
    insta::assert_snapshot!(
        stage.command("ada", Verb::Unlock { environment: production(), service: None }),
        @"⛔ @ada, only whoever put it or somebody with maintain permission may end it: The database is being moved. (by `grace`). Nothing was changed."
    );
    stage.command("marge", Verb::Unlock { environment: production(), service: None });
    insta::assert_snapshot!(stage.resume("ada"), @"⛔ Every environment is held: ada gave no reason. (by `ada` in #1, until that is merged or closed). `/plimsoll resume` ends that. Nothing was changed.");
    let all = Verb::Resume { environment: None, service: None };
    insta::assert_snapshot!(stage.command("ada", all), @"▶️ The hold of every environment is ended. It was: ada gave no reason. (by `ada` in #1, until that is merged or closed)");
    assert!(stage.state.rolling(&EnvironmentName::new("staging")).is_none());
    insta::assert_snapshot!(stage.command("linus", Verb::Unfreeze { environment: None }), @"▶️ The freeze of every environment is ended. It was: Audit. (by `linus`)");
    assert!(stage.state.rolling(&EnvironmentName::new("staging")).is_some());
}

#[test]
fn a_hold_ends_with_the_pull_request_that_put_it() {
    let mut stage = with(|production| production.approval = None);
    let hold = Verb::Hold { environment: Some(production()), service: None, lasts: None, reason: None };
    stage.command("ada", hold);
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    assert_eq!(rolls(&stage), None);
    stage.play(Event::Signal(crate::domain::event::Signal::PullEnded { pull: PullNumber(1) }));
    assert_eq!(rolls(&stage), Some(1));
}

#[test]
fn a_riskier_release_needs_more_approvals() {
    let mut stage = with(|production| {
        production.when_risk = vec![Raise { from: Band::High, approvals: Some(2), bake: None }];
    });
    stage.merge_as(risky(7, 0.4)).run(RunStatus::Succeeded);
    insta::assert_snapshot!(stage.approve("grace"), @"✅ grace approved release 1 (`0000000`) for `production`, 1 of 2. 1 more must approve.");
    assert_eq!(rolls(&stage), None);
    let requirement = stage.state.releases[&ReleaseNumber(1)].stages[1].policy.approval.clone();
    assert_eq!(requirement.map(|r: Requirement| r.count), Some(1));
}

#[test]
fn an_override_passes_one_gate_once_and_is_reviewed_by_somebody_else() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let override_it = |reason: &str| Verb::Override {
        gate: GateName::Approval,
        environment: None,
        service: None,
        reason: reason.into(),
    };
    insta::assert_snapshot!(stage.command("grace", override_it("fire in the shop")), @"⛔ @grace, only people with maintain permission may override a gate. Nothing was changed.");
    insta::assert_snapshot!(stage.command("marge", override_it("fire in the shop")), @"🚨 The gate `approval` of `production` is overridden for release 1 (`0000000`). An issue asks somebody else to review it; until then a check on that commit is red.");
    assert_eq!(rolls(&stage), Some(1));
    let issue = stage.said.acts.iter().find_map(|(_, act)| match act {
        Act::OpenIssue { title, body } => Some(format!("{title}\n---\n{body}")),
        _ => None,
    });
    insta::assert_snapshot!(issue.expect("an issue"), @r"
    Review: marge overrode the approval gate of production
    ---
    @marge overrode the gate `approval` of `production` for release 1 (`0000000`) of `api`.

    Reason: fire in the shop

    Somebody else looks at it now: close this issue, or press *Reviewed* on the check run `plimsoll/override (api)`. Until then that check is red. Whoever overrode the gate cannot review it.
    ");
    insta::assert_snapshot!(check(&stage, "plimsoll/override (api)"), @r"
    Failure: An override awaits its review
    [Reviewed: reviewed.1]

    - `marge` overrode `approval` of `production` for release 1: fire in the shop. Nobody has reviewed it; `marge` cannot.
    ");
    let reviewed = |stage: &mut Stage1, by: &str| {
        stage.play(Event::ActionRequested { action: "reviewed.1".into(), head_sha: sha(7), by: Login::new(by) });
        stage.state.overrides[0].reviewed.is_some()
    };
    assert!(!reviewed(&mut stage, "marge"), "not by herself");
    assert!(!reviewed(&mut stage, "mallory"), "not by a stranger");
    assert!(reviewed(&mut stage, "linus"));
    insta::assert_snapshot!(check(&stage, "plimsoll/override (api)"), @r"
    Success: Every override was reviewed


    - `marge` overrode `approval` of `production` for release 1: fire in the shop. Reviewed by `linus`.
    ");
}

/// A check run of the pipeline as people see it.
pub(super) fn check(stage: &Stage1, name: &str) -> String {
    let views = view::card::views(&stage.state);
    let found = views.into_iter().find_map(|(target, content)| match (target, content) {
        (Target::CheckRun { name: found, .. }, Content::Check(check)) if found == name => Some(check),
        _ => None,
    });
    let check = found.expect("a check run of this name");
    let actions: Vec<String> = check.actions.iter().map(|a| format!("[{}: {}]", a.label, a.identifier)).collect();
    format!("{:?}: {}\n{}\n\n{}", check.conclusion, check.title, actions.join(" "), check.summary)
}

#[test]
fn the_card_shows_content_risk_safety_and_what_happens() {
    let mut stage = with(|production| {
        production.rollout = vec![Portion::Percent(25), Portion::ALL];
        production.bake = Span::minutes(10);
    });
    let low = Change { risk: Some((0.05, Band::Low)), ..change(6, "ada") };
    stage.merge_as(low).run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.run(RunStatus::Succeeded).wait(Span::minutes(20)).obey().end(RunStatus::Succeeded).wait(Span::hours(1));
    let change = Change {
        title: "Search in <b>one</b> step | faster".into(),
        issues: vec![3, 4],
        drivers: vec!["touches 9 directories (+8 points)".into()],
        irreversible: vec!["migrations/7.sql".into()],
        files: 4,
        ..risky(7, 0.34)
    };
    stage.merge_as(change).run(RunStatus::Succeeded).wait(Span::minutes(1));
    insta::assert_snapshot!(check(&stage, "plimsoll/release (api)"), @r"
    ActionRequired: Release 2 awaits approval for production (0 of 1)
    [Approve: approve.2.1] [Hold: hold.2.1]

    🟡 **`production`**: Waits for approval of `0000000` by members of `acme/release-managers` (0 of 1 given): `/plimsoll approve production`.

    ### Content: 1 pull request

    | Pull request | By | Risk | Closes |
    |---|---|---|---|
    | #7 Search in &lt;b&gt;one&lt;/b&gt; step \| faster | `ada` | high (34 %) | #3, #4 |

    ### Risk: high (34 %)

    That its one change needs a fix, a revert or a rollback.

    - #7: touches 9 directories (+8 points)

    ### Rollback: only by a person

    On failure it is held and does not go back to release 1 (`0000000`) by itself:

    - Pull request 7 changes migrations/7.sql: an earlier commit does not take that back.

    ### Checks: none

    No check ran on `0000000`.

    ### Conditions

    - ✅ **order**: It is this release's turn.
    - ✅ **reverted**: Nothing that it brings was reverted since.
    - ✅ **lock**: `production` is not locked.
    - ✅ **hold**: `production` is not held.
    - ✅ **freeze**: `production` is not frozen.
    - ✅ **window**: Releases may go at any time.
    - ❌ **approval**: Waits for approval of `0000000` by members of `acme/release-managers` (0 of 1 given): `/plimsoll approve production`.

    ### What happens then

    - `0000000` goes to `production` in 2 steps: 25 %, 100 %.
    - Each step must stay well for 10 min.
    ");
}

#[test]
fn the_card_promises_no_rollback_where_a_failure_is_only_held() {
    let mut stage = with(|production| production.on_failure = OnFailure::Hold);
    stage.merge(6, "ada").run(RunStatus::Succeeded);
    stage.approve("grace");
    stage.run(RunStatus::Succeeded).merge(7, "ada").run(RunStatus::Succeeded);
    let card = check(&stage, "plimsoll/release (api)");
    let rollback = card.split("### ").find(|part| part.starts_with("Rollback")).expect("a part of its own");
    insta::assert_snapshot!(rollback.trim(), @r"
    Rollback: by a person

    On failure it is held; `/plimsoll rollback production` goes back to release 1 (`0000000`).
    ");
}

#[test]
fn a_button_counts_only_for_the_commit_that_it_stands_on() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let press = |stage: &mut Stage1, action: &str, at: u64| {
        stage.play(Event::ActionRequested { action: action.into(), head_sha: sha(at), by: Login::new("grace") });
        rolls(stage)
    };
    assert_eq!(press(&mut stage, "approve.1.1", 8), None, "another commit");
    assert_eq!(press(&mut stage, "approve.1.0", 7), None, "another environment");
    assert_eq!(press(&mut stage, "approve.x", 7), None, "no button of ours");
    assert_eq!(press(&mut stage, "approve.1.1", 7), Some(1));
}

#[test]
fn a_refused_button_says_so_on_the_card() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    stage.play(Event::ActionRequested { action: "approve.1.1".into(), head_sha: sha(7), by: Login::new("ada") });
    let card = check(&stage, "plimsoll/release (api)");
    assert!(card.contains("> ⛔ @ada is the author of #7"), "{card}");
}

#[test]
fn a_plan_says_what_would_happen_and_changes_nothing() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let before = stage.state.clone();
    let acts = stage.said.acts.len();
    let approve = Verb::Approve { environment: production(), sha: None, service: None };
    insta::assert_snapshot!(stage.command("grace", Verb::Plan(Box::new(approve.clone()))), @r"
    📝 Plan only, nothing was changed. `approve` would answer:

    > ✅ grace approved release 1 (`0000000`) for `production`, 1 of 1. It starts now.

    Then, at once:
    - a deployment of `0000000` to `production` begins
    ");
    insta::assert_snapshot!(stage.command("ada", Verb::Plan(Box::new(approve))), @"📝 `approve` would be refused: @ada is the author of #7; `production` needs somebody with no hand in the release.");
    assert_eq!(stage.said.acts.len(), acts);
    assert_eq!(PipelineState { commands: before.commands.clone(), ..stage.state.clone() }, before);
}

#[test]
fn what_was_reverted_is_not_deployed_again_and_its_revert_passes_the_hold() {
    let mut stage = with(|production| production.approval = None);
    stage.merge(6, "ada").run(RunStatus::Succeeded).run(RunStatus::Succeeded);
    stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
    let revert = stage.said.acts.iter().find_map(|(key, act)| match act {
        Act::RevertPull { pull, title, body } => Some(format!("{key}: {pull}\n{title}\n---\n{body}")),
        _ => None,
    });
    insta::assert_snapshot!(revert.expect("a revert is prepared"), @r#"
    acme/shop/api/revert-7: 7
    Revert "Change 7"
    ---
    Reverts acme/shop#7

    Release 2 of `api` failed in `production`: the workflow run failed. Of what it brought, #7 is the likeliest culprit. Look before you merge: this was prepared, not decided.
    "#);
    // The way back.
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.live("production"), Some(1));
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    assert_eq!(rolls(&stage), None, "it is held, and still brings #7");
    let back = Change { reverts: vec![Reverted::Pull(PullNumber(7))], ..change(9, "ada") };
    stage.merge_as(back).run(RunStatus::Succeeded);
    assert!(rolls(&stage).is_some(), "{}", stage.status());
    stage.run(RunStatus::Succeeded);
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 5 (`0000000`) is live
    - `production`: release 5 (`0000000`) is live
    ");
}

#[test]
fn a_release_brings_no_more_than_the_policy_allows_and_says_why_it_splits() {
    let mut stage = Stage1::new();
    stage.plan.pipeline.max_changes = Some(2);
    for pull in 7..=9 {
        stage.merge(pull, "ada").run(RunStatus::Succeeded);
    }
    insta::assert_snapshot!(stage.status(), @r"
    - `staging`: release 3 (`0000000`) is live
    - `production`: nothing is live yet
      - 🟡 release 2 (`0000000`): Waits for approval of `0000000` by members of `acme/release-managers` (0 of 1 given): `/plimsoll approve production`.
      - 🕓 release 3 (`0000000`): It waits behind release 2: together they would bring more than 2 pull requests, the policy's `max_changes`. Waits for approval of `0000000` by members of `acme/release-managers` (0 of 1 given): `/plimsoll approve production`.
    ");
    stage.approve("grace");
    stage.run(RunStatus::Succeeded);
    assert_eq!(stage.state.candidate(&production()).map(|(release, _)| release.number.0), Some(3));
}

#[test]
fn a_change_that_a_candidate_took_over_counts_once() {
    let mut stage = Stage1::new();
    stage.merge_as(risky(7, 0.1)).run(RunStatus::Succeeded);
    stage.merge_as(risky(8, 0.2)).run(RunStatus::Succeeded);
    let (release, _) = stage.state.candidate(&production()).expect("a candidate");
    let brought = content::changes(&stage.state, release, &production());
    assert_eq!(brought.iter().map(|change| change.pull.0).collect::<Vec<_>>(), [7, 8]);
    let (together, _) = content::risk(&stage.state, release, &production()).expect("a risk");
    assert!((together - 0.28).abs() < 1e-9, "{together}");
}

#[test]
fn what_only_a_person_can_bring_is_told_as_next_and_time_alone_only_when_it_is_enough() {
    let mut stage = with(|_| {});
    stage.command("grace", lock(Some(Span::hours(2))));
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let next = |stage: &mut Stage1| why(stage).lines().last().unwrap_or_default().to_owned();
    insta::assert_snapshot!(next(&mut stage), @"Next: `/plimsoll approve production`, by members of `acme/release-managers`, with no hand in the release.");
    stage.approve("grace");
    insta::assert_snapshot!(next(&mut stage), @"Next: by itself Wed 00:13 UTC, in 2 h; or `/plimsoll unlock production`, by `grace` or anybody with maintain permission.");
}

#[test]
fn the_card_of_a_candidate_tells_that_it_was_superseded_though_nothing_was_looked_up_for_it() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    stage.merge(8, "ada").run(RunStatus::Succeeded);
    let card = view::card::views(&stage.state).into_iter().find_map(|(target, content)| match (target, content) {
        (Target::CheckRun { head_sha, .. }, Content::Check(check)) if head_sha == sha(7) => Some(check),
        _ => None,
    });
    let card = card.expect("the card that was there stays");
    assert_eq!((card.title.as_str(), card.actions.len()), ("Release 1 was superseded", 0));
}

#[test]
fn what_was_reverted_twice_is_held_back_while_one_of_the_reverts_stands() {
    let mut stage = with(|production| production.approval = None);
    let back = |pull: u64, of: u64| Change { reverts: vec![Reverted::Pull(PullNumber(of))], ..change(pull, "ada") };
    stage.merge(1, "ada").merge_as(back(3, 1)).merge_as(back(4, 3)).merge_as(back(5, 1));
    let newest = stage.state.releases.values().next_back().expect("a release");
    let (all, staging) = (newest.number, EnvironmentName::new("staging"));
    assert!(content::brings_revert_of(&stage.state, newest, &staging, PullNumber(1)), "#5 stands");
    let older = stage.state.releases.values().find(|release| release.number < all && release.sha == sha(4));
    let taken = older.and_then(|release| content::taken_back(&stage.state, release, &staging));
    assert_eq!(taken, Some((PullNumber(1), PullNumber(5))));
}

#[test]
fn why_in_a_comment_carries_the_card_folded() {
    let mut stage = Stage1::new();
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let comment = view::why::comment(&stage.state, &production(), None, stage.now);
    let (text, card) = comment.split_once("<details><summary>The release card</summary>").expect("a folded card");
    assert_eq!(text.trim_end(), why(&mut stage));
    assert!(card.contains("### Content: 1 pull request") && card.ends_with("</details>"), "{card}");
    assert!(!card.contains("### Conditions"), "they stand above");
    let nothing = view::why::comment(&stage.state, &EnvironmentName::new("nowhere"), None, stage.now);
    assert!(!nothing.contains("<details>"), "{nothing}");
}
