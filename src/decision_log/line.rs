//! One line of the log: a JSON object on one line, whose exact bytes (without the line feed) are the leaf of the tree.
//!
//! A line is `{"v":1,"i":…,"at":"…","salt":"…","kind":"…","body":{…}}`. A purged line is replaced by
//! `{"v":1,"i":…,"leaf":"…"}`, which keeps its place and its hash.

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::record::{Event, FORMAT_VERSION, Kind};
use super::tree::{Hash, leaf_hash};

/// No line is longer, octets; the largest honest one (hundreds of rules under dozens of charters) stays far below.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Octets of the random salt, which keeps sibling hashes in proofs from being guessed.
const SALT_BYTES: usize = 16;

/// Where a record stands, as SMTP replies and header fields quote it: `1234-5f0c…`, its index and the first eight octets
/// of its leaf hash. Whoever holds it can show that the record was left out or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Index of the record, from 0.
    pub index: u64,
    /// Leaf hash of the record.
    pub leaf: Hash,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.index, HEXLOWER.encode(self.leaf.get(..8).unwrap_or_default()))
    }
}

/// A reference as somebody quotes it: the leaf hash is cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotedReference {
    /// Index of the record, from 0.
    pub index: u64,
    prefix: Vec<u8>,
}

impl QuotedReference {
    /// Whether a record at `index` with this leaf hash is the one that was quoted.
    #[must_use]
    pub fn is(&self, index: u64, leaf: &Hash) -> bool {
        self.index == index && leaf.starts_with(&self.prefix)
    }
}

impl std::str::FromStr for QuotedReference {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, LineError> {
        let (index, prefix) = text.trim().split_once('-').ok_or(LineError::Reference)?;
        let prefix = HEXLOWER.decode(prefix.as_bytes()).map_err(|_| LineError::Reference)?;
        if prefix.len() < 8 || prefix.len() > 32 {
            return Err(LineError::Reference);
        }
        Ok(Self { index: index.parse().map_err(|_| LineError::Reference)?, prefix })
    }
}

/// Why a line is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Longer than [`LINE_BYTES_MAX`].
    #[error("the line is longer than {LINE_BYTES_MAX} octets")]
    TooLong,
    /// Not UTF-8, not JSON, or not with the fields of a line.
    #[error("the line is not a record: {0}")]
    Malformed(String),
    /// A version this program does not know.
    #[error("the line has format version {0}, this program knows {FORMAT_VERSION}")]
    Version(u32),
    /// A kind this program does not know.
    #[error("the line has an unknown kind of record")]
    Kind,
    /// The salt is not 16 octets of base64url.
    #[error("the salt is malformed")]
    Salt,
    /// The leaf hash of a purged line is not 32 octets of base64.
    #[error("the leaf hash of a purged line is malformed")]
    Leaf,
    /// A reference is not `index-hash`.
    #[error("the reference is malformed")]
    Reference,
}

/// A line as read.
#[derive(Debug)]
pub enum Line<'a> {
    /// A record.
    Record(RecordLine<'a>),
    /// A record that was purged.
    Purged {
        /// Its index.
        index: u64,
        /// Its leaf hash.
        leaf: Hash,
    },
}

/// A line with a record.
#[derive(Debug)]
pub struct RecordLine<'a> {
    /// Its index, from 0.
    pub index: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What kind it is.
    pub kind: Kind,
    /// Its body, JSON, not looked into yet.
    pub body: &'a str,
    /// Its leaf hash.
    pub leaf: Hash,
}

impl RecordLine<'_> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// When it is not one that this kind of record has.
    pub fn event(&self) -> Result<Event, LineError> {
        Event::from_body(self.kind, self.body).map_err(|error| malformed(&error))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine<'a> {
    v: u32,
    i: u64,
    at: Option<&'a str>,
    salt: Option<&'a str>,
    kind: Option<&'a str>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    leaf: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// Reads one line, given without its line feed.
    ///
    /// # Errors
    ///
    /// When it is anything but a line of this format.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, LineError> {
        if bytes.len() > LINE_BYTES_MAX {
            return Err(LineError::TooLong);
        }
        let raw: RawLine<'a> = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
        if raw.v != FORMAT_VERSION {
            return Err(LineError::Version(raw.v));
        }
        match raw {
            RawLine { i, at: Some(at), salt: Some(salt), kind: Some(kind), body: Some(body), leaf: None, .. } => {
                let mut plain = [0; SALT_BYTES];
                let salted = salt.len() == 22 && BASE64URL_NOPAD.decode_mut(salt.as_bytes(), &mut plain).is_ok();
                if !salted {
                    return Err(LineError::Salt);
                }
                let at = at.parse().map_err(|_| LineError::Malformed("the time is not RFC 3339".into()))?;
                let kind = kind.parse().map_err(|()| LineError::Kind)?;
                Ok(Self::Record(RecordLine { index: i, at, kind, body: body.get(), leaf: leaf_hash(bytes) }))
            }
            RawLine { i, at: None, salt: None, kind: None, body: None, leaf: Some(leaf), .. } => {
                let leaf = BASE64.decode(leaf.as_bytes()).map_err(|_| LineError::Leaf)?;
                Ok(Self::Purged { index: i, leaf: leaf.as_slice().try_into().map_err(|_| LineError::Leaf)? })
            }
            _ => {
                Err(LineError::Malformed("the fields are neither those of a record nor those of a purged line".into()))
            }
        }
    }

    /// Its index.
    #[must_use]
    pub fn index(&self) -> u64 {
        match self {
            Self::Record(line) => line.index,
            Self::Purged { index, .. } => *index,
        }
    }

    /// Its leaf hash.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        match self {
            Self::Record(line) => line.leaf,
            Self::Purged { leaf, .. } => *leaf,
        }
    }
}

/// What serde says, without quoting the line.
fn malformed(error: &serde_json::Error) -> LineError {
    LineError::Malformed(match error.classify() {
        serde_json::error::Category::Io => "unreadable".into(),
        serde_json::error::Category::Eof => format!("ends early, at column {}", error.column()),
        serde_json::error::Category::Syntax => format!("no JSON, at column {}", error.column()),
        serde_json::error::Category::Data => format!("wrong fields, at column {}", error.column()),
    })
}

/// A record that is ready to be written, all but its index: serialised by the caller, not by the writer.
#[derive(Debug)]
pub struct Draft {
    /// When it happened.
    pub at: Timestamp,
    kind: Kind,
    salt: String,
    body: String,
}

impl Draft {
    /// Serialises a record and draws its salt.
    ///
    /// # Errors
    ///
    /// When the record does not fit a line, or the system gives no random octets.
    pub fn new(at: Timestamp, event: &Event) -> Result<Self, DraftError> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| DraftError::Random)?;
        let body = event.body_json().map_err(|_| DraftError::Body)?;
        // The frame around the body stays far below this.
        if body.len() + 256 > LINE_BYTES_MAX {
            return Err(DraftError::Body);
        }
        Ok(Self { at, kind: event.kind(), salt: BASE64URL_NOPAD.encode(&salt), body })
    }

    /// The line at `index`, without its line feed.
    #[must_use]
    pub fn line(&self, index: u64) -> String {
        format!(
            r#"{{"v":{FORMAT_VERSION},"i":{index},"at":"{}","salt":"{}","kind":"{}","body":{}}}"#,
            self.at, self.salt, self.kind, self.body
        )
    }
}

/// Why a record could not be made ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The system gives no random octets.
    #[error("the system gives no random octets")]
    Random,
    /// The record cannot be written as one line.
    #[error("the record does not fit a line")]
    Body,
}

/// The line that stands for a purged one, without its line feed.
#[must_use]
pub fn purged_line(index: u64, leaf: &Hash) -> String {
    format!(r#"{{"v":{FORMAT_VERSION},"i":{index},"leaf":"{}"}}"#, BASE64.encode(leaf))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision_log::record::ClockRecord;

    fn draft() -> Draft {
        let at = Timestamp::UNIX_EPOCH;
        Draft::new(at, &ClockRecord { before: at, now: at, jump: "back".into() }.into()).unwrap()
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let line = draft().line(7);
        let Line::Record(read) = Line::parse(line.as_bytes()).unwrap() else { panic!("a record") };
        assert_eq!((read.index, read.kind, read.at), (7, Kind::Clock, Timestamp::UNIX_EPOCH));
        assert_eq!(read.leaf, leaf_hash(line.as_bytes()));
        assert!(matches!(read.event().unwrap(), Event::Clock(clock) if clock.jump == "back"));
    }

    #[test]
    fn a_purged_line_keeps_index_and_hash() {
        let line = purged_line(9, &[3; 32]);
        assert!(matches!(Line::parse(line.as_bytes()).unwrap(), Line::Purged { index: 9, leaf } if leaf == [3; 32]));
    }

    #[test]
    fn two_lines_of_one_event_differ_by_their_salt() {
        assert_ne!(draft().line(0), draft().line(0));
    }

    #[test]
    fn what_is_not_a_line_is_refused_for_its_own_reason() {
        let good = draft().line(1);
        let error = |line: &str| Line::parse(line.as_bytes()).unwrap_err();
        assert_eq!(error(&good.replace("\"v\":1", "\"v\":2")), LineError::Version(2));
        assert_eq!(error(&good.replace("clock", "cuckoo")), LineError::Kind);
        assert_eq!(error(&good.replace("\"salt\":\"", "\"salt\":\"A")), LineError::Salt);
        assert_eq!(error(r#"{"v":1,"i":1,"leaf":"AAAA"}"#), LineError::Leaf);
        assert!(matches!(error(&good.replace("\"i\":1,", "\"i\":1,\"i\":1,")), LineError::Malformed(_)));
        assert!(matches!(error(&good.replace("\"i\":1,", "\"i\":1,\"x\":1,")), LineError::Malformed(_)));
        assert!(matches!(error(&good.replace("1970", "1q70")), LineError::Malformed(_)));
        assert!(matches!(error(r#"{"v":1,"i":1}"#), LineError::Malformed(_)));
        assert!(matches!(error(&format!("{good} {good}")), LineError::Malformed(_)));
        assert_eq!(error(&" ".repeat(LINE_BYTES_MAX + 1)), LineError::TooLong);
    }

    #[test]
    fn a_reference_names_its_record_alone() {
        let reference = Reference { index: 12, leaf: [0xab; 32] };
        assert_eq!(reference.to_string(), "12-abababababababab");
        let quoted: QuotedReference = reference.to_string().parse().unwrap();
        assert!(quoted.is(12, &[0xab; 32]));
        assert!(!quoted.is(13, &[0xab; 32]));
        assert!(!quoted.is(12, &[0xac; 32]));
        for bad in ["", "12", "12-", "12-ab", "x-abababababababab", "12-ABABABABABABABAB"] {
            assert_eq!(bad.parse::<QuotedReference>(), Err(LineError::Reference), "{bad}");
        }
    }
}
