//! Deliveries: kept once, sorted once, put aside when they contradict each other.

use super::*;

contract! {
    a_delivery_is_kept_once,
    a_guid_need_not_be_a_uuid,
    the_same_guid_with_other_bytes_is_parked_beside_the_first,
    the_same_bytes_of_another_event_are_parked,
    the_same_guid_twice_at_once_is_stored_once,
    deliveries_come_back_oldest_first_and_whole,
    a_delivery_is_sorted_once_by_two_sorters,
    a_delivery_that_is_parked_or_ignored_by_sorting_reaches_no_lane,
    sorting_what_was_never_admitted_changes_nothing,
    an_empty_body_is_a_body,
    what_became_of_a_delivery_can_be_told,
}

const GUID: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

async fn a_delivery_is_kept_once(store: impl Store) {
    assert_eq!(store.admit(delivery(GUID, "{}", 1)).await, Ok(Admitted::Stored));
    assert_eq!(store.admit(delivery(GUID, "{}", 9)).await, Ok(Admitted::Duplicate));
    assert_eq!(store.unsorted(10).await, Ok(vec![delivery(GUID, "{}", 1)]));
}

async fn a_guid_need_not_be_a_uuid(store: impl Store) {
    let long = "x".repeat(300);
    let upper = GUID.to_uppercase();
    let bare = GUID.replace('-', "");
    let ids = ["", "1", "drücken", &long, GUID, &upper, &bare, "72d3162e-cc78-11e3-81ab-4c9367dc095g"];
    for id in ids {
        assert_eq!(store.admit(delivery(id, "{}", 1)).await, Ok(Admitted::Stored), "{id}");
        assert_eq!(store.admit(delivery(id, "{}", 2)).await, Ok(Admitted::Duplicate), "{id}");
    }
    let back: Vec<_> = store.unsorted(10).await.expect("reads").into_iter().map(|d| d.id).collect();
    assert_eq!(back, ids.map(DeliveryId::new));
}

async fn the_same_guid_with_other_bytes_is_parked_beside_the_first(store: impl Store) {
    assert_eq!(store.admit(delivery(GUID, "first", 1)).await, Ok(Admitted::Stored));
    assert_eq!(store.admit(delivery(GUID, "other", 2)).await, Ok(Admitted::Parked));
    // Both are known now; neither makes a third.
    assert_eq!(store.admit(delivery(GUID, "other", 3)).await, Ok(Admitted::Duplicate));
    assert_eq!(store.admit(delivery(GUID, "first", 3)).await, Ok(Admitted::Duplicate));
    assert_eq!(store.unsorted(10).await, Ok(vec![delivery(GUID, "first", 1)]));
    let parked = store.parked(10).await.expect("reads");
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].what, format!("delivery {GUID} (pull_request)"));
    assert_eq!(parked[0].because, "the same GUID came before with another event or other bytes");
    assert_eq!(parked[0].at, at(2));
    // Sorting the first leaves the other where it is.
    store.sort(vec![(DeliveryId::new(GUID), Sorted::Events(vec![]))], at(4)).await.expect("sorts");
    let counts = store.counts(at(4)).await.expect("counts");
    assert_eq!((counts.deliveries_unsorted, counts.deliveries_parked), (0, 1));
}

async fn the_same_bytes_of_another_event_are_parked(store: impl Store) {
    assert_eq!(store.admit(delivery(GUID, "{}", 1)).await, Ok(Admitted::Stored));
    let other = NewDelivery { event: "push".into(), ..delivery(GUID, "{}", 2) };
    assert_eq!(store.admit(other).await, Ok(Admitted::Parked));
}

async fn the_same_guid_twice_at_once_is_stored_once(store: impl Store) {
    let (a, b, c, d) = tokio::join!(
        store.admit(delivery(GUID, "{}", 1)),
        store.admit(delivery(GUID, "{}", 1)),
        store.admit(delivery(GUID, "other", 1)),
        store.admit(delivery(GUID, "other", 1)),
    );
    let mut all = [a, b, c, d].map(|answer| format!("{:?}", answer.expect("admits")));
    all.sort();
    assert_eq!(all, ["Duplicate", "Duplicate", "Parked", "Stored"]);
}

async fn deliveries_come_back_oldest_first_and_whole(store: impl Store) {
    let long = "0123456789".repeat(10_000);
    let all = [delivery("c", "1", 30), delivery("a", &long, 10), delivery("b", "3", 20)];
    for one in &all {
        store.admit(one.clone()).await.expect("admits");
    }
    assert_eq!(store.unsorted(2).await, Ok(all[..2].to_vec()));
    assert_eq!(store.unsorted(9).await, Ok(all.to_vec()));
    assert_eq!(store.unsorted(0).await, Ok(vec![]));
    store.sort(vec![(DeliveryId::new("c"), Sorted::Events(vec![]))], at(40)).await.expect("sorts");
    assert_eq!(store.unsorted(9).await, Ok(all[1..].to_vec()));
}

async fn a_delivery_is_sorted_once_by_two_sorters(store: impl Store) {
    store.admit(delivery(GUID, "{}", 1)).await.expect("admits");
    let first = Sorted::Events(vec![look(pull(1), "a", 1), look(pull(2), "b", 2), look(pull(1), "c", 3)]);
    let id = DeliveryId::new(GUID);
    store.sort(vec![(id.clone(), first.clone())], at(2)).await.expect("sorts");
    store.sort(vec![(id.clone(), first.clone()), (id.clone(), first)], at(3)).await.expect("sorts");
    store.sort(vec![(id, Sorted::Parked { because: "late".into() })], at(4)).await.expect("sorts");
    assert_eq!(store.counts(at(5)).await.expect("counts").arrivals_waiting, 3);
    assert_eq!(store.parked(10).await, Ok(vec![]));
    let lane = claim(&store, &ada(), 5).await;
    assert_eq!((lane.subject.clone(), said(&lane)), (pull(1), vec!["a".to_owned(), "c".to_owned()]));
}

async fn a_delivery_that_is_parked_or_ignored_by_sorting_reaches_no_lane(store: impl Store) {
    for id in ["a", "b"] {
        store.admit(delivery(id, "{}", 1)).await.expect("admits");
    }
    let made = vec![
        (DeliveryId::new("a"), Sorted::Ignored { because: "nothing to do".into() }),
        (DeliveryId::new("b"), Sorted::Parked { because: "no `repository`".into() }),
    ];
    store.sort(made, at(5)).await.expect("sorts");
    assert_eq!(store.unsorted(10).await, Ok(vec![]));
    assert_eq!(claim_or_none(&store, &ada(), 9).await, None);
    let what = "delivery b (pull_request)".to_owned();
    assert_eq!(store.parked(10).await, Ok(vec![Parked { what, because: "no `repository`".into(), at: at(5) }]));
    assert_eq!(store.counts(at(9)).await, Ok(Counts { deliveries_parked: 1, ..Counts::default() }));
}

async fn sorting_what_was_never_admitted_changes_nothing(store: impl Store) {
    let made = Sorted::Events(vec![look(pull(1), "a", 1)]);
    store.sort(vec![(DeliveryId::new("unknown"), made)], at(2)).await.expect("sorts");
    assert_eq!(store.counts(at(2)).await, Ok(Counts::default()));
}

async fn an_empty_body_is_a_body(store: impl Store) {
    assert_eq!(store.admit(delivery("a", "", 1)).await, Ok(Admitted::Stored));
    assert_eq!(store.admit(delivery("a", "", 2)).await, Ok(Admitted::Duplicate));
    assert_eq!(store.unsorted(1).await, Ok(vec![delivery("a", "", 1)]));
}

async fn what_became_of_a_delivery_can_be_told(store: impl Store) {
    let told = async |id: &str| {
        let known = store.delivery(&DeliveryId::new(id)).await.expect("reads");
        known.into_iter().map(|one| one.fate).collect::<Vec<_>>()
    };
    assert_eq!(told("a").await, []);
    for (id, body) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("a", "other")] {
        store.admit(delivery(id, body, 1)).await.expect("admits");
    }
    let because = |text: &str| text.to_owned();
    let sorted = vec![
        (DeliveryId::new("a"), Sorted::Events(vec![look(pull(1), "x", 1)])),
        (DeliveryId::new("b"), Sorted::Ignored { because: because("nothing to do") }),
        (DeliveryId::new("c"), Sorted::Parked { because: because("not JSON") }),
    ];
    store.sort(sorted, at(2)).await.expect("sorts");
    let beside = because("the same GUID came before with another event or other bytes");
    assert_eq!(told("a").await, [Fate::Sorted, Fate::Parked { because: beside }]);
    assert_eq!(told("b").await, [Fate::Ignored { because: because("nothing to do") }]);
    assert_eq!(told("c").await, [Fate::Parked { because: because("not JSON") }]);
    assert_eq!(told("d").await, [Fate::Unsorted]);
    let known = store.delivery(&DeliveryId::new("a")).await.expect("reads").remove(0);
    assert_eq!((known.event.as_str(), known.received_at), ("pull_request", at(1)));
    assert_eq!(known.body.as_deref(), Some(&b"1"[..]));
    while store.prune(at(10)).await.expect("prunes") > 0 {}
    let known = store.delivery(&DeliveryId::new("b")).await.expect("reads").remove(0);
    assert_eq!((known.fate, known.body), (Fate::Ignored { because: because("nothing to do") }, None));
}
