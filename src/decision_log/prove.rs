//! Proofs: one record, that it stands in the log, and the opening key of its Message-ID — and nothing about any other.
//!
//! The file is a C2SP tlog-proof. Its `extra` line carries the record itself, the opening key, and the endorsements that
//! lead from the auditors' first key to the key that signed the checkpoint, so that it is checked alone and offline.

use std::path::Path;

use data_encoding::BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, CheckpointError, Cosigner, key_name};
use super::keys::{KeyError, open_endorsement};
use super::line::{Line, LineError, QuotedReference, Reference};
use super::pseudonym::{Pseudonymizer, opens};
use super::reader::{ReadError, Segments};
use super::record::{Event, Kind};
use super::tree::{FullTree, Hash, inclusion_holds};

/// The first line of a proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof holds one line, one endorsement a day, and a note; ten years of daily keys stay below this, octets.
pub const PROOF_BYTES_MAX: u64 = 8 << 20;

/// Which record to prove.
#[derive(Debug, Clone)]
pub enum Target {
    /// The decisions on this message; needs the period keys.
    MessageId(String),
    /// The record that a reply or a header field quoted, by its place.
    Reference(QuotedReference),
    /// The decisions on the message that a banner or header field names by its own reference.
    Message(String),
    /// The record at this index.
    Index(u64),
}

/// A proof of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Index of the record.
    pub index: u64,
    /// The audit path, from the leaf up.
    pub path: Vec<Hash>,
    /// The checkpoint.
    pub note: String,
    /// What is not authenticated by the format itself, and checked all the same.
    pub extra: Extra,
}

/// The `extra` line of a proof, JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// The record: the exact line, without its line feed.
    pub record: String,
    /// The opening key of its Message-ID, when it has one and the period key still lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening_key: Option<String>,
    /// The first key of the log.
    pub first_key: String,
    /// From the first key to the one that signed: each a signed note by the key before.
    pub endorsements: Vec<String>,
}

/// Why there is no proof, or a proof does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A period key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No record fits.
    #[error("no such record in this log")]
    NotFound,
    /// The record is there, but the line is purged.
    #[error("the record is purged; only its hash is left")]
    Purged,
    /// No checkpoint signs the record yet.
    #[error(
        "the record is not signed yet; prove it once the next checkpoint is made (`[audit] checkpoint_interval` says how often)"
    )]
    Unsigned,
    /// The checkpoint to prove against is not one of this log.
    #[error("this checkpoint does not sign this log")]
    ForeignCheckpoint,
    /// The file is no proof.
    #[error("not a proof: {0}")]
    Malformed(&'static str),
    /// The record in the proof is none.
    #[error("the record in the proof is malformed: {0}")]
    Record(#[from] LineError),
    /// The proof begins with another key than the auditors'.
    #[error("the proof begins with the key {found}, the auditors hold {expected}")]
    FirstKey {
        /// Name of the key in the proof.
        found: String,
        /// Name of the auditors' key.
        expected: String,
    },
    /// An endorsement or the checkpoint has a false signature.
    #[error("a signature in the proof is false: {0}")]
    Signature(#[from] CheckpointError),
    /// The record is not in the tree that was signed.
    #[error("the record is not in the log that was signed")]
    NotIncluded,
    /// The proof holds, against another checkpoint than the one that was kept.
    #[error(
        "the proof agrees with itself, but is against the first {proof} records, and the checkpoint that was kept is of {kept}: neither \
         confirms the other. Ask for one against yours (`log prove … --checkpoint FILE`), or verify the whole log with it"
    )]
    OtherCheckpoint {
        /// Lines in the tree of the proof's checkpoint.
        proof: u64,
        /// Lines in the tree of the one that was kept.
        kept: u64,
    },
    /// Two checkpoints of as many lines are not the same.
    #[error(
        "the checkpoint in the proof and the one that was kept are of as many records, and are not the same: there are two logs"
    )]
    TwoLogs,
    /// The record is about another message.
    #[error("the record is not about this Message-ID")]
    OtherMessage,
    /// The record has another reference.
    #[error("the record has another reference")]
    OtherReference,
    /// The proof has no opening key.
    #[error("the proof has no opening key for the Message-ID")]
    NoOpeningKey,
}

/// Proves every record that fits `target`, in the order of the log, against `kept` (a checkpoint that somebody holds) or
/// the last checkpoint.
///
/// # Errors
///
/// When there is no such record, or it cannot be proven.
pub fn prove(
    dir: &Path,
    target: &Target,
    kept: Option<&str>,
    pseudonyms: Option<&Pseudonymizer>,
) -> Result<Vec<Proof>, ProofError> {
    let mut search = Search::default();
    Segments::open(dir).map_err(ReadError::Io)?.for_each(|_, line, bytes| {
        search.line(line, bytes, target, pseudonyms).map_err(|error| ReadError::Work(error.to_string()))
    })?;
    if search.found.is_empty() {
        return Err(if search.purged { ProofError::Purged } else { ProofError::NotFound });
    }
    let note = kept.map(str::to_owned).or(search.note.take()).ok_or(ProofError::Unsigned)?;
    let head = Checkpoint::parse(&note)?;
    let is_ours = search.tree.root(head.size).is_ok_and(|root| root == head.root);
    let epoch = search.keys.iter().position(|(key, _)| Checkpoint::open(&note, key).is_ok());
    let (true, Some(epoch)) = (is_ours, epoch) else { return Err(ProofError::ForeignCheckpoint) };
    let first_key = search.keys.first().map(|(key, _)| key.clone()).unwrap_or_default();
    let endorsements: Vec<_> =
        search.keys.iter().take(epoch + 1).filter_map(|(_, endorsement)| endorsement.clone()).collect();
    let prove_one = |(index, record, opening_key): (u64, String, Option<String>)| {
        let path = search.tree.inclusion(head.size, index).map_err(|_| ProofError::Unsigned)?;
        let (first_key, endorsements) = (first_key.clone(), endorsements.clone());
        let extra = Extra { record, opening_key, first_key, endorsements };
        Ok(Proof { index, path, note: note.clone(), extra })
    };
    std::mem::take(&mut search.found).into_iter().map(prove_one).collect()
}

/// What one pass over the log collects.
#[derive(Default)]
struct Search {
    tree: FullTree,
    /// Each key and its endorsement.
    keys: Vec<(String, Option<String>)>,
    /// The last checkpoint.
    note: Option<String>,
    /// Index, line and opening key of each record that fits.
    found: Vec<(u64, String, Option<String>)>,
    /// A purged line fits.
    purged: bool,
}

impl Search {
    fn line(
        &mut self,
        line: &Line<'_>,
        bytes: &[u8],
        target: &Target,
        pseudonyms: Option<&Pseudonymizer>,
    ) -> Result<(), ProofError> {
        self.tree.push(line.leaf()).map_err(|_| ProofError::NotIncluded)?;
        let wanted = match target {
            Target::Index(index) => line.index() == *index,
            Target::Reference(reference) => reference.is(line.index(), &line.leaf()),
            Target::MessageId(_) | Target::Message(_) => false,
        };
        let Line::Record(record) = line else {
            self.purged |= wanted;
            return Ok(());
        };
        match record.kind {
            Kind::Key => {
                if let Event::Key(key) = record.event()? {
                    self.keys.push((key.key, key.endorsement));
                }
            }
            Kind::Checkpoint => {
                if let Event::Checkpoint(checkpoint) = record.event()? {
                    self.note = Some(checkpoint.note);
                }
            }
            _ => {}
        }
        let by_content = matches!(target, Target::MessageId(_) | Target::Message(_)) && record.kind == Kind::Decision;
        if !wanted && !by_content {
            return Ok(());
        }
        let (sealed, named) = match record.event()? {
            Event::Decision(decision) => (decision.message_id, Some(decision.reference)),
            _ => (None, None),
        };
        let opening_key = match (&sealed, pseudonyms) {
            (Some(sealed), Some(pseudonyms)) => pseudonyms.opening_key(sealed)?,
            _ => None,
        };
        let opened = match (target, &sealed, &opening_key) {
            (Target::MessageId(id), Some(sealed), Some(key)) => opens(sealed, key, id),
            (Target::Message(reference), _, _) => named.as_ref() == Some(reference),
            _ => false,
        };
        if wanted || opened {
            self.found.push((record.index, String::from_utf8_lossy(bytes).into_owned(), opening_key));
        }
        Ok(())
    }
}

/// What a proof was checked against.
#[derive(Debug, Clone, Default)]
pub struct Against {
    /// The first key, as the auditors wrote it down.
    pub first_key: Option<String>,
    /// A checkpoint that somebody kept.
    pub kept: Option<String>,
    /// The auditors who countersign.
    pub cosigners: Vec<Cosigner>,
    /// The Message-ID the proof is said to be about.
    pub message_id: Option<String>,
    /// The place that a reply or a header field quoted.
    pub reference: Option<QuotedReference>,
    /// The message's own reference, as its banner or header field has it.
    pub message: Option<String>,
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// Name of the log.
    pub origin: String,
    /// Reference of the record.
    pub reference: String,
    /// When it was written, by its own words.
    pub at: Timestamp,
    /// What kind it is.
    pub kind: String,
    /// Number of records the checkpoint signs.
    pub size: u64,
    /// When the checkpoint was signed.
    pub signed: Timestamp,
    /// Name and id of the key that signed.
    pub key: String,
    /// Whether the chain of keys begins with the auditors' key.
    pub first_key_confirmed: bool,
    /// Whether the checkpoint is one that was kept.
    pub kept: bool,
    /// Auditors who countersigned the checkpoint.
    pub cosigners: Vec<String>,
    /// Whether the record was shown to be about the Message-ID that was given.
    pub message_id_confirmed: bool,
}

impl Proof {
    /// The proof as a file.
    ///
    /// # Errors
    ///
    /// When the record is not text.
    pub fn to_text(&self) -> Result<String, ProofError> {
        let extra = serde_json::to_vec(&self.extra).map_err(|_| ProofError::Malformed("extra"))?;
        let mut text = format!("{HEADER}\nextra {}\nindex {}\n", BASE64.encode(&extra), self.index);
        for hash in &self.path {
            text.push_str(&BASE64.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.note);
        Ok(text)
    }

    /// Reads a proof.
    ///
    /// # Errors
    ///
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (head, note) = text.split_once("\n\n").ok_or(ProofError::Malformed("no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(ProofError::Malformed("it does not begin as a proof"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let extra = extra.and_then(|extra| BASE64.decode(extra.as_bytes()).ok());
        let extra = extra.and_then(|extra| serde_json::from_slice(&extra).ok());
        let extra: Extra = extra.ok_or(ProofError::Malformed("the line `extra`"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(|index| index.parse().ok().filter(|value: &u64| value.to_string() == index));
        let index = index.ok_or(ProofError::Malformed("the line `index`"))?;
        let path = lines.map(|line| BASE64.decode(line.as_bytes()).ok()?.try_into().ok());
        let path: Option<Vec<Hash>> = path.collect();
        let path = path.ok_or(ProofError::Malformed("a hash"))?;
        Ok(Self { index, path, note: note.to_owned(), extra })
    }

    /// Checks the proof, alone and offline.
    ///
    /// # Errors
    ///
    /// The first thing that does not hold.
    pub fn check(&self, against: &Against) -> Result<Shown, ProofError> {
        let line = Line::parse(self.extra.record.as_bytes())?;
        let Line::Record(record) = &line else { return Err(ProofError::Purged) };
        let event = record.event()?;
        let (head, key) = self.open_note(against)?;
        if record.index != self.index || !inclusion_holds(&self.path, head.size, head.root, self.index, record.leaf) {
            return Err(ProofError::NotIncluded);
        }
        let reference = Reference { index: record.index, leaf: record.leaf };
        if against.reference.as_ref().is_some_and(|quoted| !quoted.is(record.index, &record.leaf)) {
            return Err(ProofError::OtherReference);
        }
        let (sealed, own) = match &event {
            Event::Decision(decision) => (decision.message_id.as_ref(), Some(&decision.reference)),
            _ => (None, None),
        };
        if against.message.is_some() && against.message.as_ref() != own {
            return Err(ProofError::OtherReference);
        }
        if let Some(id) = &against.message_id {
            let opening = self.extra.opening_key.as_deref().ok_or(ProofError::NoOpeningKey)?;
            if !sealed.is_some_and(|sealed| opens(sealed, opening, id)) {
                return Err(ProofError::OtherMessage);
            }
        }
        if let Some(kept) = against.kept.as_deref().map(Checkpoint::parse).transpose()? {
            if kept.size != head.size {
                return Err(ProofError::OtherCheckpoint { proof: head.size, kept: kept.size });
            }
            if (&kept.origin, kept.root) != (&head.origin, head.root) {
                return Err(ProofError::TwoLogs);
            }
        }
        // Whoever kept the checkpoint may hold cosignatures that the log has not.
        let notes = [Some(&self.note), against.kept.as_ref()];
        let witness = |cosigner: &&Cosigner| notes.iter().flatten().any(|note| cosigner.cosigned(note).is_some());
        Ok(Shown {
            origin: head.origin,
            reference: reference.to_string(),
            at: record.at,
            kind: record.kind.to_string(),
            size: head.size,
            signed: head.time,
            key: key_name(&key),
            first_key_confirmed: against.first_key.is_some(),
            kept: against.kept.is_some(),
            cosigners: against.cosigners.iter().filter(witness).map(|cosigner| cosigner.name().to_owned()).collect(),
            message_id_confirmed: against.message_id.is_some(),
        })
    }

    /// Follows the endorsements from the first key to the one that signed the checkpoint.
    fn open_note(&self, against: &Against) -> Result<(Checkpoint, String), ProofError> {
        let mut key = self.extra.first_key.clone();
        if let Some(paper) = &against.first_key
            && paper.trim() != key
        {
            return Err(ProofError::FirstKey { found: key_name(&key), expected: key_name(paper.trim()) });
        }
        for (epoch, endorsement) in self.extra.endorsements.iter().enumerate() {
            let next = open_endorsement(endorsement, &key)?;
            if next.epoch != epoch as u64 + 1 {
                return Err(ProofError::Malformed("an endorsement is out of order"));
            }
            key = next.key;
        }
        Ok((Checkpoint::open(&self.note, &key)?, key))
    }
}
