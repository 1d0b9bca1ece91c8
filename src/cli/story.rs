//! Stories that the sandbox plays by itself: what people do, and what must then be seen on GitHub.
//!
//! Knows only what a person could see and do on the sandbox's GitHub. Must never look into the service: a story that
//! happens proves the whole way through it.

mod careful;

use crate::app::SystemClock;
use crate::domain::ids::Timestamp;
use crate::engine::ports;
use crate::sandbox::Sandbox as GitHub;
use crate::sandbox::model::{Comment, Deployment, DeploymentStatus, PullEdit, Refusal};
use anyhow::{anyhow, bail};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How long a step may take until it counts as not happened.
const PATIENCE: Duration = Duration::from_secs(90);
const BEAT: Duration = Duration::from_millis(50);
/// How long nothing must happen until it counts as not going to happen.
const QUIET: Duration = Duration::from_secs(2);

/// The machine's clock, moved on where a story says that time went by.
#[derive(Debug, Default)]
pub(super) struct Clock(AtomicI64);

impl ports::Clock for Clock {
    fn now(&self) -> Timestamp {
        Timestamp(ports::Clock::now(&SystemClock).0 + self.0.load(Ordering::Relaxed))
    }
}

/// One pull request from opened to running in production, one that is taken back, and then all that keeps a release
/// from going too fast. Fails at the first step that does not happen.
pub(super) async fn street(github: &GitHub, clock: &Clock) -> anyhow::Result<()> {
    let began = Watch::start();
    let mut told = Told { github, clock, step: 0 };
    println!(
        "The street: one pull request from opened to running in production, one that is taken back, and a careful one"
    );

    told.step("Ada opens a pull request.");
    let (branch, title, body, author) = crate::sandbox::seed::PULLS[0];
    let number = github.open_pull(branch, title, body, author).map_err(refused)?;
    told.note(&format!("#{number} {title}"));
    let head = github.head_sha(number).ok_or_else(|| anyhow!("the pull request has no head"))?;
    for name in ["plimsoll/policy", "plimsoll/risk"] {
        let check = told
            .until(&format!("the check run {name} is completed"), || {
                github.check_runs(&head).into_iter().find(|check| check.name == name && check.status == "completed")
            })
            .await?;
        let conclusion = check.conclusion.unwrap_or_default();
        told.note(&format!("check run {name}: {conclusion}. {}", check.title.unwrap_or_default()));
    }
    let living = told.until("Plimsoll comments on it", || told.by_plimsoll(number).into_iter().next()).await?;
    told.quote(&living.body);

    told.step("Barbara asks how it stands.");
    let asked = github.comment(number, "barbara", "/plimsoll status").map_err(refused)?;
    told.until("her command is seen", || told.has_eyes(asked)).await?;
    let answer = told.answer_after(number, asked).await?;
    told.quote(&answer.body);

    told.step("Linus merges it.");
    let merged = github.merge(number, "linus").map_err(refused)?;
    told.note(&format!("merged as {}", &merged[..7.min(merged.len())]));
    told.deployed("staging", &merged).await?;

    told.step("Nobody has approved production, so nothing goes there.");
    told.stays_away("production").await?;

    told.step("Linus is a release manager, but merged it himself, and approves it.");
    let own = github.comment(number, "linus", "/plimsoll approve production").map_err(refused)?;
    told.refusal_after(number, own).await?;
    told.stays_away("production").await?;

    told.step("Mallory, who may only read, approves it.");
    let stranger = github.comment(number, "mallory", "/plimsoll approve production").map_err(refused)?;
    told.refusal_after(number, stranger).await?;
    told.stays_away("production").await?;

    told.step("Grace, a release manager who had no part in it, approves it.");
    let approval = github.comment(number, "grace", "/plimsoll approve production").map_err(refused)?;
    let answer = told.answer_after(number, approval).await?;
    told.quote(&answer.body);
    told.deployed("production", &merged).await?;

    told.step("The comment on the pull request tells how it ended.");
    let before = living.body;
    let after = told
        .until("the living comment was brought up to date", || {
            let comment = told.by_plimsoll(number).into_iter().find(|comment| comment.id == living.id)?;
            (comment.body != before && comment.body.contains("production")).then_some(comment)
        })
        .await?;
    told.quote(&after.body);
    second_change(&mut told, &merged).await?;
    careful::play(&mut told).await?;
    let twice = doubled(github);
    if !twice.is_empty() {
        bail!("dispatched more than once: {}", twice.join(", "));
    }

    println!("\nAll {} steps happened, in {} s.", told.step, began.elapsed().as_secs());
    Ok(())
}

/// A change that needs a review, fails in production, and is taken back to `good`.
async fn second_change(told: &mut Told<'_>, good: &str) -> anyhow::Result<()> {
    let github = told.github;
    told.step("Ada opens another pull request, with a migration and a careless title.");
    let (branch, title, body, author) = crate::sandbox::seed::PULLS[2];
    let number = github.open_pull(branch, "count the stock", body, author).map_err(refused)?;
    told.check_says(number, "plimsoll/policy", "failure").await?;

    told.step("She mends the title, and Barbara, a database owner, approves the review.");
    let edit = PullEdit { title: Some(title.to_owned()), ..PullEdit::default() };
    github.edit_pull(number, edit, author).map_err(refused)?;
    github.review(number, "barbara", "APPROVED").map_err(refused)?;
    told.check_says(number, "plimsoll/policy", "success").await?;

    told.step("Linus merges it; production will fail this time.");
    let merged = github.merge(number, "linus").map_err(refused)?;
    told.deployed("staging", &merged).await?;
    github.fail_next_run(Some("production"));
    let approval = github.comment(number, "grace", "/plimsoll approve production").map_err(refused)?;
    told.answer_after(number, approval).await?;
    told.until("the run in production fails", || {
        let mut runs = github.runs();
        runs.retain(|run| run.inputs.get("sha") == Some(&merged) && run.state.conclusion() == Some("failure"));
        runs.pop()
    })
    .await?;
    told.note("the workflow run in production failed");

    told.step("Plimsoll takes production back to what was good, and holds it.");
    let brought_back = |deployment: &Deployment, statuses: &[DeploymentStatus]| {
        let there =
            deployment.environment == "production" && deployment.sha == good && deployment.task.starts_with("rollback");
        there && statuses.iter().any(|status| status.state == "success")
    };
    told.until("the rollback succeeds", || {
        github.deployments().into_iter().find(|(deployment, statuses)| brought_back(deployment, statuses))
    })
    .await?;
    let comment = told
        .until("the comment tells of it", || {
            told.by_plimsoll(number).into_iter().find(|comment| comment.body.contains("rolled back to release"))
        })
        .await?;
    told.quote(&comment.body);

    told.step("Grace looks how it stands, and ends the hold.");
    let asked = github.comment(number, "grace", "/plimsoll status").map_err(refused)?;
    let answer = told.answer_after(number, asked).await?;
    told.quote(&answer.body);
    let asked = github.comment(number, "grace", "/plimsoll resume production").map_err(refused)?;
    let answer = told.answer_after(number, asked).await?;
    told.quote(&answer.body);
    if answer.body.contains("Nothing was changed.") {
        bail!("step {}: the hold was not ended", told.step);
    }
    Ok(())
}

/// Measures how long something takes.
struct Watch(Timestamp);

impl Watch {
    fn start() -> Self {
        Self(ports::Clock::now(&SystemClock))
    }
    fn elapsed(&self) -> Duration {
        Duration::from_millis(ports::Clock::now(&SystemClock).since(self.0).0)
    }
}

/// Tells the story while it happens.
struct Told<'a> {
    github: &'a GitHub,
    clock: &'a Clock,
    step: u32,
}

impl Told<'_> {
    fn step(&mut self, what: &str) {
        self.step += 1;
        println!("\n{}. {what}", self.step);
    }

    fn note(&self, what: &str) {
        println!("   {what}");
    }

    /// The text of a comment, as it stands there.
    fn quote(&self, body: &str) {
        for line in body.lines().filter(|line| !line.trim_start().starts_with("<!--")) {
            println!("   | {line}");
        }
    }

    /// Waits until something can be seen.
    async fn until<T>(&self, what: &str, seen: impl Fn() -> Option<T>) -> anyhow::Result<T> {
        let began = Watch::start();
        loop {
            if let Some(found) = seen() {
                return Ok(found);
            }
            if began.elapsed() > PATIENCE {
                bail!("step {}: within {} s it did not happen that {what}", self.step, PATIENCE.as_secs());
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Plimsoll's comments on a pull request, oldest first.
    fn by_plimsoll(&self, number: u64) -> Vec<Comment> {
        let mut comments = self.github.comments(number);
        comments.retain(|comment| comment.author.ends_with("[bot]"));
        comments
    }

    fn has_eyes(&self, comment: u64) -> Option<()> {
        let seen = |reaction: &crate::sandbox::model::Reaction| {
            reaction.comment == comment && reaction.content == "eyes" && reaction.author.ends_with("[bot]")
        };
        self.github.with(|model, _| model.reactions.values().any(seen)).then_some(())
    }

    /// Waits until a check run of the head comes to a conclusion.
    async fn check_says(&self, number: u64, name: &str, conclusion: &str) -> anyhow::Result<()> {
        let check = self
            .until(&format!("the check run {name} says {conclusion}"), || {
                let runs = self.github.check_runs(&self.github.head_sha(number)?);
                runs.into_iter().find(|check| check.name == name && check.conclusion.as_deref() == Some(conclusion))
            })
            .await?;
        self.note(&format!("check run {name}: {conclusion}. {}", check.title.unwrap_or_default()));
        Ok(())
    }

    /// Lets time go by, for GitHub and for Plimsoll.
    fn later(&self, by: Duration) {
        self.github.advance(by);
        self.clock.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Comments a command, and gives the answer's text.
    async fn ask(&self, number: u64, login: &str, command: &str) -> anyhow::Result<String> {
        self.note(&format!("{login}: {command}"));
        let asked = self.github.comment(number, login, command).map_err(refused)?;
        let answer = self.answer_after(number, asked).await?;
        self.quote(&answer.body);
        Ok(answer.body)
    }

    /// The first comment of Plimsoll's that is younger than a command.
    async fn answer_after(&self, number: u64, command: u64) -> anyhow::Result<Comment> {
        let answer = || self.by_plimsoll(number).into_iter().find(|comment| comment.id > command);
        self.until("the command is answered", answer).await
    }

    /// The same, when it must say no.
    async fn refusal_after(&self, number: u64, command: u64) -> anyhow::Result<()> {
        let answer = self.answer_after(number, command).await?;
        self.quote(&answer.body);
        if !answer.body.contains("Nothing was changed.") {
            bail!("step {}: this is no refusal", self.step);
        }
        Ok(())
    }

    /// Waits until a deployment of a commit succeeded, and its workflow run with it.
    async fn deployed(&self, environment: &str, sha: &str) -> anyhow::Result<()> {
        let run = self
            .until(&format!("a workflow run deploys to {environment}"), || {
                let mut runs = self.github.runs();
                runs.retain(|run| run.inputs.get("environment").is_some_and(|to| to == environment));
                runs.into_iter().find(|run| run.inputs.get("sha").is_some_and(|of| of == sha))
            })
            .await?;
        self.note(&format!("workflow run: {}", run.display_title));
        self.until(&format!("the deployment to {environment} succeeds"), || {
            self.github.deployments().into_iter().find(|(deployment, statuses)| {
                deployment.environment == environment
                    && deployment.sha == sha
                    && statuses.iter().any(|status| status.state == "success")
            })
        })
        .await?;
        self.note(&format!("deployment to {environment}: success"));
        Ok(())
    }

    /// Looks for a while that no workflow run goes to an environment.
    async fn stays_away(&self, environment: &str) -> anyhow::Result<()> {
        let began = Watch::start();
        while began.elapsed() < QUIET {
            let gone =
                |run: &crate::sandbox::model::Run| run.inputs.get("environment").is_some_and(|to| to == environment);
            if self.github.runs().iter().any(gone) {
                bail!("step {}: a workflow run went to {environment} without an approval", self.step);
            }
            tokio::time::sleep(BEAT).await;
        }
        self.note(&format!("no workflow run went to {environment}"));
        Ok(())
    }
}

/// Keys under which more than one workflow run was started.
fn doubled(github: &GitHub) -> Vec<String> {
    let mut keys: Vec<String> =
        github.runs().iter().filter_map(|run| run.inputs.get("plimsoll_key").cloned()).collect();
    keys.sort();
    let mut twice: Vec<String> =
        keys.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone()).collect();
    twice.dedup();
    twice
}

fn refused(refusal: Refusal) -> anyhow::Error {
    anyhow!("GitHub would refuse with {}: {}", refusal.status, refusal.message)
}
