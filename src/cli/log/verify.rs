//! `log verify`: says in one screen what is proven, since when, by which key, and what is not.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::SignedDuration;

use super::{Exit, Place, Problem, now, print, read_cosigned, read_cosigners, read_key, read_note, to_json};
use crate::decision_log::disk::Layout;
use crate::decision_log::reader::Segments;
use crate::decision_log::verify::{Anchors, Fault, FaultKind, Head, Verified, verify};

/// Arguments of `log verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The auditors' first key, or a file that holds it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A checkpoint that was kept: a file, or a saved mail; may be repeated
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// Keys of the auditors who countersign, one a line [default: the file `auditors` of the log]
    #[arg(long, value_name = "FILE")]
    auditors: Option<PathBuf>,
    /// How many countersignatures a checkpoint needs to count as witnessed
    #[arg(long, value_name = "K", default_value_t = 1)]
    quorum: usize,
    /// Complain when the last checkpoint is older than this, such as `2h` (for a log that is still being written)
    #[arg(long, value_name = "TIME", value_parser = length)]
    max_silence: Option<SignedDuration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, args: &Args) -> Result<Exit, Problem> {
    let layout = Layout::at(place.dir()?);
    let auditors = args.auditors.clone().unwrap_or_else(|| layout.auditors());
    let mut kept = read_cosigned(&layout)?;
    for path in &args.checkpoints {
        kept.push(read_note(path)?);
    }
    let first_key = args.key.as_deref().map(read_key).transpose()?;
    let anchors = Anchors { first_key, kept, cosigners: read_cosigners(&auditors)?, quorum: args.quorum };

    let bytes = Segments::open(layout.root()).and_then(|segments| segments.bytes()).unwrap_or(0);
    let bar = crate::cli::progress(bytes);
    let result = verify(layout.root(), &anchors, |done| bar.set_position(done));
    bar.finish_and_clear();

    match result {
        Ok(verified) => {
            let silent = too_silent(&verified, args.max_silence);
            print(&if args.json { json_of(&verified, silent)? } else { screen(&verified, &anchors, silent) })?;
            Ok(if silent { Exit::Found } else { Exit::Fine })
        }
        Err(fault) => {
            print(&if args.json { fault_json(&fault)? } else { fault_screen(&fault) })?;
            let failed = matches!(fault.what, FaultKind::Unreadable(_) | FaultKind::Empty);
            Ok(if failed { Exit::Failed } else { Exit::Found })
        }
    }
}

/// Reads how long something lasts.
fn length(text: &str) -> Result<SignedDuration, String> {
    let length: SignedDuration = text.parse().map_err(|_| "write it as `2h`, `90min` or `PT2H`".to_owned())?;
    if length.is_positive() { Ok(length) } else { Err("it must be longer than nothing".to_owned()) }
}

/// Whether the log has been silent for too long: the end of it may have been cut off.
fn too_silent(verified: &Verified, limit: Option<SignedDuration>) -> bool {
    limit.is_some_and(|limit| verified.last.as_ref().is_none_or(|last| now().duration_since(last.time) > limit))
}

fn json_of(verified: &Verified, silent: bool) -> Result<String, Problem> {
    let mut value = serde_json::to_value(verified).map_err(Problem::new)?;
    if let Some(object) = value.as_object_mut() {
        let result = match (silent, verified.first_key_confirmed) {
            (true, _) => "silent",
            (false, true) => "verified",
            (false, false) => "consistent",
        };
        object.insert("result".into(), result.into());
    }
    to_json(&value)
}

fn fault_json(fault: &Fault) -> Result<String, Problem> {
    to_json(&serde_json::json!({
        "result": "fault",
        "index": fault.index,
        "segment": fault.place.map(|place| place.segment.to_string()),
        "line": fault.place.map(|place| place.line),
        "offset": fault.place.map(|place| place.offset),
        "what": fault.what.to_string(),
    }))
}

fn fault_screen(fault: &Fault) -> String {
    let at = fault.place.map_or_else(|| "the log as a whole".to_owned(), |place| place.to_string());
    format!("NOT VERIFIED\n  where    {at}\n  record   {}\n  what     {}\n", fault.index, fault.what)
}

fn head(head: Option<&Head>) -> String {
    head.map_or_else(|| "none".to_owned(), |head| format!("{} records, {}, key {}", head.size, head.time, head.key))
}

fn screen(verified: &Verified, anchors: &Anchors, silent: bool) -> String {
    let mut out = String::new();
    let none = || "none".to_owned();
    let time = |time: Option<jiff::Timestamp>| time.map_or_else(none, |time| time.to_string());
    let title = if verified.first_key_confirmed { "VERIFIED" } else { "CONSISTENT, but not confirmed by a key" };
    let silence = if silent { ", and SILENT for too long" } else { "" };
    let _ = writeln!(out, "{title}{silence}\n");
    let _ = writeln!(out, "  log            {}", verified.origin.clone().unwrap_or_else(none));
    let before = verified.purged_before.map(|day| format!(" as older than {day}")).unwrap_or_default();
    let _ = writeln!(out, "  records        {}, of which {} purged{before}", verified.records, verified.purged);
    let _ = writeln!(out, "  from           {}", time(verified.since));
    let _ = writeln!(out, "  to             {}", time(verified.until));
    let _ =
        writeln!(out, "  keys           {}, first {}", verified.keys, verified.first_key.clone().unwrap_or_else(none));
    let _ = writeln!(out, "  checkpoints    {}", verified.checkpoints);
    let _ = writeln!(out, "  last           {}", head(verified.last.as_ref()));
    let _ = writeln!(out, "\nProven:");
    if let Some(last) = &verified.last {
        let _ = writeln!(
            out,
            "  - Records 0 to {} are those that were signed, in this order, none missing.",
            last.size - 1
        );
    }
    if let Some(sealed) = &verified.sealed {
        let _ = writeln!(out, "  - Records 0 to {} cannot be changed even by who holds today's key.", sealed.size - 1);
    }
    if verified.anchored.is_some() {
        let _ = writeln!(out, "  - Kept checkpoint agrees: {}.", head(verified.anchored.as_ref()));
    }
    if let Some(cosigned) = &verified.cosigned {
        let by = verified.cosigners.join(", ");
        let _ = writeln!(out, "  - Countersigned (at least {}): {} records; by {by}.", anchors.quorum, cosigned.size);
    }
    let _ = writeln!(out, "\nNot proven, or worth a question:");
    if !verified.first_key_confirmed {
        let _ =
            writeln!(out, "  - No auditors' key was given: whoever wrote this log may have written all of it anew.");
    }
    if verified.anchored.is_none() {
        let _ =
            writeln!(out, "  - No kept checkpoint was given: whoever holds today's key may have cut off or rewritten");
        let _ = writeln!(out, "    what is after the last change of keys.");
    }
    if verified.unsigned > 0 {
        let _ = writeln!(out, "  - {} records at the end are not signed yet.", verified.unsigned);
    }
    for silence in verified.silences.iter().take(10) {
        let _ = writeln!(out, "  - No checkpoint from {} to {}.", silence.from, silence.to);
    }
    if verified.silences.len() > 10 {
        let _ = writeln!(out, "  - {} more such silences (--json lists all).", verified.silences.len() - 10);
    }
    if silent {
        let _ = writeln!(out, "  - SILENT: the last checkpoint is too old; the end of the log may have been cut off.");
    }
    if verified.clock_jumps > 0 {
        let _ = writeln!(out, "  - The clock jumped {} times.", verified.clock_jumps);
    }
    if verified.recoveries > 0 {
        let _ = writeln!(out, "  - {} repairs after a crash or a failed write.", verified.recoveries);
    }
    if verified.torn {
        let _ = writeln!(out, "  - The last line is torn; it was never acknowledged.");
    }
    out
}
