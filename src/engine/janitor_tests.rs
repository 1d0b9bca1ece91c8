//! Which deliveries are asked for again, and how far back each look reaches.

use super::*;
use crate::engine::ports::FailedDelivery;
use crate::engine::script::{Script, at_seconds, unavailable};
use std::sync::Mutex;

/// Deliveries that fail however often they are asked for.
#[derive(Default)]
struct Hopeless {
    failed: Mutex<Vec<u64>>,
    asked: Mutex<Vec<u64>>,
    /// From when on the looks were, in seconds.
    looks: Mutex<Vec<i64>>,
    /// GitHub answers no look.
    down: Mutex<bool>,
    /// Told to stop with the first look.
    stop: CancellationToken,
}

impl Hopeless {
    fn with(failed: impl IntoIterator<Item = u64>) -> Self {
        Self { failed: Mutex::new(failed.into_iter().collect()), ..Self::default() }
    }

    fn asked(&self) -> Vec<u64> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Deliveries for Hopeless {
    async fn failed(&self, since: Timestamp) -> Result<Vec<FailedDelivery>, GitHubError> {
        self.looks.lock().unwrap().push(since.0 / 1_000);
        self.stop.cancel();
        if *self.down.lock().unwrap() {
            return Err(unavailable());
        }
        let failed = |n: &u64| FailedDelivery {
            attempt: *n,
            id: DeliveryId::new(format!("guid-{n}")),
            event: "push".into(),
            at: Timestamp(0),
        };
        Ok(self.failed.lock().unwrap().iter().map(failed).collect())
    }

    async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError> {
        self.asked.lock().unwrap().push(attempt);
        Ok(())
    }
}

#[tokio::test]
async fn each_delivery_is_asked_for_three_times_and_never_all_at_once() {
    let hopeless = Hopeless::with(0..250);
    let mut janitor = Janitor::default();
    let mut looks = Vec::new();
    for _ in 0..10 {
        looks.push(janitor.look(&hopeless, Timestamp(0)).await.expect("it answers"));
    }
    assert_eq!(looks, [100, 100, 100, 100, 100, 100, 50, 50, 50, 0]);
    assert_eq!(hopeless.asked().len(), 750);
}

#[tokio::test]
async fn a_look_reaches_back_to_the_last_that_left_nothing_over() {
    let hopeless = Hopeless::with(0..101);
    let mut janitor = Janitor::default();
    let (hour, start) = (3_600, 1_000_000);
    // More than can be asked for at once.
    assert_eq!(janitor.look(&hopeless, at_seconds(start)).await, Ok(100));
    *hopeless.failed.lock().unwrap() = vec![7];
    assert_eq!(janitor.look(&hopeless, at_seconds(start + 600)).await, Ok(1));
    *hopeless.down.lock().unwrap() = true;
    assert_eq!(janitor.look(&hopeless, at_seconds(start + 1_200)).await, Err(unavailable()));
    *hopeless.down.lock().unwrap() = false;
    assert_eq!(janitor.look(&hopeless, at_seconds(start + 1_800)).await, Ok(1));
    assert_eq!(janitor.look(&hopeless, at_seconds(start + 2_400)).await, Ok(0));
    let reached =
        [start - 72 * hour, start + 600 - 72 * hour, start + 600 - hour, start + 600 - hour, start + 1_800 - hour];
    assert_eq!(*hopeless.looks.lock().unwrap(), reached);
}

#[tokio::test]
async fn a_delivery_that_came_home_and_fails_anew_is_asked_for_anew() {
    let hopeless = Hopeless::with([1]);
    let mut janitor = Janitor::default();
    for failed in [vec![1], vec![1], vec![1], vec![1], vec![2], vec![1, 2]] {
        *hopeless.failed.lock().unwrap() = failed;
        janitor.look(&hopeless, Timestamp(0)).await.expect("it answers");
    }
    assert_eq!(hopeless.asked(), [1, 1, 1, 2, 1, 2]);
}

#[tokio::test]
async fn the_first_look_is_at_once_and_a_stop_is_heard_between_looks() {
    let hopeless = Hopeless::with([1]);
    Janitor::default().run(&hopeless, &Script::new(), hopeless.stop.clone()).await;
    assert_eq!(hopeless.asked(), [1]);
    Janitor::default().run(&hopeless, &Script::new(), hopeless.stop.clone()).await;
    assert_eq!(hopeless.asked(), [0; 0]);
}
