//! How values are spelled in rows, and what a fault of the database means.
//!
//! Knows JSON, compression and SQLite's result codes. Must never know a table.

use crate::engine::ports::StoreError;
use lz4_flex::block;
use serde::{Serialize, de::DeserializeOwned};
use std::cell::RefCell;

/// Larger than any delivery may be (the door refuses above 25 MB): a size beyond it is a broken row.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Writes a value of ours as JSON.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| corrupt(format!("a value cannot be written as JSON: {error}")))
}

/// Reads what [`to_json`] wrote; `what` names the row in the error.
pub(super) fn from_json<T: DeserializeOwned>(text: &str, what: impl FnOnce() -> String) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(format!("{}: {error}", what())))
}

/// Bodies up to this size are packed in a buffer that is kept; nearly all are.
const SCRATCH_BYTES_MAX: usize = 256 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Packs a body for its row.
pub(super) fn pack(body: &[u8]) -> Vec<u8> {
    let room = block::get_maximum_output_size(body.len());
    if room > SCRATCH_BYTES_MAX {
        return block::compress_prepend_size(body);
    }
    // The library's own way clears room for the worst case each time and keeps all of it: for a body that packs 24 KB
    // into 4 that was a twentieth of what admitting it costs, and six times the memory while it waits.
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < room {
            scratch.resize(room, 0);
        }
        let Ok(size) = block::compress_into(body, scratch) else { return block::compress_prepend_size(body) };
        let mut packed = Vec::with_capacity(4 + size);
        // Bounded by the scratch, so it fits.
        packed.extend_from_slice(&(body.len() as u32).to_le_bytes());
        packed.extend_from_slice(&scratch[..size]);
        packed
    })
}

/// Unpacks what [`pack`] made; an error says what is wrong with it.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let (size, rest) = block::uncompressed_size(packed).map_err(|error| error.to_string())?;
    if size > BODY_BYTES_MAX {
        return Err(format!("it claims to hold {size} bytes"));
    }
    block::decompress(rest, size).map_err(|error| error.to_string())
}

pub(super) fn corrupt(message: impl Into<String>) -> StoreError {
    StoreError::Corrupt { message: message.into() }
}

pub(super) fn unavailable(message: impl Into<String>) -> StoreError {
    StoreError::Unavailable { message: message.into() }
}

/// What a result code of SQLite means for the caller, in words for an operator.
pub(super) fn fault(code: i32, message: &str) -> StoreError {
    // The low byte is the primary code, https://www.sqlite.org/rescode.html.
    let told = match code & 0xff {
        5 | 6 => "another program holds the database locked",
        8 => "the database is read-only",
        10 => "the disk did not read or write",
        11 | 26 => return corrupt(format!("the database file is damaged ({message})")),
        13 => "the disk is full",
        14 => "the database file cannot be opened",
        _ => return unavailable(format!("{message} (code {code})")),
    };
    unavailable(format!("{told} ({message})"))
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) => {
                let code = inner.code().and_then(|code| code.parse().ok()).unwrap_or(0);
                fault(code, inner.message())
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => corrupt(error.to_string()),
            // The list belongs to the library and may grow; whatever else it is, the database did not do it.
            _ => unavailable(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(inner, message) => {
                fault(inner.extended_code, message.as_deref().unwrap_or("no more is known"))
            }
            rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..) => {
                corrupt(error.to_string())
            }
            // As above.
            _ => unavailable(error.to_string()),
        }
    }
}

/// A count or version on its way into a BIGINT; more than fits is nothing we ever wrote.
pub(super) fn big(value: u64) -> Option<i64> {
    i64::try_from(value).ok()
}

/// A count, version or number out of a BIGINT.
pub(super) fn unsigned(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| corrupt(format!("{value} where a count should be")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_unpacked_as_it_was_packed() {
        let noise: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for body in [&b""[..], b"{}", &b"0123456789".repeat(5_000), &noise[..100_000], &noise] {
            assert_eq!(unpack(&pack(body)).as_deref(), Ok(body));
        }
    }

    #[test]
    fn a_broken_body_is_an_error_and_never_a_huge_allocation() {
        for broken in [&b""[..], b"\x05", b"\xff\xff\xff\xff\x00", b"\x10\x00\x00\x00\xf0", &pack(b"{}")[..5]] {
            assert!(unpack(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn an_operator_reads_what_is_wrong() {
        assert_eq!(
            fault(13, "database or disk is full").to_string(),
            "the store cannot be used: the disk is full (database or disk is full)"
        );
        assert_eq!(
            fault(261, "database is locked").to_string(),
            "the store cannot be used: another program holds the database locked (database is locked)"
        );
        assert!(matches!(fault(11, "database disk image is malformed"), StoreError::Corrupt { .. }));
    }
}
