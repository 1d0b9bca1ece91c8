//! What the past tells of a change: the metrics, made from the changes before it, one after the other.
//!
//! Knows changes, paths and authors by number. Must never look into the repository, and never let an author out: what
//! leaves are counts.
//!
//! Kamei et al., "A Large-Scale Empirical Study of Just-in-Time Quality Assurance", IEEE Transactions on Software
//! Engineering 39(6), 2013; McIntosh and Kamei, "Are Fix-Inducing Changes a Moving Target?", same journal 44(5), 2018.
//! Where they leave a choice it is made as in the data that the shipped model learned from, and said at the field below.
//!
//! | field | there | definition |
//! | --- | --- | --- |
//! | `lines_before` | LT | mean over the touched files; a new file has 0 lines |
//! | `developers` | NDEV | distinct authors of all earlier changes of all touched files |
//! | `age_days` | AGE | mean over the files that were there before, of the days since each one's last change; 0 when none was |
//! | `unique_changes` | NUC | distinct changes among the last ones of the files |
//! | `touches` | - | earlier changes of each file, summed |
//! | `experience` | EXP | earlier changes by the author |
//! | `recent_experience` | REXP | the same, each weighing 1/(1 + years since), of the newest 3,000 |
//! | `subsystem_experience` | SEXP | earlier changes by the author of a touched subsystem, summed over these |
//! | `ownership` | OWN | the author's share of a file's earlier changes, mean over the files that were there; 1 when none was |
//! | `touches_90_days` | - | earlier changes within 90 days, mean over all touched files |
//! | `last_fix` | - | 1/(1 + months of 30 days since the newest fix of one of the files); 0 when there was none |
//!
//! A file that was renamed keeps its past. A change by several authors counts for each of them; its own experience is
//! that of the one with most of the commits.

use super::kinds::FileKind;
use super::message::Message;
use super::mine::{Fate, FileChange};
use super::people::Person;
use crate::domain::risk::{ChangeMetrics, HistoryMetrics};
use std::collections::{BTreeSet, HashMap, VecDeque};

const DAY: i64 = 86_400;
/// Newest changes of an author that count for recent experience.
const RECENT_MAX: usize = 3_000;
const RECENT_DAYS: i64 = 90;

/// A commit's clock outside these bounds is not believed: 1990 (no version control kept such times) to 2099.
const BELIEVED: std::ops::Range<i64> = 631_152_000..4_070_908_800;

/// One change, as far as replaying needs it.
pub(super) struct Seen<'c> {
    pub committed: i64,
    pub written: (i64, i32),
    pub authors: &'c [Person],
    pub message: &'c Message,
    pub files: &'c [FileChange],
}

/// What is known of a path by its name, once for all changes.
pub(super) struct Place {
    kind: FileKind,
    folder: u32,
    subsystem: u32,
}

/// Everything that happened so far.
#[derive(Default)]
pub(super) struct Past {
    places: Vec<Place>,
    folders: HashMap<Box<[u8]>, u32>,
    files: Vec<Option<Box<FilePast>>>,
    authors: HashMap<Person, AuthorPast>,
    changes: u32,
    /// The last time that was believed.
    clock: i64,
}

#[derive(Default)]
struct FilePast {
    touches: u32,
    fixes: u32,
    last_fix: Option<i64>,
    last: i64,
    /// Number of the change that touched it last.
    last_change: u32,
    /// Within the last 90 days before `last`, oldest first.
    recent: VecDeque<i64>,
    by: Vec<(Person, u32)>,
}

#[derive(Default)]
struct AuthorPast {
    changes: u32,
    recent: VecDeque<i64>,
    subsystems: HashMap<u32, u32>,
}

impl Past {
    /// Learns the names of paths that came since the last time. `documentation`: whether the repository itself calls a
    /// path that.
    pub fn learn_paths(&mut self, paths: &super::tree::Paths, documentation: &dyn Fn(&[u8]) -> bool) {
        for number in self.places.len()..paths.len() {
            let path = paths.bytes(u32::try_from(number).unwrap_or(u32::MAX));
            let mut folder_number = |folder: &[u8]| {
                let next = u32::try_from(self.folders.len()).unwrap_or(u32::MAX);
                *self.folders.entry(folder.into()).or_insert(next)
            };
            let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let first = path.iter().position(|byte| *byte == b'/').unwrap_or(0);
            let (folder, subsystem) = (folder_number(&path[..end]), folder_number(&path[..first]));
            let kind = match FileKind::of(&String::from_utf8_lossy(path)) {
                FileKind::Code | FileKind::Other | FileKind::Page | FileKind::Setting if documentation(path) => {
                    FileKind::Prose
                }
                kind => kind,
            };
            self.places.push(Place { kind, folder, subsystem });
        }
        self.files.resize_with(paths.len(), || None);
    }

    /// What the past tells of a change that comes next.
    pub fn measure(&self, change: &Seen<'_>) -> ChangeMetrics {
        let now = self.believed(change.committed);
        let files = change.files;
        let known: Vec<&FilePast> = files.iter().filter_map(|file| self.file(file)).collect();
        let lines = |pick: fn(&super::mine::Lines) -> u32| {
            files.iter().filter_map(|file| file.lines.as_ref()).map(|lines| u64::from(pick(lines))).sum::<u64>()
        };
        let distinct = |pick: fn(&Place) -> u32| {
            files.iter().map(|file| pick(&self.places[file.path as usize])).collect::<BTreeSet<u32>>()
        };
        let subsystems = distinct(|place| place.subsystem);
        ChangeMetrics {
            lines_added: Some(lines(|lines| lines.added)),
            lines_deleted: Some(lines(|lines| lines.deleted)),
            files: Some(files.len() as u64),
            directories: Some(distinct(|place| place.folder).len() as u64),
            subsystems: Some(subsystems.len() as u64),
            entropy: Some(entropy(files)),
            fix: Some(change.message.fix),
            history: Some(Box::new(self.history(change, now, &known, &subsystems))),
        }
    }

    fn history(&self, change: &Seen<'_>, now: i64, known: &[&FilePast], subsystems: &BTreeSet<u32>) -> HistoryMetrics {
        let files = change.files;
        let main = change.authors.first().copied();
        let author = main.and_then(|main| self.authors.get(&main));
        let sum = |pick: &dyn Fn(&FilePast) -> u32| known.iter().map(|file| f64::from(pick(file))).sum::<f64>() + 0.0;
        let mean = |sum: f64, of: usize, none: f64| if of == 0 { none } else { (sum + 0.0) / of as f64 };
        let kinds = |wanted: &[FileKind]| {
            Some(files.iter().filter(|file| wanted.contains(&self.places[file.path as usize].kind)).count() as f64)
        };
        let flag = |said: bool| Some(f64::from(u8::from(said)));
        let days = |since: i64| now.saturating_sub(since).max(0) as f64 / DAY as f64;
        let touches = sum(&|file| file.touches);
        let fixes = sum(&|file| file.fixes);
        let before: f64 =
            files.iter().filter_map(|file| file.lines.as_ref()).map(|lines| f64::from(lines.before)).sum();
        let shares = known.iter().map(|file| f64::from(file.touches_by(main)) / f64::from(file.touches.max(1)));
        let own_subsystems = author.map_or(0.0, |author| {
            subsystems.iter().filter_map(|subsystem| author.subsystems.get(subsystem)).map(|n| f64::from(*n)).sum()
        });
        let largest =
            files.iter().filter_map(|file| file.lines.as_ref()).map(|l| u64::from(l.added) + u64::from(l.deleted));
        let (hour, weekday) = hour_and_weekday(change.written);
        HistoryMetrics {
            lines_before: Some(mean(before, files.len(), 0.0)),
            developers: Some(
                known.iter().flat_map(|file| &file.by).map(|(person, _)| *person).collect::<BTreeSet<_>>().len() as f64,
            ),
            age_days: Some(mean(known.iter().map(|file| days(file.last)).sum(), known.len(), 0.0)),
            unique_changes: Some(known.iter().map(|file| file.last_change).collect::<BTreeSet<_>>().len() as f64),
            touches: Some(touches),
            experience: Some(author.map_or(0.0, |author| f64::from(author.changes))),
            recent_experience: Some(author.map_or(0.0, |author| author.recent(now))),
            subsystem_experience: Some(own_subsystems),
            ownership: Some(mean(shares.sum(), known.len(), 1.0)),
            new_files: Some(files.iter().filter(|file| self.file(file).is_none()).count() as f64),
            test_files: kinds(&[FileKind::Test]),
            doc_files: kinds(&[FileKind::Prose, FileKind::Page]),
            config_files: kinds(&[FileKind::Setting]),
            code_files: kinds(&[FileKind::Code, FileKind::Page]),
            largest_file: Some(largest.max().unwrap_or(0) as f64),
            message_chars: Some(f64::from(change.message.chars)),
            subject_chars: Some(f64::from(change.message.title_chars)),
            names_issue: flag(change.message.issue),
            reverts: flag(change.message.revert),
            refactors: flag(change.message.refactor),
            brings_feature: flag(change.message.feature),
            earlier_fixes: Some(fixes),
            earlier_fixes_most: Some(known.iter().map(|file| f64::from(file.fixes)).fold(0.0, f64::max)),
            last_fix: Some(
                known.iter().filter_map(|file| file.last_fix).max().map_or(0.0, |at| 1.0 / (1.0 + days(at) / 30.0)),
            ),
            fix_share: Some(if touches > 0.0 { fixes / touches } else { 0.0 }),
            touches_90_days: Some(mean(
                known.iter().map(|file| file.touches_since(now - RECENT_DAYS * DAY) as f64).sum::<f64>(),
                files.len(),
                0.0,
            )),
            hour,
            weekday,
        }
    }

    /// Lets a change happen.
    pub fn happen(&mut self, change: &Seen<'_>) {
        let now = self.believed(change.committed);
        let mut subsystems = BTreeSet::new();
        for file in change.files {
            let past = match file.was {
                Some(was) => self.files[was as usize].take(),
                None => self.files[file.path as usize].take(),
            };
            let mut past = past.unwrap_or_default();
            past.touches += 1;
            past.last = now;
            past.last_change = self.changes;
            for author in change.authors {
                match past.by.iter_mut().find(|(person, _)| person == author) {
                    Some((_, count)) => *count += 1,
                    None => past.by.push((*author, 1)),
                }
            }
            if change.message.fix {
                past.fixes += 1;
                past.last_fix = past.last_fix.max(Some(now));
            }
            while past.recent.front().is_some_and(|at| *at < now - RECENT_DAYS * DAY) {
                past.recent.pop_front();
            }
            past.recent.push_back(now);
            self.files[file.path as usize] = Some(past);
            subsystems.insert(self.places[file.path as usize].subsystem);
        }
        for person in change.authors {
            let author = self.authors.entry(*person).or_default();
            author.changes += 1;
            if author.recent.len() == RECENT_MAX {
                author.recent.pop_front();
            }
            author.recent.push_back(now);
            for subsystem in &subsystems {
                *author.subsystems.entry(*subsystem).or_insert(0) += 1;
            }
        }
        self.changes += 1;
        self.clock = now;
    }

    /// The past of a touched file: of one that was renamed, under its old name.
    fn file(&self, file: &FileChange) -> Option<&FilePast> {
        let path = if file.fate == Fate::Renamed { file.was.unwrap_or(file.path) } else { file.path };
        self.files.get(path as usize)?.as_deref()
    }

    /// The time of a change, or of the one before it when nobody could have made it then.
    fn believed(&self, time: i64) -> i64 {
        if BELIEVED.contains(&time) { time } else { self.clock }
    }
}

impl FilePast {
    fn touches_by(&self, person: Option<Person>) -> u32 {
        self.by.iter().find(|(known, _)| Some(*known) == person).map_or(0, |(_, count)| *count)
    }

    fn touches_since(&self, time: i64) -> usize {
        self.recent.iter().filter(|at| **at >= time).count()
    }
}

impl AuthorPast {
    fn recent(&self, now: i64) -> f64 {
        self.recent.iter().map(|at| 1.0 / (1.0 + now.saturating_sub(*at).max(0) as f64 / (365 * DAY) as f64)).sum()
    }
}

/// `-sum(s log2 s)` over the files' shares `s` of the changed lines; 0 when no line changes.
fn entropy(files: &[FileChange]) -> f64 {
    let changed = |file: &FileChange| file.lines.map_or(0.0, |lines| f64::from(lines.added) + f64::from(lines.deleted));
    let all: f64 = files.iter().map(changed).sum();
    let shares = files.iter().map(changed).filter(|lines| *lines > 0.0).map(|lines| lines / all);
    // Adding zero makes a plain 0 of the -0 that one share alone gives.
    shares.map(|share| -share * share.log2()).sum::<f64>() + 0.0
}

/// Of the author's own clock: hour from 0 to 23, and weekday with Monday as 0; unknown when the clock is not believed.
fn hour_and_weekday((seconds, minutes): (i64, i32)) -> (Option<f64>, Option<f64>) {
    if !BELIEVED.contains(&seconds) {
        return (None, None);
    }
    let local = seconds + i64::from(minutes) * 60;
    // 1 January 1970 was a Thursday.
    let weekday = (local.div_euclid(DAY) + 3).rem_euclid(7);
    (Some((local.rem_euclid(DAY) / 3_600) as f64), Some(weekday as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hour_and_weekday_are_of_the_authors_clock() {
        // 2026-11-27 23:30 UTC was a Friday; an hour east of it Saturday had begun.
        assert_eq!(hour_and_weekday((1_795_822_200, 0)), (Some(23.0), Some(4.0)));
        assert_eq!(hour_and_weekday((1_795_822_200, 60)), (Some(0.0), Some(5.0)));
        assert_eq!(hour_and_weekday((0, 0)), (None, None));
        assert_eq!(hour_and_weekday((4_102_444_800, 0)), (None, None));
    }
}
