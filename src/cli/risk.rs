//! `plimsoll risk`: the risk of changes, and the model behind it.
//!
//! Knows which subcommand was asked for. Must never compute a risk: that is the domain's.

use super::risk_data::{Evaluate, Train};
use super::risk_of::Of;
use clap::{Args, Subcommand};

/// `plimsoll risk` and what follows it.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  plimsoll risk\n  plimsoll risk main..HEAD\n  plimsoll risk 1a2b3c4 --json\n  plimsoll risk '#12' \
                        --repo ../shop --markdown\n\nEnds with 0 when there is a verdict, also one that says that too little \
                        is known, and with 1 when the change cannot be read."
)]
pub(super) struct Risk {
    #[command(subcommand)]
    command: Option<RiskCommand>,

    #[command(flatten)]
    of: Of,
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
    pub(super) fn run(&self) -> u8 {
        match &self.command {
            Some(RiskCommand::Train(train)) => train.run(),
            Some(RiskCommand::Evaluate(evaluate)) => evaluate.run(),
            None => self.of.run(),
        }
    }
}
