//! `charter-milter held`: what waits, for the postmaster. Shows no content and no member address; every use is in the decision
//! log before anything is shown or done (am:A3).

use std::io::Write as _;

use clap::{Args as ClapArgs, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use super::mail_server::{Office, Trouble, wait_for_lock};
use super::{Exit, clock};
use crate::config::Config;
use crate::decision_log::Event;
use crate::decision_log::operator::operator_record;
use crate::hold::chronicle::Chronicle as _;
use crate::hold::plan::{QueuePlace, Queued};
use crate::hold::release::ReleaseError;
use crate::hold::{Entry, QueueId, Removal, State};

/// Arguments of `held`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    config: super::ConfigFile,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: HeldCommand,
}

#[derive(Debug, Subcommand)]
enum HeldCommand {
    /// Show what waits
    List(ListArgs),
    /// Show everything the ledger knows of a message
    Show(ShowArgs),
    /// Let a message go now, whatever the hour
    Release(ReleaseArgs),
    /// Take a message out of the queue and return it to its sender
    Cancel(CancelArgs),
}

#[derive(Debug, ClapArgs)]
struct ListArgs {
    /// Also those that have left, were returned or cancelled
    #[arg(long)]
    all: bool,
}

#[derive(Debug, ClapArgs)]
struct ShowArgs {
    /// The mail server's queue id
    queue_id: QueueId,
}

#[derive(Debug, ClapArgs)]
struct ReleaseArgs {
    /// The mail server's queue id
    queue_id: QueueId,
    /// The decision, minutes or letter on which this is done; the log keeps it
    #[arg(long, value_name = "TEXT", value_parser = super::one_line)]
    reference: String,
}

#[derive(Debug, ClapArgs)]
struct CancelArgs {
    /// The mail server's queue id
    queue_id: QueueId,
    /// The decision, minutes or letter on which this is done; the log keeps it, and the sender is told
    #[arg(long, value_name = "TEXT", value_parser = super::one_line)]
    reference: String,
    /// Do not write to the sender, who asked for it
    #[arg(long)]
    without_notice: bool,
}

/// Why `held` cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
enum HeldError {
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error("{0} is not in the ledger")]
    Unknown(QueueId),
    #[error("{0} does not wait any more: it is {1}")]
    NotWaiting(QueueId, State),
    #[error("{0} is not on hold in the mail server's queue; `charter-milter release` will tell what became of it")]
    NotOnHold(QueueId),
    #[error("{0} is being returned or cancelled, and its sender may know; `charter-milter release` finishes that")]
    BeingRemoved(QueueId),
}

impl<E: Into<ReleaseError>> From<E> for HeldError {
    fn from(error: E) -> Self {
        Self::Trouble(Trouble::Release(error.into()))
    }
}

/// Runs `held`.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let Some(config) = args.config.load() else { return Exit::Failed };
    match work(args, config) {
        Ok(()) => Exit::Fine,
        Err(error) => {
            super::say_error(&error);
            match error {
                HeldError::Unknown(_)
                | HeldError::NotWaiting(..)
                | HeldError::NotOnHold(_)
                | HeldError::BeingRemoved(_) => Exit::Found,
                HeldError::Trouble(_) => Exit::Failed,
            }
        }
    }
}

fn work(args: &Args, config: Config) -> Result<(), HeldError> {
    let now = clock::now();
    // Moving mail must not meet a run of the timer; looking may.
    let moves = matches!(args.command, HeldCommand::Release(_) | HeldCommand::Cancel(_));
    let _lock = if moves { Some(wait_for_lock(&config.daemon.state)?) } else { None };
    let mut office = Office::open(config, now)?;
    note_use(&mut office, &args.command, now)?;
    match &args.command {
        HeldCommand::List(list) => {
            let mut entries = office.ledger.all_entries()?;
            entries.retain(|entry| list.all || entry.state.is_open());
            print_list(&entries, args.json);
        }
        HeldCommand::Show(show) => {
            let entries = office.ledger.entries_named(&show.queue_id)?;
            let entry = entries.last().ok_or_else(|| HeldError::Unknown(show.queue_id.clone()))?;
            print_one(entry, args.json);
        }
        HeldCommand::Release(release) => {
            let entry = waiting(&mut office, &release.queue_id)?;
            if entry.removal.as_ref().is_some_and(Removal::is_binding) {
                return Err(HeldError::BeingRemoved(release.queue_id.clone()));
            }
            let done = office.with_release(&*clock::system(), |work| work.release_by_order(&entry))?;
            done.problems.iter().for_each(|problem| super::say(problem));
            report(&release.queue_id, "released", args.json);
        }
        HeldCommand::Cancel(cancel) => {
            let entry = waiting(&mut office, &cancel.queue_id)?;
            let done = office.with_release(&*clock::system(), |work| {
                work.cancel(&entry, &cancel.reference, !cancel.without_notice)
            })?;
            done.problems.iter().for_each(|problem| super::say(problem));
            report(&cancel.queue_id, "cancelled", args.json);
        }
    }
    Ok(())
}

/// Writes into the log who uses which command on what; nothing happens without it.
fn note_use(office: &mut Office, command: &HeldCommand, now: Timestamp) -> Result<(), HeldError> {
    let (name, queue_id, reference) = match command {
        HeldCommand::List(_) => ("held list", None, None),
        HeldCommand::Show(show) => ("held show", Some(&show.queue_id), None),
        HeldCommand::Release(release) => ("held release", Some(&release.queue_id), Some(&release.reference)),
        HeldCommand::Cancel(cancel) => ("held cancel", Some(&cancel.queue_id), Some(&cancel.reference)),
    };
    let arguments = queue_id.map(ToString::to_string).into_iter().collect();
    let record = operator_record(name, arguments, reference.cloned());
    office.log.record(now, Event::Operator(record))?;
    Ok(())
}

/// The entry of a message that waits, and is on hold in the queue as the ledger knows it.
fn waiting(office: &mut Office, id: &QueueId) -> Result<Entry, HeldError> {
    let mut entries = office.ledger.entries_named(id)?;
    let entry = entries.pop().ok_or_else(|| HeldError::Unknown(id.clone()))?;
    if !entry.state.is_waiting() {
        return Err(HeldError::NotWaiting(id.clone(), entry.state));
    }
    let listed = office.mta.list()?;
    let is_it = |queued: &Queued| queued.place == QueuePlace::OnHold && queued.is(&entry, Office::same_clock());
    if listed.iter().any(is_it) { Ok(entry) } else { Err(HeldError::NotOnHold(id.clone())) }
}

/// An entry as programs read it.
#[derive(Serialize)]
struct Row<'a> {
    queue_id: &'a str,
    mail_server: &'a str,
    state: State,
    since: Timestamp,
    charter: &'a str,
    list: &'a str,
    sender: &'a str,
    reference: &'a str,
    arrived: Timestamp,
    bytes: u64,
    not_before: Timestamp,
    window_ends: Timestamp,
    period_ends: Option<Timestamp>,
    released: Option<Timestamp>,
    by_order: bool,
    /// Other charters that bind its delivery.
    also_under: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn of(entry: &'a Entry) -> Self {
        let held = &entry.held;
        Self {
            queue_id: held.queue_id.as_str(),
            mail_server: held.route.as_str(),
            state: entry.state,
            since: entry.since,
            charter: &held.charter,
            list: &held.list,
            sender: &held.sender,
            reference: &held.reference,
            arrived: held.arrival,
            bytes: entry.known().size_bytes,
            not_before: held.release_not_before,
            window_ends: held.window_ends,
            period_ends: held.period_ends,
            released: entry.released,
            by_order: entry.by_order,
            also_under: held.beside.iter().map(|other| other.charter.as_str()).collect(),
        }
    }
}

fn print_list(entries: &[Entry], json: bool) {
    let rows: Vec<Row<'_>> = entries.iter().map(Row::of).collect();
    if json {
        return super::print_json(&rows);
    }
    let mut out = anstream::stdout();
    if rows.is_empty() {
        let _ = writeln!(out, "Nothing waits.");
        return;
    }
    let local = |at: Timestamp| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M %:z").to_string();
    let _ = writeln!(
        out,
        "{:<16} {:<13} {:<23} {:<23} {:>9}  {:<20} LIST",
        "QUEUE ID", "STATE", "ARRIVED", "NOT BEFORE", "BYTES", "SENDER"
    );
    for row in &rows {
        let _ = writeln!(
            out,
            "{:<16} {:<13} {:<23} {:<23} {:>9}  {:<20} {}",
            row.queue_id,
            row.state.as_str(),
            local(row.arrived),
            local(row.not_before),
            row.bytes,
            row.sender,
            row.list
        );
    }
}

fn print_one(entry: &Entry, json: bool) {
    let row = Row::of(entry);
    if json {
        return super::print_json(&row);
    }
    let mut out = anstream::stdout();
    let none = || "-".to_owned();
    for (name, value) in [
        ("queue id", format!("{} ({})", row.queue_id, row.mail_server)),
        ("state", format!("{} since {}: {}", row.state, row.since, row.state.help())),
        ("charter", [&[row.charter], &row.also_under[..]].concat().join(", ")),
        ("list", row.list.to_owned()),
        ("sender", row.sender.to_owned()),
        ("reference", row.reference.to_owned()),
        ("arrived", row.arrived.to_string()),
        ("bytes", row.bytes.to_string()),
        ("not before", row.not_before.to_string()),
        ("window ends", row.window_ends.to_string()),
        ("period ends", row.period_ends.map_or_else(none, |at| at.to_string())),
        ("released", row.released.map_or_else(none, |at| at.to_string())),
    ] {
        let _ = writeln!(out, "{name:<12} {value}");
    }
}

fn report(id: &QueueId, what: &str, json: bool) {
    let mut out = anstream::stdout();
    let _ = if json {
        writeln!(out, "{}", serde_json::json!({ "queue_id": id.as_str(), "outcome": what }))
    } else {
        writeln!(out, "{id} {what}")
    };
}
