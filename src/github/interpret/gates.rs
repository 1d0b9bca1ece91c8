//! Deliveries at which somebody waits for our word: buttons on our check runs, merge groups, deployment protection rules,
//! and issues that we opened and that somebody has dealt with.
//!
//! Knows what of them is ours to answer for. Must never know the answer.

use super::super::wire::{is_service_name, key_in_body, rest::AppName};
use super::*;
use crate::domain::event::MergeGroup;

/// Longest identifier of a button, in characters; GitHub takes no more.
const IDENTIFIER_MAX: usize = 20;

/// Somebody pressed a button on a check run of a release.
pub(super) fn button(ours: &Interpreter, installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    #[derive(Deserialize)]
    struct CheckRun {
        name: Option<String>,
        head_sha: String,
        app: Option<AppName>,
    }
    #[derive(Deserialize)]
    struct Requested {
        identifier: Option<String>,
    }
    let (repo, _) = payload.repository()?;
    let run: CheckRun = section("check_run", payload.check_run)?;
    if !run.app.is_some_and(|app| app.is(&ours.issuer)) {
        return ignored("a button on another App's check run");
    }
    let Some(service) = run.name.as_deref().and_then(service_in_name) else {
        return ignored("a button on a check run that is not of a release");
    };
    let Some(head_sha) = Sha::parse(&run.head_sha) else {
        return ignored("a button on a check run whose `head_sha` is no hash");
    };
    let requested: Option<Requested> = optional("requested_action", payload.requested_action)?;
    let action = requested.and_then(|requested| requested.identifier).unwrap_or_default();
    if action.is_empty() || action.chars().count() > IDENTIFIER_MAX || action.contains(char::is_control) {
        return ignored("a button whose `identifier` is none of ours");
    }
    let Some(by) = payload.sender()? else { return ignored("a button that nobody pressed") };
    one(installation, Subject::Pipeline { repo, service }, Event::ActionRequested { action, head_sha, by })
}

/// The service in the name of a check run that has buttons: `plimsoll/release (api)`.
fn service_in_name(name: &str) -> Option<ServiceName> {
    let rest = name.strip_prefix("plimsoll/release (").or_else(|| name.strip_prefix("plimsoll/override ("))?;
    let service = rest.strip_suffix(')')?;
    is_service_name(service).then(|| ServiceName::new(service))
}

/// A merge queue wants a group checked, or is done with one.
pub(super) fn merge_group(installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    #[derive(Deserialize)]
    struct Group {
        head_sha: String,
        head_ref: String,
        base_sha: String,
        base_ref: String,
    }
    let action = payload.action()?;
    if !matches!(action.as_str(), "checks_requested" | "destroyed") {
        return ignored(nothing_follows("merge_group", &action));
    }
    let (repo, _) = payload.repository()?;
    let group: Group = section("merge_group", payload.merge_group)?;
    let sha = |text: &str, field| Sha::parse(text).ok_or_else(|| unfit("merge_group")(Unfit(field)));
    let branch = |text: &str| RefName::new(text.strip_prefix("refs/heads/").unwrap_or(text));
    let head_sha = sha(&group.head_sha, "head_sha")?;
    let event = if action == "destroyed" {
        Event::GroupDestroyed { head_sha, reason: payload.reason()? }
    } else {
        let base_sha = sha(&group.base_sha, "base_sha")?;
        let (base_ref, head_ref) = (branch(&group.base_ref), branch(&group.head_ref));
        Event::GroupRequested { group: MergeGroup { head_sha, base_sha, base_ref, head_ref } }
    };
    one(installation, Subject::Repository { repo }, event)
}

/// A workflow run waits at a protection rule of ours.
pub(super) fn protection_rule(
    ours: &Interpreter,
    installation: InstallationId,
    payload: &Payload<'_>,
) -> Read<Meaning> {
    #[derive(Deserialize)]
    struct Deployment {
        sha: String,
    }
    let action = payload.action()?;
    if action != "requested" {
        return ignored(nothing_follows("deployment_protection_rule", &action));
    }
    let (repo, _) = payload.repository()?;
    let environment: String = section("environment", payload.environment)?;
    if environment.is_empty() {
        return Err(Unreadable("`environment` does not hold what it should".to_owned()));
    }
    let deployment: Deployment = section("deployment", payload.deployment)?;
    let sha = Sha::parse(&deployment.sha).ok_or_else(|| unfit("deployment")(Unfit("sha")))?;
    let callback: String = section("deployment_callback_url", payload.deployment_callback_url)?;
    // What is answered goes to an address of our own making; this one only tells the run, and must agree with it.
    let run = run_called_back(&ours.api, &repo, &callback).ok_or_else(|| {
        Unreadable("`deployment_callback_url` is not of this repository at the GitHub that is set".to_owned())
    })?;
    let environment = EnvironmentName::new(environment);
    // What started the run. Where it is not said, it is taken for started by hand.
    let inputless = |event: &RawValue| matches!(event.get(), "\"push\"" | "\"schedule\"" | "\"release\"");
    let inputless = payload.event.is_some_and(inputless);
    one(installation, Subject::Repository { repo }, Event::ProtectionRequested { run, environment, sha, inputless })
}

/// The run in the one address at which GitHub may want the answer.
fn run_called_back(api: &str, repo: &RepoName, url: &str) -> Option<RunId> {
    let rest = url.strip_prefix(api)?;
    let parts: Vec<&str> = rest.split('/').collect();
    let ["", "repos", owner, name, "actions", "runs", run, "deployment_protection_rule"] = parts.as_slice() else {
        return None;
    };
    let here = RepoName::parse(&format!("{owner}/{name}")).is_some_and(|named| named == *repo);
    let run = Some(*run).filter(|run| run.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
    here.then_some(RunId(run))
}

/// Somebody closed an issue; it matters if we opened it for an override.
pub(super) fn issues(ours: &Interpreter, installation: InstallationId, payload: &Payload<'_>) -> Read<Meaning> {
    #[derive(Deserialize)]
    struct Issue {
        body: Option<String>,
        user: Option<Account>,
        performed_via_github_app: Option<AppName>,
    }
    let action = payload.action()?;
    if action != "closed" {
        return ignored(nothing_follows("issues", &action));
    }
    let (repo, _) = payload.repository()?;
    let issue: Issue = section("issue", payload.issue)?;
    // Anybody can copy a marker into an issue of their own.
    let by_us = issue.performed_via_github_app.is_some_and(|app| app.is(&ours.issuer));
    if !by_us || !issue.user.as_ref().is_some_and(Account::is_bot) {
        return ignored("an issue that somebody else opened");
    }
    let Some(key) = issue.body.as_deref().and_then(key_in_body) else {
        return ignored("an issue that carries no key");
    };
    let Some(service) = service_in_key(key, &repo) else {
        return ignored("an issue whose key is not of an override of this repository");
    };
    let Some(by) = payload.sender()? else { return ignored("an issue that nobody closed") };
    let key = EffectKey::new(key);
    one(installation, Subject::Pipeline { repo, service }, Event::IssueClosed { key, by })
}

/// The service in the key of an issue: `owner/repo/service/override-N/issue`.
fn service_in_key(key: &str, repo: &RepoName) -> Option<ServiceName> {
    let parts: Vec<&str> = key.split('/').collect();
    let [owner, name, service, what, "issue"] = parts.as_slice() else { return None };
    let number = what.strip_prefix("override-")?;
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let here = RepoName::parse(&format!("{owner}/{name}")).is_some_and(|named| named == *repo);
    (numbered && here && is_service_name(service)).then(|| ServiceName::new(*service))
}
