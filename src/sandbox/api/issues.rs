//! Issues, comments, reactions, labels.

use serde_json::Value;

use super::{Answer, Call, Reply, bodies};
use crate::sandbox::model::Refusal;

fn known(call: &Call<'_>) -> Result<u64, Refusal> {
    let number = call.number("issue_number")?;
    if call.model.has_number(number) { Ok(number) } else { Err(Refusal::not_found()) }
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let title = bodies::required_text(&body, "Issue", "title")?;
    let text = bodies::text(&body, "body")?;
    let labels: Vec<String> = bodies::list(&body, "labels")?
        .into_iter()
        .flatten()
        .filter_map(|label| label.as_str().or_else(|| label.get("name").and_then(Value::as_str)))
        .map(str::to_owned)
        .collect();
    let number = call.model.open_issue(&title, text.as_deref(), &labels, &call.me(), call.now)?;
    Ok(Reply::json(201, call.model.issue_json(number)))
}

/// Issues and pull requests, as GitHub lists them together.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let since = match call.query("since") {
        None => i64::MIN,
        Some(text) => {
            text.parse::<jiff::Timestamp>().map_err(|_| Refusal::invalid("Issue", "since", "invalid"))?.as_millisecond()
        }
    };
    let state = call.query("state").unwrap_or("open");
    let fits = |open: bool, author: &str, updated_at: i64| {
        (state == "all" || (state == "open") == open)
            && call.query("creator").is_none_or(|creator| creator.eq_ignore_ascii_case(author))
            && updated_at.div_euclid(1000) >= since.div_euclid(1000)
    };
    let issues = call.model.listed_issues(call.now).into_iter();
    let issues = issues.filter(|issue| fits(issue.closed_at.is_none(), &issue.author, issue.updated_at));
    let pulls = call.model.pulls.values().filter(|pull| fits(pull.is_open(), &pull.author, pull.updated_at));
    let by_update = call.query("sort") == Some("updated");
    let mut found: Vec<(i64, u64)> = issues
        .map(|issue| (if by_update { issue.updated_at } else { issue.created_at }, issue.number))
        .chain(pulls.map(|pull| (if by_update { pull.updated_at } else { pull.created_at }, pull.number)))
        .collect();
    found.sort_unstable();
    if call.query("direction") != Some("asc") {
        found.reverse();
    }
    let all = found.into_iter().map(|(_, number)| call.model.issue_json(number)).collect();
    call.listed(all)
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let number = call.number("issue_number")?;
    if !call.model.issues.contains_key(&number) {
        return Err(Refusal::not_found());
    }
    let me = call.me();
    match bodies::text(&call.body()?, "state")?.as_deref() {
        Some("closed") => call.model.close_issue(number, &me, call.now)?,
        Some("open") => call.model.reopen_issue(number, &me, call.now)?,
        Some(_) => return Err(Refusal::invalid("Issue", "state", "invalid")),
        None => {}
    }
    Ok(Reply::ok(call.model.issue_json(number)))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let number = known(call)?;
    Ok(Reply::ok(call.model.issue_json(number)))
}

pub(super) fn comments(call: &mut Call<'_>) -> Answer {
    let number = known(call)?;
    let since = match call.query("since") {
        None => i64::MIN,
        Some(text) => text
            .parse::<jiff::Timestamp>()
            .map_err(|_| Refusal::invalid("IssueComment", "since", "invalid"))?
            .as_millisecond(),
    };
    let all = call
        .model
        .comments_of(number, call.now)
        .into_iter()
        // GitHub compares in whole seconds, and what is exactly at `since` is in.
        .filter(|comment| comment.updated_at.div_euclid(1000) >= since.div_euclid(1000))
        .map(|comment| call.model.comment_json(comment))
        .collect();
    call.listed(all)
}

pub(super) fn create_comment(call: &mut Call<'_>) -> Answer {
    let number = known(call)?;
    let text = bodies::required_text(&call.body()?, "IssueComment", "body")?;
    let id = call.model.comment(number, &call.me(), &text, call.now)?;
    shown(call, id, 201)
}

pub(super) fn comment(call: &mut Call<'_>) -> Answer {
    let id = call.number("comment_id")?;
    shown(call, id, 200)
}

pub(super) fn update_comment(call: &mut Call<'_>) -> Answer {
    let id = call.number("comment_id")?;
    let text = bodies::required_text(&call.body()?, "IssueComment", "body")?;
    call.model.edit_comment(id, &text, &call.me(), call.now)?;
    shown(call, id, 200)
}

pub(super) fn delete_comment(call: &mut Call<'_>) -> Answer {
    let id = call.number("comment_id")?;
    call.model.delete_comment(id, &call.me(), call.now)?;
    Ok(Reply::empty(204))
}

fn shown(call: &Call<'_>, id: u64, status: u16) -> Answer {
    let comment = call.model.comments.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::json(status, call.model.comment_json(comment)))
}

pub(super) fn reactions(call: &mut Call<'_>) -> Answer {
    let id = call.number("comment_id")?;
    if !call.model.comments.contains_key(&id) {
        return Err(Refusal::not_found());
    }
    let all = call
        .model
        .reactions
        .values()
        .filter(|reaction| {
            reaction.comment == id && call.query("content").is_none_or(|content| content == reaction.content)
        })
        .map(|reaction| call.model.reaction_json(reaction))
        .collect();
    call.listed(all)
}

pub(super) fn react(call: &mut Call<'_>) -> Answer {
    let comment = call.number("comment_id")?;
    let content = bodies::required_text(&call.body()?, "Reaction", "content")?;
    let (id, new) = call.model.react(comment, &call.me(), &content, call.now)?;
    let reaction = call.model.reactions.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::json(if new { 201 } else { 200 }, call.model.reaction_json(reaction)))
}

fn labels_of(call: &Call<'_>, number: u64) -> Vec<Value> {
    let names = match (call.model.pulls.get(&number), call.model.issues.get(&number)) {
        (Some(pull), _) => &pull.labels,
        (None, Some(issue)) => &issue.labels,
        (None, None) => return Vec::new(),
    };
    names.iter().map(|name| call.model.label_json(name)).collect()
}

pub(super) fn labels(call: &mut Call<'_>) -> Answer {
    let number = known(call)?;
    call.listed(labels_of(call, number))
}

pub(super) fn add_labels(call: &mut Call<'_>) -> Answer {
    let number = known(call)?;
    let body: Value =
        serde_json::from_slice(&call.request.body).map_err(|_| Refusal::new(400, "Problems parsing JSON"))?;
    let list = match &body {
        Value::Array(labels) => Some(labels),
        other => bodies::list(other, "labels")?,
    };
    for label in list.into_iter().flatten() {
        let name = label
            .as_str()
            .or_else(|| label.get("name").and_then(Value::as_str))
            .ok_or_else(|| Refusal::invalid("Label", "name", "invalid"))?;
        call.model.label(number, name, &call.model.app.bot_login(), call.now)?;
    }
    Ok(Reply::ok(Value::Array(labels_of(call, number))))
}

pub(super) fn remove_label(call: &mut Call<'_>) -> Answer {
    let number = known(call)?;
    let name = call.text("name").to_owned();
    call.model.unlabel(number, &name, &call.me(), call.now)?;
    Ok(Reply::ok(Value::Array(labels_of(call, number))))
}
