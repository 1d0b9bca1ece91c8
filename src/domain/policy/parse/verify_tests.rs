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
    insta::assert_snapshot!(told(&rest.replace(".inf", "[1]")), @r"
    plimsoll.yml line 7, column 11: A verification must have `http`, `prometheus`, `workflow`, `check` or `live`.
    plimsoll.yml line 8, column 11: Unknown key `htpp`. Did you mean `http`?
    plimsoll.yml line 8, column 11: A verification must have `http`, `prometheus`, `workflow`, `check` or `live`.
    plimsoll.yml line 9, column 18: A verification asks one thing: `workflow` and `check` must be two items of the list.
    plimsoll.yml line 11, column 17: `url` is missing: `http` needs it.
    plimsoll.yml line 11, column 27: `expect` must be between 100 and 599, not 20.
    plimsoll.yml line 11, column 37: `equals` is missing: `json` needs it.
    plimsoll.yml line 11, column 48: `pointer` must be a JSON pointer such as `/status` (`~` is `~0`, `/` in a name `~1`), not `status`.
    plimsoll.yml line 11, column 73: `latency_below` must be between 1 ms and 1 min, not 2 min.
    plimsoll.yml line 12, column 51: `latency_below` must be between 1 ms and 1 min, not 0 s.
    plimsoll.yml line 12, column 72: `pointer` must be a JSON pointer such as `/status` (`~` is `~0`, `/` in a name `~1`), not `/a~2`.
    plimsoll.yml line 12, column 86: `equals` must be text, not a list.
    plimsoll.yml line 14, column 18: `every` must be between 1 s and 1 h, not 500 ms.
    plimsoll.yml line 15, column 22: `successes` must be between 1 and 100, not 0.
    plimsoll.yml line 16, column 29: `failures_allowed` must be between 0 and 100, not 101.
    plimsoll.yml line 17, column 20: `no_data` must be `inconclusive` or `success` or `failure`, not `fail`.
    plimsoll.yml line 18, column 20: `dry_run` must be `true` or `false`, without quotes, not `true`.
    plimsoll.yml line 20, column 17: Another verification here is called `x` too.
    plimsoll.yml line 21, column 21: `workflow` must be the name of a file in `.github/workflows`, for instance `deploy.yml`, without the folder, not `.github/workflows/smoke.yml`.
    plimsoll.yml line 22, column 17: `url` is missing: `live` needs it.
    plimsoll.yml line 23, column 23: `query` is missing: `prometheus` needs it.
    plimsoll.yml line 23, column 23: `prometheus` must say what is good: `below`, `above` or `worse`.
    plimsoll.yml line 24, column 32: `query` must be visible characters.
    plimsoll.yml line 24, column 43: `below` must be a number, not a list.
    plimsoll.yml line 24, column 54: `over` must be between 10 s and 1 d, not 1 s.
    plimsoll.yml line 25, column 43: `below` must be a number, not `low`.
    plimsoll.yml line 25, column 52: `by` belongs to `worse: higher` or `worse: lower`, which is not here.
    ");
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
    insta::assert_snapshot!(told(&rest), @r"
    plimsoll.yml line 7, column 23: `prometheus` may say one of `below`, `above` and `worse`, not several.
    plimsoll.yml line 8, column 43: `worse` needs `by` (such as `10%`), `at_least` or both: how much worse is too much.
    plimsoll.yml line 9, column 43: `worse` must be `higher` or `lower`, not `bigger`. Did you mean `higher`?
    plimsoll.yml line 9, column 55: `by` must be a percentage such as `10%`, not the number 0.1.
    plimsoll.yml line 10, column 54: `by` must be a percentage such as `10%`, not `-5%`.
    plimsoll.yml line 10, column 69: `at_least` must not be below 0: -1.
    plimsoll.yml line 11, column 54: `by` must be between `0%` and `1000%`, not `2000%`.
    plimsoll.yml line 12, column 54: `server` must be where Prometheus is, without `?` and `#`.
    plimsoll.yml line 13, column 32: `query` may have at most 4000 characters, not 4001.
    ");
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
    insta::assert_snapshot!(told(&format!("{STAGING}      verify:\n{lines}")), @r"
    plimsoll.yml line 7, column 24: `url` cannot be `ftp://x`: it must begin with `https://` or `http://`.
    plimsoll.yml line 8, column 24: `url` cannot be `shop.example/healthz`: it must begin with `https://` or `http://`.
    plimsoll.yml line 9, column 24: `url` cannot be `https://`: it names no host.
    plimsoll.yml line 10, column 24: `url` cannot be `https:///x`: it names no host.
    plimsoll.yml line 11, column 24: `url` cannot be this address: a user name or password does not belong in a file that so many can read.
    plimsoll.yml line 12, column 24: `url` cannot be this address: it must be letters, digits and signs of ASCII without blanks; write others as `%20`, and hosts as `xn--`.
    plimsoll.yml line 13, column 24: `url` cannot be `https://shop example/`: it must be letters, digits and signs of ASCII without blanks; write others as `%20`, and hosts as `xn--`.
    plimsoll.yml line 14, column 24: `url` cannot be `https://bücher.example/`: it must be letters, digits and signs of ASCII without blanks; write others as `%20`, and hosts as `xn--`.
    plimsoll.yml line 15, column 24: `url` cannot be `https://shop.example:0/`: its port is not between 1 and 65535.
    plimsoll.yml line 16, column 24: `url` cannot be `https://shop.example:x/`: its port is not between 1 and 65535.
    plimsoll.yml line 17, column 24: `url` cannot be `https://shop.example:99999`: its port is not between 1 and 65535.
    plimsoll.yml line 18, column 24: `url` cannot be `https://[::g]/`: it names no host.
    plimsoll.yml line 19, column 24: `url` cannot be `https://a:b:c/`: it names no host.
    plimsoll.yml line 20, column 24: `url` cannot be `https://..`: it names no host.
    plimsoll.yml line 21, column 24: `url` cannot be `https://?x`: it names no host.
    ");
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
