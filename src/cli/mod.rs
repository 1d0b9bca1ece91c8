//! What a person types: commands, their flags, and what they end with.
//!
//! Knows how to speak to a terminal. Must never decide anything about a release.
//!
//! Exit codes: 0 as asked; 1 something failed or was found wrong; 2 settings or arguments are missing or wrong;
//! 130 stopped at once by a second signal.

mod backtest;
mod check;
mod explain;
mod health;
mod learn;
mod risk;
mod risk_data;
mod risk_of;
mod sandbox;
mod serve;
mod story;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Something failed, or was found wrong.
const FAILED: u8 = 1;
/// Settings or arguments are missing or wrong.
const WRONG_SETTINGS: u8 = 2;

/// Says how much risk a release carries, and brings it safely into production.
#[derive(Parser)]
#[command(
    name = "plimsoll",
    version,
    disable_help_subcommand = true,
    after_help = "Try it without an account: plimsoll sandbox\n\n\
                  Exit codes: 0 as asked; 1 something failed or was found wrong; 2 settings or arguments are missing or \
                  wrong; 130 stopped at once by a second signal."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the service: takes GitHub's deliveries and works on them until it is told to stop
    Serve(Box<serve::Serve>),
    /// Plays everything on this machine: a GitHub on localhost, the real service, and a repository to try it on
    Sandbox(sandbox::Sandbox),
    /// Looks for problems in a policy file, as the check on a pull request would
    Check(check::Check),
    /// Says why a release is or is not in an environment, where a pull request stands, or what became of a delivery
    Explain(explain::Explain),
    /// Says how risky changes are, and learns and scores the model that says it; needs no account
    Risk(risk::Risk),
    /// Plays a repository's history again and says how right its risks would have been; needs no account
    Backtest(backtest::Backtest),
    /// Asks a running service whether it is ready; for the health checks of containers
    Health(health::Health),
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Sandbox(sandbox) => sandbox.run(),
        Command::Check(check) => check.run(),
        Command::Explain(explain) => explain.run(),
        Command::Risk(risk) => risk.run(),
        Command::Backtest(backtest) => backtest.run(),
        Command::Health(health) => health.run(),
    };
    ExitCode::from(code)
}

/// Says on standard error why a command failed, with the whole chain of causes.
fn failed(error: &anyhow::Error) -> u8 {
    eprintln!("plimsoll: {error:#}");
    FAILED
}

/// Says on standard error that settings are missing or wrong.
fn refused(refusal: &crate::config::Refusal) -> u8 {
    eprintln!("plimsoll cannot start. {refusal}");
    WRONG_SETTINGS
}

/// Runs a command's work to its end.
fn wait_for(work: impl Future<Output = anyhow::Result<()>>) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("cannot start")),
    };
    match runtime.block_on(work) {
        Ok(()) => 0,
        Err(error) => failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_the_flag_and_the_help_that_its_key_promises() {
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        for key in crate::config::KEYS {
            let flag = key.flag();
            let argument = serve.get_arguments().find(|argument| argument.get_long() == flag.strip_prefix("--"));
            let help = argument.and_then(|argument| argument.get_help()).map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&key.variable()), "{flag}: {help}");
        }
    }
}
