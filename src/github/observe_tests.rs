//! Needs and their facts on the wire, as sentences.

use super::*;
use crate::engine::ports::GitHub;
use crate::github::script::{NOW, Play, Script};
use serde_json::{Value, json};

#[tokio::test]
async fn each_need_is_asked_for_where_github_answers_it() {
    let github = Script::start(|_, _| Play::json(404, json!({"message": "Not Found"}))).await;
    let (client, _) = github.client();
    for need in [
        Need::Repository,
        Need::PolicyFile,
        Need::FileAt { path: "a dir/ä.txt".to_owned(), sha: sha('a') },
        Need::Pull { number: PullNumber(42) },
        Need::PullFiles { number: PullNumber(42), head_sha: sha('a') },
        Need::PullCommits { number: PullNumber(42), head_sha: sha('a') },
        Need::PullReviews { number: PullNumber(42) },
        Need::RecentPulls { since: NOW },
        Need::Comments { number: PullNumber(42), since: NOW },
        Need::Permission { login: Login::new("dependabot[bot]") },
        Need::TeamMember { team: TeamSlug::new("acme/dba"), login: Login::new("ada") },
        Need::Commit { name: "feature/till".to_owned() },
        Need::Comparison { base: "v1".to_owned(), head: "feature/till".to_owned() },
        Need::Run { run: RunId(7) },
        Need::RunByKey { workflow: WorkflowFile::new("deploy.yml"), key: EffectKey::new("k"), since: NOW },
        Need::Checks { sha: sha('a') },
        Need::Artifact { name: "image api".to_owned() },
        Need::OpenPulls,
    ] {
        let fact = observe(&client, need.clone()).await;
        let expected = match need {
            Need::PolicyFile => Fact::PolicyFile(PolicyFile::Missing),
            Need::TeamMember { .. } => Fact::TeamMember(false),
            Need::Permission { .. } => Fact::Permission(Permission::None),
            _ => Fact::Absent(Absence::NotFound),
        };
        assert_eq!(fact, expected);
    }
    insta::assert_snapshot!(github.lines().join("\n"), @r"
    GET /repos/acme/shop
    GET /repos/acme/shop/contents/.github%2Fplimsoll.yml
    GET /repos/acme/shop/contents/a%20dir%2F%C3%A4.txt?ref=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    GET /repos/acme/shop/pulls/42
    GET /repos/acme/shop/pulls/42/files?per_page=100
    GET /repos/acme/shop/pulls/42/commits?per_page=100
    GET /repos/acme/shop/pulls/42/reviews?per_page=100
    GET /repos/acme/shop/pulls?state=all&sort=updated&direction=desc&per_page=100
    GET /repos/acme/shop/issues/42/comments?since=2023-11-14T22%3A13%3A20Z&per_page=100
    GET /repos/acme/shop/collaborators/dependabot%5Bbot%5D/permission
    GET /orgs/acme/teams/dba/memberships/ada
    GET /repos/acme/shop/commits/feature%2Ftill
    GET /repos/acme/shop/compare/v1...feature%2Ftill?per_page=100
    GET /repos/acme/shop/actions/runs/7
    GET /repos/acme/shop/actions/workflows/deploy.yml/runs?event=workflow_dispatch&created=%3E%3D2023-11-14T22%3A12%3A20Z&per_page=100
    GET /repos/acme/shop/commits/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/check-runs?filter=latest&per_page=100
    GET /repos/acme/shop/actions/artifacts?name=image%20api&per_page=100
    GET /repos/acme/shop/pulls?state=open&per_page=100
    ");
}

#[tokio::test]
async fn names_that_would_lead_elsewhere_are_not_asked_for() {
    let github = Script::start(|_, _| Play::json(200, json!({}))).await;
    let (client, _) = github.client();
    let compare = |base: &str, head: &str| Need::Comparison { base: base.to_owned(), head: head.to_owned() };
    for need in [
        Need::Commit { name: "..".to_owned() },
        Need::Commit { name: String::new() },
        Need::FileAt { path: ".".to_owned(), sha: sha('a') },
        Need::Permission { login: Login::new("..") },
        Need::TeamMember { team: TeamSlug::new("acme"), login: Login::new("ada") },
        Need::TeamMember { team: TeamSlug::new("../x"), login: Login::new("ada") },
        compare("main", ".."),
        compare("main...evil", "main"),
        Need::PolicyInForce,
    ] {
        let fact = observe(&client, need.clone()).await;
        assert!(matches!(fact, Fact::Absent(_)), "{need:?}: {fact:?}");
    }
    assert!(github.lines().is_empty());
}

#[tokio::test]
async fn a_policy_file_is_text_of_bounded_size_or_unusable() {
    let file = |content: &[u8], size: u64| {
        let content = base64::engine::general_purpose::STANDARD.encode(content);
        let (one, two) = content.split_at(content.len() / 2);
        json!({"type": "file", "encoding": "base64", "size": size, "content": format!("{one}\n{two}\n"), "sha": sha('b').as_str()})
    };
    let told = async |body: Value| {
        let github = Script::start(move |_, _| Play::json(200, body.clone())).await;
        observe(&github.client().0, Need::PolicyFile).await
    };
    let found = PolicyFile::Found { text: "version: 1 # ä\n".to_owned(), blob: sha('b') };
    assert_eq!(told(file("version: 1 # ä\n".as_bytes(), 16)).await, Fact::PolicyFile(found));
    let why = async |body| match told(body).await {
        Fact::Absent(Absence::Unusable { message }) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(file(b"\xff\xfe", 2)).await, "`.github/plimsoll.yml` is not text in UTF-8");
    assert_eq!(why(file(b"x", 300_000)).await, "`.github/plimsoll.yml` is larger than 256 KiB");
    assert_eq!(why(json!([{"type": "file", "name": "a"}])).await, "`.github/plimsoll.yml` is a directory");
    assert_eq!(why(json!({"type": "submodule"})).await, "`.github/plimsoll.yml` is not a file");
    let large = json!({"type": "file", "encoding": "none", "content": "", "size": 2});
    assert_eq!(why(large).await, "`.github/plimsoll.yml` came in an unknown encoding");
    let damaged = json!({"type": "file", "encoding": "base64", "content": "?", "size": 2});
    assert_eq!(why(damaged).await, "`.github/plimsoll.yml` came damaged");
}

#[tokio::test]
async fn a_comparison_is_read_page_by_page_and_its_files_once() {
    let page = |digit: char, files: usize| {
        let file = |n| json!({"filename": format!("{n}"), "status": "modified", "additions": 1, "deletions": 0});
        json!({"status": "ahead", "total_commits": 2, "files": (0..files).map(file).collect::<Vec<_>>(),
            "commits": [{"sha": sha(digit).as_str(), "parents": [{"sha": sha('c').as_str()}, {}],
                "author": {}, "committer": null, "commit": {"message": "m",
                    "author": {"name": "Ada", "email": "ada@example.org"},
                    "committer": {"name": "Ada", "email": "ada@example.org", "date": "2023-11-14T22:13:20Z"}}}]})
    };
    let github = Script::start(move |seen, _| match seen.path.contains("page=2") {
        true => Play::json(200, page('b', 0)),
        false => Play::json(200, page('a', 300)).with("link", "<http://x.example/?page=2>; rel=\"next\""),
    })
    .await;
    let (client, _) = github.client();
    let need = Need::Comparison { base: "main".to_owned(), head: "v2".to_owned() };
    let Fact::Comparison(comparison) = observe(&client, need).await else { panic!() };
    assert_eq!((comparison.standing, comparison.total_commits), (Standing::Ahead, 2));
    assert_eq!(comparison.commits.iter().map(|c| c.sha.clone()).collect::<Vec<_>>(), [sha('a'), sha('b')]);
    assert_eq!((comparison.files.files.len(), comparison.files.cut), (300, true));
    let ada = Person { login: None, name: "Ada".to_owned(), email: "ada@example.org".to_owned() };
    let first = &comparison.commits[0];
    assert_eq!((first.parents, &first.first_parent, &first.author), (2, &Some(sha('c')), &ada));
    assert_eq!(first.committed_at, Some(Timestamp(1_700_000_000_000)));
}

#[tokio::test]
async fn a_difference_that_github_gave_up_on_is_asked_for_once_more_and_then_has_no_answer() {
    let words = "Server Error: Sorry, this diff is taking too long to generate.";
    let coded = |message: &str| {
        let errors = json!([{"resource": "Comparison", "field": "diff", "code": "not_available"}]);
        json!({"message": message, "errors": errors})
    };
    let compare = || Need::Comparison { base: "main".to_owned(), head: "v2".to_owned() };
    let told = async |status: u16, body: Value, need: Need| {
        let github = Script::start(move |_, _| Play::json(status, body.clone())).await;
        let told = github.client().0.observe(InstallationId(7), &RepoName::parse("acme/shop").unwrap(), &need).await;
        (told, github.lines().len())
    };
    for status in [422, 500, 503] {
        for (body, says) in [
            (json!({"message": words}), words.trim_end_matches('.')),
            (coded("Server Error"), "Server Error: diff is not available"),
        ] {
            let absent = Fact::Absent(Absence::Unusable { message: says.to_owned() });
            for need in [compare(), Need::Commit { name: "v2".to_owned() }] {
                assert_eq!(told(status, body.clone(), need).await, (Ok(absent.clone()), 2), "{status}");
            }
        }
    }
    // Heavy load passes, and without its files a pull request would be judged wrongly: both are asked for later.
    let load = coded("Server Error: Sorry, this diff is temporarily unavailable due to heavy server load.");
    let files = || Need::PullFiles { number: PullNumber(42), head_sha: sha('a') };
    for status in [422, 500, 503] {
        for (body, need, times) in [(load.clone(), compare(), 1), (json!({"message": words}), files(), 2)] {
            let (told, asked) = told(status, body, need).await;
            assert!(matches!(told, Err(GitHubError::Unavailable { .. })), "{told:?}");
            assert_eq!(asked, times);
        }
    }
    let ready = json!({"status": "identical", "total_commits": 0, "commits": []});
    let github = Script::start(move |_, before| match before {
        1 => Play::json(500, json!({"message": words})),
        _ => Play::json(200, ready.clone()),
    })
    .await;
    let told = observe(&github.client().0, compare()).await;
    assert!(matches!(told, Fact::Comparison(_)), "{told:?}");
}

#[tokio::test]
async fn recent_pull_requests_end_where_nothing_changed_since() {
    let pull = |number: u32, second: u32| {
        json!({"number": number, "state": "open", "updated_at": format!("2023-11-14T22:13:{second}Z"),
            "head": {"ref": "x", "sha": sha('a').as_str()}, "base": {"ref": "main", "sha": sha('b').as_str()}})
    };
    let list = json!([pull(3, 30), pull(2, 20), pull(1, 19)]);
    let github = Script::start(move |_, _| Play::json(200, list.clone())).await;
    let Fact::RecentPulls(pulls) = observe(&github.client().0, Need::RecentPulls { since: NOW }).await else {
        panic!()
    };
    assert_eq!(pulls.iter().map(|pull| pull.number.0).collect::<Vec<_>>(), [3, 2]);
}

#[tokio::test]
async fn checks_are_what_others_say_the_newest_of_each_name() {
    let run = |id: u32, name: &str, app: u32, status: &str, conclusion: Value| {
        json!({"id": id, "name": name, "status": status, "conclusion": conclusion,
            "app": {"id": app, "slug": format!("app-{app}")}, "html_url": format!("https://x.example/{id}")})
    };
    let runs = json!({"check_runs": [
        run(1, "test", 7, "completed", json!("failure")),
        run(3, "test", 7, "completed", json!("success")),
        run(2, "lint", 7, "in_progress", Value::Null),
        run(4, "test", 8, "completed", json!("skipped")),
        run(5, "new", 8, "completed", json!("no word of today")),
        run(6, "plimsoll/risk", 12345, "completed", json!("failure")),
    ]});
    let statuses = json!({"state": "failure", "statuses": [
        {"context": "test", "state": "error", "target_url": "https://ci.example/1"},
        {"context": "size", "state": "pending", "target_url": null},
    ]});
    let github = Script::start(move |seen, _| match seen.path.contains("/check-runs") {
        true => Play::json(200, runs.clone()),
        false => Play::json(200, statuses.clone()),
    })
    .await;
    let Fact::Checks(checks) = observe(&github.client().0, Need::Checks { sha: sha('a') }).await else { panic!() };
    let told: Vec<_> = checks
        .iter()
        .map(|check| {
            let (app, url) = (check.app.as_deref().unwrap_or("-"), check.url.as_deref().unwrap_or("-"));
            format!("{} by {app}: {:?} {url}", check.name, check.standing)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    new by app-8: Failure https://x.example/5
    test by app-8: Neutral https://x.example/4
    test by app-7: Success https://x.example/3
    lint by app-7: Pending https://x.example/2
    test by -: Failure https://ci.example/1
    size by -: Pending -
    ");
}

#[tokio::test]
async fn an_artifact_is_there_until_it_expires() {
    for (name, expired, there) in [("image", false, true), ("image", true, false), ("image-2", false, false)] {
        let github = Script::start(move |_, _| {
            Play::json(200, json!({"total_count": 1, "artifacts": [{"id": 1, "name": name, "expired": expired}]}))
        })
        .await;
        let told = observe(&github.client().0, Need::Artifact { name: "image".to_owned() }).await;
        assert_eq!(told, Fact::Artifact(there));
    }
}

#[tokio::test]
async fn open_pull_requests_are_counted_page_by_page() {
    let github = Script::start(|seen, _| match seen.path.contains("page=2") {
        true => Play::json(200, json!([{"number": 1}])),
        false => Play::json(200, json!([{"number": 3}, {"number": 2}]))
            .with("link", "<http://x.example/?page=2>; rel=\"next\""),
    })
    .await;
    let told = observe(&github.client().0, Need::OpenPulls).await;
    assert_eq!(told, Fact::OpenPulls(vec![PullNumber(3), PullNumber(2), PullNumber(1)]));
}

#[tokio::test]
async fn only_an_active_member_is_a_member() {
    for (state, member) in [("active", true), ("pending", false)] {
        let github = Script::start(move |_, _| Play::json(200, json!({"state": state, "role": "member"}))).await;
        let need = Need::TeamMember { team: TeamSlug::new("acme/dba"), login: Login::new("ada") };
        assert_eq!(observe(&github.client().0, need).await, Fact::TeamMember(member));
    }
}

#[tokio::test]
async fn a_fact_that_holds_something_else_is_unusable() {
    let github = Script::start(|_, _| {
        Play::json(
            200,
            json!({"number": 1, "updated_at": "2023-11-14T22:13:20Z",
            "head": {"ref": "x", "sha": "short"}, "base": {"ref": "main", "sha": "short"}}),
        )
    })
    .await;
    let told = observe(&github.client().0, Need::Pull { number: PullNumber(1) }).await;
    let message = "`head.sha` does not hold what it should".to_owned();
    assert_eq!(told, Fact::Absent(Absence::Unusable { message }));
}

async fn observe(client: &Client, need: Need) -> Fact {
    let shop = RepoName::parse("acme/shop").unwrap();
    client.observe(InstallationId(8), &shop, &need).await.unwrap()
}

fn sha(digit: char) -> Sha {
    Sha::parse(&digit.to_string().repeat(40)).unwrap()
}
