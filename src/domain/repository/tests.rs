//! A repository's lane as sentences: the policy in force, holds, and what waits at a protection rule.

use super::*;
use crate::domain::facts::RepositorySnapshot;

pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub(super) fn lane() -> RepositoryState {
    RepositoryState::new(RepoName::parse("acme/shop").expect("a plain name"), NOW)
}

pub(super) fn sha(n: u64) -> Sha {
    Sha::parse(&format!("{n:040x}")).expect("forty digits make a hash")
}

/// What GitHub says when the policy file has this text.
pub(super) fn file(text: &str, blob: u64) -> Facts {
    let mut facts = Facts::default();
    let repository = RepositorySnapshot { default_branch: RefName::new("main"), archived: false };
    facts.insert(Need::Repository, Fact::Repository(repository));
    let found = PolicyFile::Found { text: text.to_owned(), blob: sha(blob) };
    facts.insert(Need::PolicyFile, Fact::PolicyFile(found));
    facts
}

const DEPLOYS: &str = "version: 1
services: { api: { paths: [\"api/**\"] }, web: { paths: [\"web/**\"] } }
pipeline: { trigger: { workflow: deploy.yml }, environments: [{ name: production }] }
";

/// A policy that deploys two services.
pub(super) fn with_hold_check() -> Facts {
    file(DEPLOYS, 1)
}

/// Has the policy show holds on open pull requests.
pub(super) fn show_holds(state: &mut RepositoryState) {
    let pipeline = state.policy.as_mut().and_then(|held| held.policy.pipeline.as_mut());
    pipeline.expect("a pipeline").hold_check = true;
}

fn held(lines: &[&str]) -> Event {
    let holds = lines.iter().map(|line| (*line).to_owned()).collect();
    Event::Signal(Signal::HoldsChanged { service: ServiceName::new("api"), holds })
}

fn pushed(by: &str) -> Event {
    Event::Pushed { branch: RefName::new("main"), after: sha(99), by: Some(Login::new(by)) }
}

#[test]
fn a_broken_file_leaves_the_last_good_policy_in_force_and_names_who_broke_it() {
    let mut state = lane();
    apply(&mut state, &pushed("ada"), &file("version: 1\nchecks: { title: conventional }\n", 1), NOW);
    apply(&mut state, &pushed("linus"), &file("version: 1\nchekcs: {}\n", 2), NOW);
    // A sweep that reads the same broken file does not forget who it was.
    apply(&mut state, &Event::Look { because: "the clock called".into() }, &file("version: 1\nchekcs: {}\n", 2), NOW);
    let held = state.policy.as_ref().expect("a policy");
    assert_eq!((held.blob.clone(), held.broken_by.clone()), (Some(sha(1)), Some(Login::new("linus"))));
    assert_eq!(held.policy.checks.title, crate::domain::policy::TitleRule::Conventional);
    assert_eq!(held.problems.len(), 1);
    // Put back to the good text, nothing of it stays.
    apply(&mut state, &pushed("ada"), &file("version: 1\nchecks: { title: conventional }\n", 1), NOW);
    assert_eq!(state.policy.expect("a policy").problems, []);
}

#[test]
fn who_asked_for_the_policy_hears_when_it_was_read() {
    let mut state = lane();
    let by = Subject::PullRequest { repo: state.repo.clone(), number: PullNumber(7) };
    let asks = Event::Signal(Signal::PolicyWanted { by: by.clone() });
    assert!(apply(&mut state, &asks, &Facts::default(), NOW).forwards.is_empty());
    let heard = apply(&mut state, &pushed("ada"), &file("version: 1\n", 1), NOW);
    assert_eq!(heard.forwards, [(by, Event::Signal(Signal::PolicyReady))]);
}

#[test]
fn a_repository_that_cannot_be_seen_is_left_alone() {
    let mut state = lane();
    let mut facts = Facts::default();
    facts.insert(Need::Repository, Fact::Absent(Absence::NotFound));
    facts.insert(Need::PolicyFile, Fact::Absent(Absence::NotFound));
    apply(&mut state, &Event::Look { because: "the clock called".into() }, &facts, NOW);
    assert_eq!(wake_at(&state), None);
    apply(&mut state, &Event::AccessChanged { granted: true }, &file("version: 1\n", 1), NOW);
    assert!(wake_at(&state).is_some());
}

#[test]
fn what_holds_travels_to_pull_requests_with_the_policy() {
    let mut state = lane();
    apply(&mut state, &pushed("ada"), &with_hold_check(), NOW);
    let line = "`production` is held by `grace`.";
    assert_eq!(needs(&state, &held(&[line]), NOW), [], "nobody shows it, so nobody is looked for");
    assert!(apply(&mut state, &held(&[line]), &Facts::default(), NOW).forwards.is_empty());
    let Fact::PolicyInForce(Some(policy)) = as_fact(&state) else { panic!("a policy") };
    assert_eq!(policy.holds, BTreeMap::from([(ServiceName::new("api"), vec![line.to_owned()])]));
    apply(&mut state, &held(&[]), &Facts::default(), NOW);
    let Fact::PolicyInForce(Some(policy)) = as_fact(&state) else { panic!("a policy") };
    assert!(policy.holds.is_empty());
}

#[test]
fn open_pull_requests_hear_of_a_hold_when_the_policy_shows_it_and_only_of_a_new_one() {
    let mut state = lane();
    apply(&mut state, &pushed("ada"), &with_hold_check(), NOW);
    show_holds(&mut state);
    let event = held(&["`production` is held by `grace`."]);
    assert_eq!(needs(&state, &event, NOW), [Need::OpenPulls]);
    let mut facts = Facts::default();
    facts.insert(Need::OpenPulls, Fact::OpenPulls(vec![PullNumber(3), PullNumber(7)]));
    let heard = apply(&mut state, &event, &facts, NOW);
    let told: Vec<String> = heard.forwards.iter().map(|(to, _)| to.to_string()).collect();
    assert_eq!(told, ["pull_request:acme/shop#3", "pull_request:acme/shop#7"]);
    assert!(heard.forwards.iter().all(|(_, said)| *said == event));
    assert_eq!(needs(&state, &event, NOW), []);
    assert!(apply(&mut state, &event, &facts, NOW).forwards.is_empty());
}

#[test]
fn a_run_that_waits_at_our_protection_rule_is_shown_to_every_pipeline() {
    let environment = EnvironmentName::new("production");
    let asked = Event::ProtectionRequested { run: RunId(5), environment, sha: sha(9), inputless: true };
    let told = |text: &str| -> Vec<(String, bool)> {
        let mut state = lane();
        assert_eq!(needs(&state, &asked, NOW), [Need::Repository, Need::PolicyFile]);
        let heard = apply(&mut state, &asked, &file(text, 1), NOW);
        let ask = |(to, event): &(Subject, Event)| match event {
            Event::Signal(Signal::ProtectionAsked { alone, inputless: true, .. }) => (to.to_string(), *alone),
            other => panic!("a question: {other:?}"),
        };
        heard.forwards.iter().map(ask).collect()
    };
    assert_eq!(
        told(DEPLOYS),
        [("pipeline:acme/shop/api".to_owned(), false), ("pipeline:acme/shop/web".to_owned(), false)]
    );
    let single = DEPLOYS.replace(", web: { paths: [\"web/**\"] }", "");
    assert_eq!(told(&single), [("pipeline:acme/shop/api".to_owned(), true)]);
}
