//! What a command would do: the command itself, obeyed by a copy.
//!
//! Knows nothing of any one command. Must never let anything out of the copy.

use super::*;
use crate::domain::effect::Act;
use crate::domain::markdown::text;
use crate::domain::release::advance::settle;

/// Says what a command would come to; `None`: it is not a pipeline's to answer.
pub(super) fn foresee(
    state: &PipelineState,
    command: &PipelineCommand,
    verb: &Verb,
    plan: &Plan,
    facts: &Facts,
    now: Timestamp,
) -> Option<Outcome> {
    let mut copy = state.clone();
    let mut unsaid = Said::default();
    let outcome = outcome(&mut copy, command, verb, plan, facts, now, &mut unsaid)?;
    let answer = match outcome {
        Err(refusal) => {
            return Some(Ok(Answer::Final(format!("📝 {} would be refused: {refusal}", code(verb.name())))));
        }
        Ok(Answer::Status | Answer::Why { .. }) => "What it shows changes nothing; it needs no plan.".to_owned(),
        Ok(Answer::ForNow(text) | Answer::Final(text)) => text,
    };
    settle(&mut copy, now, &mut unsaid);
    let mut lines = vec![format!("📝 Plan only, nothing was changed. {} would answer:", code(verb.name()))];
    lines.push(answer.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n"));
    let acts: Vec<String> = unsaid.acts.iter().filter_map(|(_, act)| in_words(act)).collect();
    if acts.is_empty() {
        lines.push("Nothing would start now.".to_owned());
    } else {
        lines.push(format!("Then, at once:\n{}", acts.join("\n")));
    }
    Some(Ok(Answer::Final(lines.join("\n\n"))))
}

fn in_words(act: &Act) -> Option<String> {
    Some(match act {
        Act::CreateDeployment { sha, environment, .. } => {
            format!("- a deployment of {} to {} begins", code(sha.short()), code(environment.as_str()))
        }
        Act::DispatchWorkflow { workflow, inputs, .. } => {
            let to = inputs.get("environment").map_or(String::new(), |name| format!(" for {}", code(name)));
            format!("- workflow {} is dispatched{to}", code(workflow.as_str()))
        }
        Act::CancelRun { run } => format!("- workflow run {run} is cancelled"),
        Act::OpenIssue { title, .. } => format!("- an issue is opened: {}", text(title)),
        Act::RevertPull { pull, .. } => format!("- a draft pull request that reverts #{pull} is opened"),
        Act::AnswerProtection { run, .. } => format!("- workflow run {run} is answered at its protection rule"),
        Act::React { .. } => return None,
    })
}
