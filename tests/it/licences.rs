//! Every package that is built into Plimsoll, or tests it, has a licence that `deny.toml` allows.

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn every_package_has_a_licence_that_we_may_ship() {
    let allowed = allowed();
    let complaints: Vec<_> = packages()
        .into_iter()
        .filter(|package| !Expression::read(&package.licence).holds(&allowed))
        .map(|package| {
            format!("{} {}: `{}` is not allowed by deny.toml", package.name, package.version, package.licence)
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn no_licence_is_allowed_that_nobody_has() {
    let used: BTreeSet<_> = packages().iter().flat_map(|package| Expression::read(&package.licence).names()).collect();
    let idle: Vec<_> = allowed().into_iter().filter(|licence| !used.contains(licence)).collect();
    assert!(idle.is_empty(), "deny.toml allows {idle:?}, which no package has");
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let holds = |expression: &str, allowed: &[&str]| {
        Expression::read(expression).holds(&allowed.iter().map(|name| (*name).to_owned()).collect())
    };
    assert!(holds("MIT OR GPL-3.0", &["MIT"]));
    assert!(holds("MIT/GPL-3.0", &["MIT"]));
    assert!(!holds("MIT AND GPL-3.0", &["MIT"]));
    assert!(holds("(MIT OR Apache-2.0) AND Unicode-3.0", &["MIT", "Unicode-3.0"]));
    assert!(!holds("(MIT OR Apache-2.0) AND Unicode-3.0", &["MIT", "Apache-2.0"]));
    // AND binds closer than OR.
    assert!(holds("MIT OR GPL-3.0 AND Apache-2.0", &["MIT"]));
    assert!(!holds("Apache-2.0 WITH LLVM-exception", &["Apache-2.0"]));
    assert!(holds("Apache-2.0 WITH LLVM-exception", &["Apache-2.0 WITH LLVM-exception"]));
    assert!(!holds("", &["MIT"]));
}

struct Package {
    name: String,
    version: String,
    licence: String,
}

/// Packages of `Cargo.lock`, whatever the platform they are for.
fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |package: &serde_json::Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| Package {
            name: text(package, "name"),
            version: text(package, "version"),
            licence: text(package, "license"),
        })
        .collect()
}

fn allowed() -> BTreeSet<String> {
    let deny = include_str!("../../deny.toml").parse::<toml::Table>().unwrap();
    deny["licenses"]["allow"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// An SPDX licence expression; the old `/` means `OR`.
#[derive(Debug)]
enum Expression {
    Licence(String),
    Any(Vec<Expression>),
    All(Vec<Expression>),
}

impl Expression {
    fn read(text: &str) -> Self {
        let spaced = text.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<_> = spaced.split_whitespace().collect();
        let (expression, end) = Self::any(&words, 0);
        assert_eq!(end, words.len(), "`{text}` is no licence expression");
        expression
    }

    fn any(words: &[&str], at: usize) -> (Self, usize) {
        let (parts, end) = Self::list(words, at, "OR", Self::all);
        (Self::Any(parts), end)
    }

    fn all(words: &[&str], at: usize) -> (Self, usize) {
        let (parts, end) = Self::list(words, at, "AND", Self::one);
        (Self::All(parts), end)
    }

    fn list(
        words: &[&str],
        mut at: usize,
        between: &str,
        part: fn(&[&str], usize) -> (Self, usize),
    ) -> (Vec<Self>, usize) {
        let mut parts = Vec::new();
        loop {
            let (expression, end) = part(words, at);
            parts.push(expression);
            if words.get(end) != Some(&between) {
                return (parts, end);
            }
            at = end + 1;
        }
    }

    fn one(words: &[&str], at: usize) -> (Self, usize) {
        match words.get(at) {
            Some(&"(") => {
                let (inner, end) = Self::any(words, at + 1);
                assert_eq!(words.get(end), Some(&")"));
                (inner, end + 1)
            }
            Some(name) if words.get(at + 1) == Some(&"WITH") => {
                (Self::Licence(format!("{name} WITH {}", words[at + 2])), at + 3)
            }
            Some(name) => (Self::Licence((*name).to_owned()), at + 1),
            None => (Self::Licence(String::new()), at),
        }
    }

    fn holds(&self, allowed: &BTreeSet<String>) -> bool {
        match self {
            Self::Licence(name) => allowed.contains(name),
            Self::Any(parts) => parts.iter().any(|part| part.holds(allowed)),
            Self::All(parts) => parts.iter().all(|part| part.holds(allowed)),
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Licence(name) => vec![name.clone()],
            Self::Any(parts) | Self::All(parts) => parts.iter().flat_map(Self::names).collect(),
        }
    }
}
