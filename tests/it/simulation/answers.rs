//! What GitHub answers to a need, straight from the model: no HTTP, and whole seconds as GitHub writes them.

use super::health;
use super::scene::Scene;
use plimsoll::domain::effect::Effect;
use plimsoll::domain::facts::*;
use plimsoll::domain::ids::*;
use plimsoll::domain::policy::POLICY_PATH;
use plimsoll::sandbox::history::{self, Entry};
use plimsoll::sandbox::model::{self, Model, Pull, PullState, RunState};

/// How far clocks may differ where a list is asked for by time.
const CLOCKS_DIFFER: Span = Span::minutes(1);

pub fn answer(scene: &Scene, need: &Need) -> Fact {
    let model = &scene.model;
    match need {
        Need::Checks { sha } => Fact::Checks(health::checks(scene, sha)),
        Need::Artifact { name } => Fact::Artifact(health::has_artifact(scene, name)),
        Need::OpenPulls => {
            let open = model.pulls.values().filter(|pull| pull.is_open());
            Fact::OpenPulls(open.map(|pull| PullNumber(pull.number)).collect())
        }
        Need::Past { number, head_sha, .. } => health::past(scene, *number, head_sha),
        // The engine asks its probes.
        Need::Reading { .. } => Fact::Absent(Absence::NotFound),
        Need::Repository => Fact::Repository(RepositorySnapshot {
            default_branch: RefName::new(model.repository.default_branch.as_str()),
            archived: false,
        }),
        Need::PolicyFile => match file(model, &model.repository.default_branch, POLICY_PATH) {
            Some((text, blob)) => Fact::PolicyFile(PolicyFile::Found { text, blob }),
            None => Fact::PolicyFile(PolicyFile::Missing),
        },
        // The engine answers this one itself.
        Need::PolicyInForce => Fact::Absent(Absence::NotFound),
        Need::FileAt { path, sha } => match file(model, sha.as_str(), path) {
            Some((text, _)) => Fact::FileAt(text),
            None => Fact::Absent(Absence::NotFound),
        },
        Need::Pull { number } => match model.pulls.get(&number.0) {
            Some(pull) => Fact::Pull(snapshot(model, pull, false)),
            None => Fact::Absent(Absence::NotFound),
        },
        // As GitHub: of the present head, whatever head was meant.
        Need::PullFiles { number, .. } => match model.pull_comparison(number.0) {
            Ok(found) => Fact::PullFiles(ChangedFiles { files: files(&found.files), cut: false }),
            Err(_) => Fact::Absent(Absence::NotFound),
        },
        Need::PullCommits { number, .. } => match model.pull_comparison(number.0) {
            Ok(found) => Fact::PullCommits(found.commits.iter().map(|c| commit(model, c)).collect()),
            Err(_) => Fact::Absent(Absence::NotFound),
        },
        Need::PullReviews { number } => {
            let reviews = model.reviews.values().filter(|review| review.number == number.0);
            Fact::PullReviews(reviews.map(review).collect())
        }
        Need::RecentPulls { since } => Fact::RecentPulls(recent(scene, *since)),
        Need::Comments { number, since } => {
            let listed = model.comments.values().filter(|comment| {
                comment.number == number.0
                    && seconds(comment.updated_at) >= seconds(since.0)
                    && comment.created_at + scene.lag(comment.id, comment.created_at) <= scene.now
            });
            Fact::Comments(listed.map(|comment| self::comment(model, comment)).collect())
        }
        Need::Permission { login } => Fact::Permission(permission(model.permission_of(login.as_str()))),
        Need::TeamMember { team, login } => {
            let slug = team.as_str().split_once('/').map_or("", |(_, slug)| slug);
            Fact::TeamMember(is_member(model, slug, login.as_str()))
        }
        Need::Commit { name } => match model.history.resolve(name).and_then(|sha| model.history.commit(&sha)) {
            Some(found) => Fact::Commit(commit(model, &found)),
            None => Fact::Absent(Absence::NotFound),
        },
        Need::Comparison { base, head } => comparison(model, base, head),
        Need::Run { run } => match model.runs.get(&run.0) {
            Some(run) => Fact::Run(self::run(model, run)),
            None => Fact::Absent(Absence::NotFound),
        },
        Need::RunByKey { key, since, .. } => Fact::RunByKey(run_by_key(scene, key, *since)),
    }
}

/// A moment as GitHub writes it.
pub fn seconds(at: i64) -> Timestamp {
    Timestamp(at.div_euclid(1_000) * 1_000)
}

pub fn is_member(model: &Model, slug: &str, login: &str) -> bool {
    model.teams.get(slug).is_some_and(|team| team.members.iter().any(|member| member.eq_ignore_ascii_case(login)))
}

fn file(model: &Model, at: &str, path: &str) -> Option<(String, Sha)> {
    let sha = model.history.resolve(at)?;
    match model.history.read(&sha, path)? {
        Entry::File { sha, bytes } => Some((String::from_utf8_lossy(&bytes).into_owned(), Sha::parse(&sha)?)),
        Entry::Directory(_) => None,
    }
}

fn sha(text: &str) -> Sha {
    Sha::parse(text).expect("the model's hashes are hashes")
}

/// A pull request; lists leave out who merged it and the figures.
fn snapshot(model: &Model, pull: &Pull, listed: bool) -> PullSnapshot {
    let changed = if listed { None } else { model.pull_comparison(pull.number).ok() };
    let total =
        |count: fn(&history::FileChange) -> u64| changed.as_ref().map(|found| found.files.iter().map(count).sum());
    let (merged_sha, merged_by) = match &pull.state {
        PullState::Merged { sha, by, .. } => (Sha::parse(sha), Some(Login::new(by.as_str()))),
        PullState::Open | PullState::Closed { .. } => (None, None),
    };
    PullSnapshot {
        number: PullNumber(pull.number),
        title: pull.title.clone(),
        body: pull.body.clone().unwrap_or_default(),
        author: Login::new(pull.author.as_str()),
        author_is_bot: false,
        head_sha: sha(&pull.head_sha),
        head_ref: RefName::new(pull.head_ref.as_str()),
        head_repo: RepoName::parse(&model.repository.full_name()),
        base_ref: RefName::new(pull.base_ref.as_str()),
        base_sha: sha(&pull.base_sha),
        draft: pull.draft,
        open: pull.is_open(),
        merged: merged_sha.is_some(),
        merge_commit_sha: merged_sha,
        merged_by: merged_by.filter(|_| !listed),
        labels: pull.labels.iter().cloned().collect(),
        updated_at: seconds(pull.updated_at),
        additions: total(|file| file.additions),
        deletions: total(|file| file.deletions),
        changed_files: changed.as_ref().map(|found| found.files.len() as u64),
    }
}

/// Pull requests as a list shows them: each in the newest version that is not too young to be listed.
fn recent(scene: &Scene, since: Timestamp) -> Vec<PullSnapshot> {
    let shown = |versions: &Vec<(i64, PullSnapshot)>| {
        let number = versions.first().map_or(0, |(_, pull)| pull.number.0);
        let old_enough = |(at, _): &&(i64, PullSnapshot)| at + scene.lag(number, *at) <= scene.now;
        versions.iter().rev().find(old_enough).map(|(_, pull)| pull.clone())
    };
    let mut pulls: Vec<PullSnapshot> = scene.record.versions.values().filter_map(shown).collect();
    pulls.sort_by_key(|pull| std::cmp::Reverse(pull.updated_at));
    pulls.truncate(100);
    pulls.into_iter().take_while(|pull| pull.updated_at >= since).collect()
}

/// Keeps how pull requests look now, for lists that lag.
pub fn keep_versions(scene: &mut Scene) {
    for pull in scene.model.pulls.values() {
        let versions = scene.record.versions.entry(pull.number).or_default();
        if versions.last().is_none_or(|(at, _)| *at != pull.updated_at) {
            versions.push((pull.updated_at, snapshot(&scene.model, pull, true)));
        }
    }
}

fn files(changes: &[history::FileChange]) -> Vec<ChangedFile> {
    let file = |change: &history::FileChange| ChangedFile {
        path: change.path.clone(),
        previous_path: match &change.status {
            history::FileStatus::Renamed { from } => Some(from.clone()),
            history::FileStatus::Added | history::FileStatus::Removed | history::FileStatus::Modified => None,
        },
        status: match &change.status {
            history::FileStatus::Added => FileStatus::Added,
            history::FileStatus::Removed => FileStatus::Removed,
            history::FileStatus::Modified => FileStatus::Modified,
            history::FileStatus::Renamed { .. } => FileStatus::Renamed,
        },
        additions: change.additions,
        deletions: change.deletions,
    };
    changes.iter().map(file).collect()
}

fn person(model: &Model, who: &history::Signature) -> Person {
    let login = model.user_by_email(&who.email).map(|user| Login::new(user.login.as_str()));
    Person { login, name: who.name.clone(), email: who.email.clone() }
}

fn commit(model: &Model, found: &history::Commit) -> CommitSnapshot {
    CommitSnapshot {
        sha: sha(&found.sha),
        message: found.message.clone(),
        parents: found.parents.len() as u32,
        first_parent: found.parents.first().map(|parent| sha(parent)),
        author: person(model, &found.author),
        committer: person(model, &found.committer),
        committed_at: Some(seconds(found.committer.at_ms)),
    }
}

fn review(review: &model::Review) -> Review {
    Review {
        by: Login::new(review.author.as_str()),
        state: match review.state.as_str() {
            "APPROVED" => ReviewState::Approved,
            "CHANGES_REQUESTED" => ReviewState::ChangesRequested,
            _ => ReviewState::Commented,
        },
        commit: Sha::parse(&review.commit),
        submitted_at: seconds(review.submitted_at),
    }
}

fn comment(model: &Model, comment: &model::Comment) -> Comment {
    Comment {
        id: CommentId(comment.id),
        by: Login::new(comment.author.as_str()),
        by_bot: comment.author == model.app.bot_login(),
        body: comment.body.clone(),
        created_at: seconds(comment.created_at),
        updated_at: seconds(comment.updated_at),
    }
}

pub fn permission(permission: model::Permission) -> Permission {
    match permission {
        model::Permission::None => Permission::None,
        model::Permission::Read => Permission::Read,
        model::Permission::Triage => Permission::Triage,
        model::Permission::Write => Permission::Write,
        model::Permission::Maintain => Permission::Maintain,
        model::Permission::Admin => Permission::Admin,
    }
}

fn comparison(model: &Model, base: &str, head: &str) -> Fact {
    let ends = (model.history.resolve(base), model.history.resolve(head));
    let (Some(base), Some(head)) = ends else { return Fact::Absent(Absence::NotFound) };
    let Ok(found) = model.history.compare(&base, &head) else { return Fact::Absent(Absence::NotFound) };
    Fact::Comparison(Comparison {
        standing: match found.status() {
            "identical" => Standing::Identical,
            "ahead" => Standing::Ahead,
            "behind" => Standing::Behind,
            _ => Standing::Diverged,
        },
        total_commits: found.commits.len() as u64,
        commits: found.commits.iter().map(|c| commit(model, c)).collect(),
        files: ChangedFiles { files: files(&found.files), cut: false },
    })
}

fn run(model: &Model, run: &model::Run) -> RunSnapshot {
    RunSnapshot {
        id: RunId(run.id),
        attempt: 1,
        event: run.event.clone(),
        display_title: run.display_title.clone(),
        status: match (&run.state, run.state.conclusion()) {
            (RunState::Queued, _) => RunStatus::Queued,
            (RunState::InProgress { .. }, _) => RunStatus::InProgress,
            (_, Some("success")) => RunStatus::Succeeded,
            (_, Some("cancelled")) => RunStatus::Cancelled,
            (_, Some("failure")) => RunStatus::Failed,
            (_, _) => RunStatus::Other,
        },
        head_sha: Sha::parse(&run.head_sha),
        url: model.page_url(&format!("/actions/runs/{}", run.id)),
        created_at: seconds(run.created_at),
        updated_at: seconds(run.updated_at),
    }
}

/// The run that carries a key, if a list shows it by now.
pub fn run_by_key(scene: &Scene, key: &EffectKey, since: Timestamp) -> Option<RunSnapshot> {
    let listed = scene.model.runs.values().find(|run| {
        run.actor == scene.model.app.bot_login()
            && run.inputs.get("plimsoll_key").is_some_and(|found| found == key.as_str())
            && seconds(run.created_at) >= since.minus(CLOCKS_DIFFER)
            && run.created_at + scene.lag(run.id, run.created_at) <= scene.now
    });
    listed.map(|found| run(&scene.model, found))
}

/// Comments of a pull request that a probe sees.
pub fn probed_comments<'a>(
    scene: &'a Scene,
    effect: &Effect,
    number: u64,
    since: Timestamp,
) -> impl Iterator<Item = &'a model::Comment> {
    let _ = effect;
    scene.model.comments.values().filter(move |comment| {
        comment.number == number
            && comment.author == scene.model.app.bot_login()
            && seconds(comment.updated_at) >= since.minus(CLOCKS_DIFFER)
            && comment.created_at + scene.lag(comment.id, comment.created_at) <= scene.now
    })
}
