//! `log report`: counted from a log that was verified in the same run.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Exit, Place, Problem, deliver, is_live, read_key, to_json};
use crate::config::Config;
use crate::decision_log::disk::Layout;
use crate::decision_log::pseudonym::Pseudonymizer;
use crate::decision_log::report::data::{Question, report};
use crate::decision_log::report::{csv, pages, words};
use crate::decision_log::verify::{Anchors, verify};
use crate::wording::Language;

/// Arguments of `log report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// First local day
    #[arg(long, value_name = "DAY")]
    from: Option<Date>,
    /// Last local day, included
    #[arg(long, value_name = "DAY")]
    to: Option<Date>,
    /// Only this charter; may be repeated
    #[arg(long = "charter", value_name = "ID")]
    charters: Vec<String>,
    /// How to write the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Language [default: the charter's, else French]
    #[arg(long, value_enum)]
    language: Option<Tongue>,
    /// Time zone in which days are counted, such as `Europe/Paris` [default: the charter's, else UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Name the registered senders (needs the configuration and the period keys)
    #[arg(long)]
    names: bool,
    /// The auditors' first key, or a file that holds it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Where the report goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Reference of the order, in your own numbering; recorded
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::one_line)]
    reference: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For a terminal
    Text,
    /// For programs
    Json,
    /// For a spreadsheet
    Csv,
    /// One page for a browser or a printer
    Html,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tongue {
    /// French
    Fr,
    /// English
    En,
}

pub(super) fn run(place: &Place, args: &Args) -> Result<Exit, Problem> {
    let config = place.config().ok();
    let arguments = args.charters.iter().map(|id| format!("--charter {id}")).collect();
    let dir = place.leave_trace("log report", arguments, args.reference.as_deref())?;
    let first_key = args.key.as_deref().map(read_key).transpose()?;
    let anchors = Anchors { first_key, ..Anchors::default() };
    let verified = match verify(&dir, &anchors, |_| ()) {
        Ok(verified) => verified,
        Err(fault) => {
            let _ = writeln!(anstream::stderr(), "no report of a log that does not verify: {fault}");
            return Ok(Exit::Found);
        }
    };
    let question = question(&dir, args, config.as_ref())?;
    // What is counted is what the checkpoint signs that the report names; what came after it is for the next report.
    let signed = verified.last.as_ref().map_or(0, |head| head.size);
    let mut report = report(&dir, &question, signed).map_err(Problem::new)?;
    let is_known = |id: &&String| {
        report.charters.iter().any(|charter| charter.charter == **id)
            || config.as_ref().is_some_and(|config| config.charter(id).is_some())
    };
    if let Some(unknown) = args.charters.iter().find(|id| !is_known(id)) {
        return Err(Problem::new(format!(
            "no record of these days names a charter `{unknown}`, and the configuration has none of this id"
        )));
    }
    report.origin = verified.origin.unwrap_or_default();
    (report.checkpoint, report.unsigned) = (verified.last, verified.unsigned);
    report.key_confirmed = verified.first_key_confirmed;
    let words = words::words(language(args, config.as_ref()));
    let out = match args.format {
        Format::Text => pages::text(&report, words).map_err(Problem::new)?,
        Format::Json => to_json(&report)?,
        Format::Csv => csv::csv(&report),
        Format::Html => pages::html(&report, words).map_err(Problem::new)?,
    };
    deliver(args.out.as_deref(), &out)?;
    Ok(Exit::Fine)
}

fn question(dir: &Path, args: &Args, config: Option<&Config>) -> Result<Question, Problem> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(Problem::new(format!("--from {from} is later than --to {to}")));
    }
    let own = first_charter(args, config).map(|charter| charter.time_zone.clone());
    let time_zone = match &args.time_zone {
        Some(name) => TimeZone::get(name).map_err(Problem::new)?,
        None => own.unwrap_or(TimeZone::UTC),
    };
    let names = if args.names { names(dir, config)? } else { HashMap::new() };
    Ok(Question { from: args.from, to: args.to, charters: args.charters.clone(), time_zone, names })
}

fn first_charter<'c>(args: &Args, config: Option<&'c Config>) -> Option<&'c crate::charter::Charter> {
    let config = config?;
    let id = args.charters.first();
    let charter = config.charters.iter().find(|charter| id.is_none_or(|id| *id == charter.id));
    charter.map(AsRef::as_ref)
}

fn language(args: &Args, config: Option<&Config>) -> Language {
    match args.language {
        Some(Tongue::Fr) => Language::French,
        Some(Tongue::En) => Language::English,
        None => first_charter(args, config).map_or(Language::French, |charter| charter.language),
    }
}

/// The registered senders by their pseudonyms: each has that of its first mailbox.
fn names(dir: &Path, config: Option<&Config>) -> Result<HashMap<String, String>, Problem> {
    let config = config.ok_or_else(|| Problem::new("--names needs the configuration"))?;
    if !is_live(&Layout::at(dir)) {
        return Err(Problem::new("--names needs the period keys, which a copy of the log has not"));
    }
    let keys = Pseudonymizer::open(dir).map_err(Problem::new)?;
    let mut names = HashMap::new();
    for period in keys.periods().map_err(Problem::new)? {
        let Some(charter) = config.charter(&period.charter) else { continue };
        for sender in &charter.senders {
            if let Some(mailbox) = sender.mailboxes.first() {
                let pseudonym = keys.pseudonym(&period, &mailbox.address.to_string()).map_err(Problem::new)?;
                names.insert(pseudonym, sender.name.clone());
            }
        }
    }
    Ok(names)
}
