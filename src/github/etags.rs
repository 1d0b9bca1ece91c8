//! Answers that GitHub need not send again: a conditional request that is answered 304 costs nothing of the rate.
//!
//! Knows bodies by who asked and what for. Must never know what stands in them.

use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// An answer that may be shown again while GitHub says that it still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub etag: String,
    pub body: Bytes,
    /// Query of the next page.
    pub next: Option<String>,
}

/// Keeps answers within a bound of bytes; the one that was not used for longest goes first.
#[derive(Debug)]
pub struct Etags {
    bytes_max: usize,
    inner: Mutex<Inner>,
}

/// Who asked (an installation must never be shown what another one may see) and for which path and query.
type Key = (u64, String);

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Key, (u64, Kept)>,
    /// Keys by the tick of their last use.
    order: BTreeMap<u64, Key>,
    tick: u64,
    bytes: usize,
}

impl Etags {
    /// Begins empty; with `bytes_max` 0 it stays so.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, inner: Mutex::default() }
    }

    /// The answer that was kept, if it still is.
    pub fn get(&self, who: u64, path: &str) -> Option<Kept> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        let key = (who, path.to_owned());
        let (used, kept) = inner.entries.get_mut(&key)?;
        inner.tick += 1;
        inner.order.remove(used);
        *used = inner.tick;
        inner.order.insert(inner.tick, key);
        Some(kept.clone())
    }

    /// Keeps an answer, unless it alone would take more than an eighth of the room.
    pub fn put(&self, who: u64, path: &str, kept: Kept) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        let key = (who, path.to_owned());
        inner.remove(&key);
        let size = size(&key, &kept);
        if size > self.bytes_max / 8 {
            return;
        }
        while inner.bytes + size > self.bytes_max {
            let Some(oldest) = inner.order.values().next().cloned() else { return };
            inner.remove(&oldest);
        }
        inner.tick += 1;
        inner.bytes += size;
        inner.order.insert(inner.tick, key.clone());
        inner.entries.insert(key, (inner.tick, kept));
    }
}

impl Inner {
    fn remove(&mut self, key: &Key) {
        if let Some((used, kept)) = self.entries.remove(key) {
            self.order.remove(&used);
            self.bytes -= size(key, &kept);
        }
    }
}

/// Bytes that an entry takes, both copies of its key and a guess for the tables included.
fn size(key: &Key, kept: &Kept) -> usize {
    2 * key.1.len() + kept.body.len() + kept.etag.len() + kept.next.as_ref().map_or(0, String::len) + 200
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bytes: usize) -> Kept {
        Kept { etag: "\"e\"".to_owned(), body: Bytes::from(vec![0; bytes]), next: None }
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let etags = Etags::new(10_000);
        for path in ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"] {
            etags.put(1, path, kept(1_000));
            assert!(etags.get(1, "/a").is_some(), "used again and again");
        }
        etags.put(1, "/i", kept(1_000));
        assert!(etags.get(1, "/b").is_none());
        assert!(etags.get(1, "/i").is_some() && etags.get(1, "/a").is_some());
        assert!(etags.inner.lock().unwrap().bytes <= 10_000);
    }

    #[test]
    fn nobody_is_shown_what_another_installation_was_sent() {
        let etags = Etags::new(10_000);
        etags.put(1, "/a", kept(10));
        assert_eq!(etags.get(2, "/a"), None);
        assert_eq!(etags.get(1, "/a"), Some(kept(10)));
    }

    #[test]
    fn a_very_large_answer_is_not_kept() {
        let etags = Etags::new(10_000);
        etags.put(1, "/a", kept(10));
        etags.put(1, "/a", kept(5_000));
        assert_eq!(etags.get(1, "/a"), None, "the small one is out of date");
        assert_eq!(etags.inner.lock().unwrap().bytes, 0);
    }
}
