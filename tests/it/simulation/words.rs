//! What people write: commands, nearly commands, and talk.
//!
//! Knows how commands are written. Must never know what becomes of them.

use super::scene::Scene;

/// What somebody writes.
pub fn words(scene: &mut Scene) -> String {
    let environment = *scene.chance.pick(&["production", "production", "production", "staging", "Production", "prod"]);
    let service = *scene.chance.pick(&["", "", "", " --service api", " --service web", " --service nope"]);
    let tip = scene.model.history.branch("main").unwrap_or_default();
    let earlier = scene.model.history.first_parents(&tip, 6);
    let some = scene.chance.pick(&earlier).sha.clone();
    let sha = &some[..scene.chance.between(6, 12) as usize];
    let branch = format!("change-{}", 1 + scene.chance.below(8));
    match scene.chance.below(76) {
        0..=16 => format!("/plimsoll approve {environment}{service}"),
        17 => format!("/plimsoll approve {environment} {sha}{service}"),
        18..=20 => format!("/plimsoll rollback {environment}{service}"),
        21 => format!("/plimsoll rollback {environment} to {sha}{service} --reason \"it smells\""),
        22..=27 => format!("/plimsoll resume {environment}{service}"),
        28..=29 => format!("/plimsoll deploy main to {environment}{service}"),
        30 => format!("/plimsoll deploy {sha} to {environment}{service}"),
        31 => format!("/plimsoll deploy {branch} to {environment}{service}"),
        32 => "/plimsoll status".to_owned(),
        33 => "/plimsoll recheck".to_owned(),
        34 => "/plimsoll help".to_owned(),
        35 => format!(
            "/plimsoll resume {environment}\n/plimsoll deploy main to {environment}\n/plimsoll approve {environment}"
        ),
        36 => "/plimsoll aprove production".to_owned(),
        37 => "> /plimsoll approve production\n\nI would not.".to_owned(),
        38 => format!("@plimsoll approve {environment}\n@plimsoll approve {environment}"),
        39 => "Looks good to me.".to_owned(),
        40 => "/plimsoll deploy".to_owned(),
        41 => format!("/plimsoll promote {environment}{service}"),
        42..=44 => format!("/plimsoll retry {environment}{service}"),
        45..=46 => format!("/plimsoll cancel {environment}{service}"),
        47 => format!("/plimsoll why {environment}{service}"),
        48..=58 => block(scene, environment, service),
        59..=61 => override_of(scene, environment, service),
        62..=69 => format!("/plimsoll plan {}", planned(scene, environment, service)),
        70 => {
            let group = scene.model.queue.first().map(|entry| entry.group.head_ref.clone());
            format!("/plimsoll deploy {} to staging", group.as_deref().unwrap_or("gh-readonly-queue/main/pr-1"))
        }
        71 => "/plimsoll risk".to_owned(),
        _ => format!("/plimsoll approve production{service}"),
    }
}

/// A lock, hold or freeze, put or ended.
fn block(scene: &mut Scene, environment: &str, service: &str) -> String {
    let lasts = match scene.chance.below(5) {
        0 => String::new(),
        1 => " --for 2h".to_owned(),
        _ => format!(" --for {}m", scene.chance.between(1, 9)),
    };
    let reason = *scene.chance.pick(&["", " --reason \"the database moves\""]);
    let everywhere = scene.chance.one_in(3);
    let maybe = if everywhere { "" } else { environment };
    let line = match scene.chance.below(8) {
        0 | 1 => format!("lock {environment}{lasts}{reason}{service}"),
        2 => format!("unlock {environment}{service}"),
        3 | 4 => format!("hold {maybe}{lasts}{reason}{service}"),
        5 | 6 => format!("freeze {maybe}{lasts}{reason}"),
        _ => format!("unfreeze {maybe}"),
    };
    format!("/plimsoll {line}")
}

fn override_of(scene: &mut Scene, environment: &str, service: &str) -> String {
    let gate = *scene.chance.pick(&["approval", "window", "freeze", "lock", "hold", "order"]);
    format!("/plimsoll override {gate} {environment} --reason \"customers wait\"{service}")
}

/// A command whose plan is asked for.
fn planned(scene: &mut Scene, environment: &str, service: &str) -> String {
    match scene.chance.below(9) {
        0 => format!("approve {environment}{service}"),
        1 => format!("rollback {environment}{service}"),
        2 => format!("resume {environment}{service}"),
        3 => format!("deploy main to {environment}{service}"),
        4 => format!("retry {environment}{service}"),
        5 => format!("cancel {environment}{service}"),
        6 => format!("freeze {environment}"),
        7 => override_of(scene, environment, service).replace("/plimsoll ", ""),
        _ => format!("lock {environment} --for 5m{service}"),
    }
}
