//! `plimsoll explain`: what the state says of a release, a pull request or a delivery.
//!
//! Reads the database of `serve`, also while that runs. Must never change anything, and never judge: the words are those
//! of the commands in comments.

use crate::app;
use crate::config::{self, DatabaseFlags};
use crate::domain::effect::Content;
use crate::domain::ids::*;
use crate::domain::policy::windows;
use crate::domain::pull_request::PullState;
use crate::domain::release::PipelineState;
use crate::domain::state::State;
use crate::domain::view;
use crate::engine::ports::{Clock, Fate, Interpretation, JournalLine, KnownDelivery, Store, Webhooks};
use crate::engine::query;
use anyhow::{Context, bail};
use std::io::IsTerminal;

/// How many lines of a journal are shown.
const LINES: usize = 10;

/// Says why a release is or is not in an environment, where a pull request stands, or what became of a delivery.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  plimsoll explain acme/shop production\n  plimsoll explain acme/shop production 1a2b3c4 --service api\n  \
                        plimsoll explain acme/shop#12\n  plimsoll explain --delivery 72d3162e-cc78-11e3-81ab-4c9367dc0958\n\n\
                        Ends with 0 if there is something to tell, and with 1 if nothing is known of it."
)]
pub(super) struct Explain {
    /// A repository, or a pull request of it
    #[arg(value_name = "OWNER/REPO[#PULL]", required_unless_present = "delivery")]
    what: Option<String>,

    /// Which environment; without it the state of each service is told
    environment: Option<String>,

    /// Which commit, seven digits at least; without it the release that comes next, is under way, or is the newest
    #[arg(value_name = "COMMIT")]
    sha: Option<String>,

    /// Which service; without it every service of the policy
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// A delivery by its GUID, as GitHub's page of recent deliveries shows it
    #[arg(long, value_name = "GUID", conflicts_with = "what")]
    delivery: Option<String>,

    #[command(flatten)]
    database: DatabaseFlags,
}

impl Explain {
    pub(super) fn run(&self) -> u8 {
        let known = match app::whereabouts(&self.database) {
            Ok(known) => known,
            Err(refusal) => return super::refused(&refusal),
        };
        super::wait_for(async {
            let store = app::open_to_read(&known.database).await?;
            let told = self.told(&store, &app::webhooks(&known), app::SystemClock.now()).await?;
            let colour = std::io::stdout().is_terminal() && config::environment("NO_COLOR").is_none();
            let Some(told) = told else { bail!("nothing is known of {}", self.named()) };
            let plain = without_controls(&told);
            println!("{}", if colour { coloured(&plain) } else { plain });
            Ok(())
        })
    }

    fn named(&self) -> String {
        let words = [&self.delivery, &self.what, &self.service, &self.environment, &self.sha];
        without_controls(&words.into_iter().flatten().cloned().collect::<Vec<_>>().join(" "))
    }

    /// What is told; `None`: nothing is known.
    async fn told<S: Store>(
        &self,
        store: &S,
        webhooks: &impl Webhooks,
        now: Timestamp,
    ) -> anyhow::Result<Option<String>> {
        if let Some(guid) = &self.delivery {
            return delivery(store, webhooks, &DeliveryId::new(guid.trim())).await;
        }
        let what = self.what.as_deref().unwrap_or_default();
        let asked = || format!("`{what}` is neither OWNER/REPO nor OWNER/REPO#PULL");
        if let Some((repo, number)) = what.split_once('#') {
            let number = number.parse().ok().map(PullNumber);
            let (repo, number) = RepoName::parse(repo).zip(number).with_context(asked)?;
            return pull_request(store, Subject::PullRequest { repo, number }).await;
        }
        let repo = RepoName::parse(what).with_context(asked)?;
        let mut parts = Vec::new();
        for service in self.services(store, &repo).await? {
            let Some(state) = pipeline(store, &repo, &service).await? else { continue };
            let Some(told) = self.of_service(&state, now) else { continue };
            parts.push((service, told));
        }
        if let [(_, told)] = &mut parts[..] {
            return Ok(Some(std::mem::take(told)));
        }
        let parts: Vec<String> = parts.iter().map(|(service, told)| format!("**{service}**\n\n{told}")).collect();
        Ok((!parts.is_empty()).then(|| parts.join("\n\n")))
    }

    /// The services that are asked for: the one that is named, else those of the policy in force.
    async fn services<S: Store>(&self, store: &S, repo: &RepoName) -> anyhow::Result<Vec<ServiceName>> {
        if let Some(name) = &self.service {
            return Ok(vec![ServiceName::new(name)]);
        }
        let lane = query::lane(store, &Subject::Repository { repo: repo.clone() }).await?;
        let Some(State::Repository(state)) = lane.map(|lane| lane.state) else { return Ok(Vec::new()) };
        let services = state.policy.map(|held| held.policy.services).unwrap_or_default();
        Ok(services.into_iter().map(|service| service.name).collect())
    }

    fn of_service(&self, state: &PipelineState, now: Timestamp) -> Option<String> {
        let Some(environment) = &self.environment else { return Some(view::status::pipeline(state)) };
        let environment = EnvironmentName::new(environment);
        let trace = view::why::trace(state, &environment, self.sha.as_deref(), now);
        trace.release.map(|_| trace.text)
    }
}

async fn pipeline<S: Store>(
    store: &S,
    repo: &RepoName,
    service: &ServiceName,
) -> anyhow::Result<Option<Box<PipelineState>>> {
    let subject = Subject::Pipeline { repo: repo.clone(), service: service.clone() };
    match query::lane(store, &subject).await?.map(|lane| lane.state) {
        Some(State::Pipeline(state)) => Ok(Some(state)),
        Some(State::Repository(_) | State::PullRequest(_)) | None => Ok(None),
    }
}

async fn pull_request<S: Store>(store: &S, subject: Subject) -> anyhow::Result<Option<String>> {
    let Some(State::PullRequest(state)) = query::lane(store, &subject).await?.map(|lane| lane.state) else {
        return Ok(None);
    };
    let mut parts = vec![heading(&state)];
    if let Some((_, Content::Comment(text))) = view::comment::view(&state) {
        parts.push(text);
    }
    let journal = query::journal(store, &subject).await?;
    if !journal.is_empty() {
        let lines: Vec<String> = journal.iter().take(LINES).rev().map(journal_line).collect();
        parts.push(format!("Journal:\n{}", lines.join("\n")));
    }
    Ok(Some(parts.join("\n\n")))
}

fn heading(state: &PullState) -> String {
    let Some(pull) = &state.pull else { return format!("{}#{}: never seen, or gone", state.repo, state.number) };
    let standing = match (pull.merged, pull.open, pull.draft) {
        (true, _, _) => "merged",
        (false, false, _) => "closed",
        (false, true, true) => "draft",
        (false, true, false) => "open",
    };
    let (title, author, head) = (&pull.title, &pull.author, pull.head_sha.short());
    format!("{}#{}: {title}\n{standing}, by {author}, head {head}", state.repo, state.number)
}

fn journal_line(line: &JournalLine) -> String {
    format!("- {}: {}", windows::shown(line.at, "UTC"), line.text)
}

async fn delivery<S: Store>(store: &S, webhooks: &impl Webhooks, id: &DeliveryId) -> anyhow::Result<Option<String>> {
    let mut parts = Vec::new();
    for known in query::delivery(store, id).await? {
        let at = windows::shown(known.received_at, "UTC");
        let mut lines = vec![format!("Delivery {id} ({}), received {at}", known.event)];
        match &known.fate {
            Fate::Unsorted => lines.push("It is kept, and waits to be sorted.".to_owned()),
            Fate::Ignored { because } => lines.push(format!("It was ignored: {because}")),
            Fate::Parked { because } => lines.push(format!("It was put aside: {because}")),
            Fate::Sorted => lines.extend(sorted(store, webhooks, &known).await?),
        }
        parts.push(lines.join("\n"));
    }
    Ok((!parts.is_empty()).then(|| parts.join("\n\n")))
}

/// The lanes that a delivery went to, and what they wrote down after it.
async fn sorted<S: Store>(store: &S, webhooks: &impl Webhooks, known: &KnownDelivery) -> anyhow::Result<Vec<String>> {
    let Some(body) = &known.body else {
        return Ok(vec!["It was sorted. Its body has been forgotten, so its lanes cannot be told.".to_owned()]);
    };
    let events = match webhooks.interpret(&known.event, body) {
        Interpretation::Events { events, .. } => events,
        Interpretation::Ignored { .. } | Interpretation::Unreadable { .. } => Vec::new(),
    };
    let mut subjects: Vec<Subject> = events.into_iter().map(|(subject, _)| subject).collect();
    subjects.sort();
    subjects.dedup();
    if subjects.is_empty() {
        let why = "its lanes can only be told with the service's own settings (github_api_url, app_id)";
        return Ok(vec![format!("It was sorted; {why}.")]);
    }
    let mut lines = vec!["It was sorted into the inboxes of:".to_owned()];
    for subject in subjects {
        lines.push(format!("- {subject}"));
        let journal = query::journal(store, &subject).await?;
        let after = journal.iter().rev().filter(|line| line.at >= known.received_at).take(3);
        lines.extend(after.map(|line| format!("  {}", journal_line(line))));
    }
    Ok(lines)
}

/// Titles and reasons come from strangers: nothing in them may speak to the terminal.
fn without_controls(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// The same for a terminal: what is met green, what is not red, what is strong in Markdown bold.
fn coloured(text: &str) -> String {
    let line = |line: &str| {
        let colour = match () {
            () if line.starts_with("- ✅") => "\u{1b}[32m",
            () if line.starts_with("- ❌") => "\u{1b}[31m",
            () if line.starts_with("Next:") || line.starts_with('#') => "\u{1b}[1m",
            () => "",
        };
        let mut shown = colour.to_owned();
        for (n, part) in line.split("**").enumerate() {
            let back = format!("\u{1b}[0m{colour}");
            let mark = if n == 0 {
                ""
            } else if n % 2 == 1 {
                "\u{1b}[1m"
            } else {
                back.as_str()
            };
            shown.push_str(mark);
            shown.push_str(part);
        }
        if shown.contains('\u{1b}') {
            shown.push_str("\u{1b}[0m");
        }
        shown
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_does_not_speak_to_the_terminal() {
        assert_eq!(without_controls("a\u{1b}[2Jb\r\nc\u{7}"), "a\u{fffd}[2Jb\u{fffd}\nc\u{fffd}");
    }

    #[test]
    fn a_terminal_shows_what_is_met_and_what_is_not() {
        let shown = coloured("- ✅ **order**: fine\n- ❌ **hold**: no\nplain").replace('\u{1b}', "^");
        insta::assert_snapshot!(shown, @r"
        ^[32m- ✅ ^[1morder^[0m^[32m: fine^[0m
        ^[31m- ❌ ^[1mhold^[0m^[31m: no^[0m
        plain
        ");
    }
}
