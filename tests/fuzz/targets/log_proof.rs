//! Any bytes as a proof, a checkpoint, a saved mail or an auditor's key: reading ends, what is read is written again in the same
//! words, and nothing that nobody signed ever holds.
#![no_main]

use charter_milter::decision_log::checkpoint::{Checkpoint, Cosigner};
use charter_milter::decision_log::mail::find_note;
use charter_milter::decision_log::prove::{Against, Proof};
use libfuzzer_sys::fuzz_target;

/// A key whose private half nobody has.
const PAPER: &str = "log.example+7f1c5c5e+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

fuzz_target!(|raw: &[u8]| {
    let Ok(text) = std::str::from_utf8(raw) else { return };
    let _ = Checkpoint::parse(text);
    let _ = Cosigner::parse(text);
    if let Some(note) = find_note(text) {
        let _ = Checkpoint::parse(&note);
    }
    let Ok(proof) = Proof::parse(text) else { return };
    let again = Proof::parse(&proof.to_text().expect("what was read can be written")).expect("and read again");
    assert_eq!(again, proof);
    let against = Against { first_key: Some(PAPER.to_owned()), ..Against::default() };
    assert!(proof.check(&against).is_err());
});
