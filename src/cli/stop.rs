//! `stop` and `resume`: suspend a sender, a mailbox, a list, a charter or all protected mail, and lift that again
//! (drancy:V.a, pm:6).
//!
//! A stop is dated, has a reason and a reference, and holds from the next message on. The command leaves two records in
//! the decision log: that it was used, before anything is changed (no record, no change), and what came into force.

use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::{Exit, Problem, clock, print};
use crate::charter::{Charter, Sender, calendar};
use crate::config::{Config, did_you_mean};
use crate::decision_log::operator::operator_record;
use crate::decision_log::record::StopRecord;
use crate::decision_log::{Event, Journal, KeyPeriod, Options, Pseudonymizer, Record, Role};
use crate::message::address::Address;
use crate::store::sqlite::{self, Sqlite};
use crate::store::{Lift, NewStop, Stop, StopSubject, Stops as _};

/// Arguments of `stop`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    config: super::ConfigFile,
    #[command(subcommand)]
    command: StopCommand,
}

#[derive(Debug, Subcommand)]
enum StopCommand {
    /// Put a stop in force
    Add(AddArgs),
    /// Show the stops
    List(ListArgs),
}

#[derive(Debug, ClapArgs)]
struct AddArgs {
    #[command(flatten)]
    what: WhatArgs,
    /// Why; the record keeps it, and people will read it
    #[arg(long, value_name = "TEXT", value_parser = super::one_line)]
    reason: String,
    /// The decision, minutes or letter it rests on; senders are told
    #[arg(long, value_name = "TEXT", value_parser = super::one_line)]
    reference: String,
    /// From this day or local time on [default: at once]
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// To the end of this day, or until this local time [default: until `resume`]
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = true)]
struct WhatArgs {
    /// A sender, by its name on the register or one of its addresses there
    #[arg(long, value_name = "NAME", conflicts_with_all = ["mailbox", "list", "all"])]
    sender: Option<String>,
    /// A single mailbox, whoever writes from it
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["list", "all", "charter"])]
    mailbox: Option<String>,
    /// A protected list
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["all", "charter"])]
    list: Option<String>,
    /// All lists of a charter; with --sender, the charter on whose register the sender stands
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    charter: Option<String>,
    /// All protected mail
    #[arg(long)]
    all: bool,
}

#[derive(Debug, ClapArgs)]
struct ListArgs {
    /// Show those that are over, too
    #[arg(long)]
    history: bool,
    /// For programs: one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Arguments of `resume`.
#[derive(Debug, ClapArgs)]
pub struct ResumeArgs {
    #[command(flatten)]
    config: super::ConfigFile,
    /// The number of the stop, as `stop list` shows it
    #[arg(value_name = "NUMBER")]
    number: i64,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = super::one_line)]
    reason: String,
    /// The decision, minutes or letter it rests on
    #[arg(long, value_name = "TEXT", value_parser = super::one_line)]
    reference: String,
}

/// Runs `stop`.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let now = clock::now();
    report(Desk::open(&args.config.path).and_then(|desk| match &args.command {
        StopCommand::Add(add) => desk.add(add, now),
        StopCommand::List(list) => desk.list(list, now),
    }))
}

/// Runs `resume`.
#[must_use]
pub fn resume(args: &ResumeArgs) -> Exit {
    report(Desk::open(&args.config.path).and_then(|desk| desk.resume(args, clock::now())))
}

fn report(result: Result<Exit, Problem>) -> Exit {
    result.unwrap_or_else(|problem| {
        super::say_error(&problem);
        Exit::Failed
    })
}

/// What both commands need.
struct Desk {
    config: Config,
    store: Sqlite,
    runtime: tokio::runtime::Runtime,
}

impl Desk {
    fn open(config: &std::path::Path) -> Result<Self, Problem> {
        let config = Config::load(config).map_err(|_| {
            Problem(format!("the configuration {} has errors; `charter-milter check` shows them", config.display()))
        })?;
        let path = config.daemon.state.store();
        // The daemon makes the file, so that it belongs to the daemon's user.
        let options = sqlite::Options { create: false, ..sqlite::Options::default() };
        let store = Sqlite::open_with(&path, &options)
            .map_err(|error| Problem(format!("{}: {error} (has the daemon been started once?)", path.display())))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(Problem::new)?;
        Ok(Self { config, store, runtime })
    }

    fn add(&self, args: &AddArgs, now: Timestamp) -> Result<Exit, Problem> {
        let subject = self.subject(&args.what)?;
        let zone = self.zone(&subject);
        let from = args.from.as_deref().map(|text| instant(text, &zone, calendar::day_begins)).transpose()?;
        let until = args.until.as_deref().map(|text| instant(text, &zone, calendar::day_ends)).transpose()?;
        if until.is_some_and(|until| until <= now) {
            return Err(Problem("--until is in the past: the stop would never be in force".into()));
        }
        let trace = operator_record("stop add", self.arguments(&subject, args), Some(args.reference.clone()));
        let stop =
            NewStop::new(subject, &args.reason, &args.reference, (from, until), &trace.user).map_err(Problem::new)?;
        let journal = self.journal(now)?;
        append(&journal, now, Event::Operator(trace))?;
        let stop = self.runtime.block_on(self.store.add(stop, now)).map_err(Problem::new)?;
        self.record(&journal, "stop", &stop, (&args.reason, &args.reference), now).map_err(|problem| {
            Problem(format!("stop {} is in force, but is not in the log: {problem}", stop.number))
        })?;
        print(&self.describe(&stop, now))?;
        if let StopSubject::Mailbox(address) = &stop.subject
            && self.charters_of(&stop.subject).is_empty()
        {
            super::say(&format!("nobody on a register writes from {address}: this stop may stop nothing"));
        }
        Ok(Exit::Fine)
    }

    fn resume(&self, args: &ResumeArgs, now: Timestamp) -> Result<Exit, Problem> {
        let (reason, reference) = (&args.reason, &args.reference);
        let arguments = vec![args.number.to_string(), "--reason".into(), reason.clone()];
        let trace = operator_record("resume", arguments, Some(reference.clone()));
        let lift = Lift { at: now, by: trace.user.clone(), reason: reason.into(), reference: reference.into() };
        let journal = self.journal(now)?;
        append(&journal, now, Event::Operator(trace))?;
        let lifted = self.runtime.block_on(self.store.lift(args.number, lift)).map_err(Problem::new)?;
        let Some(stop) = lifted else {
            super::say(&format!("there is no stop {} to lift", args.number));
            return Ok(Exit::Found);
        };
        self.record(&journal, "resume", &stop, (reason, reference), now).map_err(|problem| {
            Problem(format!("stop {} is lifted, but that is not in the log: {problem}", stop.number))
        })?;
        print(&self.describe(&stop, now))?;
        let wider = self.wider(&stop.subject);
        let others = self.runtime.block_on(self.store.in_force(wider, now)).map_err(Problem::new)?;
        for other in others {
            print(&format!("Still in force:\n{}", self.describe(&other, now)))?;
        }
        Ok(Exit::Fine)
    }

    fn list(&self, args: &ListArgs, now: Timestamp) -> Result<Exit, Problem> {
        let stops = self.runtime.block_on(self.store.history()).map_err(Problem::new)?;
        let over = |stop: &Stop| stop.lifted.is_some() || stop.until.is_some_and(|until| until <= now);
        let shown: Vec<_> = stops.iter().filter(|stop| args.history || !over(stop)).collect();
        if args.json {
            shown.iter().try_for_each(|stop| print(&format!("{}\n", json(stop, now))))?;
        } else if shown.is_empty() {
            print("No stop.\n")?;
        } else {
            shown.iter().try_for_each(|stop| print(&self.describe(stop, now)))?;
        }
        Ok(Exit::Fine)
    }

    /// What the arguments name, in the words of the configuration: a stop of something that does not exist would seem to
    /// work and stop nothing.
    fn subject(&self, what: &WhatArgs) -> Result<StopSubject, Problem> {
        let address = |text: &str| {
            Address::parse(text).map_err(|error| Problem(format!("`{text}` is not a mail address: {error}")))
        };
        match what {
            WhatArgs { sender: Some(name), charter, .. } => self.sender(name, charter.as_deref()),
            WhatArgs { mailbox: Some(mailbox), .. } => Ok(StopSubject::Mailbox(address(mailbox)?)),
            WhatArgs { list: Some(list), .. } => {
                let wanted = address(list)?;
                let mut found = self.config.lists(&wanted);
                let (_, list) = found.next().ok_or_else(|| Problem(format!("{wanted} is not a protected list")))?;
                Ok(StopSubject::List(list.address.clone()))
            }
            WhatArgs { charter: Some(id), .. } => {
                let charter = self.config.charter(id).ok_or_else(|| self.no_charter(id))?;
                Ok(StopSubject::Charter(charter.id.clone()))
            }
            _ => Ok(StopSubject::Everything),
        }
    }

    fn sender(&self, name: &str, charter: Option<&str>) -> Result<StopSubject, Problem> {
        if let Some(id) = charter {
            self.config.charter(id).ok_or_else(|| self.no_charter(id))?;
        }
        let address = Address::parse(name).ok();
        let matches = |sender: &&Sender| sender.name == name || address.as_ref().is_some_and(|a| owns(sender, a));
        let charters = self.config.charters.iter().filter(|c| charter.is_none_or(|id| c.id == id));
        let found: Vec<(&Arc<Charter>, &Sender)> =
            charters.flat_map(|c| c.senders.iter().filter(matches).map(move |sender| (c, sender))).collect();
        match found.as_slice() {
            [] => Err(self.no_sender(name, charter)),
            [(charter, sender)] => Ok(StopSubject::Sender { charter: charter.id.clone(), name: sender.name.clone() }),
            several => {
                let list: Vec<_> = several.iter().map(|(c, s)| format!("`{}` of {}", s.name, c.id)).collect();
                let help = "name one of them with --sender and --charter";
                Err(Problem(format!("`{name}` may be {}: {help}", list.join(" or "))))
            }
        }
    }

    fn no_sender(&self, name: &str, charter: Option<&str>) -> Problem {
        let charters = self.config.charters.iter().filter(|c| charter.is_none_or(|id| c.id == id));
        let known: Vec<_> = charters.flat_map(|c| &c.senders).map(|sender| sender.name.as_str()).collect();
        let guess = did_you_mean(name, &known, "`charter-milter check` shows who does");
        Problem(format!("no sender `{name}` stands on the register; {guess}"))
    }

    fn no_charter(&self, id: &str) -> Problem {
        let known: Vec<_> = self.config.charters.iter().map(|charter| charter.id.as_str()).collect();
        Problem(format!("no charter `{id}`; there is {}", known.join(", ")))
    }

    /// The charters under which it takes effect, as far as it is said in their files.
    fn charters_of(&self, subject: &StopSubject) -> Vec<&Arc<Charter>> {
        let all = &self.config.charters;
        match subject {
            StopSubject::Sender { charter, .. } | StopSubject::Charter(charter) => {
                self.config.charter(charter).into_iter().collect()
            }
            StopSubject::List(address) => self.config.lists(address).map(|(charter, _)| charter).collect(),
            StopSubject::Mailbox(address) => {
                all.iter().filter(|c| c.senders.iter().any(|sender| owns(sender, address))).collect()
            }
            StopSubject::Everything => Vec::new(),
        }
    }

    /// What a stop of which would still stop all or some of this: it, and whatever has to do with it.
    fn wider(&self, subject: &StopSubject) -> Vec<StopSubject> {
        let charters = self.charters_of(subject);
        let mut wider = vec![subject.clone()];
        let mut add = |subject: StopSubject| {
            if !wider.contains(&subject) {
                wider.push(subject);
            }
        };
        add(StopSubject::Everything);
        for charter in charters {
            add(StopSubject::Charter(charter.id.clone()));
            for sender in charter.senders.iter().filter(|sender| concerns(subject, sender)) {
                add(StopSubject::Sender { charter: charter.id.clone(), name: sender.name.clone() });
                sender.lists.iter().for_each(|list| add(StopSubject::List(list.clone())));
                sender.mailboxes.iter().for_each(|mailbox| add(StopSubject::Mailbox(mailbox.address.clone())));
            }
        }
        wider
    }

    fn charter_of(&self, subject: &StopSubject) -> Option<&Arc<Charter>> {
        self.charters_of(subject).into_iter().next()
    }

    /// The zone of the local times given and shown: the charter's; where no charter is meant, that of all charters, if
    /// they agree.
    fn zone(&self, subject: &StopSubject) -> TimeZone {
        if let Some(charter) = self.charter_of(subject) {
            return charter.time_zone.clone();
        }
        let mut zones = self.config.charters.iter().map(|charter| &charter.time_zone);
        match zones.next() {
            Some(first) if zones.all(|zone| zone == first) => first.clone(),
            _ => TimeZone::UTC,
        }
    }

    /// The arguments for the trace: no address of a person.
    fn arguments(&self, subject: &StopSubject, args: &AddArgs) -> Vec<String> {
        let mut arguments = vec![format!("--{}", target(subject))];
        match subject {
            StopSubject::List(address) => arguments.push(address.to_string()),
            StopSubject::Charter(id) => arguments.push(id.clone()),
            _ => arguments.extend(self.charter_of(subject).map(|charter| format!("--charter={}", charter.id))),
        }
        let named = [("from", &args.from), ("until", &args.until), ("reason", &Some(args.reason.clone()))];
        arguments.extend(named.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?))));
        arguments
    }

    fn journal(&self, now: Timestamp) -> Result<Journal, Problem> {
        let options = Options::new(self.config.daemon.state.log(), "", Role::Appender, now);
        Journal::open(&options).map_err(|error| Problem(format!("the decision log cannot be written: {error}")))
    }

    /// Writes down what came into force, or ended: once for each charter, since a sender's pseudonym is another in each.
    fn record(
        &self,
        journal: &Journal,
        action: &str,
        stop: &Stop,
        why: (&str, &str),
        now: Timestamp,
    ) -> Result<(), Problem> {
        match self.charters_of(&stop.subject).as_slice() {
            [] => self.record_under(None, journal, action, stop, why, now),
            charters => {
                let record =
                    |charter: &&Arc<Charter>| self.record_under(Some(charter), journal, action, stop, why, now);
                charters.iter().try_for_each(record)
            }
        }
    }

    fn record_under(
        &self,
        charter: Option<&Charter>,
        journal: &Journal,
        action: &str,
        stop: &Stop,
        (reason, reference): (&str, &str),
        now: Timestamp,
    ) -> Result<(), Problem> {
        let mailbox = match &stop.subject {
            StopSubject::Mailbox(address) => Some(address),
            StopSubject::Sender { name, .. } => charter
                .and_then(|c| c.senders.iter().find(|sender| sender.name == *name))
                .and_then(|sender| sender.mailboxes.first())
                .map(|mailbox| &mailbox.address),
            _ => None,
        };
        let list = match &stop.subject {
            StopSubject::List(address) => Some(address.to_string()),
            _ => None,
        };
        let sender =
            charter.zip(mailbox).map(|(charter, mailbox)| self.pseudonym(charter, mailbox, now)).transpose()?;
        let record = StopRecord {
            action: action.to_owned(),
            target: target(&stop.subject).to_owned(),
            charter: charter.map(|charter| charter.id.clone()),
            list,
            sender,
            from: stop.from,
            until: stop.until,
            reason: reason.to_owned(),
            reference: Some(reference.to_owned()),
            clause: None,
        };
        append(journal, now, Event::Stop(record))
    }

    /// The pseudonym under which decisions name the sender: its key goes by the period of the list written to, and of
    /// several the first speaks for all.
    fn pseudonym(&self, charter: &Charter, mailbox: &Address, now: Timestamp) -> Result<String, Problem> {
        let pseudonyms = Pseudonymizer::open(self.config.daemon.state.log()).map_err(Problem::new)?;
        let today = charter.time_zone.to_datetime(now).date();
        let owner = charter.senders.iter().find(|sender| owns(sender, mailbox));
        let address = owner.and_then(|sender| sender.lists.first());
        let list = charter.lists.iter().find(|list| Some(&list.address) == address);
        let rule = list.and_then(|list| list.period.as_ref()).or(charter.period.as_ref());
        let period = KeyPeriod::of(&charter.id, rule.map(|rule| rule.period), today);
        pseudonyms.pseudonym(&period, &mailbox.to_string()).map_err(Problem::new)
    }

    /// The stop in lines for people.
    fn describe(&self, stop: &Stop, now: Timestamp) -> String {
        let zone = self.zone(&stop.subject);
        let when = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
        let what = match &stop.subject {
            StopSubject::Sender { charter, name } => format!("sender {name} ({charter})"),
            StopSubject::Mailbox(address) => format!("mailbox {address}"),
            StopSubject::List(address) => format!("list {address}"),
            StopSubject::Charter(id) => format!("all lists of {id}"),
            StopSubject::Everything => "all protected mail".to_owned(),
        };
        let from = stop.from.map_or_else(|| when(stop.added), when);
        let until = stop.until.map_or_else(|| "it is lifted".to_owned(), when);
        let mut lines = vec![
            format!("{}  {what}: {}", stop.number, standing(stop, now)),
            format!("   from {from} until {until}, by {}", stop.by),
            format!("   {} ({})", stop.reason, stop.reference),
        ];
        if stop.is_in_force(now) && !self.config.has(&stop.subject) {
            lines.push("   STOPS NOTHING: the configuration has nothing of this name any more".to_owned());
        }
        if let Some(lift) = &stop.lifted {
            let (at, by) = (when(lift.at), &lift.by);
            lines.push(format!("   lifted {at} by {by}: {} ({})", lift.reason, lift.reference));
        }
        lines.join("\n") + "\n"
    }
}

/// Whether what is stopped is this sender, or a mailbox of it.
fn concerns(subject: &StopSubject, sender: &Sender) -> bool {
    match subject {
        StopSubject::Sender { name, .. } => sender.name == *name,
        StopSubject::Mailbox(address) => owns(sender, address),
        StopSubject::List(_) | StopSubject::Charter(_) | StopSubject::Everything => false,
    }
}

fn owns(sender: &Sender, address: &Address) -> bool {
    sender.mailboxes.iter().any(|mailbox| mailbox.address == *address)
}

/// The word of the log for what is stopped.
fn target(subject: &StopSubject) -> &'static str {
    match subject {
        StopSubject::Everything => "all",
        other => other.kind(),
    }
}

fn standing(stop: &Stop, now: Timestamp) -> &'static str {
    if stop.is_in_force(now) {
        "in force"
    } else if stop.lifted.is_some() {
        "lifted"
    } else if stop.from.is_some_and(|from| now < from) {
        "to come"
    } else {
        "over"
    }
}

fn json(stop: &Stop, now: Timestamp) -> serde_json::Value {
    serde_json::json!({
        "number": stop.number,
        "standing": standing(stop, now),
        "target": target(&stop.subject),
        "name": stop.subject.name(),
        "reason": stop.reason,
        "reference": stop.reference,
        "from": stop.from,
        "until": stop.until,
        "by": stop.by,
        "added": stop.added,
        "lifted": stop.lifted.as_ref().map(|lift| serde_json::json!({
            "at": lift.at, "by": lift.by, "reason": lift.reason, "reference": lift.reference,
        })),
    })
}

/// A day, whose beginning or end `of_day` gives, a local date and time, or an instant with its offset.
fn instant(text: &str, zone: &TimeZone, of_day: fn(Date, &TimeZone) -> Timestamp) -> Result<Timestamp, Problem> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let is_day = text.len() == "2026-06-30".len();
    let day = text.parse::<Date>().ok().filter(|_| is_day).map(|day| of_day(day, zone));
    let local = || text.parse::<DateTime>().ok().filter(|_| !is_day).and_then(|at| zone.to_timestamp(at).ok());
    day.or_else(local).ok_or_else(|| {
        Problem(format!(
            "`{text}` is no day (2026-06-30), no local time (2026-06-30T08:00) and no instant with an offset"
        ))
    })
}

fn append(journal: &Journal, now: Timestamp, event: Event) -> Result<(), Problem> {
    journal.append_blocking(&Record::new(now, event)).map(|_| ()).map_err(Problem::new)
}
