//! `plimsoll risk`: the risk of changes, and the model behind it.
//!
//! Knows which subcommand was asked for. Must never compute a risk: that is the domain's.

use super::risk_data::{Evaluate, Train};
use clap::{Args, Subcommand};

/// `plimsoll risk` and what follows it.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Risk {
    #[command(subcommand)]
    command: RiskCommand,
}

#[derive(Subcommand)]
enum RiskCommand {
    /// Learns a model from labelled changes in CSV files and writes its file
    Train(Train),
    /// Scores a model on the newest fifth of labelled changes in CSV files, beside two simple baselines
    Evaluate(Evaluate),
}

impl Risk {
    /// Runs what was asked for.
    pub fn run(&self) -> u8 {
        match &self.command {
            RiskCommand::Train(train) => train.run(),
            RiskCommand::Evaluate(evaluate) => evaluate.run(),
        }
    }
}
