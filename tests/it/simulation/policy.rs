//! Policy files, drawn: every key of delivery that a world can play, each often enough.
//!
//! Knows how a policy is written and when worlds play. Must never know what a policy means.

use super::chance::Chance;
use super::scene::Size;

pub const BROKEN_POLICY: &str = "version: 1\npipelin: {}\nservices: [\n";

/// Paths that the drawn policies call irreversible.
pub const MIGRATIONS: &str = "services/api/migrations/";

/// A policy file, drawn.
pub fn policy(chance: &mut Chance, size: Size) -> String {
    let title = *chance.pick(&["any", "conventional"]);
    let rules = if chance.one_in(3) {
        "  rules:\n    - name: the api is read by somebody\n      if: { changed_files: [\"services/**\"] }\n      requires: { count: 1 }\n"
    } else {
        ""
    };
    // Every other world keeps to the plain pipeline, so that what is not about gates and verification stays frequent.
    let plain = chance.one_in(2);
    let staging = lines(staging(chance, size, plain));
    let production = lines(production(chance, size, plain));
    let pipeline: String = around(chance, plain).iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "version: 1\nservices:\n  api: {{ paths: [\"services/api/**\", \"libs/**\"] }}\n  web: {{ paths: [\"web/**\", \"libs/**\"] }}\n\
         checks:\n  title: {title}\n{rules}pipeline:\n  trigger: {{ workflow: deploy.yml }}\n{pipeline}  environments:\n\
         \u{20}   - name: staging\n{staging}    - name: production\n{production}"
    )
}

fn lines(of: Vec<String>) -> String {
    of.iter().map(|line| format!("      {line}\n")).collect()
}

/// What stands beside the environments.
fn around(chance: &mut Chance, plain: bool) -> Vec<String> {
    let mut found = Vec::new();
    if plain {
        return found;
    }
    if chance.one_in(4) {
        found.push(format!("max_changes: {}", chance.between(1, 3)));
    }
    if chance.one_in(3) {
        found.push(format!("irreversible: [\"{MIGRATIONS}\"]"));
    }
    match chance.below(6) {
        0 => found.push("rollback: { artifact: \"{service}-{sha}\" }".to_owned()),
        1 => found.push("rollback: { within: 1h }".to_owned()),
        2 => found.push("rollback: { artifact: \"{service}-{sha}\", within: 1h }".to_owned()),
        _ => {}
    }
    if chance.one_in(6) {
        found.push("hold_check: true".to_owned());
    }
    found
}

fn staging(chance: &mut Chance, size: Size, plain: bool) -> Vec<String> {
    let mut found = vec!["timeout: 10m".to_owned()];
    if chance.one_in(4) {
        found.push("rollout: [10%, 100%]".into());
    }
    if plain {
        return found;
    }
    if chance.one_in(6) {
        found.push("supersede: abort".into());
    }
    if chance.one_in(3) {
        found.extend(verify(chance, size, "staging"));
    }
    if chance.one_in(8) {
        found.push(windows(chance, size));
    }
    found
}

fn production(chance: &mut Chance, size: Size, plain: bool) -> Vec<String> {
    let mut found = Vec::new();
    let approvals = match chance.below(5) {
        0 => 0,
        1 => 2,
        _ => 1,
    };
    if approvals > 0 {
        found.push(format!("approval: {{ count: {approvals}, teams: [\"acme/release-managers\"] }}"));
    }
    if chance.one_in(2) {
        let waves = !plain && chance.one_in(3);
        let steps = if waves { "[{ wave: near }, { wave: far }]" } else { "[50%, 100%]" };
        found.push(format!("rollout: {steps}"));
    }
    let bake = if chance.one_in(2) { chance.between(5, size.of(30, 200)) } else { 0 };
    if bake > 0 {
        found.push(format!("bake: {bake}s"));
    }
    if chance.one_in(3) {
        found.push("on_failure: hold".into());
    }
    if chance.one_in(2) {
        found.push(format!("timeout: {}m", chance.between(1, size.of(3, 15))));
    }
    if plain {
        return found;
    }
    if chance.one_in(3) {
        found.push("supersede: abort".into());
    }
    if chance.one_in(2) {
        found.extend(verify(chance, size, "production"));
    }
    if chance.one_in(3) {
        found.push(windows(chance, size));
    }
    if chance.one_in(4) {
        found.push(freezes(chance, size));
    }
    if chance.one_in(4) {
        let band = *chance.pick(&["moderate", "high"]);
        let mut raised = vec![format!("bake: {}s", bake + chance.between(5, 40))];
        if approvals > 0 && chance.one_in(2) {
            raised.push(format!("approvals: {}", approvals + 1));
        }
        found.push(format!("when_risk: {{ {band}: {{ {} }} }}", raised.join(", ")));
    }
    found
}

/// A minute of the day on which every world plays, in some zone: worlds begin at 09:00 UTC.
fn clock(minutes: i64) -> String {
    format!("{:02}:{:02}", 9 + minutes / 60, minutes % 60)
}

/// Windows that open and close while the world goes on; the last one stays open, or none does.
fn windows(chance: &mut Chance, size: Size) -> String {
    let length = size.of(4, 25);
    let closes = chance.between(1, length);
    let opens = closes + chance.between(1, length);
    let (hour, zone) = *chance.pick(&[(0, "UTC"), (60, "Europe/Berlin")]);
    let first = format!("\"Mon {}-{} {zone}\"", clock(hour), clock(hour + closes));
    if chance.one_in(6) {
        return format!("windows: [{first}]");
    }
    format!("windows: [{first}, \"daily {}-23:30 {zone}\"]", clock(hour + opens))
}

fn freezes(chance: &mut Chance, size: Size) -> String {
    let length = size.of(5, 30);
    let from = chance.between(0, length);
    let to = from + chance.between(1, length);
    let pass = *chance.pick(&["", "", ", pass: low", ", pass: moderate", ", pass: high"]);
    format!(
        "freezes: [{{ from: \"2026-01-05 {}\", to: \"2026-01-05 {}\", zone: UTC, reason: fair{pass} }}]",
        clock(from),
        clock(to)
    )
}

/// One or two verifications; each asks at a place of its own.
fn verify(chance: &mut Chance, size: Size, environment: &str) -> Vec<String> {
    let mut items = vec!["verify:".to_owned()];
    let first = chance.below(6);
    let second = (first + 1 + chance.below(5)) % 6;
    let kinds = if chance.one_in(3) { vec![first, second] } else { vec![first] };
    for kind in kinds {
        let asked = match kind {
            0 => format!("http: {{ url: \"https://shop.example/{environment}/health\" }}"),
            1 => format!("live: {{ url: \"https://shop.example/{environment}/live\" }}"),
            2 => format!("prometheus: {{ query: \"errors{{place='{environment}'}}\", below: 0.05 }}"),
            3 => format!(
                "prometheus: {{ query: \"slow{{place='{environment}'}}\", worse: higher, by: 10%, at_least: 0.01 }}"
            ),
            4 => "check: e2e".to_owned(),
            _ => "workflow: smoke.yml".to_owned(),
        };
        let every = chance.between(3, size.of(15, 40));
        let mut more = vec![format!("every: {every}s")];
        if chance.one_in(3) {
            more.push("successes: 2".into());
        }
        if chance.one_in(3) {
            more.push(format!("failures_allowed: {}", chance.between(1, 2)));
        }
        if chance.one_in(3) {
            more.push(format!("no_data: {}", chance.pick(&["success", "failure", "inconclusive"])));
        }
        if chance.one_in(6) {
            more.push("dry_run: true".into());
        }
        items.push(format!("  - {{ {asked}, {} }}", more.join(", ")));
    }
    items
}
