//! Checkpoints: the signed head of the tree, in the formats of C2SP signed-note and tlog-checkpoint.
//!
//! The text has one extension line, `time …`, because when the tree had this size is half of what an auditor asks.
//! Cosignatures of auditors follow C2SP tlog-cosignature (Ed25519, version 1).

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey, Verifier as _, VerifyingKey};
use jiff::Timestamp;
use signed_note::{Note, Signature, Signer, StandardSigner, StandardVerifier, VerificationError, Verifier, Verifiers};
use tlog_tiles::{Checkpoint as TreeHead, tlog};

use super::tree::{Frontier, Hash};
use super::when;

/// A checkpoint is a few lines; whatever is longer is none, octets.
pub const NOTE_BYTES_MAX: u64 = 64 << 10;

/// Algorithm octet of a version-1 cosignature (C2SP tlog-cosignature).
const ALG_COSIGNATURE_V1: u8 = 4;

/// The signed head of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// Number of lines.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
    /// When it was signed.
    pub time: Timestamp,
}

/// Why a note is no checkpoint, or not one of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note, or its text is not a tree head with a time.
    #[error("not a checkpoint of a decision log")]
    Malformed,
    /// No signature by the key that should have signed, or a false one.
    #[error("no valid signature by the key {0}")]
    Signature(String),
    /// A verifier key that is none.
    #[error("not a verifier key")]
    Key,
    /// Signing failed.
    #[error("could not be signed")]
    Signing,
}

impl Checkpoint {
    /// The head of this tree.
    #[must_use]
    pub fn of(origin: &str, tree: &Frontier, time: Timestamp) -> Self {
        Self { origin: origin.to_owned(), size: tree.size(), root: tree.root(), time }
    }

    /// The text that is signed.
    ///
    /// # Errors
    ///
    /// When the origin cannot stand on a line.
    pub fn text(&self) -> Result<Vec<u8>, CheckpointError> {
        let extension = format!("time {}\n", self.time);
        let head = TreeHead::new(&self.origin, self.size, tlog::Hash(self.root), &extension);
        head.map(|head| head.to_bytes()).map_err(|_| CheckpointError::Malformed)
    }

    /// The signed note.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn sign(&self, signer: &StandardSigner) -> Result<String, CheckpointError> {
        sign_text(&self.text()?, signer)
    }

    /// Reads the text of a note; signatures are not looked at.
    ///
    /// # Errors
    ///
    /// When it is no checkpoint.
    pub fn parse(note: &str) -> Result<Self, CheckpointError> {
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::Malformed)?;
        Self::parse_text(parsed.text())
    }

    fn parse_text(text: &[u8]) -> Result<Self, CheckpointError> {
        let head = TreeHead::from_bytes(text).map_err(|_| CheckpointError::Malformed)?;
        let time = head.extension().strip_prefix("time ").and_then(|rest| rest.strip_suffix('\n'));
        let time = time.and_then(when::time).ok_or(CheckpointError::Malformed)?;
        let parsed = Self { origin: head.origin().to_owned(), size: head.size(), root: head.hash().0, time };
        // One text for one checkpoint: no second spelling of the same values.
        if parsed.text()? == text { Ok(parsed) } else { Err(CheckpointError::Malformed) }
    }

    /// Reads a note that must carry a valid signature by `key` (a verifier key).
    ///
    /// # Errors
    ///
    /// When it is no checkpoint, or that signature is missing or false.
    pub fn open(note: &str, key: &str) -> Result<Self, CheckpointError> {
        Self::open_with(note, &VerifierKey::parse(key)?)
    }

    /// As [`Checkpoint::open`], with a key that was read before.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn open_with(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        Self::parse_text(&open_text(note, key)?)
    }
}

/// Signs a text as a note.
///
/// # Errors
///
/// When the text cannot be a note's.
pub fn sign_text(text: &[u8], signer: &StandardSigner) -> Result<String, CheckpointError> {
    let mut note = Note::new(text, &[]).map_err(|_| CheckpointError::Malformed)?;
    note.add_sigs(&[signer]).map_err(|_| CheckpointError::Signing)?;
    String::from_utf8(note.to_bytes()).map_err(|_| CheckpointError::Malformed)
}

/// The text of a note that must carry a valid signature by `key`.
///
/// # Errors
///
/// When it is no note, or that signature is missing or false.
pub fn open_text(note: &str, key: &VerifierKey) -> Result<Vec<u8>, CheckpointError> {
    let note = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::Malformed)?;
    note.verify(&OneKey(&key.verifier)).map_err(|_| CheckpointError::Signature(key_name(&key.text)))?;
    Ok(note.text().to_vec())
}

/// A verifier key of the log, read once and used many times.
#[derive(Clone)]
pub struct VerifierKey {
    text: String,
    verifier: StandardVerifier,
}

impl VerifierKey {
    /// Reads a verifier key of an Ed25519 signer, `<name>+<id>+<base64 of 0x01 and the key>`.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let verifier = StandardVerifier::new(text).map_err(|_| CheckpointError::Key)?;
        // One text for one key: the id in lower case.
        if key_name(text) != format!("{}+{:08x}", verifier.name(), verifier.key_id()) {
            return Err(CheckpointError::Key);
        }
        Ok(Self { text: text.to_owned(), verifier })
    }

    /// The name of the log that it signs for.
    #[must_use]
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// The key as it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("VerifierKey").field(&self.text).finish()
    }
}

/// The name and id of a verifier key, which is how signature lines call it.
#[must_use]
pub fn key_name(key: &str) -> String {
    // `<name>+<id>+<base64>`; the base64 may hold plus signs of its own.
    key.match_indices('+').nth(1).and_then(|(end, _)| key.get(..end)).unwrap_or(key).to_owned()
}

/// Just one key is known. The crate's own list would need the verifier boxed and cloned for each checkpoint.
struct OneKey<'a>(&'a dyn Verifier);

impl Verifiers for OneKey<'_> {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        if self.0.name() == name && self.0.key_id() == id {
            Ok(self.0)
        } else {
            Err(VerificationError::UnknownKey { name: name.to_owned(), id })
        }
    }
}

/// The public key of an auditor who countersigns checkpoints.
#[derive(Debug, Clone)]
pub struct Cosigner {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl Cosigner {
    /// Reads a verifier key of the cosignature kind, `<name>+<id>+<base64 of 0x04 and the key>`.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut fields = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(CheckpointError::Key);
        };
        let bytes = BASE64.decode(key.as_bytes()).map_err(|_| CheckpointError::Key)?;
        let expected = signed_note::key_id(name, &bytes);
        let Some((&ALG_COSIGNATURE_V1, public)) = bytes.split_first() else { return Err(CheckpointError::Key) };
        let public = <&[u8; 32]>::try_from(public).map_err(|_| CheckpointError::Key)?;
        let key = VerifyingKey::from_bytes(public).map_err(|_| CheckpointError::Key)?;
        if !signed_note::is_key_name_valid(name) || id != format!("{expected:08x}") {
            return Err(CheckpointError::Key);
        }
        Ok(Self { name: name.to_owned(), id: expected, key })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The verifier key of a private key.
    #[must_use]
    pub fn public(name: &str, key: &SigningKey) -> String {
        let mut bytes = vec![ALG_COSIGNATURE_V1];
        bytes.extend_from_slice(key.verifying_key().as_bytes());
        format!("{name}+{:08x}+{}", signed_note::key_id(name, &bytes), BASE64.encode(&bytes))
    }

    /// When this auditor countersigned the note; `None` when it carries no valid cosignature of this key.
    #[must_use]
    pub fn cosigned(&self, note: &str) -> Option<Timestamp> {
        let (text, signatures) = split_note(note)?;
        signatures.iter().find_map(|signature| {
            if signature.name() != self.name || signature.id() != self.id {
                return None;
            }
            let (time, plain) = signature.signature().split_at_checked(8)?;
            let time = u64::from_be_bytes(time.try_into().ok()?);
            let plain = ed25519_dalek::Signature::from_slice(plain).ok()?;
            self.key.verify(&cosigned_message(time, text), &plain).ok()?;
            Timestamp::from_second(i64::try_from(time).ok()?).ok()
        })
    }
}

/// Adds the cosignature of an auditor's private key to a note.
///
/// # Errors
///
/// When the note is none, or the name cannot be a key's.
pub fn cosign(note: &str, name: &str, key: &SigningKey, now: Timestamp) -> Result<String, CheckpointError> {
    let (text, _) = split_note(note).ok_or(CheckpointError::Malformed)?;
    let time = u64::try_from(now.as_second()).map_err(|_| CheckpointError::Malformed)?;
    let mut bytes = time.to_be_bytes().to_vec();
    bytes.extend_from_slice(&key.sign(&cosigned_message(time, text)).to_bytes());
    let cosigner = Cosigner::parse(&Cosigner::public(name, key))?;
    let line = Signature::new(name.to_owned(), cosigner.id, bytes).map_err(|_| CheckpointError::Key)?;
    let line = String::from_utf8(line.to_bytes()).map_err(|_| CheckpointError::Malformed)?;
    Ok(format!("{note}{line}"))
}

/// One note with the signature lines of both, each once. `None` when they are not signatures of one text.
#[must_use]
pub fn merge_signatures(one: &str, other: &str) -> Option<String> {
    let (text, _) = split_note(one)?;
    if split_note(other)?.0 != text {
        return None;
    }
    let mut merged = one.to_owned();
    for line in other.lines().filter(|line| line.starts_with("— ")) {
        if !merged.lines().any(|known| known == line) {
            merged.push_str(line);
            merged.push('\n');
        }
    }
    Some(merged)
}

/// The text of a note (with its last line feed) and its signatures.
fn split_note(note: &str) -> Option<(&str, Vec<Signature>)> {
    Note::from_bytes(note.as_bytes()).ok()?;
    let end = note.rfind("\n\n")?;
    let text = note.get(..=end)?;
    let lines = note.get(end + 2..)?.lines().map(|line| Signature::from_bytes(line.as_bytes()).ok());
    Some((text, lines.collect::<Option<_>>()?))
}

/// What an auditor signs (C2SP tlog-cosignature, "Signed message").
fn cosigned_message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// The verifier key of a signer.
#[must_use]
pub fn verifier_key(name: &str, key: &SigningKey) -> String {
    signed_note::new_ed25519_verifier_key(name, &key.verifying_key())
}

/// The id of a signer, as a verifier key carries it.
#[must_use]
pub fn signer_id(signer: &StandardSigner) -> String {
    format!("{}+{:08x}", signer.name(), signer.key_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn signer(seed: u8) -> StandardSigner {
        let bytes = [&[1], key(seed).to_bytes().as_slice()].concat();
        let public = verifier_key("log.example", &key(seed));
        StandardSigner::new(&format!("PRIVATE+KEY+{}+{}", key_name(&public), BASE64.encode(&bytes))).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        let time = "2026-06-11T22:00:00Z".parse().unwrap();
        Checkpoint { origin: "log.example".into(), size: 5, root: [9; 32], time }
    }

    #[test]
    fn a_note_opens_with_the_key_that_signed_it_alone() {
        let note = checkpoint().sign(&signer(1)).unwrap();
        assert_eq!(Checkpoint::open(&note, &verifier_key("log.example", &key(1))), Ok(checkpoint()));
        let other = verifier_key("log.example", &key(2));
        assert_eq!(Checkpoint::open(&note, &other), Err(CheckpointError::Signature(key_name(&other))));
        assert_eq!(Checkpoint::open(&note, "nonsense"), Err(CheckpointError::Key));
    }

    #[test]
    fn no_changed_octet_of_a_note_still_opens() {
        let note = checkpoint().sign(&signer(1)).unwrap();
        let public = verifier_key("log.example", &key(1));
        for i in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[i] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(Checkpoint::open(&changed, &public).is_err(), "octet {i}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_text_with_another_extension_is_no_checkpoint() {
        for extension in
            ["", "time yesterday\n", "time 2026-06-11T22:00:00Z\nmore\n", "time 2026-06-11T22:00:00.000Z\n"]
        {
            let head = TreeHead::new("log.example", 5, tlog::Hash([9; 32]), extension).unwrap();
            let note = sign_text(&head.to_bytes(), &signer(1)).unwrap();
            assert_eq!(Checkpoint::parse(&note), Err(CheckpointError::Malformed), "{extension:?}");
        }
    }

    #[test]
    fn a_cosignature_counts_for_its_own_auditor_and_text() {
        let note = checkpoint().sign(&signer(1)).unwrap();
        let now = "2026-06-12T08:00:00Z".parse().unwrap();
        let cosigned = cosign(&note, "commission.example", &key(7), now).unwrap();
        let auditor = Cosigner::parse(&Cosigner::public("commission.example", &key(7))).unwrap();
        let stranger = Cosigner::parse(&Cosigner::public("commission.example", &key(8))).unwrap();
        assert_eq!(auditor.cosigned(&cosigned), Some(now));
        assert_eq!(auditor.cosigned(&note), None);
        assert_eq!(stranger.cosigned(&cosigned), None);
        assert_eq!(auditor.cosigned(&cosigned.replacen("\n5\n", "\n6\n", 1)), None);
        // The log's own signature still holds: clients ignore lines of keys they do not know.
        assert!(Checkpoint::open(&cosigned, &verifier_key("log.example", &key(1))).is_ok());
        assert_eq!(merge_signatures(&note, &cosigned), Some(cosigned.clone()));
        assert_eq!(merge_signatures(&cosigned, &cosigned), Some(cosigned));
    }

    #[test]
    fn a_log_key_is_no_auditor_key() {
        assert!(matches!(Cosigner::parse(&verifier_key("log.example", &key(1))), Err(CheckpointError::Key)));
    }
}
