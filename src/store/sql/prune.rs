//! Forgetting what is old.
//!
//! Must never know why something was kept that long.

use super::super::rows::unpack;
use super::super::{GUID_KEPT, PRUNE_ROWS_MAX};
use super::{begin, limit, pieces, rows_sql};
use crate::domain::ids::*;
use crate::engine::ports::*;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

/// Row numbers and hashes of old bodies. Read outside of the write, which would hold up deliveries meanwhile: the body of
/// a sorted delivery never changes.
pub(super) async fn hashes(db: &mut SqliteConnection, before: Timestamp) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let sql = "SELECT id FROM deliveries WHERE state = 'sorted' AND sha256 IS NULL AND received_at < $1
         ORDER BY received_at, id LIMIT $2";
    let rows = sqlx::query(sql).bind(before.0).bind(limit(PRUNE_ROWS_MAX)).fetch_all(&mut *db).await?;
    let mut hashes = Vec::with_capacity(rows.len());
    for row in rows {
        let id: i64 = row.try_get(0)?;
        // One at a time: together they may be larger than memory.
        let body = sqlx::query("SELECT body FROM bodies WHERE id = $1").bind(id).fetch_optional(&mut *db).await?;
        let body: Option<Vec<u8>> = body.map(|row| row.try_get(0)).transpose()?;
        // A body that cannot be read equals no other: no hash will match.
        let hash = body.and_then(|body| unpack(&body).ok()).map_or_else(Vec::new, |body| Sha256::digest(body).to_vec());
        hashes.push((id, hash));
    }
    Ok(hashes)
}

pub(super) async fn prune(
    db: &mut SqliteConnection,
    before: Timestamp,
    hashes: Vec<(i64, Vec<u8>)>,
) -> Result<u64, StoreError> {
    let mut tx = begin(db).await?;
    let mut gone = 0;
    for piece in pieces(&hashes) {
        let head = "WITH old (id, sha256) AS (VALUES";
        let tail = ") UPDATE deliveries SET sha256 = old.sha256 FROM old
             WHERE deliveries.id = old.id AND deliveries.sha256 IS NULL";
        let mut query = sqlx::query(rows_sql(head, 2, piece.len(), tail));
        for (id, hash) in piece {
            query = query.bind(id).bind(hash);
        }
        gone += query.execute(&mut *tx).await?.rows_affected();
        let ids = rows_sql("DELETE FROM bodies WHERE id IN (VALUES", 1, piece.len(), ")");
        let mut query = sqlx::query(ids);
        for (id, _) in piece {
            query = query.bind(id);
        }
        query.execute(&mut *tx).await?;
    }

    let sql =
        "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE sha256 IS NOT NULL AND received_at < $1
             ORDER BY received_at, id LIMIT $2)";
    let forgotten = before.minus(GUID_KEPT).0;
    gone += sqlx::query(sql).bind(forgotten).bind(limit(PRUNE_ROWS_MAX)).execute(&mut *tx).await?.rows_affected();

    // Of a target the newest publish that stands is needed, and the newest of which GitHub's number is known.
    let sql = "DELETE FROM effects WHERE id IN (
             SELECT e.id FROM effects e WHERE e.ended_at < $1 AND NOT (e.state = 'done' AND e.generation IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM effects n WHERE n.lock_name = e.lock_name AND n.state = 'done'
                     AND (n.generation > e.generation OR (n.generation = e.generation AND n.id > e.id))
                     AND (n.remote IS NOT NULL OR e.remote IS NULL)))
             ORDER BY e.ended_at, e.id LIMIT $2)";
    gone += sqlx::query(sql).bind(before.0).bind(limit(PRUNE_ROWS_MAX)).execute(&mut *tx).await?.rows_affected();

    // From the oldest on, up to the first that is young enough, so that no chain gets a gap.
    let sql = "SELECT id, at FROM journal ORDER BY id LIMIT $1";
    let rows = sqlx::query(sql).bind(limit(PRUNE_ROWS_MAX)).fetch_all(&mut *tx).await?;
    let mut last = 0_i64;
    for row in rows {
        if row.try_get::<i64, _>(1)? >= before.0 {
            break;
        }
        last = row.try_get(0)?;
    }
    gone += sqlx::query("DELETE FROM journal WHERE id <= $1").bind(last).execute(&mut *tx).await?.rows_affected();
    tx.commit().await?;
    Ok(gone)
}
