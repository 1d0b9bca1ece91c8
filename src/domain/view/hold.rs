//! The check run `plimsoll/hold`: whether anything keeps the pipelines that a pull request would go through.
//!
//! Knows what was judged. Must never decide what holds.

use crate::domain::effect::{CheckConclusion, CheckContent, Content, Target};
use crate::domain::facts::PullSnapshot;
use crate::domain::markdown::{clip, code};
use crate::domain::pull_request::{Judged, PullState, held_services};

/// Name of the check run for holds.
pub const HOLD_CHECK: &str = "plimsoll/hold";
/// Characters of a check run's title that people see.
const TITLE_CHARS: usize = 140;

/// The check run; `None` when the policy does not ask for it.
pub fn view(state: &PullState) -> Option<(Target, Content)> {
    let (pull, judged) = (state.pull.as_ref()?, state.judged.as_ref()?);
    judged.policy.policy.pipeline.as_ref().filter(|pipeline| pipeline.hold_check)?;
    let target = Target::CheckRun { name: HOLD_CHECK.to_owned(), head_sha: judged.head_sha.clone() };
    Some((target, Content::Check(check(pull, judged, state.rechecks))))
}

fn check(pull: &PullSnapshot, judged: &Judged, asked: u64) -> CheckContent {
    let held = held_services(pull, judged);
    let (conclusion, title, summary) = if held.is_empty() {
        let summary = "Nothing keeps the services that this pull request touches.";
        (CheckConclusion::Success, "Nothing is held".to_owned(), summary.to_owned())
    } else {
        let names: Vec<&str> = held.iter().map(|(service, _)| service.as_str()).collect();
        let mut summary = "What is merged now would wait, or stand in the way of a repair.\n".to_owned();
        for (service, lines) in &held {
            summary.push_str(&format!("\n{}:\n\n", code(service.as_str())));
            for line in lines.iter() {
                summary.push_str(&format!("- {}\n", line.replace('\n', " ")));
            }
        }
        (CheckConclusion::Failure, clip(&format!("Held: {}", names.join(", ")), TITLE_CHARS), summary)
    };
    CheckContent { conclusion, title, summary, text: None, annotations: Vec::new(), actions: Vec::new(), asked }
}
