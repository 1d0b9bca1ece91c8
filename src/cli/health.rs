//! `plimsoll health`: for images that have no other program to ask with.

use anyhow::{Context, bail};
use std::time::Duration;

/// Asks a running service whether it is ready.
#[derive(clap::Args)]
pub(super) struct Health {
    /// Address to ask. Without it: /readyz on this machine, at the port in PORT or at 3000
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Seconds to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

impl Health {
    pub(super) fn run(&self) -> u8 {
        let port = crate::config::environment("PORT").unwrap_or_else(|| "3000".to_owned());
        let url = self.url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}/readyz", port.trim()));
        super::wait_for(ask(url, Duration::from_secs(self.timeout)))
    }
}

async fn ask(url: String, timeout: Duration) -> anyhow::Result<()> {
    // Without a proxy: the service is near.
    let client = reqwest::Client::builder().no_proxy().timeout(timeout).build().context("cannot ask")?;
    let answer = client.get(&url).send().await.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    let text: String = text.trim().chars().take(500).collect();
    if !status.is_success() {
        bail!("{url} answers {status}: {text}");
    }
    println!("{text}");
    Ok(())
}
