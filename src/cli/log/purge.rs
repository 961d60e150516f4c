//! `log purge`: retention.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Exit, Place, Problem, now, open_journal, print};
use crate::decision_log::operator::operator_record;
use crate::decision_log::pseudonym::Pseudonymizer;
use crate::decision_log::purge::{Cutoff, Plan};
use crate::decision_log::verify::{Anchors, verify};
use crate::decision_log::{Event, Record};

/// Arguments of `log purge`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Delete what is older than this day (UTC) [default: by the retention time of the configuration]
    #[arg(long, value_name = "DAY")]
    before: Option<Date>,
    /// Delete traces of operators older than this day [default: by the configuration, or five years before --before]
    #[arg(long, value_name = "DAY")]
    operators_before: Option<Date>,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Reference of the order, in your own numbering; recorded
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::one_line)]
    reference: Option<String>,
}

/// How long the traces of operators stay when nobody says otherwise, years (am:A3).
const OPERATOR_YEARS: i64 = 5;

pub(super) fn run(place: &Place, args: &Args) -> Result<Exit, Problem> {
    let cutoff = cutoff(place, args)?;
    let layout = place.live()?;
    // What is deleted can be looked into no more: a log that is in doubt is kept as it is.
    if let Err(fault) = verify(layout.root(), &Anchors::default(), |_| ()) {
        let _ = writeln!(anstream::stderr(), "nothing is deleted from a log that does not verify: {fault}");
        return Ok(Exit::Found);
    }
    let pseudonyms = Pseudonymizer::open(layout.root()).map_err(Problem::new)?;
    let plan = Plan::new(&layout, &pseudonyms, cutoff).map_err(Problem::new)?;
    let mut out = format!("before {}: {} records to delete, {} to keep\n", cutoff.before, plan.purged, plan.kept);
    for key in &plan.keys {
        let _ = writeln!(out, "key to destroy: {key}");
    }
    print(&out)?;
    if args.dry_run || plan.is_empty() {
        return Ok(Exit::Fine);
    }
    let journal = open_journal(layout.root())?;
    let trace = operator_record("log purge", vec![format!("--before {}", cutoff.before)], args.reference.clone());
    journal.append_blocking(&Record::new(now(), Event::Operator(trace))).map_err(Problem::new)?;
    plan.carry_out(&layout, &journal, &pseudonyms, now()).map_err(Problem::new)?;
    print("done\n")?;
    Ok(Exit::Fine)
}

fn cutoff(place: &Place, args: &Args) -> Result<Cutoff, Problem> {
    let today = now().to_zoned(TimeZone::UTC).date();
    if let Some(day) = args.before.into_iter().chain(args.operators_before).find(|day| *day > today) {
        return Err(Problem::new(format!("{day} has not come yet: nothing can be older than a day after today")));
    }
    let five_years_before = |day: Date| day.checked_sub(jiff::Span::new().years(OPERATOR_YEARS)).map_err(Problem::new);
    match (args.before, args.operators_before) {
        (Some(before), Some(operators_before)) => Ok(Cutoff { before, operators_before }),
        (Some(before), None) => Ok(Cutoff { before, operators_before: five_years_before(before)? }),
        (None, operators) => {
            let retention = place.config()?.daemon.retention;
            let before = day_before_now(retention.decisions)?;
            let operators_before = operators.map_or_else(|| day_before_now(retention.operators), Ok)?;
            Ok(Cutoff { before, operators_before })
        }
    }
}

fn day_before_now(age: Duration) -> Result<Date, Problem> {
    let age = SignedDuration::try_from(age).map_err(Problem::new)?;
    let then = now().checked_sub(age).map_err(Problem::new)?;
    Ok(then.to_zoned(TimeZone::UTC).date())
}
