//! The command line: one file for each subcommand, each with its `Args` and a `run` that returns an [`Exit`].
//!
//! Exit codes are the same everywhere: 0 fine, 1 the command found something to complain of, 2 it could not work.

pub mod check;
pub mod log;
pub mod stop;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a subcommand tells the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything is as it should be.
    Fine,
    /// The command worked and found something wrong.
    Found,
    /// The command could not do its work.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Fine => ExitCode::from(0),
            Exit::Found => ExitCode::from(1),
            Exit::Failed => ExitCode::from(2),
        }
    }
}

#[derive(Debug, Parser)]
#[command(version, about, long_about = None, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    /// The decision log: verify, prove, report, purge
    Log(log::Args),
    /// Suspend a sender, a list, a charter or all protected mail
    Stop(stop::Args),
    /// Lift a stop
    Resume(stop::ResumeArgs),
}

/// Parses the arguments and runs the subcommand they name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(args) {
        Ok(cli) => match cli.command {
            Command::Check(args) => check::run(&args).into(),
            Command::Log(args) => log::run(args).into(),
            Command::Stop(args) => stop::run(&args).into(),
            Command::Resume(args) => stop::resume(&args).into(),
        },
        Err(error) => {
            // Help and version are answers, not errors: clap knows which stream each belongs on.
            let exit = if error.use_stderr() { Exit::Failed } else { Exit::Fine };
            let _ = error.print();
            exit.into()
        }
    }
}

/// The instant now.
#[expect(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
