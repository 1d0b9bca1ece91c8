//! The check runs `plimsoll/policy` and `plimsoll/risk`.
//!
//! Knows what was found of a head. Must never decide what is found.

use crate::domain::effect::{Annotation, AnnotationLevel, CheckConclusion, CheckContent, Content, Target};
use crate::domain::markdown::text;
use crate::domain::policy::rules::{Outcome, RuleResult};
use crate::domain::policy::{Band, POLICY_PATH};
use crate::domain::problem::{Problem, Severity};
use crate::domain::pull_request::{Judged, PullState};
use crate::domain::risk::Judgement;

/// Name of the check run for the rules of the policy.
pub const POLICY_CHECK: &str = "plimsoll/policy";
/// Name of the check run for risk.
pub const RISK_CHECK: &str = "plimsoll/risk";

/// Both check runs of the head that was judged.
pub fn views(state: &PullState) -> Vec<(Target, Content)> {
    let (Some(pull), Some(judged)) = (&state.pull, &state.judged) else { return Vec::new() };
    let target = |name: &str| Target::CheckRun { name: name.to_owned(), head_sha: judged.head_sha.clone() };
    vec![
        (target(POLICY_CHECK), Content::Check(policy(judged, pull.draft, state.rechecks))),
        (target(RISK_CHECK), Content::Check(risk(judged, state.rechecks))),
    ]
}

fn policy(judged: &Judged, draft: bool, asked: u64) -> CheckContent {
    let proposed = judged.proposed_policy.as_deref().unwrap_or_default();
    let broken = proposed.iter().filter(|p| p.severity == Severity::Error).count();
    let count = |wanted: Outcome| judged.rules.iter().filter(|r| r.outcome == wanted).count();
    let conclusion = match (draft, count(Outcome::Fail) + count(Outcome::Pending) + broken > 0) {
        (false, true) => CheckConclusion::Failure,
        // Neutral would let it pass where the check is required, in the moment after it became ready for review.
        (true, true) => CheckConclusion::ActionRequired,
        (true | false, false) => CheckConclusion::Success,
    };
    let mut title = findings(judged);
    if draft {
        title.push_str(" (draft)");
    }
    CheckContent {
        conclusion,
        title: sentence_case(&title),
        summary: policy_summary(judged),
        text: None,
        annotations: proposed.iter().filter_map(annotation).collect(),
        actions: Vec::new(),
        asked,
    }
}

/// What the rules found, in a few words, for instance `2 rules not met, 1 rule waiting for a review`.
pub fn findings(judged: &Judged) -> String {
    let proposed = judged.proposed_policy.as_deref().unwrap_or_default();
    let broken = proposed.iter().any(|p| p.severity == Severity::Error);
    let count = |wanted: Outcome| judged.rules.iter().filter(|r| r.outcome == wanted).count();
    let (failed, pending, warned) = (count(Outcome::Fail), count(Outcome::Pending), count(Outcome::Warn));
    let mut parts = Vec::new();
    let rules = |n: usize| if n == 1 { "1 rule".to_owned() } else { format!("{n} rules") };
    if broken {
        parts.push("the proposed policy file is broken".to_owned());
    }
    if failed > 0 {
        parts.push(format!("{} not met", rules(failed)));
    }
    if pending > 0 {
        parts.push(format!("{} waiting for a review", rules(pending)));
    }
    if warned > 0 {
        parts.push(format!("{} with a warning", rules(warned)));
    }
    if parts.is_empty() {
        parts.push(if judged.rules.is_empty() { "no rules".to_owned() } else { "all rules are met".to_owned() });
    }
    parts.join(", ")
}

fn policy_summary(judged: &Judged) -> String {
    let mut out = String::new();
    if !judged.policy_problems.is_empty() {
        let by = judged
            .policy_broken_by
            .as_ref()
            .map_or(String::new(), |by| format!(" since {} pushed it", text(by.as_str())));
        out.push_str(&format!(
            "> [!WARNING]\n> The policy file on the default branch is broken{by}. The last good one stays in force.\n"
        ));
        for problem in judged.policy_problems.iter().take(5) {
            out.push_str(&format!(">\n> - {problem}\n"));
        }
        out.push('\n');
    }
    match &judged.proposed_policy {
        Some(problems) if problems.is_empty() => {
            out.push_str(&format!("This pull request changes `{POLICY_PATH}`; the new file is good. The one on the default branch judges it.\n\n"));
        }
        Some(problems) => {
            out.push_str(&format!("This pull request changes `{POLICY_PATH}`, and the new file has problems:\n\n"));
            for problem in problems.iter().take(20) {
                out.push_str(&format!("- {problem}\n"));
            }
            out.push('\n');
        }
        None => {}
    }
    if judged.files_cut {
        out.push_str(
            "GitHub did not list all changed files, so every service counts as touched and sizes are unknown.\n\n",
        );
    }
    if judged.rules.is_empty() {
        out.push_str(&format!(
            "There are no rules. They live in `{POLICY_PATH}` on the default branch, under `checks`.\n"
        ));
        return out;
    }
    out.push_str("| | Rule | What was found |\n|---|---|---|\n");
    for rule in &judged.rules {
        let words = format!("{} {}", rule.explanation, rule.how_to_mend.as_deref().unwrap_or_default());
        let cell = words.trim().replace('|', "\\|").replace('\n', " ");
        out.push_str(&format!("| {} | {} | {cell} |\n", sign(rule), text(&rule.name)));
    }
    out
}

fn sign(rule: &RuleResult) -> &'static str {
    match rule.outcome {
        Outcome::Pass => "✅",
        Outcome::Warn => "⚠️",
        Outcome::Pending => "🕓",
        Outcome::Fail => "❌",
    }
}

fn annotation(problem: &Problem) -> Option<Annotation> {
    let place = problem.place.as_ref()?;
    Some(Annotation {
        path: place.path.clone(),
        line: place.line,
        column: Some(place.column),
        level: match problem.severity {
            Severity::Error => AnnotationLevel::Failure,
            Severity::Warning => AnnotationLevel::Warning,
        },
        message: problem.message.clone(),
    })
}

fn risk(judged: &Judged, asked: u64) -> CheckContent {
    let (conclusion, title) = match &judged.verdict.judgement {
        Judgement::Known { probability, band, .. } => {
            let blocks = judged.policy.policy.risk.block.is_some_and(|from| *band >= from);
            let conclusion = if blocks { CheckConclusion::Failure } else { CheckConclusion::Neutral };
            (conclusion, format!("{} risk, {}", band_name(*band), percent(*probability)))
        }
        Judgement::Abstains { .. } => (CheckConclusion::Neutral, "Risk unknown".to_owned()),
    };
    CheckContent {
        conclusion,
        title,
        summary: risk_summary(judged),
        text: None,
        annotations: Vec::new(),
        actions: Vec::new(),
        asked,
    }
}

/// The answer to `risk`: band, probability, every reason, what would lower it, or why it is not known.
pub fn risk_answer(judged: &Judged) -> String {
    let head = match &judged.verdict.judgement {
        Judgement::Known { probability, band, .. } => {
            format!("**{} risk: {}** of `{}`", band_name(*band), percent(*probability), judged.head_sha.short())
        }
        Judgement::Abstains { .. } => format!("**Risk unknown** of `{}`", judged.head_sha.short()),
    };
    let mut out = format!("{head}\n\n{}", risk_summary(judged));
    let lower = &judged.verdict.lower;
    if !lower.is_empty() {
        out.push_str("\nWhat would lower it, all else left as it is:\n\n");
        for lowering in lower {
            out.push_str(&format!("- {}: {}\n", text(&lowering.text), percent(lowering.probability)));
        }
    }
    out.trim_end().to_owned()
}

fn risk_summary(judged: &Judged) -> String {
    let mut out = match &judged.verdict.judgement {
        Judgement::Known { probability, base, reasons, .. } => {
            let mut out = format!(
                "{} of changes like this one need a fix, a revert or a rollback.\n\n| Points | Why |\n|---:|---|\n| {base:.1} | every change starts here |\n",
                percent(*probability)
            );
            for reason in reasons {
                out.push_str(&format!("| {:+.1} | {} |\n", reason.points, text(&reason.text)));
            }
            out.push_str(&format!("| **{:.1}** | **in a hundred** |\n", probability * 100.0));
            out
        }
        Judgement::Abstains { because } => format!("{because}\n"),
    };
    if let Some(band) = judged.policy.policy.risk.block {
        out.push_str(&format!("\nThe policy blocks from {} risk on.\n", band_name(band).to_lowercase()));
    }
    let around = super::comment::around(&judged.verdict);
    if !around.is_empty() {
        out.push_str(&format!("\n{}\n", around.trim_start()));
    }
    out.push_str(&format!("\nModel: {}.\n", text(&judged.verdict.model)));
    out
}

/// A band's name, for instance `High`.
pub fn band_name(band: Band) -> &'static str {
    match band {
        Band::Low => "Low",
        Band::Moderate => "Moderate",
        Band::High => "High",
        Band::Critical => "Critical",
    }
}

/// A probability as people read it; never a bare 0 or 100.
pub fn percent(probability: f64) -> String {
    let percent = probability * 100.0;
    if percent < 1.0 {
        "under 1 %".to_owned()
    } else if percent > 99.0 {
        "over 99 %".to_owned()
    } else {
        format!("{percent:.0} %")
    }
}

fn sentence_case(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
