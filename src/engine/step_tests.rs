//! What becomes of a turn, by what GitHub answers.

use super::*;
use crate::domain::event::Signal;
use crate::domain::facts::{PolicyFile, RepositorySnapshot};
use crate::engine::ports::Parked;
use crate::engine::script::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const US: Option<InstallationId> = Some(InstallationId(7));

/// Has the repository read its policy.
fn pushed() -> Event {
    Event::Pushed { branch: RefName::new("main"), after: Sha::parse(&"a".repeat(40)).unwrap(), by: None }
}

/// GitHub shows the repository, which has no policy.
fn shown(need: &Need) -> Result<Fact, GitHubError> {
    match need {
        Need::Repository => {
            Ok(Fact::Repository(RepositorySnapshot { default_branch: RefName::new("main"), archived: false }))
        }
        Need::PolicyFile => Ok(Fact::PolicyFile(PolicyFile::Missing)),
        _ => Ok(Fact::Absent(Absence::NotFound)),
    }
}

fn reads(reads: impl Fn(&Need) -> Result<Fact, GitHubError> + Send + Sync + 'static) -> Script {
    let mut script = Script::new();
    script.reads = Box::new(reads);
    script
}

async fn go(script: &Script) -> Turn {
    turn((&*script.store, &Lanes::default()), script, script, script, &holder()).await.unwrap()
}

async fn lane(script: &Script, subject: &Subject) -> Option<Lane> {
    script.store.peek(subject).await.unwrap().map(|snapshot| read_lane(&snapshot.state).unwrap())
}

async fn journal(script: &Script, subject: &Subject) -> Vec<String> {
    script.store.journal(subject, 100).await.unwrap().into_iter().map(|line| line.text).collect()
}

/// Makes turns until something was put aside, and gives the pauses between them, in seconds.
async fn until_parked(script: &Script) -> (Vec<u64>, Vec<Parked>) {
    let mut pauses = Vec::new();
    loop {
        assert_eq!(go(script).await, Turn::Deferred);
        let parked = script.store.parked(100).await.unwrap();
        if !parked.is_empty() {
            return (pauses, parked);
        }
        let before = Clock::now(script);
        pauses.push(script.next().await.unwrap().since(before).0 / 1_000);
    }
}

#[test]
fn pauses_double_up_to_an_hour() {
    let seconds = |failures| backoff(failures).0 / 1_000;
    assert_eq!(
        [0, 1, 2, 9, 10, 11, 12, 63, 64, u32::MAX].map(seconds),
        [2, 4, 8, 1_024, 2_048, 3_600, 3_600, 3_600, 3_600, 3_600]
    );
}

#[tokio::test]
async fn an_arrival_that_always_fails_is_put_aside_after_hours_and_the_others_go_on() {
    let script = reads(|need| match need {
        Need::RecentPulls { .. } => Err(unavailable()),
        _ => Ok(Fact::Absent(Absence::NotFound)),
    });
    let fails = Event::RecheckRequested { head_sha: Sha::parse(&"b".repeat(40)).unwrap() };
    script.arrive(repository(), US, fails, Timestamp(0)).await;
    script.arrive(repository(), US, pushed(), Timestamp(0)).await;
    let (pauses, parked) = until_parked(&script).await;
    assert_eq!(pauses[..8], [2, 4, 8, 16, 32, 64, 128, 256]);
    assert_eq!(pauses[8..], [300; 35]);
    let [parked] = &parked[..] else { panic!("{parked:?}") };
    assert_eq!((&parked.because, parked.at), (&unavailable().to_string(), at_seconds(510 + 35 * 300)));
    assert_eq!(go(&script).await, Turn::Done);
    assert_eq!(script.store.counts(Timestamp(0)).await.unwrap().arrivals_waiting, 0);
}

#[tokio::test]
async fn an_old_arrival_is_tried_twelve_times_before_it_is_put_aside() {
    let pauses = [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300];
    // The first is old from the beginning, the second just by the last try.
    for age in [3 * 3_600, 3 * 3_600 - pauses.iter().sum::<u64>()] {
        let script = reads(|_| Err(unavailable()));
        script.go_to(at_seconds(age as i64));
        script.arrive(repository(), US, pushed(), Timestamp(0)).await;
        assert_eq!(until_parked(&script).await.0, pauses);
    }
}

#[tokio::test]
async fn time_that_github_asked_for_is_given_and_puts_nothing_aside() {
    let script = reads(|_| Err(wait(900)));
    script.arrive(repository(), US, pushed(), Timestamp(0)).await;
    for tries in 1..30 {
        assert_eq!(go(&script).await, Turn::Deferred);
        assert_eq!(script.next().await, Some(at_seconds(900 * tries)));
    }
    assert_eq!(script.store.parked(100).await.unwrap(), []);
}

#[tokio::test]
async fn the_first_sweep_reaches_back_from_the_first_word_of_a_repository() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let since = asked.clone();
    let script = reads(move |need| {
        if let Need::RecentPulls { since: from } = need {
            since.lock().unwrap().push(*from);
        }
        shown(need)
    });
    script.arrive(repository(), US, pushed(), at_seconds(60)).await;
    // GitHub could not be read for an hour.
    script.go_to(at_seconds(3_600));
    assert_eq!([go(&script).await, go(&script).await], [Turn::Done; 2]);
    assert_eq!(*asked.lock().unwrap(), [at_seconds(60).minus(Span::minutes(10))]);
}

#[tokio::test]
async fn what_github_does_not_show_is_a_fact_to_decide_about() {
    for error in [gone(), refused()] {
        let script = reads(move |_| Err(error.clone()));
        script.arrive(repository(), US, pushed(), Timestamp(0)).await;
        assert_eq!(go(&script).await, Turn::Done);
        let told = journal(&script, &repository()).await;
        assert_eq!(told, ["the repository cannot be seen; it is left alone until access is granted again"]);
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again() {
    let script = reads(|_| Err(uncertain()));
    script.arrive(repository(), US, pushed(), Timestamp(0)).await;
    assert_eq!(go(&script).await, Turn::Deferred);
    assert_eq!(script.next().await, Some(at_seconds(2)));
    assert_eq!(script.store.parked(100).await.unwrap(), []);
}

#[tokio::test]
async fn a_lane_that_never_heard_of_an_installation_asks_nobody() {
    let script = reads(|_| panic!("through whom?"));
    script.arrive(repository(), None, pushed(), Timestamp(0)).await;
    assert_eq!(go(&script).await, Turn::Done);
    assert_eq!(journal(&script, &repository()).await.len(), 1);
}

#[tokio::test]
async fn a_lane_speaks_through_the_installation_heard_of_last() {
    let script = Script::new();
    for (heard, speaks) in [(US, US), (None, US), (Some(InstallationId(8)), Some(InstallationId(8)))] {
        script.arrive(repository(), heard, pushed(), Timestamp(0)).await;
        assert_eq!(go(&script).await, Turn::Done);
        assert_eq!(lane(&script, &repository()).await.unwrap().installation, speaks);
    }
}

#[tokio::test]
async fn what_is_forwarded_tells_who_sent_it_and_through_whom_to_speak() {
    let script = reads(shown);
    script.go_to(at_seconds(5));
    let wanted = Event::Signal(Signal::PolicyWanted { by: pull(1) });
    script.arrive(repository(), US, wanted, at_seconds(5)).await;
    assert_eq!(go(&script).await, Turn::Done);
    let event = Event::Signal(Signal::PolicyReady);
    let source = Source::Lane(repository());
    let expected = Arrival { subject: pull(1), installation: US, event, source, at: at_seconds(5) };
    assert_eq!(script.inbox().await, [expected]);
}

#[tokio::test]
async fn a_lane_that_was_taken_over_is_left_to_who_has_it() {
    let mut script = Script::new();
    let store = script.store.clone();
    script.reads = Box::new(move |_| {
        let other = Holder("other".into());
        let claim = |at: Timestamp| at_once(store.claim_lane(&other, at, at.plus(LEASE), 1)).unwrap();
        // While the first of two reads is under way.
        if at_once(store.next_due(Timestamp(0))).unwrap() == Some(at_seconds(120)) {
            assert_eq!(claim(Timestamp(119_999)), None);
            assert!(claim(at_seconds(120)).is_some());
        }
        Ok(Fact::Absent(Absence::NotFound))
    });
    script.arrive(repository(), US, pushed(), Timestamp(0)).await;
    assert_eq!(go(&script).await, Turn::Deferred);
    assert_eq!(lane(&script, &repository()).await, None);
    assert_eq!(script.next().await, Some(at_seconds(240)), "the other holds it");
}

#[tokio::test]
async fn a_lane_that_the_clock_called_is_tried_as_long_as_it_takes() {
    let failing = Arc::new(AtomicBool::new(false));
    let fails = failing.clone();
    let script = reads(move |need| if fails.load(Ordering::Relaxed) { Err(unavailable()) } else { shown(need) });
    script.arrive(repository(), US, pushed(), Timestamp(0)).await;
    assert_eq!(go(&script).await, Turn::Done);
    failing.store(true, Ordering::Relaxed);
    script.go_to(at_seconds(900));
    for tries in 0..100 {
        let before = Clock::now(&script);
        assert_eq!(go(&script).await, Turn::Deferred);
        assert_eq!(script.next().await, Some(before.plus(backoff(tries).min(Span::minutes(5)))));
    }
    failing.store(false, Ordering::Relaxed);
    assert_eq!(go(&script).await, Turn::Done);
    assert_eq!(go(&script).await, Turn::Idle);
}

#[tokio::test]
async fn when_the_clock_shall_call_is_for_the_last_event_of_a_turn_to_say() {
    let script = reads(shown);
    script.arrive(repository(), US, pushed(), Timestamp(0)).await;
    script.arrive(repository(), US, Event::AccessChanged { granted: false }, Timestamp(0)).await;
    assert_eq!(go(&script).await, Turn::Done);
    assert_eq!((go(&script).await, script.next().await), (Turn::Idle, None));
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_left_as_it_is_and_not_tried_all_the_time() {
    let script = Script::new();
    script.arrive(repository(), US, pushed(), Timestamp(0)).await;
    let lane = script.store.claim_lane(&holder(), Timestamp(0), Timestamp(0), 9).await.unwrap().unwrap();
    let state = br#"{"format": 4000000000}"#.to_vec();
    let newer = TurnCommit {
        subject: repository(),
        holder: holder(),
        expected_version: None,
        state: state.clone(),
        wake_at: Some(at_seconds(60)),
        taken: lane.arrivals.iter().map(|(id, _)| *id).collect(),
        effects: Vec::new(),
        forwards: Vec::new(),
        journal: Vec::new(),
        at: Timestamp(0),
    };
    script.store.commit(newer).await.unwrap();

    script.arrive(repository(), US, pushed(), Timestamp(0)).await;
    assert_eq!(go(&script).await, Turn::Deferred);
    let because = "the state has format 4000000000, this version knows 2";
    assert_eq!(script.store.parked(9).await.unwrap()[0].because, because);

    // The clock calls, and there is nothing to put aside.
    assert_eq!(script.next().await, Some(at_seconds(60)));
    for pause in [2, 4, 8] {
        let before = Clock::now(&script);
        assert_eq!(go(&script).await, Turn::Deferred);
        assert_eq!(script.next().await, Some(before.plus(Span::seconds(pause))));
    }
    assert_eq!(script.store.peek(&repository()).await.unwrap().unwrap().state, state);
    assert_eq!(script.store.parked(9).await.unwrap().len(), 1);
}

/// Makes one turn of the repository's lane: it looks at GitHub and finds nothing new.
async fn look(script: &Script, lanes: &Lanes) -> Vec<u8> {
    script.arrive(repository(), US, Event::Look { because: "a test".to_owned() }, Clock::now(script)).await;
    assert_eq!(turn((&*script.store, lanes), script, script, script, &holder()).await.unwrap(), Turn::Done);
    script.store.peek(&repository()).await.unwrap().unwrap().state
}

#[tokio::test]
async fn a_turn_that_changes_nothing_leaves_the_lane_as_it_was_written() {
    let script = reads(shown);
    let lanes = Lanes::default();
    script.arrive(repository(), US, pushed(), Timestamp(0)).await;
    turn((&*script.store, &lanes), &script, &script, &script, &holder()).await.unwrap();
    let first = look(&script, &lanes).await;
    assert_eq!(look(&script, &lanes).await, first);
    assert_eq!(script.store.peek(&repository()).await.unwrap().unwrap().version, 3);
    // A change that comes after such a turn is written.
    let elsewhere = Some(InstallationId(8));
    script.arrive(repository(), elsewhere, Event::Look { because: "a test".to_owned() }, Timestamp(0)).await;
    turn((&*script.store, &lanes), &script, &script, &script, &holder()).await.unwrap();
    assert_eq!(lane(&script, &repository()).await.unwrap().installation, elsewhere);
}
