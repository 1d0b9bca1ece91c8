//! What people do: open, push, edit, review, merge, command, and change their minds.

use super::acts::touch;
use super::chance::Chance;
use super::direct;
use super::policy::{BROKEN_POLICY, MIGRATIONS, policy};
use super::scene::{Scene, Size};
use super::words::words;
use plimsoll::domain::ids::EnvironmentName;
use plimsoll::domain::policy::GateName;
use plimsoll::domain::policy::POLICY_PATH;
use plimsoll::domain::release::StagePhase;
use plimsoll::sandbox::history::History as _;
use plimsoll::sandbox::history::{MadeHistory, MergeMethod, Signature};
use plimsoll::sandbox::model::{Model, Permission, PullEdit, PullState, PullWish};
use plimsoll::sandbox::seed::WORKFLOW;
use std::collections::BTreeMap;

/// People who write code; all but the last may also merge.
const WRITERS: [&str; 4] = ["ada", "barbara", "grace", "linus"];
const EVERYBODY: [&str; 6] = ["ada", "barbara", "grace", "linus", "margaret", "mallory"];
const MANAGERS: [&str; 3] = ["grace", "linus", "margaret"];

type Files = BTreeMap<String, Option<Vec<u8>>>;

fn file(path: &str, text: &str) -> Files {
    [(path.to_owned(), Some(text.as_bytes().to_vec()))].into()
}

/// GitHub as it is before anything happens: a repository with a policy, and the App not yet installed.
pub fn github(chance: &mut Chance, size: Size, start: i64) -> Model {
    let mut history = MadeHistory::new();
    let who = Signature { name: "Grace Hopper".into(), email: "grace@example.com".into(), at_ms: start - 86_400_000 };
    let mut files = file(POLICY_PATH, &policy(chance, size));
    // One world in ten has a workflow that knows no waves.
    let wave = "      wave: { description: \"which ring\", required: false, type: string }\n      percent:";
    let deploy = if chance.one_in(10) { WORKFLOW.to_owned() } else { WORKFLOW.replacen("      percent:", wave, 1) };
    files.extend(file(".github/workflows/deploy.yml", &deploy));
    files.extend(file(".github/workflows/smoke.yml", &deploy.replace("Deploy", "Try")));
    files.extend(file("services/api/main.rs", "fn main() {}\n"));
    files.extend(file("web/index.html", "<title>Shop</title>\n"));
    files.extend(file("README.md", "# Shop\n"));
    history.push("main", None, &files, "chore: begin the shop", &who).expect("an empty history takes a commit");
    let mut model = Model::new(Box::new(history), "acme", "shop", "main", start - 86_400_000);
    for (login, permission) in [
        ("ada", Permission::Write),
        ("barbara", Permission::Write),
        ("grace", Permission::Maintain),
        ("linus", Permission::Maintain),
        ("margaret", Permission::Maintain),
        ("mallory", Permission::Read),
    ] {
        model.add_person(login, login, permission);
    }
    model.add_team("release-managers", "Release managers", &MANAGERS);
    model.manners.slim_payloads = true;
    model.manners.requests_suites = false;
    // The others only tell of what the App did itself.
    let useful = ["issue_comment", "pull_request", "pull_request_review", "push", "workflow_run"];
    model.app.events.retain(|name| useful.contains(&name.as_str()));
    if chance.one_in(4) {
        model.app.events.push("check_run".into());
    }
    if chance.one_in(3) {
        model.app.events.push("issues".into());
    }
    // Some merge by a queue, which asks for the policy's check on what it would make.
    if chance.one_in(5) {
        model.app.events.push("merge_group".into());
        model.require_checks(&["plimsoll/policy"], start - 86_400_000);
    }
    model.run_times.finished_by_hand = true;
    model
}

/// Somebody does something.
pub fn act(scene: &mut Scene) {
    let open: Vec<u64> = scene.model.pulls.values().filter(|pull| pull.is_open()).map(|pull| pull.number).collect();
    let all: Vec<u64> = scene.model.pulls.keys().copied().collect();
    let now = scene.now;
    if all.is_empty() {
        return open_pull(scene);
    }
    let some = *scene.chance.pick(&all);
    let some_open = if open.is_empty() { None } else { Some(*scene.chance.pick(&open)) };
    let writer = *scene.chance.pick(&WRITERS);
    let often = scene.size.of(2, 4);
    if scene.chance.one_in(often) {
        return press_on(scene, some, some_open);
    }
    match (scene.chance.below(100), some_open) {
        (0..=11, _) if open.len() < 4 && all.len() < scene.size.of(3, 9) => open_pull(scene),
        (0..=33, Some(number)) => merge(scene, number, writer),
        (34..=39, Some(number)) => push(scene, number, writer),
        (40..=42, Some(number)) => {
            let title = format!("{} {now}", scene.chance.pick(&["feat(api): other", "no convention"]));
            let edit = PullEdit { title: Some(title), ..PullEdit::default() };
            let _ = scene.model.edit_pull(number, edit, writer, now);
            scene.tell(|| format!("{writer} edits #{number}"));
        }
        (43..=44, Some(number)) => {
            let label: &str = scene.chance.pick::<&str>(&["bug", "later"]);
            let _ = scene.model.label(number, label, writer, now);
            scene.tell(|| format!("{writer} labels #{number}"));
        }
        (45..=46, Some(number)) => {
            let draft = scene.chance.one_in(3);
            let _ = scene.model.set_draft(number, draft, writer, now);
            scene.tell(|| format!("{writer} makes #{number} a draft: {draft}"));
        }
        (47, Some(number)) => {
            let _ = scene.model.close_pull(number, writer, now);
            scene.tell(|| format!("{writer} closes #{number}"));
        }
        (48..=49, _) => {
            let _ = scene.model.reopen_pull(some, writer, now);
            scene.tell(|| format!("{writer} reopens #{some}"));
        }
        (50..=54, Some(number)) => {
            let state = *scene.chance.pick(&["APPROVED", "APPROVED", "CHANGES_REQUESTED", "COMMENTED"]);
            if scene.model.review(number, writer, state, "", now).is_ok() {
                touch(&mut scene.model, number, now);
                scene.tell(|| format!("{writer} reviews #{number}: {state}"));
            }
        }
        (55..=57, _) => change_policy(scene),
        (58..=60, _) => {
            let path = *scene.chance.pick(&["services/api/main.rs", "web/index.html", "libs/sum.rs", "README.md"]);
            let _ = scene.model.push_commit("main", &file(path, &format!("// {now}\n")), "fix: at once", writer, now);
            scene.tell(|| format!("{writer} pushes {path} to main"));
        }
        (61..=64, _) => edit_comment(scene),
        (65..=68, _) => {
            let by = somebody(scene);
            direct::press(scene, by);
        }
        (69..=70, _) => {
            let by = somebody(scene);
            direct::close_issue(scene, by);
        }
        (71..=72, _) => direct::forge(scene),
        (73..=76, _) => revert(scene),
        (_, _) => command(scene, some),
    }
}

fn trailer(chance: &mut Chance) -> String {
    if chance.one_in(4) {
        let who = *chance.pick(&EVERYBODY);
        return format!("\n\nCo-authored-by: {who} <{who}@example.com>");
    }
    String::new()
}

fn open_pull(scene: &mut Scene) {
    let now = scene.now;
    let author = *scene.chance.pick(&["ada", "ada", "barbara", "barbara", "grace", "linus", "mallory"]);
    let branch = format!("change-{}", scene.model.pulls.len() + 1);
    let path = match scene.chance.below(10) {
        0..=3 => "services/api/main.rs".to_owned(),
        4 => format!("{MIGRATIONS}{branch}.sql"),
        5..=6 => format!("web/{branch}.js"),
        7 => "libs/sum.rs".to_owned(),
        8 => "README.md".to_owned(),
        _ => POLICY_PATH.to_owned(),
    };
    let text = match path.as_str() {
        POLICY_PATH if scene.chance.one_in(3) => BROKEN_POLICY.to_owned(),
        POLICY_PATH => policy(&mut scene.chance, scene.size),
        _ => format!("// {branch}\n// {now}\n"),
    };
    let message = format!("feat: {branch}{}", trailer(&mut scene.chance));
    if scene.model.push_commit(&branch, &file(&path, &text), &message, author, now).is_err() {
        return;
    }
    let draft = scene.chance.one_in(10);
    let title = format!("feat: {branch}");
    let wish = PullWish { head: &branch, base: "main", title: &title, body: Some("Because."), author, draft };
    let opened = scene.model.open_pull(&wish, now);
    scene.tell(|| format!("{author} opens {opened:?} for {path}"));
}

fn push(scene: &mut Scene, number: u64, by: &str) {
    let now = scene.now;
    let Ok(branch) = scene.model.pull(number).map(|pull| pull.head_ref.clone()) else { return };
    let path = scene.chance.pick(&["services/api/more.rs", "web/more.js", "docs/more.md"]).to_string();
    let message = format!("fix: {branch}{}", trailer(&mut scene.chance));
    let _ = scene.model.push_commit(&branch, &file(&path, &format!("// {now}\n")), &message, by, now);
    scene.tell(|| format!("{by} pushes {path} to #{number}"));
}

fn merge(scene: &mut Scene, number: u64, by: &str) {
    let now = scene.now;
    if scene.model.app.events.iter().any(|event| event == "merge_group") && scene.chance.one_in(2) {
        let queued = scene.model.enqueue(number, by, now);
        return scene.tell(|| format!("{by} queues #{number}: {:?}", queued.map_err(|refusal| refusal.message)));
    }
    let squash = scene.chance.one_in(2);
    let method = if squash { MergeMethod::Squash } else { MergeMethod::Merge };
    // As GitHub writes it: a squash names everybody who wrote one of its commits.
    let message = scene.model.pull_comparison(number).ok().map(|found| {
        let mut people: Vec<String> = Vec::new();
        for commit in &found.commits {
            people.push(format!("Co-authored-by: {} <{}>", commit.author.name, commit.author.email));
            people.extend(commit.message.lines().filter(|line| line.starts_with("Co-authored-by")).map(str::to_owned));
        }
        people.sort();
        people.dedup();
        format!("feat: change (#{number})\n\n{}", people.join("\n"))
    });
    let merged = scene.model.merge_pull(number, method, message.as_deref().filter(|_| squash), None, by, now);
    scene.tell(|| format!("{by} merges #{number} ({method:?}): {:?}", merged.map_err(|refusal| refusal.message)));
}

/// Somebody takes a merged pull request back, or merges what was prepared.
fn revert(scene: &mut Scene) {
    let now = scene.now;
    let by = *scene.chance.pick(&WRITERS);
    let bot = scene.model.app.bot_login();
    let prepared: Vec<u64> =
        scene.model.pulls.values().filter(|p| p.is_open() && p.author == bot).map(|p| p.number).collect();
    if !prepared.is_empty() && scene.chance.one_in(2) {
        let number = *scene.chance.pick(&prepared);
        let _ = scene.model.set_draft(number, false, by, now);
        return merge(scene, number, by);
    }
    let merged = scene.model.pulls.values().filter_map(|pull| match &pull.state {
        PullState::Merged { sha, .. } => Some((pull.number, sha.clone())),
        PullState::Open | PullState::Closed { .. } => None,
    });
    let merged: Vec<(u64, String)> = merged.collect();
    if merged.is_empty() {
        return;
    }
    let (number, sha) = scene.chance.pick(&merged).clone();
    let branch = format!("revert-{number}-{}", scene.model.pulls.len());
    if scene.model.revert(&sha, &branch, by, now).is_err() {
        return;
    }
    let body = match scene.chance.one_in(4) {
        true => format!("This reverts commit {sha}."),
        false => format!("Reverts acme/shop#{number}"),
    };
    let title = format!("revert: #{number}");
    let wish = PullWish { head: &branch, base: "main", title: &title, body: Some(&body), author: by, draft: false };
    let opened = scene.model.open_pull(&wish, now);
    scene.tell(|| format!("{by} opens {opened:?}: {body}"));
    if let (Ok(opened), true) = (opened, scene.chance.one_in(2)) {
        merge(scene, opened, "grace");
    }
}

fn change_policy(scene: &mut Scene) {
    let now = scene.now;
    let broken = scene.chance.one_in(4);
    let text = if broken { BROKEN_POLICY.to_owned() } else { policy(&mut scene.chance, scene.size) };
    let by = *scene.chance.pick(&MANAGERS);
    let _ = scene.model.push_commit("main", &file(POLICY_PATH, &text), "chore: another policy", by, now);
    scene.tell(|| format!("{by} changes the policy{}", if broken { " and breaks it" } else { "" }));
}

fn edit_comment(scene: &mut Scene) {
    let bot = scene.model.app.bot_login();
    let comments: Vec<(u64, u64, String)> = scene
        .model
        .comments
        .values()
        .filter(|comment| comment.author != bot)
        .map(|comment| (comment.id, comment.number, comment.author.clone()))
        .collect();
    if comments.is_empty() {
        return;
    }
    let (id, number, by) = scene.chance.pick(&comments).clone();
    let body = words(scene);
    let now = scene.now;
    if scene.model.edit_comment(id, &body, &by, now).is_ok() {
        touch(&mut scene.model, number, now);
        scene.record.edited.insert(id);
        scene.tell(|| format!("{by} edits comment {id} to {body:?}"));
    }
}

/// Somebody does what moves releases on: a small world has no time to get there by luck alone.
fn press_on(scene: &mut Scene, some: u64, some_open: Option<u64>) {
    match some_open {
        Some(number) if scene.chance.one_in(2) => {
            let by = *scene.chance.pick(&WRITERS);
            merge(scene, number, by);
        }
        Some(_) | None => answer_what_is(scene, some),
    }
}

/// Somebody looks at the status and does what fits: where something waits, runs, failed, or was overridden.
fn answer_what_is(scene: &mut Scene, some: u64) {
    let by = somebody(scene);
    let mut fitting: Vec<(&'static str, EnvironmentName, GateName)> = Vec::new();
    let mut unreviewed = false;
    for state in scene.record.pipelines.values() {
        unreviewed |= state.overrides.iter().any(|one| one.reviewed.is_none());
        for stage in state.releases.values().rev().take(3).flat_map(|release| &release.stages) {
            let name = stage.policy.name.clone();
            let unmet = stage.conditions.iter().find(|condition| !condition.met).map(|condition| condition.gate);
            match (&stage.phase, unmet) {
                (StagePhase::Waiting { .. }, Some(gate)) => fitting.push(("waits", name, gate)),
                (StagePhase::Rolling(_), Some(gate)) => fitting.push(("waits", name, gate)),
                (StagePhase::Rolling(_), None) => fitting.push(("runs", name, GateName::Order)),
                (StagePhase::Failed { .. } | StagePhase::Cancelled { .. }, _) => {
                    fitting.push(("failed", name, GateName::Hold));
                }
                (StagePhase::Succeeded { .. }, _) => fitting.push(("is live", name, GateName::Order)),
                (_, _) => {}
            }
        }
    }
    if unreviewed && scene.chance.one_in(3) {
        return if scene.chance.one_in(2) { direct::close_issue(scene, by) } else { direct::press(scene, by) };
    }
    if fitting.is_empty() {
        return say(scene, some, by, "/plimsoll approve production");
    }
    let (what, name, gate) = scene.chance.pick(&fitting).clone();
    let line = match (what, gate) {
        ("waits", GateName::Approval) => {
            scene.chance.pick(&["approve", "approve", "approve", "approve", "override approval", "hotfix", "hotfix"])
        }
        ("waits", GateName::Lock) => scene.chance.pick(&["unlock", "override lock"]),
        ("waits", GateName::Hold) => scene.chance.pick(&["resume", "retry", "override hold"]),
        ("waits", GateName::Freeze) => scene.chance.pick(&["unfreeze", "override freeze"]),
        ("waits", GateName::Window) => scene.chance.pick(&["override window", "deploy main to", "hotfix"]),
        ("waits", _) => scene.chance.pick(&["cancel", "why", "rollback"]),
        ("runs", _) => {
            scene.chance.pick(&["lock", "hold", "freeze", "cancel", "rollback", "report", "resume", "resume"])
        }
        ("failed", _) => scene.chance.pick(&["resume", "retry", "rollback", "revert"]),
        (_, _) => scene.chance.pick(&["rollback", "promote", "deploy main to", "lock", "hold", "freeze", "revert"]),
    };
    let ends = match *line {
        "report" => return direct::forge(scene),
        "revert" => return revert(scene),
        "hotfix" => return hotfix(scene, some, by),
        "lock" | "hold" | "freeze" => format!(" --for {}m", scene.chance.between(1, 6)),
        line if line.starts_with("override") => " --reason \"customers wait\"".to_owned(),
        _ => String::new(),
    };
    let place = if *line == "deploy main to" { "production".to_owned() } else { name.to_string() };
    say(scene, some, by, &format!("/plimsoll {line} {place}{ends}"));
}

/// Somebody pushes a fix to the default branch, past every pull request, and takes it to production by hand.
fn hotfix(scene: &mut Scene, number: u64, by: &str) {
    let now = scene.now;
    let path = *scene.chance.pick(&["services/api/main.rs", "web/index.html"]);
    let _ = scene.model.push_commit("main", &file(path, &format!("// {now}\n")), "fix: at once", by, now);
    scene.tell(|| format!("{by} pushes {path} to main"));
    let passes = "/plimsoll override approval production --reason \"customers wait\"";
    let also = if scene.chance.one_in(4) { String::new() } else { format!("\n{passes}") };
    say(scene, number, by, &format!("/plimsoll deploy main to production{also}"));
}

/// Every other time one of those who may approve.
fn somebody(scene: &mut Scene) -> &'static str {
    let among: &[&'static str] = if scene.chance.one_in(2) { &MANAGERS } else { &EVERYBODY };
    scene.chance.pick::<&str>(among)
}

fn command(scene: &mut Scene, number: u64) {
    let by = somebody(scene);
    let body = words(scene);
    say(scene, number, by, &body);
}

fn say(scene: &mut Scene, number: u64, by: &str, body: &str) {
    let times = if scene.chance.one_in(8) { 2 } else { 1 };
    let now = scene.now;
    for _ in 0..times {
        if let Ok(id) = scene.model.comment(number, by, body, now) {
            touch(&mut scene.model, number, now);
            scene.record.written.insert(id, body.to_owned());
            scene.tell(|| format!("{by} writes {id} on #{number}: {body:?}"));
        }
    }
}
