//! `log prove` and `log check-proof`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use super::{Exit, Place, Problem, Quoted, deliver, print, read_cosigners, read_key, read_note, to_json};
use crate::decision_log::disk::read_small;
use crate::decision_log::prove::{Against, PROOF_BYTES_MAX, Proof, ProofError, Shown, Target, prove};
use crate::decision_log::pseudonym::Pseudonymizer;

/// Arguments of `log prove`.
#[derive(Debug, clap::Args)]
pub struct ProveArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Prove against this checkpoint, which somebody kept [default: the last one]
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Where the proof goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Reference of the order, in your own numbering; recorded
    #[arg(long, value_name = "TEXT")]
    order: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct TargetArgs {
    /// The message's Message-ID, with its angle brackets
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// The reference in the SMTP reply or in the header field, such as `1234-5f0c1d2e3f405162` or the message's own
    #[arg(long, value_name = "REF")]
    reference: Option<String>,
    /// The record's index
    #[arg(long, value_name = "N")]
    index: Option<u64>,
}

pub(super) fn prove_record(place: &Place, args: ProveArgs) -> Result<Exit, Problem> {
    let layout = place.live()?;
    let target = match (args.target.message_id, &args.target.reference, args.target.index) {
        (Some(id), _, _) => Target::MessageId(bracketed(&id)),
        (_, Some(reference), _) => match Quoted::read(reference) {
            Quoted::Place(place) => Target::Reference(place),
            Quoted::Own(own) => Target::Message(own),
        },
        (_, _, Some(index)) => Target::Index(index),
        _ => return Err(Problem::new("name a Message-ID, a reference or an index")),
    };
    // The Message-ID itself stays out of the log.
    let said = match &target {
        Target::MessageId(_) => "--message-id".to_owned(),
        Target::Reference(reference) => format!("--index {}", reference.index),
        Target::Message(reference) => format!("--reference {reference}"),
        Target::Index(index) => format!("--index {index}"),
    };
    place.leave_trace("log prove", vec![said], args.order.as_deref())?;
    let kept = args.checkpoint.as_deref().map(read_note).transpose()?;
    let pseudonyms = Pseudonymizer::open(layout.root()).map_err(Problem::new)?;
    let proofs = match prove(layout.root(), &target, kept.as_deref(), Some(&pseudonyms)) {
        Err(error @ (ProofError::NotFound | ProofError::Purged | ProofError::Unsigned)) => {
            let _ = writeln!(anstream::stderr(), "{error}");
            return Ok(Exit::Found);
        }
        other => other.map_err(Problem::new)?,
    };
    if let [_, .., last] = proofs.as_slice() {
        let others: Vec<_> = proofs.iter().map(|proof| proof.index.to_string()).collect();
        let _ = writeln!(
            anstream::stderr(),
            "{} records are about this message: {}. This proves the last one, {}; --index proves another.",
            proofs.len(),
            others.join(", "),
            last.index
        );
    }
    let Some(proof) = proofs.last() else { return Ok(Exit::Found) };
    deliver(args.out.as_deref(), &proof.to_text().map_err(Problem::new)?)?;
    Ok(Exit::Fine)
}

/// Arguments of `log check-proof`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The proof
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The auditors' first key, or a file that holds it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A checkpoint that was kept: the proof must be against this one
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Keys of the auditors who countersign, one a line
    #[arg(long, value_name = "FILE")]
    auditors: Option<PathBuf>,
    /// The Message-ID the proof is said to be about, with its angle brackets
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// The reference in the SMTP reply or in the header field
    #[arg(long, value_name = "REF")]
    reference: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A Message-ID as records seal it. Many programs show it without its angle brackets.
fn bracketed(id: &str) -> String {
    let id = id.trim();
    if id.starts_with('<') { id.to_owned() } else { format!("<{id}>") }
}

pub(super) fn check(args: &CheckArgs) -> Result<Exit, Problem> {
    let text = read_small(&args.proof, PROOF_BYTES_MAX).map_err(Problem::at(&args.proof))?;
    let quoted = args.reference.as_deref().map(Quoted::read);
    let cosigners = args.auditors.as_deref().map(read_cosigners).transpose()?.unwrap_or_default();
    let against = Against {
        first_key: args.key.as_deref().map(read_key).transpose()?,
        kept: args.checkpoint.as_deref().map(read_note).transpose()?,
        cosigners,
        message_id: args.message_id.as_deref().map(bracketed),
        reference: quoted.as_ref().and_then(|quoted| quoted.place().cloned()),
        message: quoted.as_ref().and_then(|quoted| quoted.own().cloned()),
    };
    match Proof::parse(&text).and_then(|proof| proof.check(&against).map(|shown| (proof, shown))) {
        Ok((proof, shown)) => {
            print(&if args.json {
                to_json(&serde_json::json!({ "result": "holds", "shown": shown, "record": proof.extra.record }))?
            } else {
                screen(&proof, &shown)
            })?;
            Ok(Exit::Fine)
        }
        Err(error) => {
            let (result, title) = match error {
                ProofError::OtherCheckpoint { .. } => ("other-checkpoint", "THE PROOF IS AGAINST ANOTHER CHECKPOINT"),
                _ => ("does-not-hold", "THE PROOF DOES NOT HOLD"),
            };
            print(&if args.json {
                to_json(&serde_json::json!({ "result": result, "what": error.to_string() }))?
            } else {
                format!("{title}\n  {error}\n")
            })?;
            Ok(Exit::Found)
        }
    }
}

fn screen(proof: &Proof, shown: &Shown) -> String {
    let mut out = String::new();
    let title =
        if shown.first_key_confirmed || shown.kept { "THE PROOF HOLDS" } else { "THE PROOF AGREES WITH ITSELF" };
    let _ = writeln!(out, "{title}\n");
    let _ = writeln!(out, "  log           {}", shown.origin);
    let _ = writeln!(out, "  record        {}, {} of {}", shown.reference, shown.kind, shown.at);
    let _ = writeln!(out, "  stands among  {} records signed at {}", shown.size, shown.signed);
    let _ = writeln!(out, "  signed by     {}", shown.key);
    let _ =
        writeln!(out, "  auditors' key {}", if shown.first_key_confirmed { "leads to it" } else { "was not given" });
    let _ = writeln!(out, "  checkpoint    {}", if shown.kept { "is the one kept" } else { "was not compared" });
    if !shown.cosigners.is_empty() {
        let _ = writeln!(out, "  countersigned {}", shown.cosigners.join(", "));
    }
    let about = if shown.message_id_confirmed { "is the one given" } else { "was not compared" };
    let _ = writeln!(out, "  Message-ID    {about}\n\n{}", proof.extra.record);
    out
}
