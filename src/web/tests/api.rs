//! The API's doors. The token `run` stands for a right one of a workflow run, `down` for an issuer that does not answer.

use super::*;
use crate::domain::ids::{EnvironmentName, RepoName, RunId, Sha};
use crate::engine::ports::{CallerError, Claims};
use crate::web::api::Api;

const READER: &str = "0123456789abcdef0123456789abcdef";

pub struct Told;

impl Callers for Told {
    async fn verify(&self, token: &str) -> Result<Claims, CallerError> {
        match token {
            "run" => Ok(Claims {
                repository: RepoName::parse("acme/shop").unwrap(),
                run: RunId(7),
                attempt: 1,
                environment: Some(EnvironmentName::new("production")),
                sha: Sha::parse(&"a".repeat(40)).unwrap(),
            }),
            "down" => Err(CallerError::Unavailable { message: "no route to 10.0.0.1".to_owned() }),
            _ => Err(CallerError::Invalid { message: "The token does not count.".to_owned() }),
        }
    }
}

pub fn api(store: &Arc<FaultyStore>, request_timeout: Duration) -> Api<FaultyStore, Told> {
    Api {
        store: store.clone(),
        clock: Arc::new(FixedClock),
        callers: Arc::new(Told),
        arrived: Box::new(|| {}),
        token: Some(READER.into()),
        request_timeout,
    }
}

const KEY: &str = "acme/shop/api/release-7/production/step-1/attempt-1";
const GOOD: &str = r#"{"state":"success","sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#;

async fn report(house: &House, key: &str, authorization: &str, body: &str) -> Response<Body> {
    let mut request = Request::post(format!("/api/v1/deployments/{key}"));
    if !authorization.is_empty() {
        request = request.header("authorization", authorization);
    }
    house.ask(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn whoever_brings_no_right_token_is_told_nothing_else() {
    let house = house(Mood::Failing);
    for authorization in ["", "Bearer", "Bearer ", "Basic run", "Bearer other", "run"] {
        let answer = report(&house, "../etc", authorization, "no json").await;
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.status(), 401, "{authorization}");
    }
    let answer = said(report(&house, KEY, "Bearer other", "").await).await;
    assert_snapshot!(answer, @r#"401 {"title":"Unauthorized","status":401,"detail":"The token does not count.","where":"Authorization","mend":"Send `Authorization: Bearer` with the run's own OIDC token from GitHub; docs/callbacks.md shows how."}"#);
}

#[tokio::test]
async fn what_cannot_be_decided_now_is_to_be_tried_again() {
    let answer = report(&house(Mood::Well), KEY, "Bearer down", GOOD).await;
    assert_eq!(answer.headers()["retry-after"], "5");
    assert_snapshot!(said(answer).await, @r#"503 {"title":"Service Unavailable","status":503,"detail":"The token cannot be verified now: its issuer does not answer.","where":"service","mend":"Try again in a few seconds."}"#);
    for mood in [Mood::Failing, Mood::Stuck] {
        let answer = report(&house(mood), KEY, "bearer run", GOOD).await;
        assert_eq!(answer.status(), 503);
        assert!(!said(answer).await.contains("secret-path"));
    }
}

#[tokio::test]
async fn a_report_that_makes_no_sense_is_told_where_and_how_to_mend_it() {
    let house = house(Mood::Well);
    let answer = async |key: &str, body: &str| said(report(&house, key, "Bearer run", body).await).await;
    assert_snapshot!(answer(KEY, r#"{"state":"succes","sha":""}"#).await, @r#"400 {"title":"Bad Request","status":400,"detail":"The report cannot be read: unknown variant `succes`, expected one of `in_progress`, `success`, `failure` at line 1 column 17.","where":"body","mend":"Send JSON with `state` (in_progress, success or failure), `sha` (the commit in full) and, if you like, `description`."}"#);
    assert_snapshot!(answer(KEY, &GOOD.replace("sha", "commit")).await, @r#"400 {"title":"Bad Request","status":400,"detail":"The report cannot be read: unknown field `commit`, expected one of `state`, `sha`, `description` at line 1 column 27.","where":"body","mend":"Send JSON with `state` (in_progress, success or failure), `sha` (the commit in full) and, if you like, `description`."}"#);
    assert_snapshot!(answer(KEY, &GOOD.replace(&"a".repeat(40), "aaaa")).await, @r#"400 {"title":"Bad Request","status":400,"detail":"The report cannot be read: `aaaa` is not a commit hash at line 1 column 32.","where":"body","mend":"Send JSON with `state` (in_progress, success or failure), `sha` (the commit in full) and, if you like, `description`."}"#);
    assert_snapshot!(answer(KEY, &format!("{GOOD}{}", " ".repeat(4096))).await, @r#"413 {"title":"Payload Too Large","status":413,"detail":"A report has at most 4096 bytes.","where":"body","mend":"Shorten the description."}"#);
    assert_snapshot!(answer("acme/vault/api/release-1/production/step-1/attempt-1", GOOD).await, @r#"403 {"title":"Forbidden","status":403,"detail":"This report does not fit the step: the key is of another repository than the workflow run.","where":"repository","mend":"Report from the run that Plimsoll dispatched, with the key that this run was given."}"#);
    let unknown = answer(KEY, GOOD).await;
    assert_snapshot!(unknown, @r#"404 {"title":"Not Found","status":404,"detail":"No step with this key is under way.","where":"key","mend":"Use the input `plimsoll_key` as it was given, and report while the run goes on: a step that has ended hears no more reports."}"#);
    let long = format!("acme/shop/api/release-1/{}", "x".repeat(700));
    for key in ["acme/shop", "%2e%2e/shop/api/release-1/p", "acme%2Fshop/api/release-1/p", "%ff", long.as_str()] {
        assert_eq!(answer(key, GOOD).await, unknown, "{key}");
    }
}

#[tokio::test]
async fn only_readers_read_and_only_what_is_known() {
    let house = house(Mood::Well);
    let ask = async |path: &str, token: &str| {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        house.ask(request.body(Body::empty()).unwrap()).await
    };
    let service = "/api/v1/repos/acme/shop/services/api";
    let why = format!("{service}/environments/production/why");
    let risk = "/api/v1/repos/acme/shop/pulls/7/risk";
    for path in [service, why.as_str(), risk] {
        assert_eq!(house.get(path).await.status(), 401);
        assert_eq!(ask(path, "0123456789abcdef0123456789abcdeg").await.status(), 401);
        assert_eq!(ask(path, &READER[..31]).await.status(), 401);
        assert_eq!(ask(path, &format!("{READER}0")).await.status(), 401);
        assert_eq!(ask(path, "run").await.status(), 401, "a workflow run is no reader");
        assert_eq!(ask(path, READER).await.status(), 404);
    }
    assert_snapshot!(said(ask(service, READER).await).await, @r#"404 {"title":"Not Found","status":404,"detail":"Nothing is known of this service.","where":"service","mend":"Write /repos/OWNER/REPO/services/SERVICE with a service that was released or commanded before."}"#);
    assert_snapshot!(said(ask(risk, READER).await).await, @r#"404 {"title":"Not Found","status":404,"detail":"Nothing is known of this pull request.","where":"pull","mend":"Write /repos/OWNER/REPO/pulls/NUMBER/risk with a pull request that was judged before."}"#);
    for path in ["/api/v1/repos/acme/..%2f/services/api", "/api/v1/repos/acme/shop/pulls/-1/risk"] {
        assert_eq!(ask(path, READER).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn without_a_token_for_readers_there_is_nothing_to_read() {
    let store = Arc::new(FaultyStore::new(Mood::Well));
    let api = Api { token: None, ..api(&store, Duration::from_secs(1)) };
    let router: Router = crate::web::api::routes::<_, _, ()>(api).with_state(());
    let request = Request::get("/api/v1/repos/acme/shop/services/api").header("authorization", "Bearer ");
    let answer = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 404);
}
