//! Effects: one at a time per target, marked before they are done, at most once per key.

use super::*;
use plimsoll::domain::effect::Ending;

contract! {
    effects_are_taken_in_the_order_they_became_due,
    an_effect_in_flight_comes_back_marked_when_its_lease_ran_out,
    only_the_holder_may_say_how_an_effect_went_on,
    an_effect_put_off_is_planned_again,
    an_effect_to_be_settled_stays_in_flight,
    acts_of_different_keys_go_side_by_side,
    publishes_of_one_target_go_one_at_a_time,
    a_newer_publish_replaces_planned_ones,
    a_newer_publish_that_is_put_off_still_replaces,
    the_newest_done_publish_hands_its_number_on,
    the_lane_hears_of_an_ending_once,
    a_key_that_is_there_is_left_as_it_is,
}

fn done(id: u64) -> EffectProgress {
    EffectProgress::Ended(Ending::Done { id: Some(id), url: Some("https://github.com/acme/shop".into()) })
}

fn key(name: &str) -> EffectKey {
    EffectKey::new(name)
}

async fn effects_are_taken_in_the_order_they_became_due(store: impl Store) {
    plan(&store, vec![dispatch("c"), dispatch("a")], 20).await;
    plan(&store, vec![dispatch("b")], 10).await;
    assert_eq!(claim_effect_or_none(&store, &ada(), 9).await, None);
    for expected in ["b", "c", "a"] {
        let claimed = claim_effect(&store, &ada(), 30).await;
        assert_eq!(claimed.effect, dispatch(expected));
        assert_eq!((claimed.attempts, claimed.was_in_flight, claimed.remote), (0, false, None));
        assert_eq!((claimed.first_tried_at, claimed.last_tried_at), (at(30), None));
    }
    assert_eq!(claim_effect_or_none(&store, &ada(), 30).await, None);
    let counts = store.counts(at(30)).await.expect("counts");
    assert_eq!((counts.effects_planned, counts.effects_in_flight), (0, 3));
}

async fn an_effect_in_flight_comes_back_marked_when_its_lease_ran_out(store: impl Store) {
    plan(&store, vec![dispatch("a")], 0).await;
    claim_effect(&store, &ada(), 10).await;
    assert_eq!(claim_effect_or_none(&store, &grace(), 1_009).await, None);
    let again = claim_effect(&store, &grace(), 1_010).await;
    assert_eq!((again.was_in_flight, again.attempts), (true, 1));
    assert_eq!((again.first_tried_at, again.last_tried_at), (at(10), Some(at(10))));
    let third = claim_effect(&store, &grace(), 5_000).await;
    assert_eq!((third.first_tried_at, third.last_tried_at, third.attempts), (at(10), Some(at(1_010)), 2));
}

async fn only_the_holder_may_say_how_an_effect_went_on(store: impl Store) {
    plan(&store, vec![dispatch("a")], 0).await;
    assert!(is_conflict(store.finish_effect(&key("a"), &ada(), done(1), at(1)).await), "it was never claimed");
    assert!(is_conflict(store.finish_effect(&key("?"), &ada(), done(1), at(1)).await), "there is none");
    claim_effect(&store, &ada(), 10).await;
    assert!(is_conflict(store.finish_effect(&key("a"), &grace(), done(1), at(11)).await));
    claim_effect(&store, &grace(), 1_010).await;
    assert!(is_conflict(store.finish_effect(&key("a"), &ada(), done(1), at(1_011)).await), "the lease was lost");
    assert_eq!(heard(&store, 1_012).await, [""; 0]);
    // A late answer still counts while nobody has taken the effect over.
    store.finish_effect(&key("a"), &grace(), done(2), at(99_000)).await.expect("writes");
    assert!(is_conflict(store.finish_effect(&key("a"), &grace(), done(2), at(99_001)).await));
}

async fn an_effect_put_off_is_planned_again(store: impl Store) {
    plan(&store, vec![dispatch("a"), dispatch("b")], 0).await;
    claim_effect(&store, &ada(), 10).await;
    let later = EffectProgress::Later { until: at(500), because: "rate limit".into() };
    store.finish_effect(&key("a"), &ada(), later, at(11)).await.expect("writes");
    assert_eq!(claim_effect(&store, &ada(), 12).await.effect.key, key("b"));
    assert_eq!(claim_effect_or_none(&store, &ada(), 499).await, None);
    let again = claim_effect(&store, &ada(), 500).await;
    assert_eq!((again.effect.key, again.was_in_flight, again.attempts), (key("a"), false, 1));
    assert_eq!((again.first_tried_at, again.last_tried_at), (at(10), Some(at(10))));
}

async fn an_effect_to_be_settled_stays_in_flight(store: impl Store) {
    plan(&store, vec![dispatch("a")], 0).await;
    claim_effect(&store, &ada(), 10).await;
    let settle = EffectProgress::Settle { until: at(60), because: "timeout".into() };
    store.finish_effect(&key("a"), &ada(), settle, at(11)).await.expect("writes");
    assert!(is_conflict(store.finish_effect(&key("a"), &ada(), done(1), at(12)).await), "nobody holds it now");
    assert_eq!(store.counts(at(12)).await.expect("counts").effects_in_flight, 1);
    assert_eq!(claim_effect_or_none(&store, &grace(), 59).await, None);
    let again = claim_effect(&store, &grace(), 60).await;
    assert_eq!((again.was_in_flight, again.last_tried_at), (true, Some(at(10))));
}

async fn acts_of_different_keys_go_side_by_side(store: impl Store) {
    plan(&store, vec![dispatch("a"), dispatch("b")], 0).await;
    assert_eq!(claim_effect(&store, &ada(), 1).await.effect.key, key("a"));
    assert_eq!(claim_effect(&store, &grace(), 1).await.effect.key, key("b"));
}

async fn publishes_of_one_target_go_one_at_a_time(store: impl Store) {
    plan(&store, vec![comment(1)], 0).await;
    claim_effect(&store, &ada(), 1).await;
    plan(&store, vec![comment(2), dispatch("a")], 2).await;
    assert_eq!(claim_effect(&store, &grace(), 3).await.effect.key, key("a"));
    assert_eq!(claim_effect_or_none(&store, &grace(), 3).await, None, "the first is in flight");
    let settle = EffectProgress::Settle { until: at(50), because: "timeout".into() };
    store.finish_effect(&key("comment-1"), &ada(), settle, at(4)).await.expect("writes");
    assert_eq!(claim_effect_or_none(&store, &grace(), 5).await, None, "it may stand");
    assert_eq!(claim_effect(&store, &grace(), 50).await.effect.key, key("comment-1"));
    store.finish_effect(&key("comment-1"), &grace(), done(77), at(51)).await.expect("writes");
    let next = claim_effect(&store, &ada(), 52).await;
    assert_eq!((next.effect.key, next.remote), (key("comment-2"), Some(77)));
}

async fn a_newer_publish_replaces_planned_ones(store: impl Store) {
    plan(&store, vec![comment(1), comment(3)], 0).await;
    plan(&store, vec![comment(2)], 1).await;
    let other = Effect { subject: pull(1), ..comment(9) };
    let Work::Publish(mut publish) = other.work.clone() else { panic!("a publish") };
    publish.target = Target::LivingComment { number: PullNumber(2) };
    publish.generation = 1;
    plan(&store, vec![Effect { key: key("other"), work: Work::Publish(publish), ..other }], 2).await;
    assert_eq!(claim_effect(&store, &ada(), 5).await.effect.key, key("comment-3"));
    assert_eq!(heard(&store, 6).await, ["comment-1: Superseded", "comment-2: Superseded"]);
    assert_eq!(claim_effect(&store, &ada(), 7).await.effect.key, key("other"));
    assert_eq!(claim_effect_or_none(&store, &ada(), 7).await, None);
    let counts = store.counts(at(7)).await.expect("counts");
    assert_eq!((counts.effects_planned, counts.effects_in_flight), (0, 2));
}

async fn a_newer_publish_that_is_put_off_still_replaces(store: impl Store) {
    plan(&store, vec![comment(2)], 0).await;
    claim_effect(&store, &ada(), 1).await;
    let later = EffectProgress::Later { until: at(500), because: "rate limit".into() };
    store.finish_effect(&key("comment-2"), &ada(), later, at(2)).await.expect("writes");
    plan(&store, vec![comment(1)], 3).await;
    assert_eq!(claim_effect_or_none(&store, &ada(), 499).await, None, "an old text is never sent after a new one");
    assert_eq!(claim_effect(&store, &ada(), 500).await.effect.key, key("comment-2"));
    assert_eq!(heard(&store, 501).await, ["comment-1: Superseded"]);
}

async fn the_newest_done_publish_hands_its_number_on(store: impl Store) {
    for (generation, id) in [(1, Some(10)), (2, Some(20)), (3, None)] {
        plan(&store, vec![comment(generation)], generation as i64 * 10).await;
        let claimed = claim_effect(&store, &ada(), generation as i64 * 10).await;
        let ended = EffectProgress::Ended(Ending::Done { id, url: None });
        store.finish_effect(&claimed.effect.key, &ada(), ended, at(99)).await.expect("writes");
    }
    plan(&store, vec![comment(4)], 100).await;
    let fourth = claim_effect(&store, &ada(), 100).await;
    assert_eq!(fourth.remote, Some(20), "an answer without a number does not make the comment unknown");
    let refused = EffectProgress::Ended(Ending::Refused { message: "422".into() });
    store.finish_effect(&fourth.effect.key, &ada(), refused, at(101)).await.expect("writes");
    plan(&store, vec![comment(5)], 102).await;
    assert_eq!(claim_effect(&store, &ada(), 102).await.remote, Some(20));
}

async fn the_lane_hears_of_an_ending_once(store: impl Store) {
    let endings = [
        Ending::Done { id: Some(u64::from(u32::MAX) * 9), url: None },
        Ending::Refused { message: "422".into() },
        Ending::Superseded,
        Ending::Unknown { message: "who knows".into() },
    ];
    for (n, ending) in endings.into_iter().enumerate() {
        let now = 10 * n as i64;
        let name = key(&format!("e{n}"));
        plan(&store, vec![dispatch(name.as_str())], now).await;
        claim_effect(&store, &ada(), now + 1).await;
        let ended = EffectProgress::Ended(ending.clone());
        store.finish_effect(&name, &ada(), ended.clone(), at(now + 2)).await.expect("writes");
        assert!(is_conflict(store.finish_effect(&name, &ada(), ended, at(now + 3)).await));
        let lane = claim(&store, &ada(), now + 4).await;
        let expected = Arrival {
            subject: pull(1),
            installation: None,
            event: Event::EffectEnded { key: name.clone(), ending },
            source: Source::Effect(name),
            at: at(now + 2),
        };
        assert_eq!(lane.arrivals.iter().map(|(_, arrival)| arrival).collect::<Vec<_>>(), [&expected]);
        store.commit(turn(&lane, &ada(), now + 5)).await.expect("commits");
        assert_eq!(claim_effect_or_none(&store, &ada(), 99_999).await, None, "it is never tried again");
    }
}

async fn a_key_that_is_there_is_left_as_it_is(store: impl Store) {
    plan(&store, vec![dispatch("a"), dispatch("a")], 0).await;
    claim_effect(&store, &ada(), 1).await;
    plan(&store, vec![Effect { installation: InstallationId(99), ..dispatch("a") }], 2).await;
    assert_eq!(claim_effect_or_none(&store, &ada(), 3).await, None);
    store.finish_effect(&key("a"), &ada(), done(1), at(4)).await.expect("writes");
    plan(&store, vec![dispatch("a")], 5).await;
    assert_eq!(claim_effect_or_none(&store, &ada(), 99_999).await, None);
}
