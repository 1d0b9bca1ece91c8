//! Steps, verification against a server that really answers, the way back, and what gives way to what.

use super::*;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::atomic::AtomicBool;

/// The shop as its visitors see it: well, or not.
struct Shop {
    address: SocketAddr,
    well: Arc<AtomicBool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shop {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let well = Arc::new(AtomicBool::new(true));
        let router = Router::new().fallback(health).with_state(well.clone());
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, well, serving }
    }

    fn turn(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }

    /// Two steps, each verified by asking the shop.
    fn policy(&self) -> String {
        format!(
            r#"version: 1
services:
  api: {{ paths: ["services/api/**"] }}
pipeline:
  trigger: {{ workflow: deploy.yml }}
  environments:
    - name: production
      rollout: [25%, 100%]
      verify:
        - name: health
          http: {{ url: "http://{}/healthz" }}
          every: 1s
"#,
            self.address
        )
    }

    /// A town whose operator lets policies ask the shop.
    async fn town(&self) -> Town {
        let host = self.address.to_string();
        Town::open_changed(SandboxOptions::default(), |settings| {
            settings.probe_hosts = vec![host];
            settings.probe_nets = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .await
    }
}

async fn health(State(well): State<Arc<AtomicBool>>) -> StatusCode {
    if well.load(Ordering::SeqCst) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn steps(sha: &str, percents: &[&str]) -> Vec<(String, String)> {
    percents.iter().map(|percent| (sha.to_owned(), (*percent).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_turns_bad_at_25_percent_is_taken_back_and_its_revert_passes_the_hold() {
    let shop = Shop::open().await;
    let mut town = shop.town().await;
    town.policy(&shop.policy()).await;
    let first = town.change("search", "ada").await;
    let good = town.merged(first).await;
    town.card_says(&good, "Release 1 is live in production").await;
    assert_eq!(town.dispatched(), steps(&good, &["25", "100"]));

    let second = town.change("stock", "ada").await;
    shop.turn(false);
    let bad = town.merged(second).await;
    town.card_says(&bad, "Release 2 failed in production").await;
    // What is brought back is asked too.
    shop.turn(true);
    town.card_says(&bad, "; rolled back to release 1").await;
    town.quiet().await;
    let mut dispatched = steps(&good, &["25", "100"]);
    dispatched.extend(steps(&bad, &["25"]));
    dispatched.extend(steps(&good, &["100"]));
    assert_eq!(town.dispatched(), dispatched);
    assert_eq!(town.succeeded("production"), [good.clone(), good.clone()]);
    let check = town.check(&bad, "plimsoll/release (api)").unwrap();
    assert_eq!(check.conclusion.as_deref(), Some("failure"));
    let card = town.card(&bad);
    assert!(card.contains("verification health failed: answered 503, not 200"), "{card}");

    let revert = town.github.with(|model, _| {
        model.pulls.values().find(|pull| pull.title == "Revert \"feat(api): stock\"").map(|p| (p.number, p.draft))
    });
    let (revert, draft) = revert.expect("a revert pull request");
    assert!(draft, "somebody must look at it first");
    assert!(card.contains(&format!("#{revert} is a draft that reverts #{second}")), "{card}");
    let status = town.command(second, "ada", "/plimsoll status").await;
    assert!(status.contains("`production` is held: release 2 failed"), "{status}");

    // So much in so little time is more than GitHub takes in a minute.
    town.later(Duration::from_secs(61)).await;
    // Something else has to wait; the revert does not, and ends the hold.
    let third = town.change("prices", "ada").await;
    let other = town.merged(third).await;
    assert_eq!(town.dispatched().len(), 4, "it is held");
    town.card_says(&other, "Release 4 is kept from production").await;
    town.github.set_draft(revert, false, "grace").unwrap();
    let mended = town.merged(revert).await;
    town.card_says(&mended, "is live in production").await;
    town.quiet().await;
    assert_eq!(town.card(&mended).matches("| #4 feat(api): prices").count(), 1, "{}", town.card(&mended));
    assert_eq!(town.succeeded("production").last(), Some(&mended));
    let status = town.command(second, "ada", "/plimsoll status").await;
    assert!(!status.contains("is held"), "{status}");
    assert_eq!(town.parked().await, []);
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_the_operator_did_not_open_is_never_asked_and_a_person_must_say() {
    let shop = Shop::open().await;
    let mut town = Town::open().await;
    town.policy(&shop.policy()).await;
    let number = town.change("search", "ada").await;
    let sha = town.merged(number).await;
    town.card_says(&sha, "is verified").await;
    town.later(Duration::from_secs(2 * 3_600)).await;
    town.card_says(&sha, "is undecided").await;
    assert_eq!(town.dispatched(), steps(&sha, &["25"]));
    let answer = town.command(number, "ada", "/plimsoll resume production").await;
    assert!(answer.contains("takes the step as good"), "{answer}");
    town.quiet().await;
    assert_eq!(town.dispatched(), steps(&sha, &["25", "100"]));
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_decides_nothing_and_the_card_says_what_it_heard() {
    let shop = Shop::open().await;
    let mut town = shop.town().await;
    town.policy(&shop.policy().replace("every: 1s", "dry_run: true")).await;
    shop.turn(false);
    let number = town.change("search", "ada").await;
    let sha = town.merged(number).await;
    town.card_says(&sha, "Release 1 is live in production").await;
    town.quiet().await;
    assert_eq!(town.dispatched(), steps(&sha, &["25", "100"]));
    let card = town.card(&sha);
    assert!(card.contains("❌ `health` would have failed at 25 %: answered 503, not 200"), "{card}");
    town.looked_at_writes = true;
    town.close().await;
}

fn one_environment(lines: &str) -> String {
    format!(
        r#"version: 1
services:
  api: {{ paths: ["services/api/**"] }}
pipeline:
  trigger: {{ workflow: deploy.yml }}
  environments:
    - name: production
      {lines}
"#
    )
}

/// Waits until a commit is being rolled out, and gives the run.
async fn running(town: &Town, sha: &str) -> u64 {
    town.until("a run is under way", |github| {
        let runs = github.runs();
        runs.into_iter().find(|run| run.inputs["sha"] == sha && run.status() == "in_progress").map(|run| run.id)
    })
    .await
}

/// Merges while runs are under way.
async fn merged_meanwhile(town: &Town, number: u64) -> String {
    town.github.merge(number, "linus").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_release_waits_for_one_that_is_being_rolled_out() {
    let mut town = Town::open_with_long_runs().await;
    town.policy(&one_environment("supersede: wait\n      rollout: [50%, 100%]")).await;
    let (first, second) = (town.change("search", "ada").await, town.change("stock", "ada").await);
    let older = merged_meanwhile(&town, first).await;
    let run = running(&town, &older).await;
    let newer = merged_meanwhile(&town, second).await;
    town.card_says(&newer, "It starts when release 1 has ended in `production`").await;
    for (run, percent) in [(run, "50"), (0, "100")] {
        let run = if run > 0 { run } else { running(&town, &older).await };
        assert_eq!(town.dispatched().last(), Some(&(older.clone(), percent.to_owned())));
        town.github.with(|model, now| model.finish_run(run, "success", "", now));
    }
    let run = running(&town, &newer).await;
    assert_eq!(town.succeeded("production"), std::slice::from_ref(&older));
    for run in [run, 0] {
        let run = if run > 0 { run } else { running(&town, &newer).await };
        town.github.with(|model, now| model.finish_run(run, "success", "", now));
    }
    town.card_says(&newer, "is live in production").await;
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_release_takes_the_place_of_one_mid_rollout_where_the_policy_says_so() {
    let mut town = Town::open_with_long_runs().await;
    town.policy(&one_environment("supersede: abort\n      rollout: [50%, 100%]")).await;
    let (first, second) = (town.change("search", "ada").await, town.change("stock", "ada").await);
    let older = merged_meanwhile(&town, first).await;
    let run = running(&town, &older).await;
    let newer = merged_meanwhile(&town, second).await;
    let next = running(&town, &newer).await;
    let stopped = town.github.runs().into_iter().find(|one| one.id == run).unwrap();
    assert!(stopped.cancel_wanted || stopped.state.conclusion() == Some("cancelled"), "{stopped:?}");
    town.card_says(&older, "Release 1 was superseded").await;
    assert!(town.card(&older).contains("uperseded by release 2"), "{}", town.card(&older));
    town.github.with(|model, now| model.finish_run(next, "success", "", now));
    let last = running(&town, &newer).await;
    town.github.with(|model, now| model.finish_run(last, "success", "", now));
    town.card_says(&newer, "is live in production").await;
    assert_eq!(town.succeeded("production"), [newer.as_str()]);
    town.looked_at_writes = true;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_brings_no_more_than_the_policy_allows_and_the_status_says_why_it_splits() {
    let mut town = Town::open().await;
    let approval = one_environment("approval: { count: 1, teams: [\"acme/release-managers\"] }");
    town.policy(&approval.replace("  environments:", "  max_changes: 1\n  environments:")).await;
    let (first, second) = (town.change("search", "ada").await, town.change("stock", "ada").await);
    let older = town.merged(first).await;
    let newer = town.merged(second).await;
    let status = town.command(second, "ada", "/plimsoll status").await;
    assert!(status.contains("together they would bring more than 1 pull requests"), "{status}");
    assert!(town.card(&newer).contains("the policy's `max_changes`"), "{}", town.card(&newer));
    town.command(first, "grace", "/plimsoll approve production").await;
    town.quiet().await;
    assert_eq!(town.succeeded("production"), std::slice::from_ref(&older));
    town.command(second, "grace", "/plimsoll approve production").await;
    town.quiet().await;
    assert_eq!(town.succeeded("production"), [older, newer]);
    town.looked_at_writes = true;
    town.close().await;
}
