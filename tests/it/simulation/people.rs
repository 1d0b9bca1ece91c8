//! What people do: open, push, edit, review, merge, command, and change their minds.

use super::acts::touch;
use super::chance::Chance;
use super::scene::{Scene, Size};
use plimsoll::domain::policy::POLICY_PATH;
use plimsoll::sandbox::history::History as _;
use plimsoll::sandbox::history::{MadeHistory, MergeMethod, Signature};
use plimsoll::sandbox::model::{Model, Permission, PullEdit, PullWish};
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

/// A policy file, drawn.
fn policy(chance: &mut Chance, size: Size) -> String {
    let mut production = Vec::new();
    match chance.below(5) {
        0 => {}
        1 => production.push("approval: { count: 2, teams: [\"acme/release-managers\"] }".to_owned()),
        _ => production.push("approval: { count: 1, teams: [\"acme/release-managers\"] }".to_owned()),
    }
    if chance.one_in(2) {
        production.push("rollout: [50%, 100%]".into());
    }
    let staging_steps = if chance.one_in(4) { "      rollout: [10%, 100%]\n" } else { "" };
    if chance.one_in(2) {
        production.push(format!("bake: {}s", chance.between(5, size.of(30, 200))));
    }
    if chance.one_in(3) {
        production.push("on_failure: hold".into());
    }
    if chance.one_in(2) {
        production.push(format!("timeout: {}m", chance.between(1, size.of(3, 15))));
    }
    let production: String = production.iter().map(|line| format!("      {line}\n")).collect();
    let title = chance.pick(&["any", "conventional"]);
    let rules = if chance.one_in(3) {
        "  rules:\n    - name: the api is read by somebody\n      if: { changed_files: [\"services/**\"] }\n      requires: { count: 1 }\n"
    } else {
        ""
    };
    format!(
        "version: 1\nservices:\n  api: {{ paths: [\"services/api/**\", \"libs/**\"] }}\n  web: {{ paths: [\"web/**\", \"libs/**\"] }}\n\
         checks:\n  title: {title}\n{rules}pipeline:\n  trigger: {{ workflow: deploy.yml }}\n  environments:\n\
         \u{20}   - name: staging\n{staging_steps}      timeout: 10m\n    - name: production\n{production}"
    )
}

const BROKEN_POLICY: &str = "version: 1\npipelin: {}\nservices: [\n";

/// GitHub as it is before anything happens: a repository with a policy, and the App not yet installed.
pub fn github(chance: &mut Chance, size: Size, start: i64) -> Model {
    let mut history = MadeHistory::new();
    let who = Signature { name: "Grace Hopper".into(), email: "grace@example.com".into(), at_ms: start - 86_400_000 };
    let mut files = file(POLICY_PATH, &policy(chance, size));
    files.extend(file(".github/workflows/deploy.yml", WORKFLOW));
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
    if chance.one_in(8) {
        model.app.events.push("check_run".into());
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
    if scene.size == Size::Small && scene.chance.one_in(3) {
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
        0..=4 => "services/api/main.rs".to_owned(),
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

/// What somebody writes.
fn words(scene: &mut Scene) -> String {
    let environment = *scene.chance.pick(&["production", "production", "production", "staging", "Production", "prod"]);
    let service = *scene.chance.pick(&["", "", "", " --service api", " --service web", " --service nope"]);
    let tip = scene.model.history.branch("main").unwrap_or_default();
    let earlier = scene.model.history.first_parents(&tip, 6);
    let some = scene.chance.pick(&earlier).sha.clone();
    let sha = &some[..scene.chance.between(6, 12) as usize];
    let branch = format!("change-{}", 1 + scene.chance.below(8));
    match scene.chance.below(40) {
        0..=16 => format!("/plimsoll approve {environment}{service}"),
        17 => format!("/plimsoll approve {environment} {sha}{service}"),
        18..=20 => format!("/plimsoll rollback {environment}{service}"),
        21 => format!("/plimsoll rollback {environment} to {sha}{service} --reason \"it smells\""),
        22..=26 => format!("/plimsoll resume {environment}{service}"),
        27..=28 => format!("/plimsoll deploy main to {environment}{service}"),
        29 => format!("/plimsoll deploy {sha} to {environment}{service}"),
        30 => format!("/plimsoll deploy {branch} to {environment}{service}"),
        31 => "/plimsoll status".to_owned(),
        32 => "/plimsoll recheck".to_owned(),
        33 => "/plimsoll help".to_owned(),
        34 => format!(
            "/plimsoll resume {environment}\n/plimsoll deploy main to {environment}\n/plimsoll approve {environment}"
        ),
        35 => "/plimsoll aprove production".to_owned(),
        36 => "> /plimsoll approve production\n\nI would not.".to_owned(),
        37 => format!("@plimsoll approve {environment}\n@plimsoll approve {environment}"),
        38 => "Looks good to me.".to_owned(),
        _ => "/plimsoll deploy".to_owned(),
    }
}

/// Somebody does what moves releases on: a small world has no time to get there by luck alone.
fn press_on(scene: &mut Scene, some: u64, some_open: Option<u64>) {
    match some_open {
        Some(number) if scene.chance.one_in(2) => {
            let by = *scene.chance.pick(&WRITERS);
            merge(scene, number, by);
        }
        Some(_) | None => {
            let by = somebody(scene);
            let verb = *scene.chance.pick(&["approve", "approve", "approve", "rollback", "resume", "deploy main to"]);
            say(scene, some, by, &format!("/plimsoll {verb} production"));
        }
    }
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
