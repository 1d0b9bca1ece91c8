//! The door as a stranger meets it. `signed` stands for a right signature: how one is made is not this room's business.

mod api;
mod faulty;
mod sockets;

use super::*;
use crate::domain::ids::Timestamp;
use axum::body::Body;
use faulty::{FaultyStore, Mood};
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use insta::assert_snapshot;
use tokio::sync::Notify;
use tower::ServiceExt;

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }
}

/// A door over a store in a mood; the store and the bell can be looked at.
struct House {
    store: Arc<FaultyStore>,
    admitted: Arc<Notify>,
    stop: CancellationToken,
    router: Router,
}

fn house(mood: Mood) -> House {
    house_with(mood, Limits { request_timeout: Duration::from_millis(300), ..Limits::default() })
}

fn house_with(mood: Mood, limits: Limits) -> House {
    let (store, admitted, stop) = (Arc::new(FaultyStore::new(mood)), Arc::new(Notify::new()), CancellationToken::new());
    let api = api::api(&store, limits.request_timeout);
    let door = Door {
        store: store.clone(),
        clock: Arc::new(FixedClock),
        verify: Box::new(|signature, _| signature == Some("signed")),
        admitted: Box::new({
            let bell = admitted.clone();
            move || bell.notify_one()
        }),
        schema: Some("{\"title\":\"policy\"}".to_owned()),
        stop: stop.clone(),
        limits,
    };
    let router = router(door, api);
    House { store, admitted, stop, router }
}

impl House {
    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }
}

/// A delivery that is right in every way; a header given again replaces the right one, `-` leaves it out.
fn delivery(changes: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let right = [
        ("x-github-event", "pull_request"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature-256", "signed"),
        ("content-type", "application/json"),
    ];
    let mut request = Request::post("/github/webhook");
    for (name, value) in right {
        let value = changes.iter().find(|(changed, _)| *changed == name).map_or(value, |(_, value)| value);
        if value != "-" {
            request = request.header(name, value);
        }
    }
    request.body(body.into()).unwrap()
}

/// Status and body as they would be read.
async fn said(response: Response<Body>) -> String {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    format!("{status} {}", String::from_utf8(body.to_vec()).unwrap().trim_end())
}

#[tokio::test]
async fn a_delivery_is_kept_as_it_came_and_the_sorter_is_woken() {
    let house = house(Mood::Well);
    let answer = said(house.ask(delivery(&[], "{\"action\":\"opened\"}")).await).await;
    assert_snapshot!(answer, @r#"202 {"delivery":"72d3162e-cc78-11e3-81ab-4c9367dc0958","outcome":"stored"}"#);
    let kept = house.store.kept.unsorted(10).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].event.as_str(), kept[0].received_at), ("pull_request", Timestamp(1_000)));
    assert_eq!(&kept[0].body[..], b"{\"action\":\"opened\"}");
    tokio::time::timeout(Duration::from_secs(1), house.admitted.notified()).await.expect("the bell was not rung");
}

#[tokio::test]
async fn a_second_copy_and_a_changed_copy_are_taken_too() {
    let house = house(Mood::Well);
    let mut answers = Vec::new();
    for body in ["{}", "{}", "{\"other\":1}"] {
        answers.push(said(house.ask(delivery(&[], body)).await).await);
    }
    assert_snapshot!(answers.join("\n"), @r#"
    202 {"delivery":"72d3162e-cc78-11e3-81ab-4c9367dc0958","outcome":"stored"}
    202 {"delivery":"72d3162e-cc78-11e3-81ab-4c9367dc0958","outcome":"duplicate"}
    202 {"delivery":"72d3162e-cc78-11e3-81ab-4c9367dc0958","outcome":"parked"}
    "#);
}

#[tokio::test]
async fn what_is_no_json_is_kept_for_the_sorter_to_judge() {
    let house = house(Mood::Well);
    for (i, body) in ["", "not json", "\u{0}\u{1}"].iter().enumerate() {
        let id = format!("id-{i}");
        let answer = house.ask(delivery(&[("x-github-delivery", &id)], *body)).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
    assert_eq!(house.store.kept.unsorted(10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn without_the_right_signature_nothing_else_is_told() {
    let house = house(Mood::Failing);
    let wrong_everywhere = [
        ("x-github-event", "-"),
        ("x-github-delivery", "-"),
        ("content-type", "text/plain"),
        ("x-hub-signature-256", "sha256=00"),
    ];
    let wrong = said(house.ask(delivery(&wrong_everywhere, "{}")).await).await;
    let missing = said(house.ask(delivery(&[("x-hub-signature-256", "-")], "{}")).await).await;
    assert_eq!(wrong, missing);
    assert_snapshot!(wrong, @"401 X-Hub-Signature-256 is missing or wrong.");
    assert_eq!(house.store.kept.unsorted(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_signature_that_is_no_text_is_wrong() {
    let house = house(Mood::Well);
    let mut request = delivery(&[], "{}");
    request.headers_mut().insert("x-hub-signature-256", HeaderValue::from_bytes(b"sha256=\xff").unwrap());
    assert_eq!(house.ask(request).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn headers_that_are_missing_or_odd_are_named() {
    let house = house(Mood::Well);
    let long = "a".repeat(65);
    for bad in ["-", "", "Pull_Request", "pull request", "../x", long.as_str()] {
        let answer = said(house.ask(delivery(&[("x-github-event", bad)], "{}")).await).await;
        assert_eq!(answer, "400 X-GitHub-Event is missing or is not the name of an event.", "{bad}");
    }
    for bad in ["-", "", "a\"b", "a b", "a/b", long.as_str()] {
        let answer = said(house.ask(delivery(&[("x-github-delivery", bad)], "{}")).await).await;
        assert_eq!(answer, "400 X-GitHub-Delivery is missing or is not a GUID.", "{bad}");
    }
    assert_eq!(house.store.kept.unsorted(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_webhook_that_sends_forms_is_told_which_setting_to_change() {
    let house = house(Mood::Well);
    for good in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(house.ask(delivery(&[("content-type", good)], "{}")).await.status(), StatusCode::ACCEPTED, "{good}");
    }
    for bad in ["-", "", "application/x-www-form-urlencoded", "application/jsonp", "text/json"] {
        let answer = house.ask(delivery(&[("content-type", bad)], "{}")).await;
        assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{bad}");
    }
    let form = said(house.ask(delivery(&[("content-type", "application/x-www-form-urlencoded")], "a=b")).await).await;
    assert_snapshot!(form, @"415 Only JSON is read here. Set the webhook's content type to application/json in the App's settings.");
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused() {
    let house = house_with(Mood::Well, Limits { body_bytes_max: 1_000, ..Limits::default() });
    assert_eq!(house.ask(delivery(&[], vec![b' '; 1_000])).await.status(), StatusCode::ACCEPTED);
    let answer = said(house.ask(delivery(&[], vec![b' '; 1_001])).await).await;
    assert_snapshot!(answer, @"413 A delivery has at most 25 MiB.");
}

#[tokio::test]
async fn github_is_asked_to_send_again_when_the_store_fails_or_hangs() {
    for mood in [Mood::Failing, Mood::Stuck] {
        let house = house(mood);
        let answer = house.ask(delivery(&[], "{}")).await;
        assert_eq!(answer.headers()["retry-after"], "5");
        assert_eq!(said(answer).await, "503 The delivery could not be kept. Send it again.");
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_without_its_words() {
    let answer = said(house(Mood::Panicking).ask(delivery(&[], "{}")).await).await;
    assert_snapshot!(answer, @"500 Something broke on our side.");
}

#[tokio::test]
async fn the_service_is_ready_while_the_store_answers_and_nobody_stops_it() {
    let well = house(Mood::Well);
    assert_eq!(said(well.get("/readyz").await).await, "200 ready");
    well.stop.cancel();
    assert_eq!(said(well.get("/readyz").await).await, "503 The service is stopping.");
    let failing = house(Mood::Failing);
    assert_eq!(said(failing.get("/readyz").await).await, "503 The store cannot be reached.");
    let stuck = house(Mood::Stuck);
    assert_eq!(said(stuck.get("/readyz").await).await, "503 The store cannot be reached.");
    assert_eq!(said(stuck.get("/healthz").await).await, "200 ok");
}

#[tokio::test]
async fn counts_tell_what_came_to_the_door() {
    let house = house(Mood::Well);
    house.ask(delivery(&[], "{}")).await;
    house.ask(delivery(&[], "{}")).await;
    house.ask(delivery(&[("x-hub-signature-256", "-")], "{}")).await;
    assert_snapshot!(said(house.get("/metrics").await).await, @r#"
    200 # TYPE plimsoll_deliveries_received_total counter
    plimsoll_deliveries_received_total{outcome="stored"} 1
    plimsoll_deliveries_received_total{outcome="duplicate"} 1
    plimsoll_deliveries_received_total{outcome="parked"} 0
    plimsoll_deliveries_received_total{outcome="refused"} 1
    plimsoll_deliveries_received_total{outcome="unavailable"} 0
    # TYPE plimsoll_store_up gauge
    plimsoll_store_up 1
    # TYPE plimsoll_deliveries_unsorted gauge
    plimsoll_deliveries_unsorted 1
    # TYPE plimsoll_deliveries_parked gauge
    plimsoll_deliveries_parked 0
    # TYPE plimsoll_arrivals_waiting gauge
    plimsoll_arrivals_waiting 0
    # TYPE plimsoll_arrivals_parked gauge
    plimsoll_arrivals_parked 0
    # TYPE plimsoll_effects_planned gauge
    plimsoll_effects_planned 0
    # TYPE plimsoll_effects_in_flight gauge
    plimsoll_effects_in_flight 0
    # TYPE plimsoll_lanes gauge
    plimsoll_lanes 0
    "#);
}

#[tokio::test]
async fn every_page_tells_browsers_to_do_nothing_with_it() {
    let house = house(Mood::Well);
    for path in ["/", "/healthz", "/readyz", "/metrics", "/schema/v1.json", "/nothing"] {
        let answer = house.get(path).await;
        for (name, value) in [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY")] {
            assert_eq!(answer.headers()[name], value, "{path}");
        }
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}");
    }
    assert!(said(house.get("/").await).await.contains("<h1>Plimsoll"));
    assert_eq!(said(house.get("/schema/v1.json").await).await, "200 {\"title\":\"policy\"}");
}

#[tokio::test]
async fn other_addresses_and_methods_are_refused_plainly() {
    let house = house(Mood::Well);
    assert_eq!(said(house.get("/admin").await).await, "404 There is nothing here.");
    for (method, path) in [("GET", "/github/webhook"), ("POST", "/"), ("DELETE", "/readyz")] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = house.ask(request).await;
        assert!(answer.headers().contains_key("allow"), "{method} {path}");
        assert_eq!(said(answer).await, "405 This address is not used that way.", "{method} {path}");
    }
}
