//! The command line: one file for each subcommand, each with its `Args` and a `run` that returns an [`Exit`].
//!
//! Exit codes are the same everywhere: 0 fine, 1 the command found something to complain of, 2 it could not work.

pub mod check;
mod clock;
pub mod doctor;
mod explain;
mod generate;
pub mod held;
pub mod log;
mod mail_server;
mod notice;
pub mod postsuper_helper;
pub mod release;
mod serve;
pub mod stop;

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{Config, DEFAULT_PATH as CONFIG_FILE};
use clock::now;

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

/// Why a command could not do its work; one line for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Problem(String);

impl Problem {
    fn new(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }

    fn at(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |error| Self(format!("{}: {error}", path.display()))
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
    /// Run the daemon
    Serve(serve::Args),
    Check(check::Args),
    Explain(explain::Args),
    /// The decision log: verify, prove, report, purge
    Log(log::Args),
    /// Look for what stands in the way: mail server, sockets, rights, clock
    Doctor(doctor::Args),
    /// Show, release or cancel what waits
    Held(held::Args),
    /// Let held mail go when its window is open
    Release(release::Args),
    /// Change Postfix's queue as root, for `release` and `held`
    #[command(hide = true)]
    PostsuperHelper(postsuper_helper::Args),
    /// Suspend a sender, a list, a charter or all protected mail
    Stop(stop::Args),
    /// Lift a stop
    Resume(stop::ResumeArgs),
    /// Write the information notice for members
    Notice(notice::Args),
    /// Write completions for a shell to standard output
    Completions(generate::CompletionsArgs),
    /// Write the manual pages to a directory
    #[command(hide = true)]
    Manual(generate::ManualArgs),
}

/// Parses the arguments and runs the subcommand they name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(args) {
        Ok(cli) => match cli.command {
            Command::Check(args) => check::run(&args).into(),
            Command::Serve(args) => serve::run(&args).into(),
            Command::Explain(args) => explain::run(&args).into(),
            Command::Log(args) => log::run(args).into(),
            Command::Doctor(args) => doctor::run(&args).into(),
            Command::Held(args) => held::run(&args).into(),
            Command::Release(args) => release::run(&args).into(),
            Command::PostsuperHelper(args) => postsuper_helper::run(args).into(),
            Command::Stop(args) => stop::run(&args).into(),
            Command::Resume(args) => stop::resume(&args).into(),
            Command::Notice(args) => notice::run(&args).into(),
            Command::Completions(args) => generate::completions(&args, Cli::command()).into(),
            Command::Manual(args) => generate::manual(&args, Cli::command()).into(),
        },
        Err(error) => {
            // Help and version are answers, not errors: clap knows which stream each belongs on.
            let exit = if error.use_stderr() { Exit::Failed } else { Exit::Fine };
            let _ = error.print();
            exit.into()
        }
    }
}

/// The configuration that a command works with.
#[derive(Debug, Clone, clap::Args)]
struct ConfigFile {
    /// Main configuration file
    #[arg(id = "config", long, short, global = true, value_name = "FILE", default_value = CONFIG_FILE)]
    path: PathBuf,
}

impl ConfigFile {
    /// What the file says; where it is wrong, all its problems are shown and there is none.
    fn load(&self) -> Option<Config> {
        Config::load(&self.path).map_err(|report| complain(&report)).ok()
    }
}

/// Shows the problems of a configuration on standard error, in colour on a terminal.
fn complain(report: &crate::config::report::Report) {
    let text = report.render(io::stderr().is_terminal());
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Reads a reason or a reference: one line, which logs, replies and lists can show as it is.
fn one_line(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("it may not be empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("it must be one line without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Says why a command could not work.
fn say_error(error: &dyn std::error::Error) {
    say(&error.to_string());
}

/// Says one line on standard error, to the person at the terminal.
fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "charter-milter: {text}");
}

/// Writes to standard output what was asked for. A reader who has seen enough (`| head`) is no error.
///
/// Whoever wrote a log may have put commands for the reader's terminal into its texts: none of them gets there.
fn print(text: &str) -> Result<(), Problem> {
    let is_harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    let harmless: Cow<'_, str> = if io::stdout().is_terminal() && !text.chars().all(is_harmless) {
        text.chars().map(|c| if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
    } else {
        text.into()
    };
    match anstream::stdout().write_all(harmless.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Problem::new(error)),
        _ => Ok(()),
    }
}

/// Writes to standard output what a program asked for.
fn print_json(value: &(impl serde::Serialize + ?Sized)) {
    let _ = writeln!(anstream::stdout(), "{}", serde_json::to_string_pretty(value).unwrap_or_default());
}

/// From how many octets on a progress bar is worth its flicker.
const PROGRESS_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// A progress bar over so many octets, on standard error when that is a terminal; invisible for short work.
fn progress(bytes_total: u64) -> indicatif::ProgressBar {
    if bytes_total < PROGRESS_BYTES_MIN || !io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new(bytes_total);
    if let Ok(style) = indicatif::ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    bar
}
