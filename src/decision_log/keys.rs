//! The signing keys of the log: one Ed25519 key a day, each endorsed by the one before it, old private halves destroyed.
//!
//! Whoever takes over the machine today gets today's key and no older one, so what was signed on earlier days cannot be
//! signed again. The auditors hold the public half of the first key on paper; endorsements lead from it to every other.

use std::io;

use data_encoding::BASE64;
use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use signed_note::StandardSigner;

use super::checkpoint::{CheckpointError, VerifierKey, key_name, open_text, sign_text, verifier_key};
use super::disk::{Layout, Medium, read_small};
use super::record::KeyRecord;
use super::when::time;

/// A private key file is one line, octets.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// A signing key with its public half.
#[derive(Clone)]
pub struct DayKey {
    /// What signs.
    pub signer: StandardSigner,
    /// The verifier key.
    pub public: String,
}

impl std::fmt::Debug for DayKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DayKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl DayKey {
    /// Draws a new key for the log `origin`, and says how it is written to a file.
    ///
    /// # Errors
    ///
    /// When the system gives no random octets, or the origin cannot be a key's name.
    pub fn draw(origin: &str) -> Result<(Self, String), KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| KeyError::Random)?;
        let key = SigningKey::from_bytes(&seed);
        let public = verifier_key(origin, &key);
        let secret = [&[1], seed.as_slice()].concat();
        let text = format!("PRIVATE+KEY+{}+{}", key_name(&public), BASE64.encode(&secret));
        Ok((Self::parse(&text)?, text))
    }

    /// Reads a key as its file holds it.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim_end();
        // `PRIVATE+KEY+<name>+<id>+<base64>`; the base64 may hold plus signs of its own.
        let signer = StandardSigner::new(text).map_err(|_| KeyError::Malformed)?;
        let secret = text.splitn(5, '+').nth(4).and_then(|tail| BASE64.decode(tail.as_bytes()).ok());
        let seed = secret.and_then(|secret| <[u8; 32]>::try_from(secret.get(1..)?).ok()).ok_or(KeyError::Malformed)?;
        let name = text.strip_prefix("PRIVATE+KEY+").and_then(|rest| rest.split('+').next());
        let public = verifier_key(name.ok_or(KeyError::Malformed)?, &SigningKey::from_bytes(&seed));
        Ok(Self { signer, public })
    }

    /// The record that announces `next` from `from` on.
    ///
    /// # Errors
    ///
    /// When the endorsement cannot be signed.
    pub fn announce(&self, next: &Self, epoch: u64, from: Timestamp) -> Result<KeyRecord, CheckpointError> {
        let text = endorsement_text(&next.public, epoch, from);
        let endorsement = sign_text(text.as_bytes(), &self.signer)?;
        Ok(KeyRecord { epoch, key: next.public.clone(), from, endorsement: Some(endorsement) })
    }
}

/// What a key signs to endorse the next one.
fn endorsement_text(key: &str, epoch: u64, from: Timestamp) -> String {
    format!("charter-milter signing key\nepoch {epoch}\nfrom {from}\n{key}\n")
}

/// Checks that `record` announces the next key after `key`, in its words and by its signature.
///
/// # Errors
///
/// When the endorsement is missing, not by `key`, or says something else than the record.
pub fn check_endorsement(record: &KeyRecord, key: &str) -> Result<(), CheckpointError> {
    let note = record.endorsement.as_deref().ok_or(CheckpointError::Malformed)?;
    let text = open_text(note, &VerifierKey::parse(key)?)?;
    let expected = endorsement_text(&record.key, record.epoch, record.from);
    if text == expected.as_bytes() { Ok(()) } else { Err(CheckpointError::Malformed) }
}

/// Reads an endorsement on its own, as a proof carries it: the record it stands for.
///
/// # Errors
///
/// When it is not an endorsement signed by `key`.
pub fn open_endorsement(note: &str, key: &str) -> Result<KeyRecord, CheckpointError> {
    let text = open_text(note, &VerifierKey::parse(key)?)?;
    let text = String::from_utf8(text).map_err(|_| CheckpointError::Malformed)?;
    let mut lines = text.lines().skip(1);
    let epoch = lines.next().and_then(|line| line.strip_prefix("epoch ")?.parse().ok());
    let from = lines.next().and_then(|line| time(line.strip_prefix("from ")?));
    let (Some(epoch), Some(from), Some(next)) = (epoch, from, lines.next()) else {
        return Err(CheckpointError::Malformed);
    };
    let record = KeyRecord { epoch, key: next.to_owned(), from, endorsement: Some(note.to_owned()) };
    check_endorsement(&record, key).map(|()| record)
}

/// The key files of a log: the key in use, the one announced next, and the one to be destroyed.
#[derive(Debug)]
pub struct KeyFiles<'a> {
    layout: &'a Layout,
    medium: &'a dyn Medium,
}

/// One of the key files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Signs.
    Current,
    /// Announced, or about to be.
    Next,
    /// Signs no more.
    Retired,
}

impl Slot {
    fn file(self) -> &'static str {
        match self {
            Self::Current => "signing.key",
            Self::Next => "next.key",
            Self::Retired => "retired.key",
        }
    }
}

impl<'a> KeyFiles<'a> {
    /// The key files of this log.
    #[must_use]
    pub fn new(layout: &'a Layout, medium: &'a dyn Medium) -> Self {
        Self { layout, medium }
    }

    fn path(&self, slot: Slot) -> std::path::PathBuf {
        self.layout.private().join(slot.file())
    }

    /// Reads a key; `None` when there is no such file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no key.
    pub fn load(&self, slot: Slot) -> Result<Option<DayKey>, KeyError> {
        match read_small(&self.path(slot), KEY_FILE_BYTES_MAX) {
            Ok(text) => DayKey::parse(&text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(KeyError::Io(error.to_string())),
        }
    }

    /// Draws a key and writes it, durable when this returns.
    ///
    /// # Errors
    ///
    /// When it cannot be drawn or written.
    pub fn draw(&self, slot: Slot, origin: &str) -> Result<DayKey, KeyError> {
        let (key, text) = DayKey::draw(origin)?;
        self.layout
            .replace(self.medium, &self.path(slot), text.as_bytes(), true)
            .map_err(|error| KeyError::Io(error.to_string()))?;
        Ok(key)
    }

    /// Puts the next key in the place of the current one, and destroys the current one. May be repeated after a crash
    /// at any point of it.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn promote(&self) -> Result<(), KeyError> {
        let [current, next, retired] = [Slot::Current, Slot::Next, Slot::Retired].map(|slot| self.path(slot));
        let run = || -> io::Result<()> {
            if next.exists() {
                if current.exists() {
                    self.medium.rename(&current, &retired)?;
                }
                self.medium.rename(&next, &current)?;
                self.medium.sync_dir(&self.layout.private())?;
            }
            self.layout.destroy(self.medium, &retired)
        };
        run().map_err(|error| KeyError::Io(error.to_string()))
    }

    /// Destroys a key.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn destroy(&self, slot: Slot) -> Result<(), KeyError> {
        self.layout.destroy(self.medium, &self.path(slot)).map_err(|error| KeyError::Io(error.to_string()))
    }
}

/// Why a key cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system gives no random octets.
    #[error("the system gives no random octets")]
    Random,
    /// The file is no key.
    #[error("a key file is malformed")]
    Malformed,
    /// The file cannot be read or written.
    #[error("a key file cannot be read or written: {0}")]
    Io(String),
    /// The private half of the key that the log announced is not there.
    #[error("the private half of the signing key {0} is not in the key directory")]
    Lost(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision_log::disk::Disk;

    #[test]
    fn a_key_reads_back_from_its_file() {
        let (key, text) = DayKey::draw("log.example").unwrap();
        assert_eq!(DayKey::parse(&text).unwrap().public, key.public);
        assert_eq!(DayKey::parse(&text.replace("PRIVATE", "PUBLIC")).unwrap_err(), KeyError::Malformed);
        assert!(matches!(DayKey::draw("two words"), Err(KeyError::Malformed)));
    }

    #[test]
    fn an_endorsement_is_by_the_key_before_and_for_this_record() {
        let (first, _) = DayKey::draw("log.example").unwrap();
        let (second, _) = DayKey::draw("log.example").unwrap();
        let record = first.announce(&second, 1, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(check_endorsement(&record, &first.public), Ok(()));
        assert!(check_endorsement(&record, &second.public).is_err());
        assert!(check_endorsement(&KeyRecord { epoch: 2, ..record.clone() }, &first.public).is_err());
        assert!(check_endorsement(&KeyRecord { key: first.public.clone(), ..record.clone() }, &first.public).is_err());
        assert_eq!(open_endorsement(record.endorsement.as_deref().unwrap(), &first.public), Ok(record));
    }

    #[test]
    fn promotion_may_be_repeated_from_wherever_it_stopped() {
        for stop_after in 0..3 {
            let dir = tempfile::tempdir().unwrap();
            let layout = Layout::at(dir.path());
            layout.create().unwrap();
            let files = KeyFiles::new(&layout, &Disk);
            files.draw(Slot::Current, "log.example").unwrap();
            let next = files.draw(Slot::Next, "log.example").unwrap();
            // What a crash leaves after each step of the promotion.
            if stop_after >= 1 {
                std::fs::rename(files.path(Slot::Current), files.path(Slot::Retired)).unwrap();
            }
            if stop_after >= 2 {
                std::fs::rename(files.path(Slot::Next), files.path(Slot::Current)).unwrap();
            }
            files.promote().unwrap();
            assert_eq!(files.load(Slot::Current).unwrap().unwrap().public, next.public);
            assert!(files.load(Slot::Next).unwrap().is_none());
            assert!(files.load(Slot::Retired).unwrap().is_none());
        }
    }
}
