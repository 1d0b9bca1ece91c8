//! GitHub's JSON, as little of it as is used, read leniently.
//!
//! Knows the fields' names and which of them may be missing, and turns them into the domain's types. Must never know
//! over which way the JSON came: payloads of webhooks and answers of the REST API share these shapes.
//!
//! Lenient means: a field is only required when nothing sensible can be said without it. GitHub Enterprise Server of
//! some age, deleted accounts and deleted forks all leave fields out.

mod key;
mod pull;
pub mod rest;

mod run;

pub use key::{is_service_name, key_in_body, key_marker};
pub use pull::{Pull, Review};
pub use run::{Run, carries_key, service_in_title};

use crate::domain::facts::{Comment, Person};
use crate::domain::ids::*;
use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// Longest body of a pull request that is kept, in bytes.
pub const PULL_BODY_BYTES_MAX: usize = 64 * 1024;

/// Longest body of a comment that is kept, in bytes: GitHub's 65,536 characters at their longest.
pub const COMMENT_BODY_BYTES_MAX: usize = 256 * 1024;

/// A field that was there and held something else than it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit(pub &'static str);

/// A moment, as ISO 8601 or, in a few old payloads, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct When(pub Timestamp);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = When;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a moment")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<When, E> {
                let moment: jiff::Timestamp = text.parse().map_err(|_| E::custom("not a moment"))?;
                Ok(When(Timestamp(moment.as_millisecond())))
            }
            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<When, E> {
                let ms = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000));
                ms.map(|ms| When(Timestamp(ms))).ok_or_else(|| E::custom("not a moment"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Writes a moment as GitHub reads it in queries, to the second.
pub fn iso(at: Timestamp) -> String {
    match jiff::Timestamp::from_second(at.0.div_euclid(1_000)) {
        Ok(moment) => moment.to_string(),
        // Past the year 9999 or before -9999: nothing on GitHub is that old or young.
        Err(_) => "1970-01-01T00:00:00Z".to_owned(),
    }
}

/// An account.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Account {
    login: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Account {
    /// The login, unless GitHub gave none (an empty object stands for "nobody known").
    pub fn login(&self) -> Option<Login> {
        self.login.as_deref().filter(|login| !login.is_empty()).map(Login::new)
    }
    /// Whether it is an App or a machine of GitHub's own.
    pub fn is_bot(&self) -> bool {
        self.kind.as_deref() == Some("Bot") || self.login.as_deref().is_some_and(|login| login.ends_with("[bot]"))
    }
}

/// The login of whoever did something; a deleted account is shown by GitHub as `ghost`.
pub fn login_or_ghost(account: Option<&Account>) -> Login {
    account.and_then(Account::login).unwrap_or_else(|| Login::new("ghost"))
}

/// A repository where only its name counts.
#[derive(Clone, Debug, Deserialize)]
pub struct NamedRepository {
    full_name: String,
}

impl NamedRepository {
    /// The name, when it is one.
    pub fn name(&self) -> Result<RepoName, Unfit> {
        RepoName::parse(&self.full_name).ok_or(Unfit("full_name"))
    }
}

/// A comment on an issue or pull request.
#[derive(Clone, Debug, Deserialize)]
pub struct IssueComment {
    pub id: u64,
    pub body: Option<String>,
    pub user: Option<Account>,
    pub created_at: When,
    pub updated_at: Option<When>,
    pub html_url: Option<String>,
}

impl IssueComment {
    /// Whether an App wrote it.
    pub fn is_by_bot(&self) -> bool {
        self.user.as_ref().is_some_and(Account::is_bot)
    }
    /// The comment in the domain's words.
    pub fn comment(self) -> Comment {
        Comment {
            id: CommentId(self.id),
            by: login_or_ghost(self.user.as_ref()),
            by_bot: self.is_by_bot(),
            body: cut_to(self.body.unwrap_or_default(), COMMENT_BODY_BYTES_MAX),
            created_at: self.created_at.0,
            updated_at: self.updated_at.unwrap_or(self.created_at).0,
        }
    }
}

/// Somebody as git names them.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct GitPerson {
    name: Option<String>,
    email: Option<String>,
    date: Option<String>,
}

impl GitPerson {
    /// When they did it by their clock, which may say anything.
    pub fn at(&self) -> Option<Timestamp> {
        let moment: jiff::Timestamp = self.date.as_ref()?.parse().ok()?;
        Some(Timestamp(moment.as_millisecond()))
    }
}

/// Joins what git and GitHub know of somebody.
pub fn person(git: Option<GitPerson>, account: Option<&Account>) -> Person {
    let git = git.unwrap_or_default();
    Person {
        login: account.and_then(Account::login),
        name: git.name.unwrap_or_default(),
        email: git.email.unwrap_or_default(),
    }
}

/// Cuts a text to at most `bytes_max` bytes, between two characters.
pub fn cut_to(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_from_text_and_from_seconds() {
        let read = |json: &str| serde_json::from_str::<When>(json).ok().map(|when| when.0.0);
        assert_eq!(read("\"2019-05-15T15:20:33Z\""), Some(1_557_933_633_000));
        assert_eq!(read("\"2019-05-15T17:20:33.250+02:00\""), Some(1_557_933_633_250));
        assert_eq!(read("1557933633"), Some(1_557_933_633_000));
        assert_eq!(read("\"yesterday\""), None);
        assert_eq!(iso(Timestamp(1_557_933_633_250)), "2019-05-15T15:20:33Z");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut_to("aé".to_owned(), 2), "a");
        assert_eq!(cut_to("aé".to_owned(), 3), "aé");
    }
}
