//! `charter-milter log`: what postmasters, auditors and senders do with the decision log.
//!
//! `verify`, `check-proof`, `cosign` and `report` work on a copy as well as on the log itself. On the log itself (where its
//! private keys are) every command that shows or changes records leaves a record of its own (am:A3), and does nothing when
//! that record cannot be written.

mod auditor;
mod cosign;
mod proof;
mod purge;
mod report;
mod show;
mod verify;

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};

use super::clock::now;
use super::{Exit, Problem, print};
use crate::config::Config;
use crate::decision_log::checkpoint::{CheckpointError, Cosigner, VerifierKey};
use crate::decision_log::disk::{Layout, read_small};
use crate::decision_log::line::QuotedReference;
use crate::decision_log::mail::find_note;
use crate::decision_log::operator::operator_record;
use crate::decision_log::{Event, Journal, Options, Record, Role};

/// A key, a note or a list of keys is small; octets.
const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;

/// Arguments of `log`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Directory of the log, or of a copy of it [default: the one of the configuration]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    config: super::ConfigFile,
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Print the first public key for the auditors to keep on paper
    InitAuditor(auditor::InitArgs),
    /// Verify a log: nothing altered, removed, added or reordered
    Verify(verify::Args),
    /// Prove one record, with the opening key of its Message-ID
    Prove(proof::ProveArgs),
    /// Check a proof, alone and offline
    CheckProof(proof::CheckArgs),
    /// Show records
    Show(show::ShowArgs),
    /// Report on equality of treatment, night windows, quotas and stops
    Report(report::Args),
    /// Copy what an auditor needs to another directory
    Export(auditor::ExportArgs),
    /// Delete old records for good, keeping the log verifiable
    Purge(purge::Args),
    /// Show everything recorded about one address (right of access)
    Person(show::PersonArgs),
    /// Countersign checkpoints, and keep countersignatures
    #[command(subcommand)]
    Cosign(cosign::CosignCommand),
}

/// Runs `log`.
#[must_use]
pub fn run(args: Args) -> Exit {
    let Args { dir, config, command } = args;
    let place = Place { dir, config: config.path };
    let result = match command {
        LogCommand::InitAuditor(args) => auditor::init(&place, &args),
        LogCommand::Verify(args) => verify::run(&place, &args),
        LogCommand::Prove(args) => proof::prove_record(&place, args),
        LogCommand::CheckProof(args) => proof::check(&args),
        LogCommand::Show(args) => show::show(&place, &args),
        LogCommand::Report(args) => report::run(&place, &args),
        LogCommand::Export(args) => auditor::export(&place, &args),
        LogCommand::Purge(args) => purge::run(&place, &args),
        LogCommand::Person(args) => show::person(&place, &args),
        LogCommand::Cosign(command) => cosign::run(&place, command),
    };
    result.unwrap_or_else(|problem| {
        let _ = writeln!(anstream::stderr(), "charter-milter log: {problem}");
        Exit::Failed
    })
}

/// Where the log is, as the command line says.
#[derive(Debug)]
struct Place {
    dir: Option<PathBuf>,
    config: PathBuf,
}

impl Place {
    /// The configuration, for the commands that need more of it than the directory.
    fn config(&self) -> Result<Config, Problem> {
        Config::load(&self.config).map_err(|_| {
            let path = self.config.display();
            Problem(format!("the configuration {path} has errors; `charter-milter check` shows them, or name --dir"))
        })
    }

    /// The directory of the log.
    fn dir(&self) -> Result<PathBuf, Problem> {
        match &self.dir {
            Some(dir) => Ok(dir.clone()),
            None => self.config().map(|config| config.daemon.state.log()),
        }
    }

    /// The directory of the log itself; an error on a copy.
    fn live(&self) -> Result<Layout, Problem> {
        let layout = Layout::at(self.dir()?);
        if is_live(&layout) {
            return Ok(layout);
        }
        Err(Problem(format!("{} is not the log itself: it has no private keys", layout.root().display())))
    }

    /// Leaves the record that `command` was used, when this is the log itself.
    fn leave_trace(&self, command: &str, arguments: Vec<String>, reference: Option<&str>) -> Result<PathBuf, Problem> {
        let dir = self.dir()?;
        if is_live(&Layout::at(&dir)) {
            let journal = open_journal(&dir)?;
            let record = operator_record(command, arguments, reference.map(str::to_owned));
            journal.append_blocking(&Record::new(now(), Event::Operator(record))).map_err(Problem::new)?;
        }
        Ok(dir)
    }
}

/// A copy has no private keys.
fn is_live(layout: &Layout) -> bool {
    layout.private().exists()
}

fn open_journal(dir: &Path) -> Result<Journal, Problem> {
    Journal::open(&Options::new(dir, "", Role::Appender, now())).map_err(Problem::new)
}

/// Writes to a file, or to standard output when there is none.
fn deliver(out: Option<&Path>, text: &str) -> Result<(), Problem> {
    match out {
        Some(path) => std::fs::write(path, text).map_err(Problem::at(path)),
        None => print(text),
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Problem> {
    serde_json::to_string_pretty(value).map(|json| json + "\n").map_err(Problem::new)
}

/// A verifier key, given as such or as a file that holds it. Its id tells most mistakes in copying: a log is not accused for one.
fn read_key(text: &str) -> Result<String, Problem> {
    let path = Path::new(text);
    let is_key = |word: &str| word.matches('+').count() >= 2;
    let key = if path.is_file() {
        let text = read_small(path, SMALL_FILE_BYTES_MAX).map_err(Problem::at(path))?;
        let key = text.split_whitespace().find(|word| is_key(word)).map(str::to_owned);
        key.ok_or_else(|| Problem(format!("{}: no key in it", path.display())))?
    } else {
        text.trim().to_owned()
    };
    if !is_key(&key) {
        return Err(Problem(format!("{key}: neither a file nor a key such as name+0123abcd+AbCd…")));
    }
    if VerifierKey::parse(&key).is_err() && Cosigner::parse(&key).is_err() {
        return Err(Problem(format!("{key}: its three parts do not fit each other: copied wrongly, or no key at all")));
    }
    Ok(key)
}

/// What a reply, a banner or a header field quotes: the place of a record, or the message's own reference. A place has a
/// shape of its own, `1234-5f0c1d2e3f405162`.
#[derive(Debug, Clone)]
enum Quoted {
    Place(QuotedReference),
    Own(String),
}

impl Quoted {
    fn read(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Own(text.trim().to_owned()), Self::Place)
    }

    fn place(&self) -> Option<&QuotedReference> {
        match self {
            Self::Place(place) => Some(place),
            Self::Own(_) => None,
        }
    }

    fn own(&self) -> Option<&String> {
        match self {
            Self::Own(own) => Some(own),
            Self::Place(_) => None,
        }
    }

    /// What the trace of the operator says of it; neither is an address or a Message-ID.
    fn said(&self) -> String {
        match self {
            Self::Place(place) => format!("index {}", place.index),
            Self::Own(own) => format!("reference {own}"),
        }
    }
}

/// A checkpoint, in a file by itself or in a saved mail.
fn read_note(path: &Path) -> Result<String, Problem> {
    let mut octets = Vec::new();
    let file = std::fs::File::open(path).map_err(Problem::at(path))?;
    file.take(SMALL_FILE_BYTES_MAX).read_to_end(&mut octets).map_err(Problem::at(path))?;
    find_note(&octets).ok_or_else(|| Problem(format!("{}: no checkpoint in it", path.display())))
}

/// The keys of the auditors who countersign, one a line; none when the file is not there.
fn read_cosigners(path: &Path) -> Result<Vec<Cosigner>, Problem> {
    let text = match read_small(path, SMALL_FILE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Problem::at(path))?,
    };
    let keys = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Result<Vec<_>, CheckpointError> = keys.map(Cosigner::parse).collect();
    keys.map_err(|error| Problem(format!("{}: {error}", path.display())))
}

/// The cosigned checkpoints that came back.
fn read_cosigned(layout: &Layout) -> Result<Vec<String>, Problem> {
    let dir = layout.cosignatures();
    let entries = match std::fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Problem::at(&dir))?,
    };
    let mut notes = Vec::new();
    for entry in entries {
        let path = entry.map_err(Problem::at(&dir))?.path();
        if path.extension().is_some_and(|extension| extension == "note") {
            notes.push(read_note(&path)?);
        }
    }
    Ok(notes)
}
