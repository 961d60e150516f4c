//! `log cosign`: auditors countersign checkpoints, and the gateway keeps what they return.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use ed25519_dalek::SigningKey;

use super::{Exit, Place, Problem, SMALL_FILE_BYTES_MAX, now, print, read_cosigners, read_note};
use crate::decision_log::checkpoint::{Checkpoint, Cosigner, cosign, merge_signatures};
use crate::decision_log::disk::{Disk, read_small};
use crate::decision_log::verify::{Anchors, verify};

/// What `log cosign` does.
#[derive(Debug, clap::Subcommand)]
pub enum CosignCommand {
    /// On the auditor's machine: draw a key of your own and print its public half
    NewKey {
        /// Your name, a schema-less URL such as `commission.example`
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Where the private key goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// On the auditor's machine: countersign a checkpoint, after verifying a copy of the log up to it
    Sign {
        /// The checkpoint, or the mail it came in
        #[arg(value_name = "FILE")]
        checkpoint: PathBuf,
        /// Your private key
        #[arg(long, value_name = "FILE")]
        with: PathBuf,
        /// The log's first key, as you keep it
        #[arg(long, value_name = "KEY")]
        key: String,
        /// Checkpoints you countersigned before: the log must extend them
        #[arg(long = "after", value_name = "FILE")]
        after: Vec<PathBuf>,
    },
    /// On the gateway: accept countersignatures of this auditor from now on
    Trust {
        /// The auditor's public key
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// On the gateway: keep a countersigned checkpoint that came back
    Store {
        /// The checkpoint, or the mail it came in
        #[arg(value_name = "FILE")]
        checkpoint: PathBuf,
    },
}

pub(super) fn run(place: &Place, command: CosignCommand) -> Result<Exit, Problem> {
    match command {
        CosignCommand::NewKey { name, out } => new_key(&name, &out),
        CosignCommand::Sign { checkpoint, with, key, after } => sign(place, &checkpoint, &with, &key, &after),
        CosignCommand::Trust { key } => trust(place, &key),
        CosignCommand::Store { checkpoint } => store(place, &checkpoint),
    }
}

fn new_key(name: &str, out: &Path) -> Result<Exit, Problem> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Problem::new)?;
    let public = Cosigner::public(name, &SigningKey::from_bytes(&seed));
    Cosigner::parse(&public).map_err(|_| Problem(format!("{name}: not a name for a key: no spaces, no +")))?;
    let mut file =
        std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(out).map_err(Problem::at(out))?;
    writeln!(file, "{name} {}", BASE64.encode(&seed)).map_err(Problem::at(out))?;
    print(&format!("{public}\n"))?;
    Ok(Exit::Fine)
}

fn sign(place: &Place, path: &Path, with: &Path, key: &str, after: &[PathBuf]) -> Result<Exit, Problem> {
    let text = read_small(with, SMALL_FILE_BYTES_MAX).map_err(Problem::at(with))?;
    let parsed = text.trim().split_once(' ').and_then(|(name, seed)| {
        let seed = BASE64.decode(seed.as_bytes()).ok()?;
        Some((name, SigningKey::from_bytes(seed.as_slice().try_into().ok()?)))
    });
    let (name, private) =
        parsed.ok_or_else(|| Problem(format!("{}: not a key of `cosign new-key`", with.display())))?;
    let note = read_note(path)?;
    let mut kept = vec![note.clone()];
    for path in after {
        kept.push(read_note(path)?);
    }
    let anchors = Anchors { first_key: Some(super::read_key(key)?), kept, ..Anchors::default() };
    // What a witness says is that the log with this head extends every head it saw before.
    if let Err(fault) = verify(&place.dir()?, &anchors, |_| ()) {
        let _ = writeln!(anstream::stderr(), "not countersigned: {fault}");
        return Ok(Exit::Found);
    }
    print(&cosign(&note, name, &private, now()).map_err(Problem::new)?)?;
    Ok(Exit::Fine)
}

fn trust(place: &Place, key: &str) -> Result<Exit, Problem> {
    let layout = place.live()?;
    let key = super::read_key(key)?;
    let cosigner = Cosigner::parse(&key).map_err(Problem::new)?;
    let path = layout.auditors();
    let known = read_cosigners(&path)?;
    if known.iter().any(|known| known.name() == cosigner.name()) {
        return Err(Problem(format!("a key of {} is trusted already", cosigner.name())));
    }
    place.leave_trace("log cosign trust", vec![cosigner.name().to_owned()], None)?;
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    text.push_str(&key);
    text.push('\n');
    layout.replace(&Disk, &path, text.as_bytes(), false).map_err(Problem::at(&path))?;
    Ok(Exit::Fine)
}

fn store(place: &Place, path: &Path) -> Result<Exit, Problem> {
    let layout = place.live()?;
    let note = read_note(path)?;
    let head = Checkpoint::parse(&note).map_err(Problem::new)?;
    let cosigners = read_cosigners(&layout.auditors())?;
    let by: Vec<_> = cosigners.iter().filter(|cosigner| cosigner.cosigned(&note).is_some()).collect();
    if by.is_empty() {
        let _ = writeln!(anstream::stderr(), "no countersignature of an auditor who is trusted here");
        return Ok(Exit::Found);
    }
    let names: Vec<_> = by.iter().map(|cosigner| cosigner.name().to_owned()).collect();
    let anchors = Anchors { kept: vec![note.clone()], ..Anchors::default() };
    if let Err(fault) = verify(layout.root(), &anchors, |_| ()) {
        let _ = writeln!(anstream::stderr(), "not kept: {fault}");
        return Ok(Exit::Found);
    }
    place.leave_trace("log cosign store", names.clone(), None)?;
    let target = layout.cosignatures().join(format!("{}.note", head.size));
    let merged = match read_small(&target, SMALL_FILE_BYTES_MAX) {
        Ok(known) => merge_signatures(&known, &note).ok_or_else(|| Problem::new("another checkpoint has this size"))?,
        Err(_) => note,
    };
    layout.replace(&Disk, &target, merged.as_bytes(), false).map_err(Problem::at(&target))?;
    print(&format!("kept: {} records, {}, countersigned by {}\n", head.size, head.time, names.join(", ")))?;
    Ok(Exit::Fine)
}
