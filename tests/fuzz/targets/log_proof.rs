//! Any bytes as a proof, a checkpoint, a saved mail or an auditor's key; and a true proof of which any part is changed.
//!
//! Reading ends, what is read is written again in the same words, nothing that nobody signed ever holds, and a changed proof
//! either fails or still proves the record it was made for.
#![no_main]

mod dice;

mod log;

use std::sync::LazyLock;

use charter_milter::decision_log::Role;
use charter_milter::decision_log::checkpoint::{Checkpoint, Cosigner, merge_signatures};
use charter_milter::decision_log::mail::find_note;
use charter_milter::decision_log::prove::{Against, Extra, Proof, Target, prove};
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;

use self::log::{Change, directory, open, record};

/// A key whose private half nobody has.
const PAPER: &str = "log.example+7f1c5c5e+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// A proof by the second key of a log.
static HONEST: LazyLock<Proof> = LazyLock::new(|| {
    let dir = directory();
    let journal = open(dir.path(), Role::Keeper).expect("a new log");
    let day = SignedDuration::from_hours(24);
    journal.append_blocking(&record("first")).expect("a record");
    journal.tick_blocking(Timestamp::UNIX_EPOCH + day, &[]).expect("a new key");
    let proven = journal.append_blocking(&record("proven")).expect("a record");
    journal.append_blocking(&record("last")).expect("a record");
    journal.checkpoint_blocking(Timestamp::UNIX_EPOCH + day + day / 2).expect("a checkpoint");
    let proof = prove(dir.path(), &Target::Index(proven.index), None, None).expect("a proof").remove(0);
    assert!(!proof.extra.endorsements.is_empty() && proof.check(&against(&proof.extra.first_key)).is_ok());
    proof
});

fn against(key: &str) -> Against {
    Against { first_key: Some(key.to_owned()), ..Against::default() }
}

/// Changes one part of the true proof; `None` when what comes out is no proof.
fn changed(part: u8, change: &Change<'_>) -> Option<Proof> {
    let mut proof = HONEST.clone();
    let text = |old: &str| String::from_utf8(change.make(old.as_bytes())).ok();
    match part % 5 {
        0 => proof.note = text(&proof.note)?,
        1 => {
            proof.extra = serde_json::from_slice::<Extra>(&change.make(&serde_json::to_vec(&proof.extra).ok()?)).ok()?
        }
        2 => proof.extra.record = text(&proof.extra.record)?,
        3 => proof.path = change.make(proof.path.as_flattened()).as_chunks().0.to_vec(),
        _ => return Proof::parse(&text(&proof.to_text().ok()?)?).ok(),
    }
    Some(proof)
}

fn read(text: &str) {
    let _ = Checkpoint::parse(text);
    let _ = Cosigner::parse(text);
    let _ = merge_signatures(text, &HONEST.note);
    if let Some(note) = find_note(text.as_bytes()) {
        let _ = Checkpoint::parse(&note);
    }
    let Ok(proof) = Proof::parse(text) else { return };
    let again = Proof::parse(&proof.to_text().expect("what was read can be written")).expect("and read again");
    assert_eq!(again, proof);
    assert!(proof.check(&against(PAPER)).is_err());
}

fuzz_target!(|raw: &[u8]| {
    let Some((part, rest)) = raw.split_first() else { return };
    // Behind a letter stands a text of its own, behind anything else a change.
    if part.is_ascii_alphabetic() {
        if let Ok(text) = std::str::from_utf8(rest) {
            read(text);
        }
        return;
    }
    let Some(change) = Change::read(rest) else { return };
    let Some(proof) = changed(*part, &change) else { return };
    assert!(proof.check(&against(PAPER)).is_err());
    if proof.check(&against(&HONEST.extra.first_key)).is_ok() {
        assert_eq!(
            (proof.index, &proof.extra.record),
            (HONEST.index, &HONEST.extra.record),
            "another record is proven"
        );
    }
});
