//! `log show` and `log person`.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Exit, Place, Problem, Quoted, print};
use crate::decision_log::Reference;
use crate::decision_log::line::{Line, LineError, RecordLine};
use crate::decision_log::pseudonym::Pseudonymizer;
use crate::decision_log::reader::{ReadError, Segments};
use crate::decision_log::record::{Event, Kind};

/// Arguments of `log show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The reference in an SMTP reply, banner or header field: the message's own, or a place such as `1234-5f0c1d2e3f405162`
    #[arg(value_name = "REF")]
    reference: Option<String>,
    /// Only the last N of the records that fit
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Only records of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only records from this time on, such as `2026-06-11T22:00:00Z`
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only records before this time
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Print the lines of the log themselves
    #[arg(long)]
    json: bool,
    /// Reference of the order, in your own numbering; recorded
    #[arg(long, value_name = "TEXT")]
    order: Option<String>,
}

pub(super) fn show(place: &Place, args: &ShowArgs) -> Result<Exit, Problem> {
    let quoted = args.reference.as_deref().map(Quoted::read);
    let kind = match &args.kind {
        Some(name) => Some(name.parse::<Kind>().map_err(|()| unknown_kind(name))?),
        None => None,
    };
    let said = [
        quoted.as_ref().map(Quoted::said),
        kind.map(|kind| format!("--kind {kind}")),
        args.from.map(|from| format!("--from {from}")),
        args.to.map(|to| format!("--to {to}")),
        args.last.map(|last| format!("--last {last}")),
    ];
    let dir = place.leave_trace("log show", said.into_iter().flatten().collect(), args.order.as_deref())?;
    let (reference, own) = (quoted.as_ref().and_then(Quoted::place), quoted.as_ref().and_then(Quoted::own));
    let keep = args.last;
    let mut shown = VecDeque::new();
    let mut count = 0_usize;
    let mut foreign = false;
    Segments::open(&dir)
        .map_err(Problem::new)?
        .for_each(|_, line, bytes| {
            if let Some(reference) = reference {
                if !reference.is(line.index(), &line.leaf()) {
                    foreign |= reference.index == line.index();
                    return Ok(());
                }
                if let Line::Purged { index, .. } = line {
                    shown.push_back(format!(
                        "{index} purged; only its hash is left, and it is the one that was quoted\n"
                    ));
                }
            }
            let Line::Record(record) = line else { return Ok(()) };
            let fits = kind.is_none_or(|kind| kind == record.kind)
                && args.from.is_none_or(|from| record.at >= from)
                && args.to.is_none_or(|to| record.at < to)
                && own.is_none_or(|own| is_about(record, own));
            if fits {
                count += 1;
                shown.push_back(if args.json { raw(bytes) } else { words(record) });
            }
            match keep {
                Some(keep) if shown.len() > keep => drop(shown.pop_front()),
                // Without a limit nothing needs to be held back.
                None => {
                    for text in shown.drain(..) {
                        print(&text).map_err(|error| ReadError::Work(error.to_string()))?;
                    }
                }
                _ => {}
            }
            Ok(())
        })
        .map_err(Problem::new)?;
    let found = count > 0 || !shown.is_empty();
    for text in shown {
        print(&text)?;
    }
    if foreign {
        print("The record at this index is another one than the reference quotes.\n")?;
    }
    Ok(if found { Exit::Fine } else { nothing("No record is as asked for.") })
}

/// Whether a record is a decision on the message with this reference of its own.
fn is_about(record: &RecordLine<'_>, own: &str) -> bool {
    let decision = record.kind == Kind::Decision && record.body.contains(own);
    decision && matches!(record.event(), Ok(Event::Decision(decision)) if decision.reference == own)
}

fn unknown_kind(name: &str) -> Problem {
    let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    Problem(format!("{name}: no kind of record; there are {}", names.join(", ")))
}

fn raw(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.push('\n');
    text
}

/// One record for people: a line with what matters most, then what explains it.
fn words(line: &RecordLine<'_>) -> String {
    let reference = Reference { index: line.index, leaf: line.leaf };
    let mut out = format!("{reference}  {}  {}", line.at, line.kind);
    match line.event() {
        Ok(Event::Decision(decision)) => {
            let _ = writeln!(out, "  {} at {}", decision.verdict, decision.stage);
            for judgement in &decision.judgements {
                let dash = || "-".to_owned();
                let _ = writeln!(
                    out,
                    "    {} {}: {} ({}), sender {}, proof {}, {} {}",
                    judgement.charter,
                    judgement.list.clone().unwrap_or_else(|| "general".into()),
                    judgement.verdict,
                    judgement.mode,
                    judgement.sender.clone().unwrap_or_else(dash),
                    judgement.proof.clone().unwrap_or_else(dash),
                    judgement.reason.clone().unwrap_or_default(),
                    judgement.clause.clone().unwrap_or_default(),
                );
                for rule in judgement.rules.iter().filter(|rule| rule.outcome == "hit") {
                    let evidence: Vec<_> =
                        rule.evidence.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    let _ = writeln!(out, "      hit {} {}", rule.rule, evidence.join(" "));
                }
            }
            if !decision.edits.is_empty() {
                let _ = writeln!(out, "    edits: {}", decision.edits.join(", "));
            }
        }
        _ => {
            let _ = writeln!(out, "  {}", line.body);
        }
    }
    out
}

/// Arguments of `log person`.
#[derive(Debug, clap::Args)]
pub struct PersonArgs {
    /// The address
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Reference of the request, in your own numbering; recorded
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::one_line)]
    reference: Option<String>,
}

/// Everything recorded about one address while the keys of its pseudonyms live (am:4.2).
pub(super) fn person(place: &Place, args: &PersonArgs) -> Result<Exit, Problem> {
    let layout = place.live()?;
    // That the right of access was used is recorded; by whom the request was, the reference says, not the log.
    place.leave_trace("log person", Vec::new(), args.reference.as_deref())?;
    let address = canonical(&args.address)?;
    let keys = Pseudonymizer::open(layout.root()).map_err(Problem::new)?;
    let mut names = Vec::new();
    for period in keys.periods().map_err(Problem::new)? {
        names.push(keys.pseudonym(&period, &address).map_err(Problem::new)?);
    }
    // What became of a message names its sender by the first of the sender's addresses, and the decision by its place.
    let mut decisions = BTreeSet::new();
    let mut found = false;
    let segments = Segments::open(layout.root()).map_err(Problem::new)?;
    segments
        .for_each(|place, line, bytes| {
            let Line::Record(record) = line else { return Ok(()) };
            // Pseudonyms are random text of their own; they stand in a body as JSON strings and nowhere else.
            let concerned = names.iter().any(|name| record.body.contains(&format!("\"{name}\"")));
            let bad = |error| ReadError::Line(place, error);
            if concerned && record.kind == Kind::Decision {
                decisions.insert(record.index);
            }
            if concerned || decision_of(record).map_err(bad)?.is_some_and(|index| decisions.contains(&index)) {
                found = true;
                print(&raw(bytes)).map_err(|error| ReadError::Work(error.to_string()))?;
            }
            Ok(())
        })
        .map_err(Problem::new)?;
    Ok(if found { Exit::Fine } else { nothing("Nothing is recorded of this address for which a key is kept.") })
}

/// What programs read stays empty; people are told.
fn nothing(said: &str) -> Exit {
    use std::io::Write as _;
    let _ = writeln!(anstream::stderr(), "{said}");
    Exit::Found
}

/// The decision that a record is about, when it says what became of a message that was held.
fn decision_of(record: &RecordLine<'_>) -> Result<Option<u64>, LineError> {
    match record.kind {
        Kind::SeenInQueue | Kind::Release | Kind::Gone | Kind::Cancel => Ok(match record.event()? {
            Event::SeenInQueue(seen) => seen.decision,
            Event::Release(release) => release.decision,
            Event::Gone(gone) => gone.decision,
            Event::Cancel(cancel) => cancel.decision,
            _ => None,
        }),
        _ => Ok(None),
    }
}

/// The address in the spelling under which it was given its pseudonym.
fn canonical(text: &str) -> Result<String, Problem> {
    let address = text.trim().parse::<crate::message::address::Address>();
    address.map(|address| address.to_string()).map_err(|_| Problem(format!("{text}: not a mail address")))
}
