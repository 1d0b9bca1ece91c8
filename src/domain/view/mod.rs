//! What people see on GitHub, made from the state.
//!
//! Knows states and Markdown. Must never decide: a view is a function of the state alone, and what is published is
//! the difference between two views.

use super::effect::{Content, Publish, Target};
use super::state::State;
use serde::{Deserialize, Serialize};

pub mod card;
pub mod check;
pub mod comment;
pub mod deployment;
pub mod group;
pub mod hold;
pub mod release;
pub mod reply;
pub mod status;
pub mod why;

/// Everything that should stand on GitHub for a state.
pub fn of(state: &State) -> Vec<(Target, Content)> {
    match state {
        State::Repository(repository) => group::views(repository),
        State::PullRequest(pull) => {
            let mut views = check::views(pull);
            views.extend(hold::view(pull));
            views.extend(comment::view(pull));
            views.extend(reply::views(pull));
            views
        }
        State::Pipeline(pipeline) => {
            let mut views = deployment::views(pipeline);
            views.extend(card::views(pipeline));
            views
        }
    }
}

/// What was last asked to be published, by target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Published(Vec<PublishedView>);

/// One target's newest publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PublishedView {
    target: Target,
    generation: u64,
    content: Content,
}

/// How many targets are remembered that are no longer part of the view (check runs of earlier heads).
const PAST_KEPT: usize = 20;

/// What must be published so that GitHub shows `views`; writes down that it was asked for.
pub fn difference(published: &mut Published, views: Vec<(Target, Content)>) -> Vec<Publish> {
    let mut wanted = Vec::new();
    for (target, content) in &views {
        let known = published.0.iter_mut().find(|p| p.target == *target);
        let generation = match known {
            Some(known) if known.content == *content => continue,
            Some(known) => {
                known.content = content.clone();
                known.generation += 1;
                known.generation
            }
            None => {
                let new = PublishedView { target: target.clone(), generation: 1, content: content.clone() };
                published.0.push(new);
                1
            }
        };
        wanted.push(Publish { target: target.clone(), generation, content: content.clone() });
    }
    let is_past = |p: &PublishedView| !views.iter().any(|(target, _)| *target == p.target);
    let mut over = published.0.iter().filter(|p| is_past(p)).count().saturating_sub(PAST_KEPT);
    published.0.retain(|p| {
        let goes = over > 0 && is_past(p);
        over -= usize::from(goes);
        !goes
    });
    wanted
}

/// A link that may stand in Markdown: `http` or `https`, and nothing in it that would end the link.
pub fn link(url: &str) -> Option<&str> {
    let plain = url.bytes().all(|b| {
        b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'\\' | b'"' | b'`' | b'|')
    });
    let web = url.starts_with("https://") || url.starts_with("http://");
    (plain && web && url.len() <= 2_000).then_some(url)
}
