//! The worlds that a sandbox starts with: a small shop with some history, or somebody's own repository.

use std::collections::BTreeMap;
use std::path::Path;

use super::history::{GitHistory, History, HistoryError, Signature};
use super::model::{Kind, Model, Permission, WaitingPull};

/// The policy file of the small shop.
pub const POLICY: &str = r#"# Who may ship what, and how.
version: 1
services:
  api: { paths: ["services/api/**", "libs/**"] }
  web: { paths: ["web/**"] }

checks:
  title: conventional
  description: required
  size: { warn: 400, fail: 1500 }
  rules:
    - name: migrations are read by a database owner
      if: { changed_files: ["services/api/migrations/**"] }
      requires: { count: 1, teams: ["acme/dba"] }

risk:
  bands: { moderate: 0.15, high: 0.30, critical: 0.55 }
  block: never

pipeline:
  trigger: { workflow: deploy.yml }
  environments:
    - name: staging
    - name: production
      approval: { count: 1, teams: ["acme/release-managers"] }
"#;

/// The workflow file of the small shop.
pub const WORKFLOW: &str = r#"name: Deploy
run-name: Deploy ${{ inputs.service }} to ${{ inputs.environment }} [${{ inputs.plimsoll_key }}]
on:
  workflow_dispatch:
    inputs:
      environment: { description: "where to", required: true, type: string }
      service: { description: "what", required: true, type: string }
      sha: { description: "which commit", required: true, type: string }
      percent: { description: "how much of the traffic", required: false, type: string, default: "100" }
      release: { description: "number of the release", required: false, type: string }
      plimsoll_key: { description: "tells two dispatches apart", required: false, type: string }

permissions:
  contents: read

concurrency:
  group: deploy-${{ inputs.service }}-${{ inputs.environment }}

jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with: { ref: "${{ inputs.sha }}" }
      - run: test "$(git rev-parse HEAD)" = "${{ inputs.sha }}"
      - run: ./ship "${{ inputs.service }}" "${{ inputs.environment }}" "${{ inputs.percent }}"
"#;

const DAY_MS: i64 = 86_400_000;

type Files = BTreeMap<String, Option<Vec<u8>>>;

fn files(list: &[(&str, &str)]) -> Files {
    list.iter().map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec()))).collect()
}

/// Adds the people of the organisation `acme` and their teams.
pub fn add_people(model: &mut Model) {
    for (login, name, permission) in [
        ("ada", "Ada Lovelace", Permission::Write),
        ("barbara", "Barbara Liskov", Permission::Write),
        ("grace", "Grace Hopper", Permission::Maintain),
        ("linus", "Linus Torvalds", Permission::Maintain),
        ("mallory", "Mallory Malone", Permission::Read),
    ] {
        model.add_person(login, name, permission);
    }
    model.add_team("release-managers", "Release managers", &["grace", "linus"]);
    model.add_team("dba", "Database owners", &["barbara"]);
}

/// Fills an empty history with the small shop and its feature branches.
pub fn fill(history: &mut dyn History, now: i64) -> Result<(), HistoryError> {
    let mut at = now - 30 * DAY_MS;
    let mut commit =
        |history: &mut dyn History, branch: &str, login: &str, name: &str, message: &str, changed: Files| {
            at += DAY_MS + 3_600_000;
            let who = Signature { name: name.to_owned(), email: format!("{login}@example.com"), at_ms: at };
            history.push(branch, Some("main"), &changed, message, &who)
        };
    let ada = ("ada", "Ada Lovelace");
    let grace = ("grace", "Grace Hopper");
    let linus = ("linus", "Linus Torvalds");
    let barbara = ("barbara", "Barbara Liskov");
    let main = "main";
    let story: [(&str, (&str, &str), &str, Files); 12] = [
        (
            main,
            grace,
            "chore: begin the shop",
            files(&[
                ("README.md", "# Shop\n\nTwo services: `services/api` and `web`.\n"),
                (".github/plimsoll.yml", POLICY),
                (".github/workflows/deploy.yml", WORKFLOW),
            ]),
        ),
        (
            main,
            ada,
            "feat(api): list the goods",
            files(&[("services/api/src/main.rs", API_MAIN), ("services/api/src/goods.rs", API_GOODS)]),
        ),
        (main, linus, "feat(web): show the goods", files(&[("web/index.html", WEB_INDEX), ("web/app.js", WEB_APP)])),
        (main, ada, "feat(libs): money without floating point", files(&[("libs/money/src/lib.rs", LIB_MONEY)])),
        (
            main,
            barbara,
            "feat(api): first migration",
            files(&[(
                "services/api/migrations/0001_goods.sql",
                "create table goods (\n    id bigint primary key,\n    name text not null,\n    cents bigint not null\n);\n",
            )]),
        ),
        (
            main,
            ada,
            "fix(api): an empty shop is no error",
            files(&[("services/api/src/goods.rs", &API_GOODS.replace("goods.first().unwrap()", "goods.first()"))]),
        ),
        (
            main,
            linus,
            "feat(web): prices with two digits",
            files(&[("web/app.js", &WEB_APP.replace("item.cents", "(item.cents / 100).toFixed(2)"))]),
        ),
        (
            main,
            grace,
            "docs: how to run both services",
            files(&[(
                "README.md",
                "# Shop\n\nTwo services: `services/api` and `web`.\n\n    cargo run -p api\n    npm start --prefix web\n",
            )]),
        ),
        (
            main,
            ada,
            "test(libs): money adds up",
            files(&[(
                "libs/money/tests/sum.rs",
                "#[test]\nfn it_adds_up() {\n    assert_eq!(money::sum(&[199, 1]), 200);\n}\n",
            )]),
        ),
        (
            main,
            barbara,
            "feat(api): an index on the names of goods",
            files(&[("services/api/migrations/0002_goods_name.sql", "create index goods_name on goods (name);\n")]),
        ),
        (
            main,
            linus,
            "style(web): room to breathe",
            files(&[("web/style.css", "body {\n    margin: 2rem auto;\n    max-width: 40rem;\n}\n")]),
        ),
        (
            main,
            ada,
            "chore(api): name the version in the log",
            files(&[("services/api/src/main.rs", &API_MAIN.replace("listening", "shop api 0.1.0 listening"))]),
        ),
    ];
    for (branch, (login, name), message, changed) in story {
        commit(history, branch, login, name, message, changed)?;
    }
    commit(
        history,
        "cheaper-search",
        ada.0,
        ada.1,
        "feat(api): find goods by the start of their name",
        files(&[
            ("services/api/src/search.rs", API_SEARCH),
            (
                "services/api/src/main.rs",
                &API_MAIN
                    .replace("listening", "shop api 0.1.0 listening")
                    .replace("mod goods;", "mod goods;\nmod search;"),
            ),
        ]),
    )?;
    commit(
        history,
        "cheaper-search",
        ada.0,
        ada.1,
        "test(api): the search finds nothing in an empty shop",
        files(&[(
            "services/api/tests/search.rs",
            "#[test]\nfn an_empty_shop_has_nothing_to_find() {\n    assert!(api::search::starting_with(&[], \"te\").is_empty());\n}\n",
        )]),
    )?;
    commit(
        history,
        "dark-web",
        linus.0,
        linus.1,
        "feat(web): a dark look for the night",
        files(&[(
            "web/style.css",
            "body {\n    margin: 2rem auto;\n    max-width: 40rem;\n}\n\n@media (prefers-color-scheme: dark) {\n    body {\n        background: #111;\n        color: #ddd;\n    }\n}\n",
        )]),
    )?;
    commit(
        history,
        "stock-count",
        ada.0,
        ada.1,
        "feat(api): count the stock",
        files(&[
            (
                "services/api/migrations/0003_stock.sql",
                "alter table goods add column stock bigint not null default 0;\n",
            ),
            (
                "services/api/src/goods.rs",
                &format!(
                    "{}\npub fn in_stock(stock: i64) -> bool {{\n    stock > 0\n}}\n",
                    API_GOODS.replace("goods.first().unwrap()", "goods.first()")
                ),
            ),
        ]),
    )?;
    Ok(())
}

/// The pull requests of the small shop: branch, title, text, author.
pub const PULLS: [(&str, &str, &str, &str); 3] = [
    (
        "cheaper-search",
        "feat(api): find goods by the start of their name",
        "People look for goods by their first letters.\n\n- the search is a plain scan: the shop has few goods\n- an empty shop gives an empty list",
        "ada",
    ),
    ("dark-web", "feat(web): a dark look for the night", "Follows what the visitor's system prefers.", "linus"),
    (
        "stock-count",
        "feat(api): count the stock",
        "Adds a column with the default 0, so that nothing needs a backfill.",
        "ada",
    ),
];

/// The small shop on a given history, which must be empty. No pull request is open yet.
pub fn small_shop(mut history: Box<dyn History + Send>, now: i64) -> Result<Model, HistoryError> {
    fill(&mut *history, now)?;
    Ok(shop_on(history, now))
}

/// The people and environments of the small shop around a history that [`fill`] has filled: a
/// simulation fills one `MadeHistory` and clones it for every world.
pub fn shop_on(history: Box<dyn History + Send>, now: i64) -> Model {
    let mut model = Model::new(history, "acme", "shop", "main", now);
    add_people(&mut model);
    model.ensure_environment("staging", now);
    model.ensure_environment("production", now);
    model.require_checks(&["plimsoll/policy"], now);
    model
}

/// Somebody's own repository, cloned bare into `folder`. Its branches wait as pull requests; with
/// `replay`, the last so many first-parent commits of its default branch do, in their order.
pub fn own_repository(from: &Path, folder: &Path, replay: Option<usize>, now: i64) -> Result<Model, HistoryError> {
    let mut history = GitHistory::clone_of(from, folder)?;
    let default = history.head_branch().filter(|name| history.branch(name).is_some());
    let default = default.or_else(|| history.branches().into_iter().next().map(|(name, _)| name));
    let default = default.ok_or_else(|| HistoryError::NotFound { what: "a branch in this repository".to_owned() })?;
    let tip = history.branch(&default).ok_or_else(|| HistoryError::NotFound { what: default.clone() })?;
    let mut waiting = Vec::new();
    match replay {
        Some(count) => {
            let mut last = history.first_parents(&tip, count.saturating_add(1));
            last.reverse();
            let mut last = last.into_iter();
            let base = last.next().ok_or_else(|| HistoryError::NotFound { what: default.clone() })?;
            history.set_branch(&default, &base.sha)?;
            for (index, commit) in last.enumerate() {
                let title = commit.message.lines().next().unwrap_or("(no message)").to_owned();
                let body = commit.message.lines().skip(1).collect::<Vec<_>>().join("\n").trim().to_owned();
                // What a merge brought is its second parent; any other commit brings itself.
                let head = commit.parents.get(1).unwrap_or(&commit.sha).clone();
                let branch = format!("replay-{:03}-{}", index + 1, &commit.sha[..8]);
                history.set_branch(&branch, &head)?;
                waiting.push((branch, title, body, commit.author));
            }
        }
        None => {
            for (branch, sha) in history.branches() {
                if branch != default
                    && !history.is_ancestor(&sha, &tip)
                    && let Some(commit) = history.commit(&sha)
                {
                    let title = commit.message.lines().next().unwrap_or(&branch).to_owned();
                    waiting.push((branch.clone(), title, format!("From the branch `{branch}`."), commit.author));
                }
            }
        }
    }
    let stem =
        from.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    let name: String = stem
        .unwrap_or_default()
        .trim_end_matches(".git")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect();
    let name = if name.trim_matches('.').is_empty() { "repository".to_owned() } else { name };
    let mut model = Model::new(Box::new(history), "acme", &name, &default, now);
    model.repository.description = format!("A copy of {name}");
    add_people(&mut model);
    model.ensure_environment("staging", now);
    model.ensure_environment("production", now);
    model.require_checks(&["plimsoll/policy"], now);
    for (branch, title, body, author) in waiting {
        let author = add_author(&mut model, &author);
        model.waiting_pulls.push(WaitingPull { branch, title, body, author });
    }
    Ok(model)
}

/// Gives somebody who signs commits an account with the right to write.
fn add_author(model: &mut Model, who: &Signature) -> String {
    if let Some(user) = model.user_by_email(&who.email) {
        return user.login.clone();
    }
    let plain: String =
        who.name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let plain = plain.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    let stem = if plain.is_empty() { "somebody".to_owned() } else { plain.chars().take(36).collect() };
    let login = (1..)
        .map(|n| if n == 1 { stem.clone() } else { format!("{stem}-{n}") })
        .find(|login| !model.users.contains_key(login))
        .unwrap_or(stem);
    model.add_user(&login, &who.name, Kind::User);
    model.collaborators.insert(login.clone(), Permission::Write);
    if let Some(user) = model.users.get_mut(&login) {
        user.email = who.email.clone();
    }
    login
}

const API_MAIN: &str = r#"mod goods;

fn main() {
    println!("listening on 8080");
    for item in goods::all() {
        println!("{} {}", item.name, item.cents);
    }
}
"#;

const API_GOODS: &str = r#"pub struct Item {
    pub name: String,
    pub cents: i64,
}

pub fn all() -> Vec<Item> {
    vec![Item { name: "tea".into(), cents: 499 }]
}

pub fn cheapest(goods: &[Item]) -> Option<&Item> {
    let _first = goods.first().unwrap();
    goods.iter().min_by_key(|item| item.cents)
}
"#;

const API_SEARCH: &str = r#"use crate::goods::Item;

/// Goods whose name starts with `start`, without regard to case.
pub fn starting_with<'a>(goods: &'a [Item], start: &str) -> Vec<&'a Item> {
    let start = start.to_lowercase();
    goods.iter().filter(|item| item.name.to_lowercase().starts_with(&start)).collect()
}
"#;

const LIB_MONEY: &str = r#"/// Sums up cents; more than fits stays at the largest amount.
pub fn sum(cents: &[i64]) -> i64 {
    cents.iter().fold(0, |sum, next| sum.saturating_add(*next))
}
"#;

const WEB_INDEX: &str = "<!doctype html>\n<title>Shop</title>\n<link rel=\"stylesheet\" href=\"style.css\">\n<ul id=\"goods\"></ul>\n<script src=\"app.js\"></script>\n";
const WEB_APP: &str = "for (const item of goods) {\n  const line = document.createElement(\"li\");\n  line.textContent = `${item.name} ${item.cents}`;\n  list.append(line);\n}\n";
