//! The client against a scripted server, as sentences.

use super::*;
use crate::domain::effect::{Act, Work};
use crate::domain::facts::{Absence, PolicyFile};
use crate::github::script::{Hands, Play, Script, key};
use secrecy::SecretString;
use serde_json::json;

#[tokio::test]
async fn twenty_first_calls_mint_one_token() {
    let github = Script::start(|_, _| repository()).await;
    let (client, _) = github.client();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { observe(&client, Need::Repository).await })
        })
        .collect();
    for call in calls {
        assert!(matches!(call.await.unwrap(), Ok(Fact::Repository(_))));
    }
    assert_eq!((github.minted(), github.seen().len()), (1, 20));
    assert!(github.seen().iter().all(|seen| seen.header("authorization") == "Bearer token-1"));
}

#[tokio::test]
async fn every_request_says_who_asks_and_for_which_version() {
    let github = Script::start(|_, _| repository()).await;
    let (client, _) = github.client();
    observe(&client, Need::Repository).await.unwrap();
    let seen = &github.seen()[0];
    assert_eq!(seen.line(), "GET /repos/acme/shop");
    assert_eq!(seen.header("accept"), "application/vnd.github+json");
    assert_eq!(seen.header("x-github-api-version"), "2022-11-28");
    assert!(seen.header("user-agent").starts_with("plimsoll/"));
}

#[tokio::test]
async fn twenty_calls_that_wait_for_a_token_share_the_failure_to_get_one() {
    let github = Script::raw(|_, _| Play::json(500, json!({}))).await;
    let (client, _) = github.client();
    let (first, second) = tokio::join!(observe(&client, Need::Repository), observe(&client, Need::Repository));
    assert!(matches!(first, Err(GitHubError::Unavailable { .. })));
    assert_eq!(first, second);
    assert_eq!(github.minted(), 1);
    assert!(observe(&client, Need::Repository).await.is_err());
    assert_eq!(github.minted(), 2, "who comes later tries again");
}

#[tokio::test]
async fn a_token_is_renewed_five_minutes_before_it_runs_out() {
    let github = Script::start(|_, _| repository()).await;
    let (client, clock) = github.client();
    for (forward, minted) in [(Span(0), 1), (Span::minutes(54), 1), (Span::minutes(1), 2)] {
        clock.forward(forward);
        observe(&client, Need::Repository).await.unwrap();
        assert_eq!(github.minted(), minted);
    }
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_replaced_once() {
    let github = Script::start(|seen, _| match seen.header("authorization") {
        "Bearer token-1" => Play::json(401, json!({"message": "Bad credentials"})),
        _ => repository(),
    })
    .await;
    let (client, _) = github.client();
    assert!(observe(&client, Need::Repository).await.is_ok());
    assert_eq!((github.minted(), github.seen().len()), (2, 2));

    let github = Script::start(|_, _| Play::json(401, json!({"message": "Bad credentials"}))).await;
    let (client, _) = github.client();
    let refused = observe(&client, Need::Repository).await.unwrap_err();
    assert_eq!(refused.to_string(), "GitHub refused `GET /repos/acme/shop` with 401: Bad credentials");
    assert_eq!((github.minted(), github.seen().len()), (2, 2));
}

#[tokio::test]
async fn a_refusal_in_the_moment_after_minting_is_asked_about_once_more() {
    let forbidden = || Play::json(403, json!({"message": "Resource not accessible by integration"}));
    let github = Script::start(move |_, before| if before == 1 { forbidden() } else { repository() }).await;
    let (client, _) = github.client();
    assert!(matches!(observe(&client, Need::Repository).await, Ok(Fact::Repository(_))));

    let github = Script::start(move |_, _| forbidden()).await;
    let (client, clock) = github.client();
    let absent = Fact::Absent(Absence::Refused { message: "Resource not accessible by integration".to_owned() });
    assert_eq!(observe(&client, Need::Repository).await, Ok(absent.clone()));
    assert_eq!(github.seen().len(), 2);
    clock.forward(Span::seconds(10));
    assert_eq!(observe(&client, Need::Repository).await, Ok(absent));
    assert_eq!(github.seen().len(), 3, "an older token is known everywhere");
}

#[tokio::test]
async fn a_read_follows_a_renamed_repository_but_the_token_never_leaves() {
    let github = Script::start(|seen, _| match seen.path.as_str() {
        "/repos/acme/shop" => Play::json(301, json!({})).with("location", "/repositories/7"),
        _ => repository(),
    })
    .await;
    let (client, _) = github.client();
    assert!(matches!(observe(&client, Need::Repository).await, Ok(Fact::Repository(_))));
    assert_eq!(github.lines(), ["GET /repos/acme/shop", "GET /repositories/7"]);
    assert_eq!(github.seen()[1].header("authorization"), "Bearer token-1");

    let elsewhere = Script::start(|_, _| repository()).await;
    let target = format!("{}/repositories/7", elsewhere.url);
    let github = Script::start(move |_, _| Play::json(301, json!({})).with("location", target.clone())).await;
    let (client, _) = github.client();
    let refused = observe(&client, Need::Repository).await.unwrap_err();
    assert!(refused.to_string().ends_with("GitHub redirects to another host"), "{refused}");
    assert!(elsewhere.lines().is_empty());

    let github = Script::start(|_, _| Play::json(307, json!({})).with("location", "/repositories/7")).await;
    let (client, _) = github.client();
    assert!(matches!(dispatch(&client).await, Err(GitHubError::Refused { status: 307, .. })));
    assert_eq!(github.seen().len(), 1, "a write is never sent on");
}

#[tokio::test]
async fn a_write_that_got_no_answer_may_have_happened_and_is_sent_once() {
    let plays = [Play::json(502, json!({})), Play::json(500, json!({})), Play::Close, Play::Hang];
    for play in plays {
        let shown = format!("{play:?}");
        let github = Script::start(move |_, _| play.clone()).await;
        let (client, _) = github.client_with(|settings| settings.timeout = Span(300));
        let told = dispatch(&client).await;
        assert!(matches!(told, Err(GitHubError::Uncertain { .. })), "{shown}: {told:?}");
        assert_eq!(github.seen().len(), 1, "{shown}");
        let told = observe(&client, Need::Repository).await;
        assert!(matches!(told, Err(GitHubError::Unavailable { .. })), "{shown}: {told:?}");
        assert_eq!(github.seen().len(), 2, "{shown}");
    }
}

#[tokio::test]
async fn a_write_that_github_gave_up_on_may_have_happened_too() {
    let gave_up = json!({"message": "Server Error: Sorry, this diff is taking too long to generate."});
    let github = Script::start(move |_, _| Play::json(500, gave_up.clone())).await;
    let told = dispatch(&github.client().0).await;
    assert!(matches!(told, Err(GitHubError::Uncertain { .. })), "{told:?}");
    assert_eq!(github.seen().len(), 1);
}

#[tokio::test]
async fn a_write_that_was_never_sent_surely_did_not_happen() {
    let token = json!({"token": "t", "expires_at": "2023-11-14T23:13:20Z"});
    let github = Script::raw(move |seen, _| match seen.path.ends_with("/access_tokens") {
        true => Play::json(201, token.clone()).with("connection", "close"),
        false => repository().with("connection", "close"),
    })
    .await;
    let (client, _) = github.client();
    observe(&client, Need::Repository).await.unwrap();
    drop(github);
    tokio::task::yield_now().await;
    let told = dispatch(&client).await;
    assert!(matches!(told, Err(GitHubError::Unavailable { .. })), "{told:?}");
    assert!(!told.unwrap_err().to_string().contains("127.0.0.1"), "addresses stay out of messages");
}

#[tokio::test]
async fn a_write_that_could_not_be_sent_in_time_is_given_back() {
    let hands: Arc<OnceLock<Arc<Hands>>> = Arc::default();
    let slow = Arc::clone(&hands);
    let github = Script::raw(move |seen, _| {
        slow.get().unwrap().forward(Span::seconds(31));
        match seen.path.ends_with("/access_tokens") {
            true => Play::json(201, json!({"token": "t", "expires_at": "2023-11-14T23:13:20Z"})),
            false => Play::json(204, json!(null)),
        }
    })
    .await;
    let (client, clock) = github.client();
    assert!(hands.set(clock).is_ok());
    assert!(matches!(dispatch(&client).await, Err(GitHubError::Wait { wait: Span(1_000), .. })));
    assert!(github.lines().is_empty());
    assert!(dispatch(&client).await.is_ok(), "the token is there by now");
}

#[tokio::test]
async fn a_limit_is_remembered_for_its_installation_alone() {
    let github = Script::start(|seen, _| match seen.header("authorization") {
        "Bearer token-1" => Play::json(403, json!({"message": "You have exceeded a secondary rate limit."})),
        _ => repository(),
    })
    .await;
    let (client, clock) = github.client();
    let wait = |seconds| GitHubError::Wait { what: "GET /repos/acme/shop".to_owned(), wait: Span::seconds(seconds) };
    assert_eq!(observe(&client, Need::Repository).await, Err(wait(60)));
    clock.forward(Span::seconds(20));
    assert_eq!(observe(&client, Need::Repository).await, Err(wait(40)));
    assert_eq!(github.seen().len(), 1, "nobody asked again");
    let other = client.observe(InstallationId(9), &shop(), &Need::Repository).await;
    assert!(matches!(other, Ok(Fact::Repository(_))));
    clock.forward(Span::seconds(40));
    assert_eq!(observe(&client, Need::Repository).await, Err(wait(120)));
}

#[tokio::test]
async fn writes_are_paced_before_github_says_so() {
    let github = Script::start(|_, _| Play::json(204, json!(null))).await;
    let (client, _) = github.client_with(|settings| settings.writes_per_minute = 2);
    assert!(dispatch(&client).await.is_ok() && dispatch(&client).await.is_ok());
    let told = dispatch(&client).await;
    assert!(matches!(told, Err(GitHubError::Wait { wait: Span(60_000), .. })), "{told:?}");
    assert_eq!(github.seen().len(), 2);
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again_and_shown_to_nobody_else() {
    let github = Script::start(|seen, _| match seen.header("if-none-match") {
        "\"v1\"" => Play::Answer { status: 304, headers: Vec::new(), body: String::new() },
        _ => repository().with("etag", "\"v1\""),
    })
    .await;
    let (client, _) = github.client();
    let first = observe(&client, Need::Repository).await.unwrap();
    assert_eq!(observe(&client, Need::Repository).await.unwrap(), first);
    let other = client.observe(InstallationId(9), &shop(), &Need::Repository).await;
    assert_eq!(other.unwrap(), first);
    let asked: Vec<_> = github.seen().iter().map(|seen| seen.header("if-none-match").to_owned()).collect();
    assert_eq!(asked, ["", "\"v1\"", ""]);
}

#[tokio::test]
async fn pages_are_read_to_the_end_at_the_same_place() {
    let github = Script::start(|seen, _| {
        let page = |n: u32| json!([{"filename": format!("{n}.rs"), "status": "added", "additions": n, "deletions": 0}]);
        let link = |n: u32| format!("<https://evil.example/repositories/7/pulls/42/files?page={n}>; rel=\"next\"");
        match seen.path.split_once('?').unwrap().1 {
            "per_page=100" => Play::json(200, page(1)).with("link", link(2)),
            "page=2" => Play::json(200, page(2)).with("link", link(3)),
            _ => Play::json(200, page(3)),
        }
    })
    .await;
    let (client, _) = github.client();
    let need = Need::PullFiles { number: PullNumber(42), head_sha: sha() };
    let Ok(Fact::PullFiles(files)) = observe(&client, need).await else { panic!() };
    assert_eq!(files.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["1.rs", "2.rs", "3.rs"]);
    assert!(!files.cut);
    assert_eq!(github.lines()[2], "GET /repos/acme/shop/pulls/42/files?page=3");
}

#[tokio::test]
async fn a_list_that_does_not_end_is_cut() {
    let github =
        Script::start(|_, _| Play::json(200, json!([])).with("link", "<https://x.example/?p=2>; rel=next")).await;
    let (client, _) = github.client();
    let need = Need::PullFiles { number: PullNumber(42), head_sha: sha() };
    let Ok(Fact::PullFiles(files)) = observe(&client, need).await else { panic!() };
    assert!(files.cut);
    assert_eq!(github.seen().len(), 30);
}

#[tokio::test]
async fn a_suspended_or_deleted_installation_is_gone() {
    let suspended = json!({"message": "This installation has been suspended"});
    let github = Script::raw(move |_, _| Play::json(403, suspended.clone())).await;
    let (client, _) = github.client();
    insta::assert_snapshot!(observe(&client, Need::Repository).await.unwrap_err(),
        @"`POST /app/installations/8/access_tokens` is gone from GitHub: the installation of the App was suspended on GitHub");
    let github = Script::raw(|_, _| Play::json(404, json!({"message": "Not Found"}))).await;
    let (client, _) = github.client();
    insta::assert_snapshot!(dispatch(&client).await.unwrap_err(),
        @"`POST /app/installations/8/access_tokens` is gone from GitHub: the App is not installed there any more, or the installation is of another App");
    let github = Script::raw(|_, _| Play::json(401, json!({"message": "A JSON web token could not be decoded"}))).await;
    let (client, _) = github.client();
    insta::assert_snapshot!(client.app_identity().await.unwrap_err(),
        @"GitHub refused `GET /app` with 401: A JSON web token could not be decoded");
    insta::assert_snapshot!(observe(&client, Need::Repository).await.unwrap_err(),
        @"GitHub refused `POST /app/installations/8/access_tokens` with 401: A JSON web token could not be decoded (do the App's id and its private key belong together?)");
}

#[tokio::test]
async fn refusals_of_reads_are_answers_and_refusals_of_writes_are_told_in_githubs_words() {
    for status in [404, 410, 451] {
        let github = Script::start(move |_, _| Play::json(status, json!({"message": "No"}))).await;
        let (client, _) = github.client();
        assert_eq!(observe(&client, Need::Repository).await, Ok(Fact::Absent(Absence::NotFound)));
        assert_eq!(observe(&client, Need::PolicyFile).await, Ok(Fact::PolicyFile(PolicyFile::Missing)));
    }
    let github = Script::start(|_, _| {
        Play::json(
            422,
            json!({"message": "Unexpected inputs provided", "errors": [{"field": "ref", "code": "invalid"}]}),
        )
    })
    .await;
    let (client, _) = github.client();
    insta::assert_snapshot!(dispatch(&client).await.unwrap_err(),
        @"GitHub refused `POST /repos/acme/shop/actions/workflows/deploy.yml/dispatches` with 422: Unexpected inputs provided: ref is invalid");
    let github = Script::start(|_, _| Play::json(404, json!({"message": "Not Found"}))).await;
    let (client, _) = github.client();
    insta::assert_snapshot!(dispatch(&client).await.unwrap_err(),
        @"`POST /repos/acme/shop/actions/workflows/deploy.yml/dispatches` is gone from GitHub: Not Found");
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_not_json_is_given_up() {
    let large = Play::Answer { status: 200, headers: Vec::new(), body: "x".repeat(5_000) };
    let github = Script::start(move |_, _| large.clone()).await;
    let (client, _) = github.client_with(|settings| settings.answer_bytes_max = 4_000);
    let told = observe(&client, Need::Repository).await.unwrap_err().to_string();
    assert!(told.ends_with("the answer is larger than 4000 bytes"), "{told}");
    assert!(matches!(dispatch(&client).await, Err(GitHubError::Uncertain { .. })));
    let (client, _) = github.client();
    let told = observe(&client, Need::Repository).await;
    assert!(matches!(told, Ok(Fact::Absent(Absence::Unusable { .. }))), "{told:?}");
}

#[tokio::test]
async fn the_apps_own_token_is_dated_back_and_short() {
    let github = Script::start(|_, _| Play::json(200, json!({"id": 12345, "slug": "plimsoll"}))).await;
    let (client, _) = github.client();
    assert_eq!(client.app_identity().await.unwrap().slug, "plimsoll");
    let header = github.seen()[0].header("authorization").to_owned();
    let claims = header.strip_prefix("Bearer ").unwrap().split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    assert_eq!(String::from_utf8(claims).unwrap(), r#"{"iat":1699999940,"exp":1700000480,"iss":"12345"}"#);
}

#[test]
fn a_key_is_taken_in_each_form_and_a_wrong_one_refused_in_words() {
    let client = |pem: String| {
        let settings = ClientSettings::new("https://api.github.com", "12345", SecretString::from(pem));
        Client::new(settings, Arc::new(Hands::default())).map(|_| ())
    };
    let (one, eight) = (key().expose_secret().to_owned(), include_str!("../../tests/fixtures/app-key-pkcs8.pem"));
    assert_eq!(client(one.clone()), Ok(()));
    assert_eq!(client(eight.to_owned()), Ok(()));
    assert_eq!(client(one.trim().replace('\n', "\\n")), Ok(()));
    let said = |pem: &str| client(pem.to_owned()).unwrap_err().to_string();
    insta::assert_snapshot!(said("hush"), @"the App's private key cannot be used: it does not begin with `-----BEGIN`; download a new one from the App's settings page");
    let cut = &one[..one.len() / 2];
    assert!(said(cut).contains("cannot be used") && !said(cut).contains(&one[40..60]));
    assert!(client(one.replace("RSA PRIVATE KEY", "CERTIFICATE")).is_err());
    let settings = ClientSettings::new("https://api.github.com", " ", key());
    assert_eq!(Client::new(settings, Arc::new(Hands::default())).err(), Some(ClientProblem::Issuer));
}

fn repository() -> Play {
    Play::json(200, json!({"full_name": "acme/shop", "default_branch": "main", "archived": false}))
}

fn shop() -> RepoName {
    RepoName::parse("acme/shop").unwrap()
}

fn sha() -> Sha {
    Sha::parse(&"a".repeat(40)).unwrap()
}

async fn observe(client: &Client, need: Need) -> Result<Fact, GitHubError> {
    client.observe(InstallationId(8), &shop(), &need).await
}

async fn dispatch(client: &Client) -> Result<Done, GitHubError> {
    let act = Act::DispatchWorkflow {
        workflow: WorkflowFile::new("deploy.yml"),
        branch: RefName::new("main"),
        inputs: [("sha".to_owned(), "a".repeat(40))].into(),
    };
    let effect = Effect {
        key: EffectKey::new("acme/shop/api/release-1/production/step-1/attempt-1"),
        subject: Subject::Pipeline { repo: shop(), service: ServiceName::new("api") },
        installation: InstallationId(8),
        work: Work::Act(act),
    };
    client.perform(&effect, None).await
}
