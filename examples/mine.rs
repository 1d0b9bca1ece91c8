//! Mines the history of a repository, to measure how fast and how exactly.
//!
//!     cargo run --release --example mine -- REPOSITORY metrics         all metrics of the first-parent history, as CSV
//!     cargo run --release --example mine -- REPOSITORY metrics all     the same of all commits but merges
//!     cargo run --release --example mine -- REPOSITORY numstat all     lines as `git log --format=@%H --numstat` prints them
//!     cargo run --release --example mine -- REPOSITORY outcomes        what went wrong, and how it is known
//!     cargo run --release --example mine -- REPOSITORY push FILE N     the index without the last N changes, then with them

use plimsoll::domain::ids::Sha;
use plimsoll::history::{History, HistoryError, Kept, Opened, Scope};
use std::io::{BufWriter, Write, stdout};
use std::path::Path;
use std::time::Instant;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let scope = if word(2) == "all" { Scope::AllCommits } else { Scope::FirstParent };
    let repository = Path::new(word(0));
    let done = match word(1) {
        "numstat" => numstat(repository, scope),
        "metrics" => metrics(repository, scope),
        "outcomes" => outcomes(repository),
        "push" => push(repository, Path::new(word(2)), word(3).parse().unwrap_or(1)),
        _ => {
            eprintln!("say: REPOSITORY metrics|numstat|outcomes|push ...");
            std::process::exit(2);
        }
    };
    if let Err(error) = done {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn numstat(repository: &Path, scope: Scope) -> Result<(), HistoryError> {
    let mut out = BufWriter::new(stdout().lock());
    let mut print = |sha: Sha, files: Vec<plimsoll::history::FileLines>| -> std::io::Result<()> {
        writeln!(out, "@{sha}")?;
        for file in files {
            match file.added_and_deleted {
                Some((added, deleted)) => write!(out, "{added}\t{deleted}\t")?,
                None => write!(out, "-\t-\t")?,
            }
            out.write_all(&file.path)?;
            writeln!(out)?;
        }
        Ok(())
    };
    History::open(repository)?.line_counts("HEAD", scope, &mut |sha, files| {
        // Whoever closes the pipe has seen enough.
        if print(sha, files).is_err() {
            std::process::exit(0);
        }
    })
}

fn metrics(repository: &Path, scope: Scope) -> Result<(), HistoryError> {
    let mut history = History::open(repository)?;
    history.mine("HEAD", scope, &mut |_| {})?;
    let mut out = BufWriter::new(stdout().lock());
    let mut columns: Vec<String> = Vec::new();
    for change in history.changes() {
        let Ok(serde_json::Value::Object(mut all)) = serde_json::to_value(&change.metrics) else { continue };
        if let Some(serde_json::Value::Object(past)) = all.remove("history") {
            all.extend(past);
        }
        if columns.is_empty() {
            columns = all.keys().cloned().collect();
            _ = writeln!(out, "sha,committed,{}", columns.join(","));
        }
        let row = columns.iter().map(|column| all.get(column).map(ToString::to_string).unwrap_or_default());
        let row = row.map(|value| value.replace("null", "")).collect::<Vec<_>>().join(",");
        _ = writeln!(out, "{},{},{row}", change.sha, change.committed_at.0 / 1_000);
    }
    Ok(())
}

fn outcomes(repository: &Path) -> Result<(), HistoryError> {
    let mut history = History::open(repository)?;
    history.mine("HEAD", Scope::FirstParent, &mut |_| {})?;
    let begun = Instant::now();
    let outcomes = history.outcomes();
    eprintln!("{} of {} changes went wrong, found in {:?}", outcomes.len(), history.changes().len(), begun.elapsed());
    let mut out = BufWriter::new(stdout().lock());
    for outcome in outcomes {
        for evidence in outcome.evidence {
            let by = evidence.by.map(|sha| sha.to_string()).unwrap_or_default();
            _ = writeln!(out, "{} {by} {:?}", outcome.change, evidence.kind);
        }
    }
    Ok(())
}

fn push(repository: &Path, file: &Path, changes: usize) -> Result<(), HistoryError> {
    let history = History::open(repository)?;
    let head = history.resolve("HEAD")?;
    let before = history.resolve(&format!("HEAD~{changes}"))?;
    let git_dir = if repository.join("objects").is_dir() { repository.to_owned() } else { repository.join(".git") };
    let (mut kept, opened) = Kept::open(&git_dir, file)?;
    if opened == Opened::New {
        kept.extend(&before, &mut |_| {})?;
    }
    drop(kept);
    let watch = Watch::start();
    let (mut kept, opened) = Kept::open(&git_dir, file)?;
    watch.tell(&format!("opened: {opened:?}"));
    let watch = Watch::start();
    let extended = kept.extend(&head, &mut |_| {})?;
    watch.tell(&format!("extended: {extended:?}"));
    for what in ["first", "again"] {
        let watch = Watch::start();
        let measured = kept.measure_range(&before, &head, None)?;
        watch.tell(&format!("measured {what}: {} commits", measured.commits.len()));
    }
    Ok(())
}

/// Time that passes, and time that this thread computes, as Linux counts it.
struct Watch {
    begun: Instant,
    computed_ns: u64,
}

impl Watch {
    fn start() -> Self {
        Self { begun: Instant::now(), computed_ns: computed_ns() }
    }

    fn tell(&self, what: &str) {
        let computed = std::time::Duration::from_nanos(computed_ns() - self.computed_ns);
        println!("{what} in {:?}, {computed:?} of it computing", self.begun.elapsed());
    }
}

fn computed_ns() -> u64 {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    counted.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}
