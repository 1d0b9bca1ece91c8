//! Lanes: arrivals, leases, turns.
//!
//! `ready_at` and `due_at` of a lane are kept with every write, so that a claim is one look at an index. Must never know
//! what a lane's state means.

use super::super::chain::lines_after;
use super::super::rows::{big, corrupt, from_json, to_json, unsigned};
use super::{begin, effects, limit, pieces, places, rows_sql};
use crate::domain::ids::*;
use crate::engine::ports::*;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row};
use std::collections::{BTreeMap, BTreeSet};

/// Puts arrivals into inboxes, in this order.
pub(super) async fn arrive(db: &mut SqliteConnection, arrivals: &[Arrival]) -> Result<(), StoreError> {
    let mut ready: BTreeMap<String, i64> = BTreeMap::new();
    for piece in pieces(arrivals) {
        let mut query = sqlx::query(rows_sql("INSERT INTO inbox (subject, at, arrival) VALUES", 3, piece.len(), ""));
        for arrival in piece {
            let subject = arrival.subject.to_string();
            query = query.bind(subject.clone()).bind(arrival.at.0).bind(to_json(arrival)?);
            let at = ready.entry(subject).or_insert(arrival.at.0);
            *at = arrival.at.0.min(*at);
        }
        query.execute(&mut *db).await?;
    }
    let ready: Vec<_> = ready.into_iter().collect();
    for piece in pieces(&ready) {
        // A lane with arrivals waits for nothing but a lease or a deferral.
        let tail = "ON CONFLICT (subject) DO UPDATE SET
                ready_at = CASE WHEN subjects.ready_at < excluded.ready_at THEN subjects.ready_at
                                ELSE excluded.ready_at END,
                due_at = CASE WHEN subjects.lease_until > subjects.defer_until THEN subjects.lease_until
                              ELSE subjects.defer_until END";
        let head = "INSERT INTO subjects (subject, ready_at, due_at) VALUES";
        let mut query = sqlx::query(rows_sql(head, 3, piece.len(), tail));
        for (subject, at) in piece {
            query = query.bind(subject).bind(at).bind(0_i64);
        }
        query.execute(&mut *db).await?;
    }
    Ok(())
}

pub(super) async fn claim(
    db: &mut SqliteConnection,
    holder: &Holder,
    now: Timestamp,
    lease_until: Timestamp,
    arrivals_max: usize,
) -> Result<Option<ClaimedLane>, StoreError> {
    // One statement is a transaction of its own, and once it is done nobody else takes arrivals out of the lane. The
    // first search ends at `now` and so never walks through lanes that only wait for their time; the second finds
    // arrivals that claim to come from the future, of a clock that was ahead.
    let sql = "UPDATE subjects SET lease_holder = $1, lease_until = $2, due_at = $2 WHERE subject = coalesce(
             (SELECT subject FROM subjects WHERE ready_at <= $3 AND due_at <= $3 ORDER BY ready_at, subject LIMIT 1),
             (SELECT subject FROM subjects WHERE due_at <= $3 ORDER BY ready_at, subject LIMIT 1))
         RETURNING subject, version, state, wake_at, failures";
    let row = sqlx::query(sql).bind(&holder.0).bind(lease_until.0).bind(now.0).fetch_optional(&mut *db).await?;
    let Some(row) = row else { return Ok(None) };
    let name: String = row.try_get(0)?;
    let subject = subject_named(&name)?;
    let wake_at: Option<i64> = row.try_get(3)?;
    let failures: i64 = row.try_get(4)?;
    let snapshot = snapshot(&row, 1)?;

    let sql = "SELECT id, arrival FROM inbox WHERE subject = $1 ORDER BY id LIMIT $2";
    let rows = sqlx::query(sql).bind(&name).bind(limit(arrivals_max)).fetch_all(&mut *db).await?;
    let (mut arrivals, mut broken) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let id = ArrivalId(row.try_get(0)?);
        let json: String = row.try_get(1)?;
        match from_json(&json, || format!("arrival {} in {name}", id.0)) {
            Ok(arrival) => arrivals.push((id, arrival)),
            Err(error) => broken.push((id, error)),
        }
    }
    if let Some((_, error)) = broken.first() {
        // Put aside, for the lane could never get past it; the other arrivals are claimed next time.
        let ids: Vec<_> = broken.iter().map(|(id, _)| *id).collect();
        park(db, &subject, holder, &ids, &error.to_string(), now).await?;
        return Err(error.clone());
    }
    let woken = wake_at.is_some_and(|wake_at| wake_at <= now.0);
    let failures = u32::try_from(failures).map_err(|_| corrupt(format!("{name} failed {failures} times")))?;
    Ok(Some(ClaimedLane { subject, snapshot, arrivals, woken, failures }))
}

pub(super) async fn commit(db: &mut SqliteConnection, turn: TurnCommit) -> Result<(), StoreError> {
    let subject = turn.subject.to_string();
    let conflict = || StoreError::Conflict { subject: subject.clone() };
    let expected = match turn.expected_version {
        None => 0,
        // Versions begin at 1, so that "no state" and "version 0" cannot be mixed up.
        Some(version) => big(version).filter(|version| *version > 0).ok_or_else(conflict)?,
    };
    let mut tx = begin(db).await?;
    let sql =
        "UPDATE subjects SET version = version + 1, state = $1, wake_at = $2, lease_holder = NULL, lease_until = 0,
             defer_until = 0, deferred_because = NULL, failures = 0
         WHERE subject = $3 AND lease_holder = $4 AND version = $5 RETURNING journal_head";
    let wake_at = turn.wake_at.map(|at| at.0);
    let query = sqlx::query(sql).bind(turn.state).bind(wake_at).bind(&subject).bind(&turn.holder.0).bind(expected);
    let row = query.fetch_optional(&mut *tx).await?.ok_or_else(conflict)?;
    let mut head: String = row.try_get(0)?;

    let taken: Vec<_> = turn.taken.iter().map(|id| id.0).collect::<BTreeSet<_>>().into_iter().collect();
    for piece in pieces(&taken) {
        let sql = format!("DELETE FROM inbox WHERE subject = $1 AND id IN ({})", places(2, piece.len()));
        // Safe: only the number of places varies.
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(&subject);
        for id in piece {
            query = query.bind(id);
        }
        if query.execute(&mut *tx).await?.rows_affected() != piece.len() as u64 {
            return Err(conflict());
        }
    }
    effects::plan(&mut tx, &turn.effects, turn.at).await?;
    arrive(&mut tx, &turn.forwards).await?;

    let version = unsigned(expected)? + 1;
    let lines = lines_after(&mut head, turn.at, version, turn.journal);
    for piece in pieces(&lines) {
        let head = "INSERT INTO journal (subject, at, version, text, hash) VALUES";
        let mut query = sqlx::query(rows_sql(head, 5, piece.len(), ""));
        for line in piece {
            query = query.bind(&subject).bind(line.at.0).bind(expected + 1).bind(&line.text).bind(&line.hash);
        }
        query.execute(&mut *tx).await?;
    }
    look_again(&mut tx, &subject, turn.wake_at, &head).await?;
    Ok(tx.commit().await?)
}

/// Says anew when a free lane has something to do.
async fn look_again(
    db: &mut SqliteConnection,
    subject: &str,
    wake_at: Option<Timestamp>,
    journal_head: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE subjects SET journal_head = $1,
             ready_at = (SELECT min(t.at) FROM (SELECT min(at) AS at FROM inbox WHERE subject = $2
                                                UNION ALL SELECT CAST($3 AS BIGINT)) t),
             due_at = CASE WHEN EXISTS (SELECT 1 FROM inbox WHERE subject = $2) THEN 0 ELSE CAST($3 AS BIGINT) END
         WHERE subject = $2";
    sqlx::query(sql).bind(journal_head).bind(subject).bind(wake_at.map(|at| at.0)).execute(db).await?;
    Ok(())
}

pub(super) async fn defer(
    db: &mut SqliteConnection,
    subject: &Subject,
    holder: &Holder,
    until: Timestamp,
    because: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE subjects SET lease_holder = NULL, lease_until = 0, defer_until = $1, deferred_because = $2,
             failures = failures + 1,
             due_at = CASE WHEN wake_at > $1 AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.subject = subjects.subject)
                           THEN wake_at ELSE $1 END
         WHERE subject = $3 AND lease_holder = $4";
    let subject = subject.to_string();
    let query = sqlx::query(sql).bind(until.0).bind(because).bind(&subject).bind(&holder.0);
    match query.execute(db).await?.rows_affected() {
        0 => Err(StoreError::Conflict { subject }),
        _ => Ok(()),
    }
}

pub(super) async fn park(
    db: &mut SqliteConnection,
    subject: &Subject,
    holder: &Holder,
    arrivals: &[ArrivalId],
    because: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let subject = subject.to_string();
    let mut tx = begin(db).await?;
    let sql = "UPDATE subjects SET lease_holder = NULL, lease_until = 0, defer_until = 0, deferred_because = NULL,
             failures = 0
         WHERE subject = $1 AND lease_holder = $2 RETURNING wake_at, journal_head";
    let row = sqlx::query(sql).bind(&subject).bind(&holder.0).fetch_optional(&mut *tx).await?;
    let Some(row) = row else { return Err(StoreError::Conflict { subject }) };
    for id in arrivals {
        let sql = "INSERT INTO parked (id, subject, at, because, arrival)
             SELECT id, subject, $1, $2, arrival FROM inbox WHERE subject = $3 AND id = $4";
        sqlx::query(sql).bind(now.0).bind(because).bind(&subject).bind(id.0).execute(&mut *tx).await?;
        let sql = "DELETE FROM inbox WHERE subject = $1 AND id = $2";
        sqlx::query(sql).bind(&subject).bind(id.0).execute(&mut *tx).await?;
    }
    let wake_at: Option<i64> = row.try_get(0)?;
    let journal_head: String = row.try_get(1)?;
    look_again(&mut tx, &subject, wake_at.map(Timestamp), &journal_head).await?;
    Ok(tx.commit().await?)
}

pub(super) async fn peek(db: &mut SqliteConnection, subject: &Subject) -> Result<Option<Snapshot>, StoreError> {
    let sql = "SELECT version, state FROM subjects WHERE subject = $1";
    let row = sqlx::query(sql).bind(subject.to_string()).fetch_optional(db).await?;
    row.map_or(Ok(None), |row| snapshot(&row, 0))
}

pub(super) async fn next_due(db: &mut SqliteConnection, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT min(t.due_at) FROM (SELECT min(due_at) AS due_at FROM subjects WHERE due_at > $1
             UNION ALL SELECT min(due_at) FROM effects WHERE due_at > $1) t";
    let row = sqlx::query(sql).bind(now.0).fetch_one(db).await?;
    Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp))
}

/// The snapshot in columns `first` (version) and the one after it (state).
fn snapshot(row: &SqliteRow, first: usize) -> Result<Option<Snapshot>, StoreError> {
    let version = unsigned(row.try_get(first)?)?;
    if version == 0 {
        return Ok(None);
    }
    let state: Option<Vec<u8>> = row.try_get(first + 1)?;
    let state = state.ok_or_else(|| corrupt(format!("a lane of version {version} has no state")))?;
    Ok(Some(Snapshot { version, state }))
}

fn subject_named(name: &str) -> Result<Subject, StoreError> {
    Subject::parse(name).ok_or_else(|| corrupt(format!("`{name}` is not the name of a lane")))
}
