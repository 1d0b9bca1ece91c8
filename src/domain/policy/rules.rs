//! What `plimsoll/policy` says of a pull request.
//!
//! Knows the policy, the pull request and its reviews. Must never know how a check run looks.

use super::paths::{counted_lines, lines_at_least, rule_applies};
use super::*;
use crate::domain::facts::{ChangedFiles, Permission, Review, ReviewState};
use crate::domain::markdown::{clip, code, says_something, text};
use std::collections::{BTreeMap, BTreeSet};

/// The pull request that is judged.
#[derive(Clone, Copy, Debug)]
pub struct PullRequest<'a> {
    pub title: &'a str,
    pub body: &'a str,
    pub author: &'a Login,
    pub files: &'a ChangedFiles,
    pub reviews: &'a [Review],
}

/// What is known of people; `None`: not known yet.
#[derive(Clone, Copy)]
pub struct People<'a> {
    pub member: &'a dyn Fn(&TeamSlug, &Login) -> Option<bool>,
    pub permission: &'a dyn Fn(&Login) -> Option<Permission>,
}

/// How a rule ended, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Pass,
    /// To think about; it does not stand in the way.
    Warn,
    /// Waits for a review, or for an answer of GitHub. Must stand in the way of a merge like [`Fail`](Self::Fail).
    Pending,
    Fail,
}

/// What one rule says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleResult {
    /// `title`, `description`, `size`, or the name that the policy gives the rule. Not escaped.
    pub name: String,
    pub outcome: Outcome,
    /// Whole sentences in Markdown.
    pub explanation: String,
    /// What to do, a sentence in Markdown; `None` when there is nothing to do.
    pub how_to_mend: Option<String>,
}

impl RuleResult {
    fn new(name: &str, outcome: Outcome, explanation: impl Into<String>) -> Self {
        Self { name: name.to_owned(), outcome, explanation: explanation.into(), how_to_mend: None }
    }
    fn mend(mut self, how: impl Into<String>) -> Self {
        self.how_to_mend = Some(how.into());
        self
    }
}

/// Judges a pull request by every rule that the policy has, in the order title, description, size, own rules.
///
/// Rules that the policy does not set are left out; no rules give an empty list, which passes.
pub fn judge(policy: &Policy, pull: &PullRequest<'_>, people: &People<'_>) -> Vec<RuleResult> {
    let checks = &policy.checks;
    let mut results = Vec::new();
    match checks.title {
        TitleRule::Any => {}
        TitleRule::Conventional => results.push(title(pull.title)),
    }
    match checks.description {
        DescriptionRule::Optional => {}
        DescriptionRule::Required => results.push(description(pull.body)),
    }
    results.extend(checks.size.map(|bounds| size(bounds, pull.files)));
    results.extend(checks.rules.iter().map(|rule| changed_files(rule, pull, people)));
    results
}

/// The worst of all outcomes; no results pass.
pub fn overall(results: &[RuleResult]) -> Outcome {
    results.iter().map(|result| result.outcome).max().unwrap_or(Outcome::Pass)
}

/// Whether any rule asks for reviews of these files.
pub fn wants_reviews(policy: &Policy, files: &ChangedFiles) -> bool {
    policy.checks.rules.iter().any(|rule| rule_applies(rule, files).is_some())
}

/// The memberships that [`judge`] must know, each once.
pub fn memberships_wanted(policy: &Policy, pull: &PullRequest<'_>) -> Vec<(TeamSlug, Login)> {
    let mut wanted = BTreeSet::new();
    for (rule, approvers) in asked(policy, pull) {
        wanted.extend(
            approvers.iter().flat_map(|login| rule.requires.teams.iter().map(|team| (team.clone(), login.clone()))),
        );
    }
    wanted.into_iter().collect()
}

/// The accounts whose permission [`judge`] must know, each once.
pub fn permissions_wanted(policy: &Policy, pull: &PullRequest<'_>) -> Vec<Login> {
    let mut wanted = BTreeSet::new();
    for (rule, approvers) in asked(policy, pull) {
        let named = |login: &Login| is_open(&rule.requires) || (rule.requires.users.contains(login) && !is_app(login));
        wanted.extend(approvers.into_iter().filter(named));
    }
    wanted.into_iter().collect()
}

fn asked<'p>(policy: &'p Policy, pull: &PullRequest<'_>) -> impl Iterator<Item = (&'p Rule, Vec<Login>)> {
    let approvers = approvers(pull);
    let files = pull.files;
    policy
        .checks
        .rules
        .iter()
        .filter(move |rule| rule_applies(rule, files).is_some())
        .map(move |rule| (rule, approvers.clone()))
}

/// Who approves now: everybody's latest opinion counts, a comment is none, and the author has none.
pub fn approvers(pull: &PullRequest<'_>) -> Vec<Login> {
    let mut reviews: Vec<&Review> = pull.reviews.iter().filter(|review| review.by != *pull.author).collect();
    reviews.sort_by_key(|review| review.submitted_at);
    let mut latest = BTreeMap::new();
    for review in reviews {
        match review.state {
            ReviewState::Approved | ReviewState::ChangesRequested | ReviewState::Dismissed => {
                latest.insert(review.by.clone(), review.state);
            }
            ReviewState::Commented | ReviewState::Pending => {}
        }
    }
    latest.into_iter().filter(|(_, state)| *state == ReviewState::Approved).map(|(login, _)| login).collect()
}

/// How far a requirement is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// Those who count.
    pub by: Vec<Login>,
    /// Those of whom it is not known yet whether they count.
    pub perhaps: Vec<Login>,
    /// How many are missing, if nobody of `perhaps` counts.
    pub missing: usize,
}

/// Says who of `candidates` counts for a requirement.
///
/// Counts who is in a named team; who is named and may write, because a login that somebody gave up can be taken by
/// anybody; and when nobody is named, who may write. The caller has left out those who must not count for other reasons.
pub fn met(requirement: &Requirement, candidates: &[Login], people: &People<'_>) -> Met {
    let counts = |login: &Login| -> Option<bool> {
        // Nobody can register the login of an App, and GitHub tells no permission of one.
        let writes = || match is_app(login) {
            true => Some(true),
            false => (people.permission)(login).map(|permission| permission >= Permission::Write),
        };
        if is_open(requirement) {
            return (people.permission)(login).map(|permission| permission >= Permission::Write);
        }
        let mut answers: Vec<_> = requirement.teams.iter().map(|team| (people.member)(team, login)).collect();
        if requirement.users.contains(login) {
            answers.push(writes());
        }
        if answers.contains(&Some(true)) {
            return Some(true);
        }
        (!answers.contains(&None)).then_some(false)
    };
    let pick = |wanted| candidates.iter().filter(|login| counts(login) == wanted).cloned().collect::<Vec<_>>();
    let by = pick(Some(true));
    let missing = usize::try_from(requirement.count).unwrap_or(usize::MAX).saturating_sub(by.len());
    Met { by, perhaps: pick(None), missing }
}

fn is_app(login: &Login) -> bool {
    login.as_str().ends_with("[bot]")
}

fn is_open(requirement: &Requirement) -> bool {
    requirement.teams.is_empty() && requirement.users.is_empty()
}

/// Whom a requirement asks, in Markdown, for instance ``2 of `acme/dba`, `ada` (with write permission)``.
pub fn asks(requirement: &Requirement) -> String {
    let teams = requirement.teams.iter().map(|team| code(team.as_str()));
    let names: Vec<String> = teams.chain(requirement.users.iter().map(|user| code(user.as_str()))).collect();
    let whom = match (names.is_empty(), requirement.users.is_empty()) {
        (true, _) => "those with write permission".to_owned(),
        (false, true) => names.join(", "),
        (false, false) => format!("{} (with write permission)", names.join(", ")),
    };
    format!("{} of {whom}", requirement.count)
}

/// Types that the convention and its common presets name; others are accepted too.
const TYPES: [&str; 11] =
    ["feat", "fix", "docs", "refactor", "perf", "test", "build", "ci", "chore", "style", "revert"];

fn title(title: &str) -> RuleResult {
    match conventional_problem(title) {
        None => RuleResult::new("title", Outcome::Pass, "The title is a conventional one."),
        Some(why) => {
            let subject = title.split_once(':').map_or(title, |(_, subject)| subject).trim();
            let subject = if subject.is_empty() { "say what changes" } else { subject };
            let example = code(&format!("fix: {}", clip(subject, 60)));
            let types = TYPES.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            RuleResult::new(
                "title",
                Outcome::Fail,
                format!("The title {} is not a conventional one: {why}.", code(&clip(title, 100))),
            )
            .mend(format!("Write `type(scope): subject`, for instance {example}. Usual types are {types}."))
        }
    }
}

/// Why a title is no conventional commit title, without a full stop; `None` when it is one.
///
/// `type`, an optional `(scope)`, an optional `!`, a colon, a blank, a subject. Any word of lower-case letters is a type.
/// GitHub's own `Revert "..."` is let through, so that its button works when there is no time to lose.
pub fn conventional_problem(title: &str) -> Option<&'static str> {
    if title.starts_with("Revert \"") && title.ends_with('"') {
        return None;
    }
    let Some((head, subject)) = title.split_once(':') else { return Some("there is no colon behind a type") };
    let head = head.strip_suffix('!').unwrap_or(head);
    let (kind, scope) = match head.split_once('(') {
        Some((kind, scope)) => (kind, Some(scope)),
        None => (head, None),
    };
    if kind.is_empty() {
        return Some("it does not begin with a type");
    }
    if !kind.bytes().all(|b| b.is_ascii_lowercase()) {
        return Some("the type before the colon must be one word of lower-case letters");
    }
    if let Some(scope) = scope {
        let inside = scope.strip_suffix(')').unwrap_or_default();
        if inside.trim().is_empty() || inside.contains(['(', ')']) {
            return Some("the scope must stand in one pair of brackets right before the colon");
        }
    }
    match subject.strip_prefix(' ') {
        None if subject.trim().is_empty() => Some("there is no subject behind the colon"),
        None => Some("there must be a blank behind the colon"),
        Some(subject) if subject.trim().is_empty() => Some("there is no subject behind the colon"),
        Some(_) => None,
    }
}

fn description(body: &str) -> RuleResult {
    if says_something(body) {
        return RuleResult::new("description", Outcome::Pass, "There is a description.");
    }
    RuleResult::new("description", Outcome::Fail, "There is no description.")
        .mend("Say what changes and why. Headings, checklists and comments of a template do not count.")
}

fn size(bounds: SizeRule, files: &ChangedFiles) -> RuleResult {
    let strictest = if bounds.fail.is_some() { Outcome::Fail } else { Outcome::Warn };
    let over = |lines: u64| match bounds {
        SizeRule { fail: Some(fail), .. } if lines > fail => Some((Outcome::Fail, fail)),
        SizeRule { warn: Some(warn), .. } if lines > warn => Some((Outcome::Warn, warn)),
        SizeRule { .. } => None,
    };
    let known = counted_lines(files);
    let lines = known.unwrap_or_else(|| lines_at_least(files));
    let at_least = if known.is_none() { "at least " } else { "" };
    let split = "Split it into smaller pull requests that can be understood, released and taken back one by one.";
    let result = |outcome, text: String| RuleResult::new("size", outcome, text);
    match over(lines) {
        Some((Outcome::Fail, bound)) => {
            result(Outcome::Fail, format!("{at_least}{lines} lines change; at most {bound} may.")).mend(split)
        }
        _ if files.cut => {
            result(strictest, "So many files change that GitHub does not list them all.".to_owned()).mend(split)
        }
        _ if known.is_none() => result(Outcome::Warn, "GitHub does not say how many lines change.".to_owned())
            .mend("Look at the size yourself: it may be a very large change, or one of file modes only."),
        Some((outcome, bound)) => {
            result(outcome, format!("{lines} lines change; more than {bound} are hard to review.")).mend(split)
        }
        None => result(
            Outcome::Pass,
            format!(
                "{lines} {} without generated and vendored files.",
                if lines == 1 { "line changes," } else { "lines change," }
            ),
        ),
    }
}

fn changed_files(rule: &Rule, pull: &PullRequest<'_>, people: &People<'_>) -> RuleResult {
    let Some(by) = rule_applies(rule, pull.files) else {
        return RuleResult::new(&rule.name, Outcome::Pass, "It does not apply: no changed file matches.");
    };
    let why = match by {
        Some(path) => format!("It applies because {} changes.", code(&clip(path, 120))),
        None => "It applies because so many files change that GitHub does not list them all.".to_owned(),
    };
    let met = met(&rule.requires, &approvers(pull), people);
    let wanted = asks(&rule.requires);
    if met.missing == 0 {
        let by: Vec<String> = met.by.iter().map(|login| text(login.as_str())).collect();
        return RuleResult::new(&rule.name, Outcome::Pass, format!("{why} Approved by {}.", by.join(", ")));
    }
    if met.missing <= met.perhaps.len() {
        let of: Vec<String> = met.perhaps.iter().map(|login| text(login.as_str())).collect();
        let asking = format!("{why} Whether {} may approve is being looked up.", of.join(", "));
        return RuleResult::new(&rule.name, Outcome::Pending, asking);
    }
    RuleResult::new(
        &rule.name,
        Outcome::Pending,
        format!("{why} It needs the approval of {wanted}; {} missing.", are(met.missing)),
    )
    .mend(format!("Ask for the review of {wanted}. The author's own does not count."))
}

fn are(count: usize) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{count} are") }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
