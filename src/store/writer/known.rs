//! Which GUIDs are known, at a cost that does not grow with their number.
//!
//! Keys of the newest deliveries are in memory. When there are many they are written to the disk as one sorted run, and
//! of a run only a filter stays in memory: so nearly every new GUID is told apart from a million old ones without a read.
//! Knows keys and runs. Must never know what a delivery holds.

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Keys of a run. Loaded again at the start: more makes the start slow, fewer makes more filters to ask.
const RUN_KEYS: usize = if cfg!(test) { 64 } else { 32_768 };

/// What stands for a GUID in runs.
pub(super) type Key = [u8; 16];

/// The key of a GUID: the bytes of a UUID as GitHub spells it, else a hash of the text.
pub(super) fn key_of(guid: &str) -> Key {
    uuid(guid.as_bytes()).unwrap_or_else(|| {
        let mut key = Key::default();
        key.copy_from_slice(&Sha256::digest(guid)[..16]);
        key
    })
}

fn uuid(text: &[u8]) -> Option<Key> {
    if text.len() != 36 || [8, 13, 18, 23].iter().any(|&at| text[at] != b'-') {
        return None;
    }
    let mut digits = text.iter().filter(|byte| **byte != b'-').map(|byte| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        // An upper-case spelling is another text, so it gets another key.
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    });
    let mut key = Key::default();
    for byte in &mut key {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    // A dash too many elsewhere leaves digits missing above; one too few cannot pass the length.
    digits.next().is_none().then_some(key)
}

/// The known GUIDs of a database.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Newer than every run.
    tail: HashMap<Key, i64>,
    runs: Vec<Run>,
    /// Number of the newest delivery that was looked at.
    pub last_id: i64,
}

#[derive(Debug)]
struct Run {
    number: i64,
    filter: Filter,
}

impl Known {
    /// Reads what another connection, or an earlier process, added.
    pub fn catch_up(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let newest =
            "SELECT max(coalesce((SELECT max(id) FROM deliveries), 0), coalesce((SELECT max(last_id) FROM runs), 0))";
        let newest: i64 = db.prepare_cached(newest)?.query_row([], |row| row.get(0))?;
        if newest <= self.last_id {
            return Ok(());
        }
        let last_run = self.runs.last().map_or(0, |run| run.number);
        let mut runs = db.prepare_cached("SELECT run, last_id, filter FROM runs WHERE run > ?1 ORDER BY run")?;
        let mut rows = runs.query([last_run])?;
        let mut in_runs = self.last_id;
        while let Some(row) = rows.next()? {
            self.runs.push(Run { number: row.get(0)?, filter: Filter(row.get(2)?) });
            in_runs = in_runs.max(row.get(1)?);
        }
        let newer = "SELECT id, guid FROM deliveries WHERE id > ?1 AND state <> 'beside' ORDER BY id";
        let mut newer = db.prepare_cached(newer)?;
        let mut rows = newer.query([in_runs])?;
        while let Some(row) = rows.next()? {
            self.tail.insert(key_of(row.get_ref(1)?.as_str()?), row.get(0)?);
        }
        self.last_id = newest;
        Ok(())
    }

    /// Numbers of deliveries that may have this key, newest first. A number may be stale: look whether the row is there.
    pub fn find(&self, db: &Connection, key: &Key) -> rusqlite::Result<Vec<i64>> {
        let mut found: Vec<i64> = self.tail.get(key).copied().into_iter().collect();
        for run in self.runs.iter().rev().filter(|run| run.filter.may_hold(key)) {
            let mut seek = db.prepare_cached("SELECT id FROM run_keys WHERE run = ?1 AND key = ?2")?;
            let mut rows = seek.query(params![run.number, key])?;
            while let Some(row) = rows.next()? {
                found.push(row.get(0)?);
            }
        }
        Ok(found)
    }

    /// Remembers deliveries that have become durable.
    pub fn add(&mut self, keys: impl IntoIterator<Item = (Key, i64)>, last_id: i64) {
        self.tail.extend(keys);
        self.last_id = self.last_id.max(last_id);
    }

    /// Whether it is time for [`write_run`](Self::write_run).
    pub fn is_long(&self) -> bool {
        self.tail.len() >= RUN_KEYS
    }

    /// Whether a run is worth having before it is due: many restarts must not make many small runs.
    pub fn is_worth_a_run(&self) -> bool {
        self.tail.len() >= RUN_KEYS / 8
    }

    /// Writes the tail as a run, and drops runs of which no delivery is left. Begins with its write, in a transaction of
    /// its own.
    pub fn write_run(&mut self, db: &mut Connection) -> rusqlite::Result<()> {
        let mut keys: Vec<_> = self.tail.iter().map(|(key, id)| (*key, *id)).collect();
        keys.sort_unstable();
        let filter = Filter::of(&keys);
        let first_id = keys.iter().map(|(_, id)| *id).min().unwrap_or(0);

        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let insert = "INSERT INTO runs (first_id, last_id, filter) VALUES (?1, ?2, ?3)";
        tx.prepare_cached(insert)?.execute(params![first_id, self.last_id, filter.0])?;
        let number = tx.last_insert_rowid();
        {
            let mut insert = tx.prepare_cached("INSERT INTO run_keys (run, key, id) VALUES (?1, ?2, ?3)")?;
            for (key, id) in &keys {
                insert.execute(params![number, key, id])?;
            }
        }
        let empty = "DELETE FROM runs WHERE NOT EXISTS
             (SELECT 1 FROM deliveries d WHERE d.id BETWEEN first_id AND last_id AND d.state <> 'beside') RETURNING run";
        let empty: Vec<i64> = tx.prepare_cached(empty)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for run in &empty {
            tx.prepare_cached("DELETE FROM run_keys WHERE run = ?1")?.execute([run])?;
        }
        tx.commit()?;

        self.tail = HashMap::new();
        self.runs.push(Run { number, filter });
        self.runs.retain(|run| !empty.contains(&run.number));
        Ok(())
    }
}

/// Says of a key that a run surely does not hold it, or that it may: a Bloom filter with two bytes and six probes a key,
/// wrong once in a thousand times. Written to the disk as it is: another spelling needs a migration.
#[derive(Debug)]
struct Filter(Vec<u8>);

impl Filter {
    const PROBES: u64 = 6;

    fn of(keys: &[(Key, i64)]) -> Self {
        let mut filter = Self(vec![0; (keys.len() * 2).max(64)]);
        for (key, _) in keys {
            for bit in probes(key, filter.0.len()) {
                filter.0[bit / 8] |= 1 << (bit % 8);
            }
        }
        filter
    }

    fn may_hold(&self, key: &Key) -> bool {
        !self.0.is_empty() && probes(key, self.0.len()).all(|bit| self.0[bit / 8] & 1 << (bit % 8) != 0)
    }
}

/// The bits that stand for a key in a filter of `bytes` bytes.
fn probes(key: &Key, bytes: usize) -> impl Iterator<Item = usize> {
    let bits = bytes as u64 * 8;
    let whole = u128::from_be_bytes(*key);
    let first = mixed(whole as u64 ^ mixed((whole >> 64) as u64));
    // Odd, so that it never stands still.
    let step = mixed(first) | 1;
    // The high half of a product spreads evenly over any number of bits, without a division.
    (0..Filter::PROBES).map(move |n| {
        let hash = first.wrapping_add(step.wrapping_mul(n));
        ((u128::from(hash) * u128::from(bits)) >> 64) as usize
    })
}

/// The finisher of SplitMix64: every bit of the input moves every bit of the output.
fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_its_own_key_and_other_texts_are_hashed() {
        let key = key_of("72d3162e-cc78-11e3-81ab-4c9367dc0958");
        assert_eq!(hex::encode(key), "72d3162ecc7811e381ab4c9367dc0958");
        let others = [
            "72D3162E-cc78-11e3-81ab-4c9367dc0958",
            "72d3162ecc7811e381ab4c9367dc0958",
            "72d3162e-cc78-11e3-81ab-4c9367dc095-",
            "72d3162e-cc78-11e3-81ab-4c9367dc095g",
            "",
        ];
        for other in others {
            assert_ne!(key_of(other), key, "{other}");
        }
    }

    #[test]
    fn a_filter_knows_its_keys_and_few_others() {
        let key = |n: u128| n.to_be_bytes();
        let keys: Vec<_> = (0..30_000).map(|n| (key(n), 0)).collect();
        let filter = Filter::of(&keys);
        assert!(keys.iter().all(|(key, _)| filter.may_hold(key)));
        let wrong = (1 << 40..(1 << 40) + 100_000).filter(|n| filter.may_hold(&key(*n))).count();
        assert!(wrong < 200, "{wrong} of 100,000");
        assert!(!Filter(Vec::new()).may_hold(&key(1)));
    }
}
