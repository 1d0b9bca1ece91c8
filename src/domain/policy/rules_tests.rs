use super::*;
use crate::domain::facts::{ChangedFile, FileStatus};

fn files(paths: &[(&str, u64)]) -> ChangedFiles {
    let file = |(path, lines): &(&str, u64)| ChangedFile {
        path: path.to_string(),
        previous_path: None,
        status: FileStatus::Modified,
        additions: *lines,
        deletions: 0,
    };
    ChangedFiles { files: paths.iter().map(file).collect(), cut: false }
}

fn reviews(said: &[(&str, ReviewState)]) -> Vec<Review> {
    let review = |(i, (by, state)): (usize, &(&str, ReviewState))| Review {
        by: Login::new(*by),
        state: *state,
        commit: None,
        submitted_at: Timestamp(i as i64),
    };
    said.iter().enumerate().map(review).collect()
}

fn strict() -> Policy {
    let rule = Rule {
        name: "migrations are read by a database owner".to_owned(),
        changed_files: vec!["migrations/**".to_owned()],
        requires: Requirement { count: 1, teams: vec![TeamSlug::new("acme/dba")], users: vec![Login::new("linus")] },
    };
    let checks = Checks {
        title: TitleRule::Conventional,
        description: DescriptionRule::Required,
        size: Some(SizeRule { warn: Some(400), fail: Some(1500) }),
        rules: vec![rule],
    };
    Policy { checks, ..Policy::without_file() }
}

/// Grace is in the team, Bob is not, of Eve nothing is known. Grace may write, Bob may read.
fn check(policy: &Policy, pull: &PullRequest<'_>) -> Vec<RuleResult> {
    let people = People {
        member: &|_, login| match login.as_str() {
            "grace" => Some(true),
            "eve" => None,
            _ => Some(false),
        },
        permission: &|login| match login.as_str() {
            "grace" => Some(Permission::Write),
            "eve" => None,
            _ => Some(Permission::Read),
        },
    };
    judge(policy, pull, &people)
}

fn shown(results: &[RuleResult]) -> String {
    let line = |r: &RuleResult| {
        let mend = r.how_to_mend.as_ref().map_or_else(String::new, |how| format!("\n  -> {how}"));
        format!("{:?} {}: {}{mend}", r.outcome, r.name, r.explanation)
    };
    results.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_policy_without_rules_asks_for_nothing() {
    let author = Login::new("ada");
    let pull = PullRequest { title: "", body: "", author: &author, files: &files(&[("a", 99_999)]), reviews: &[] };
    let results = check(&Policy::without_file(), &pull);
    assert_eq!((results.as_slice(), overall(&results)), (&[][..], Outcome::Pass));
}

#[test]
fn a_good_pull_request_passes_every_rule() {
    let author = Login::new("ada");
    let pull = PullRequest {
        title: "feat(api)!: sell shoes",
        body: "Because people walk.",
        author: &author,
        files: &files(&[("migrations/1.sql", 12), ("Cargo.lock", 9_000)]),
        reviews: &reviews(&[("grace", ReviewState::Approved)]),
    };
    let results = check(&strict(), &pull);
    insta::assert_snapshot!(shown(&results), @"
    Pass title: The title is a conventional one.
    Pass description: There is a description.
    Pass size: 12 lines change, without generated and vendored files.
    Pass migrations are read by a database owner: It applies because `migrations/1.sql` changes. Approved by grace.
    ");
    assert_eq!(overall(&results), Outcome::Pass);
}

#[test]
fn a_bad_pull_request_is_told_how_to_mend_each_rule() {
    let author = Login::new("ada");
    let pull = PullRequest {
        title: "Sell `shoes` @everyone",
        body: "<!-- why -->\n## Why\n",
        author: &author,
        files: &files(&[("src/a.rs", 1_600), ("migrations/1.sql", 12)]),
        reviews: &reviews(&[("ada", ReviewState::Approved), ("bob", ReviewState::Approved)]),
    };
    let results = check(&strict(), &pull);
    insta::assert_snapshot!(shown(&results), @"
    Fail title: The title ``Sell `shoes` @everyone`` is not a conventional one: there is no colon behind a type.
      -> Write `type(scope): subject`, for instance ``fix: Sell `shoes` @everyone``. Usual types are `feat`, `fix`, `docs`, `refactor`, `perf`, `test`, `build`, `ci`, `chore`, `style`, `revert`.
    Fail description: There is no description.
      -> Say what changes and why. Headings, checklists and comments of a template do not count.
    Fail size: 1612 lines change; at most 1500 may.
      -> Split it into smaller pull requests that can be understood, released and taken back one by one.
    Pending migrations are read by a database owner: It applies because `migrations/1.sql` changes. It needs the approval of 1 of `acme/dba`, `linus` (with write permission); 1 is missing.
      -> Ask for the review of 1 of `acme/dba`, `linus` (with write permission). The author's own does not count.
    ");
    assert_eq!(overall(&results), Outcome::Fail);
}

#[test]
fn a_large_but_bearable_change_is_a_warning() {
    let author = Login::new("ada");
    let pull =
        PullRequest { title: "fix: x", body: "y", author: &author, files: &files(&[("src/a.rs", 401)]), reviews: &[] };
    let results = check(&strict(), &pull);
    insta::assert_snapshot!(shown(&results), @"
    Pass title: The title is a conventional one.
    Pass description: There is a description.
    Warn size: 401 lines change; more than 400 are hard to review.
      -> Split it into smaller pull requests that can be understood, released and taken back one by one.
    Pass migrations are read by a database owner: It does not apply: no changed file matches.
    ");
    assert_eq!(overall(&results), Outcome::Warn);
}

#[test]
fn a_size_that_github_does_not_say_never_passes() {
    let author = Login::new("ada");
    let outcome = |files: &ChangedFiles, bounds: SizeRule| {
        let pull = PullRequest { title: "", body: "", author: &author, files, reviews: &[] };
        let mut policy = Policy::without_file();
        policy.checks.size = Some(bounds);
        check(&policy, &pull)[0].outcome
    };
    let both = SizeRule { warn: Some(400), fail: Some(1500) };
    let warn = SizeRule { warn: Some(400), fail: None };
    let cut = ChangedFiles { cut: true, ..files(&[("a", 1)]) };
    assert_eq!(outcome(&cut, both), Outcome::Fail);
    assert_eq!(outcome(&cut, warn), Outcome::Warn);
    assert_eq!(outcome(&files(&[("a.rs", 0)]), both), Outcome::Warn);
    assert_eq!(outcome(&ChangedFiles { cut: true, ..files(&[("a", 1_501)]) }, both), Outcome::Fail);
}

/// The outcome of a rule for a change under `migrations/` after these reviews.
fn after(said: &[(&str, ReviewState)], requires: Requirement) -> Outcome {
    let author = Login::new("Ada");
    let mut policy = Policy::without_file();
    policy.checks.rules = vec![Rule { requires, ..strict().checks.rules.remove(0) }];
    let pull = PullRequest {
        title: "",
        body: "",
        author: &author,
        files: &files(&[("migrations/1.sql", 1)]),
        reviews: &reviews(said),
    };
    check(&policy, &pull)[0].outcome
}

fn needs(count: u32, teams: &[&str], users: &[&str]) -> Requirement {
    Requirement {
        count,
        teams: teams.iter().map(|team| TeamSlug::new(*team)).collect(),
        users: users.iter().map(|user| Login::new(*user)).collect(),
    }
}

#[test]
fn only_the_latest_opinion_of_each_person_counts() {
    use ReviewState::*;
    let dba = || needs(1, &["acme/dba"], &[]);
    assert_eq!(after(&[("grace", Approved)], dba()), Outcome::Pass);
    assert_eq!(after(&[("grace", Approved), ("Grace", ChangesRequested)], dba()), Outcome::Pending);
    assert_eq!(after(&[("grace", ChangesRequested), ("grace", Approved)], dba()), Outcome::Pass);
    assert_eq!(after(&[("grace", Approved), ("grace", Commented)], dba()), Outcome::Pass);
    assert_eq!(after(&[("grace", Approved), ("grace", Dismissed)], dba()), Outcome::Pending);
    assert_eq!(after(&[("grace", Approved), ("grace", Approved)], needs(2, &["acme/dba"], &[])), Outcome::Pending);
}

#[test]
fn the_authors_own_approval_does_not_count() {
    assert_eq!(after(&[("ada", ReviewState::Approved)], needs(1, &[], &["ada"])), Outcome::Pending);
}

#[test]
fn only_those_who_are_asked_count() {
    use ReviewState::Approved;
    assert_eq!(after(&[("bob", Approved)], needs(1, &["acme/dba"], &[])), Outcome::Pending);
    assert_eq!(
        after(&[("bob", Approved)], needs(1, &["acme/dba"], &["Bob"])),
        Outcome::Pending,
        "named, may only read"
    );
    assert_eq!(after(&[("grace", Approved)], needs(1, &[], &["Grace"])), Outcome::Pass, "named, and may write");
    let app = "approver[bot]";
    assert_eq!(after(&[(app, Approved)], needs(1, &[], &[app])), Outcome::Pass, "nobody can take an App's login");
    assert_eq!(after(&[("bob", Approved)], needs(1, &[], &[])), Outcome::Pending, "may only read");
    assert_eq!(after(&[("grace", Approved)], needs(1, &[], &[])), Outcome::Pass, "may write");
}

#[test]
fn what_is_not_known_yet_is_looked_up_and_never_assumed() {
    let author = Login::new("ada");
    let change = files(&[("migrations/1.sql", 1)]);
    let said = reviews(&[
        ("eve", ReviewState::Approved),
        ("linus", ReviewState::ChangesRequested),
        ("ada", ReviewState::Approved),
    ]);
    let pull = PullRequest { title: "fix: x", body: "y", author: &author, files: &change, reviews: &said };
    assert_eq!(memberships_wanted(&strict(), &pull), [(TeamSlug::new("acme/dba"), Login::new("eve"))]);
    assert_eq!(permissions_wanted(&strict(), &pull), []);
    insta::assert_snapshot!(shown(&check(&strict(), &pull)[3..]), @"Pending migrations are read by a database owner: It applies because `migrations/1.sql` changes. Whether eve may approve is being looked up.");
    let mut named = strict();
    named.checks.rules[0].requires = needs(1, &["acme/dba"], &["Eve"]);
    assert_eq!(permissions_wanted(&named, &pull), [Login::new("eve")]);
    let mut open = strict();
    open.checks.rules[0].requires = needs(1, &[], &[]);
    assert_eq!(permissions_wanted(&open, &pull), [Login::new("eve")]);
    assert_eq!(memberships_wanted(&open, &pull), []);
}

#[test]
fn a_rule_whose_files_do_not_change_asks_nobody() {
    let author = Login::new("ada");
    let change = files(&[("src/a.rs", 1)]);
    let said = reviews(&[("grace", ReviewState::Approved)]);
    let pull = PullRequest { title: "fix: x", body: "y", author: &author, files: &change, reviews: &said };
    assert_eq!(memberships_wanted(&strict(), &pull), []);
    assert_eq!(check(&strict(), &pull)[3].outcome, Outcome::Pass);
}

#[test]
fn a_cut_list_of_files_makes_every_rule_hold() {
    let author = Login::new("ada");
    let change = ChangedFiles { files: vec![], cut: true };
    let pull = PullRequest { title: "fix: x", body: "y", author: &author, files: &change, reviews: &[] };
    assert_eq!(check(&strict(), &pull)[3].outcome, Outcome::Pending);
}

#[test]
fn titles_follow_the_convention() {
    for good in
        ["fix: x", "feat(api): x", "feat!: x", "feat(a/b, c)!: x y", "wip: x", "Revert \"feat: x\"", "fix: a: b"]
    {
        assert_eq!(conventional_problem(good), None, "{good}");
    }
    let bad = [
        "x",
        ": x",
        "Fix: x",
        "fix:x",
        "fix:",
        "fix: ",
        "fix(): x",
        "fix(a: x",
        "fix(a)(b): x",
        "fix (a): x",
        "my fix: x",
        "fix!!: x",
        "fix(a)x: y",
    ];
    let told: Vec<String> =
        bad.iter().map(|title| format!("{title:?}: {}", conventional_problem(title).unwrap_or("good"))).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    "x": there is no colon behind a type
    ": x": it does not begin with a type
    "Fix: x": the type before the colon must be one word of lower-case letters
    "fix:x": there must be a blank behind the colon
    "fix:": there is no subject behind the colon
    "fix: ": there is no subject behind the colon
    "fix(): x": the scope must stand in one pair of brackets right before the colon
    "fix(a: x": the scope must stand in one pair of brackets right before the colon
    "fix(a)(b): x": the scope must stand in one pair of brackets right before the colon
    "fix (a): x": the type before the colon must be one word of lower-case letters
    "my fix: x": the type before the colon must be one word of lower-case letters
    "fix!!: x": the type before the colon must be one word of lower-case letters
    "fix(a)x: y": the scope must stand in one pair of brackets right before the colon
    "#);
}
