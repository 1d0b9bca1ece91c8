//! Who may ask when: one question at a time to a host, and a few in all.
//!
//! Knows hosts by name. Must never know what is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions under way in all.
const AT_ONCE: usize = 8;

/// The places of all questions.
#[derive(Debug)]
pub(super) struct Queue {
    all: Arc<Semaphore>,
    hosts: Mutex<BTreeMap<String, Arc<Semaphore>>>,
}

/// A question's place; dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Place {
    _host: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for Queue {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), hosts: Mutex::default() }
    }
}

impl Queue {
    /// Waits for a place; first come, first served. `None` never happens while the queue lives.
    pub async fn place(&self, host: &str) -> Option<Place> {
        let of_host = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            // A host that nobody waits for or asks is forgotten.
            hosts.retain(|_, waiting| Arc::strong_count(waiting) > 1);
            hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        // The host's place first: whoever waits for a slow host must not keep others from asking elsewhere.
        let host = of_host.acquire_owned().await.ok()?;
        let all = self.all.clone().acquire_owned().await.ok()?;
        Some(Place { _host: host, _all: all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn waits(queue: &Queue, host: &str) -> bool {
        tokio::time::timeout(Duration::from_millis(20), queue.place(host)).await.is_err()
    }

    #[tokio::test]
    async fn a_host_is_asked_by_one_at_a_time_and_all_by_eight() {
        let queue = Queue::default();
        let first = queue.place("a").await.unwrap();
        assert!(waits(&queue, "a").await);
        assert!(!waits(&queue, "b").await);
        drop(first);
        assert!(!waits(&queue, "a").await);
        let mut places = Vec::new();
        for n in 0..8 {
            places.push(queue.place(&format!("host-{n}")).await.unwrap());
        }
        assert!(waits(&queue, "one-more").await);
        places.pop();
        assert!(!waits(&queue, "one-more").await);
        drop(places);
        assert!(!waits(&queue, "a").await);
        assert_eq!(queue.hosts.lock().unwrap().len(), 1, "hosts are forgotten");
    }
}
