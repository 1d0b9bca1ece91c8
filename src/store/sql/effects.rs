//! The outbox: planning, claiming, ending.
//!
//! Must never know what an effect does.

use super::super::rows::{big, corrupt, from_json, to_json, unsigned};
use super::super::{ended_arrival, generation};
use super::{begin, begin_flushed, lanes, pieces, rows_sql};
use crate::domain::effect::{Effect, Ending};
use crate::domain::ids::*;
use crate::engine::ports::*;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

/// Adds rows; a key that is there is left as it is.
pub(super) async fn plan(db: &mut SqliteConnection, effects: &[Effect], at: Timestamp) -> Result<(), StoreError> {
    for piece in pieces(effects) {
        let head = "INSERT INTO effects (key, subject, lock_name, generation, effect, state, due_at) VALUES";
        let mut query = sqlx::query(rows_sql(head, 7, piece.len(), "ON CONFLICT (key) DO NOTHING"));
        for effect in piece {
            query = query
                .bind(effect.key.as_str())
                .bind(effect.subject.to_string())
                .bind(effect.lock_name())
                .bind(generation(effect).map(|generation| big(generation).unwrap_or(i64::MAX)))
                .bind(to_json(effect)?)
                .bind("planned")
                .bind(at.0);
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
) -> Result<Option<ClaimedEffect>, StoreError> {
    // Flushed: once it is sent, no power cut may make it look as if it never was.
    let mut tx = begin_flushed(db).await?;
    // Due longest first. What is in flight may be looked at again; what is planned waits while another of its target is
    // in flight, and a publish is passed over for a newer one of its target.
    let sql = "UPDATE effects SET state = 'in_flight', lease_holder = $1, due_at = $2, attempts = attempts + 1,
             first_tried_at = coalesce(first_tried_at, $3), previous_tried_at = last_tried_at, last_tried_at = $3,
             was_in_flight = CASE WHEN state = 'in_flight' THEN 1 ELSE 0 END
         WHERE id = (
             SELECT e.id FROM effects e WHERE e.due_at <= $3 AND (e.state = 'in_flight' OR (
                 NOT EXISTS (SELECT 1 FROM effects o WHERE o.lock_name = e.lock_name AND o.state = 'in_flight')
                 AND (e.generation IS NULL OR NOT EXISTS (
                     SELECT 1 FROM effects n WHERE n.lock_name = e.lock_name AND n.state = 'planned'
                         AND (n.generation > e.generation OR (n.generation = e.generation AND n.id > e.id))))))
             ORDER BY e.due_at, e.id LIMIT 1)
         RETURNING id, key, subject, lock_name, generation, effect, first_tried_at, previous_tried_at, was_in_flight,
             attempts";
    let row = sqlx::query(sql).bind(&holder.0).bind(lease_until.0).bind(now.0).fetch_optional(&mut *tx).await?;
    let Some(row) = row else { return Ok(None) };
    let (id, key): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    let effect = match from_json::<Effect>(row.try_get(5)?, || format!("effect {key}")) {
        Ok(effect) => effect,
        Err(error) => {
            // Ended at once: the outbox could never get past it, and its lane must hear.
            give_up(&mut tx, id, &key, row.try_get(2)?, &error, now).await?;
            tx.commit().await?;
            return Err(error);
        }
    };
    let mut claimed = ClaimedEffect {
        effect,
        remote: None,
        first_tried_at: Timestamp(row.try_get(6)?),
        last_tried_at: row.try_get::<Option<i64>, _>(7)?.map(Timestamp),
        was_in_flight: row.try_get::<i64, _>(8)? != 0,
        attempts: u32::try_from(row.try_get::<i64, _>(9)? - 1).map_err(|_| corrupt(format!("tries of {key}")))?,
    };
    if row.try_get::<Option<i64>, _>(4)?.is_some() {
        claimed.remote = remote(&mut tx, &row).await?;
        if !claimed.was_in_flight {
            supersede(&mut tx, &row, now).await?;
        }
    }
    tx.commit().await?;
    Ok(Some(claimed))
}

/// What GitHub calls what the newest finished publish of the same target made.
async fn remote(db: &mut SqliteConnection, claimed: &SqliteRow) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT remote FROM effects WHERE lock_name = $1 AND state = 'done' AND remote IS NOT NULL
             AND generation IS NOT NULL
         ORDER BY generation DESC, id DESC LIMIT 1";
    let row = sqlx::query(sql).bind(claimed.try_get::<String, _>(3)?).fetch_optional(db).await?;
    row.map(|row| unsigned(row.try_get(0)?)).transpose()
}

/// Ends the planned publishes that the claimed one replaces: no planned one of its target is newer.
async fn supersede(db: &mut SqliteConnection, claimed: &SqliteRow, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE effects SET state = 'superseded', due_at = NULL, ended_at = $1
         WHERE lock_name = $2 AND state = 'planned' AND generation IS NOT NULL RETURNING id, key, subject";
    let lock_name: String = claimed.try_get(3)?;
    let rows = sqlx::query(sql).bind(now.0).bind(lock_name).fetch_all(&mut *db).await?;
    let mut ended = Vec::with_capacity(rows.len());
    for row in rows {
        let id: i64 = row.try_get(0)?;
        ended.push((id, arrival(row.try_get(1)?, row.try_get(2)?, Ending::Superseded, now)?));
    }
    ended.sort_by_key(|(id, _)| *id);
    let ended: Vec<_> = ended.into_iter().map(|(_, arrival)| arrival).collect();
    lanes::arrive(db, &ended).await
}

/// Ends an effect whose row cannot be read.
async fn give_up(
    db: &mut SqliteConnection,
    id: i64,
    key: &str,
    subject: &str,
    error: &StoreError,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE effects SET state = 'unknown', due_at = NULL, lease_holder = NULL, ended_at = $1, because = $2
         WHERE id = $3";
    sqlx::query(sql).bind(now.0).bind(error.to_string()).bind(id).execute(&mut *db).await?;
    let ending = Ending::Unknown { message: error.to_string() };
    // A lane whose name cannot be read either cannot hear; the error is all there is.
    match arrival(key, subject, ending, now) {
        Ok(arrival) => lanes::arrive(db, &[arrival]).await,
        Err(_) => Ok(()),
    }
}

pub(super) async fn finish(
    db: &mut SqliteConnection,
    key: &EffectKey,
    holder: &Holder,
    progress: EffectProgress,
    now: Timestamp,
) -> Result<(), StoreError> {
    let conflict = || StoreError::Conflict { subject: key.to_string() };
    let put_off = |state: &'static str, until: Timestamp, because: String| {
        let sql = "UPDATE effects SET state = $1, due_at = $2, because = $3, lease_holder = NULL
             WHERE key = $4 AND state = 'in_flight' AND lease_holder = $5";
        sqlx::query(sql).bind(state).bind(until.0).bind(because).bind(key.as_str()).bind(&holder.0)
    };
    let put_off = match progress {
        EffectProgress::Later { until, because } => put_off("planned", until, because),
        EffectProgress::Settle { until, because } => put_off("in_flight", until, because),
        EffectProgress::Ended(ending) => return end(db, key, holder, ending, now).await,
    };
    match put_off.execute(db).await?.rows_affected() {
        0 => Err(conflict()),
        _ => Ok(()),
    }
}

async fn end(
    db: &mut SqliteConnection,
    key: &EffectKey,
    holder: &Holder,
    ending: Ending,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (state, because, remote, url) = match &ending {
        Ending::Done { id, url } => ("done", None, *id, url.as_deref()),
        Ending::Refused { message } => ("refused", Some(message.as_str()), None, None),
        Ending::Superseded => ("superseded", None, None, None),
        Ending::Unknown { message } => ("unknown", Some(message.as_str()), None, None),
    };
    // A number that does not fit was never GitHub's.
    let remote = remote.and_then(big);
    let mut tx = begin(db).await?;
    let sql = "UPDATE effects SET state = $1, due_at = NULL, lease_holder = NULL, because = $2, remote = $3, url = $4,
             ended_at = $5
         WHERE key = $6 AND state = 'in_flight' AND lease_holder = $7 RETURNING subject";
    let query = sqlx::query(sql).bind(state).bind(because).bind(remote).bind(url).bind(now.0);
    let row = query.bind(key.as_str()).bind(&holder.0).fetch_optional(&mut *tx).await?;
    let Some(row) = row else { return Err(StoreError::Conflict { subject: key.to_string() }) };
    let arrival = arrival(key.as_str(), row.try_get(0)?, ending.clone(), now)?;
    lanes::arrive(&mut tx, &[arrival]).await?;
    Ok(tx.commit().await?)
}

fn arrival(key: &str, subject: &str, ending: Ending, now: Timestamp) -> Result<Arrival, StoreError> {
    let lane = Subject::parse(subject).ok_or_else(|| corrupt(format!("`{subject}` is not the name of a lane")))?;
    Ok(ended_arrival(lane, EffectKey::new(key), ending, now))
}
