//! `plimsoll risk train` and `plimsoll risk evaluate`: the model and labelled changes from outside, in CSV files.
//!
//! Knows files, columns and how a table is printed. Must never compute a risk or a score: that is the domain's.

mod columns;
mod evaluate;
mod model_file;
mod read;
mod train;

pub use evaluate::Evaluate;
pub use train::Train;

use anyhow::bail;
use std::str::FromStr;

/// A column that counts as unknown in some files.
#[derive(Clone, Debug, PartialEq)]
struct Mask {
    column: String,
    /// Part of the name of the files.
    files: String,
}

impl FromStr for Mask {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.split_once('=') {
            Some((column, files)) if columns::is_metric(column) && !files.is_empty() => {
                Ok(Self { column: column.to_owned(), files: files.to_owned() })
            }
            Some((column, _)) if !columns::is_metric(column) => bail!("`{column}` is no column of a metric"),
            Some(_) | None => bail!("write it as COLUMN=TEXT, as in fix=issta"),
        }
    }
}
