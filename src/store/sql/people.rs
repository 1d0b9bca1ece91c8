//! What people look at: journal, deliveries, parked, counts.
//!
//! Reads only.

use super::super::rows::{from_json, unpack, unsigned};
use super::super::texts;
use super::limit;
use crate::domain::ids::*;
use crate::engine::ports::*;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

pub(super) async fn journal(
    db: &mut SqliteConnection,
    subject: &Subject,
    most: usize,
) -> Result<Vec<JournalLine>, StoreError> {
    let sql = "SELECT at, version, text, hash FROM journal WHERE subject = $1 ORDER BY id DESC LIMIT $2";
    let rows = sqlx::query(sql).bind(subject.to_string()).bind(limit(most)).fetch_all(db).await?;
    let line = |row: &sqlx::sqlite::SqliteRow| {
        Ok(JournalLine {
            at: Timestamp(row.try_get(0)?),
            version: unsigned(row.try_get(1)?)?,
            text: row.try_get(2)?,
            hash: row.try_get(3)?,
        })
    };
    rows.iter().map(line).collect()
}

/// There is no index over GUIDs (see `runs` in the schema), so all deliveries are looked through; their bodies lie apart.
pub(super) async fn delivery(db: &mut SqliteConnection, id: &DeliveryId) -> Result<Vec<KnownDelivery>, StoreError> {
    let sql = "SELECT d.event, d.received_at, d.state, d.because, b.body FROM deliveries d
         LEFT JOIN bodies b ON b.id = d.id WHERE d.guid = $1 ORDER BY d.id";
    let mut all = Vec::new();
    for row in sqlx::query(sql).bind(id.as_str()).fetch_all(db).await? {
        let (state, because): (String, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
        let fate = match (state.as_str(), because) {
            ("unsorted", _) => Fate::Unsorted,
            ("sorted", None) => Fate::Sorted,
            ("sorted", Some(because)) => Fate::Ignored { because },
            (_, because) => Fate::Parked { because: because.unwrap_or_default() },
        };
        let packed: Option<Vec<u8>> = row.try_get(4)?;
        all.push(KnownDelivery {
            event: row.try_get(0)?,
            received_at: Timestamp(row.try_get(1)?),
            fate,
            // A body that cannot be read is one that cannot be shown.
            body: packed.and_then(|packed| unpack(&packed).ok()).map(Into::into),
        });
    }
    Ok(all)
}

pub(super) async fn parked(db: &mut SqliteConnection, most: usize) -> Result<Vec<Parked>, StoreError> {
    let mut all = Vec::new();
    let sql = "SELECT guid, event, coalesce(because, ''), coalesce(sorted_at, received_at) AS at FROM deliveries
         WHERE state IN ('parked', 'beside') ORDER BY at DESC, id DESC LIMIT $1";
    for row in sqlx::query(sql).bind(limit(most)).fetch_all(&mut *db).await? {
        let (guid, event): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let what = texts::delivery(&DeliveryId::new(guid), &event);
        all.push(Parked { what, because: row.try_get(2)?, at: Timestamp(row.try_get(3)?) });
    }
    let sql = "SELECT id, subject, because, at, arrival FROM parked ORDER BY at DESC, id DESC LIMIT $1";
    for row in sqlx::query(sql).bind(limit(most)).fetch_all(db).await? {
        let (id, lane, json): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(4)?);
        // It may be here because it cannot be read: then its name must do.
        let what = match from_json::<Arrival>(&json, String::new) {
            Ok(arrival) => texts::arrival(ArrivalId(id), &lane, Some(&arrival.source)),
            Err(_) => texts::arrival(ArrivalId(id), &lane, None),
        };
        all.push(Parked { what, because: row.try_get(2)?, at: Timestamp(row.try_get(3)?) });
    }
    all.sort_by_key(|parked| std::cmp::Reverse(parked.at));
    all.truncate(most);
    Ok(all)
}

pub(super) async fn counts(db: &mut SqliteConnection) -> Result<Counts, StoreError> {
    let sql = "SELECT
         (SELECT count(*) FROM deliveries WHERE state = 'unsorted'),
         (SELECT count(*) FROM deliveries WHERE state IN ('parked', 'beside')),
         (SELECT count(*) FROM inbox),
         (SELECT count(*) FROM parked),
         (SELECT count(*) FROM effects WHERE due_at IS NOT NULL AND state = 'planned'),
         (SELECT count(*) FROM effects WHERE due_at IS NOT NULL AND state = 'in_flight'),
         (SELECT count(*) FROM subjects)";
    let row = sqlx::query(sql).fetch_one(db).await?;
    let count = |column: usize| unsigned(row.try_get(column)?);
    Ok(Counts {
        deliveries_unsorted: count(0)?,
        deliveries_parked: count(1)?,
        arrivals_waiting: count(2)?,
        arrivals_parked: count(3)?,
        effects_planned: count(4)?,
        effects_in_flight: count(5)?,
        lanes: count(6)?,
    })
}
