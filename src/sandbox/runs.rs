//! Moves workflow runs on: by the clock, or by a local command.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Shared;
use super::model::{Run, RunState};

const OUTPUT_BYTES_MAX: usize = 64 * 1024;
const BEAT: Duration = Duration::from_millis(50);

/// Looks after the workflow runs until the runtime ends.
pub(super) async fn progress(shared: Arc<Shared>) {
    let mut started = BTreeSet::new();
    loop {
        if !shared.clock_is_manual() {
            let now = shared.now();
            shared.model().tick(now);
        }
        if let Some(command) = shared.exec.clone() {
            let ready: Vec<Run> = {
                let model = shared.model();
                model
                    .runs
                    .values()
                    .filter(|run| matches!(run.state, RunState::InProgress { .. }) && !started.contains(&run.id))
                    .cloned()
                    .collect()
            };
            for run in ready {
                started.insert(run.id);
                tokio::spawn(execute(shared.clone(), command.clone(), run));
            }
        }
        if shared.model().has_events() {
            shared.wake_hooks.notify_one();
        }
        let _ = tokio::time::timeout(BEAT, shared.wake_runs.notified()).await;
    }
}

async fn execute(shared: Arc<Shared>, command: String, run: Run) {
    let mut process = tokio::process::Command::new("sh");
    process
        .arg("-c")
        .arg(&command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for (name, value) in &run.inputs {
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        let value = value.replace('\0', "");
        process.env(format!("PLIMSOLL_INPUT_{name}"), &value).env(format!("INPUT_{name}"), value);
    }
    process
        .env("GITHUB_SHA", &run.head_sha)
        .env("GITHUB_REF_NAME", &run.head_branch)
        .env("GITHUB_RUN_ID", run.id.to_string())
        // As for a job with `permissions: id-token: write`.
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/token?run={}", shared.oidc_issuer(), run.id))
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", shared.run_secret(run.id));
    let (conclusion, output) = match process.spawn() {
        Err(error) => ("failure", format!("cannot run sh: {error}\n")),
        Ok(mut child) => {
            let stdout = tokio::spawn(bounded(child.stdout.take()));
            let stderr = tokio::spawn(bounded(child.stderr.take()));
            let status = loop {
                tokio::select! {
                    status = child.wait() => break status.ok(),
                    () = tokio::time::sleep(BEAT) => {
                        if shared.model().runs.get(&run.id).is_none_or(|run| run.cancel_wanted) {
                            let _ = child.kill().await;
                            break None;
                        }
                    }
                }
            };
            // A child of the command may keep the pipes open after it: what is there by then is kept.
            let text = |part| async {
                tokio::time::timeout(Duration::from_secs(1), part).await.ok().and_then(Result::ok).unwrap_or_default()
            };
            let output = format!("{}{}", text(stdout).await, text(stderr).await);
            (if status.is_some_and(|status| status.success()) { "success" } else { "failure" }, output)
        }
    };
    let now = shared.now();
    shared.model().finish_run(run.id, conclusion, &output, now);
    shared.wake_hooks.notify_one();
}

/// Reads all, keeps the beginning.
async fn bounded(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else {
        return String::new();
    };
    let mut kept = Vec::new();
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
