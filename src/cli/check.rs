//! `charter-milter check`: what is wrong with the configuration, and what it says: who may write where, when, how much
//! and under which proofs, who may not and why (pm:1), and what keeps each clause.

mod print;
mod summary;
mod words;

use std::io::Write;
use std::path::PathBuf;

use jiff::Timestamp;

use super::Exit;
use crate::config::Config;
use crate::config::codes::Code;
use crate::config::report::Report;
use summary::Summary;

/// Check the configuration, and print who may write where, when, how much, and what enforces each clause.
///
/// Exits with 0 when the configuration can come into force, with 1 when it has errors (with --strict also warnings), and
/// with 2 when the file cannot be read.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: super::ConfigFile,
    /// Charter files to check by themselves, without the main file; or another main file.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    files: Vec<PathBuf>,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
    /// Treat warnings as errors.
    #[arg(long)]
    strict: bool,
    /// Print problems only.
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let mut text = Vec::new();
    let Ok(exit) = check(args, super::now(), &mut text, true) else { return Exit::Failed };
    // The stream drops colours where it is not a terminal. A reader who has seen enough (`| head`) changes nothing.
    match anstream::stdout().write_all(&text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => exit,
    }
}

/// Runs the command as at `now`, which decides what is open and what is over.
///
/// # Errors
/// When `out` cannot be written.
fn check(args: &Args, now: Timestamp, out: &mut impl Write, colour: bool) -> std::io::Result<Exit> {
    let loaded = match args.files.as_slice() {
        [] => Config::load(&args.config.path),
        [main] if Config::is_main_file(main) => Config::load(main),
        charters => Config::load_charters(charters),
    };
    let (report, summary) = match &loaded {
        Ok(config) => (config.warnings_at(now), Some(Summary::of(config, now))),
        Err(report) => (report.clone(), None),
    };
    if args.json {
        let document = serde_json::json!({ "problems": report.json(), "summary": summary });
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report.render(colour))?;
        if let Some(summary) = summary.filter(|_| !args.quiet) {
            print::summary(&summary, out, colour)?;
        }
        writeln!(out, "{}", verdict(&report))?;
    }
    Ok(exit(&report, args.strict))
}

fn verdict(report: &Report) -> String {
    let count = |n: usize, noun: &str| if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") };
    let (errors, warnings) = report.counts();
    let what =
        if errors == 0 { "The configuration can come into force" } else { "The configuration cannot come into force" };
    format!("{what}: {}, {}.", count(errors, "error"), count(warnings, "warning"))
}

fn exit(report: &Report, strict: bool) -> Exit {
    let (errors, warnings) = report.counts();
    // What cannot even be read has not been checked.
    let unread = [Code::FileMissing, Code::FileUnreadable, Code::FileTooLarge, Code::NotUtf8];
    match (errors, warnings) {
        (1, _) if report.codes().iter().any(|code| unread.contains(code)) => Exit::Failed,
        (0, 0) => Exit::Fine,
        (0, _) if !strict => Exit::Fine,
        _ => Exit::Found,
    }
}
