//! Commands in comments: found, checked for permission, answered here or passed to a pipeline.
//!
//! Knows who wrote what. Must never decide what only a pipeline can know.

use super::*;
use crate::domain::chatops::{self, Reach, Verb};
use crate::domain::effect::Act;
use crate::domain::event::{Origin, PipelineCommand};
use crate::domain::facts::{Comment, Permission};

/// Whether a comment has commands at all.
pub(super) fn asks(body: &str) -> bool {
    !chatops::commands(body).commands.is_empty()
}

/// Whether one of a comment's commands asks to judge again.
pub(super) fn wants_recheck(body: &str) -> bool {
    chatops::commands(body).commands.iter().any(|c| matches!(c, Ok(Verb::Recheck)))
}

/// The comments with commands that this turn must obey, oldest first.
fn fresh<'a>(state: &PullState, event: &'a Event, facts: &'a Facts, now: Timestamp) -> Vec<&'a Comment> {
    let found = match event {
        Event::CommentCreated { comment } => vec![comment],
        Event::Look { .. }
        | Event::LookIfNewer { .. }
        | Event::ReviewChanged { .. }
        | Event::RecheckRequested { .. }
        | Event::PullChanged { .. } => match facts.comments(state.number, comments_since(state, now)) {
            Some(Ok(comments)) => comments.iter().collect(),
            Some(Err(_)) | None => Vec::new(),
        },
        Event::Pushed { .. }
        | Event::AccessChanged { .. }
        | Event::RunChanged { .. }
        | Event::EffectEnded { .. }
        | Event::ActionRequested { .. }
        | Event::GroupRequested { .. }
        | Event::GroupDestroyed { .. }
        | Event::LeftQueue { .. }
        | Event::ProtectionRequested { .. }
        | Event::Reported { .. }
        | Event::IssueClosed { .. }
        | Event::Signal(_) => Vec::new(),
    };
    let oldest_kept = match state.commands.len() >= COMMANDS_KEPT {
        true => state.commands.keys().next().copied(),
        false => None,
    };
    found
        .into_iter()
        .filter(|c| !c.by_bot && !state.commands.contains_key(&c.id))
        // Forgotten comments are old ones; they were obeyed when they were new.
        .filter(|c| oldest_kept.is_none_or(|oldest| c.id > oldest))
        // An edited comment never executes: what it says now is not what people saw when it was written.
        .filter(|c| c.updated_at == c.created_at || matches!(event, Event::CommentCreated { .. }))
        .filter(|c| asks(&c.body))
        .collect()
}

/// Whether a comment was read too late for commands that change something.
fn is_stale(comment: &Comment, now: Timestamp) -> bool {
    comment.created_at.plus(STALE_AFTER) <= now
}

/// What must be known to obey, given what is known already.
pub(super) fn needs(state: &PullState, event: &Event, facts: &Facts, now: Timestamp) -> Vec<Need> {
    let mut needs = Vec::new();
    for comment in fresh(state, event, facts, now) {
        let parsed = chatops::commands(&comment.body);
        let is_stale = is_stale(comment, now);
        let verbs: Vec<&Verb> = parsed.commands.iter().flatten().filter(|v| !is_stale || v.is_timeless()).collect();
        if verbs.iter().any(|verb| !matches!(verb, Verb::Help | Verb::Status | Verb::Risk | Verb::Why { .. })) {
            needs.push(Need::Permission { login: comment.by.clone() });
        }
        if verbs.iter().any(|verb| verb.reach() != Reach::PullRequest) {
            needs.push(Need::PolicyInForce);
        }
    }
    needs
}

/// Obeys the commands of every fresh comment, or says why not.
pub(super) fn apply(state: &mut PullState, event: &Event, facts: &Facts, now: Timestamp, heard: &mut Heard) {
    let fresh: Vec<Comment> = fresh(state, event, facts, now).into_iter().cloned().collect();
    if facts.comments(state.number, comments_since(state, now)).is_some_and(|found| found.is_ok()) {
        state.comments_until = now;
    }
    for comment in fresh {
        let key = EffectKey::new(format!("{}/comment-{}/reaction", state.repo, comment.id));
        heard.acts.push((key, Act::React { comment: comment.id }));
        let parsed = chatops::commands(&comment.body);
        let mut lines = Vec::new();
        for (index, command) in (0..).zip(parsed.commands) {
            lines.push(match command {
                Ok(verb) if is_stale(&comment, now) && !verb.is_timeless() => refuse_stale(&comment, &verb, now, heard),
                Ok(verb) => obey(state, &comment, index, verb, facts, heard),
                Err(problem) => Line { verb: None, answer: Some(format!("⛔ {problem}")), services: BTreeMap::new() },
            });
        }
        if parsed.left_out > 0 {
            let answer = format!(
                "⛔ A comment may hold {} commands; {} more were left out.",
                chatops::COMMANDS_MAX,
                parsed.left_out
            );
            lines.push(Line { verb: None, answer: Some(answer), services: BTreeMap::new() });
        }
        state.commands.insert(comment.id, Conversation { by: comment.by, at: comment.created_at, lines });
        while state.commands.len() > COMMANDS_KEPT {
            state.commands.pop_first();
        }
    }
}

fn obey(state: &mut PullState, comment: &Comment, index: u32, verb: Verb, facts: &Facts, heard: &mut Heard) -> Line {
    let name = verb.name().to_owned();
    heard.notes.push(format!("{} commands {name}", comment.by));
    let answer = match &verb {
        Verb::Help => Some(chatops::help()),
        Verb::Recheck => Some(recheck(state, comment, facts)),
        // Answered as soon as it was judged, when the view can say it.
        Verb::Risk => None,
        Verb::Plan(inner) if **inner == Verb::Recheck => Some(plan_recheck(state)),
        verb => match pass_on(state, comment, index, verb, facts, heard) {
            Ok(services) => {
                let open = state.pull.as_ref().is_some_and(|pull| pull.open);
                // One that has ended cannot end once more: such a hold lasts until its time is over or somebody resumes.
                if open && matches!(verb, Verb::Hold { .. }) {
                    state.holding.extend(services);
                }
                None
            }
            Err(why) => Some(format!("⛔ {why} Nothing was changed.")),
        },
    };
    Line { verb: Some(name), answer, services: BTreeMap::new() }
}

fn refuse_stale(comment: &Comment, verb: &Verb, now: Timestamp, heard: &mut Heard) -> Line {
    let (name, age) = (verb.name().to_owned(), now.since(comment.created_at));
    heard.notes.push(format!("{} commanded {name}, which was read only {age} later", comment.by));
    let answer = format!(
        "⛔ This was read only {age} after it was written, and a command that changes something counts for {STALE_AFTER}: \
         it is not obeyed now. If you still want it, write it in a new comment."
    );
    Line { verb: Some(name), answer: Some(answer), services: BTreeMap::new() }
}

/// Whether a command names a commit that a merge queue made: it is deployed only once it is on the default branch.
fn is_queued(verb: &Verb, policy: &PolicyInForce) -> bool {
    let verb = if let Verb::Plan(inner) = verb { inner } else { verb };
    let Verb::Deploy { what, .. } = verb else { return false };
    policy.queued.iter().any(|sha| sha.as_str().starts_with(what.as_str()))
}

fn permission(facts: &Facts, login: &Login) -> Permission {
    match facts.permission(login) {
        Some(Ok(permission)) => *permission,
        Some(Err(_)) | None => Permission::None,
    }
}

fn recheck(state: &PullState, comment: &Comment, facts: &Facts) -> String {
    let author = state.pull.as_ref().is_some_and(|pull| pull.author == comment.by);
    if !author && permission(facts, &comment.by) < Permission::Write {
        return format!(
            "⛔ {}, only the author and people with write permission may ask for a recheck. Nothing was changed.",
            crate::domain::markdown::mention(&comment.by)
        );
    }
    format!("🔁 Judged `{}` again.", judged_head(state))
}

fn plan_recheck(state: &PullState) -> String {
    format!(
        "🧭 A recheck would read the pull request, its files, its reviews and the policy afresh, and judge `{}` again. \
         Nothing was changed.",
        judged_head(state)
    )
}

fn judged_head(state: &PullState) -> &str {
    state.judged.as_ref().map_or("the head", |judged| judged.head_sha.short())
}

/// Passes a command to the pipelines it is for, and says which; refuses when there is none.
fn pass_on(
    state: &PullState,
    comment: &Comment,
    index: u32,
    verb: &Verb,
    facts: &Facts,
    heard: &mut Heard,
) -> Result<Vec<ServiceName>, String> {
    let policy = match facts.policy_in_force() {
        Some(Ok(Some(policy))) => policy,
        Some(Ok(None) | Err(_)) | None => {
            return Err("The policy of this repository was not read yet; try again in a minute.".into());
        }
    };
    let Some(pipeline) = &policy.policy.pipeline else {
        return Err("This repository's policy has no `pipeline`, so nothing is deployed from here.".into());
    };
    let named = verb.service();
    let all: Vec<&ServiceName> = policy.policy.services.iter().map(|s| &s.name).collect();
    let touched = state.judged.as_ref().map(|judged| judged.services.as_slice()).unwrap_or_default();
    let services: Vec<ServiceName> = match named {
        Some(name) if all.contains(&name) => vec![name.clone()],
        Some(name) => {
            let known: Vec<String> = all.iter().map(|s| crate::domain::markdown::code(s.as_str())).collect();
            return Err(format!(
                "There is no service {}; there is {}.",
                crate::domain::markdown::code(name.as_str()),
                known.join(", ")
            ));
        }
        // What moves a release must say whose, where the pull request does not.
        None if touched.is_empty() && all.len() > 1 && verb.reach() == Reach::TouchedOrNamed => {
            let known: Vec<String> = all.iter().map(|s| crate::domain::markdown::code(s.as_str())).collect();
            let known = known.join(", ");
            return Err(format!("This pull request touches no service; name one with `--service`: {known}."));
        }
        None if touched.is_empty() || verb.reach() == Reach::EveryService => all.into_iter().cloned().collect(),
        None => touched.to_vec(),
    };
    for service in &services {
        let command = PipelineCommand {
            origin: Origin::Comment { pull: state.number, comment: comment.id, index },
            speculative: is_queued(verb, policy),
            pull_open: state.pull.as_ref().is_some_and(|pull| pull.open),
            by: comment.by.clone(),
            permission: permission(facts, &comment.by),
            at: comment.created_at,
            verb: verb.clone(),
        };
        let lane = Subject::Pipeline { repo: state.repo.clone(), service: service.clone() };
        let plan = Box::new(judge::plan(policy, pipeline, service));
        let signal = Signal::Commanded { command: Box::new(command), plan };
        heard.forwards.push((lane, Event::Signal(signal)));
    }
    Ok(services)
}

/// Writes down what a pipeline answered.
pub(super) fn answered(state: &mut PullState, comment: CommentId, index: u32, from: &ServiceName, answer: &str) {
    let line = state.commands.get_mut(&comment).and_then(|c| c.lines.get_mut(index as usize));
    if let Some(line) = line {
        line.services.insert(from.clone(), answer.to_owned());
    }
}
