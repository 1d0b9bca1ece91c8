//! A merge queue's groups as sentences.

use super::tests::{NOW, file, lane, sha};
use super::*;
use crate::domain::effect::{Content, Target};
use crate::domain::event::MergeGroup;
use crate::domain::facts::{ChangedFiles, CommitSnapshot, Comparison, Person, Standing};
use crate::domain::state::State;
use crate::domain::view;

const POLICY: &str = "version: 1\nchecks: { title: conventional }\n";

fn group(n: u64) -> MergeGroup {
    MergeGroup {
        head_sha: sha(n),
        base_sha: sha(1),
        base_ref: RefName::new("main"),
        head_ref: RefName::new(format!("gh-readonly-queue/main/pr-12-{}", sha(1))),
    }
}

/// What GitHub says of the group's commits.
fn commits(group: &MergeGroup, messages: &[&str], total: u64) -> Facts {
    let commit = |message: &&str| CommitSnapshot {
        sha: sha(50),
        message: (*message).to_owned(),
        parents: 1,
        first_parent: None,
        author: Person::default(),
        committer: Person::default(),
        committed_at: None,
    };
    let comparison = Comparison {
        standing: Standing::Ahead,
        commits: messages.iter().map(commit).collect(),
        total_commits: total,
        files: ChangedFiles::default(),
    };
    let mut facts = file(POLICY, 1);
    facts.insert(group::need(group), Fact::Comparison(comparison));
    facts
}

/// A repository whose policy is read, with a group of two pull requests that were asked.
fn queue() -> (RepositoryState, Heard) {
    let mut state = lane();
    let facts = commits(&group(9), &["feat: cents (#11)", "feat: euros (#12)"], 2);
    let heard = apply(&mut state, &Event::GroupRequested { group: group(9) }, &facts, NOW);
    (state, heard)
}

fn says(state: &mut RepositoryState, pull: u64, policy: Option<&str>, risk: Option<&str>) {
    let signal = Signal::GroupJudged {
        head_sha: sha(9),
        pull: PullNumber(pull),
        policy: policy.map(str::to_owned),
        risk: risk.map(str::to_owned),
        hold: None,
    };
    apply(state, &Event::Signal(signal), &Facts::default(), NOW);
}

fn clock(state: &mut RepositoryState, at: Timestamp) -> Vec<u64> {
    let heard = apply(state, &Event::Look { because: "the clock called".into() }, &Facts::default(), at);
    asked(&heard)
}

/// The pull requests that were asked.
fn asked(heard: &Heard) -> Vec<u64> {
    let number = |(to, event): &(Subject, Event)| match (to, event) {
        (Subject::PullRequest { number, .. }, Event::Signal(Signal::GroupWanted { .. })) => Some(number.0),
        _ => None,
    };
    heard.forwards.iter().filter_map(number).collect()
}

/// The check runs as text.
fn shown(state: &RepositoryState) -> String {
    let views = view::of(&State::Repository(Box::new(state.clone())));
    let text = |(target, content): (Target, Content)| match (target, content) {
        (Target::CheckRun { name, .. }, Content::Check(check)) => {
            format!("{name} {:?}: {}\n{}", check.conclusion, check.title, check.summary)
        }
        other => panic!("a check run: {other:?}"),
    };
    views.into_iter().map(text).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_group_asks_each_of_its_pull_requests_once() {
    let (mut state, heard) = queue();
    assert_eq!(asked(&heard), [11, 12]);
    let again = apply(&mut state, &Event::GroupRequested { group: group(9) }, &Facts::default(), NOW);
    assert_eq!(asked(&again), [0; 0]);
    insta::assert_snapshot!(shown(&state), @r"
    plimsoll/policy InProgress: Waiting for 2 of 2 pull requests
    | | Pull request | What was found |
    |---|---|---|
    | 🕓 | #11 | has not answered yet |
    | 🕓 | #12 | has not answered yet |

    plimsoll/risk InProgress: Waiting for 2 of 2 pull requests
    | | Pull request | What was found |
    |---|---|---|
    | 🕓 | #11 | has not answered yet |
    | 🕓 | #12 | has not answered yet |
    ");
}

#[test]
fn a_group_needs_its_commits_and_the_policy_if_there_is_none_yet() {
    let wanted = Event::GroupRequested { group: group(9) };
    assert_eq!(needs(&lane(), &wanted, NOW).len(), 3);
    assert_eq!(needs(&queue().0, &wanted, NOW), [group::need(&group(9))]);
}

#[test]
fn when_all_are_well_the_group_passes() {
    let (mut state, _) = queue();
    says(&mut state, 11, None, None);
    assert!(shown(&state).contains("Waiting for 1 of 2 pull requests"));
    says(&mut state, 12, None, None);
    insta::assert_snapshot!(shown(&state), @r"
    plimsoll/policy Success: All rules are met
    | | Pull request | What was found |
    |---|---|---|
    | ✅ | #11 | meets all rules |
    | ✅ | #12 | meets all rules |

    plimsoll/risk Neutral: Nothing is blocked for its risk
    | | Pull request | What was found |
    |---|---|---|
    | ✅ | #11 | is not blocked for its risk |
    | ✅ | #12 | is not blocked for its risk |
    ");
    assert_eq!(wake_at(&state), Some(state.next_sweep_at), "nothing more to wait for");
}

#[test]
fn one_that_breaks_a_rule_or_is_blocked_fails_the_group_and_says_so() {
    let (mut state, _) = queue();
    says(&mut state, 12, None, Some("critical risk (60 %); the policy blocks from high on"));
    says(&mut state, 11, Some("not met: title"), None);
    insta::assert_snapshot!(shown(&state), @r"
    plimsoll/policy Failure: 1 of 2 pull requests with rules not met
    | | Pull request | What was found |
    |---|---|---|
    | ❌ | #11 | not met: title |
    | ✅ | #12 | meets all rules |

    plimsoll/risk Failure: 1 of 2 pull requests blocked for risk
    | | Pull request | What was found |
    |---|---|---|
    | ✅ | #11 | is not blocked for its risk |
    | ❌ | #12 | critical risk (60 %); the policy blocks from high on |
    ");
}

#[test]
fn who_does_not_answer_is_asked_again_and_at_last_given_up() {
    let (mut state, _) = queue();
    says(&mut state, 11, None, None);
    assert_eq!(wake_at(&state).map(|at| at.since(NOW)), Some(Span(0)), "the first sweep is due");
    state.next_sweep_at = NOW.plus(Span::hours(1));
    assert_eq!(wake_at(&state), Some(NOW.plus(Span::minutes(2))));
    assert_eq!(clock(&mut state, NOW.plus(Span::minutes(1))), [0; 0]);
    assert_eq!(clock(&mut state, NOW.plus(Span::minutes(2))), [12]);
    assert_eq!(wake_at(&state), Some(NOW.plus(Span::minutes(4))));
    assert_eq!(clock(&mut state, NOW.plus(Span::minutes(9))), [12]);
    assert_eq!(wake_at(&state), Some(NOW.plus(Span::minutes(10))));
    assert_eq!(clock(&mut state, NOW.plus(Span::minutes(10))), [0; 0]);
    assert_eq!(wake_at(&state), Some(state.next_sweep_at));
    insta::assert_snapshot!(shown(&state), @r"
    plimsoll/policy Failure: 1 of 2 pull requests could not be judged in time
    Not everything could be judged within 10 minutes. Ask GitHub to run this check again, or take the pull request out of the queue and add it again.

    | | Pull request | What was found |
    |---|---|---|
    | ✅ | #11 | meets all rules |
    | 🕓 | #12 | has not answered yet |

    plimsoll/risk Neutral: 1 of 2 pull requests could not be judged in time
    Not everything could be judged within 10 minutes. Ask GitHub to run this check again, or take the pull request out of the queue and add it again.

    | | Pull request | What was found |
    |---|---|---|
    | ✅ | #11 | is not blocked for its risk |
    | 🕓 | #12 | has not answered yet |
    ");
    says(&mut state, 12, None, None);
    assert!(shown(&state).contains("plimsoll/policy Success"), "a late answer still counts");
}

#[test]
fn a_group_that_github_drops_is_not_waited_for() {
    let (mut state, _) = queue();
    state.next_sweep_at = NOW.plus(Span::hours(1));
    let gone = Event::GroupDestroyed { head_sha: sha(9), reason: "invalidated".into() };
    apply(&mut state, &gone, &Facts::default(), NOW);
    assert_eq!(clock(&mut state, NOW.plus(Span::minutes(20))), [0; 0]);
    assert!(shown(&state).contains("plimsoll/policy Neutral: The group is gone"));
    let (mut state, _) = queue();
    says(&mut state, 11, Some("not met: title"), None);
    says(&mut state, 12, None, None);
    apply(&mut state, &gone, &Facts::default(), NOW);
    assert!(shown(&state).contains("1 of 2 pull requests with rules not met"), "what was found stays");
}

#[test]
fn a_group_whose_commits_cannot_be_read_is_judged_by_its_branch_and_says_so() {
    let mut state = lane();
    let mut facts = file(POLICY, 1);
    facts.insert(group::need(&group(9)), Fact::Absent(Absence::NotFound));
    let heard = apply(&mut state, &Event::GroupRequested { group: group(9) }, &facts, NOW);
    assert_eq!(asked(&heard), [12]);
    says(&mut state, 12, None, None);
    insta::assert_snapshot!(shown(&state), @r"
    plimsoll/policy Failure: Not all commits of the group could be read
    GitHub did not list all commits of the group, so it may carry more pull requests than these.

    | | Pull request | What was found |
    |---|---|---|
    | ✅ | #12 | meets all rules |

    plimsoll/risk Neutral: Nothing is blocked for its risk, as far as can be told
    GitHub did not list all commits of the group, so it may carry more pull requests than these.

    | | Pull request | What was found |
    |---|---|---|
    | ✅ | #12 | is not blocked for its risk |
    ");
}

#[test]
fn a_group_that_names_nobody_fails_at_once() {
    let mut state = lane();
    let nameless = MergeGroup { head_ref: RefName::new("queue"), ..group(9) };
    let facts = commits(&nameless, &["cents"], 1);
    apply(&mut state, &Event::GroupRequested { group: nameless }, &facts, NOW);
    insta::assert_snapshot!(shown(&state), @r"
    plimsoll/policy Failure: No pull request was found in the group
    Neither the name of the group's branch nor its commits name a pull request.


    plimsoll/risk Neutral: No pull request was found in the group
    Neither the name of the group's branch nor its commits name a pull request.
    ");
}

#[test]
fn no_more_than_a_hundred_are_asked() {
    let mut state = lane();
    let messages: Vec<String> = (1..=150).map(|n| format!("feat: cents (#{n})")).collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let facts = commits(&group(9), &messages, 150);
    let heard = apply(&mut state, &Event::GroupRequested { group: group(9) }, &facts, NOW);
    assert_eq!(asked(&heard).len(), 100);
    assert!(state.groups[0].cut);
}

#[test]
fn somebody_may_have_the_checks_of_a_group_run_again() {
    let (mut state, _) = queue();
    says(&mut state, 11, Some("not met: title"), None);
    says(&mut state, 12, None, None);
    let again = Event::RecheckRequested { head_sha: sha(9) };
    assert_eq!(needs(&state, &again, NOW), [], "the pull requests know");
    let heard = apply(&mut state, &again, &Facts::default(), NOW);
    assert_eq!(asked(&heard), [11, 12]);
    assert!(shown(&state).contains("Waiting for 2 of 2"));
}

#[test]
fn a_group_whose_commits_could_not_be_read_is_read_anew_when_its_checks_run_again() {
    let mut state = lane();
    let mut facts = file(POLICY, 1);
    facts.insert(group::need(&group(9)), Fact::Absent(Absence::NotFound));
    apply(&mut state, &Event::GroupRequested { group: group(9) }, &facts, NOW);
    says(&mut state, 12, None, None);
    let again = Event::RecheckRequested { head_sha: sha(9) };
    assert_eq!(needs(&state, &again, NOW), [group::need(&group(9))]);
    let facts = commits(&group(9), &["feat: cents (#11)", "feat: euros (#12)"], 2);
    let heard = apply(&mut state, &again, &facts, NOW);
    assert_eq!((asked(&heard), state.groups[0].cut), (vec![11, 12], false));
}

#[test]
fn twenty_groups_are_remembered_and_those_that_are_over_go_first() {
    let mut state = lane();
    for n in 100..120 {
        let facts = commits(&group(n), &[], 0);
        apply(&mut state, &Event::GroupRequested { group: group(n) }, &facts, NOW);
    }
    let gone = Event::GroupDestroyed { head_sha: sha(105), reason: "merged".into() };
    apply(&mut state, &gone, &Facts::default(), NOW);
    let facts = commits(&group(200), &[], 0);
    apply(&mut state, &Event::GroupRequested { group: group(200) }, &facts, NOW);
    assert_eq!(state.groups.len(), 20);
    assert!(state.groups.iter().all(|known| known.of.head_sha != sha(105)));
}

#[test]
fn a_group_shows_holds_only_where_the_policy_asks_for_it() {
    let (state, _) = queue();
    assert!(!shown(&state).contains("plimsoll/hold"));
    let mut state = lane();
    apply(&mut state, &Event::AccessChanged { granted: true }, &super::tests::with_hold_check(), NOW);
    super::tests::show_holds(&mut state);
    let facts = commits(&group(9), &[], 0);
    apply(&mut state, &Event::GroupRequested { group: group(9) }, &facts, NOW);
    let signal = Signal::GroupJudged {
        head_sha: sha(9),
        pull: PullNumber(12),
        policy: None,
        risk: None,
        hold: Some("`production` is held by `grace`.".into()),
    };
    apply(&mut state, &Event::Signal(signal), &Facts::default(), NOW);
    let shown = shown(&state);
    insta::assert_snapshot!(shown.split_once("plimsoll/hold").expect("a check").1, @r"
     Failure: 1 of 1 pull request held
    | | Pull request | What was found |
    |---|---|---|
    | ❌ | #12 | `production` is held by `grace`. |
    ");
}

#[test]
fn a_group_is_read_back_as_it_was_written() {
    let (mut state, _) = queue();
    says(&mut state, 11, Some("not met: title"), None);
    let text = serde_json::to_string(&state).expect("plain data");
    assert_eq!(serde_json::from_str::<RepositoryState>(&text).expect("read back"), state);
    let text = serde_json::to_string(&lane()).expect("plain data");
    assert!(!text.contains("groups") && !text.contains("holds"), "what is empty is not kept: {text}");
}
