//! Workers that start, hear each other and end. What they do is tested elsewhere.

use super::*;
use crate::domain::event::Event;
use crate::engine::ports::{Arrival, Interpretation, NewDelivery, Sorted, Source};
use crate::engine::script::*;
use crate::store::MemoryStore;

/// Every delivery lets the repository's lane look; one called `broken` is a fault of the program.
struct Looks;

impl Webhooks for Looks {
    fn interpret(&self, event: &str, _: &[u8]) -> Interpretation {
        assert!(event != "broken", "a fault that the test wants");
        Interpretation::Events { installation: InstallationId(7), events: vec![(repository(), look())] }
    }
}

fn look() -> Event {
    Event::Look { because: "a test".into() }
}

/// A ring of so many workers of each kind, who never wake by themselves.
struct Ring {
    store: Arc<MemoryStore>,
    script: Arc<Script>,
    bell: Bell,
    workers: usize,
}

impl Ring {
    fn of(workers: usize) -> Self {
        Self { store: Arc::default(), script: Arc::new(Script::new()), bell: Bell::default(), workers }
    }

    fn engine(&self) -> Engine<MemoryStore, Script, Script, Looks, Script> {
        let idle = Duration::from_secs(1_000_000);
        Engine {
            store: self.store.clone(),
            github: self.script.clone(),
            probes: self.script.clone(),
            webhooks: Arc::new(Looks),
            clock: self.script.clone(),
            bell: self.bell.clone(),
            pace: Pace { holder: holder(), turns: self.workers, effects: self.workers, idle, keep: Span::hours(1) },
            lanes: Lanes::default(),
        }
    }

    /// Runs while a story is told, and stops when it has ended.
    async fn runs(&self, story: impl Future<Output = ()>) {
        let stop = CancellationToken::new();
        let told = async {
            story.await;
            stop.cancel();
        };
        tokio::join!(self.engine().run(stop.clone()), told);
    }

    async fn admit(&self, id: &str, event: &str, received_at: Timestamp) {
        let (id, body) = (DeliveryId::new(id), bytes::Bytes::from_static(b"{}"));
        self.store.admit(NewDelivery { id, event: event.into(), body, received_at }).await.unwrap();
    }

    /// How many turns the repository's lane has made.
    async fn turns(&self) -> u64 {
        self.store.peek(&repository()).await.unwrap().map_or(0, |snapshot| snapshot.version)
    }

    /// Whether the body of a delivery is still there.
    async fn keeps(&self, id: &str) -> bool {
        self.store.delivery(&DeliveryId::new(id)).await.unwrap().iter().any(|known| known.body.is_some())
    }
}

/// Lets the workers do all that they can do now.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_delivery_wakes_who_sorts_and_that_wakes_who_makes_turns() {
    let ring = Ring::of(2);
    ring.runs(async {
        settle().await;
        ring.admit("guid", "push", Timestamp(0)).await;
        settle().await;
        assert_eq!(ring.turns().await, 0, "nobody rang");
        ring.bell.delivered();
        settle().await;
        assert_eq!(ring.turns().await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_comes_from_elsewhere_wakes_who_makes_turns() {
    let ring = Ring::of(2);
    ring.runs(async {
        settle().await;
        let (installation, source) = (Some(InstallationId(7)), Source::Operator);
        let arrival = Arrival { subject: repository(), installation, event: look(), source, at: Timestamp(0) };
        ring.store.arrive(arrival).await.unwrap();
        ring.bell.lanes();
        settle().await;
        assert_eq!(ring.turns().await, 1);
    })
    .await;
}

#[tokio::test]
async fn where_no_turns_are_made_deliveries_are_not_even_sorted() {
    let ring = Ring::of(0);
    ring.runs(async {
        ring.admit("guid", "push", Timestamp(0)).await;
        ring.bell.delivered();
        settle().await;
        assert_eq!(ring.store.counts(Timestamp(0)).await.unwrap().deliveries_unsorted, 1);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_breaks_down_stops_the_others() {
    let ring = Ring::of(1);
    ring.admit("guid", "broken", Timestamp(0)).await;
    let stop = CancellationToken::new();
    ring.engine().run(stop.clone()).await;
    assert!(stop.is_cancelled());
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_what_is_young_is_kept() {
    let ring = Ring::of(0);
    ring.script.go_to(at_seconds(10_000));
    for (id, at) in [("old", 6_399), ("young", 6_401)] {
        ring.admit(id, "push", at_seconds(at)).await;
        let sorted = vec![(DeliveryId::new(id), Sorted::Events(Vec::new()))];
        ring.store.sort(sorted, at_seconds(at)).await.unwrap();
    }
    ring.runs(settle()).await;
    assert_eq!((ring.keeps("old").await, ring.keeps("young").await), (false, true));
}
