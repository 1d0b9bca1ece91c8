//! What runs is asked: over real sockets, from sites that mean well and from sites that do not.

mod prometheus;
mod sites;

use plimsoll::app::SystemClock;
use plimsoll::domain::ids::Span;
use plimsoll::domain::reading::{Question, Reading};
use plimsoll::engine::ports::Probes;
use plimsoll::probe::{HostRule, Limits, ProbeSettings, Prober, Resolver, SystemResolver};
use sites::{Names, Site};
use std::sync::Arc;
use std::time::Duration;

/// What an operator opened who wants this machine asked: `hosts` at any loopback address.
fn opened(hosts: &[String]) -> ProbeSettings {
    ProbeSettings {
        hosts: hosts.iter().map(|text| HostRule::parse(text).expect("a host")).collect(),
        nets: vec!["127.0.0.0/8".parse().expect("a range")],
        // Long enough for a busy machine, short enough to wait for.
        limits: Limits { total: Duration::from_secs(2), ..Limits::default() },
        ..ProbeSettings::default()
    }
}

fn prober(settings: ProbeSettings, names: Arc<dyn Resolver>) -> Prober {
    Prober::new(settings, names, Arc::new(SystemClock)).expect("can ask")
}

/// Asks for a value, or with `None` only for the status.
async fn get(prober: &Prober, url: &str, pointer: Option<&str>) -> Reading {
    prober.ask(&Question::Http { url: url.to_owned(), pointer: pointer.map(str::to_owned) }).await
}

/// The status and the value.
fn answered(reading: Reading) -> (u16, Option<String>) {
    match reading {
        Reading::Response { status, value, .. } => (status, value),
        other => panic!("no answer: {other:?}"),
    }
}

fn unasked(reading: Reading) -> String {
    match reading {
        Reading::Unasked { because } => because,
        other => panic!("it was asked: {other:?}"),
    }
}

fn unanswered(reading: Reading) -> String {
    match reading {
        Reading::Unanswered { because } => because,
        other => panic!("neither silence nor noise: {other:?}"),
    }
}

#[tokio::test]
async fn a_listed_host_is_asked_plainly_and_says_its_value() {
    let site = Site::kind().await;
    let names = Names::new(&[("shop.example", &[&["127.0.0.1"]])]);
    let prober = prober(opened(&[format!("shop.example:{}", site.port())]), names);
    let url = |path: &str| format!("http://shop.example:{}{path}", site.port());
    let ask = async |path: &str, pointer| answered(get(&prober, &url(path), pointer).await);

    assert_eq!(ask("/health?token=abc", Some("/checks/0/state")).await, (200, Some("green".to_owned())));
    assert_eq!(ask("/health", Some("/checks/0/errors")).await, (200, Some("3".to_owned())));
    assert_eq!(ask("/health", Some("/checks/7/state")).await, (200, None));
    assert_eq!(ask("/version", Some("")).await, (200, Some("release-7".to_owned())));
    assert_eq!(ask("/version", Some("/a")).await, (200, None), "that is no JSON");
    assert_eq!(ask("/health", None).await, (200, None));
    assert_eq!(ask("/down", Some("")).await, (503, Some("maintenance".to_owned())), "a status is an answer");

    let first = site.requests().remove(0);
    assert!(first.starts_with("GET /health?token=abc\n"), "{first}");
    assert!(first.contains(&format!("\nhost: shop.example:{}\n", site.port())), "{first}");
    assert!(first.contains(concat!("\nuser-agent: Plimsoll/", env!("CARGO_PKG_VERSION"), "\n")), "{first}");
    for header in ["cookie", "authorization", "accept-encoding", "referer", "proxy-"] {
        assert!(!first.contains(&format!("\n{header}")), "{first}");
    }
    assert!(site.requests().iter().all(|request| !request.contains("\ncookie")), "a cookie was kept");
}

/// The environment is the whole process's, so another process has one with a proxy in it.
#[test]
fn a_proxy_of_the_environment_is_not_taken() {
    let mut again = std::process::Command::new(std::env::current_exe().expect("this program"));
    again.args(["--exact", "probes::a_listed_host_is_asked_plainly_and_says_its_value"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        // Nobody listens there.
        again.env(name, "http://127.0.0.1:1");
    }
    let output = again.env_remove("no_proxy").env_remove("NO_PROXY").output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn how_long_an_answer_took_is_measured() {
    let site = Site::rude().await;
    let prober = prober(opened(&[site.address.to_string()]), Arc::new(SystemResolver));
    match get(&prober, &site.url("/slow-head"), None).await {
        Reading::Response { took: Span(ms), .. } => assert!((300..1_900).contains(&ms), "{ms} ms"),
        other => panic!("no answer: {other:?}"),
    }
}

#[tokio::test]
async fn what_the_operator_did_not_open_is_not_asked() {
    let site = Site::kind().await;
    let port = site.port();
    let names = Names::new(&[
        ("inside.example", &[&["127.0.0.1"]]),
        ("half.example", &[&["93.184.215.14", "10.0.0.1"]]),
        ("mapped.example", &[&["::ffff:127.0.0.1"]]),
        ("cloud.example", &[&["169.254.169.254"]]),
        ("cloud6.example", &[&["fd00:ec2::254"]]),
    ]);
    let nothing = prober(ProbeSettings::default(), names.clone());
    assert_eq!(
        unasked(get(&nothing, &site.url("/health"), None).await),
        "no host may be asked: the operator must list them in PLIMSOLL_PROBE_HOSTS"
    );

    let hosts = [format!("*.example:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
    let settings = ProbeSettings { nets: Vec::new(), ..opened(&hosts) };
    let closed = prober(settings, names.clone());
    let asked = async |url: String| unasked(get(&closed, &url, None).await);
    let range = "its range in PLIMSOLL_PROBE_NETS";
    for (host, kind) in [
        ("inside.example", "loopback"),
        ("half.example", "private"),
        ("mapped.example", "IPv4-mapped"),
        ("cloud.example", "metadata"),
        ("cloud6.example", "metadata"),
    ] {
        assert_eq!(
            asked(format!("http://{host}:{port}/health")).await,
            format!("`{host}` leads to a {kind} address; the operator must list {range}")
        );
    }
    for spelled in ["127.0.0.1", "2130706433", "0x7f.1", "[::1]"] {
        assert!(asked(format!("http://{spelled}:{port}/")).await.contains("a loopback address"), "{spelled}");
    }
    assert_eq!(
        asked("http://[::ffff:127.0.0.1]/".to_owned()).await,
        "`[::ffff:7f00:1]` is not on the operator's list (PLIMSOLL_PROBE_HOSTS)"
    );
    assert_eq!(
        asked("https://inside.example/".to_owned()).await,
        "`inside.example` is not on the operator's list (PLIMSOLL_PROBE_HOSTS)",
        "another port is another thing"
    );
    let with_password = asked(format!("http://me:hunter2@inside.example:{port}/")).await;
    assert_eq!(with_password, "a URL with a user name or password in it is not asked");
    assert_eq!(asked("file:///etc/passwd".to_owned()).await, "`file` is neither http nor https");
    assert_eq!(asked("/health".to_owned()).await, "it is no URL: relative URL without a base");
    assert!(asked(format!("http://inside.example:{port}/{}", "a".repeat(3_000))).await.contains("longer than"));
    let wrong = get(&closed, &site.url("/health"), Some("checks")).await;
    assert_eq!(unasked(wrong), "the JSON pointer does not begin with `/`");

    // An IPv4 range does not open the same addresses wrapped into IPv6.
    let open = prober(opened(&hosts), names);
    assert!(unasked(get(&open, &format!("http://mapped.example:{port}/"), None).await).contains("IPv4-mapped"));
    assert_eq!(site.requests(), Vec::<String>::new(), "somebody was asked");
    assert_eq!(answered(get(&open, &format!("http://inside.example:{port}/down"), None).await).0, 503);
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_a_moment_later_gains_nothing() {
    // Two sites on one port: one at an address that is open, one at an address that is not.
    let (open, secret) = Site::pair(["127.0.0.2", "127.0.0.1"]).await;
    let port = open.port();
    let names = Names::new(&[("shop.example", &[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.2", "127.0.0.1"]])]);
    let settings =
        ProbeSettings { nets: vec!["127.0.0.2/32".parse().unwrap()], ..opened(&[format!("shop.example:{port}")]) };
    let prober = prober(settings, names.clone());
    let url = format!("http://shop.example:{port}/version");
    assert_eq!(answered(get(&prober, &url, Some("")).await), (200, Some("release-7".to_owned())));
    assert_eq!(names.asked(), 1, "a second look may see another address");
    // A kept connection or a remembered answer would be asked now; the name leads inside, so nobody is.
    assert!(unasked(get(&prober, &url, Some("")).await).contains("loopback"));
    assert!(unasked(get(&prober, &url, Some("")).await).contains("loopback"), "one closed address closes the name");
    assert_eq!((open.requests().len(), secret.requests().len(), names.asked()), (1, 0, 3));
}

#[tokio::test]
async fn the_name_and_not_the_address_is_what_tls_asks_for() {
    let site = Site::rude().await;
    let names = Names::new(&[("shop.example", &[&["127.0.0.1"]])]);
    let prober = prober(opened(&[format!("shop.example:{}", site.port())]), names);
    let because = unanswered(get(&prober, &format!("https://shop.example:{}/", site.port()), None).await);
    assert!(because.starts_with("no connection: "), "{because}");
    assert!(site.requests().iter().any(|hello| hello.contains("shop.example")), "the hello names nobody");
}

#[tokio::test]
async fn a_redirect_is_an_answer_unless_the_operator_has_it_followed() {
    let (site, other) = (Site::kind().await, Site::kind().await);
    let secret = Site::kind().await;
    let names = Names::new(&[
        ("shop.example", &[&["127.0.0.1"]]),
        ("other.example", &[&["127.0.0.1"]]),
        ("inside.example", &[&["10.0.0.1"]]),
    ]);
    let listed = |site: &Site, host: &str| format!("{host}:{}", site.port());
    let hosts = [listed(&site, "shop.example"), listed(&other, "other.example"), listed(&site, "inside.example")];
    let url = |to: &str| format!("http://shop.example:{}/to?{to}", site.port());

    let still = prober(opened(&hosts), names.clone());
    assert_eq!(answered(get(&still, &url("/version"), None).await).0, 302);
    assert_eq!(site.requests().len(), 1);

    let follows = prober(ProbeSettings { redirects: 99, ..opened(&hosts) }, names);
    let went = async |to: &str| get(&follows, &url(to), Some("")).await;
    let release = (200, Some("release-7".to_owned()));
    assert_eq!(answered(went("/version").await), release);
    assert_eq!(answered(went("/to?/to?/version").await), release, "three hops");
    assert_eq!(answered(went(&format!("http://other.example:{}/version", other.port())).await), release);
    assert_eq!(unanswered(went("/to?/to?/to?/version").await), "it redirects more than 3 times");
    assert_eq!(
        unanswered(get(&follows, &format!("http://shop.example:{}/loop", site.port()), None).await),
        "it redirects more than 3 times"
    );
    assert_eq!(other.requests().len(), 1);

    let listed = "is not on the operator's list (PLIMSOLL_PROBE_HOSTS)";
    assert_eq!(
        unasked(went(&secret.url("/version")).await),
        format!("it redirects elsewhere: `{}` {listed}", secret.address)
    );
    assert_eq!(
        unasked(went("http://169.254.169.254/latest/meta-data/").await),
        format!("it redirects elsewhere: `169.254.169.254` {listed}")
    );
    assert!(unasked(went(&format!("http://inside.example:{}/", site.port())).await).contains("a private address"));
    assert!(unasked(went("file:///etc/passwd").await).contains("neither http nor https"));
    assert!(unasked(went("http://u:p@shop.example/").await).contains("user name or password"));
    assert_eq!(secret.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_rude_site_costs_bounded_time_and_memory() {
    let site = Site::rude().await;
    let prober = prober(opened(&[site.address.to_string()]), Arc::new(SystemResolver));
    let value = async |path: &str| get(&prober, &site.url(path), Some("")).await;

    assert_eq!(unanswered(value("/silent").await), "no whole answer within 2 s");
    assert_eq!(unanswered(value("/slow-body").await), "no whole answer within 2 s");
    assert_eq!(unanswered(value("/endless-body").await), "the answer is larger than 1024 KiB");
    assert_eq!(answered(get(&prober, &site.url("/endless-body"), None).await), (200, None), "its status was heard");
    assert!(unanswered(value("/endless-headers").await).starts_with("the answer cannot be read: "));
    assert!(unanswered(value("/many-headers").await).starts_with("the answer cannot be read: "));
    assert!(unanswered(value("/breaks-off").await).starts_with("the answer cannot be read: "));
    assert!(unanswered(value("/no-http").await).starts_with("the answer cannot be read: "));
    assert!(unanswered(value("/hangs-up").await).starts_with("the answer cannot be read: "));
    // What is packed stays packed: a little text that would be a gigabyte.
    let (status, packed) = answered(value("/gzip").await);
    assert_eq!((status, packed.unwrap().chars().next()), (200, Some('\u{1f}')));

    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = opened(&[gone.to_string()]);
    let prober = self::prober(settings, Arc::new(SystemResolver));
    let because = unanswered(get(&prober, &format!("http://{gone}/"), None).await);
    assert!(because.starts_with("no connection: Connection refused"), "{because}");
}

#[tokio::test]
async fn a_name_without_an_address_does_not_answer() {
    let prober = prober(opened(&["*.example".to_owned()]), Names::new(&[("empty.example", &[&[]])]));
    let because = unanswered(get(&prober, "http://empty.example/", None).await);
    assert_eq!(because, "no connection: the name has no address");
    let because = unanswered(get(&prober, "http://unknown.example/", None).await);
    assert_eq!(because, "no connection: no such name");
}

#[tokio::test]
async fn a_host_is_asked_one_question_at_a_time_and_nobody_waits_for_ever() {
    let (slow, quick) = (Site::rude().await, Site::kind().await);
    let settings = opened(&[slow.address.to_string().replace("127.0.0.1", "slow.example"), quick.address.to_string()]);
    let names = Names::new(&[("slow.example", &[&["127.0.0.1"]])]);
    let limits = Limits { queue: Duration::from_millis(500), ..settings.limits.clone() };
    let prober = prober(ProbeSettings { limits, ..settings }, names);
    let silent = format!("http://slow.example:{}/silent", slow.port());
    let version = quick.url("/version");
    let (first, second, elsewhere) =
        tokio::join!(get(&prober, &silent, None), get(&prober, &silent, None), get(&prober, &version, None),);
    unanswered(first);
    assert_eq!(unasked(second), "too much is asked at once: no turn to ask `slow.example` came within 0.5 s");
    assert_eq!(answered(elsewhere).0, 200, "a slow host holds nobody else up");
    assert_eq!(slow.requests().len(), 1);
}
