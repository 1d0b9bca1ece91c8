//! The one living comment of a pull request, to be read in ten seconds.
//!
//! Knows what was judged and what the pipelines said. Must never decide anything.

use super::check::{POLICY_CHECK, band_name, findings, percent};
use super::release::row;
use crate::domain::effect::{Content, Target};
use crate::domain::facts::PullSnapshot;
use crate::domain::ids::{ServiceName, Span, Timestamp};
use crate::domain::markdown::{code, in_table, text};
use crate::domain::policy::rules::Outcome;
use crate::domain::policy::{Band, EnvironmentPolicy, Freeze, POLICY_PATH, windows};
use crate::domain::pull_request::{Judged, PullState, main_reasons};
use crate::domain::release::gate::who_may;
use crate::domain::risk::{Judgement, Verdict};

/// The least policy file that deploys, for repositories without one.
const BEGINNING: &str = "version: 1
pipeline:
  trigger: { workflow: deploy.yml }  # your workflow; it gets `environment`, `service`, `sha` and more as inputs
  environments:
    - name: staging
    - name: production
      approval: { count: 1 }
";

/// From when before its beginning a freeze is told.
const FREEZE_NEAR: Span = Span::hours(14 * 24);

/// The comment; `None` while nothing was judged.
pub fn view(state: &PullState) -> Option<(Target, Content)> {
    let (pull, judged) = (state.pull.as_ref()?, state.judged.as_ref()?);
    let mut parts = vec![risk(judged)];
    parts.extend(policy_notes(judged));
    parts.extend(state.left_queue.as_ref().filter(|_| pull.open).map(super::group::left_queue));
    parts.push(after(state, pull, judged));
    parts.push("<sub>`/plimsoll help` lists what can be asked here.</sub>".to_owned());
    Some((Target::LivingComment { number: state.number }, Content::Comment(parts.join("\n\n"))))
}

fn risk(judged: &Judged) -> String {
    match &judged.verdict.judgement {
        Judgement::Known { probability, band, reasons, .. } => {
            let mut out = format!("### {} {} risk: {}", lamp(*band), band_name(*band), percent(*probability));
            out.push_str("\n\nThat many of changes like this one need a fix, a revert or a rollback.");
            let reasons = main_reasons(reasons, 3);
            if !reasons.is_empty() {
                out.push_str(" What weighs most:\n");
                for reason in reasons {
                    out.push_str(&format!("\n- {reason}"));
                }
            }
            out.push_str(&around(&judged.verdict));
            out
        }
        Judgement::Abstains { because } => format!("### ⚪ Risk unknown\n\n{because}{}", around(&judged.verdict)),
    }
}

/// Where a verdict stands, what became of earlier ones, and what it was made without; empty when nothing is known.
pub fn around(verdict: &Verdict) -> String {
    let standing = verdict.standing.map(|standing| format!("That is {}.", standing.words()));
    let without = verdict
        .without_history
        .as_deref()
        .map(|because| format!("Judged without this repository's history: {}", text(because)));
    let parts: Vec<String> = [standing, verdict.record.as_deref().map(text), without].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("\n\n{}", parts.join(" ")) }
}

fn lamp(band: Band) -> &'static str {
    match band {
        Band::Low => "🟢",
        Band::Moderate => "🟡",
        Band::High => "🟠",
        Band::Critical => "🔴",
    }
}

/// What the rules want, when they want something; the check run has the rest.
fn policy_notes(judged: &Judged) -> Vec<String> {
    let mut notes = Vec::new();
    let proposed = judged.proposed_policy.as_deref().unwrap_or_default();
    let unmet = judged.rules.iter().any(|r| matches!(r.outcome, Outcome::Fail | Outcome::Pending | Outcome::Warn));
    if unmet || !proposed.is_empty() {
        notes.push(format!("**Policy**: {}; the check `{POLICY_CHECK}` says how to mend it.", findings(judged)));
    }
    if !judged.policy_problems.is_empty() {
        notes.push(format!(
            "⚠️ The policy file on the default branch is broken; the last good one stays in force. The check \
             `{POLICY_CHECK}` says where."
        ));
    }
    notes
}

fn after(state: &PullState, pull: &PullSnapshot, judged: &Judged) -> String {
    if !pull.open && !pull.merged {
        return "Closed without merging; nothing is released.".into();
    }
    if pull.merged && !state.releases.is_empty() {
        return happened(state);
    }
    let Some(pipeline) = &judged.policy.policy.pipeline else {
        return format!(
            "Nothing is deployed from here: there is no `pipeline` in `{POLICY_PATH}` on the default branch.\n\n\
             <details><summary>How to begin</summary>\n\n```yaml\n{BEGINNING}```\n\n</details>"
        );
    };
    if pull.base_ref != judged.policy.default_branch {
        return format!(
            "It goes into {}, not into {}: nothing is released.",
            code(pull.base_ref.as_str()),
            code(judged.policy.default_branch.as_str())
        );
    }
    if judged.services.is_empty() {
        return "It touches no service: nothing is released.".into();
    }
    let lead =
        if pull.merged { "**Merged**: it is released now." } else { "**After the merge** it is released by itself:" };
    let mut out = format!("{lead}\n\n| Service | Way |\n|---|---|\n");
    let way: Vec<String> = pipeline.environments.iter().map(|policy| environment(policy, judged.at)).collect();
    for service in &judged.services {
        out.push_str(&format!("| {} | {} |\n", code(service.as_str()), in_table(&way.join(" → "))));
    }
    out.trim_end().to_owned()
}

/// What a release meets in an environment; `now` is when the pull request was judged.
fn environment(policy: &EnvironmentPolicy, now: Option<Timestamp>) -> String {
    let mut notes = Vec::new();
    if let Some(requirement) = &policy.approval {
        notes.push(format!("approval of {} by {}", requirement.count, who_may(requirement)));
    }
    if policy.rollout.len() > 1 {
        let steps: Vec<String> =
            policy.rollout.iter().map(|portion| crate::domain::markdown::text(&portion.to_string())).collect();
        notes.push(steps.join(", "));
    }
    if policy.bake.0 > 0 {
        notes.push(format!("bakes {}", policy.bake));
    }
    let verified: Vec<String> = policy.verify.iter().filter(|v| !v.dry_run).map(|v| code(&v.name)).collect();
    if !verified.is_empty() {
        notes.push(format!("verified by {}", verified.join(", ")));
    }
    let windows: Vec<String> = policy.windows.iter().map(|window| code(&window.text)).collect();
    if !windows.is_empty() {
        notes.push(format!("only {}", windows.join(" or ")));
    }
    let is_near = |freeze: &&Freeze| now.is_some_and(|now| freeze.from <= now.plus(FREEZE_NEAR) && now < freeze.to);
    let freezes = policy.freezes.iter().filter(is_near);
    if let Some(freeze) = freezes.min_by_key(|freeze| freeze.from) {
        let (from, to) = (windows::shown(freeze.from, &freeze.zone), windows::shown(freeze.to, &freeze.zone));
        let pass = match freeze.pass {
            None => String::new(),
            Some(Band::Low) => ", but for low risk".to_owned(),
            Some(band) => format!(", but for {} risk or lower", band.word()),
        };
        notes.push(format!("frozen from {from} until {to}{pass}: {}", text(&freeze.reason)));
    }
    for raise in &policy.when_risk {
        let approvals = raise.approvals.map(|count| format!("approval of {count}"));
        let raised: Vec<String> = approvals.into_iter().chain(raise.bake.map(|bake| format!("bakes {bake}"))).collect();
        notes.push(format!("from {} risk on {}", raise.from.word(), raised.join(" and ")));
    }
    let name = code(policy.name.as_str());
    if notes.is_empty() { name } else { format!("{name} ({})", notes.join("; ")) }
}

fn happened(state: &PullState) -> String {
    let mut parts = vec!["**Merged.** Where it is now:".to_owned()];
    for (service, brief) in &state.releases {
        let mut table =
            format!("| {} release {} ({}) | |\n|---|---|", heading(service), brief.number, code(brief.sha.short()));
        for stage in &brief.stages {
            table.push('\n');
            table.push_str(&row(stage));
        }
        parts.push(table);
    }
    parts.join("\n\n")
}

fn heading(service: &ServiceName) -> String {
    code(service.as_str())
}
