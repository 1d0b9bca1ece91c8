use super::tests::{STAGING, good, told};
use super::*;

fn verifications(lines: &str) -> Vec<Verification> {
    let text = format!("version: 1\n{STAGING}      verify:\n{lines}");
    good(&text).pipeline.expect("a pipeline").environments.remove(0).verify
}

fn with_defaults(name: &str, probe: Probe) -> Verification {
    Verification {
        name: name.to_owned(),
        probe,
        every: Span::seconds(30),
        successes: 1,
        failures_allowed: 0,
        no_data: NoData::Inconclusive,
        dry_run: false,
    }
}

#[test]
fn every_kind_of_verification_is_read() {
    let found = verifications(
        "        - http: { url: 'https://shop.example/healthz', expect: 204, json: { pointer: /a~1b/0, equals: ok }, latency_below: 500ms }
        - prometheus: { query: 'rate(errors[5m])', below: 0.01 }
        - prometheus: { query: up, above: 1, server: 'http://prometheus:9090/p', over: 5m }
        - prometheus: { query: p99, worse: higher, by: 10%, at_least: 0.001 }
        - prometheus: { query: orders, worse: lower, by: 2.5% }
        - workflow: smoke.yml
        - check: 'ci / build'
        - live: { url: 'https://shop.example/version', pointer: /sha }
          name: version
          every: 1m
          successes: 3
          failures_allowed: 2
          no_data: failure
          dry_run: true
",
    );
    let prometheus = |name: &str, server: Option<&str>, query: &str, over, demand| {
        let probe = Probe::Prometheus { server: server.map(str::to_owned), query: query.to_owned(), over, demand };
        with_defaults(name, probe)
    };
    assert_eq!(
        found,
        [
            with_defaults(
                "http shop.example/healthz",
                Probe::Http {
                    url: "https://shop.example/healthz".into(),
                    expect: 204,
                    json: Some(("/a~1b/0".into(), "ok".into())),
                    latency_below: Some(Span(500)),
                }
            ),
            prometheus("prometheus", None, "rate(errors[5m])", None, Demand::Below(0.01)),
            prometheus(
                "prometheus 2",
                Some("http://prometheus:9090/p"),
                "up",
                Some(Span::minutes(5)),
                Demand::Above(1.0)
            ),
            prometheus(
                "prometheus 3",
                None,
                "p99",
                None,
                Demand::NotWorse { worse: Worse::Higher, by: 0.1, at_least: 0.001 }
            ),
            prometheus(
                "prometheus 4",
                None,
                "orders",
                None,
                Demand::NotWorse { worse: Worse::Lower, by: 0.025, at_least: 0.0 }
            ),
            with_defaults("workflow smoke.yml", Probe::Workflow { workflow: WorkflowFile::new("smoke.yml") }),
            with_defaults("check ci / build", Probe::Check { name: "ci / build".into() }),
            Verification {
                every: Span::minutes(1),
                successes: 3,
                failures_allowed: 2,
                no_data: NoData::Failure,
                dry_run: true,
                ..with_defaults(
                    "version",
                    Probe::Live { url: "https://shop.example/version".into(), pointer: Some("/sha".into()) }
                )
            },
        ]
    );
}

#[test]
fn names_are_made_so_that_none_stands_twice() {
    let found = verifications(
        "        - check: x
        - check: x
        - check: y
          name: check x 2
        - check: x
        - http: { url: 'https://shop.example/?deep=1#top' }
        - live: { url: 'http://[::1]:8080/v/' }
",
    );
    let names: Vec<&str> = found.iter().map(|verification| verification.name.as_str()).collect();
    assert_eq!(names, ["check x", "check x 3", "check x 2", "check x 4", "http shop.example", "live [::1]:8080/v"]);
}

#[test]
fn a_json_answer_may_be_a_number_or_a_truth_value() {
    for (written, text) in [("5", "5"), ("true", "true"), ("0.5", "0.5"), ("'5'", "5")] {
        let line = format!("        - http: {{ url: 'http://x', json: {{ pointer: /a, equals: {written} }} }}\n");
        let Probe::Http { json, .. } = verifications(&line).remove(0).probe else { panic!("{line}") };
        assert_eq!(json, Some(("/a".to_owned(), text.to_owned())));
    }
}

#[test]
fn a_query_may_have_several_lines() {
    let found = verifications(
        "        - prometheus:\n            query: |\n              sum(\n                up\n              )\n            above: 0\n",
    );
    let Probe::Prometheus { query, .. } = &found[0].probe else { panic!("{found:?}") };
    assert_eq!(query, "sum(\n  up\n)");
}

#[test]
fn what_is_wrong_with_a_verification_is_told() {
    let rest = format!(
        "{STAGING}      verify:
        - {{}}
        - htpp: {{ url: 'http://x' }}
        - check: a
          workflow: b.yml
        - http: {{ expect: 20, json: {{ pointer: status }}, latency_below: 2m }}
        - http: {{ url: 'http://x', latency_below: 0s, json: {{ pointer: /a~2, equals: [1] }} }}
          name: x
          every: 500ms
          successes: 0
          failures_allowed: 101
          no_data: fail
          dry_run: 'true'
        - check: y
          name: x
        - workflow: .github/workflows/smoke.yml
        - live: {{ pointer: /sha }}
        - prometheus: {{}}
        - prometheus: {{ query: '', below: .inf, over: 1s }}
        - prometheus: {{ query: up, below: low, by: 10% }}
"
    );
    insta::assert_snapshot!(told(&rest.replace(".inf", "[1]")), @"");
    let rest = format!(
        "{STAGING}      verify:
        - prometheus: {{ query: up, below: 1, above: 2 }}
        - prometheus: {{ query: up, worse: higher }}
        - prometheus: {{ query: up, worse: bigger, by: 0.1 }}
        - prometheus: {{ query: up, worse: lower, by: -5%, at_least: -1 }}
        - prometheus: {{ query: up, worse: lower, by: 2000% }}
        - prometheus: {{ query: up, above: 0, server: 'https://p.example/?x=1' }}
        - prometheus: {{ query: '{}', above: 0 }}
",
        "x".repeat(4_001)
    );
    insta::assert_snapshot!(told(&rest), @"");
}

#[test]
fn an_address_must_be_plain() {
    let urls = [
        "ftp://x",
        "shop.example/healthz",
        "https://",
        "https:///x",
        "https://ada:secret@shop.example/",
        "https://shop.example\\\\@evil.example/",
        "https://shop example/",
        "https://bücher.example/",
        "https://shop.example:0/",
        "https://shop.example:x/",
        "https://shop.example:99999",
        "https://[::g]/",
        "https://a:b:c/",
        "https://..",
        "https://?x",
    ];
    let lines: String = urls.iter().map(|url| format!("        - http: {{ url: \"{url}\" }}\n")).collect();
    insta::assert_snapshot!(told(&format!("{STAGING}      verify:\n{lines}")), @"");
    let long = format!("https://x/{}", "a".repeat(2_000));
    assert!(
        told(&format!("{STAGING}      verify: [{{ live: {{ url: '{long}' }} }}]\n"))
            .contains("at most 2000 characters")
    );
    for good in ["http://localhost:8080", "https://[::1]:443/x?y=a@b#c", "https://shop_internal/"] {
        verifications(&format!("        - live: {{ url: '{good}' }}\n"));
    }
}

#[test]
fn at_most_twenty_are_asked() {
    let lines = "        - check: x\n".repeat(21);
    assert!(told(&format!("{STAGING}      verify:\n{lines}")).contains("`verify` may have at most 20 items, not 21."));
}
