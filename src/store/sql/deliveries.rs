//! Deliveries after the door: read for sorting, and what became of them.
//!
//! Must never know what an event means.

use super::super::rows::{corrupt, unpack};
use super::{begin, lanes, limit, pieces, places};
use crate::domain::ids::*;
use crate::engine::ports::*;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row};
use std::collections::BTreeMap;

/// Plain bytes that are read at once, after which fewer deliveries than asked for come back.
const BYTES_AT_ONCE: usize = 32 << 20;
/// How many rows are looked at a time when deliveries are looked up among the unsorted.
const LOOK_ROWS: usize = 256;

/// Unsorted deliveries.
#[derive(Default)]
pub(super) struct Unsorted {
    pub whole: Vec<NewDelivery>,
    /// Row numbers whose body cannot be read, and why.
    pub broken: Vec<(i64, String)>,
}

pub(super) async fn unsorted(db: &mut SqliteConnection, most: usize) -> Result<Unsorted, StoreError> {
    let mut read = Unsorted::default();
    let (mut after, mut bytes) = (0_i64, 0);
    // A few at a time: bodies may be large.
    while read.whole.len() + read.broken.len() < most && bytes < BYTES_AT_ONCE {
        let step = 32.min(most - read.whole.len() - read.broken.len());
        let sql = "SELECT d.id, d.guid, d.event, d.received_at, b.body FROM deliveries d
             LEFT JOIN bodies b ON b.id = d.id WHERE d.state = 'unsorted' AND d.id > $1 ORDER BY d.id LIMIT $2";
        let rows = sqlx::query(sql).bind(after).bind(limit(step)).fetch_all(&mut *db).await?;
        let last = rows.len() < step;
        for row in rows {
            after = row.try_get(0)?;
            let body: Option<Vec<u8>> = row.try_get(4)?;
            let body = body.ok_or_else(|| "its body is missing".to_owned()).and_then(|body| unpack(&body));
            match body {
                Err(error) => read.broken.push((after, error)),
                Ok(body) => {
                    bytes += body.len();
                    read.whole.push(NewDelivery {
                        id: DeliveryId::new(row.try_get::<String, _>(1)?),
                        event: row.try_get(2)?,
                        body: body.into(),
                        received_at: Timestamp(row.try_get(3)?),
                    });
                }
            }
        }
        if last {
            break;
        }
    }
    Ok(read)
}

/// Parks deliveries whose bodies cannot be read, and says so.
pub(super) async fn park_broken(db: &mut SqliteConnection, broken: Vec<(i64, String)>) -> StoreError {
    let mut names = Vec::new();
    for (id, error) in &broken {
        let sql = "UPDATE deliveries SET state = 'parked', because = $1, sorted_at = received_at
             WHERE id = $2 AND state = 'unsorted' RETURNING guid";
        let because = format!("its body cannot be read: {error}");
        match sqlx::query(sql).bind(because).bind(id).fetch_optional(&mut *db).await {
            Ok(row) => names.extend(row.and_then(|row| row.try_get::<String, _>(0).ok())),
            Err(error) => return error.into(),
        }
    }
    corrupt(format!("deliveries whose bodies cannot be read, now parked: {}", names.join(", ")))
}

pub(super) async fn sort(
    db: &mut SqliteConnection,
    sorted: Vec<(DeliveryId, Sorted)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = begin(db).await?;
    let ids = unsorted_ids(&mut tx, sorted.iter().map(|(id, _)| id.as_str())).await?;
    let mut waiting: BTreeMap<String, i64> = ids;
    let (mut plain, mut arrivals) = (Vec::new(), Vec::new());
    for (id, made) in sorted {
        // Taken out: named twice in one call, it is sorted once.
        let Some(id) = waiting.remove(id.as_str()) else { continue };
        let (state, because) = match made {
            Sorted::Events(events) => {
                arrivals.extend(events);
                plain.push(id);
                continue;
            }
            Sorted::Ignored { because } => ("sorted", because),
            Sorted::Parked { because } => ("parked", because),
        };
        let sql = "UPDATE deliveries SET state = $1, because = $2, sorted_at = $3 WHERE id = $4";
        sqlx::query(sql).bind(state).bind(because).bind(now.0).bind(id).execute(&mut *tx).await?;
    }
    for piece in pieces(&plain) {
        let ids = places(2, piece.len());
        let sql = format!("UPDATE deliveries SET state = 'sorted', sorted_at = $1 WHERE id IN ({ids})");
        // Safe: only the number of places varies.
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(now.0);
        for id in piece {
            query = query.bind(id);
        }
        query.execute(&mut *tx).await?;
    }
    lanes::arrive(&mut tx, &arrivals).await?;
    Ok(tx.commit().await?)
}

/// Row numbers of those of the deliveries that are unsorted.
///
/// There is no index over GUIDs (see `runs` in the schema). Sorters take the oldest first, so those they ask for stand
/// at the head of the unsorted; only when one of them is not there is the whole backlog looked through.
async fn unsorted_ids(
    db: &mut SqliteConnection,
    guids: impl Iterator<Item = &str>,
) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut wanted: BTreeMap<&str, ()> = guids.map(|guid| (guid, ())).collect();
    let mut found = BTreeMap::new();
    let mut after = 0_i64;
    while !wanted.is_empty() {
        let sql = "SELECT id, guid FROM deliveries WHERE state = 'unsorted' AND id > $1 ORDER BY id LIMIT $2";
        let rows = sqlx::query(sql).bind(after).bind(limit(LOOK_ROWS)).fetch_all(&mut *db).await?;
        for row in &rows {
            after = row.try_get(0)?;
            let guid: String = row.try_get(1)?;
            if wanted.remove(guid.as_str()).is_some() {
                found.insert(guid, after);
            }
        }
        if rows.len() < LOOK_ROWS {
            break;
        }
    }
    Ok(found)
}
