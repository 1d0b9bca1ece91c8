//! Answers to needs, by reads only.
//!
//! Knows which endpoint answers which need, and in how many pages. Must never know why a need was felt, or remember
//! an answer: only the client's ETags do, and GitHub says whether they still hold.

use super::client::{As, Client};
use super::path::part;
use super::read::Found;
use super::wire::rest::*;
use super::wire::{self, IssueComment, Pull, Run, Unfit, iso};
use crate::domain::facts::*;
use crate::domain::ids::*;
use crate::engine::ports::GitHubError;
use base64::Engine as _;

/// Where the policy file lies.
const POLICY_PATH: &str = ".github/plimsoll.yml";
/// Larger files are not read.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// GitHub lists at most 3,000 files of a pull request.
const PULL_FILES_MAX: usize = 3_000;
/// GitHub lists at most 300 files of a comparison.
const COMPARISON_FILES_MAX: usize = 300;
/// Pages of any other list.
const PAGES_MAX: usize = 10;

/// GitHub's clock and ours may differ by this much where a list is asked for by time.
pub(super) const CLOCKS_DIFFER: Span = Span::minutes(1);

/// Whose repository a request is about, and as whom it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub installation: InstallationId,
    pub repo: &'a RepoName,
}

impl Place<'_> {
    pub fn by(self) -> As {
        As::Installation(self.installation)
    }
    /// A path below the repository; `rest` begins with a slash or is empty.
    pub fn path(self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.repo)
    }
}

type Answer = Result<Fact, GitHubError>;

/// Wraps what was found, or its absence.
fn fact<T>(found: Found<T>, wrap: impl FnOnce(T) -> Fact) -> Answer {
    Ok(found.map_or_else(Fact::Absent, wrap))
}

/// The same for what may turn out not to be what was asked for.
fn fitting<T>(found: Found<T>, wrap: impl FnOnce(T) -> Result<Fact, Unfit>) -> Answer {
    Ok(match found.map(wrap) {
        Ok(Ok(fact)) => fact,
        Ok(Err(Unfit(field))) => unusable(format!("`{field}` does not hold what it should")),
        Err(absence) => Fact::Absent(absence),
    })
}

fn unusable(message: impl Into<String>) -> Fact {
    Fact::Absent(Absence::Unusable { message: message.into() })
}

fn never_enough<T>(_: &[T]) -> bool {
    false
}

impl Client {
    /// Answers a need.
    pub(super) async fn fact(&self, at: Place<'_>, need: &Need) -> Answer {
        match need {
            Need::Repository => fact(self.get::<Repository>(at.by(), at.path("")).await?, |repository| {
                Fact::Repository(repository.snapshot())
            }),
            Need::PolicyFile => self.policy_file(at).await,
            Need::PolicyInForce => {
                Ok(unusable("the policy in force is not known to GitHub, but to the repository's lane"))
            }
            Need::Reading { .. } => Ok(unusable("what runs is not known to GitHub")),
            // Who keeps mirrors answers this one before it comes here.
            Need::Past { .. } => Ok(Fact::Absent(Absence::NotFound)),
            Need::Checks { sha } => self.checks(at, sha).await,
            Need::Artifact { name } => self.artifact(at, name).await,
            Need::OpenPulls => {
                let path = at.path("/pulls?state=open");
                let pulls = self.list::<Vec<Numbered>>(at.by(), &path, PAGES_MAX, never_enough).await?;
                fact(pulls, |listed| {
                    Fact::OpenPulls(listed.items.into_iter().map(|pull| PullNumber(pull.number)).collect())
                })
            }
            Need::FileAt { path, sha } => self.file_at(at, path, sha).await,
            Need::Pull { number } => {
                let pull = self.get::<Pull>(at.by(), at.path(&format!("/pulls/{number}"))).await?;
                fitting(pull, |pull| pull.snapshot().map(Fact::Pull))
            }
            Need::PullFiles { number, head_sha: _ } => self.pull_files(at, *number).await,
            Need::PullCommits { number, head_sha: _ } => {
                let path = at.path(&format!("/pulls/{number}/commits"));
                let commits = self.list::<Vec<Commit>>(at.by(), &path, PAGES_MAX, never_enough).await?;
                fitting(commits, |listed| snapshots(listed.items).map(Fact::PullCommits))
            }
            Need::PullReviews { number } => {
                let path = at.path(&format!("/pulls/{number}/reviews"));
                let reviews = self.list::<Vec<wire::Review>>(at.by(), &path, PAGES_MAX, never_enough).await?;
                fact(reviews, |listed| {
                    Fact::PullReviews(listed.items.into_iter().filter_map(wire::Review::review).collect())
                })
            }
            Need::RecentPulls { since } => self.recent_pulls(at, *since).await,
            Need::Comments { number, since } => fact(self.comments(at, *number, *since).await?, |comments| {
                Fact::Comments(comments.into_iter().map(IssueComment::comment).collect())
            }),
            Need::Permission { login } => self.permission(at, login).await,
            Need::TeamMember { team, login } => self.team_member(at, team, login).await,
            Need::Commit { name } => self.commit(at, name).await,
            Need::Comparison { base, head } => self.comparison(at, base, head).await,
            Need::Run { run } => {
                let run = self.get::<Run>(at.by(), at.path(&format!("/actions/runs/{run}"))).await?;
                fact(run, |run| Fact::Run(run.snapshot()))
            }
            Need::RunByKey { workflow, key, since } => {
                fact(self.run_by_key(at, workflow, key, *since).await?, Fact::RunByKey)
            }
        }
    }

    async fn policy_file(&self, at: Place<'_>) -> Answer {
        // Without a `ref` this is the default branch, whatever it is called by now.
        Ok(match self.file(at, POLICY_PATH, None).await? {
            Ok((text, Some(blob))) => Fact::PolicyFile(PolicyFile::Found { text, blob }),
            Ok((_, None)) => unusable("GitHub did not say which version of the file it is"),
            Err(Absence::NotFound) => Fact::PolicyFile(PolicyFile::Missing),
            Err(absence) => Fact::Absent(absence),
        })
    }

    async fn file_at(&self, at: Place<'_>, path: &str, sha: &Sha) -> Answer {
        fact(self.file(at, path, Some(sha)).await?, |(text, _)| Fact::FileAt(text))
    }

    /// A file as text, with the hash of its blob.
    async fn file(
        &self,
        at: Place<'_>,
        path: &str,
        sha: Option<&Sha>,
    ) -> Result<Found<(String, Option<Sha>)>, GitHubError> {
        let Some(encoded) = part(path) else { return Ok(Err(Absence::NotFound)) };
        let query = sha.map(|sha| format!("?ref={sha}")).unwrap_or_default();
        let contents = self.get::<Contents>(at.by(), at.path(&format!("/contents/{encoded}{query}"))).await?;
        Ok(contents.and_then(|contents| text_of(path, contents)))
    }

    async fn pull_files(&self, at: Place<'_>, number: PullNumber) -> Answer {
        let path = at.path(&format!("/pulls/{number}/files"));
        let files = self.list::<Vec<FileOfChange>>(at.by(), &path, PULL_FILES_MAX / 100, never_enough).await?;
        fact(files, |listed| {
            let cut = listed.more || listed.items.len() >= PULL_FILES_MAX;
            Fact::PullFiles(ChangedFiles { files: listed.items.into_iter().map(FileOfChange::file).collect(), cut })
        })
    }

    async fn recent_pulls(&self, at: Place<'_>, since: Timestamp) -> Answer {
        let path = at.path("/pulls?state=all&sort=updated&direction=desc");
        let pulls = self.list::<Vec<Pull>>(at.by(), &path, 1, never_enough).await?;
        fitting(pulls, |listed| {
            let pulls: Vec<_> = listed.items.into_iter().map(Pull::snapshot).collect::<Result<_, _>>()?;
            Ok(Fact::RecentPulls(pulls.into_iter().take_while(|pull| pull.updated_at >= since).collect()))
        })
    }

    /// Comments that were created or edited at or after a moment, oldest first.
    pub(super) async fn comments(
        &self,
        at: Place<'_>,
        number: PullNumber,
        since: Timestamp,
    ) -> Result<Found<Vec<IssueComment>>, GitHubError> {
        let path = at.path(&format!("/issues/{number}/comments?since={}", iso(since).replace(':', "%3A")));
        let comments = self.list::<Vec<IssueComment>>(at.by(), &path, PAGES_MAX, never_enough).await?;
        Ok(comments.map(|listed| listed.items))
    }

    /// What others say of a commit: check runs of other Apps, and commit statuses.
    async fn checks(&self, at: Place<'_>, sha: &Sha) -> Answer {
        let path = at.path(&format!("/commits/{sha}/check-runs?filter=latest"));
        let runs = match self.list::<CheckRuns>(at.by(), &path, PAGES_MAX, never_enough).await? {
            Ok(listed) => listed.items,
            Err(absence) => return Ok(Fact::Absent(absence)),
        };
        let path = at.path(&format!("/commits/{sha}/status"));
        let statuses = self.list::<Statuses>(at.by(), &path, PAGES_MAX, never_enough).await?;
        fact(statuses, |statuses| {
            let ours = |run: &CheckRun| run.app.as_ref().is_some_and(|app| app.is(self.issuer()));
            let mut runs: Vec<_> = runs.into_iter().filter(|run| !ours(run)).collect();
            // GitHub gives the latest of each suite; of one name, the newest of each App counts.
            runs.sort_by_key(|run| std::cmp::Reverse(run.id));
            let mut checks: Vec<CheckState> = Vec::new();
            let all = runs.into_iter().filter_map(CheckRun::state);
            for check in all.chain(statuses.items.into_iter().map(CommitStatus::state)) {
                if !checks.iter().any(|known| known.name == check.name && known.app == check.app) {
                    checks.push(check);
                }
            }
            Fact::Checks(checks)
        })
    }

    async fn artifact(&self, at: Place<'_>, name: &str) -> Answer {
        let Some(encoded) = part(name) else { return Ok(Fact::Artifact(false)) };
        let path = at.path(&format!("/actions/artifacts?name={encoded}"));
        let there = |artifact: &Artifact| artifact.name == name && artifact.expired != Some(true);
        let enough = |artifacts: &[Artifact]| artifacts.iter().any(there);
        let artifacts = self.list::<Artifacts>(at.by(), &path, PAGES_MAX, enough).await?;
        fact(artifacts, |listed| Fact::Artifact(listed.items.iter().any(there)))
    }

    async fn permission(&self, at: Place<'_>, login: &Login) -> Answer {
        let Some(login) = part(login.as_str()) else { return Ok(Fact::Absent(Absence::NotFound)) };
        let path = at.path(&format!("/collaborators/{login}/permission"));
        Ok(match self.get::<Collaborator>(at.by(), path).await? {
            Ok(found) => Fact::Permission(found.permission()),
            // No account of this name, or none that can be one of a repository: an App.
            Err(Absence::NotFound) => Fact::Permission(Permission::None),
            Err(absence) => Fact::Absent(absence),
        })
    }

    async fn team_member(&self, at: Place<'_>, team: &TeamSlug, login: &Login) -> Answer {
        let parts = team.as_str().split_once('/').and_then(|(org, slug)| Some((part(org)?, part(slug)?)));
        let (Some((org, slug)), Some(login)) = (parts, part(login.as_str())) else {
            return Ok(unusable(format!("`{team}` is not a team like `organisation/team`")));
        };
        let path = format!("/orgs/{org}/teams/{slug}/memberships/{login}");
        Ok(match self.get::<Membership>(at.by(), path).await? {
            Ok(membership) => Fact::TeamMember(membership.state.as_deref() == Some("active")),
            Err(Absence::NotFound) => Fact::TeamMember(false),
            Err(absence) => Fact::Absent(absence),
        })
    }

    async fn commit(&self, at: Place<'_>, name: &str) -> Answer {
        let Some(name) = part(name) else { return Ok(Fact::Absent(Absence::NotFound)) };
        let commit = self.get_large::<Commit>(at.by(), at.path(&format!("/commits/{name}"))).await?;
        fitting(commit, |commit| commit.snapshot().map(Fact::Commit))
    }

    async fn comparison(&self, at: Place<'_>, base: &str, head: &str) -> Answer {
        let ends = (part(base), part(head));
        let (Some(base), Some(head)) = ends else { return Ok(Fact::Absent(Absence::NotFound)) };
        if base.contains("..") || head.contains("..") {
            // No branch has such a name, and GitHub would read other ends out of it.
            return Ok(Fact::Absent(Absence::NotFound));
        }
        let path = at.path(&format!("/compare/{base}...{head}"));
        let pages = self.list::<ComparisonPage>(at.by(), &path, PAGES_MAX, never_enough).await?;
        fitting(pages, |listed| compared(listed.items))
    }

    /// The run that carries a key in its title, among those that we started: anybody who may write can give a run any
    /// title.
    pub(super) async fn run_by_key(
        &self,
        at: Place<'_>,
        workflow: &WorkflowFile,
        key: &EffectKey,
        since: Timestamp,
    ) -> Result<Found<Option<RunSnapshot>>, GitHubError> {
        let Some(workflow) = part(workflow.as_str()) else { return Ok(Err(Absence::NotFound)) };
        let created = iso(since.minus(CLOCKS_DIFFER)).replace(':', "%3A");
        let path = format!("/actions/workflows/{workflow}/runs?event=workflow_dispatch&created=%3E%3D{created}");
        let carries = |run: &Run| {
            run.event.as_deref().is_none_or(|event| event == "workflow_dispatch")
                && run.display_title.as_deref().is_some_and(|title| wire::carries_key(title, key.as_str()))
        };
        let runs = match self.list::<Runs>(at.by(), &at.path(&path), PAGES_MAX, never_enough).await? {
            Ok(listed) => listed.items,
            Err(absence) => return Ok(Err(absence)),
        };
        let mut carrying: Vec<Run> = runs.into_iter().filter(carries).collect();
        if carrying.is_empty() {
            return Ok(Ok(None));
        }
        let mut us = self.our_login(false).await?;
        if !carrying.iter().any(|run| run.is_by(&us)) {
            // The App may have been renamed.
            us = self.our_login(true).await?;
        }
        carrying.retain(|run| run.is_by(&us));
        // Newest first: if a key was ever dispatched twice, the first run is the one that counts.
        Ok(Ok(carrying.pop().map(Run::snapshot)))
    }
}

fn snapshots(commits: Vec<Commit>) -> Result<Vec<CommitSnapshot>, Unfit> {
    commits.into_iter().map(Commit::snapshot).collect()
}

fn compared(pages: Vec<ComparisonPage>) -> Result<Fact, Unfit> {
    let first = pages.first().ok_or(Unfit("status"))?;
    let (standing, total) = (first.standing()?, first.total_commits);
    let (mut commits, mut files) = (Vec::new(), Vec::new());
    for (index, page) in pages.into_iter().enumerate() {
        commits.extend(snapshots(page.commits)?);
        if index == 0 {
            files = page.files.unwrap_or_default().into_iter().map(FileOfChange::file).collect();
        }
    }
    let cut = files.len() >= COMPARISON_FILES_MAX;
    let total_commits = total.unwrap_or(commits.len() as u64);
    Ok(Fact::Comparison(Comparison { standing, commits, total_commits, files: ChangedFiles { files, cut } }))
}

/// The text of a file, or why it is none.
fn text_of(path: &str, contents: Contents) -> Found<(String, Option<Sha>)> {
    let unusable = |message: String| Absence::Unusable { message };
    let Contents::One(file) = contents else { return Err(unusable(format!("`{path}` is a directory"))) };
    if file.kind.as_deref().is_some_and(|kind| kind != "file") {
        return Err(unusable(format!("`{path}` is not a file")));
    }
    let content = file.content.unwrap_or_default();
    let size = file.size.unwrap_or(content.len() as u64 / 4 * 3);
    if size > FILE_BYTES_MAX {
        return Err(unusable(format!("`{path}` is larger than {} KiB", FILE_BYTES_MAX / 1024)));
    }
    if file.encoding.as_deref().is_some_and(|encoding| encoding != "base64") {
        return Err(unusable(format!("`{path}` came in an unknown encoding")));
    }
    let digits: String = content.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(digits);
    let bytes = bytes.map_err(|_| unusable(format!("`{path}` came damaged")))?;
    let text = String::from_utf8(bytes).map_err(|_| unusable(format!("`{path}` is not text in UTF-8")))?;
    Ok((text, file.sha.as_deref().and_then(Sha::parse)))
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
