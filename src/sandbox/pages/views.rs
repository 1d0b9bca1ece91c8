//! What each page shows, taken from the model.

use std::collections::BTreeMap;

use askama::Template;

use super::markdown::rendered;
use crate::sandbox::history::FileChange;
use crate::sandbox::model::{
    CheckRun, Comment, DeliveryResult, Deployment, Issue, Model, Pull, PullState, Refusal, Run, RunState, rfc3339,
};
use crate::sandbox::seed;

type Html = Result<String, askama::Error>;

/// What every page shows.
pub(super) struct Site {
    full_name: String,
    base: String,
    people: Vec<Person>,
    chosen: String,
}

/// Somebody to act as, and what they may do here.
struct Person {
    login: String,
    role: String,
}

impl Person {
    fn of(model: &Model, login: String) -> Self {
        let teams = model.teams.values().filter(|team| team.members.contains(&login)).map(|team| team.slug.as_str());
        let role: Vec<&str> = std::iter::once(model.permission_of(&login).role()).chain(teams).collect();
        Self { role: role.join(", "), login }
    }
}

impl Site {
    pub(super) fn of(model: &Model, chosen: Option<&str>) -> Self {
        let people = model.people();
        let known = chosen.filter(|login| people.iter().any(|person| person == login));
        let chosen = known.map(str::to_owned).or_else(|| people.first().cloned()).unwrap_or_default();
        let people = people.into_iter().map(|login| Person::of(model, login)).collect();
        let full_name = model.repository.full_name();
        Self { base: format!("/{full_name}"), full_name, people, chosen }
    }
}

/// How long ago something was, in words.
fn when(at: i64, now: i64) -> String {
    match (now - at).max(0) / 1000 {
        0..=1 => "just now".to_owned(),
        s @ 2..=59 => format!("{s} s ago"),
        s @ 60..=3_599 => format!("{} min ago", s / 60),
        s @ 3_600..=86_399 => format!("{} h ago", s / 3_600),
        _ => rfc3339(at).chars().take(10).collect(),
    }
}

fn short(sha: &str) -> String {
    sha.chars().take(8).collect()
}

struct PullLine {
    number: u64,
    title: String,
    author: String,
    when: String,
    state: &'static str,
    class: &'static str,
    labels: Vec<String>,
}

impl PullLine {
    fn of(pull: &Pull, now: i64) -> Self {
        let (state, class) = match pull.state {
            PullState::Open if pull.draft => ("Draft", "mute"),
            PullState::Open => ("Open", "good"),
            PullState::Closed { .. } => ("Closed", "bad"),
            PullState::Merged { .. } => ("Merged", "done"),
        };
        Self {
            number: pull.number,
            title: pull.title.clone(),
            author: pull.author.clone(),
            when: when(pull.created_at, now),
            state,
            class,
            labels: pull.labels.iter().cloned().collect(),
        }
    }
}

/// An issue as a line has it.
fn issue_line(issue: &Issue, now: i64) -> PullLine {
    let (state, class) = if issue.closed_at.is_none() { ("Open", "good") } else { ("Closed", "done") };
    PullLine {
        number: issue.number,
        title: issue.title.clone(),
        author: issue.author.clone(),
        when: when(issue.created_at, now),
        state,
        class,
        labels: issue.labels.iter().cloned().collect(),
    }
}

#[derive(Template)]
#[template(path = "sandbox/home.html")]
struct Home {
    site: Site,
    description: String,
    default_branch: String,
    pulls: Vec<PullLine>,
    issues: Vec<PullLine>,
    waiting: usize,
    branches: Vec<String>,
}

pub(super) fn home(model: &Model, site: Site, now: i64) -> Html {
    let default = &model.repository.default_branch;
    let tip = model.history.branch(default).unwrap_or_default();
    let branches = model
        .history
        .branches()
        .into_iter()
        .filter(|(name, sha)| {
            name != default
                && !model.pulls.values().any(|pull| pull.is_open() && pull.head_ref == *name)
                && !model.history.is_ancestor(sha, &tip)
        })
        .filter(|(name, _)| !model.waiting_pulls.iter().any(|waiting| waiting.branch == *name))
        .map(|(name, _)| name)
        .collect();
    Home {
        site,
        description: model.repository.description.clone(),
        default_branch: default.clone(),
        pulls: model.pulls.values().rev().map(|pull| PullLine::of(pull, now)).collect(),
        issues: model.issues.values().rev().map(|issue| issue_line(issue, now)).collect(),
        waiting: model.waiting_pulls.len(),
        branches,
    }
    .render()
}

/// Title and text for a pull request of a branch: those of the shop's story, or its last commit's.
pub(super) fn title_for(model: &Model, branch: &str) -> (String, String) {
    if let Some((_, title, body, _)) = seed::PULLS.into_iter().find(|(name, ..)| *name == branch) {
        return (title.to_owned(), body.to_owned());
    }
    let commit = model.history.branch(branch).and_then(|sha| model.history.commit(&sha));
    let message = commit.map(|commit| commit.message).unwrap_or_default();
    let (title, body) = message.split_once('\n').unwrap_or((&message, ""));
    let title = if title.is_empty() { branch } else { title };
    (title.to_owned(), body.trim().to_owned())
}

struct CommitLine {
    short: String,
    title: String,
    author: String,
}

struct FileLine {
    path: String,
    status: &'static str,
    additions: u64,
    deletions: u64,
    patch: String,
}

impl FileLine {
    fn of(file: FileChange) -> Self {
        Self {
            path: file.path,
            status: file.status.word(),
            additions: file.additions,
            deletions: file.deletions,
            patch: file.patch.unwrap_or_default(),
        }
    }
}

struct ActionLine {
    label: String,
    description: String,
    identifier: String,
}

struct NoteLine {
    place: String,
    message: String,
    class: &'static str,
}

struct CheckLine {
    id: u64,
    name: String,
    state: String,
    class: &'static str,
    title: String,
    summary: String,
    text: String,
    actions: Vec<ActionLine>,
    annotations: Vec<NoteLine>,
}

fn class_of(conclusion: Option<&str>) -> &'static str {
    match conclusion {
        Some("success") => "good",
        Some("neutral" | "skipped" | "cancelled") => "mute",
        Some(_) => "bad",
        None => "busy",
    }
}

impl CheckLine {
    fn of(run: &CheckRun) -> Self {
        let markdown = |text: &Option<String>| text.as_deref().map(rendered).unwrap_or_default();
        Self {
            id: run.id,
            name: run.name.clone(),
            state: if run.asked_again {
                "asked again".to_owned()
            } else {
                run.conclusion.clone().unwrap_or_else(|| run.status.clone()).replace('_', " ")
            },
            class: if run.asked_again { "busy" } else { class_of(run.conclusion.as_deref()) },
            title: run.title.clone().unwrap_or_default(),
            summary: markdown(&run.summary),
            text: markdown(&run.text),
            actions: run
                .actions
                .iter()
                .filter(|_| run.status == "completed")
                .map(|action| ActionLine {
                    label: action.label.clone(),
                    description: action.description.clone(),
                    identifier: action.identifier.clone(),
                })
                .collect(),
            annotations: run
                .annotations
                .iter()
                .map(|note| NoteLine {
                    place: format!("{}:{}", note.path, note.start_line),
                    message: note.message.clone(),
                    class: if note.level == "failure" { "bad" } else { "busy" },
                })
                .collect(),
        }
    }
}

struct CommentLine {
    id: u64,
    author: String,
    when: String,
    edited: bool,
    reactions: String,
    html: String,
}

impl CommentLine {
    /// Comments of an issue or pull request, oldest first.
    fn all(model: &Model, number: u64, now: i64) -> Vec<Self> {
        let here = model.comments.values().filter(|comment| comment.number == number);
        here.map(|comment| Self::of(model, comment, now)).collect()
    }

    fn of(model: &Model, comment: &Comment, now: i64) -> Self {
        let reactions = model.reactions.values().filter(|reaction| reaction.comment == comment.id);
        Self {
            id: comment.id,
            author: comment.author.clone(),
            when: when(comment.created_at, now),
            edited: comment.updated_at != comment.created_at,
            reactions: reactions.map(|reaction| symbol(&reaction.content)).collect::<Vec<_>>().join(" "),
            html: rendered(&comment.body),
        }
    }
}

struct StatusPart {
    context: String,
    state: String,
    class: &'static str,
    description: String,
    creator: String,
}

impl StatusPart {
    /// The newest commit status of each context.
    fn all(model: &Model, sha: &str) -> Vec<Self> {
        let newest = model.newest_statuses(sha).into_iter();
        let parts = newest.map(|status| Self {
            context: status.context.clone(),
            class: class_of(Some(status.state.as_str()).filter(|state| *state != "pending")),
            state: status.state.clone(),
            description: status.description.clone().unwrap_or_default(),
            creator: status.creator.clone(),
        });
        parts.collect()
    }
}

#[derive(Template)]
#[template(path = "sandbox/issue.html")]
struct IssuePage {
    site: Site,
    issue: PullLine,
    description: String,
    comments: Vec<CommentLine>,
    open: bool,
}

pub(super) fn issue(model: &Model, site: Site, number: u64, now: i64) -> Result<Html, Refusal> {
    let issue = model.issues.get(&number).ok_or_else(Refusal::not_found)?;
    let page = IssuePage {
        site,
        issue: issue_line(issue, now),
        description: rendered(issue.body.as_deref().unwrap_or("*No description.*")),
        comments: CommentLine::all(model, number, now),
        open: issue.closed_at.is_none(),
    };
    Ok(page.render())
}

struct ReviewLine {
    author: String,
    state: String,
    when: String,
}

#[derive(Template)]
#[template(path = "sandbox/pull.html")]
struct PullPage {
    site: Site,
    pull: PullLine,
    head_ref: String,
    base_ref: String,
    additions: u64,
    deletions: u64,
    notice: Option<&'static str>,
    description: String,
    commits: Vec<CommitLine>,
    files: Vec<FileLine>,
    checks: Vec<CheckLine>,
    statuses: Vec<StatusPart>,
    queued: bool,
    /// Head of its group in the merge queue.
    group: String,
    group_short: String,
    comments: Vec<CommentLine>,
    reviews: Vec<ReviewLine>,
    open: bool,
    draft: bool,
    can_reopen: bool,
    merged: Option<Merged>,
}

/// What became of a pull request after its merge.
struct Merged {
    by: String,
    sha: String,
    short: String,
    deployments: Vec<DeploymentLine>,
}

impl Merged {
    fn of(model: &Model, state: &PullState, now: i64) -> Option<Self> {
        let PullState::Merged { by, sha, .. } = state else { return None };
        let deployments = model.deployments.values().rev().filter(|one| one.sha == *sha).take(20);
        Some(Self {
            by: by.clone(),
            sha: sha.clone(),
            short: short(sha),
            deployments: deployments.map(|one| DeploymentLine::of(model, one, now)).collect(),
        })
    }
}

pub(super) fn pull(model: &Model, site: Site, number: u64, now: i64) -> Result<Html, Refusal> {
    let pull = model.pull(number)?;
    let comparison = model.pull_comparison(number).ok();
    let (commits, files) = comparison.map(|c| (c.commits, c.files)).unwrap_or_default();
    let base = model.history.branch(&pull.base_ref).unwrap_or_default();
    let conflicts = pull.is_open() && !model.history.is_mergeable(&base, &pull.head_sha);
    let queued = model.queue.iter().find(|entry| entry.pull == number);
    let group = queued.map(|entry| entry.group.head_sha.clone()).unwrap_or_default();
    let page = PullPage {
        site,
        statuses: StatusPart::all(model, &pull.head_sha),
        queued: queued.is_some(),
        group_short: short(&group),
        group,
        pull: PullLine::of(pull, now),
        head_ref: pull.head_ref.clone(),
        base_ref: pull.base_ref.clone(),
        additions: files.iter().map(|file| file.additions).sum(),
        deletions: files.iter().map(|file| file.deletions).sum(),
        notice: conflicts.then_some("It conflicts with its base and cannot be merged."),
        description: rendered(pull.body.as_deref().unwrap_or("*No description.*")),
        commits: commits
            .into_iter()
            .map(|commit| CommitLine {
                short: short(&commit.sha),
                title: commit.message.lines().next().unwrap_or_default().to_owned(),
                author: commit.author.name,
            })
            .collect(),
        files: files.into_iter().map(FileLine::of).collect(),
        checks: model.check_runs_of(&pull.head_sha, true).into_iter().rev().map(CheckLine::of).collect(),
        comments: CommentLine::all(model, number, now),
        reviews: model
            .reviews
            .values()
            .filter(|review| review.number == number)
            .map(|review| ReviewLine {
                author: review.author.clone(),
                state: review.state.to_lowercase().replace('_', " "),
                when: when(review.submitted_at, now),
            })
            .collect(),
        open: pull.is_open(),
        draft: pull.draft,
        can_reopen: matches!(pull.state, PullState::Closed { .. }),
        merged: Merged::of(model, &pull.state, now),
    };
    Ok(page.render())
}

fn symbol(content: &str) -> &'static str {
    match content {
        "+1" => "👍",
        "-1" => "👎",
        "laugh" => "😄",
        "confused" => "😕",
        "heart" => "❤️",
        "hooray" => "🎉",
        "rocket" => "🚀",
        _ => "👀",
    }
}

struct RunLine {
    id: u64,
    number: u64,
    title: String,
    workflow: String,
    state: String,
    class: &'static str,
    branch: String,
    sha: String,
    short: String,
    actor: String,
    when: String,
    inputs: BTreeMap<String, String>,
    fails: bool,
    done: bool,
    output: String,
    waits_for: Option<String>,
    words: Vec<WordLine>,
}

/// What the App said of a run that waits.
struct WordLine {
    environment: String,
    state: String,
    class: &'static str,
    comment: String,
    when: String,
}

impl RunLine {
    fn of(run: &Run, now: i64) -> Self {
        Self {
            id: run.id,
            number: run.number,
            title: run.display_title.clone(),
            workflow: run.workflow_name.clone(),
            state: run.state.conclusion().unwrap_or(run.status()).replace('_', " "),
            class: class_of(run.state.conclusion()),
            branch: run.head_branch.clone(),
            sha: run.head_sha.clone(),
            short: short(&run.head_sha),
            actor: run.actor.clone(),
            when: when(run.created_at, now),
            inputs: run.inputs.clone(),
            fails: run.fails,
            done: matches!(run.state, RunState::Completed { .. }),
            output: run.output.clone(),
            waits_for: run.waits_for.clone(),
            words: run
                .protection
                .iter()
                .map(|word| WordLine {
                    environment: word.environment.clone(),
                    state: word.state.clone().unwrap_or_else(|| "report".to_owned()),
                    class: match word.state.as_deref() {
                        Some("approved") => "good",
                        Some(_) => "bad",
                        None => "busy",
                    },
                    comment: word.comment.clone(),
                    when: when(word.at, now),
                })
                .collect(),
        }
    }
}

struct Switch {
    name: String,
    next: bool,
    all: bool,
}

#[derive(Template)]
#[template(path = "sandbox/actions.html")]
struct Actions {
    site: Site,
    environments: Vec<Switch>,
    runs: Vec<RunLine>,
}

pub(super) fn actions(model: &Model, site: Site, now: i64) -> Html {
    let environments = model
        .environments
        .values()
        .map(|environment| Switch {
            name: environment.name.clone(),
            next: model.to_fail.iter().any(|wanted| wanted.as_ref() == Some(&environment.name)),
            all: model.failing.contains(&environment.name),
        })
        .collect();
    Actions { site, environments, runs: model.runs.values().rev().take(100).map(|run| RunLine::of(run, now)).collect() }
        .render()
}

#[derive(Template)]
#[template(path = "sandbox/run.html")]
struct RunPage {
    site: Site,
    run: RunLine,
}

pub(super) fn run(model: &Model, site: Site, id: u64, now: i64) -> Result<Html, Refusal> {
    let run = RunLine::of(model.run(id)?, now);
    Ok(RunPage { site, run }.render())
}

struct StatusLine {
    state: String,
    description: String,
    when: String,
    url: Option<String>,
}

struct DeploymentLine {
    environment: String,
    state: String,
    class: &'static str,
    sha: String,
    short: String,
    description: String,
    /// What the latest status says.
    news: String,
    task: String,
    creator: String,
    when: String,
    statuses: Vec<StatusLine>,
}

impl DeploymentLine {
    fn of(model: &Model, one: &Deployment, now: i64) -> Self {
        let statuses = model.statuses_of(one.id);
        let state = statuses.first().map_or("created", |status| status.state.as_str());
        Self {
            environment: one.environment.clone(),
            state: state.replace('_', " "),
            class: match state {
                "success" => "good",
                "failure" | "error" => "bad",
                "inactive" => "mute",
                _ => "busy",
            },
            sha: one.sha.clone(),
            short: short(&one.sha),
            description: one.description.clone().unwrap_or_default(),
            news: statuses.first().map(|status| status.description.clone()).unwrap_or_default(),
            task: one.task.clone(),
            creator: one.creator.clone(),
            when: when(one.created_at, now),
            statuses: statuses
                .into_iter()
                .map(|status| StatusLine {
                    state: status.state.replace('_', " "),
                    description: status.description.clone(),
                    when: when(status.created_at, now),
                    // The model lets only http and https in.
                    url: Some(status.log_url.clone()).filter(|url| !url.is_empty()),
                })
                .collect(),
        }
    }
}

struct EnvironmentPart {
    name: String,
    /// Whether runs wait for the App here.
    protected: bool,
    deployments: Vec<DeploymentLine>,
}

#[derive(Template)]
#[template(path = "sandbox/environments.html")]
struct Environments {
    site: Site,
    environments: Vec<EnvironmentPart>,
}

pub(super) fn environments(model: &Model, site: Site, now: i64) -> Html {
    let of = |name: &str| {
        let here = model.deployments.values().rev().filter(|one| one.environment.eq_ignore_ascii_case(name)).take(50);
        here.map(|one| DeploymentLine::of(model, one, now)).collect()
    };
    let environments = model
        .environments
        .values()
        .map(|environment| EnvironmentPart {
            name: environment.name.clone(),
            protected: model.protected.contains(&environment.name.to_lowercase()),
            deployments: of(&environment.name),
        })
        .collect();
    Environments { site, environments }.render()
}

struct DeliveryLine {
    id: u64,
    event: String,
    guid: String,
    status: String,
    class: &'static str,
    redelivery: bool,
    when: String,
    duration_ms: u64,
}

#[derive(Template)]
#[template(path = "sandbox/deliveries.html")]
struct Deliveries {
    site: Site,
    hook: Option<String>,
    deliveries: Vec<DeliveryLine>,
}

pub(super) fn deliveries(model: &Model, site: Site, hook: Option<String>, now: i64) -> Html {
    let deliveries = model
        .deliveries
        .values()
        .rev()
        .take(200)
        .map(|delivery| {
            let (status, class) = match &delivery.result {
                DeliveryResult::Answered { status, .. } if (200..300).contains(status) => (status.to_string(), "good"),
                DeliveryResult::Answered { status, .. } => (status.to_string(), "bad"),
                DeliveryResult::Failed { why } => (why.clone(), "bad"),
            };
            let action = delivery.event.action.as_ref().map(|action| format!(".{action}")).unwrap_or_default();
            DeliveryLine {
                id: delivery.id,
                event: format!("{}{action}", delivery.event.event),
                guid: delivery.event.guid.clone(),
                status,
                class,
                redelivery: delivery.event.redelivery,
                when: when(delivery.delivered_at, now),
                duration_ms: delivery.duration_ms,
            }
        })
        .collect();
    Deliveries { site, hook, deliveries }.render()
}

#[derive(Template)]
#[template(path = "sandbox/commit.html")]
struct CommitPage {
    site: Site,
    title: String,
    message: String,
    sha: String,
    author: String,
    when: String,
    checks: Vec<CheckLine>,
    statuses: Vec<StatusPart>,
    files: Vec<FileLine>,
}

pub(super) fn commit(model: &Model, site: Site, name: &str, now: i64) -> Result<Html, Refusal> {
    let sha = model.history.resolve(name).ok_or_else(Refusal::not_found)?;
    let commit = model.history.commit(&sha).ok_or_else(Refusal::not_found)?;
    let files = model.history.changes_of(&sha)?;
    let (title, message) = commit.message.split_once('\n').unwrap_or((&commit.message, ""));
    Ok(CommitPage {
        site,
        title: title.to_owned(),
        message: message.trim().to_owned(),
        checks: model.check_runs_of(&sha, true).into_iter().rev().map(CheckLine::of).collect(),
        statuses: StatusPart::all(model, &sha),
        sha,
        author: commit.author.name.clone(),
        when: when(commit.author.at_ms, now),
        files: files.into_iter().take(300).map(FileLine::of).collect(),
    }
    .render())
}
