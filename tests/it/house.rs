//! Reads the sources and fails on every import that the drawing in `ARCHITECTURE.md` does not have.
//!
//! The tables at the top are the drawing. Knows text only: what the compiler can refuse (types, privacy) is not here.

pub mod scan;

use scan::Scan;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Room (a module and everything below it), and the rooms that it may import. The longest name that fits a file is its
/// room. A room may always import itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("domain::ids", &[]),
    ("domain::markdown", &["domain::ids"]),
    ("domain::nearest", &[]),
    ("domain::problem", &["domain::ids"]),
    ("domain::effect", &["domain::ids"]),
    ("domain::chatops", &["domain::ids", "domain::problem", "domain::markdown", "domain::nearest", "domain::policy"]),
    ("domain::reading", &["domain::ids"]),
    ("domain::facts", &["domain::ids", "domain::policy", "domain::reading", "domain::risk"]),
    ("domain::policy", &["domain::ids", "domain::problem", "domain::markdown", "domain::nearest", "domain::facts"]),
    ("domain::risk", &["domain::ids", "domain::problem", "domain::facts", "domain::policy"]),
    ("domain::event", &["domain::ids", "domain::chatops", "domain::effect", "domain::facts", "domain::policy"]),
    ("domain::repository", WORDS),
    ("domain::release", WORDS),
    ("domain::pull_request", WORDS_AND_RELEASES),
    ("domain::state", STATES),
    ("domain::view", STATES),
    // It is handed values and gives a decision: the one door, and the only room that sees all others of the domain.
    ("domain::decide", &["domain"]),
    ("engine", &["domain"]),
    ("github", &["domain", "engine::ports"]),
    ("history", &["domain", "engine::ports"]),
    ("probe", &["domain", "engine::ports"]),
    ("store", &["domain", "engine::ports"]),
    ("web", &["domain", "engine::inbox", "engine::ports", "engine::query"]),
    // It plays GitHub: it must not know what Plimsoll thinks, or it would agree with its mistakes.
    ("sandbox", &["domain::ids"]),
    ("config", &["domain"]),
    ("telemetry", &["config"]),
    ("cli", &["app", "config", "domain", "engine::ports", "engine::query", "history", "sandbox", "telemetry"]),
    ("app", &["config", "domain", "engine", "github", "history", "probe", "sandbox", "store", "telemetry", "web"]),
    ("main", &["app", "cli", "config", "telemetry"]),
    ("lib", &[]),
];
const WORDS: &[&str] = &[
    "domain::ids",
    "domain::markdown",
    "domain::nearest",
    "domain::problem",
    "domain::effect",
    "domain::chatops",
    "domain::facts",
    "domain::reading",
    "domain::policy",
    "domain::risk",
    "domain::event",
];
const WORDS_AND_RELEASES: &[&str] = &[
    "domain::ids",
    "domain::markdown",
    "domain::nearest",
    "domain::problem",
    "domain::effect",
    "domain::chatops",
    "domain::facts",
    "domain::reading",
    "domain::policy",
    "domain::risk",
    "domain::event",
    "domain::release",
];
const STATES: &[&str] = &[
    "domain::ids",
    "domain::markdown",
    "domain::nearest",
    "domain::problem",
    "domain::effect",
    "domain::chatops",
    "domain::facts",
    "domain::reading",
    "domain::policy",
    "domain::risk",
    "domain::event",
    "domain::release",
    "domain::pull_request",
    "domain::repository",
    "domain::state",
];

/// Library, and the only rooms that may name it.
const CRATES_AT_HOME: &[(&str, &[&str])] = &[
    ("anyhow", &["main", "app", "cli"]),
    ("askama", &["web", "sandbox", "domain::view"]),
    ("aws_lc_rs", &["sandbox"]),
    ("axum", &["web", "sandbox"]),
    ("clap", &["config", "cli", "main"]),
    ("crc32fast", &["history"]),
    ("csv", &["cli"]),
    ("gix_hash", &["history"]),
    ("gix_imara_diff", &["history"]),
    ("gix_object", &["history"]),
    ("gix_odb", &["history"]),
    ("gix_pack", &["history"]),
    ("gix_zlib", &["history"]),
    ("hmac", &["github::webhook", "sandbox", "web::session"]),
    ("indicatif", &["cli"]),
    ("jsonwebtoken", &["github"]),
    ("lz4_flex", &["store"]),
    ("octocrab", &["github"]),
    ("plotters", &["cli"]),
    ("reqwest", &["cli", "github", "probe", "sandbox"]),
    ("rustix", &["history"]),
    ("sha2", &["github::webhook", "store", "sandbox", "web::session"]),
    ("rusqlite", &["store"]),
    ("sqlx", &["store"]),
    ("toml", &["config"]),
    ("tower_http", &["web", "sandbox"]),
    ("tracing_subscriber", &["telemetry"]),
];

/// Everything that the domain may name besides itself, and where. Nothing here waits, draws or looks at a clock.
const DOMAIN_MAY: &[(&str, &[&str])] = &[
    ("std", &["domain"]),
    ("core", &["domain"]),
    ("serde", &["domain"]),
    ("thiserror", &["domain"]),
    ("serde_json", &["domain::decide", "domain::risk"]),
    ("serde_saphyr", &["domain::policy"]),
    ("globset", &["domain::policy"]),
    ("schemars", &["domain::policy"]),
    ("jiff", &["domain::policy", "domain::release", "domain::view", "domain::ids"]),
    ("pulldown_cmark", &["domain::chatops", "domain::markdown"]),
    ("askama", &["domain::view"]),
];

/// Words in a row that only some rooms may say, and why. `!room`: not this one inside a room that may.
const WORDS_AT_HOME: &[(&[&str], &[&str], &str)] = &[
    (&["std", "::", "env"], &["config"], "settings are read once"),
    (&["SystemTime", "::", "now"], CLOCKS, "time comes in as an argument"),
    (&["Instant", "::", "now"], CLOCKS, "time comes in as an argument"),
    (&["Timestamp", "::", "now"], CLOCKS, "time comes in as an argument"),
    (&["Zoned", "::", "now"], CLOCKS, "time comes in as an argument"),
    (&["Utc", "::", "now"], CLOCKS, "time comes in as an argument"),
    (&["todo", "!"], &[], "what is not there is not there"),
    (&["unimplemented", "!"], &[], "what is not there is not there"),
    (&["dbg", "!"], &[], "it would be seen by people who run this"),
];
const CLOCKS: &[&str] = &["app", "sandbox", "!sandbox::api", "!sandbox::history", "!sandbox::model"];

/// Words that nobody may say in the domain, and why.
const WORDS_BANNED_IN_DOMAIN: &[(&[&str], &str)] = &[
    (&["async"], "deciding does not wait"),
    (&["await"], "deciding does not wait"),
    (&["HashMap"], "its order differs from run to run; take `BTreeMap`"),
    (&["HashSet"], "its order differs from run to run; take `BTreeSet`"),
    (&["std", "::", "fs"], "the domain touches nothing"),
    (&["std", "::", "net"], "the domain touches nothing"),
    (&["std", "::", "process"], "the domain touches nothing"),
    (&["std", "::", "thread"], "deciding does not wait"),
    (&["std", "::", "time"], "time comes in as an argument"),
    (&["std", "::", "io"], "the domain touches nothing"),
];

#[test]
fn the_drawing_is_true() {
    let house = House::at(Path::new(env!("CARGO_MANIFEST_DIR")));
    let complaints = house.complaints();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    // A scanner that finds nothing to read would be content with anything.
    assert!(house.files.len() > 10, "only {} files were read", house.files.len());
}

#[test]
fn every_test_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["src", "tests", "benches", "examples"].iter().flat_map(|folder| rust_files(root, folder));
    let complaints: Vec<_> = files
        .flat_map(|(path, text)| {
            let lines = Scan::of(&text.replace("cfg(test)", "cfg(any())")).lines_with(&["#", "[", "ignore"]);
            lines.into_iter().map(move |line| format!("{path}:{line}: an ignored test proves nothing"))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn an_arrow_that_is_not_drawn_is_named_with_its_place_and_the_rooms_that_may() {
    check(
        "github/wire.rs",
        "use crate::domain::ids::Sha;\nuse crate::store::rows;",
        &["src/github/wire.rs:2: `github` imports `store::rows`; only app may"],
    );
    check(
        "web/api.rs",
        "fn f() { crate::engine::step::run() }",
        &["src/web/api.rs:1: `web` imports `engine::step`; only app may"],
    );
    check("cli/serve.rs", "use crate::app;\nuse crate::engine::query::find;", &[]);
    check(
        "engine/step.rs",
        "use crate::{domain::{ids::Sha, decide}, github::{self, perform as p}};",
        &[
            "src/engine/step.rs:1: `engine` imports `github`; only app may",
            "src/engine/step.rs:1: `engine` imports `github::perform`; only app may",
        ],
    );
}

#[test]
fn nobody_but_the_roots_and_the_tests_knows_the_sandbox() {
    check(
        "store/sql.rs",
        "use crate::sandbox::model::Model;",
        &["src/store/sql.rs:1: `store` imports `sandbox::model`; only app, cli may"],
    );
    check(
        "sandbox/server.rs",
        "use crate::domain::ids::Sha;\nuse super::model::Model;\nuse crate::domain::decide;",
        &[
            "src/sandbox/server.rs:3: `sandbox` imports `domain::decide`; only app, cli, config, domain::decide, engine, \
         github, history, probe, store, web may",
        ],
    );
}

#[test]
fn the_domain_is_ordered_inside_too() {
    check(
        "domain/policy/rules.rs",
        "use super::parse::Parsed;\nuse super::super::view::check;",
        &[
            "src/domain/policy/rules.rs:2: `domain::policy` imports `domain::view::check`; only app, cli, config, domain::decide, \
         engine, github, history, probe, store, web may",
        ],
    );
    check("domain/decide.rs", "use super::view::check;\nuse super::ids::Sha;", &[]);
}

#[test]
fn the_domain_is_pure() {
    check(
        "domain/decide.rs",
        "use tokio::time::sleep;\nasync fn f() { sleep(x).await }",
        &[
            "src/domain/decide.rs:1: `domain::decide` names `tokio`, which the domain may not",
            "src/domain/decide.rs:2: `async` in `domain::decide`: deciding does not wait",
            "src/domain/decide.rs:2: `await` in `domain::decide`: deciding does not wait",
        ],
    );
    check(
        "domain/view/check.rs",
        "use std::collections::HashMap;",
        &[
            "src/domain/view/check.rs:1: `HashMap` in `domain::view`: its order differs from run to run; take `BTreeMap`",
        ],
    );
    check(
        "domain/chatops.rs",
        "fn f() { pulldown_cmark::Parser::new(t); serde_saphyr::from_str(t) }",
        &["src/domain/chatops.rs:1: `domain::chatops` names `serde_saphyr`; in the domain only domain::policy may"],
    );
}

#[test]
fn libraries_stay_at_home() {
    check(
        "engine/run.rs",
        "use sqlx::Row;\nfn f() -> anyhow::Result<()> { Ok(()) }",
        &[
            "src/engine/run.rs:1: `engine` names `sqlx`; only store may",
            "src/engine/run.rs:2: `engine` names `anyhow`; only main, app, cli may",
        ],
    );
    check("github/webhook.rs", "use hmac::Mac;", &[]);
    check(
        "github/client.rs",
        "use hmac::Mac;",
        &["src/github/client.rs:1: `github` names `hmac`; only github::webhook, sandbox, web::session may"],
    );
}

#[test]
fn the_clock_and_the_environment_have_one_reader() {
    check(
        "engine/run.rs",
        "fn f() { let t = std::time::Instant::now(); }\nuse std::env;",
        &[
            "src/engine/run.rs:1: `Instant::now` in `engine`: time comes in as an argument; only app, sandbox \
         without api, history, model may",
            "src/engine/run.rs:2: `std::env` in `engine`: settings are read once; only config may",
        ],
    );
    check(
        "store/sql.rs",
        "use std::{env, fs};",
        &["src/store/sql.rs:1: `std::env` in `store`: settings are read once; only config may"],
    );
    check("app.rs", "fn f() { SystemTime::now(); }", &[]);
    check("sandbox/server.rs", "fn f() { SystemTime::now(); }", &[]);
    let house = house(&[("sandbox/model/mod.rs", "fn f() { SystemTime::now(); }")]);
    assert_eq!(house.complaints().len(), 1);
}

#[test]
fn a_panic_needs_its_reason_beside_it() {
    check(
        "store/sql.rs",
        "let a = x.unwrap();\n// Cannot fail: it is a literal.\nlet b = y.expect(\"a number\");\nlet c = z\n    .unwrap_or(1);",
        &["src/store/sql.rs:1: `unwrap` without a reason beside it why it cannot or never fails"],
    );
    check("sandbox/server.rs", "let a = x.unwrap();", &[]);
}

#[test]
fn comments_literals_and_tests_are_not_read() {
    check(
        "github/wire.rs",
        r###"
//! Not `crate::store::rows`. 'static
/* use crate::web; /* nested */ use crate::app; */
const A: &str = "use crate::store; \" use crate::web";
const B: &str = r#"std::env " crate::cli::x"#;
const C: char = '"';
fn f<'a>(x: &'a str) {}
#[cfg(test)]
use crate::store::memory;
#[cfg(test)]
mod tests {
    use crate::store::memory::Memory;
    fn g() { x.unwrap(); }
}
use crate::web::api;
"###,
        &["src/github/wire.rs:15: `github` imports `web::api`; only app may"],
    );
}

#[test]
fn tests_in_files_of_their_own_are_not_read() {
    let mut house = house(&[("store/sql.rs", "#[cfg(test)]\n#[path = \"sql_tests.rs\"]\nmod tests;")]);
    house.files.insert("src/store/sql_tests.rs".to_owned(), "use crate::sandbox::model;".to_owned());
    assert_eq!(house.complaints(), Vec::<String>::new());
    house.files.insert("src/store/sql.rs".to_owned(), "#[cfg(test)]\nmod tests;".to_owned());
    assert_eq!(house.complaints().len(), 1);
    house.files.insert("src/store/sql/tests.rs".to_owned(), "use crate::sandbox::model;".to_owned());
    assert_eq!(house.complaints().len(), 1);
}

#[test]
fn inline_modules_move_what_super_means() {
    check(
        "engine/step.rs",
        "mod a { mod b { use super::super::ports::Clock; } }\nuse super::super::web::api;",
        &["src/engine/step.rs:2: `engine` imports `web::api`; only app may"],
    );
}

/// Puts one made-up file into a made-up house and compares everything said about it.
fn check(file: &str, text: &str, said: &[&str]) {
    assert_eq!(house(&[(file, text)]).complaints(), said);
}

fn house(written: &[(&str, &str)]) -> House {
    let empty = [
        "app.rs",
        "cli/serve.rs",
        "config.rs",
        "domain/chatops.rs",
        "domain/decide.rs",
        "domain/ids.rs",
        "domain/policy/mod.rs",
        "domain/policy/parse.rs",
        "domain/view/check.rs",
        "domain/view/mod.rs",
        "engine/mod.rs",
        "engine/ports.rs",
        "engine/query.rs",
        "engine/step.rs",
        "github/mod.rs",
        "github/perform.rs",
        "sandbox/model/mod.rs",
        "store/memory.rs",
        "store/rows.rs",
        "web/api.rs",
    ];
    let files = empty.iter().map(|path| (*path, "")).chain(written.iter().copied());
    let crates = ["anyhow", "hmac", "pulldown_cmark", "serde_saphyr", "sqlx", "tokio"];
    House {
        files: files.map(|(path, text)| (format!("src/{path}"), text.to_owned())).collect(),
        crates: crates.map(str::to_owned).into(),
    }
}

/// Sources by path, and the libraries that `Cargo.toml` names.
struct House {
    files: BTreeMap<String, String>,
    crates: BTreeSet<String>,
}

impl House {
    fn at(root: &Path) -> Self {
        let files = rust_files(root, "src").into_iter().collect();
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&manifest).unwrap();
        let crates = ["dependencies", "dev-dependencies"]
            .iter()
            .filter_map(|section| manifest.get(*section)?.as_table())
            .flat_map(|table| table.keys().map(|name| name.replace('-', "_")))
            .collect();
        Self { files, crates }
    }

    fn complaints(&self) -> Vec<String> {
        let scans: BTreeMap<_, _> = self.files.iter().map(|(path, text)| (path, Scan::of(text))).collect();
        let tests: BTreeSet<_> = scans.iter().flat_map(|(path, scan)| test_modules(path, scan)).collect();
        let modules: BTreeSet<_> = self
            .files
            .keys()
            .map(|path| module_of(path))
            .flat_map(|module| (1..=module.len()).map(move |n| module[..n].join("::")).collect::<Vec<_>>())
            .collect();
        let mut complaints = Vec::new();
        for (path, scan) in &scans {
            let module = module_of(path);
            if !(1..=module.len()).any(|n| tests.contains(&module[..n])) {
                let file = File { path, module: &module, room: room_of(&module.join("::")), scan };
                complaints.extend(file.arrows(&modules));
                complaints.extend(file.libraries(&self.crates));
                complaints.extend(file.words());
                complaints.extend(file.panics(&self.files[*path]));
            }
        }
        complaints
    }
}

/// One file while it is looked at.
struct File<'a> {
    path: &'a str,
    module: &'a [String],
    room: Option<&'static str>,
    scan: &'a Scan,
}

impl File<'_> {
    fn name(&self) -> String {
        self.room.map_or_else(|| self.module.join("::"), str::to_owned)
    }

    fn says(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    fn arrows(&self, modules: &BTreeSet<String>) -> Vec<String> {
        let module = self.module.join("::");
        if self.room.is_none() && !modules.iter().any(|other| within(other, &module) && *other != module) {
            return vec![self.says(1, format!("`{module}` stands in no room of the drawing"))];
        }
        let targets = self.scan.paths(self.module).into_iter().filter_map(|path| {
            let inside = path.segments.strip_prefix(&["crate".to_owned()][..])?;
            let known = (1..=inside.len()).rev().map(|n| inside[..n].join("::")).find(|name| modules.contains(name))?;
            Some((path.line, known))
        });
        let mut said = Vec::new();
        for (line, target) in targets {
            let allowed = match self.room {
                // The file that only holds a folder together (`domain/mod.rs`) may name what lies below it.
                None => within(&target, &module),
                Some(room) => within(&target, room) || rooms_of(room).iter().any(|may| within(&target, may)),
            };
            let complaint = format!("`{}` imports `{target}`; only {} may", self.name(), who_may(&target));
            if !allowed && !said.contains(&self.says(line, &complaint)) {
                said.push(self.says(line, complaint));
            }
        }
        said
    }

    fn libraries(&self, crates: &BTreeSet<String>) -> Vec<String> {
        let module = self.module.join("::");
        let mut said = BTreeSet::new();
        for path in self.scan.paths(self.module) {
            let Some(library) = path.segments.first().filter(|first| crates.contains(*first)) else { continue };
            let homes = CRATES_AT_HOME.iter().find(|(name, _)| name == library).map(|(_, homes)| *homes);
            let in_domain = DOMAIN_MAY.iter().find(|(name, _)| name == library).map(|(_, homes)| *homes);
            let complaint = if within(&module, "domain") {
                match in_domain {
                    None => format!("`{}` names `{library}`, which the domain may not", self.name()),
                    Some(homes) if homes.iter().any(|home| within(&module, home)) => continue,
                    Some(homes) => {
                        format!("`{}` names `{library}`; in the domain only {} may", self.name(), homes.join(", "))
                    }
                }
            } else {
                match homes {
                    Some(homes) if !homes.iter().any(|home| within(&module, home)) => {
                        format!("`{}` names `{library}`; only {} may", self.name(), homes.join(", "))
                    }
                    _ => continue,
                }
            };
            said.insert((path.line, complaint));
        }
        said.into_iter().map(|(line, complaint)| self.says(line, complaint)).collect()
    }

    fn words(&self) -> Vec<String> {
        let module = self.module.join("::");
        let mut said = BTreeSet::new();
        for (words, homes, why) in WORDS_AT_HOME {
            let is_home = |home: &&str| within(&module, home);
            let is_not = |home: &&str| home.strip_prefix('!').is_some_and(|room| within(&module, room));
            if homes.iter().any(is_home) && !homes.iter().any(is_not) {
                continue;
            }
            let may = if homes.is_empty() { String::new() } else { format!("; only {} may", named(homes)) };
            for line in self.lines_saying(words) {
                said.insert((line, format!("`{}` in `{}`: {why}{may}", words.concat(), self.name())));
            }
        }
        for (words, why) in WORDS_BANNED_IN_DOMAIN.iter().filter(|_| within(&module, "domain")) {
            for line in self.lines_saying(words) {
                said.insert((line, format!("`{}` in `{}`: {why}", words.concat(), self.name())));
            }
        }
        said.into_iter().map(|(line, complaint)| self.says(line, complaint)).collect()
    }

    /// Lines on which the words stand in a row, or a `use` tree says the same in parts.
    fn lines_saying(&self, words: &[&str]) -> Vec<usize> {
        let segments: Vec<_> = words.iter().filter(|word| **word != "::").copied().collect();
        let imported = self.scan.paths(self.module).into_iter().filter(|path| {
            words.contains(&"::") && path.segments.windows(segments.len()).any(|window| window == segments)
        });
        self.scan.lines_with(words).into_iter().chain(imported.map(|path| path.line)).collect()
    }

    fn panics(&self, text: &str) -> Vec<String> {
        if self.room == Some("sandbox") {
            return Vec::new();
        }
        let rows: Vec<_> = text.lines().collect();
        let reason = |line: usize| {
            let said = rows[line.saturating_sub(2)..line].join("\n").to_lowercase();
            said.contains("cannot") || said.contains("never")
        };
        ["unwrap", "expect"]
            .iter()
            .flat_map(|word| self.scan.lines_with(&[".", word, "("]).into_iter().map(move |line| (line, word)))
            .filter(|(line, _)| !reason(*line))
            .map(|(line, word)| {
                self.says(line, format!("`{word}` without a reason beside it why it cannot or never fails"))
            })
            .collect()
    }
}

/// Modules that this file declares for tests only and that stand in files of their own.
fn test_modules(path: &str, scan: &Scan) -> Vec<Vec<String>> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let named = scan.test_files.iter().map(|file| module_of(&format!("{folder}/{file}")));
    let below = scan.test_modules.iter().map(|name| [module_of(path), vec![name.clone()]].concat());
    named.chain(below).collect()
}

/// Module of a file: `src/github/wire.rs` is `["github", "wire"]`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    inside.split('/').map(str::to_owned).collect()
}

fn room_of(module: &str) -> Option<&'static str> {
    ROOMS.iter().map(|(room, _)| *room).filter(|room| within(module, room)).max_by_key(|room| room.len())
}

fn rooms_of(room: &str) -> &'static [&'static str] {
    ROOMS.iter().find(|(name, _)| *name == room).map_or(&[], |(_, may)| may)
}

fn within(module: &str, room: &str) -> bool {
    module == room || module.strip_prefix(room).is_some_and(|rest| rest.starts_with("::"))
}

/// Homes in words: `app, sandbox without model`.
fn named(homes: &[&str]) -> String {
    let (but, homes): (Vec<&str>, Vec<&str>) = homes.iter().copied().partition(|home| home.starts_with('!'));
    let but: Vec<_> = but.iter().map(|room| room.rsplit("::").next().unwrap_or(room)).collect();
    let without = if but.is_empty() { String::new() } else { format!(" without {}", but.join(", ")) };
    format!("{}{without}", homes.join(", "))
}

/// Rooms besides its own that may import a module, for the complaint.
fn who_may(target: &str) -> String {
    let may = ROOMS.iter().filter(|(_, rooms)| rooms.iter().any(|room| within(target, room))).map(|(room, _)| *room);
    may.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

/// Every Rust file below a folder of `root`, by its path from `root`; nothing when there is no such folder.
fn rust_files(root: &Path, folder: &str) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.map(Result::unwrap) {
        let path = format!("{folder}/{}", entry.file_name().display());
        if entry.path().is_dir() {
            found.extend(rust_files(root, &path));
        } else if path.ends_with(".rs") {
            found.push((path, fs::read_to_string(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}
