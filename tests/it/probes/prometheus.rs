//! A real Prometheus server with data of our own, asked as a policy would have it asked.

use super::{opened, prober, unasked};
use plimsoll::domain::ids::{Span, Timestamp};
use plimsoll::domain::reading::{Question, Reading, Series};
use plimsoll::engine::ports::Probes;
use plimsoll::probe::{ProbeSettings, Prober, SystemResolver};
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// When the data begins, in seconds. A sample each 15 s for 20 min.
const BEGIN: i64 = 1_700_000_000;
const SAMPLES: i64 = 81;
/// When the release went bad, after the beginning.
const TURN: i64 = 600;

/// A server that ends with this value, also when a test panics.
struct Server {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is meant when one of the two programs cannot be started.
fn missing(program: &str, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => {
            format!("`{program}` is not installed: tests/run installs it, or `apt-get install prometheus` does")
        }
        _ => format!("`{program}` does not start: {error}"),
    }
}

/// Errors that grow at one moment in `a`, and never in `b`; and what is not finite.
fn data() -> String {
    let mut text = String::new();
    let mut family = |name: &str, value: &dyn Fn(i64) -> Vec<(&'static str, &'static str)>| {
        writeln!(text, "# TYPE {name} gauge").unwrap();
        for n in 0..SAMPLES {
            for (labels, value) in value(n * 15) {
                writeln!(text, "{name}{labels} {value} {}", BEGIN + n * 15).unwrap();
            }
        }
    };
    family("error_ratio", &|at| {
        let of_a = if at < TURN { "0.01" } else { "0.25" };
        vec![(r#"{instance="a"}"#, of_a), (r#"{instance="b"}"#, "0.02")]
    });
    family("idle_ratio", &|_| vec![("", "NaN")]);
    family("half_idle_ratio", &|at| vec![("", if at % 30 == 0 { "NaN" } else { "0.5" })]);
    family("endless", &|_| vec![("", "+Inf")]);
    text.push_str("# EOF\n");
    text
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("data.om"), data()).expect("writes");
        std::fs::write(at("prometheus.yml"), "global: {}\n").expect("writes");
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet", &at("data.om"), &at("tsdb")])
            .output()
            .unwrap_or_else(|error| panic!("{}", missing("promtool", &error)));
        assert!(made.status.success(), "promtool: {}", String::from_utf8_lossy(&made.stderr));
        for _ in 0..3 {
            // Somebody may take the port between finding and using it; then another is tried.
            let address = free_address();
            let mut child = spawn(folder.path(), address);
            if is_ready(&mut child, address).await {
                return Self { child, address, _folder: folder };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        let log = std::fs::read_to_string(at("log")).unwrap_or_default();
        panic!("prometheus did not become ready: {log}");
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound")
}

fn spawn(folder: &Path, address: SocketAddr) -> Child {
    let at = |name: &str| folder.join(name).display().to_string();
    Command::new("prometheus")
        .arg(format!("--config.file={}", at("prometheus.yml")))
        .arg(format!("--storage.tsdb.path={}", at("tsdb")))
        .arg(format!("--web.listen-address={address}"))
        // The data is of 2023 and must stay.
        .arg("--storage.tsdb.retention.time=100y")
        .arg("--log.level=warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log")).expect("a file"))
        .spawn()
        .unwrap_or_else(|error| panic!("{}", missing("prometheus", &error)))
}

/// Waits until the server answers; `false`: it ended, or took too long.
async fn is_ready(child: &mut Child, address: SocketAddr) -> bool {
    for _ in 0..600 {
        let answer = reqwest::get(format!("http://{address}/-/ready")).await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return true;
        }
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// A prober whose operator has this server.
fn of_operator(server: &Server) -> Prober {
    // Neither list is asked for it: both are empty.
    let settings = ProbeSettings { prometheus: Some(server.url()), ..ProbeSettings::default() };
    prober(settings, Arc::new(SystemResolver))
}

/// Asks as of so many seconds after the beginning.
async fn ask(prober: &Prober, query: &str, at: i64, over: Option<u64>) -> Reading {
    let question = Question::Prometheus {
        server: None,
        query: query.to_owned(),
        at: Timestamp((BEGIN + at) * 1_000),
        over: over.map(Span::seconds),
    };
    prober.ask(&question).await
}

fn series(labels: &str, samples: &[f64]) -> Series {
    Series { labels: labels.to_owned(), samples: samples.to_vec() }
}

#[tokio::test]
async fn a_query_is_answered_as_of_the_moment_that_is_asked_for() {
    let server = Server::start().await;
    let prober = of_operator(&server);
    let samples = async |query: &str, at: i64, over: Option<u64>| match ask(&prober, query, at, over).await {
        Reading::Samples(series) => series,
        other => panic!("{query}: {other:?}"),
    };
    let (before, after) = (TURN - 100, TURN + 100);

    // A moment, and the same query at another: what a comparison with the time before a release is made of.
    let a = r#"error_ratio{instance="a"}"#;
    assert_eq!(samples(a, before, None).await, [series(a, &[0.01])]);
    assert_eq!(samples(a, after, None).await, [series(a, &[0.25])]);
    let both = [series("{}", &[0.27])];
    assert_eq!(samples("sum(error_ratio)", after, None).await, both);
    let mut found = samples("max by (instance) (error_ratio)", after, None).await;
    found.sort_by(|one, other| one.labels.cmp(&other.labels));
    assert_eq!(found, [series(r#"{instance="a"}"#, &[0.25]), series(r#"{instance="b"}"#, &[0.02])]);

    // A time: five seconds a step at least, both ends included, oldest first.
    let over = samples(a, TURN + 10, Some(20)).await;
    assert_eq!(over, [series(a, &[0.01, 0.01, 0.25, 0.25, 0.25])]);
    let hundred_steps = samples(a, TURN + 500, Some(1_000)).await;
    assert_eq!(hundred_steps[0].samples.len(), 101);
    assert_eq!(hundred_steps[0].samples.iter().filter(|value| **value == 0.25).count(), 51);
    assert_eq!(samples("error_ratio", after, Some(60)).await.len(), 2);

    // Numbers without a series.
    assert_eq!(samples("scalar(sum(error_ratio)) * 2", after, None).await, [series("{}", &[0.54])]);
    assert_eq!(samples("1 + 1", after, Some(10)).await, [series("{}", &[2.0, 2.0, 2.0])]);

    // Nothing there, nothing yet, nothing finite.
    assert_eq!(samples("no_such_thing", after, None).await, []);
    assert_eq!(samples("no_such_thing", after, Some(60)).await, []);
    assert_eq!(samples(a, -3_600, None).await, []);
    assert_eq!(samples("idle_ratio", after, None).await, []);
    assert_eq!(samples("endless", after, None).await, []);
    assert_eq!(samples("sum(error_ratio) / 0", after, None).await, []);
    assert_eq!(samples("0 / 0", after, None).await, []);
    assert_eq!(samples("half_idle_ratio", TURN + 60, Some(60)).await, [series("half_idle_ratio", &[0.5; 6])]);
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_told_in_prometheus_own_words() {
    let server = Server::start().await;
    let prober = of_operator(&server);
    let said = async |query: &str, over| unasked(ask(&prober, query, TURN, over).await);
    // Its words differ from version to version; that they arrive does not.
    let unclosed = said("sum(error_ratio", None).await;
    assert!(unclosed.starts_with("Prometheus: bad_data: ") && unclosed.contains("left parenthesis"), "{unclosed}");
    let no_range = said("error_ratio[5m]", Some(60)).await;
    assert!(no_range.starts_with("Prometheus: bad_data: ") && no_range.contains("range vector"), "{no_range}");
    assert!(
        said("error_ratio * on (instance) group_left error_ratio + on () error_ratio", None)
            .await
            .starts_with("Prometheus: execution: ")
    );
    assert_eq!(said("\"text\"", None).await, "Prometheus: the query gives a text, not numbers");
    assert_eq!(said(&"x".repeat(9_000), None).await, "the query is longer than 8192 bytes");
    // A matrix as of a moment, which is what a range of a selector is.
    match ask(&prober, r#"error_ratio{instance="b"}[1m]"#, TURN, None).await {
        Reading::Samples(found) => assert!(found[0].samples.len() >= 4, "{found:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_a_policy_names_is_a_host_like_any_other() {
    let server = Server::start().await;
    let question = |server: &str| Question::Prometheus {
        server: Some(server.to_owned()),
        query: "count(error_ratio)".to_owned(),
        at: Timestamp((BEGIN + TURN) * 1_000),
        over: None,
    };
    // That the operator has it too opens it to nobody who names it.
    let named = of_operator(&server).ask(&question(&server.url())).await;
    assert_eq!(unasked(named), "no host may be asked: the operator must list them in PLIMSOLL_PROBE_HOSTS");

    let open = opened(&[server.address.to_string()]);
    let named = prober(open.clone(), Arc::new(SystemResolver)).ask(&question(&server.url())).await;
    assert_eq!(named, Reading::Samples(vec![series("{}", &[2.0])]));
    let closed = ProbeSettings { nets: Vec::new(), ..open.clone() };
    let named = prober(closed, Arc::new(SystemResolver)).ask(&question(&server.url())).await;
    assert!(unasked(named).contains("leads to a loopback address"));

    let nobody = prober(open, Arc::new(SystemResolver));
    let wrong = async |server: &str| unasked(nobody.ask(&question(server)).await);
    assert_eq!(wrong("http://a:b@127.0.0.1/").await, "a URL with a user name or password in it is not asked");
    assert_eq!(wrong(&format!("{}/?a=b", server.url())).await, "the address of a Prometheus server has no `?` or `#`");
    let elsewhere = wrong(&format!("{}/elsewhere", server.url())).await;
    assert_eq!(elsewhere, "Prometheus: the answer (status 404) is none of Prometheus");
    let none = ask(&nobody, "up", 0, None).await;
    assert_eq!(unasked(none), "there is no Prometheus server: the operator must set PLIMSOLL_PROMETHEUS_URL");

    // Whether what runs is well is then not known; that is another thing than its silence.
    let url = server.url();
    let prober = of_operator(&server);
    drop(server);
    let because = unasked(ask(&prober, "up", 0, None).await);
    assert!(because.starts_with("Prometheus: no connection: Connection refused"), "{url}: {because}");
}
