//! The careful part: a production that is entered step by step, and all that may keep a release from it.
//!
//! Knows the service `web` and what people do about it. Must never look into the service itself.

use super::{Told, refused};
use anyhow::bail;
use std::time::Duration;

/// Production in two steps, the first of them verified by what the smoke tests say of the commit.
const POLICY: &str = r#"# Who may ship what, and how.
version: 1
services:
  api: { paths: ["services/api/**", "libs/**"] }
  web: { paths: ["web/**"] }

pipeline:
  trigger: { workflow: deploy.yml }
  environments:
    - name: staging
    - name: production
      approval: { count: 1, teams: ["acme/release-managers"] }
      rollout: [25%, 100%]
      verify:
        - check: smoke
          every: 1s
"#;

const CARD: &str = "plimsoll/release (web)";
/// What a minute's limit of GitHub holds back may go.
const BREATH: Duration = Duration::from_secs(61);
const LOCKED: Duration = Duration::from_secs(2 * 3_600 + 60);

/// Plays it. Fails at the first step that does not happen.
pub(super) async fn play(told: &mut Told<'_>) -> anyhow::Result<()> {
    told.step("Linus makes production careful: a quarter first, then the smoke tests, then the rest.");
    let policy = [(".github/plimsoll.yml", POLICY)];
    told.github.push_commit("main", &policy, "chore: go to production step by step", "linus").map_err(refused)?;
    let good = four_eyes(told).await?;
    let number = taken_back(told, &good).await?;
    told.later(BREATH);
    frozen_and_locked(told, number).await?;
    told.later(BREATH);
    superseded(told).await
}

/// A change that its author may not approve; the commit that is live in the end.
async fn four_eyes(told: &mut Told<'_>) -> anyhow::Result<String> {
    told.step("Linus dresses the web in dark, and Barbara merges it.");
    let (branch, title, body, author) = crate::sandbox::seed::PULLS[1];
    let number = told.github.open_pull(branch, title, body, author).map_err(refused)?;
    told.check_says(number, "plimsoll/policy", "success").await?;
    let merged = told.merged(number).await?;

    told.step("Linus is a release manager, but wrote it: his Approve button is refused.");
    told.press(&merged, "Approve", "linus").await?;
    told.card_says(&merged, "⛔ @linus is the author of").await?;
    told.no_run(&merged)?;

    told.step("Grace presses Approve: a quarter, the smoke tests are green, all of it.");
    smoke(told, &merged, "success")?;
    told.press(&merged, "Approve", "grace").await?;
    told.runs(&merged, "25").await?;
    told.runs(&merged, "100").await?;
    told.deployed("production", &merged).await?;
    Ok(merged)
}

/// A change whose smoke tests turn red at 25 %; the number of its pull request.
async fn taken_back(told: &mut Told<'_>, good: &str) -> anyhow::Result<u64> {
    told.step("Ada makes the web louder; at a quarter the smoke tests turn red.");
    let number = told.change("loud-web", "feat(web): louder").await?;
    let merged = told.merged(number).await?;
    told.press(&merged, "Approve", "grace").await?;
    told.runs(&merged, "25").await?;
    smoke(told, &merged, "failure")?;

    told.step("Plimsoll takes the quarter back, holds production, and prepares a revert.");
    let back = |task: &str| task.starts_with("rollback");
    told.until("the rollback succeeds", || {
        told.github.deployments().into_iter().find(|(deployment, statuses)| {
            let there = deployment.environment == "production" && deployment.sha == good && back(&deployment.task);
            there && statuses.iter().any(|status| status.state == "success")
        })
    })
    .await?;
    told.card_says(&merged, "verification check smoke failed").await?;
    told.card_says(&merged, "; rolled back to release").await?;
    if told.portions(&merged) != ["25"] {
        bail!("step {}: more than a quarter was dispatched", told.step);
    }
    let revert = told
        .until("a draft takes it back", || {
            let titled = |title: &str| title == "Revert \"feat(web): louder\"";
            told.github.with(|model, _| model.pulls.values().find(|p| titled(&p.title) && p.draft).map(|p| p.number))
        })
        .await?;
    told.note(&format!("#{revert} is a draft that takes #{number} back"));

    told.step("Barbara looks at the revert and merges it. It may pass the hold, and ends it.");
    told.later(BREATH);
    told.github.set_draft(revert, false, "barbara").map_err(refused)?;
    let mended = told.merged(revert).await?;
    smoke(told, &mended, "success")?;
    told.press(&mended, "Approve", "grace").await?;
    told.deployed("production", &mended).await?;
    let status = told.ask(number, "grace", "/plimsoll status").await?;
    if status.contains("is held") {
        bail!("step {}: the hold did not end", told.step);
    }
    Ok(number)
}

/// A change that waits for a freeze, which a person ends, and for a lock, which the clock ends.
async fn frozen_and_locked(told: &mut Told<'_>, before: u64) -> anyhow::Result<()> {
    told.step("The sale begins: Grace freezes production. Barbara needs it to herself for two hours.");
    for (login, command) in [
        ("grace", "/plimsoll freeze production --reason \"the sale begins\""),
        ("barbara", "/plimsoll lock production --for 2h --service web --reason \"the database moves\""),
    ] {
        if told.ask(before, login, command).await?.contains("Nothing was changed.") {
            bail!("step {}: it was refused", told.step);
        }
    }

    told.step("Ada's next change is merged and approved, and has to wait.");
    let number = told.change("calm-web", "feat(web): calmer").await?;
    let merged = told.merged(number).await?;
    smoke(told, &merged, "success")?;
    told.press(&merged, "Approve", "grace").await?;
    told.card_says(&merged, "It still waits").await?;
    let why = told.ask(number, "ada", "/plimsoll why production").await?;
    for word in ["❌ **lock**", "❌ **freeze**", "✅ **approval**"] {
        if !why.contains(word) {
            bail!("step {}: the answer does not say {word}", told.step);
        }
    }

    told.step("The sale is over: Grace ends the freeze. The lock still holds.");
    told.ask(number, "grace", "/plimsoll unfreeze production").await?;
    told.card_says(&merged, "✅ **freeze**").await?;
    told.no_run(&merged)?;

    told.step("Two hours later the lock has run out, and the release goes on by itself.");
    told.later(LOCKED);
    // Nobody commands anything; the sandbox's clock jumped, and a remark wakes who sleeps by the machine's.
    told.github.comment(number, "mallory", "Two hours have gone by.").map_err(refused)?;
    told.deployed("production", &merged).await
}

/// A candidate that a newer one replaces.
async fn superseded(told: &mut Told<'_>) -> anyhow::Result<()> {
    told.step("Two changes are merged before anybody approves: the newer one takes the place of the older.");
    let (first, second) =
        (told.change("wide-web", "feat(web): wider").await?, told.change("tall-web", "feat(web): taller").await?);
    let older = told.merged(first).await?;
    told.card_says(&older, "awaits approval for production").await?;
    let newer = told.merged(second).await?;
    told.card_says(&older, "was superseded").await?;
    told.card_says(&newer, "### Content: 2 pull requests").await?;

    told.step("Grace approves the newer one, which brings both; nothing of the older is ever started.");
    smoke(told, &newer, "success")?;
    told.press(&newer, "Approve", "grace").await?;
    told.deployed("production", &newer).await?;
    told.card_says(&newer, "is live in production").await?;
    told.no_run(&older)
}

/// The smoke tests say how a commit fares.
fn smoke(told: &Told<'_>, sha: &str, state: &str) -> anyhow::Result<()> {
    told.note(&format!("smoke tests: {state}"));
    told.github.set_status(sha, "smoke", state, "barbara").map(drop).map_err(refused)
}

impl Told<'_> {
    /// Opens a pull request of Ada's that changes the web, and waits for its checks.
    async fn change(&self, branch: &str, title: &str) -> anyhow::Result<u64> {
        let file = format!("web/{branch}.css");
        self.github.push_commit(branch, &[(&file, "body { margin: 0 }\n")], title, "ada").map_err(refused)?;
        let number = self.github.open_pull(branch, title, "As visitors asked for it.", "ada").map_err(refused)?;
        self.check_says(number, "plimsoll/policy", "success").await?;
        Ok(number)
    }

    /// Merges as Barbara, who is no release manager, and waits for staging.
    async fn merged(&self, number: u64) -> anyhow::Result<String> {
        let sha = self.github.merge(number, "barbara").map_err(refused)?;
        self.note(&format!("#{number} is merged as {}", &sha[..7.min(sha.len())]));
        self.deployed("staging", &sha).await?;
        Ok(sha)
    }

    /// Presses a button of the release card as soon as it is there.
    async fn press(&self, sha: &str, label: &str, login: &str) -> anyhow::Result<()> {
        let what = format!("the card of the release has the button {label}");
        self.until(&what, || self.github.press(sha, CARD, label, login).ok()).await?;
        self.note(&format!("{login} presses {label} on {CARD}"));
        Ok(())
    }

    /// Waits until the card of a release says something, and tells that line.
    async fn card_says(&self, sha: &str, words: &str) -> anyhow::Result<()> {
        let line = self
            .until(&format!("the card of the release says `{words}`"), || {
                let card = self.github.check_runs(sha).into_iter().find(|check| check.name == CARD)?;
                let text = format!("{}\n{}", card.title.unwrap_or_default(), card.summary.unwrap_or_default());
                text.lines().find(|line| line.contains(words)).map(str::to_owned)
            })
            .await?;
        self.note(&format!("{CARD}: {line}"));
        Ok(())
    }

    /// What was dispatched of a commit for production, oldest first.
    fn portions(&self, sha: &str) -> Vec<String> {
        let of = |run: &crate::sandbox::model::Run, name: &str| run.inputs.get(name).cloned().unwrap_or_default();
        let mut runs = self.github.runs();
        runs.retain(|run| of(run, "sha") == sha && of(run, "environment") == "production");
        runs.iter().rev().map(|run| of(run, "percent")).collect()
    }

    /// Waits until a portion of a commit is in production.
    async fn runs(&self, sha: &str, percent: &str) -> anyhow::Result<()> {
        let there = || self.portions(sha).iter().any(|portion| portion == percent).then_some(());
        self.until(&format!("{percent} % of production is dispatched"), there).await?;
        self.note(&format!("workflow run: {percent} % of production"));
        Ok(())
    }

    fn no_run(&self, sha: &str) -> anyhow::Result<()> {
        if !self.portions(sha).is_empty() {
            bail!("step {}: a workflow run of it went to production", self.step);
        }
        self.note("no workflow run of it went to production");
        Ok(())
    }
}
