//! The result comment of the commands in one comment.
//!
//! Knows what was commanded and answered. Must never decide anything.

use crate::domain::effect::{Content, Target};
use crate::domain::markdown::code;
use crate::domain::pull_request::{Conversation, Line, PullState};

/// One result comment for each comment with commands.
pub fn views(state: &PullState) -> Vec<(Target, Content)> {
    let number = state.number;
    state
        .commands
        .iter()
        .filter_map(|(comment, said)| {
            let text = text(said)?;
            Some((Target::Reply { number, comment: *comment }, Content::Comment(text)))
        })
        .collect()
}

/// The text; `None` while there is nothing to say yet: one comment later beats two now.
fn text(said: &Conversation) -> Option<String> {
    let parts: Vec<String> = said.lines.iter().filter_map(line).collect();
    if parts.is_empty() {
        return None;
    }
    Some(parts.join("\n\n"))
}

fn line(line: &Line) -> Option<String> {
    if let Some(answer) = &line.answer {
        return Some(answer.clone());
    }
    match line.services.len() {
        0 => None,
        1 => line.services.values().next().cloned(),
        _ => {
            let parts =
                line.services.iter().map(|(service, answer)| format!("**{}**\n\n{answer}", code(service.as_str())));
            Some(parts.collect::<Vec<_>>().join("\n\n"))
        }
    }
}
