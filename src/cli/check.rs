//! `plimsoll check`: a policy file's problems, before anybody pushes it.

use crate::domain::ids::RepoName;
use crate::domain::policy::{self, POLICY_PATH};
use crate::domain::problem::{Problem, Severity};
use anyhow::Context;
use std::io::Read;
use std::path::PathBuf;

/// Larger files are not policies.
const POLICY_BYTES_MAX: u64 = 1024 * 1024;

/// Looks for problems in a policy file.
#[derive(clap::Args)]
#[command(
    after_help = "Prints one line for each problem as FILE:LINE:COLUMN: what is wrong. Ends with 1 if there is an \
                        error, and with 0 if there are warnings at most."
)]
pub(super) struct Check {
    /// The file; `-` reads standard input
    #[arg(value_name = "FILE", default_value = POLICY_PATH)]
    file: PathBuf,
}

impl Check {
    pub(super) fn run(&self) -> u8 {
        let shown = self.file.display().to_string();
        match self.text() {
            Ok(text) => {
                let (lines, good) = judged(&text, &shown);
                println!("{lines}");
                if good { 0 } else { super::FAILED }
            }
            Err(error) => super::failed(&error.context(format!("cannot read {shown}"))),
        }
    }

    fn text(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        if self.file.as_os_str() == "-" {
            std::io::stdin().take(POLICY_BYTES_MAX).read_to_string(&mut text)?;
        } else {
            std::fs::File::open(&self.file)?.take(POLICY_BYTES_MAX).read_to_string(&mut text).context("not text")?;
        }
        Ok(text)
    }
}

/// What is said about a file's text, and whether it can be used.
fn judged(text: &str, path: &str) -> (String, bool) {
    // The name only becomes that of the one service of a file that names none.
    let repo = RepoName::parse("owner/repository");
    let problems = repo.map(|repo| policy::parse(text, path, &repo).problems).unwrap_or_default();
    let good = problems.iter().all(|problem| problem.severity != Severity::Error);
    let mut lines: Vec<String> = problems.iter().map(|problem| line(problem, path)).collect();
    if problems.is_empty() {
        lines.push(format!("{path}: no problems found"));
    }
    (lines.join("\n"), good)
}

fn line(problem: &Problem, path: &str) -> String {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    match &problem.place {
        Some(place) => format!("{path}:{}:{}: {severity}: {}", place.line, place.column, problem.message),
        None => format!("{path}: {severity}: {}", problem.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn a_good_policy_is_called_good() {
        assert_eq!(judged("version: 1\n", "p.yml"), ("p.yml: no problems found".to_owned(), true));
    }

    #[test]
    fn problems_are_told_with_their_place() {
        let (lines, good) = judged("version: 1\npipelin:\n  trigger: { workflow: deploy.yml }\n", "p.yml");
        assert!(!good);
        assert_snapshot!(lines, @"p.yml:2:1: error: Unknown key `pipelin`. Did you mean `pipeline`?");
    }
}
