//! One line of the log: a JSON object on one line, whose exact bytes (without the line feed) are the leaf of the tree.
//!
//! A line is `{"v":1,"i":…,"at":"…","salt":"…","kind":"…","body":{…}}`. A purged line is replaced by
//! `{"v":1,"i":…,"leaf":"…"}`, which keeps its place and its hash.

use std::borrow::Cow;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::record::{Event, FORMAT_VERSION, Kind};
use super::shape;
use super::tree::{Hash, leaf_hash};
use super::when::time;

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
    /// Its body, JSON; with the fields of its kind and no other when it was read by [`Line::parse`].
    pub body: &'a str,
    /// Its leaf hash.
    pub leaf: Hash,
}

impl RecordLine<'_> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// When it holds a text that this kind of record does not have.
    pub fn event(&self) -> Result<Event, LineError> {
        Event::from_body(self.kind, self.body).map_err(|error| malformed(&error, 0))
    }
}

/// The fields of a line, as they stand in it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine<'a> {
    v: u32,
    i: u64,
    #[serde(default, borrow, deserialize_with = "present")]
    at: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "present")]
    salt: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "present")]
    kind: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "present_body")]
    body: Option<&'a str>,
    #[serde(default, borrow, deserialize_with = "present")]
    leaf: Option<Cow<'a, str>>,
}

/// A field that is there holds text: `null` is no way to leave it out.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    AnyText::deserialize(deserializer).map(|text| Some(text.0))
}

/// A text; borrowed, unless it is written with escapes.
#[derive(Deserialize)]
pub(super) struct AnyText<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

fn present_body<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a str>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(|body| Some(body.get()))
}

impl<'a> RawLine<'a> {
    /// Takes a record apart that is written as [`Draft::line`] writes it, without reading the body; `None` when it is written in
    /// any other way. What remains is a JSON object with these fields if the body is one.
    fn as_written(line: &'a str) -> Option<Self> {
        let (i, rest) = line.strip_prefix(OPENING)?.split_once(',')?;
        let plain = i.bytes().all(|octet| octet.is_ascii_digit()) && (i == "0" || !i.starts_with('0'));
        let (at, rest) = rest.strip_prefix(r#""at":""#)?.split_once('"')?;
        let (salt, rest) = rest.strip_prefix(r#","salt":""#)?.split_once('"')?;
        let (kind, rest) = rest.strip_prefix(r#","kind":""#)?.split_once('"')?;
        let body = rest.strip_prefix(r#","body":"#)?.strip_suffix('}')?;
        // What JSON may write with an escape is left to a reader of JSON; no salt and no kind that is one needs any.
        let plain = plain && at.bytes().all(is_plain) && !salt.contains('\\') && !kind.contains('\\');
        let [at, salt, kind] = [at, salt, kind].map(|text| Some(Cow::Borrowed(text)));
        let body = Some(body);
        plain.then_some(Self { v: FORMAT_VERSION, i: i.parse().ok()?, at, salt, kind, body, leaf: None })
    }

    fn read(line: &'a str) -> Result<Self, LineError> {
        // serde would take a list of the values as well.
        if !line.trim_start().starts_with('{') {
            return Err(LineError::Malformed("no object".into()));
        }
        serde_json::from_str(line).map_err(|error| malformed(&error, 0))
    }
}

/// How every line begins.
const OPENING: &str = r#"{"v":1,"i":"#;

fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-_:.+".contains(&octet)
}

impl<'a> Line<'a> {
    /// Reads one line, given without its line feed: its fields, and that its body has the fields of its kind and no other.
    ///
    /// # Errors
    ///
    /// When it is anything but a line of this format.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, LineError> {
        let line = Self::frame(bytes)?;
        if let Self::Record(record) = &line {
            let offset = record.body.as_ptr().addr() - bytes.as_ptr().addr();
            shape::check(record.kind, record.body).map_err(|error| malformed(&error, offset))?;
        }
        Ok(line)
    }

    /// As [`Line::parse`], without a look into the body: for whoever reads the body itself, with [`RecordLine::event`].
    ///
    /// # Errors
    ///
    /// When it is anything but a line of this format, its body apart.
    pub fn frame(bytes: &'a [u8]) -> Result<Self, LineError> {
        if bytes.len() > LINE_BYTES_MAX {
            return Err(LineError::TooLong);
        }
        let line = std::str::from_utf8(bytes)
            .map_err(|error| LineError::Malformed(format!("no UTF-8, at octet {}", error.valid_up_to())))?;
        let raw = RawLine::as_written(line).map_or_else(|| RawLine::read(line), Ok)?;
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
                let at =
                    time(&at).ok_or_else(|| LineError::Malformed("the time is not as the log writes it".into()))?;
                let kind = kind.parse().map_err(|()| LineError::Kind)?;
                Ok(Self::Record(RecordLine { index: i, at, kind, body, leaf: leaf_hash(bytes) }))
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

/// What serde says, without quoting the line; it began to read at `offset`.
fn malformed(error: &serde_json::Error, offset: usize) -> LineError {
    let column = offset + error.column();
    LineError::Malformed(match error.classify() {
        serde_json::error::Category::Io => "unreadable".into(),
        serde_json::error::Category::Eof => format!("ends early, at column {column}"),
        serde_json::error::Category::Syntax => format!("no JSON, at column {column}"),
        serde_json::error::Category::Data => format!("wrong fields, at column {column}"),
    })
}

/// A record that is ready to be written, all but its index: serialised by the caller, not by the writer.
#[derive(Debug)]
pub struct Draft {
    /// When it happened.
    pub at: Timestamp,
    /// It says that the clock was set back.
    pub(super) sets_back: bool,
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
        let sets_back = matches!(event, Event::Clock(clock) if clock.now < clock.before);
        Ok(Self { at, sets_back, kind: event.kind(), salt: BASE64URL_NOPAD.encode(&salt), body })
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
    fn a_line_means_the_same_however_its_json_is_written() {
        let good = draft().line(1);
        assert_eq!(RawLine::as_written(&good).unwrap(), RawLine::read(&good).unwrap());
        let leaf = |line: &str| match Line::parse(line.as_bytes()).unwrap() {
            Line::Record(record) => (record.index, record.kind, record.body.to_owned()),
            Line::Purged { .. } => panic!("a record"),
        };
        let others = [
            good.replace(r#""v":1,"i":1"#, r#""i":1,"v":1"#),
            good.replace(",\"at\"", " , \"at\""),
            good.replace("\"kind\"", r#""k\u0069nd""#),
            format!(" {good} "),
        ];
        for other in &others {
            assert_eq!(RawLine::as_written(other), None, "{other}");
            assert_eq!(leaf(other), leaf(&good), "{other}");
        }
        // Whatever octet is replaced: what is taken apart as written is what a reader of JSON reads, if it is JSON at all.
        for at in 0..good.len() {
            for octet in (0x20..0x7f).map(char::from) {
                let line: String = good.chars().enumerate().map(|(i, c)| if i == at { octet } else { c }).collect();
                let whole = serde_json::from_str::<serde_json::Value>(&line).is_ok();
                assert!(whole || Line::parse(line.as_bytes()).is_err(), "{line}");
                if let (Some(fast), true) = (RawLine::as_written(&line), whole) {
                    assert_eq!(RawLine::read(&line).unwrap(), fast, "{line}");
                }
            }
        }
    }

    #[test]
    fn the_body_is_held_against_the_table_of_fields_and_the_place_is_named() {
        let good = draft().line(1);
        let body = good.find("\"before\"").unwrap();
        let line = good.replace("\"before\"", "\"behind\"");
        let Err(LineError::Malformed(what)) = Line::parse(line.as_bytes()) else { panic!("malformed") };
        assert_eq!(what, format!("wrong fields, at column {}", body + "\"behind\"".len()));
        for other in [
            good.replace("\"leaf\"", "").replace(r#""v":1"#, r#""v":1,"leaf":null"#),
            format!("[{}]", good.trim_start_matches('{').trim_end_matches('}')),
            r#"[1,1,"1970-01-01T00:00:00Z","AAAAAAAAAAAAAAAAAAAAAA","clock",{},"x"]"#.to_owned(),
        ] {
            assert!(matches!(Line::parse(other.as_bytes()), Err(LineError::Malformed(_))), "{other}");
        }
        assert!(good.starts_with(OPENING));
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
