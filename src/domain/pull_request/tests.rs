//! A pull request as sentences: events are played, and what people would read is compared word for word.

use super::*;
use crate::domain::decide::{decide, needs};
use crate::domain::effect::{Act, Content, Target};
use crate::domain::event::{Change, StageBrief, StageStanding};
use crate::domain::facts::*;
use crate::domain::policy::{POLICY_PATH, parse};
use crate::domain::state::State;
use crate::domain::view;

pub(super) const POLICY: &str = "version: 1
services:
  api: { paths: [\"services/api/**\", \"libs/**\"] }
  web: { paths: [\"web/**\"] }
checks:
  title: conventional
  description: required
  size: { warn: 400, fail: 1500 }
  rules:
    - name: migrations are read by a database owner
      if: { changed_files: [\"migrations/**\"] }
      requires: { count: 1, teams: [\"acme/dba\"] }
pipeline:
  trigger: { workflow: deploy.yml }
  environments:
    - name: staging
    - name: production
      approval: { count: 1, teams: [\"acme/release-managers\"] }
      rollout: [25%, 100%]
      bake: 10m
";

/// A pull request with what GitHub would say about it.
pub(super) struct Desk {
    pub state: State,
    pub facts: Facts,
    pub pull: PullSnapshot,
    pub now: Timestamp,
    pub acts: Vec<(EffectKey, Act)>,
    pub forwards: Vec<(Subject, Event)>,
}

pub(super) fn sha(n: u64) -> Sha {
    Sha::parse(&format!("{n:07x}{n:033x}")).expect("forty digits make a hash")
}

pub(super) fn repo() -> RepoName {
    RepoName::parse("acme/shop").expect("a plain name")
}

pub(super) fn policy(text: &str) -> PolicyInForce {
    let policy = parse(text, POLICY_PATH, &repo()).policy.expect("a good policy");
    PolicyInForce {
        default_branch: RefName::new("main"),
        policy,
        blob: Some(sha(1)),
        problems: Vec::new(),
        broken_by: None,
        read_at: Timestamp(0),
        holds: Default::default(),
        queued: Vec::new(),
    }
}

pub(super) fn file(path: &str, additions: u64, deletions: u64) -> ChangedFile {
    ChangedFile { path: path.into(), previous_path: None, status: FileStatus::Modified, additions, deletions }
}

impl Desk {
    pub fn new() -> Self {
        let number = PullNumber(7);
        let pull = PullSnapshot {
            number,
            title: "feat(api): charge in cents".into(),
            body: "Amounts are cents from now on.".into(),
            author: Login::new("ada"),
            author_is_bot: false,
            head_sha: sha(7),
            head_ref: RefName::new("cents"),
            head_repo: Some(repo()),
            base_ref: RefName::new("main"),
            base_sha: sha(2),
            draft: false,
            open: true,
            merged: false,
            merge_commit_sha: None,
            merged_by: None,
            labels: Vec::new(),
            updated_at: Timestamp(1_700_000_000_000),
            additions: None,
            deletions: None,
            changed_files: None,
        };
        let mut desk = Self {
            state: State::PullRequest(Box::new(PullState::new(repo(), number))),
            facts: Facts::default(),
            now: Timestamp(1_700_000_001_000),
            pull,
            acts: Vec::new(),
            forwards: Vec::new(),
        };
        desk.in_force(Some(policy(POLICY)));
        desk.files(vec![file("services/api/src/charge.rs", 96, 20), file("services/api/src/main.rs", 4, 4)]);
        desk
    }

    pub fn in_force(&mut self, policy: Option<PolicyInForce>) -> &mut Self {
        self.facts.insert(Need::PolicyInForce, Fact::PolicyInForce(policy.map(Box::new)));
        self
    }

    pub fn files(&mut self, files: Vec<ChangedFile>) -> &mut Self {
        let need = Need::PullFiles { number: self.pull.number, head_sha: self.pull.head_sha.clone() };
        self.facts.insert(need, Fact::PullFiles(ChangedFiles { files, cut: false }));
        self
    }

    pub fn play(&mut self, event: Event) -> &mut Self {
        for _ in 0..5 {
            for need in needs(&self.state, &event, &self.facts, self.now) {
                let fact = match &need {
                    Need::Pull { .. } => Fact::Pull(self.pull.clone()),
                    Need::PullReviews { .. } => Fact::PullReviews(Vec::new()),
                    Need::PullCommits { .. } => Fact::PullCommits(Vec::new()),
                    Need::Comments { .. } => Fact::Comments(Vec::new()),
                    Need::Permission { login } => {
                        Fact::Permission(if login.as_str() == "mallory" { Permission::Read } else { Permission::Write })
                    }
                    Need::TeamMember { .. } => Fact::TeamMember(true),
                    _ => Fact::Absent(Absence::NotFound),
                };
                self.facts.insert(need, fact);
            }
        }
        let decision = decide(&self.state, &event, &self.facts, self.now);
        self.state = decision.next;
        self.acts.extend(decision.acts);
        self.forwards.extend(decision.forwards);
        self.now = self.now.plus(Span::seconds(10));
        self
    }

    pub fn opened(&mut self) -> &mut Self {
        self.changed(PullAction::Opened)
    }

    pub fn changed(&mut self, action: PullAction) -> &mut Self {
        self.pull.updated_at = self.pull.updated_at.plus(Span::seconds(20));
        let pull = Box::new(self.pull.clone());
        self.play(Event::PullChanged { action, pull })
    }

    pub fn comment(&mut self, id: u64, by: &str, body: &str) -> &mut Self {
        let comment = Comment {
            id: CommentId(id),
            by: Login::new(by),
            by_bot: false,
            body: body.into(),
            created_at: self.now,
            updated_at: self.now,
        };
        self.play(Event::CommentCreated { comment })
    }

    /// What stands in a target, as text.
    fn shown(&self, wanted: impl Fn(&Target) -> bool) -> String {
        let views = view::of(&self.state);
        let found: Vec<String> = views
            .into_iter()
            .filter(|(target, _)| wanted(target))
            .map(|(_, content)| match content {
                Content::Check(check) => {
                    format!("{:?}: {}\n\n{}{:#?}", check.conclusion, check.title, check.summary, check.annotations)
                }
                Content::Comment(text) => text,
                Content::Deployment(status) => status.description,
            })
            .collect();
        found.join("\n----\n").trim_end_matches("[]").to_owned()
    }

    pub fn check(&self, name: &str) -> String {
        self.shown(|target| matches!(target, Target::CheckRun { name: n, .. } if n == name))
    }

    pub fn living_comment(&self) -> String {
        self.shown(|target| matches!(target, Target::LivingComment { .. }))
    }

    pub fn replies(&self) -> String {
        self.shown(|target| matches!(target, Target::Reply { .. }))
    }
}

#[test]
fn an_opened_pull_request_gets_two_checks_and_a_comment() {
    let mut desk = Desk::new();
    desk.opened();
    insta::assert_snapshot!(desk.check("plimsoll/policy"), @r"
    Success: All rules are met

    | | Rule | What was found |
    |---|---|---|
    | ✅ | title | The title is a conventional one. |
    | ✅ | description | There is a description. |
    | ✅ | size | 124 lines change, without generated and vendored files. |
    | ✅ | migrations are read by a database owner | It does not apply: no changed file matches. |
    ");
    insta::assert_snapshot!(desk.check("plimsoll/risk"), @"
    Neutral: High risk, 30 %

    30 % of changes like this one need a fix, a revert or a rollback.

    | Points | Why |
    |---:|---|
    | 15.8 | every change starts here |
    | +16.7 | adds 100 lines |
    | +2.0 | deletes 24 lines |
    | -1.7 | does not say that it is a fix |
    | -1.5 | touches 2 files |
    | -0.9 | has its lines mostly in one file |
    | -0.3 | touches 1 directory |
    | **30.2** | **in a hundred** |

    Model: additive-2.
    ");
    insta::assert_snapshot!(desk.living_comment(), @"
    ### 🟠 High risk: 30 %

    That many of changes like this one need a fix, a revert or a rollback. What weighs most:

    - adds 100 lines (+17 points)
    - deletes 24 lines (+2 points)
    - does not say that it is a fix (-2 points)

    **After the merge** it is released by itself:

    | Service | Way |
    |---|---|
    | `api` | `staging` → `production` (approval of 1 by members of `acme/release-managers`; 25 %, 100 %; bakes 10 min) |

    <sub>`/plimsoll help` lists what can be asked here.</sub>
    ");
}

#[test]
fn the_comment_tells_of_freezes_that_are_near_and_of_what_risk_asks_for() {
    let mut desk = Desk::new();
    let text = format!(
        "{POLICY}      freezes:
        - {{ from: \"2024-02-01 09:00\", to: \"2024-02-02 09:00\", zone: UTC, reason: far away }}
        - {{ from: \"2023-11-16 18:00\", to: \"2023-11-20 08:00\", zone: Europe/Berlin, reason: \"the fair | <b>\", pass: low }}
        - {{ from: \"2023-11-01 09:00\", to: \"2023-11-02 09:00\", zone: UTC, reason: over }}
      when_risk:
        high: {{ approvals: 2 }}
        critical: {{ approvals: 3, bake: 2h }}
"
    );
    desk.in_force(Some(policy(&text)));
    desk.opened();
    let comment = desk.living_comment();
    let way = comment.lines().find(|line| line.starts_with("| `api`")).expect("a row");
    insta::assert_snapshot!(way, @r"| `api` | `staging` → `production` (approval of 1 by members of `acme/release-managers`; 25 %, 100 %; bakes 10 min; frozen from Thu 2023-11-16 18:00 Europe/Berlin until Mon 2023-11-20 08:00 Europe/Berlin, but for low risk: the fair \| &lt;b&gt;; from high risk on approval of 2; from critical risk on approval of 3 and bakes 2 h) |");
}

#[test]
fn broken_rules_say_what_to_do() {
    let mut desk = Desk::new();
    desk.pull.title = "stuff".into();
    desk.pull.body = String::new();
    desk.files(vec![file("migrations/7.sql", 1_600, 0)]);
    desk.opened();
    insta::assert_snapshot!(desk.check("plimsoll/policy"), @r"
    Failure: 3 rules not met, 1 rule waiting for a review

    | | Rule | What was found |
    |---|---|---|
    | ❌ | title | The title `stuff` is not a conventional one: there is no colon behind a type. Write `type(scope): subject`, for instance `fix: stuff`. Usual types are `feat`, `fix`, `docs`, `refactor`, `perf`, `test`, `build`, `ci`, `chore`, `style`, `revert`. |
    | ❌ | description | There is no description. Say what changes and why. Headings, checklists and comments of a template do not count. |
    | ❌ | size | 1600 lines change; at most 1500 may. Split it into smaller pull requests that can be understood, released and taken back one by one. |
    | 🕓 | migrations are read by a database owner | It applies because `migrations/7.sql` changes. It needs the approval of 1 of `acme/dba`; 1 is missing. Ask for the review of 1 of `acme/dba`. The author's own does not count. |
    ");
    insta::assert_snapshot!(desk.living_comment(), @"
    ### 🟠 High risk: 33 %

    That many of changes like this one need a fix, a revert or a rollback. What weighs most:

    - adds 1600 lines (+27 points)
    - deletes no lines (-4 points)
    - has its lines mostly in one file (-2 points)

    **Policy**: 3 rules not met, 1 rule waiting for a review; the check `plimsoll/policy` says how to mend it.

    It touches no service: nothing is released.

    <sub>`/plimsoll help` lists what can be asked here.</sub>
    ");
}

#[test]
fn who_approved_counts_though_the_files_cannot_be_read() {
    let mut desk = Desk::new();
    let need = Need::PullFiles { number: desk.pull.number, head_sha: desk.pull.head_sha.clone() };
    desk.facts.insert(need, Fact::Absent(Absence::Refused { message: "no".into() }));
    desk.opened();
    assert!(desk.facts.has(&Need::PullReviews { number: desk.pull.number }));
    let (number, head_sha, base_ref) = (desk.pull.number, desk.pull.head_sha.clone(), desk.pull.base_ref.clone());
    assert!(desk.facts.has(&Need::Past { number, head_sha, base_ref }), "and what the history tells");
}

#[test]
fn a_draft_is_judged_and_what_is_missing_is_asked_for() {
    let mut desk = Desk::new();
    desk.pull.title = "stuff".into();
    desk.pull.draft = true;
    desk.opened();
    let check = desk.check("plimsoll/policy");
    assert!(check.starts_with("ActionRequired: 1 rule not met (draft)"), "{check}");
}

#[test]
fn a_proposed_policy_is_linted_line_by_line_and_the_present_one_judges() {
    let mut desk = Desk::new();
    desk.files(vec![file(POLICY_PATH, 3, 0)]);
    let need = Need::FileAt { path: POLICY_PATH.into(), sha: desk.pull.head_sha.clone() };
    desk.facts.insert(need, Fact::FileAt("version: 1\nservcies:\n  api: { paths: [\"**\"] }\n".into()));
    desk.opened();
    insta::assert_snapshot!(desk.check("plimsoll/policy"), @r#"
    Failure: The proposed policy file is broken

    This pull request changes `.github/plimsoll.yml`, and the new file has problems:

    - plimsoll.yml line 2, column 1: Unknown key `servcies`. Did you mean `services`?

    | | Rule | What was found |
    |---|---|---|
    | ✅ | title | The title is a conventional one. |
    | ✅ | description | There is a description. |
    | ✅ | size | 3 lines change, without generated and vendored files. |
    | ✅ | migrations are read by a database owner | It does not apply: no changed file matches. |
    [
        Annotation {
            path: ".github/plimsoll.yml",
            line: 2,
            column: Some(
                1,
            ),
            level: Failure,
            message: "Unknown key `servcies`. Did you mean `services`?",
        },
    ]
    "#);
}

#[test]
fn without_a_policy_file_it_says_how_to_begin() {
    let mut desk = Desk::new();
    let none = PolicyInForce { policy: crate::domain::policy::Policy::without_file(), blob: None, ..policy(POLICY) };
    desk.in_force(Some(none));
    desk.opened();
    insta::assert_snapshot!(desk.check("plimsoll/policy"), @r"
    Success: No rules

    There are no rules. They live in `.github/plimsoll.yml` on the default branch, under `checks`.
    ");
    let comment = desk.living_comment();
    assert!(comment.contains("Nothing is deployed from here"));
    let file =
        comment.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a file to begin with");
    assert_eq!(parse(file, POLICY_PATH, &repo()).problems, [], "the file to begin with is good");
}

#[test]
fn a_broken_policy_on_the_default_branch_is_named_with_who_broke_it() {
    let mut desk = Desk::new();
    let problems = parse("version: 1\nchekcs: {}\n", POLICY_PATH, &repo()).problems;
    desk.in_force(Some(PolicyInForce { problems, broken_by: Some(Login::new("linus")), ..policy(POLICY) }));
    desk.opened();
    let check = desk.check("plimsoll/policy");
    insta::assert_snapshot!(check.lines().take(6).collect::<Vec<_>>().join("\n"), @r"
    Success: All rules are met

    > [!WARNING]
    > The policy file on the default branch is broken since linus pushed it. The last good one stays in force.
    >
    > - plimsoll.yml line 2, column 1: Unknown key `chekcs`. Did you mean `checks`?
    ");
}

#[test]
fn before_the_policy_was_read_it_is_asked_for_and_nothing_is_shown() {
    let mut desk = Desk::new();
    desk.in_force(None).opened();
    assert!(matches!(&desk.forwards[..], [(Subject::Repository { .. }, Event::Signal(Signal::PolicyWanted { .. }))]));
    assert_eq!(desk.living_comment(), "");
    desk.in_force(Some(policy(POLICY))).play(Event::Signal(Signal::PolicyReady));
    assert!(desk.living_comment().contains("risk"));
}

#[test]
fn a_stale_delivery_makes_us_ask_github() {
    let mut desk = Desk::new();
    desk.opened();
    let old = desk.pull.clone();
    desk.pull.title = "fix: charge in cents".into();
    desk.changed(PullAction::Edited);
    let event = Event::PullChanged { action: PullAction::Opened, pull: Box::new(old) };
    assert_eq!(needs(&desk.state, &event, &Facts::default(), desk.now)[0], Need::Pull { number: PullNumber(7) });
}

#[test]
fn a_late_delivery_of_a_closing_ends_no_hold_of_a_pull_request_that_is_open_again() {
    let mut desk = Desk::new();
    desk.opened().comment(1, "ada", "/plimsoll hold production");
    let mut closed = desk.pull.clone();
    closed.open = false;
    closed.updated_at = closed.updated_at.plus(Span::seconds(20));
    desk.pull.updated_at = closed.updated_at.plus(Span::seconds(5));
    desk.forwards.clear();
    desk.now = closed.updated_at.plus(Span::seconds(61));
    desk.play(Event::PullChanged { action: PullAction::Closed, pull: Box::new(closed.clone()) });
    assert_eq!(desk.forwards, []);
    closed.updated_at = desk.pull.updated_at.plus(Span::seconds(5));
    desk.now = closed.updated_at.plus(Span::seconds(60));
    desk.play(Event::PullChanged { action: PullAction::Closed, pull: Box::new(closed) });
    assert!(matches!(&desk.forwards[..], [(_, Event::Signal(Signal::PullEnded { .. })), ..]), "{:?}", desk.forwards);
}

#[test]
fn a_merge_is_handed_to_the_pipelines_of_the_touched_services_once() {
    let mut desk = Desk::new();
    desk.files(vec![file("services/api/a.rs", 1, 1), file("web/b.ts", 1, 1), file("README.md", 1, 0)]);
    desk.opened();
    desk.pull.open = false;
    desk.pull.merged = true;
    desk.pull.merge_commit_sha = Some(sha(9));
    desk.pull.merged_by = Some(Login::new("linus"));
    desk.changed(PullAction::Closed).changed(PullAction::Closed);
    let services: Vec<String> = desk.forwards.iter().map(|(to, _)| to.to_string()).collect();
    assert_eq!(services, ["pipeline:acme/shop/api", "pipeline:acme/shop/web"]);
    let Event::Signal(Signal::ReleaseWanted { change, sha: merged, .. }) = &desk.forwards[0].1 else {
        panic!("a release")
    };
    assert_eq!((change.merged_by.clone(), merged.clone()), (Some(Login::new("linus")), sha(9)));
    insta::assert_snapshot!(desk.living_comment(), @"
    ### 🟢 Low risk: 10 %

    That many of changes like this one need a fix, a revert or a rollback. What weighs most:

    - adds 3 lines (-6 points)
    - spreads its lines as if evenly over 3 files (+2 points)
    - does not say that it is a fix (-1 point)

    **Merged**: it is released now.

    | Service | Way |
    |---|---|
    | `api` | `staging` → `production` (approval of 1 by members of `acme/release-managers`; 25 %, 100 %; bakes 10 min) |
    | `web` | `staging` → `production` (approval of 1 by members of `acme/release-managers`; 25 %, 100 %; bakes 10 min) |

    <sub>`/plimsoll help` lists what can be asked here.</sub>
    ");
}

#[test]
fn after_the_merge_the_comment_tells_what_has_happened() {
    let mut desk = Desk::new();
    desk.opened();
    desk.pull.open = false;
    desk.pull.merged = true;
    desk.pull.merge_commit_sha = Some(sha(9));
    desk.changed(PullAction::Closed);
    let stage = |name: &str, standing, text: &str, url: Option<&str>| StageBrief {
        environment: EnvironmentName::new(name),
        standing,
        text: text.into(),
        url: url.map(str::to_owned),
    };
    let brief = ReleaseBrief {
        number: ReleaseNumber(3),
        sha: sha(9),
        stages: vec![
            stage("staging", StageStanding::Live, "is live", Some("https://github.com/acme/shop/actions/runs/5")),
            stage("production", StageStanding::Running, "step 1 of 2 (25 %) is running", None),
        ],
    };
    let signal = Signal::ReleaseMoved { service: ServiceName::new("api"), brief: Box::new(brief) };
    desk.play(Event::Signal(signal));
    insta::assert_snapshot!(desk.living_comment(), @"
    ### 🟠 High risk: 30 %

    That many of changes like this one need a fix, a revert or a rollback. What weighs most:

    - adds 100 lines (+17 points)
    - deletes 24 lines (+2 points)
    - does not say that it is a fix (-2 points)

    **Merged.** Where it is now:

    | `api` release 3 (`0000009`) | |
    |---|---|
    | 🟢 `staging` | is live ([run](https://github.com/acme/shop/actions/runs/5)) |
    | 🔵 `production` | step 1 of 2 (25 %) is running |

    <sub>`/plimsoll help` lists what can be asked here.</sub>
    ");
}

#[test]
fn a_merge_into_another_branch_is_not_released() {
    let mut desk = Desk::new();
    desk.pull.base_ref = RefName::new("next");
    desk.opened();
    desk.pull.open = false;
    desk.pull.merged = true;
    desk.pull.merge_commit_sha = Some(sha(9));
    desk.changed(PullAction::Closed);
    assert!(desk.forwards.is_empty());
    assert!(desk.living_comment().contains("It goes into `next`, not into `main`: nothing is released."));
}

#[test]
fn a_command_is_seen_at_once_and_passed_to_the_pipeline() {
    let mut desk = Desk::new();
    desk.opened().comment(50, "grace", "Good.\n\n/plimsoll approve production");
    assert!(matches!(&desk.acts[..], [(_, Act::React { comment: CommentId(50) })]));
    assert!(matches!(&desk.forwards[..], [(Subject::Pipeline { .. }, Event::Signal(Signal::Commanded { .. }))]));
    assert_eq!(desk.replies(), "", "nothing is said before there is an answer");
    let answer = Signal::CommandAnswered {
        comment: CommentId(50),
        index: 0,
        from: ServiceName::new("api"),
        answer: "✅ grace approved.".into(),
        settled: true,
    };
    desk.play(Event::Signal(answer));
    insta::assert_snapshot!(desk.replies(), @"✅ grace approved.");
}

#[test]
fn the_same_comment_twice_is_obeyed_once() {
    let mut desk = Desk::new();
    desk.opened().comment(50, "grace", "/plimsoll rollback production").comment(
        50,
        "grace",
        "/plimsoll rollback production",
    );
    assert_eq!((desk.acts.len(), desk.forwards.len()), (1, 1));
}

#[test]
fn what_cannot_be_understood_or_is_not_allowed_is_answered() {
    let mut desk = Desk::new();
    desk.opened();
    desk.comment(
        51,
        "mallory",
        "/plimsoll recheck\n/plimsoll aprove production\n/plimsoll approve production --service apo",
    );
    insta::assert_snapshot!(desk.replies(), @r"
    ⛔ @mallory, only the author and people with write permission may ask for a recheck. Nothing was changed.

    ⛔ `aprove` is not a command. Did you mean `approve`?

    ⛔ There is no service `apo`; there is `api`, `web`. Nothing was changed.
    ");
}

#[test]
fn quotes_code_and_bots_command_nothing() {
    let mut desk = Desk::new();
    desk.opened().comment(
        52,
        "grace",
        "> /plimsoll rollback production\n\n```\n/plimsoll rollback production\n```\n`/plimsoll help`",
    );
    assert!(desk.acts.is_empty() && desk.forwards.is_empty());
}

#[test]
fn hostile_titles_and_names_stay_words() {
    let mut desk = Desk::new();
    desk.pull.title = "@everyone <img src=x onerror=alert(1)> | [x](javascript:alert(1)) `".into();
    desk.opened();
    for text in [desk.check("plimsoll/policy"), desk.living_comment()] {
        let mut page = String::new();
        pulldown_cmark::html::push_html(
            &mut page,
            pulldown_cmark::Parser::new_ext(&text, pulldown_cmark::Options::all()),
        );
        assert!(!page.contains("<img") && !page.contains("href=\"javascript"), "{page}");
    }
}

#[test]
fn a_change_of_one_release_is_kept_apart_from_older_ones() {
    let change = Change {
        pull: PullNumber(1),
        title: String::new(),
        author: Login::new("ada"),
        merged_by: None,
        people: Vec::new(),
        risk: None,
        sha: sha(1),
        drivers: Vec::new(),
        issues: Vec::new(),
        irreversible: Vec::new(),
        files: 0,
        reverts: Vec::new(),
    };
    let text = serde_json::to_string(&change).expect("plain data");
    assert_eq!(serde_json::from_str::<Change>(&text).expect("read back"), change);
}

#[test]
fn a_read_that_skipped_the_comments_does_not_stand_for_a_look_at_them() {
    let mut desk = Desk::new();
    desk.opened();
    let commented = desk.now;
    // The comment's own delivery is lost; a review's arrives, and only the pull request is read for it.
    desk.now = commented.plus(Span::minutes(2));
    desk.play(Event::ReviewChanged { number: PullNumber(7) });
    let look = Event::LookIfNewer { updated_at: commented };
    let wanted = needs(&desk.state, &look, &Facts::default(), desk.now);
    assert!(wanted.iter().any(|need| matches!(need, Need::Comments { .. })), "{wanted:?}");
    desk.play(look.clone());
    assert_eq!(needs(&desk.state, &look, &Facts::default(), desk.now), [], "once is enough");
}

#[test]
fn a_closed_pull_request_does_not_wake_for_a_policy_that_is_not_there() {
    let mut desk = Desk::new();
    desk.in_force(None).opened();
    let State::PullRequest(open) = desk.state.clone() else { panic!("a pull request") };
    assert!(wake_at(&open, desk.now).is_some());
    desk.pull.open = false;
    desk.changed(PullAction::Closed);
    let State::PullRequest(closed) = desk.state.clone() else { panic!("a pull request") };
    assert_eq!(wake_at(&closed, desk.now), None);
}
