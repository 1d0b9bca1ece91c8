//! What an override passes by, and who looks at it afterwards.

use super::tests::*;
use super::tests_people::*;
use super::*;
use crate::domain::chatops::Verb;
use crate::domain::effect::{Act, Ending};
use crate::domain::event::Event;
use crate::domain::facts::RunStatus;

#[test]
fn an_override_lets_a_rollout_that_pauses_go_on() {
    let mut stage = pauses(None, |stage| {
        stage.command("ada", lock("production"));
    });
    insta::assert_snapshot!(stage.command("marge", override_gate(GateName::Lock, None)), @"🚨 The gate `lock` of `production` is overridden for release 1 (`0000000`). An issue asks somebody else to review it; until then a check on that commit is red.");
    let acts: Vec<&Act> = stage.said.acts.iter().rev().take(2).map(|(_, act)| act).collect();
    assert!(matches!(acts[..], [Act::DispatchWorkflow { .. }, Act::OpenIssue { .. }]), "{acts:?}");
}

#[test]
fn an_override_is_refused_where_it_would_pass_by_nothing() {
    let mut stage = at_the_gate(managers());
    insta::assert_snapshot!(stage.command("marge", override_gate(GateName::Order, None)), @"⛔ The gate `order` cannot be overridden. Nothing was changed.");
    insta::assert_snapshot!(stage.command("marge", override_gate(GateName::Lock, None)), @"⛔ Nothing waits at the gate `lock`. Nothing was changed.");
    insta::assert_snapshot!(stage.command("marge", override_gate(GateName::Approval, Some("staging"))), @"⛔ Nothing waits at the gate `approval`. Nothing was changed.");
    stage.plan.pipeline.environments[0].approval = Some(managers());
    stage.merge(8, "ada");
    insta::assert_snapshot!(stage.command("marge", override_gate(GateName::Approval, None)), @"⛔ More than one environment can be meant: `staging`, `production`. Name it. Nothing was changed.");
    let named = stage.command("marge", override_gate(GateName::Approval, Some("production")));
    assert!(named.contains("of `production` is overridden for release 1"), "{named}");
}

#[test]
fn an_override_of_the_second_in_which_the_candidate_came_counts() {
    let mut stage = Stage1::new();
    stage.now = stage.now.plus(Span(400));
    stage.merge(7, "ada").run(RunStatus::Succeeded);
    let (_, waits) = stage.state.candidate(&production()).expect("a candidate");
    let StagePhase::Waiting { since } = waits.phase else { panic!("it waits") };
    let second = Timestamp(since.0 - 400);
    let verb = || override_gate(GateName::Approval, None);
    insta::assert_snapshot!(written(&mut stage, "marge", Timestamp(second.0 - 1_000), verb()), @"⛔ Release 1 came after this was written. Look at it and override again. Nothing was changed.");
    assert!(written(&mut stage, "marge", second, verb()).starts_with("🚨"));
}

#[test]
fn an_override_that_was_written_before_somebody_locked_does_not_pass_by_that() {
    let mut stage = at_the_gate(managers());
    let before = stage.now.plus(Span::seconds(1));
    stage.now = stage.now.plus(Span::seconds(60));
    stage.command("ada", lock("production"));
    let refused = written(&mut stage, "marge", before, override_gate(GateName::Lock, None));
    assert!(refused.contains("is newer than this"), "{refused}");
    assert!(!met(&stage, 1, GateName::Lock));
    let now = stage.now;
    assert!(written(&mut stage, "marge", now, override_gate(GateName::Lock, None)).starts_with("🚨"));
}

#[test]
fn an_override_passes_by_what_was_seen_and_nothing_newer() {
    let mut stage = at_the_gate(managers());
    let locked = stage.now;
    stage.command("ada", lock("production"));
    // Of the same millisecond, which is as near as clocks tell.
    stage.now = locked;
    stage.command("marge", override_gate(GateName::Lock, None));
    assert!(met(&stage, 1, GateName::Lock), "what was there is passed by");
    assert_eq!(rolls(&stage, "production"), None, "the approval is still wanted");
    stage.command("ada", lock("staging"));
    stage.command("ada", Verb::Hold { environment: Some(production()), service: None, lasts: None, reason: None });
    assert!(met(&stage, 1, GateName::Lock), "neither another place nor another kind counts");
    assert!(!met(&stage, 1, GateName::Hold), "only the one gate was passed by");
    stage.command("ada", lock("production"));
    assert!(!met(&stage, 1, GateName::Lock), "this lock was never seen");
    stage.command("marge", override_gate(GateName::Hold, None));
    assert!(!met(&stage, 1, GateName::Lock), "an override of another gate tells nothing of it");
    stage.command("marge", override_gate(GateName::Lock, None));
    assert!(met(&stage, 1, GateName::Lock));
}

#[test]
fn an_override_of_another_release_elsewhere_passes_by_nothing_here() {
    let mut stage = at_the_gate(managers());
    stage.command("ada", lock("production"));
    stage.command("marge", override_gate(GateName::Lock, Some("production")));
    stage.command("ada", lock("production"));
    stage.command("ada", lock("staging"));
    stage.merge(8, "ada");
    stage.command("marge", override_gate(GateName::Lock, Some("staging")));
    assert_eq!(rolls(&stage, "staging"), Some(2));
    assert!(!met(&stage, 1, GateName::Lock));
}

#[test]
fn an_override_of_another_release_that_waits_here_passes_by_nothing_for_this_one() {
    let mut stage = at_the_gate(managers());
    stage.command("ada", lock("production"));
    stage.command("marge", override_gate(GateName::Lock, None));
    stage.command("ada", Verb::Unlock { environment: production(), service: None });
    stage.command("edsger", deploy(7, "production"));
    stage.command("ada", lock("production"));
    stage.command("marge", override_gate(GateName::Lock, None));
    assert_eq!((met(&stage, 1, GateName::Lock), met(&stage, 2, GateName::Lock)), (false, true));
}

#[test]
fn overrides_are_counted_and_each_has_an_issue_of_its_own() {
    let mut stage = at_the_gate(managers());
    stage.command("ada", lock("production"));
    stage.command("marge", override_gate(GateName::Lock, None));
    stage.command("marge", override_gate(GateName::Approval, None));
    assert_eq!(stage.state.overrides.iter().map(|known| known.number).collect::<Vec<_>>(), [1, 2]);
    let keys: Vec<EffectKey> =
        [1, 2].map(|number| breakglass::issue_key(&stage.state.repo, &stage.state.service, number)).to_vec();
    let url = Some("https://github.com/acme/shop/issues/5".to_owned());
    stage.play(Event::EffectEnded { key: keys[1].clone(), ending: Ending::Done { id: Some(5), url: url.clone() } });
    assert_eq!(stage.state.overrides.iter().map(|known| known.issue.clone()).collect::<Vec<_>>(), [None, url]);
    let close = |stage: &mut Stage1, key: &EffectKey, by: &str| {
        stage.play(Event::IssueClosed { key: key.clone(), by: Login::new(by) });
        let reviewed = stage.state.overrides.iter().map(|known| known.reviewed.clone().map(|(by, _)| by.to_string()));
        reviewed.collect::<Vec<_>>()
    };
    assert_eq!(close(&mut stage, &keys[1], "marge"), [None, None], "not by herself");
    assert_eq!(close(&mut stage, &keys[1], "linus"), [None, Some("linus".to_owned())]);
    assert_eq!(close(&mut stage, &keys[1], "grace"), [None, Some("linus".to_owned())], "once is enough");
}

#[test]
fn reviewed_overrides_are_forgotten_in_the_end_and_others_never() {
    let mut stage = at_the_gate(managers());
    stage.command("marge", override_gate(GateName::Approval, None));
    let first = stage.state.overrides[0].clone();
    stage.state.overrides.extend((2..=30).map(|number| Override { number, ..first.clone() }));
    let numbers = |stage: &Stage1| stage.state.overrides.iter().map(|known| known.number).collect::<Vec<_>>();
    for number in 2..=21 {
        press(&mut stage, &format!("reviewed.{number}"), 7, "linus");
    }
    assert_eq!(numbers(&stage), (1..=30).collect::<Vec<_>>());
    for number in 22..=24 {
        press(&mut stage, &format!("reviewed.{number}"), 7, "linus");
    }
    assert_eq!(numbers(&stage), [1].into_iter().chain(5..=30).collect::<Vec<_>>());
}
