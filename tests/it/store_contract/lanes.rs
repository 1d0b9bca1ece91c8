//! Lanes: in order, one turn at a time, under a lease; a turn happens as a whole or not at all.

use super::*;
use plimsoll::store::journal_is_whole;

contract! {
    arrivals_of_a_lane_are_taken_in_order,
    the_lane_that_waited_longest_goes_first,
    one_lane_has_one_holder_at_a_time,
    a_lease_that_ran_out_lets_another_take_over,
    a_holder_that_was_late_but_not_replaced_may_still_commit,
    two_turns_under_one_name_cannot_both_commit,
    a_turn_that_expected_another_version_changes_nothing,
    a_turn_that_takes_what_is_gone_is_refused,
    a_commit_writes_everything_at_once,
    an_arrival_during_a_turn_waits_for_the_next,
    a_lane_is_woken_when_it_asked_to_be,
    an_arrival_before_the_wake_is_taken_and_the_wake_stays,
    a_failed_turn_is_counted_and_deferred,
    only_the_holder_may_defer_or_park,
    parked_arrivals_leave_the_inbox_and_stay_visible,
    the_next_due_time_is_the_earliest_after_now,
    the_journal_is_a_chain_per_lane,
    an_arrival_comes_back_as_it_was,
}

async fn arrivals_of_a_lane_are_taken_in_order(store: impl Store) {
    for (n, word) in ["a", "b", "c"].iter().enumerate() {
        // The order is that of arrival, whatever the clock says.
        store.arrive(look(pull(1), word, 50 - n as i64)).await.expect("arrives");
    }
    let lane = store.claim_lane(&ada(), at(99), at(199), 2).await.expect("claims").expect("a lane");
    assert_eq!(said(&lane), ["a", "b"]);
    assert!(lane.arrivals[0].0 < lane.arrivals[1].0);
    assert_eq!((lane.snapshot.clone(), lane.woken, lane.failures), (None, false, 0));
    store.commit(turn(&lane, &ada(), 99)).await.expect("commits");
    assert_eq!(said(&claim(&store, &ada(), 100).await), ["c"]);
}

async fn the_lane_that_waited_longest_goes_first(store: impl Store) {
    store.arrive(look(pull(1), "late", 30)).await.expect("arrives");
    store.arrive(look(pull(2), "early", 10)).await.expect("arrives");
    store.arrive(look(pull(1), "later", 40)).await.expect("arrives");
    store.arrive(look(pull(3), "between", 20)).await.expect("arrives");
    for expected in [pull(2), pull(3), pull(1)] {
        let lane = claim(&store, &ada(), 50).await;
        assert_eq!(lane.subject, expected);
        store.commit(turn(&lane, &ada(), 50)).await.expect("commits");
    }
    assert_eq!(claim_or_none(&store, &ada(), 50).await, None);
}

async fn one_lane_has_one_holder_at_a_time(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    store.arrive(look(pull(2), "b", 2)).await.expect("arrives");
    assert_eq!(claim(&store, &ada(), 5).await.subject, pull(1));
    assert_eq!(claim(&store, &grace(), 5).await.subject, pull(2));
    assert_eq!(claim_or_none(&store, &ada(), 5).await, None);
    assert_eq!(claim_or_none(&store, &ada(), 1_004).await, None);
}

async fn a_lease_that_ran_out_lets_another_take_over(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let late = claim(&store, &ada(), 0).await;
    let lane = claim(&store, &grace(), 1_000).await;
    assert_eq!(lane.arrivals, late.arrivals);
    let mut commit = turn(&late, &ada(), 1_001);
    commit.effects = vec![dispatch("twice")];
    commit.forwards = vec![look(pull(9), "twice", 1)];
    commit.journal = vec!["twice".into()];
    assert_eq!(store.commit(commit).await, Err(StoreError::Conflict { subject: "pull_request:acme/shop#1".into() }));
    assert_eq!(store.counts(at(1_001)).await, Ok(Counts { arrivals_waiting: 1, lanes: 1, ..Counts::default() }));
    assert_eq!(store.journal(&pull(1), 9).await, Ok(vec![]));
    store.commit(turn(&lane, &grace(), 1_002)).await.expect("commits");
}

async fn a_holder_that_was_late_but_not_replaced_may_still_commit(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let lane = claim(&store, &ada(), 0).await;
    store.commit(turn(&lane, &ada(), 99_000)).await.expect("commits");
    assert_eq!(claim_or_none(&store, &grace(), 99_001).await, None);
}

async fn two_turns_under_one_name_cannot_both_commit(store: impl Store) {
    // Two workers of one instance carry one name; the version tells them apart.
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let slow = claim(&store, &ada(), 0).await;
    let quick = claim(&store, &ada(), 2_000).await;
    store.commit(turn(&slow, &ada(), 2_001)).await.expect("commits");
    assert!(is_conflict(store.commit(turn(&quick, &ada(), 2_002)).await));
}

async fn a_turn_that_expected_another_version_changes_nothing(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let lane = claim(&store, &ada(), 5).await;
    for expected_version in [Some(1), Some(0), Some(u64::MAX)] {
        let wrong = TurnCommit { expected_version, journal: vec!["no".into()], ..turn(&lane, &ada(), 6) };
        assert!(is_conflict(store.commit(wrong).await), "{expected_version:?}");
    }
    assert_eq!(store.peek(&pull(1)).await, Ok(None));
    assert_eq!(store.counts(at(6)).await.expect("counts").arrivals_waiting, 1);
    store.commit(turn(&lane, &ada(), 7)).await.expect("the right one is still held");
    store.arrive(look(pull(1), "b", 8)).await.expect("arrives");
    let lane = claim(&store, &ada(), 9).await;
    assert!(is_conflict(store.commit(TurnCommit { expected_version: None, ..turn(&lane, &ada(), 9) }).await));
}

async fn a_turn_that_takes_what_is_gone_is_refused(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    store.arrive(look(pull(2), "b", 2)).await.expect("arrives");
    let other = claim(&store, &ada(), 5).await;
    let lane = claim(&store, &ada(), 5).await;
    let taken = vec![lane.arrivals[0].0, other.arrivals[0].0];
    assert!(is_conflict(store.commit(TurnCommit { taken, ..turn(&lane, &ada(), 6) }).await));
    let counts = store.counts(at(6)).await.expect("counts");
    assert_eq!((counts.arrivals_waiting, counts.lanes), (2, 2));
    // The same row named twice is one row.
    let taken = vec![lane.arrivals[0].0, lane.arrivals[0].0];
    store.commit(TurnCommit { taken, ..turn(&lane, &ada(), 6) }).await.expect("commits");
}

async fn a_commit_writes_everything_at_once(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let lane = claim(&store, &ada(), 5).await;
    let commit = TurnCommit {
        state: b"{\"n\":1}".to_vec(),
        wake_at: Some(at(700)),
        effects: vec![dispatch("x"), comment(1)],
        forwards: vec![look(pipeline("api"), "go", 6), look(pull(1), "myself", 6)],
        journal: vec!["one".into(), "two".into()],
        ..turn(&lane, &ada(), 6)
    };
    store.commit(commit).await.expect("commits");
    let snapshot = Snapshot { version: 1, state: b"{\"n\":1}".to_vec() };
    assert_eq!(store.peek(&pull(1)).await, Ok(Some(snapshot.clone())));
    assert_eq!(store.peek(&pipeline("api")).await, Ok(None));
    let expected = Counts { arrivals_waiting: 2, effects_planned: 2, lanes: 2, ..Counts::default() };
    assert_eq!(store.counts(at(6)).await, Ok(expected));
    let texts: Vec<_> =
        store.journal(&pull(1), 9).await.expect("reads").into_iter().map(|l| (l.version, l.text)).collect();
    assert_eq!(texts, [(1, "two".to_owned()), (1, "one".to_owned())]);
    assert_eq!(claim(&store, &grace(), 6).await.subject, pipeline("api"));
    let again = claim(&store, &grace(), 6).await;
    assert_eq!((again.subject.clone(), said(&again), again.snapshot), (pull(1), vec!["myself".into()], Some(snapshot)));
}

async fn an_arrival_during_a_turn_waits_for_the_next(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let lane = claim(&store, &ada(), 5).await;
    store.arrive(look(pull(1), "b", 6)).await.expect("arrives");
    assert_eq!(claim_or_none(&store, &grace(), 7).await, None);
    store.commit(turn(&lane, &ada(), 8)).await.expect("commits");
    let next = claim(&store, &grace(), 9).await;
    assert_eq!((said(&next), next.snapshot.map(|s| s.version)), (vec!["b".to_owned()], Some(1)));
}

async fn a_lane_is_woken_when_it_asked_to_be(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let lane = claim(&store, &ada(), 5).await;
    store.commit(TurnCommit { wake_at: Some(at(100)), ..turn(&lane, &ada(), 6) }).await.expect("commits");
    assert_eq!(claim_or_none(&store, &ada(), 99).await, None);
    let woken = claim(&store, &ada(), 100).await;
    assert_eq!((woken.subject.clone(), woken.woken, woken.arrivals.len()), (pull(1), true, 0));
    // Until a commit says otherwise it stays due.
    assert_eq!(claim_or_none(&store, &grace(), 101).await, None);
    assert!(claim(&store, &grace(), 1_100).await.woken);
    store.commit(turn(&woken, &grace(), 1_101)).await.expect("commits");
    assert_eq!(claim_or_none(&store, &ada(), 9_999).await, None);
    assert_eq!(store.next_due(at(0)).await, Ok(None));
}

async fn an_arrival_before_the_wake_is_taken_and_the_wake_stays(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let lane = claim(&store, &ada(), 5).await;
    store.commit(TurnCommit { wake_at: Some(at(5_000)), ..turn(&lane, &ada(), 6) }).await.expect("commits");
    store.arrive(look(pull(1), "b", 7)).await.expect("arrives");
    let lane = claim(&store, &ada(), 8).await;
    assert_eq!((lane.woken, said(&lane)), (false, vec!["b".to_owned()]));
    store.park_arrivals(&pull(1), &ada(), &[lane.arrivals[0].0], "no", at(9)).await.expect("parks");
    assert_eq!(store.next_due(at(10)).await, Ok(Some(at(5_000))));
    assert!(claim(&store, &ada(), 5_000).await.woken);
}

async fn a_failed_turn_is_counted_and_deferred(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    for failures in 0..3 {
        let now = i64::from(failures) * 100;
        let lane = claim(&store, &ada(), now + 5).await;
        assert_eq!((lane.failures, said(&lane)), (failures, vec!["a".to_owned()]));
        store.defer_lane(&pull(1), &ada(), at(now + 100), "GitHub is down").await.expect("defers");
        store.arrive(look(pull(2), "b", 2)).await.expect("arrives");
        let other = claim(&store, &ada(), now + 99).await;
        assert_eq!(other.subject, pull(2), "a deferred lane does not hold up the others");
        store.commit(turn(&other, &ada(), now + 99)).await.expect("commits");
        assert_eq!(claim_or_none(&store, &ada(), now + 99).await, None);
        assert_eq!(store.next_due(at(now + 6)).await, Ok(Some(at(now + 100))));
    }
    let lane = claim(&store, &ada(), 305).await;
    assert_eq!(lane.failures, 3);
    store.commit(turn(&lane, &ada(), 306)).await.expect("commits");
    store.arrive(look(pull(1), "c", 307)).await.expect("arrives");
    assert_eq!(claim(&store, &ada(), 308).await.failures, 0);
}

async fn only_the_holder_may_defer_or_park(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    assert!(is_conflict(store.defer_lane(&pull(1), &ada(), at(9), "nobody holds it").await));
    let lane = claim(&store, &ada(), 5).await;
    let ids = [lane.arrivals[0].0];
    assert!(is_conflict(store.defer_lane(&pull(1), &grace(), at(9), "not hers").await));
    assert!(is_conflict(store.park_arrivals(&pull(1), &grace(), &ids, "not hers", at(9)).await));
    assert!(is_conflict(store.park_arrivals(&pull(2), &ada(), &ids, "no such lane", at(9)).await));
    assert_eq!(store.parked(9).await, Ok(vec![]));
    store.commit(turn(&lane, &ada(), 6)).await.expect("commits");
    assert!(is_conflict(store.commit(turn(&lane, &ada(), 7)).await));
}

async fn parked_arrivals_leave_the_inbox_and_stay_visible(store: impl Store) {
    for word in ["bad", "good", "worse"] {
        store.arrive(look(pull(1), word, 1)).await.expect("arrives");
    }
    store.arrive(look(pull(2), "other lane", 2)).await.expect("arrives");
    let lane = claim(&store, &ada(), 5).await;
    store.defer_lane(&pull(1), &ada(), at(5), "fails").await.expect("defers");
    let other = claim(&store, &ada(), 5).await;
    let (lane, other) = if other.subject == pull(1) { (other, claim(&store, &ada(), 5).await) } else { (lane, other) };
    // A row of another lane is not this lane's to park.
    let ids = [lane.arrivals[0].0, lane.arrivals[2].0, other.arrivals[0].0];
    store.park_arrivals(&pull(1), &ada(), &ids, "it never works", at(6)).await.expect("parks");
    let counts = store.counts(at(6)).await.expect("counts");
    assert_eq!((counts.arrivals_waiting, counts.arrivals_parked), (2, 2));
    let parked = store.parked(9).await.expect("reads");
    let expected = format!("arrival {} in pull_request:acme/shop#1, from the operator", ids[1].0);
    assert_eq!((parked.len(), parked[0].what.clone(), parked[0].at), (2, expected, at(6)));
    assert_eq!(store.parked(1).await.expect("reads"), parked[..1]);
    // What made it fail is gone: the count begins again, and it may go on at once.
    let lane = claim(&store, &grace(), 6).await;
    assert_eq!((said(&lane), lane.failures, lane.snapshot), (vec!["good".to_owned()], 0, None));
}

async fn the_next_due_time_is_the_earliest_after_now(store: impl Store) {
    assert_eq!(store.next_due(at(0)).await, Ok(None));
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    assert_eq!(store.next_due(at(5)).await, Ok(None), "it is due already");
    let lane = claim(&store, &ada(), 5).await;
    assert_eq!(store.next_due(at(5)).await, Ok(Some(at(1_005))), "the lease may run out");
    let commit = TurnCommit { wake_at: Some(at(700)), effects: vec![dispatch("x")], ..turn(&lane, &ada(), 6) };
    store.commit(commit).await.expect("commits");
    assert_eq!(store.next_due(at(6)).await, Ok(Some(at(700))));
    let claimed = claim_effect(&store, &ada(), 7).await;
    let settle = EffectProgress::Settle { until: at(400), because: "timeout".into() };
    store.finish_effect(&claimed.effect.key, &ada(), settle, at(8)).await.expect("writes");
    assert_eq!(store.next_due(at(8)).await, Ok(Some(at(400))));
    assert_eq!(store.next_due(at(400)).await, Ok(Some(at(700))));
    assert_eq!(store.next_due(at(700)).await, Ok(None));
}

async fn the_journal_is_a_chain_per_lane(store: impl Store) {
    for n in 1..=3 {
        for subject in [pull(1), pull(2)] {
            store.arrive(look(subject.clone(), "a", n)).await.expect("arrives");
            let lane = claim(&store, &ada(), n).await;
            let journal = vec![format!("turn {n} of {subject}"), "and so on".into()];
            store.commit(TurnCommit { journal, ..turn(&lane, &ada(), n) }).await.expect("commits");
        }
    }
    let lines = store.journal(&pull(1), 99).await.expect("reads");
    assert_eq!(lines.iter().map(|line| line.version).collect::<Vec<_>>(), [3, 3, 2, 2, 1, 1]);
    assert_eq!(lines[1].text, "turn 3 of pull_request:acme/shop#1");
    assert_eq!(lines[1].at, at(3));
    assert!(journal_is_whole(&lines));
    assert_eq!(store.journal(&pull(1), 2).await, Ok(lines[..2].to_vec()));
    assert_eq!(store.journal(&pull(3), 2).await, Ok(vec![]));
}

async fn an_arrival_comes_back_as_it_was(store: impl Store) {
    let sources = [
        Source::Delivery(DeliveryId::new("72d3162e")),
        Source::Lane(pipeline("api/v2")),
        Source::Effect(EffectKey::new("a/b")),
        Source::Person(Login::new("Ada")),
        Source::Operator,
    ];
    let all = sources.map(|source| Arrival { source, installation: None, ..look(pipeline("api/v2"), "ß\0\n", 3) });
    for one in &all {
        store.arrive(one.clone()).await.expect("arrives");
    }
    let lane = claim(&store, &ada(), 5).await;
    assert_eq!(lane.arrivals.into_iter().map(|(_, arrival)| arrival).collect::<Vec<_>>(), all);
}
