//! Judges a pull request: rules of the policy, risk, services; and hands it over when it is merged.
//!
//! Knows facts and the policy in force. Must never write a sentence for people: that is the view's.

use super::{mentions, *};
use crate::domain::event::{Change, Plan};
use crate::domain::facts::{Absence, ChangedFile, ChangedFiles, CommitSnapshot, FileStatus, Person, Review};
use crate::domain::markdown::text;
use crate::domain::policy::paths::{Patterns, irreversible_paths, touched_services};
use crate::domain::policy::{POLICY_PATH, Pipeline, RiskPolicy, Service, parse, rules};
use crate::domain::release::eyes::co_authors;
use crate::domain::risk::{self, Judgement, Model, Past, Reason, Verdict};

/// How many reasons of its risk a release is told.
const DRIVERS_MAX: usize = 3;

/// What is known of the files where they cannot be read.
static NO_FILES: ChangedFiles = ChangedFiles { files: Vec::new(), cut: true };

/// What must be known to judge, given what is known already.
pub(super) fn needs(state: &PullState, pull: &PullSnapshot, facts: &Facts) -> Vec<Need> {
    let number = state.number;
    let head_sha = pull.head_sha.clone();
    let mut needs = vec![Need::PolicyInForce, Need::PullFiles { number, head_sha: head_sha.clone() }];
    let Some(Ok(Some(policy))) = facts.policy_in_force().map(|r| r.map(Option::as_ref)) else { return needs };
    if pull.merged && !state.handed_over {
        needs.push(Need::PullCommits { number, head_sha: head_sha.clone() });
    }
    let files = match facts.pull_files(number, &head_sha) {
        Some(Ok(files)) => files,
        // Who approved, and what the history tells, counts all the same.
        Some(Err(_)) => &NO_FILES,
        None => return needs,
    };
    needs.push(Need::Past { number, head_sha: head_sha.clone(), base_ref: pull.base_ref.clone() });
    if edits_policy(files) {
        needs.push(Need::FileAt { path: POLICY_PATH.to_owned(), sha: head_sha });
    }
    if rules::wants_reviews(&policy.policy, files) {
        needs.push(Need::PullReviews { number });
        let reviews = reviews(state, facts);
        let subject = subject(pull, files, &reviews);
        let members = rules::memberships_wanted(&policy.policy, &subject);
        needs.extend(members.into_iter().map(|(team, login)| Need::TeamMember { team, login }));
        let writers = rules::permissions_wanted(&policy.policy, &subject);
        needs.extend(writers.into_iter().map(|login| Need::Permission { login }));
    }
    needs
}

fn subject<'a>(pull: &'a PullSnapshot, files: &'a ChangedFiles, reviews: &'a [Review]) -> rules::PullRequest<'a> {
    rules::PullRequest { title: &pull.title, body: &pull.body, author: &pull.author, files, reviews }
}

fn reviews(state: &PullState, facts: &Facts) -> Vec<Review> {
    match facts.pull_reviews(state.number) {
        Some(Ok(reviews)) => reviews.clone(),
        Some(Err(_)) | None => Vec::new(),
    }
}

fn edits_policy(files: &ChangedFiles) -> bool {
    files.files.iter().any(|f| f.path == POLICY_PATH && f.status != FileStatus::Removed)
}

/// Judges by the facts; without the policy it asks the repository's lane for it.
pub(super) fn apply(state: &mut PullState, pull: &PullSnapshot, facts: &Facts, now: Timestamp, heard: &mut Heard) {
    let policy = match facts.policy_in_force() {
        Some(Ok(Some(policy))) => policy.as_ref().clone(),
        Some(Ok(None) | Err(_)) | None => {
            state.policy_tries = (state.policy_tries + 1).min(POLICY_TRIES);
            let by = Subject::PullRequest { repo: state.repo.clone(), number: state.number };
            let lane = Subject::Repository { repo: state.repo.clone() };
            heard.forwards.push((lane, Event::Signal(Signal::PolicyWanted { by })));
            heard.notes.push("the policy is asked for".into());
            return;
        }
    };
    state.policy_tries = 0;
    let files = facts.pull_files(state.number, &pull.head_sha).and_then(Result::ok).unwrap_or(&NO_FILES);
    let member = |team: &TeamSlug, login: &Login| match facts.team_member(team, login) {
        Some(Ok(member)) => Some(*member),
        Some(Err(_)) | None => None,
    };
    let permission = |login: &Login| match facts.permission(login) {
        Some(Ok(permission)) => Some(*permission),
        Some(Err(_)) | None => None,
    };
    let people = rules::People { member: &member, permission: &permission };
    let reviews = reviews(state, facts);
    let files = &known_lines(files, pull);
    let verdict = verdict(state, pull, files, facts, &policy.policy.risk);
    heard.notes.push(format!("judged {}: {}", pull.head_sha.short(), in_short(&verdict.judgement)));
    state.judged = Some(Judged {
        head_sha: pull.head_sha.clone(),
        rules: rules::judge(&policy.policy, &subject(pull, files, &reviews), &people),
        policy_problems: policy.problems.clone(),
        policy_broken_by: policy.broken_by.clone(),
        proposed_policy: edits_policy(files).then(|| proposed(state, pull, facts)),
        verdict,
        services: touched_services(&policy.policy, files),
        files_cut: files.cut,
        policy,
        at: Some(now),
    });
    if pull.merged && !state.handed_over {
        hand_over(state, pull, files, facts, heard);
    }
}

/// Judges the risk, by the repository's history where there is one.
fn verdict(
    state: &mut PullState,
    pull: &PullSnapshot,
    files: &ChangedFiles,
    facts: &Facts,
    policy: &RiskPolicy,
) -> Verdict {
    let listed = risk::measure(files, &pull.title);
    let past = facts.past(state.number, &pull.head_sha, &pull.base_ref);
    let tries = match &past {
        Some(Ok(Past::Reading)) => (state.past_tries + 1).min(PAST_TRIES),
        Some(Ok(Past::Known(_)) | Err(_)) | None => 0,
    };
    state.past_tries = tries;
    let (model, paid, mut verdict) = match past {
        Some(Ok(Past::Known(known))) => {
            let model = known.model.as_deref().unwrap_or(Model::shipped());
            let mut verdict = risk::judge_with(model, &risk::completed(listed, known), policy);
            if let Judgement::Known { probability, .. } = &verdict.judgement {
                verdict.standing = risk::standing(*probability, &known.recent);
            }
            verdict.record = risk::record(known, policy);
            (model, known.paid.as_slice(), verdict)
        }
        Some(Ok(Past::Reading) | Err(_)) | None => (Model::shipped(), &[][..], risk::judge(&listed, policy)),
    };
    verdict.without_history = match past {
        Some(Ok(Past::Reading)) => Some("It is being read; the verdict is made anew when that is done.".to_owned()),
        Some(Err(Absence::Refused { message } | Absence::Unusable { message })) => Some(message.clone()),
        Some(Ok(Past::Known(_)) | Err(Absence::NotFound)) | None => None,
    };
    verdict.lower = risk::lower_with(model, paid, &verdict, policy);
    match &state.judged {
        Some(before) => risk::steady(&before.verdict, verdict, policy),
        None => verdict,
    }
}

/// GitHub reports no lines at all for very large diffs: files without lines that the pull request counts otherwise.
fn known_lines(files: &ChangedFiles, pull: &PullSnapshot) -> ChangedFiles {
    let listed: u64 = files.files.iter().map(|f| f.additions + f.deletions).sum();
    let counted = pull.additions.unwrap_or(0) + pull.deletions.unwrap_or(0);
    ChangedFiles { files: files.files.clone(), cut: files.cut || (listed == 0 && counted > 0) }
}

fn in_short(judgement: &Judgement) -> String {
    match judgement {
        Judgement::Known { probability, .. } => format!("risk {:.0} %", probability * 100.0),
        Judgement::Abstains { because } => format!("no risk told: {because}"),
    }
}

fn proposed(state: &PullState, pull: &PullSnapshot, facts: &Facts) -> Vec<Problem> {
    match facts.file_at(POLICY_PATH, &pull.head_sha) {
        Some(Ok(text)) => parse(text, POLICY_PATH, &state.repo).problems,
        Some(Err(Absence::Refused { message } | Absence::Unusable { message })) => {
            vec![Problem::error(format!("The proposed policy file cannot be read: {message}."))]
        }
        Some(Err(Absence::NotFound)) | None => Vec::new(),
    }
}

/// The reasons that weigh most, in Markdown, for instance `adds 412 lines (+8 points)`.
pub fn main_reasons(reasons: &[Reason], count: usize) -> Vec<String> {
    let weighty = reasons.iter().filter(|r| r.points.abs() >= 0.5);
    let points = |r: &Reason| if (0.5..1.5).contains(&r.points.abs()) { "point" } else { "points" };
    weighty.take(count).map(|r| format!("{} ({:+.0} {})", text(&r.text), r.points, points(r))).collect()
}

/// Tells the pipelines of the touched services that there is something to release.
fn hand_over(state: &mut PullState, pull: &PullSnapshot, files: &ChangedFiles, facts: &Facts, heard: &mut Heard) {
    let Some(judged) = &state.judged else { return };
    let policy = &judged.policy;
    state.handed_over = true;
    let (Some(pipeline), Some(sha)) = (&policy.policy.pipeline, &pull.merge_commit_sha) else { return };
    if pull.base_ref != policy.default_branch {
        heard.notes.push(format!("merged into {}, which is not released", pull.base_ref));
        return;
    }
    let commits = match facts.pull_commits(state.number, &pull.head_sha) {
        Some(Ok(commits)) => commits.as_slice(),
        Some(Err(_)) | None => &[],
    };
    let change = Change {
        pull: state.number,
        title: pull.title.clone(),
        author: pull.author.clone(),
        merged_by: pull.merged_by.clone(),
        people: people(commits),
        risk: match &judged.verdict.judgement {
            Judgement::Known { probability, band, .. } => Some((*probability, *band)),
            Judgement::Abstains { .. } => None,
        },
        sha: sha.clone(),
        drivers: match &judged.verdict.judgement {
            Judgement::Known { reasons, .. } => main_reasons(reasons, DRIVERS_MAX),
            Judgement::Abstains { .. } => Vec::new(),
        },
        issues: mentions::closes(&pull.body, &state.repo),
        irreversible: irreversible_paths(pipeline, files, &[]),
        files: 0,
        reverts: mentions::reverts(&pull.title, &pull.body, &state.repo),
    };
    for service in &judged.services {
        let lane = Subject::Pipeline { repo: state.repo.clone(), service: service.clone() };
        let files = policy.policy.service(service).map_or(0, |service| files_of(service, files));
        let plan = Box::new(plan(policy, pipeline, service));
        let change = Box::new(Change { files, ..change.clone() });
        let signal = Signal::ReleaseWanted { sha: sha.clone(), change, plan };
        heard.forwards.push((lane, Event::Signal(signal)));
    }
    heard.notes.push(format!("merged as {}; {} services are released", sha.short(), judged.services.len()));
}

/// What a release of a service keeps of the policy in force.
pub(super) fn plan(policy: &PolicyInForce, pipeline: &Pipeline, service: &ServiceName) -> Plan {
    Plan {
        pipeline: pipeline.clone(),
        risk: policy.policy.risk.clone(),
        policy: policy.blob.clone(),
        default_branch: policy.default_branch.clone(),
        paths: policy.policy.service(service).map(|service| service.paths.clone()).unwrap_or_default(),
    }
}

/// How many of the files belong to a service.
fn files_of(service: &Service, files: &ChangedFiles) -> u64 {
    let patterns = Patterns::new(&service.paths);
    let touches = |file: &&ChangedFile| service.paths.is_empty() || patterns.touches(file);
    files.files.iter().filter(touches).count() as u64
}

fn people(commits: &[CommitSnapshot]) -> Vec<Person> {
    let mut people: Vec<Person> = commits
        .iter()
        .flat_map(|c| [c.author.clone(), c.committer.clone()].into_iter().chain(co_authors(&c.message)))
        .collect();
    people.sort();
    people.dedup();
    people
}
