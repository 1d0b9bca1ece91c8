//! What the answers of a verification mean, as tables, and when each is asked, as sentences.

use super::tests::sha;
use super::verify::*;
use super::*;
use crate::domain::facts::{Absence, CheckStanding, Fact, Facts, Need};
use crate::domain::policy::{Demand, NoData, Probe, Verification, Worse};
use crate::domain::reading::{Question, Reading, Series};

pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub(super) fn http(json: Option<(&str, &str)>, latency_below: Option<Span>) -> Probe {
    let json = json.map(|(pointer, wanted)| (pointer.to_owned(), wanted.to_owned()));
    Probe::Http { url: "https://shop.example/healthz".into(), expect: 200, json, latency_below }
}

fn prometheus(demand: Demand) -> Probe {
    Probe::Prometheus { server: None, query: "errors".into(), over: None, demand }
}

pub(super) fn smoke() -> Probe {
    Probe::Workflow { workflow: WorkflowFile::new("smoke.yml") }
}

fn live_at() -> Probe {
    Probe::Live { url: "https://shop.example/version".into(), pointer: None }
}

pub(super) fn verification(probe: Probe) -> Verification {
    Verification {
        name: "smoke".into(),
        probe,
        every: Span::seconds(30),
        successes: 2,
        failures_allowed: 1,
        no_data: NoData::Inconclusive,
        dry_run: false,
    }
}

fn answers(status: u16, took: u64, value: Option<&str>) -> Reading {
    Reading::Response { status, took: Span(took), value: value.map(str::to_owned) }
}

fn samples(labels: &str, samples: &[f64]) -> Reading {
    Reading::Samples(vec![Series { labels: labels.into(), samples: samples.to_vec() }])
}

fn silent() -> Reading {
    Reading::Unanswered { because: "it refused the connection".into() }
}

fn unasked() -> Reading {
    Reading::Unasked { because: "it is not on the operator's list".into() }
}

fn says(probe: &Probe, readings: &[&Reading]) -> String {
    let heard = judged(probe, &sha(7), readings);
    format!("{:?}: {}", heard.outcome, heard.says)
}

/// One line for each reading.
fn table(probe: &Probe, readings: &[Reading]) -> String {
    readings.iter().map(|reading| says(probe, &[reading])).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_http_answer_is_judged_by_its_status_then_its_value_then_its_time() {
    let probe = http(Some(("/status", "up")), Some(Span(300)));
    let readings = [
        answers(200, 299, Some("up")),
        answers(200, 300, Some("up")),
        answers(200, 20, Some("down")),
        answers(200, 20, None),
        answers(201, 20, Some("up")),
        silent(),
        unasked(),
        samples("{}", &[1.0]),
    ];
    insta::assert_snapshot!(table(&probe, &readings), @r"
    Success: answered 200 in 299 ms
    Failure: took 300 ms, not less than 300 ms
    Failure: /status is `down`, not `up`
    Failure: /status is nothing, not `up`
    Failure: answered 201, not 200
    Failure: it refused the connection
    Inconclusive: it is not on the operator's list
    Inconclusive: it was no HTTP answer
    ");
    assert_eq!(says(&http(None, None), &[&answers(200, 9_000, None)]), "Success: answered 200 in 9000 ms");
    assert_eq!(says(&probe, &[]), "Inconclusive: it was not asked");
}

#[test]
fn what_runs_is_judged_by_the_commit_that_it_names() {
    let (whole, long) = (sha(7).to_string(), "x".repeat(61));
    let readings = [
        answers(200, 20, Some(&whole)),
        answers(299, 20, Some(&whole)),
        answers(200, 20, Some("abcdef0")),
        answers(200, 20, Some(&long)),
        answers(200, 20, None),
        answers(300, 20, Some(&whole)),
        answers(404, 20, None),
        silent(),
        unasked(),
        samples("{}", &[1.0]),
    ];
    insta::assert_snapshot!(table(&live_at(), &readings), @r"
    Success: runs 0000000
    Success: runs 0000000
    Failure: runs `abcdef0`, not 0000000
    Failure: runs `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, not 0000000
    Inconclusive: it does not say what it runs
    Inconclusive: answered 300
    Inconclusive: answered 404
    Failure: it refused the connection
    Inconclusive: it is not on the operator's list
    Inconclusive: it was no HTTP answer
    ");
}

#[test]
fn a_commit_is_named_by_its_whole_hash_or_by_a_beginning_of_seven_digits() {
    let commit = Sha::parse("0123456789abcdef0123456789abcdef01234567").expect("forty digits");
    for (said, named) in [
        ("0123456789abcdef0123456789abcdef01234567", true),
        ("0123456789ABCDEF0123456789ABCDEF01234567", true),
        ("api 1.2 (0123456789abcdef0123456789abcdef01234567)", true),
        (" 0123456\n", true),
        ("0123456789AB", true),
        ("012345", false),
        ("", false),
        ("1234567", false),
        ("api 0123456", false),
        ("0123457", false),
        ("1123456789abcdef0123456789abcdef01234567", false),
    ] {
        assert_eq!(names_commit(said, &commit), named, "{said:?}");
    }
}

#[test]
fn every_sample_of_every_series_must_keep_the_bound() {
    let readings = [
        samples("{}", &[0.9, 0.99]),
        samples("{}", &[0.9, 1.0]),
        samples("", &[1.5]),
        samples("{pod=\"a\"}", &[1.01]),
        samples("{}", &[]),
        Reading::Samples(Vec::new()),
        silent(),
        unasked(),
        answers(200, 20, None),
    ];
    insta::assert_snapshot!(table(&prometheus(Demand::Below(1.0)), &readings), @r#"
    Success: every sample is below 1
    Failure: 1 is not below 1
    Failure: 1.5 is not below 1
    Failure: 1.01 for {pod="a"} is not below 1
    Inconclusive: the query matches nothing
    Inconclusive: the query matches nothing
    Inconclusive: it refused the connection
    Inconclusive: it is not on the operator's list
    Inconclusive: the answer holds no samples
    "#);
    insta::assert_snapshot!(table(&prometheus(Demand::Above(1.0)), &readings[1..4]), @r"
    Failure: 0.9 is not above 1
    Success: every sample is above 1
    Success: every sample is above 1
    ");
    assert_eq!(says(&prometheus(Demand::Above(1.0)), &[&samples("", &[1.0])]), "Failure: 1 is not above 1");
}

#[test]
fn worse_is_worse_by_more_than_the_part_and_by_more_than_the_minimum() {
    let not_worse = |worse, by, at_least| prometheus(Demand::NotWorse { worse, by, at_least });
    let higher = |by, at_least, now: f64, before: f64| {
        says(&not_worse(Worse::Higher, by, at_least), &[&samples("{}", &[now]), &samples("{}", &[before])])
    };
    let rows = [
        higher(0.5, 0.5, 15.0, 10.0),
        higher(0.5, 0.5, 15.5, 10.0),
        higher(0.1, 2.0, 12.0, 10.0),
        higher(0.1, 2.0, 12.5, 10.0),
        higher(0.1, 0.5, 5.0, 10.0),
        // A part of what is below zero is still a part.
        higher(0.5, 0.5, -9.0, -10.0),
        higher(0.5, 0.5, -4.0, -10.0),
    ];
    insta::assert_snapshot!(rows.join("\n"), @r"
    Success: 15 now, 10 before the release
    Failure: 15.5 now, 10 before the release: worse by more than 50 % and 0.5
    Success: 12 now, 10 before the release
    Failure: 12.5 now, 10 before the release: worse by more than 10 % and 2
    Success: 5 now, 10 before the release
    Success: -9 now, -10 before the release
    Failure: -4 now, -10 before the release: worse by more than 50 % and 0.5
    ");
    let lower = not_worse(Worse::Lower, 0.1, 0.5);
    let of = |now: &[f64], before: &[f64]| says(&lower, &[&samples("{}", now), &samples("{}", before)]);
    let rows =
        [of(&[8.0], &[10.0]), of(&[12.0], &[10.0]), of(&[6.0, 10.0], &[10.0, 12.0]), of(&[], &[1.0]), of(&[1.0], &[])];
    insta::assert_snapshot!(rows.join("\n"), @r"
    Failure: 8 now, 10 before the release: worse by more than 10 % and 0.5
    Success: 12 now, 10 before the release
    Failure: 8 now, 11 before the release: worse by more than 10 % and 0.5
    Inconclusive: there are no samples from now or from before the release
    Inconclusive: there are no samples from now or from before the release
    ");
    let rows = [
        says(&lower, &[&silent(), &samples("{}", &[1.0])]),
        says(&lower, &[&samples("{}", &[1.0]), &silent()]),
        says(&lower, &[&samples("{}", &[1.0]), &unasked()]),
        says(&lower, &[&samples("{}", &[1.0]), &answers(200, 1, None)]),
        says(&lower, &[&samples("{}", &[1.0])]),
    ];
    insta::assert_snapshot!(rows.join("\n"), @r"
    Inconclusive: it refused the connection
    Inconclusive: it refused the connection
    Inconclusive: it is not on the operator's list
    Inconclusive: the answer holds no samples
    Inconclusive: there is nothing to compare it with
    ");
}

#[test]
fn numbers_are_shown_with_four_digits_that_count() {
    let shown = |value: f64| says(&prometheus(Demand::Below(-1e9)), &[&samples("{}", &[value])]);
    for (value, text) in [
        (0.0, "0"),
        (10.0, "10"),
        (1.0, "1"),
        (100.0, "100"),
        (0.012345, "0.01235"),
        (1.23456, "1.235"),
        (123.456, "123.5"),
        (12345.6, "12346"),
        (-0.5, "-0.5"),
    ] {
        assert_eq!(shown(value), format!("Failure: {text} is not below -1000000000"));
    }
}

/// Judges how a check stands; one good answer is enough and no bad one is forgiven.
fn with_checks(named: &[(&str, CheckStanding)]) -> String {
    let check = |(name, standing): &(&str, CheckStanding)| CheckState {
        name: (*name).to_owned(),
        app: None,
        standing: *standing,
        url: None,
    };
    heard_of(Fact::Checks(named.iter().map(check).collect()))
}

fn heard_of(fact: Fact) -> String {
    let policies = [verification(Probe::Check { name: "smoke".into() })];
    let mut asked = [Asked::nothing()];
    let (commit, key) = (sha(7), EffectKey::new("step-1"));
    let place = Place { sha: &commit, key: &key, started_at: NOW, until: NOW };
    let wanted = needs(&policies, &asked, &place, NOW);
    assert_eq!(wanted, [Need::Checks { sha: commit.clone() }]);
    let facts: Facts = [(wanted[0].clone(), fact)].into_iter().collect();
    assert_eq!(look(&policies, &mut asked, &place, &facts, NOW), []);
    assert!(needs(&policies, &asked, &place, NOW.plus(Span::seconds(29))).is_empty(), "it was asked just now");
    assert_eq!(needs(&policies, &asked, &place, NOW.plus(Span::seconds(30))), wanted);
    let before = asked.clone();
    look(&policies, &mut asked, &place, &facts, NOW.plus(Span::seconds(29)));
    assert_eq!(asked, before, "what others asked meanwhile does not count");
    let heard = asked[0].heard.as_ref().expect("an answer");
    format!("{:?}: {}", heard.outcome, heard.says)
}

#[test]
fn of_all_checks_of_one_name_the_worst_counts() {
    use CheckStanding::*;
    let rows = [
        with_checks(&[("smoke", Success)]),
        with_checks(&[("smoke", Success), ("smoke", Pending)]),
        with_checks(&[("smoke", Pending), ("smoke", Failure)]),
        with_checks(&[("smoke", Neutral)]),
        with_checks(&[("smoke", Success), ("lint", Failure)]),
        with_checks(&[("lint", Success)]),
        heard_of(Fact::Absent(Absence::NotFound)),
    ];
    insta::assert_snapshot!(rows.join("\n"), @r"
    Success: the check succeeded
    Inconclusive: the check has not ended
    Failure: the check failed
    Inconclusive: the check was skipped
    Success: the check succeeded
    Inconclusive: there is no such check on the commit
    Inconclusive: GitHub did not say how the checks stand
    ");
}

#[test]
fn a_check_that_has_not_ended_is_waited_for_whatever_no_data_means() {
    let (commit, key) = (sha(7), EffectKey::new("step-1"));
    let place = Place { sha: &commit, key: &key, started_at: NOW, until: NOW };
    let probe = Probe::Check { name: "smoke".into() };
    let policy = Verification { no_data: NoData::Success, successes: 1, ..verification(probe) };
    let mut asked = [Asked::nothing()];
    for (minute, standing) in [(0, CheckStanding::Pending), (1, CheckStanding::Pending), (2, CheckStanding::Success)] {
        let state = CheckState { name: "smoke".into(), app: None, url: None, standing };
        let facts = [(Need::Checks { sha: sha(7) }, Fact::Checks(vec![state]))].into_iter().collect();
        let now = NOW.plus(Span::minutes(minute));
        look(std::slice::from_ref(&policy), &mut asked, &place, &facts, now);
        assert_eq!(asked[0].at, Some(now), "it is asked again when it is due");
        assert_eq!(asked[0].successes, u32::from(minute == 2));
    }
    let not_there: Facts = [(Need::Checks { sha: sha(7) }, Fact::Checks(Vec::new()))].into_iter().collect();
    let mut asked = [Asked::nothing()];
    look(&[policy], &mut asked, &place, &not_there, NOW);
    assert_eq!(asked[0].successes, 1, "of one that is not there, `no_data` says what it means");
}

/// Some answers after one another, as a turn hears them: good, bad, unasked.
fn after(policy: &Verification, answers_heard: &[Reading]) -> Asked {
    let (commit, key) = (sha(7), EffectKey::new("step-1"));
    let place = Place { sha: &commit, key: &key, started_at: NOW, until: NOW };
    let mut asked = [Asked::nothing()];
    let mut now = NOW;
    for reading in answers_heard {
        let question = questions(&policy.probe, NOW, now).remove(0);
        let facts: Facts = [(Need::Reading { question }, Fact::Reading(reading.clone()))].into_iter().collect();
        look(std::slice::from_ref(policy), &mut asked, &place, &facts, now);
        now = now.plus(policy.every);
    }
    let [asked] = asked;
    asked
}

#[test]
fn good_answers_count_in_a_row_and_bad_ones_in_all() {
    let policy = verification(http(None, None));
    let (good, bad) = (answers(200, 1, None), answers(500, 1, None));
    for (heard, verdict_of, successes, failures) in [
        (vec![&good], Verdict::Open, 1, 0),
        (vec![&good, &good], Verdict::Passed, 2, 0),
        (vec![&good, &bad, &good], Verdict::Open, 1, 1),
        (vec![&good, &bad, &good, &good], Verdict::Passed, 2, 1),
        (vec![&good, &unasked(), &good], Verdict::Passed, 2, 0),
        (
            vec![&bad, &good, &good, &bad],
            Verdict::Failed("verification smoke failed: answered 500, not 200".into()),
            0,
            2,
        ),
    ] {
        let heard: Vec<Reading> = heard.into_iter().cloned().collect();
        let asked = after(&policy, &heard);
        let policies = std::slice::from_ref(&policy);
        assert_eq!(
            (verdict(policies, std::slice::from_ref(&asked)), asked.successes, asked.failures),
            (verdict_of, successes, failures)
        );
    }
}

#[test]
fn no_data_is_what_the_policy_says_that_it_is() {
    for (no_data, successes, failures) in
        [(NoData::Inconclusive, 0, 0), (NoData::Success, 1, 0), (NoData::Failure, 0, 1)]
    {
        let asked = after(&Verification { no_data, ..verification(http(None, None)) }, &[unasked()]);
        assert_eq!((asked.successes, asked.failures), (successes, failures), "{no_data:?}");
        let asked = after(&Verification { no_data, ..verification(http(None, None)) }, &[answers(500, 1, None)]);
        assert_eq!((asked.successes, asked.failures), (0, 1), "an answer is an answer");
    }
}

#[test]
fn what_is_undecided_names_only_what_decides_and_has_not_passed() {
    let named = |name: &str, dry_run| Verification { name: name.into(), dry_run, ..verification(http(None, None)) };
    let policies = [named("passed", false), named("dry", true), named("half", false), named("silent", false)];
    let good = answers(200, 1, None);
    let asked = [
        after(&policies[0], &[good.clone(), good.clone()]),
        Asked::nothing(),
        after(&policies[2], &[good]),
        Asked::nothing(),
    ];
    assert_eq!(undecided(&policies, &asked), "half: answered 200 in 1 ms; silent: no answer");
    assert_eq!(verdict(&policies, &asked), Verdict::Open);
    assert_eq!(verdict(&policies[..2], &asked[..2]), Verdict::Passed);
}

#[test]
fn a_turn_asks_at_most_six_questions_outside_github_and_the_rest_in_the_next() {
    let not_worse = prometheus(Demand::NotWorse { worse: Worse::Higher, by: 0.1, at_least: 0.5 });
    let (commit, key) = (sha(7), EffectKey::new("step-1"));
    let place = Place { sha: &commit, key: &key, started_at: NOW.minus(Span::minutes(1)), until: NOW };
    let seen = [Asked { at: Some(NOW.minus(Span(29_999))), ..Asked::nothing() }];
    assert_eq!(needs(&[verification(http(None, None))], &seen, &place, NOW), [], "it was asked just now");
    let asked_for = |probes: &[Probe]| {
        let policies: Vec<Verification> = probes.iter().cloned().map(verification).collect();
        needs(&policies, &vec![Asked::nothing(); probes.len()], &place, NOW).len()
    };
    assert_eq!(asked_for(&vec![http(None, None); 6]), 6);
    assert_eq!(asked_for(&vec![http(None, None); 7]), 6);
    assert_eq!(asked_for(&vec![not_worse.clone(); 4]), 6, "two questions each");
    let check = Probe::Check { name: "smoke".into() };
    assert_eq!(asked_for(&[vec![check], vec![http(None, None); 6]].concat()), 7, "GitHub is asked besides");
    let mut five = vec![http(None, None); 5];
    five.extend([not_worse, http(None, None)]);
    assert_eq!(asked_for(&five), 6, "what is asked twice does not fit, what is asked once does");
}

#[test]
fn what_is_compared_is_asked_as_it_is_and_as_it_was() {
    let before = NOW.minus(Span::minutes(1));
    let at = |probe: &Probe| -> Vec<Timestamp> {
        let at = questions(probe, before, NOW).into_iter().filter_map(|question| match question {
            Question::Prometheus { at, .. } => Some(at),
            Question::Http { .. } => None,
        });
        at.collect()
    };
    assert_eq!(at(&prometheus(Demand::Below(1.0))), [NOW]);
    assert_eq!(at(&prometheus(Demand::NotWorse { worse: Worse::Higher, by: 0.1, at_least: 0.5 })), [NOW, before]);
    let pointer = |probe: &Probe| match questions(probe, before, NOW).remove(0) {
        Question::Http { pointer, .. } => pointer,
        Question::Prometheus { .. } => None,
    };
    assert_eq!(pointer(&http(None, None)), None);
    assert_eq!(pointer(&http(Some(("/a", "b")), None)), Some("/a".into()));
    assert_eq!(pointer(&live_at()), Some(String::new()), "the whole text");
    assert!(questions(&smoke(), before, NOW).is_empty());
}
