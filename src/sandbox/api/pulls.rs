//! Pull requests.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::{Answer, Call, Reply, bodies};
use crate::sandbox::history::MergeMethod;
use crate::sandbox::model::{PULL_COMMITS_MAX, PULL_FILES_MAX, Pull, PullEdit, PullWish, Refusal};

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let state = call.query("state").unwrap_or("open");
    let owner = &call.model.repository.owner;
    let mut found: Vec<&Pull> = call
        .model
        .pulls
        .values()
        .filter(|pull| match state {
            "all" => true,
            "closed" => !pull.is_open(),
            _ => pull.is_open(),
        })
        .filter(|pull| {
            call.query("head")
                .is_none_or(|head| head == format!("{}:{}", pull.fork_of.as_ref().unwrap_or(owner), pull.head_ref))
        })
        .filter(|pull| call.query("base").is_none_or(|base| base == pull.base_ref))
        .collect();
    let by_update = call.query("sort") == Some("updated");
    let time = |pull: &Pull| {
        if by_update { (pull.updated_at, pull.number) } else { (pull.created_at, pull.number) }
    };
    // Newest first, unless another order is asked for and no direction is.
    let ascending = match call.query("direction") {
        Some(direction) => direction == "asc",
        None => call.query("sort").is_some_and(|sort| sort != "created"),
    };
    if ascending {
        found.sort_by_key(|pull| time(pull));
    } else {
        found.sort_by_key(|pull| Reverse(time(pull)));
    }
    let (page, headers) = call.page(found);
    let mut reply = Reply::ok(page.iter().map(|pull| call.model.pull_simple_json(pull)).collect());
    reply.headers = headers;
    Ok(reply)
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let head = bodies::required_text(&body, "PullRequest", "head")?;
    let base = bodies::required_text(&body, "PullRequest", "base")?;
    let title = bodies::required_text(&body, "PullRequest", "title")?;
    let text = bodies::text(&body, "body")?;
    let draft = bodies::flag(&body, "draft")?.unwrap_or(false);
    let me = call.me();
    let number = call.model.open_pull(
        &PullWish { head: &head, base: &base, title: &title, body: text.as_deref(), author: &me, draft },
        call.now,
    )?;
    Ok(Reply::json(201, call.model.pull_json(call.model.pull(number)?)))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let pull = call.model.pull(call.number("pull_number")?)?;
    Ok(Reply::ok(call.model.pull_json(pull)))
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let number = call.number("pull_number")?;
    let body = call.body()?;
    let edit = PullEdit {
        title: bodies::text(&body, "title")?,
        body: bodies::text(&body, "body")?,
        base: bodies::text(&body, "base")?,
    };
    let me = call.me();
    call.model.edit_pull(number, edit, &me, call.now)?;
    match bodies::text(&body, "state")?.as_deref() {
        Some("closed") => call.model.close_pull(number, &me, call.now)?,
        Some("open") => call.model.reopen_pull(number, &me, call.now)?,
        Some(_) => return Err(Refusal::invalid("PullRequest", "state", "invalid")),
        None => {}
    }
    Ok(Reply::ok(call.model.pull_json(call.model.pull(number)?)))
}

pub(super) fn files(call: &mut Call<'_>) -> Answer {
    let number = call.number("pull_number")?;
    let comparison = call.model.pull_comparison(number)?;
    let all =
        comparison.files.iter().take(PULL_FILES_MAX).map(|file| call.model.file_json(file, &comparison.head)).collect();
    call.listed(all)
}

pub(super) fn commits(call: &mut Call<'_>) -> Answer {
    let comparison = call.model.pull_comparison(call.number("pull_number")?)?;
    let all = comparison.commits.iter().take(PULL_COMMITS_MAX).map(|commit| call.model.commit_json(commit)).collect();
    call.listed(all)
}

pub(super) fn reviews(call: &mut Call<'_>) -> Answer {
    let number = call.number("pull_number")?;
    call.model.pull(number)?;
    let all = call
        .model
        .reviews
        .values()
        .filter(|review| review.number == number)
        .map(|review| call.model.review_json(review))
        .collect();
    call.listed(all)
}

pub(super) fn merge(call: &mut Call<'_>) -> Answer {
    let number = call.number("pull_number")?;
    let body = call.body()?;
    let method = match bodies::text(&body, "merge_method")?.as_deref() {
        None | Some("merge") => MergeMethod::Merge,
        Some("squash") => MergeMethod::Squash,
        Some("rebase") => {
            return Err(Refusal::new(405, "Rebase merges are not allowed on this repository."));
        }
        Some(_) => return Err(Refusal::invalid("PullRequest", "merge_method", "invalid")),
    };
    let title = bodies::text(&body, "commit_title")?;
    let text = bodies::text(&body, "commit_message")?;
    let message = title.map(|title| format!("{title}\n\n{}", text.unwrap_or_default()));
    let expected = bodies::text(&body, "sha")?;
    let sha = call.model.merge_pull(number, method, message.as_deref(), expected.as_deref(), &call.me(), call.now)?;
    Ok(Reply::ok(json!({ "sha": sha, "merged": true, "message": "Pull Request successfully merged" })))
}

pub(super) fn of_commit(call: &mut Call<'_>) -> Answer {
    let name = call.text("commit_sha").to_owned();
    let sha = call
        .model
        .history
        .resolve(&name)
        .ok_or_else(|| Refusal::new(422, format!("No commit found for SHA: {name}")))?;
    let all: Vec<Value> = call
        .model
        .pulls_with_commit(&sha)
        .into_iter()
        .filter_map(|number| call.model.pulls.get(&number))
        .map(|pull| call.model.pull_simple_json(pull))
        .collect();
    call.listed(all)
}
