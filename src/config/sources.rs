//! Where a setting's text comes from: a flag, a variable, or a key of the settings file, in this order.
//!
//! Knows names and places. Must never know what a value means.

use super::{Refusal, SettingProblem, World};
use std::path::Path;
use toml::Value;

/// A setting by its name in the settings file. Flag and variable are spelled from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub &'static str);

/// Every key that the settings file may hold.
pub const KEYS: [Key; 23] = [
    Key("listen"),
    Key("database"),
    Key("github_api_url"),
    Key("github_web_url"),
    Key("app_id"),
    Key("private_key_file"),
    Key("webhook_secret"),
    Key("webhook_secret_file"),
    Key("log_format"),
    Key("log_level"),
    Key("workers"),
    Key("retention_days"),
    Key("request_timeout"),
    Key("shutdown_grace"),
    Key("probe_hosts"),
    Key("probe_nets"),
    Key("probe_redirects"),
    Key("prometheus_url"),
    Key("oidc_issuer"),
    Key("oidc_audience"),
    Key("api_token"),
    Key("history_folder"),
    Key("history_megabytes_max"),
];

impl Key {
    /// As in `--app-id`.
    pub fn flag(self) -> String {
        format!("--{}", self.0.replace('_', "-"))
    }
    /// As in `PLIMSOLL_APP_ID`.
    pub fn variable(self) -> String {
        format!("PLIMSOLL_{}", self.0.to_ascii_uppercase())
    }
}

/// A value as text, and where it was read from.
#[derive(Clone)]
pub(super) struct Found {
    pub text: String,
    pub from: String,
}

/// All places, opened, and the problems seen so far.
pub(super) struct Sources<'a> {
    pub world: &'a World<'a>,
    file: toml::Table,
    file_name: String,
    problems: Vec<SettingProblem>,
}

impl<'a> Sources<'a> {
    /// Opens the settings file, if one is named. What is wrong with it becomes a problem, and reading goes on.
    pub fn open(config: Option<&Path>, world: &'a World<'a>) -> Self {
        let mut sources = Self { world, file: toml::Table::new(), file_name: String::new(), problems: Vec::new() };
        let (path, from) = match (config, (world.variable)("PLIMSOLL_CONFIG")) {
            (Some(path), _) => (path.to_owned(), "--config"),
            (None, Some(path)) => (path.into(), "PLIMSOLL_CONFIG"),
            (None, None) => return sources,
        };
        sources.file_name = path.display().to_string();
        let name = &sources.file_name;
        match (world.file)(&path).map(|text| text.parse::<toml::Table>().map_err(|error| (text, error))) {
            Ok(Ok(table)) => sources.file = table,
            Ok(Err((text, error))) => {
                // Only the message: the library's own display shows the line, which may hold a secret.
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
                let (line, what) = (before.matches('\n').count() + 1, error.message());
                let what = format!("{name} line {line} is not TOML: {what}.");
                sources.wrong(Key("config"), from, what, "Mend the line; docs/configuration.md has an example.");
            }
            Err(why) => {
                let what = format!("{name} cannot be read: {why}.");
                sources.wrong(Key("config"), from, what, "Name a file that this user can read.");
            }
        }
        sources.name_unknown_keys();
        sources
    }

    fn name_unknown_keys(&mut self) {
        let unknown: Vec<String> =
            self.file.keys().filter(|key| !KEYS.iter().any(|known| known.0 == *key)).cloned().collect();
        for key in unknown {
            let from = self.file_name.clone();
            let mend = match nearest(&key) {
                _ if key == "private_key" => "Give the path as `private_key_file`, or the key itself in the \
                     variable PLIMSOLL_PRIVATE_KEY."
                    .to_owned(),
                Some(near) => format!("Did you mean `{near}`?"),
                None => "`plimsoll serve --help` names all settings.".to_owned(),
            };
            self.problems.push(SettingProblem {
                key,
                read_from: Some(from),
                what: "there is no such setting.".to_owned(),
                mend,
            });
        }
    }

    /// The value of a setting, from the first place that has one.
    pub fn find(&mut self, key: Key, flag: Option<&str>) -> Option<Found> {
        self.find_with(key, flag, None)
    }

    /// As [`find`](Self::find), with a further variable that is asked after the setting's own.
    pub fn find_with(&mut self, key: Key, flag: Option<&str>, further: Option<&str>) -> Option<Found> {
        if let Some(text) = flag {
            return Some(Found { text: text.to_owned(), from: key.flag() });
        }
        for name in [Some(key.variable().as_str()), further].into_iter().flatten() {
            if let Some(text) = self.variable(name) {
                return Some(text);
            }
        }
        self.in_file(key)
    }

    /// A variable of the environment.
    pub fn variable(&self, name: &str) -> Option<Found> {
        let text = (self.world.variable)(name).filter(|text| !text.trim().is_empty())?;
        Some(Found { text, from: name.to_owned() })
    }

    /// A key of the settings file: text or a whole number.
    pub fn in_file(&mut self, key: Key) -> Option<Found> {
        let from = format!("`{}` in {}", key.0, self.file_name);
        let text = match self.file.get(key.0)? {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            other => {
                let what = format!("a text or a whole number was expected, this is {}.", article(other.type_str()));
                self.wrong(key, &from, what, "Put it in quotation marks, as docs/configuration.md shows it.");
                return None;
            }
        };
        Some(Found { text, from })
    }

    /// A key of the settings file: a list of texts, or a single one.
    pub fn list_in_file(&mut self, key: Key) -> Option<(Vec<String>, String)> {
        let from = format!("`{}` in {}", key.0, self.file_name);
        let Some(Value::Array(items)) = self.file.get(key.0) else {
            return self.in_file(key).map(|found| (vec![found.text], found.from));
        };
        let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        if texts.is_none() {
            self.wrong(key, &from, "the list holds something that is not a text.", "Quote every entry.");
        }
        texts.map(|texts| (texts, from))
    }

    /// Notes that a value is wrong.
    pub fn wrong(&mut self, key: Key, from: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.problems.push(SettingProblem {
            key: key.0.to_owned(),
            read_from: Some(from.to_owned()),
            what: what.into(),
            mend: mend.into(),
        });
    }

    /// Notes that a value is missing.
    pub fn missing(&mut self, key: Key, mend: impl Into<String>) {
        self.problems.push(SettingProblem {
            key: key.0.to_owned(),
            read_from: None,
            what: "not given.".to_owned(),
            mend: mend.into(),
        });
    }

    /// The settings, if nothing was wrong on the way.
    pub fn end<T>(self, settings: Option<T>) -> Result<T, Refusal> {
        match settings {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            Some(_) | None => Err(Refusal { problems: self.problems }),
        }
    }
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

/// The key that a mistyped one was probably meant to be.
fn nearest(typed: &str) -> Option<&'static str> {
    let typed = typed.replace('-', "_").to_ascii_lowercase();
    let (distance, key) = KEYS.iter().map(|key| (edits(&typed, key.0), key.0)).min()?;
    (distance <= 1 + key.len() / 4).then_some(key)
}

/// How many letters must be added, dropped or changed to make one text the other.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
