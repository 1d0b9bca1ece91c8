//! What becomes of an effect, by what GitHub answers.

use super::*;
use crate::domain::effect::{Content, Effect, ProtectionState, Publish, Target};
use crate::domain::event::Event;
use crate::engine::ports::{Arrival, TurnCommit};
use crate::engine::script::*;
use std::collections::BTreeMap;

fn dispatch() -> Act {
    let inputs = BTreeMap::new();
    Act::DispatchWorkflow { workflow: WorkflowFile::new("deploy.yml"), branch: RefName::new("main"), inputs }
}

fn comment(generation: u64) -> Work {
    let target = Target::LivingComment { number: PullNumber(1) };
    Work::Publish(Publish { target, generation, content: Content::Comment("text".into()) })
}

/// Plans an effect through a turn of pull request 1.
async fn plan(script: &Script, key: &str, work: Work) {
    script.arrive(pull(1), None, Event::Look { because: "plan".into() }, Timestamp(0)).await;
    let now = Clock::now(script);
    let lane = script.store.claim_lane(&holder(), now, now, 100).await.unwrap().unwrap();
    let effect = Effect { key: EffectKey::new(key), subject: pull(1), installation: InstallationId(7), work };
    let turn = TurnCommit {
        subject: lane.subject,
        holder: holder(),
        expected_version: lane.snapshot.map(|snapshot| snapshot.version),
        state: b"{}".to_vec(),
        wake_at: None,
        taken: lane.arrivals.iter().map(|(id, _)| *id).collect(),
        effects: vec![effect],
        forwards: Vec::new(),
        journal: Vec::new(),
        at: now,
    };
    script.store.commit(turn).await.unwrap();
}

/// A script in which one effect is planned, and how writes go.
async fn planned(work: Work, writes: impl IntoIterator<Item = Result<Done, GitHubError>>) -> Script {
    let script = Script::new();
    plan(&script, "k", work).await;
    script.performs.lock().unwrap().extend(writes.into_iter().map(Perform::Answer));
    script
}

fn finds(script: &Script, looks: impl IntoIterator<Item = Result<Option<Done>, GitHubError>>) {
    script.probes.lock().unwrap().extend(looks);
}

async fn go(script: &Script) -> Sent {
    perform(&*script.store, script, script, &holder()).await.unwrap()
}

/// How effects of pull request 1 ended, as its lane heard it.
async fn endings(script: &Script) -> Vec<Ending> {
    let ending = |arrival: Arrival| match arrival.event {
        Event::EffectEnded { ending, .. } => ending,
        other => panic!("{other:?}"),
    };
    script.inbox().await.into_iter().map(ending).collect()
}

fn done() -> Done {
    Done { id: Some(9), url: Some("https://github.com/acme/shop/runs/9".into()) }
}

fn stands() -> Ending {
    Ending::Done { id: done().id, url: done().url }
}

#[tokio::test]
async fn how_an_effect_ended_is_what_its_lane_hears() {
    for (answer, ending) in [
        (Ok(done()), stands()),
        (Err(refused()), Ending::Refused { message: "Spammed (422)".into() }),
        (Err(gone()), Ending::Refused { message: "Not Found".into() }),
    ] {
        let script = planned(Work::Act(dispatch()), [answer]).await;
        assert_eq!(go(&script).await, Sent::Ended);
        assert_eq!(endings(&script).await, [ending]);
        assert_eq!((go(&script).await, script.next().await), (Sent::Idle, None));
        assert_eq!(script.seen(), ["k"]);
    }
}

#[tokio::test]
async fn github_is_given_the_time_it_asks_for_and_nothing_is_looked_for_that_was_never_sent() {
    let script = planned(Work::Act(dispatch()), [Err(wait(90)), Ok(done())]).await;
    assert_eq!(go(&script).await, Sent::Later);
    assert_eq!(script.next().await, Some(at_seconds(90)));
    assert_eq!(go(&script).await, Sent::Ended);
    assert_eq!(script.seen(), ["k", "k"]);
}

#[tokio::test]
async fn a_fault_of_the_moment_is_tried_again_later_and_later_but_not_for_ever() {
    let script = planned(Work::Act(dispatch()), vec![Err(unavailable()); 21]).await;
    let mut gaps = Vec::new();
    let mut now = Timestamp(0);
    while go(&script).await == Sent::Later {
        let next = script.next().await.unwrap();
        gaps.push(next.since(now).0 / 1_000);
        now = next;
    }
    let doubling = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048];
    assert_eq!(gaps[..11], doubling);
    assert_eq!(gaps[11..], [3_600; 9]);
    assert_eq!(endings(&script).await, [Ending::Refused { message: unavailable().to_string() }]);
    assert_eq!(script.seen(), ["k"; 21]);
}

#[tokio::test]
async fn an_uncertain_try_is_looked_for_when_it_had_time_to_appear() {
    for (found, seen) in [(Some(done()), &["k", "k since 0?"][..]), (None, &["k", "k since 0?", "k"])] {
        let script = planned(Work::Act(dispatch()), [Err(uncertain()), Ok(done())]).await;
        finds(&script, [Ok(found)]);
        assert_eq!(go(&script).await, Sent::Later);
        assert_eq!(script.next().await, Some(at_seconds(45)));
        assert_eq!(go(&script).await, Sent::Ended);
        assert_eq!(endings(&script).await, [stands()]);
        assert_eq!(script.seen(), seen);
    }
}

#[tokio::test]
async fn while_looking_fails_nothing_is_sent_again() {
    let script = planned(Work::Act(dispatch()), [Err(uncertain())]).await;
    finds(&script, [Err(unavailable()), Err(wait(30)), Err(uncertain()), Ok(Some(done()))]);
    for wait in [45, 4, 30, 16] {
        let before = Clock::now(&script);
        assert_eq!(go(&script).await, Sent::Later);
        let next = script.next().await.unwrap();
        assert_eq!(next.since(before), Span::seconds(wait));
    }
    assert_eq!(go(&script).await, Sent::Ended);
    assert_eq!(endings(&script).await, [stands()]);
    assert_eq!(script.seen(), ["k", "k since 0?", "k since 0?", "k since 0?", "k since 0?"]);
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_left_to_a_person_if_it_would_do_harm_twice() {
    let (run, environment) = (RunId(5), EnvironmentName::new("production"));
    let sha = Sha::parse(&"a".repeat(40)).unwrap();
    let task = || "deploy".to_owned();
    let state = Some(ProtectionState::Approved);
    let harmful = [
        dispatch(),
        Act::CreateDeployment {
            sha,
            environment: environment.clone(),
            task: task(),
            description: String::new(),
            production: true,
        },
        Act::OpenIssue { title: String::new(), body: String::new() },
        Act::RevertPull { pull: PullNumber(1), title: String::new(), body: String::new() },
        Act::AnswerProtection { run, environment, state, comment: String::new() },
    ];
    let harmless = [Act::React { comment: CommentId(3) }, Act::CancelRun { run }];
    let works = harmful.map(|act| (Work::Act(act), true)).into_iter();
    let works = works.chain(harmless.map(|act| (Work::Act(act), false))).chain([(comment(1), false)]);
    for (work, is_harmful) in works {
        for error in [gone(), refused()] {
            let script = planned(work.clone(), [Err(uncertain())]).await;
            let message = error.to_string();
            finds(&script, [Err(error)]);
            assert_eq!(go(&script).await, Sent::Later);
            script.next().await;
            assert_eq!(go(&script).await, Sent::Ended);
            let ending = if is_harmful { Ending::Unknown { message } } else { Ending::Refused { message } };
            assert_eq!(endings(&script).await, [ending], "{work:?}");
        }
    }
}

#[tokio::test]
async fn looking_that_fails_again_and_again_comes_to_an_end() {
    let script = planned(Work::Act(dispatch()), [Err(uncertain())]).await;
    finds(&script, vec![Err(unavailable()); 20]);
    let mut tries = 1;
    while go(&script).await == Sent::Later {
        script.next().await.unwrap();
        tries += 1;
    }
    assert_eq!(tries, 21);
    assert_eq!(endings(&script).await, [Ending::Unknown { message: unavailable().to_string() }]);
}

#[tokio::test]
async fn enough_is_enough_also_when_the_last_try_ended_in_another_way() {
    let mut writes = vec![Err(unavailable()); 20];
    writes.extend([Err(wait(90)), Err(unavailable())]);
    let script = planned(Work::Act(dispatch()), writes).await;
    while go(&script).await == Sent::Later {
        script.next().await.unwrap();
    }
    assert_eq!(script.seen().len(), 22);

    let script = planned(Work::Act(dispatch()), [Err(uncertain()), Err(uncertain())]).await;
    let mut looks = vec![Err(unavailable()); 19];
    looks.extend([Ok(None), Err(unavailable())]);
    finds(&script, looks);
    while go(&script).await == Sent::Later {
        script.next().await.unwrap();
    }
    assert_eq!(script.seen().len(), 2 + 21);
}

#[tokio::test]
async fn waits_that_github_asked_for_do_not_use_up_the_tries() {
    let mut writes = vec![Err(wait(60)); 25];
    writes.extend([Err(unavailable()), Ok(done())]);
    let script = planned(Work::Act(dispatch()), writes).await;
    while go(&script).await == Sent::Later {
        script.next().await.unwrap();
    }
    assert_eq!(script.seen().len(), 27);
    assert!(script.performs.lock().unwrap().is_empty(), "it was given up");
}

#[tokio::test]
async fn a_process_that_was_asleep_sends_nothing_under_an_old_lease() {
    let script = planned(Work::Act(dispatch()), [Ok(done())]).await;
    // Between the claim and the sending.
    script.passing.lock().unwrap().push_back(60_001);
    assert_eq!(go(&script).await, Sent::Later);
    assert_eq!(script.seen(), [""; 0]);
    finds(&script, [Ok(None)]);
    assert_eq!(script.next().await, Some(Timestamp(105_001)));
    script.passing.lock().unwrap().push_back(60_000);
    assert_eq!(go(&script).await, Sent::Ended);
    assert_eq!(script.seen(), ["k since 0?", "k"]);
}

#[tokio::test]
async fn what_another_holder_took_over_is_left_to_it() {
    let script = planned(Work::Act(dispatch()), []).await;
    script.performs.lock().unwrap().push_back(Perform::TakenOver);
    assert_eq!(go(&script).await, Sent::Later);
    assert_eq!(endings(&script).await, []);
}

#[tokio::test]
async fn what_a_process_left_in_flight_is_looked_for_when_its_lease_ran_out() {
    let script = planned(Work::Act(dispatch()), []).await;
    script.performs.lock().unwrap().push_back(Perform::Never);
    cut_short(go(&script));
    assert_eq!(go(&script).await, Sent::Idle);
    finds(&script, [Ok(Some(done()))]);
    assert_eq!(script.next().await, Some(at_seconds(120)));
    assert_eq!(go(&script).await, Sent::Ended);
    assert_eq!(script.seen(), ["k", "k since 0?"]);
}

#[tokio::test]
async fn a_newer_view_changes_what_the_older_one_made() {
    let script = planned(comment(1), [Ok(done()), Ok(done())]).await;
    assert_eq!(go(&script).await, Sent::Ended);
    plan(&script, "k2", comment(2)).await;
    assert_eq!(go(&script).await, Sent::Ended);
    assert_eq!(script.seen(), ["k", "k2 in place of 9"]);
}
