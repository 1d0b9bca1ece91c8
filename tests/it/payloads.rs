//! Every payload that GitHub publishes as an example, and ours for what those lack, is read or knowingly ignored.

use plimsoll::engine::ports::{Interpretation, Webhooks};
use plimsoll::github::interpret::Interpreter;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn every_example_of_github_is_read_or_knowingly_ignored() {
    let outcomes = outcomes(examples());
    assert_eq!(outcomes.values().map(Outcomes::all).sum::<usize>(), 329);
    insta::assert_snapshot!(table(&outcomes), @r"
    check_run: 2 read, 7 ignored
    check_suite: 2 read, 7 ignored
    installation: 5 read, 2 ignored
    installation_repositories: 3 read, 0 ignored
    merge_group: 2 read, 0 ignored
    pull_request: 19 read, 10 ignored
    pull_request_review: 4 read, 0 ignored
    push: 2 read, 5 ignored
    repository: 10 read, 3 ignored
    workflow_run: 1 read, 4 ignored
    48 other events: 241 ignored
    all: 50 read, 279 ignored
    ");
}

#[test]
fn what_the_examples_lack_is_read_or_knowingly_ignored() {
    let said: Vec<_> =
        ours().into_iter().map(|(file, event, payload)| format!("{file}: {}", say(&event, &payload))).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    check_run.requested_action.of-release.json: pipeline:acme/shop/api hears action_requested
    check_run.rerequested.from-fork.json: repository:acme/shop hears recheck_requested
    deployment_protection_rule.requested.json: repository:acme/shop hears protection_requested
    deployment_status.created.failure.json: ignored, nothing follows from `deployment_status`
    issue_comment.created.by-bot.json: pull_request:acme/shop#42 hears comment_created
    issue_comment.created.on-pull-request.json: pull_request:acme/shop#42 hears comment_created
    issue_comment.edited.on-pull-request.json: ignored, nothing follows from `issue_comment.edited`
    issues.closed.of-override.json: pipeline:acme/shop/api hears issue_closed
    pull_request.closed.fork-deleted.json: pull_request:acme/shop#43 hears pull_changed
    pull_request.closed.merged.json: pull_request:acme/shop#42 hears pull_changed
    pull_request.dequeued.from-fork.json: pull_request:acme/shop#43 hears pull_changed, pull_request:acme/shop#43 hears left_queue
    pull_request.labeled.by-bot.json: pull_request:acme/shop#42 hears pull_changed
    pull_request.opened.from-fork.json: pull_request:acme/shop#43 hears pull_changed
    push.branch-deleted.json: ignored, a branch was deleted
    push.to-default-branch.json: repository:acme/shop hears pushed
    push.to-topic-branch.json: ignored, a push to another branch than the default branch
    workflow_run.completed.failure.json: pipeline:acme/shop/api hears run_changed
    workflow_run.completed.from-fork.json: ignored, a workflow run that nobody dispatched
    ");
}

#[test]
fn no_example_cut_short_anywhere_is_taken_for_a_whole_one() {
    for (event, payload) in examples() {
        let body = payload.to_string();
        let cut = body.char_indices().map(|(at, _)| at).nth(body.chars().count() / 2).unwrap_or(0);
        let cut = interpreter().interpret(&event, &body.as_bytes()[..cut]);
        assert!(matches!(cut, Interpretation::Unreadable { .. }), "half a `{event}` became {cut:?}");
    }
}

#[test]
fn an_unreadable_payload_is_not_repeated_in_the_reason() {
    let mut payload = ours().into_iter().find(|(file, ..)| file.starts_with("pull_request.closed.merged")).unwrap().2;
    payload["pull_request"]["head"]["sha"] = json!("a secret");
    let Interpretation::Unreadable { because } =
        interpreter().interpret("pull_request", payload.to_string().as_bytes())
    else {
        panic!("a head that is no hash was read");
    };
    assert!(!because.contains("secret"), "{because}");
}

fn interpreter() -> Interpreter {
    Interpreter::new("https://api.github.com", "12345")
}

/// How many payloads of one event went which way.
#[derive(Default)]
struct Outcomes {
    read: usize,
    ignored: usize,
}

impl Outcomes {
    fn all(&self) -> usize {
        self.read + self.ignored
    }
}

/// Interprets each payload as one that an installation of the App got; most examples come from plain webhooks, and would
/// be ignored for that alone.
fn outcomes(payloads: Vec<(String, Value)>) -> BTreeMap<String, Outcomes> {
    let mut outcomes: BTreeMap<String, Outcomes> = BTreeMap::new();
    for (event, mut payload) in payloads {
        read_or_ignored(&event, &payload);
        payload["installation"] = json!({ "id": 1 });
        let outcome = outcomes.entry(event.clone()).or_default();
        match read_or_ignored(&event, &payload) {
            Interpretation::Events { .. } => outcome.read += 1,
            Interpretation::Ignored { .. } => outcome.ignored += 1,
            Interpretation::Unreadable { .. } => {}
        }
    }
    outcomes
}

fn read_or_ignored(event: &str, payload: &Value) -> Interpretation {
    let interpretation = interpreter().interpret(event, payload.to_string().as_bytes());
    if let Interpretation::Unreadable { because } = &interpretation {
        panic!("`{event}` with action {} cannot be read: {because}", payload["action"]);
    }
    interpretation
}

/// Events that were read, a line each; then, in one line, those that were only ignored.
fn table(outcomes: &BTreeMap<String, Outcomes>) -> String {
    let (read, ignored): (Vec<_>, Vec<_>) = outcomes.iter().partition(|(_, outcome)| outcome.read > 0);
    let count = |outcomes: &[(&String, &Outcomes)], of: fn(&Outcomes) -> usize| {
        outcomes.iter().map(|(_, outcome)| of(outcome)).sum::<usize>()
    };
    let lines =
        read.iter().map(|(event, outcome)| format!("{event}: {} read, {} ignored", outcome.read, outcome.ignored));
    let all = [read.as_slice(), ignored.as_slice()].concat();
    let sums = [
        format!("{} other events: {} ignored", ignored.len(), count(&ignored, |outcome| outcome.ignored)),
        format!(
            "all: {} read, {} ignored",
            count(&all, |outcome| outcome.read),
            count(&all, |outcome| outcome.ignored)
        ),
    ];
    lines.chain(sums).collect::<Vec<_>>().join("\n")
}

/// What became of one payload, in a line.
fn say(event: &str, payload: &Value) -> String {
    match read_or_ignored(event, payload) {
        Interpretation::Events { events, .. } => {
            let lanes: Vec<_> =
                events.iter().map(|(subject, event)| format!("{subject} hears {}", name(event))).collect();
            lanes.join(", ")
        }
        Interpretation::Ignored { because } => format!("ignored, {because}"),
        Interpretation::Unreadable { because } => because,
    }
}

/// Name of an event's kind, as it stands in JSON.
fn name(event: &plimsoll::domain::event::Event) -> String {
    match serde_json::to_value(event).unwrap() {
        Value::Object(kinds) => kinds.keys().cloned().collect(),
        other => other.to_string(),
    }
}

/// GitHub's examples with the names of their events.
pub(crate) fn examples() -> Vec<(String, Value)> {
    let file = "node_modules/@octokit/webhooks-examples/api.github.com/index.json";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .unwrap_or_else(|problem| panic!("{file}: {problem}. Run `npm ci` (`tests/run` does it for you)."));
    let events: Vec<Value> = serde_json::from_str(&text).unwrap();
    let examples = events.iter().flat_map(|event| {
        let name = event["name"].as_str().unwrap();
        event["examples"].as_array().unwrap().iter().map(move |example| (name.to_owned(), example.clone()))
    });
    examples.collect()
}

/// Our own payloads: name of the file, event, payload.
fn ours() -> Vec<(String, String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/payloads");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let payloads = files.into_iter().map(|path| {
        let file = path.file_name().unwrap().display().to_string();
        let event = file.split('.').next().unwrap().to_owned();
        (file, event, serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap())
    });
    payloads.collect()
}
