//! Names and numbers of things, each a type of its own, so that no two can be mixed up.
//!
//! Knows how each is spelled and compared. Must never know where one came from: no HTTP, no SQL.

use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt};

/// A name that GitHub compares letter by letter.
macro_rules! exact_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);
        text!($name);
    };
}

/// A name that GitHub compares without regard to case; it is shown as it was first written.
macro_rules! folded_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);
        text!($name);
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                let fold = |s: &str| s.bytes().map(|b| b.to_ascii_lowercase()).collect::<Vec<_>>();
                fold(&self.0).cmp(&fold(&other.0))
            }
        }
    };
}

macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// Takes the text as it is; whoever reads it from outside checks it first.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

exact_name! {
    /// GUID of a delivery, as in `X-GitHub-Delivery`.
    DeliveryId
}
exact_name! {
    /// Name of a service in the policy file.
    ServiceName
}
exact_name! {
    /// Name of a wave of a rollout: a region, a tenant, a ring.
    WaveName
}
exact_name! {
    /// Name of a branch or tag, without `refs/heads/`.
    RefName
}
exact_name! {
    /// File name of a workflow below `.github/workflows/`, for instance `deploy.yml`.
    WorkflowFile
}
exact_name! {
    /// Names an effect for ever. Derived from what the effect is for, never drawn at random, and carried inside
    /// what the effect creates, so that it can be found again.
    EffectKey
}
folded_name! {
    /// Name of a GitHub environment.
    EnvironmentName
}
folded_name! {
    /// Login of a GitHub account, without the `@`.
    Login
}
folded_name! {
    /// A team as `organisation/team-slug`.
    TeamSlug
}
number! {
    /// Number of an installation of the App.
    InstallationId
}
number! {
    /// Number of a pull request within its repository, as in `#42`.
    PullNumber
}
number! {
    /// Number of a comment on an issue or pull request.
    CommentId
}
number! {
    /// Number of a check run.
    CheckRunId
}
number! {
    /// Number of a deployment on GitHub.
    DeploymentId
}
number! {
    /// Number of a workflow run.
    RunId
}
number! {
    /// Number of a release within its pipeline, from 1.
    ReleaseNumber
}

/// A repository as `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoName(String);

impl RepoName {
    /// Reads `owner/name`; `None` when it is not one, so that nothing else ever becomes part of a path.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let plain = |s: &str, more: &str| s.bytes().all(|b| b.is_ascii_alphanumeric() || more.as_bytes().contains(&b));
        let good = (1..=100).contains(&owner.len())
            && (1..=100).contains(&name.len())
            && plain(owner, "-_")
            && plain(name, "-_.")
            && name != "."
            && name != "..";
        good.then(|| Self(text.to_owned()))
    }
    /// The account before the slash.
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }
    /// The name after the slash.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
    /// `owner/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RepoName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a repository"))
    }
}

impl From<RepoName> for String {
    fn from(repo: RepoName) -> String {
        repo.0
    }
}

/// Full hash of a commit: 40 or 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha(String);

impl Sha {
    /// Reads a full hash in either case; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let good = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| Self(text.to_ascii_lowercase()))
    }
    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The first seven digits, as GitHub shows them.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Sha {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a commit hash"))
    }
}

impl From<Sha> for String {
    fn from(sha: Sha) -> String {
        sha.0
    }
}

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment that is `span` later; past the end of time it stays there.
    pub fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add_unsigned(span.0))
    }
    /// The moment that is `span` earlier; before the beginning of time it stays there.
    pub fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub_unsigned(span.0))
    }
    /// How long after `earlier` this is; zero when it is before.
    pub fn since(self, earlier: Self) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Span {
    /// `n` seconds.
    pub const fn seconds(n: u64) -> Self {
        Self(n.saturating_mul(1_000))
    }
    /// `n` minutes.
    pub const fn minutes(n: u64) -> Self {
        Self::seconds(n.saturating_mul(60))
    }
    /// `n` hours.
    pub const fn hours(n: u64) -> Self {
        Self::minutes(n.saturating_mul(60))
    }
}

impl fmt::Display for Span {
    /// Shows the two largest units, for instance `1 h 30 min`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000;
        let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
        let mut rest = seconds;
        let mut shown = Vec::new();
        for (unit, size) in units {
            if rest >= size && shown.len() < 2 {
                shown.push(format!("{} {unit}", rest / size));
            }
            rest %= size;
        }
        if shown.is_empty() { f.write_str("0 s") } else { f.write_str(&shown.join(" ")) }
    }
}

/// A lane: one thing whose events are taken in order, one turn at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A repository: its default branch, the policy in force, the sweep for what was missed.
    Repository { repo: RepoName },
    /// A pull request: risk, policy, the living comment, commands.
    PullRequest { repo: RepoName, number: PullNumber },
    /// The pipeline of one service: its environments, releases, approvals, holds.
    Pipeline { repo: RepoName, service: ServiceName },
}

impl Subject {
    /// The repository that the lane belongs to.
    pub fn repo(&self) -> &RepoName {
        match self {
            Self::Repository { repo } | Self::PullRequest { repo, .. } | Self::Pipeline { repo, .. } => repo,
        }
    }

    /// Reads what [`Display`](fmt::Display) wrote; `None` when it is not a lane's name.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "repository" => Some(Self::Repository { repo: RepoName::parse(rest)? }),
            "pull_request" => {
                let (repo, number) = rest.split_once('#')?;
                Some(Self::PullRequest { repo: RepoName::parse(repo)?, number: PullNumber(number.parse().ok()?) })
            }
            "pipeline" => {
                let mut parts = rest.splitn(3, '/');
                let repo = RepoName::parse(&format!("{}/{}", parts.next()?, parts.next()?))?;
                Some(Self::Pipeline { repo, service: ServiceName::new(parts.next()?) })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { repo } => write!(f, "repository:{repo}"),
            Self::PullRequest { repo, number } => write!(f, "pull_request:{repo}#{number}"),
            Self::Pipeline { repo, service } => write!(f, "pipeline:{repo}/{service}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_and_environments_are_compared_without_case() {
        assert_eq!(Login::new("Ada"), Login::new("ada"));
        assert_eq!(EnvironmentName::new("Production").cmp(&EnvironmentName::new("production")), Ordering::Equal);
        assert_ne!(ServiceName::new("API"), ServiceName::new("api"));
    }

    #[test]
    fn only_a_plain_owner_and_name_make_a_repository() {
        assert!(RepoName::parse("acme/shop.web_2").is_some());
        for bad in ["acme", "acme/", "/shop", "acme/..", "a/b/c", "acme/sh op", "acme/shop?x", "ac%me/shop"] {
            assert_eq!(RepoName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_lane_is_read_back_from_its_name() {
        for name in ["repository:acme/shop", "pull_request:acme/shop#42", "pipeline:acme/shop/api"] {
            assert_eq!(Subject::parse(name).map(|s| s.to_string()).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_span_shows_its_two_largest_units() {
        assert_eq!(Span::seconds(5_400).to_string(), "1 h 30 min");
        assert_eq!(Span(0).to_string(), "0 s");
        assert_eq!(Span::seconds(90_061).to_string(), "1 d 1 h");
    }
}
