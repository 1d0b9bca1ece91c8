//! Reads labelled changes from a CSV file, or says what is wrong with it and where.
//!
//! Knows the file's bytes and columns. Must never know what is learned from them.

use super::Mask;
use super::columns::{self, Cell};
use crate::domain::ids::Timestamp;
use crate::domain::risk::TrainingRow;
use anyhow::{Context, bail};
use csv::{ByteRecord, ReaderBuilder};
use std::path::Path;

/// Rows with more touches than files above this share tell that `nuc` counts touches, not commits.
const TOUCHES_FROM: f64 = 0.2;

/// The changes of one file, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile {
    /// The file's name without folder and ending.
    pub name: String,
    pub rows: Vec<TrainingRow>,
    /// Cells below zero where nothing can be: they count as unknown.
    pub below_zero: usize,
    /// The columns that were left out on purpose.
    pub masked: Vec<String>,
}

impl DataFile {
    /// Says on standard error what was passed over.
    pub fn warn(&self, path: &Path) {
        if self.below_zero > 0 {
            let cells = if self.below_zero == 1 { "1 cell".to_owned() } else { format!("{} cells", self.below_zero) };
            eprintln!("{}: {cells} below zero, read as unknown", path.display());
        }
    }
}

/// Reads a file.
///
/// # Errors
///
/// When it cannot be read, has no header with `la`, `bug` and `ts` or `cts`, holds no change, or a cell that is read is
/// not what its column wants.
pub fn read(path: &Path, masks: &[Mask]) -> anyhow::Result<DataFile> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    parse(&path.display().to_string(), name, &bytes, masks)
}

/// What is read of a row.
struct Columns {
    time: usize,
    outcome: usize,
    metrics: Vec<(usize, columns::Put)>,
    names: Vec<String>,
    both_counts: bool,
}

fn parse(path: &str, name: String, bytes: &[u8], masks: &[Mask]) -> anyhow::Result<DataFile> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        bail!("{path}: the file is empty");
    }
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = ByteRecord::new();
    reader.read_byte_record(&mut record).with_context(|| format!("{path}: cannot read the header"))?;
    let masks: Vec<&str> =
        masks.iter().filter(|mask| name.contains(&mask.files)).map(|mask| mask.column.as_str()).collect();
    let columns = header(path, &record, &masks)?;
    let (mut rows, mut below_zero) = (Vec::new(), 0);
    loop {
        let line = reader.position().line();
        if !reader.read_byte_record(&mut record).with_context(|| format!("{path}: cannot read line {line}"))? {
            break;
        }
        let line = record.position().map_or(line, csv::Position::line);
        if record.len() != columns.names.len() {
            bail!("{path} line {line}: {} cells where the header names {} columns", record.len(), columns.names.len());
        }
        rows.push(row(path, line, &record, &columns, &mut below_zero)?);
    }
    if rows.is_empty() {
        bail!("{path}: there is a header and no change below it");
    }
    if !columns.both_counts {
        tell_commits_from_touches(&mut rows);
    }
    rows.sort_by_key(|row| row.at);
    let masked = masks.into_iter().filter(|mask| columns.names.iter().any(|name| name == mask));
    Ok(DataFile { name, rows, below_zero, masked: masked.map(str::to_owned).collect() })
}

fn header(path: &str, record: &ByteRecord, masks: &[&str]) -> anyhow::Result<Columns> {
    let mut names: Vec<String> = Vec::new();
    for (i, cell) in record.iter().enumerate() {
        let Ok(name) = std::str::from_utf8(cell) else {
            bail!("{path} line 1, column {}: the name of the column is not UTF-8 text", i + 1);
        };
        let name = name.trim();
        if names.iter().any(|other| other == name) && !name.is_empty() {
            bail!("{path} line 1, column {}: there are two columns `{name}`", i + 1);
        }
        names.push(name.to_owned());
    }
    let at = |wanted: &str| names.iter().position(|name| name == wanted);
    let missing: Vec<String> = columns::NEEDED
        .iter()
        .filter(|wanted| at(wanted).is_none())
        .map(|wanted| format!("`{wanted}`"))
        .chain(columns::TIMES.iter().all(|time| at(time).is_none()).then(|| "`ts` or `cts`".to_owned()))
        .collect();
    let (Some(time), Some(outcome)) = (columns::TIMES.into_iter().find_map(at), at(columns::OUTCOME)) else {
        bail!("{path} line 1: the header names no column {}", missing.join(", "));
    };
    if !missing.is_empty() {
        bail!("{path} line 1: the header names no column {}", missing.join(", "));
    }
    let metrics = names.iter().enumerate().filter(|(_, name)| !masks.contains(&name.as_str()));
    let metrics = metrics.filter_map(|(i, name)| Some((i, columns::put(name)?))).collect();
    Ok(Columns { time, outcome, metrics, both_counts: at("nuc_u").is_some(), names })
}

fn row(
    path: &str,
    line: u64,
    record: &ByteRecord,
    columns: &Columns,
    below_zero: &mut usize,
) -> anyhow::Result<TrainingRow> {
    let number = |i: usize| -> anyhow::Result<Option<f64>> {
        let bytes = record.get(i).unwrap_or_default();
        let place = || format!("{path} line {line}, column {} (`{}`)", i + 1, columns.names[i]);
        let Ok(text) = std::str::from_utf8(bytes) else { bail!("{}: not UTF-8 text", place()) };
        match columns::cell(text) {
            Cell::Hole => Ok(None),
            Cell::Number(x) => Ok(Some(x)),
            Cell::Wrong => bail!("{}: `{}` is not a number", place(), text.chars().take(40).collect::<String>()),
        }
    };
    let place = |i: usize| format!("{path} line {line}, column {} (`{}`)", i + 1, columns.names[i]);
    let Some(seconds) = number(columns.time)? else {
        bail!("{}: there is no time, so the change has no place in the order", place(columns.time));
    };
    let outcome = match number(columns.outcome)? {
        None => None,
        Some(0.0) => Some(false),
        Some(1.0) => Some(true),
        Some(x) => bail!("{}: `{x}` is neither 0 nor 1", place(columns.outcome)),
    };
    let mut made = TrainingRow { at: Timestamp((seconds * 1_000.0) as i64), outcome, ..TrainingRow::default() };
    for (i, put) in &columns.metrics {
        match number(*i)? {
            Some(x) if x >= 0.0 => put(&mut made.metrics, x),
            Some(_) => *below_zero += 1,
            None => {}
        }
    }
    let metrics = &made.metrics;
    made.lines = metrics.lines_added.unwrap_or(0).saturating_add(metrics.lines_deleted.unwrap_or(0));
    Ok(made)
}

/// Some sources count in `nuc` the touches of the files by earlier changes, some the commits that changed the files
/// last. Of the latter there are never more than files.
fn tell_commits_from_touches(rows: &mut [TrainingRow]) {
    let more = |row: &&TrainingRow| {
        let touches = row.metrics.history.as_ref().and_then(|history| history.touches);
        touches.zip(row.metrics.files).is_some_and(|(touches, files)| touches > files as f64)
    };
    if rows.iter().filter(more).count() as f64 > TOUCHES_FROM * rows.len() as f64 {
        return;
    }
    for history in rows.iter_mut().filter_map(|row| row.metrics.history.as_mut()) {
        history.unique_changes = history.touches.take();
    }
}

#[cfg(test)]
mod tests;
