//! `plimsoll serve`.

use crate::{app, config, telemetry};

/// The service, with settings from flags over environment over a file.
#[derive(clap::Args)]
#[command(after_help = "Needs at least the App's id, its private key and the webhook's secret. Stops in order on \
                        SIGTERM or SIGINT. All settings are explained in docs/configuration.md.")]
pub(super) struct Serve {
    #[command(flatten)]
    flags: config::Flags,
}

impl Serve {
    pub(super) fn run(&self) -> u8 {
        match app::settings(&self.flags) {
            Ok(settings) => {
                telemetry::start(&settings.log);
                super::wait_for(app::serve(&settings))
            }
            Err(refusal) => super::refused(&refusal),
        }
    }
}
