//! The repository: contents, commits, comparison, refs, and who may do what.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{Answer, Call, Reply, bodies};
use crate::sandbox::history::{Entry, ref_name_is_fine};
use crate::sandbox::model::{Permission, Refusal, encoded, encoded_path};

const COMPARED_FILES_MAX: usize = 300;
const COMPARED_COMMITS_MAX: usize = 250;

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    Ok(Reply::ok(call.model.repository_whole_json()))
}

pub(super) fn contents(call: &mut Call<'_>) -> Answer {
    let git_ref = call.query("ref").unwrap_or(&call.model.repository.default_branch).to_owned();
    let sha = call
        .model
        .history
        .resolve(&git_ref)
        .ok_or_else(|| Refusal::new(404, format!("No commit found for the ref {git_ref}")))?;
    let path = call.text("path").trim_matches('/').to_owned();
    let entry = call.model.history.read(&sha, &path).ok_or_else(Refusal::not_found)?;
    let shown = |path: &str, sha: &str, size: u64, kind: &str| -> Value {
        let model = &call.model;
        let escaped = encoded_path(path);
        let url = model.repository_url(&format!("/contents/{escaped}?ref={}", encoded(&git_ref)));
        let git = model.repository_url(&format!("/git/{}/{sha}", if kind == "dir" { "trees" } else { "blobs" }));
        let html = model.page_url(&format!(
            "/{}/{}/{escaped}",
            if kind == "dir" { "tree" } else { "blob" },
            encoded_path(&git_ref)
        ));
        let download = model.page_url(&format!("/raw/{}/{escaped}", encoded_path(&git_ref)));
        json!({
            "name": path.rsplit('/').next().unwrap_or(path),
            "path": path,
            "sha": sha,
            "size": size,
            "url": url,
            "html_url": html,
            "git_url": git,
            "download_url": if kind == "dir" { Value::Null } else { json!(download) },
            "type": kind,
            "_links": { "self": url, "git": git, "html": html },
        })
    };
    match entry {
        Entry::File { sha, bytes } => {
            let mut file = shown(&path, &sha, bytes.len() as u64, "file");
            // GitHub breaks base64 into lines of 60 characters.
            let text = BASE64_STANDARD.encode(&bytes);
            let lines: String =
                text.as_bytes().chunks(60).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
            let small = bytes.len() <= 1_000_000;
            file["content"] = json!(if small { lines } else { String::new() });
            file["encoding"] = json!(if small { "base64" } else { "none" });
            Ok(Reply::ok(file))
        }
        Entry::Directory(entries) => {
            let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
            let list = entries
                .iter()
                .map(|entry| {
                    shown(
                        &format!("{prefix}{}", entry.name),
                        &entry.sha,
                        entry.size,
                        if entry.is_directory { "dir" } else { "file" },
                    )
                })
                .collect();
            Ok(Reply::ok(Value::Array(list)))
        }
    }
}

fn resolved(call: &Call<'_>, name: &str) -> Result<String, Refusal> {
    call.model.history.resolve(name).ok_or_else(|| Refusal::new(422, format!("No commit found for SHA: {name}")))
}

pub(super) fn commits(call: &mut Call<'_>) -> Answer {
    let name = call.query("sha").unwrap_or(&call.model.repository.default_branch).to_owned();
    let sha = call.model.history.resolve(&name).ok_or_else(Refusal::not_found)?;
    let commits = call.model.history.log(&sha, 10_000);
    let (page, headers) = call.page(commits);
    let mut reply = Reply::ok(page.iter().map(|commit| call.model.commit_json(commit)).collect());
    reply.headers = headers;
    Ok(reply)
}

pub(super) fn commit(call: &mut Call<'_>) -> Answer {
    let sha = resolved(call, call.text("ref"))?;
    let commit = call.model.history.commit(&sha).ok_or_else(Refusal::not_found)?;
    let files = call.model.history.changes_of(&sha)?;
    let mut shown = call.model.commit_json(&commit);
    let additions: u64 = files.iter().map(|file| file.additions).sum();
    let deletions: u64 = files.iter().map(|file| file.deletions).sum();
    shown["stats"] = json!({ "additions": additions, "deletions": deletions, "total": additions + deletions });
    shown["files"] = files.iter().take(COMPARED_FILES_MAX).map(|file| call.model.file_json(file, &sha)).collect();
    Ok(Reply::ok(shown))
}

pub(super) fn compare(call: &mut Call<'_>) -> Answer {
    let text = call.text("basehead").to_owned();
    let (base, head) = text.split_once("...").ok_or_else(Refusal::not_found)?;
    let own = |name: &str| name.strip_prefix(&format!("{}:", call.model.repository.owner)).unwrap_or(name).to_owned();
    let base_sha = call.model.history.resolve(&own(base)).ok_or_else(Refusal::not_found)?;
    let head_sha = call.model.history.resolve(&own(head)).ok_or_else(Refusal::not_found)?;
    let comparison = call
        .model
        .history
        .compare(&base_sha, &head_sha)
        .map_err(|_| Refusal::new(404, format!("No common ancestor between {base} and {head}.")))?;
    let commit =
        |sha: &str| call.model.history.commit(sha).map_or(Value::Null, |commit| call.model.commit_json(&commit));
    let html = call.model.page_url(&format!("/compare/{}", encoded_path(&text)));
    // With `page` or `per_page` the commits are paged (and files come on the first page only);
    // without them GitHub shows the 250 that are nearest to the head.
    let paged = call.query("page").is_some() || call.query("per_page").is_some();
    let first_page = call.query_number("page", 1) <= 1;
    let total = comparison.commits.len();
    let (commits, headers) = if paged {
        call.page(comparison.commits.iter().collect::<Vec<_>>())
    } else {
        (comparison.commits.iter().skip(total.saturating_sub(COMPARED_COMMITS_MAX)).collect(), Vec::new())
    };
    let mut shown = json!({
        "url": call.model.repository_url(&format!("/compare/{}", encoded_path(&text))),
        "html_url": html,
        "permalink_url": call.model.page_url(&format!("/compare/{base_sha}...{head_sha}")),
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
        "base_commit": commit(&base_sha),
        "merge_base_commit": commit(&comparison.merge_base),
        "status": comparison.status(),
        "ahead_by": comparison.ahead_by,
        "behind_by": comparison.behind_by,
        "total_commits": total,
        "commits": commits.iter().map(|commit| call.model.commit_json(commit)).collect::<Vec<_>>(),
    });
    if first_page {
        shown["files"] = comparison
            .files
            .iter()
            .take(COMPARED_FILES_MAX)
            .map(|file| call.model.file_json(file, &head_sha))
            .collect();
    }
    let mut reply = Reply::ok(shown);
    reply.headers = headers;
    Ok(reply)
}

fn ref_json(call: &Call<'_>, name: &str, sha: &str) -> Value {
    json!({
        "ref": format!("refs/{name}"),
        "node_id": format!("REF_kwDO{}", call.model.repository.id),
        "url": call.model.repository_url(&format!("/git/refs/{}", encoded_path(name))),
        "object": { "sha": sha, "type": "commit", "url": call.model.repository_url(&format!("/git/commits/{sha}")) },
    })
}

pub(super) fn git_ref(call: &mut Call<'_>) -> Answer {
    let name = call.text("ref").to_owned();
    let sha = match name.split_once('/') {
        Some(("heads", branch)) => call.model.history.branch(branch),
        Some(("tags", tag)) => call.model.history.tag(tag),
        _ => None,
    };
    let sha = sha.ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(ref_json(call, &name, &sha)))
}

pub(super) fn branch(call: &mut Call<'_>) -> Answer {
    let name = call.text("branch").to_owned();
    let sha = call.model.history.branch(&name).ok_or_else(|| Refusal::new(404, "Branch not found"))?;
    let commit = call.model.history.commit(&sha).ok_or_else(Refusal::not_found)?;
    let url = call.model.repository_url(&format!("/branches/{}", encoded_path(&name)));
    Ok(Reply::ok(json!({
        "name": name,
        "commit": call.model.commit_json(&commit),
        "_links": { "self": url, "html": call.model.page_url(&format!("/tree/{}", encoded_path(&name))) },
        "protected": false,
        "protection": { "enabled": false },
        "protection_url": format!("{url}/protection"),
    })))
}

pub(super) fn create_ref(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let name = bodies::required_text(&body, "Reference", "ref")?;
    let sha = bodies::required_text(&body, "Reference", "sha")?;
    let Some(short) = name.strip_prefix("refs/") else {
        return Err(Refusal::new(422, "Reference name must start with 'refs/'."));
    };
    if call.model.history.commit(&sha).is_none() {
        return Err(Refusal::new(422, "Object does not exist"));
    }
    let made = match short.split_once('/') {
        Some((kind @ ("heads" | "tags"), rest)) if ref_name_is_fine(rest) => {
            let known = if kind == "heads" { call.model.history.branch(rest) } else { call.model.history.tag(rest) };
            if known.is_some() {
                return Err(Refusal::new(422, "Reference already exists"));
            }
            if kind == "heads" {
                call.model.force_push(rest, &sha, &call.me(), call.now)
            } else {
                Ok(call.model.history.set_tag(rest, &sha)?)
            }
        }
        _ => {
            return Err(Refusal::new(422, format!("{name} is not a valid ref name.")));
        }
    };
    made?;
    Ok(Reply::json(201, ref_json(call, short, &sha)))
}

pub(super) fn permission(call: &mut Call<'_>) -> Answer {
    let login = call.text("username").to_owned();
    let user =
        call.model.find_user(&login).ok_or_else(|| Refusal::new(404, format!("{login} is not a user")))?.login.clone();
    let permission = call.model.permission_of(&user);
    let mut shown = call.model.user_json(&user);
    shown["role_name"] = json!(permission.role());
    shown["permissions"] = json!({
        "admin": permission >= Permission::Admin,
        "maintain": permission >= Permission::Maintain,
        "push": permission >= Permission::Write,
        "triage": permission >= Permission::Triage,
        "pull": permission >= Permission::Read,
    });
    Ok(Reply::ok(json!({ "permission": permission.legacy(), "role_name": permission.role(), "user": shown })))
}

pub(super) fn membership(call: &mut Call<'_>) -> Answer {
    let team = call.model.teams.get(call.text("team_slug")).ok_or_else(Refusal::not_found)?;
    let login = call.text("username");
    let member =
        team.members.iter().find(|member| member.eq_ignore_ascii_case(login)).ok_or_else(Refusal::not_found)?;
    let url = format!("{}/organizations/1/team/{}/memberships/{}", call.model.api_url, team.id, encoded(member));
    Ok(Reply::ok(json!({ "url": url, "role": "member", "state": "active" })))
}

pub(super) fn members(call: &mut Call<'_>) -> Answer {
    let team = call.model.teams.get(call.text("team_slug")).ok_or_else(Refusal::not_found)?;
    let all = team.members.iter().map(|login| call.model.user_json(login)).collect();
    call.listed(all)
}
