//! Pruning: what is old and no longer needed goes, a bounded number a call, and the rest works as before.

use super::*;
use plimsoll::domain::effect::Ending;
use plimsoll::store::{GUID_KEPT, PRUNE_ROWS_MAX, journal_is_whole};

contract! {
    an_empty_store_has_nothing_to_forget,
    a_redelivery_is_known_after_its_body_was_forgotten,
    what_is_unsorted_or_parked_is_not_forgotten,
    ended_effects_go_and_the_newest_publish_of_a_target_stays,
    a_journal_whose_old_lines_went_is_still_whole,
    a_call_forgets_a_bounded_number,
}

async fn an_empty_store_has_nothing_to_forget(store: impl Store) {
    assert_eq!(store.prune(at(i64::MAX)).await, Ok(0));
}

async fn a_redelivery_is_known_after_its_body_was_forgotten(store: impl Store) {
    let late = GUID_KEPT.0 as i64;
    for (id, ms) in [("a", 10), ("b", 20)] {
        store.admit(delivery(id, "{}", ms)).await.expect("admits");
        store.sort(vec![(DeliveryId::new(id), Sorted::Events(vec![]))], at(ms)).await.expect("sorts");
    }
    assert_eq!(store.prune(at(10)).await, Ok(0), "not older than itself");
    assert_eq!(store.prune(at(11)).await, Ok(1));
    assert_eq!(store.prune(at(11)).await, Ok(0));
    assert_eq!(store.admit(delivery("a", "{}", 12)).await, Ok(Admitted::Duplicate));
    assert_eq!(store.admit(delivery("a", "[]", 13)).await, Ok(Admitted::Parked));
    assert_eq!(store.admit(delivery("b", "[]", 14)).await, Ok(Admitted::Parked));
    // Long after, the GUID itself goes.
    assert_eq!(store.prune(at(late + 11)).await, Ok(2));
    assert_eq!(store.admit(delivery("a", "{}", late + 12)).await, Ok(Admitted::Stored));
    assert_eq!(store.unsorted(9).await, Ok(vec![delivery("a", "{}", late + 12)]));
}

async fn what_is_unsorted_or_parked_is_not_forgotten(store: impl Store) {
    for id in ["a", "b"] {
        store.admit(delivery(id, "{}", 1)).await.expect("admits");
    }
    store.admit(delivery("a", "other", 1)).await.expect("admits");
    store.sort(vec![(DeliveryId::new("b"), Sorted::Parked { because: "?".into() })], at(2)).await.expect("sorts");
    store.arrive(look(pull(1), "waiting", 1)).await.expect("arrives");
    assert_eq!(store.prune(at(i64::MAX)).await, Ok(0));
    let expected =
        Counts { deliveries_unsorted: 1, deliveries_parked: 2, arrivals_waiting: 1, lanes: 1, ..Counts::default() };
    assert_eq!(store.counts(at(9)).await, Ok(expected));
}

async fn ended_effects_go_and_the_newest_publish_of_a_target_stays(store: impl Store) {
    let mut now = 0;
    for (effect, id) in [(comment(1), Some(10)), (comment(2), Some(20)), (comment(3), None), (dispatch("a"), Some(1))] {
        now += 10;
        let key = effect.key.clone();
        plan(&store, vec![effect], now).await;
        claim_effect(&store, &ada(), now).await;
        let ended = EffectProgress::Ended(Ending::Done { id, url: None });
        store.finish_effect(&key, &ada(), ended, at(now)).await.expect("writes");
    }
    plan(&store, vec![dispatch("planned"), dispatch("flying")], now).await;
    claim_effect(&store, &ada(), now).await;
    heard(&store, now).await;
    assert_eq!(store.prune(at(10)).await, Ok(0));
    assert_eq!(store.prune(at(now + 100)).await, Ok(2), "comment-1 and the act");
    assert_eq!(store.prune(at(now + 100)).await, Ok(0));
    plan(&store, vec![comment(4)], now + 1).await;
    claim_effect(&store, &ada(), now + 1).await;
    let fourth = claim_effect(&store, &ada(), now + 1).await;
    assert_eq!((fourth.effect.key, fourth.remote), (EffectKey::new("comment-4"), Some(20)));
}

async fn a_journal_whose_old_lines_went_is_still_whole(store: impl Store) {
    for n in 1..=4 {
        store.arrive(look(pull(1), "a", n)).await.expect("arrives");
        let lane = claim(&store, &ada(), n).await;
        let journal = vec![format!("turn {n}")];
        store.commit(TurnCommit { journal, ..turn(&lane, &ada(), n) }).await.expect("commits");
        if n == 3 {
            assert_eq!(store.prune(at(3)).await, Ok(2));
        }
    }
    let lines = store.journal(&pull(1), 9).await.expect("reads");
    assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["turn 4", "turn 3"]);
    assert!(journal_is_whole(&lines));
    assert_eq!(store.prune(at(99)).await, Ok(2));
    let head = lines[0].hash.clone();
    store.arrive(look(pull(1), "a", 100)).await.expect("arrives");
    let lane = claim(&store, &ada(), 100).await;
    store.commit(TurnCommit { journal: vec!["on".into()], ..turn(&lane, &ada(), 100) }).await.expect("commits");
    let line = store.journal(&pull(1), 9).await.expect("reads").remove(0);
    assert_eq!(line.hash, plimsoll::store::line_hash(&head, at(100), 5, "on"));
}

async fn a_call_forgets_a_bounded_number(store: impl Store) {
    store.arrive(look(pull(1), "a", 1)).await.expect("arrives");
    let lane = claim(&store, &ada(), 1).await;
    let journal = (0..PRUNE_ROWS_MAX + 5).map(|n| format!("line {n}")).collect();
    store.commit(TurnCommit { journal, ..turn(&lane, &ada(), 1) }).await.expect("commits");
    assert_eq!(store.prune(at(9)).await, Ok(PRUNE_ROWS_MAX as u64));
    let rest = store.journal(&pull(1), 99).await.expect("reads");
    assert_eq!((rest.len(), rest[4].text.clone()), (5, format!("line {PRUNE_ROWS_MAX}")));
    assert_eq!(store.prune(at(9)).await, Ok(5));
}
