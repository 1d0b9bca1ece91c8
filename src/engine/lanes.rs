//! Lanes as they were left, kept in memory so that they need not be read again.
//!
//! Knows which version of a lane it keeps. Must never be believed about which version is the newest: the store says that.

use crate::domain::decide::Lane;
use crate::domain::ids::Subject;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many lanes are kept. A lane takes some ten kilobytes.
const KEPT_MAX: usize = 256;

/// A cache of lanes by subject and version. Losing one costs nothing but the reading.
#[derive(Debug, Default)]
pub struct Lanes {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    lanes: BTreeMap<Subject, One>,
    /// Counts uses, so that the lane that was not used for longest is the first to go.
    uses: u64,
}

#[derive(Debug)]
struct One {
    version: u64,
    lane: Arc<Lane>,
    used: u64,
}

impl Lanes {
    /// The lane as it was committed under this version; `None`: it is not kept.
    pub fn at(&self, subject: &Subject, version: u64) -> Option<Arc<Lane>> {
        let mut kept = self.lock();
        kept.uses += 1;
        let used = kept.uses;
        let one = kept.lanes.get_mut(subject).filter(|one| one.version == version)?;
        one.used = used;
        Some(Arc::clone(&one.lane))
    }

    /// The same, to be changed: it is not kept any more.
    pub fn take(&self, subject: &Subject, version: u64) -> Option<Lane> {
        let mut kept = self.lock();
        let one = kept.lanes.remove(subject).filter(|one| one.version == version)?;
        Some(Arc::unwrap_or_clone(one.lane))
    }

    /// Keeps a lane that was committed under this version.
    pub fn keep(&self, subject: Subject, version: u64, lane: Arc<Lane>) {
        let mut kept = self.lock();
        kept.uses += 1;
        let used = kept.uses;
        kept.lanes.insert(subject, One { version, lane, used });
        if kept.lanes.len() > KEPT_MAX
            && let Some(oldest) = kept.lanes.iter().min_by_key(|(_, one)| one.used).map(|(subject, _)| subject.clone())
        {
            kept.lanes.remove(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::*;

    fn subject(number: u64) -> Subject {
        Subject::PullRequest { repo: RepoName::parse("acme/shop").unwrap(), number: PullNumber(number) }
    }

    fn lane(number: u64) -> Arc<Lane> {
        Arc::new(Lane::new(&subject(number), Timestamp(0)))
    }

    #[test]
    fn a_lane_is_kept_under_its_version_alone_and_taken_once() {
        let lanes = Lanes::default();
        lanes.keep(subject(1), 3, lane(1));
        assert_eq!(lanes.at(&subject(1), 2), None);
        assert_eq!(lanes.at(&subject(1), 3), Some(lane(1)));
        assert_eq!(lanes.take(&subject(1), 3).as_ref(), Some(&*lane(1)));
        assert_eq!(lanes.at(&subject(1), 3), None);
    }

    #[test]
    fn another_version_is_forgotten_when_a_turn_takes_a_newer_one() {
        let lanes = Lanes::default();
        lanes.keep(subject(1), 3, lane(1));
        assert_eq!(lanes.take(&subject(1), 4), None);
        assert_eq!(lanes.at(&subject(1), 3), None);
    }

    #[test]
    fn the_lane_that_was_not_used_for_longest_goes_first() {
        let lanes = Lanes::default();
        for number in 0..KEPT_MAX as u64 {
            lanes.keep(subject(number), 1, lane(number));
        }
        assert!(lanes.at(&subject(0), 1).is_some());
        lanes.keep(subject(9_999), 1, lane(9_999));
        assert!(lanes.at(&subject(0), 1).is_some());
        assert!(lanes.at(&subject(1), 1).is_none());
    }
}
