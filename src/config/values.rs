//! The single values of configuration files: each read into its own type, with its own complaint when it cannot be. Those that
//! say how much are in [`quantities`](super::quantities), those that are one of a few words in [`choices`](super::choices).

use std::fmt;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use jiff::civil;
use jiff::tz::TimeZone;
use toml::de::DeValue;

use super::codes::Code;
use super::reader::{Leaf, LeafError, string, wrong};
use crate::charter::Clause;
use crate::message::address::Address;

/// The longest text that any key takes, in octets: a footer of some pages. Header tags have their own bound.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// The longest text on one line, in octets: a header field line may have 998 (RFC 5322 section 2.1.1).
const LINE_BYTES_MAX: usize = 900;

impl Leaf for bool {
    fn shape() -> String {
        "`true` or `false`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        if let DeValue::Boolean(b) = value { Ok(*b) } else { Err(wrong(value)) }
    }
}

/// Text of several lines, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl Leaf for Text {
    fn shape() -> String {
        "a text".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let text = string(value)?;
        if text.trim().is_empty() {
            return Err((Code::BadText, "empty".to_owned()));
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err((Code::BadText, format!("longer than {TEXT_BYTES_MAX} octets")));
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err((Code::BadText, "holds a control character".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Text on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(pub String);

impl Leaf for Line {
    fn shape() -> String {
        "a text on one line".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let Text(text) = Text::read(value)?;
        if text.contains(['\n', '\t']) {
            return Err((Code::BadText, "holds a line break or a tab".to_owned()));
        }
        if text.len() > LINE_BYTES_MAX {
            return Err((Code::BadText, format!("longer than {LINE_BYTES_MAX} octets")));
        }
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A short stable name: lower-case letters, digits, `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier(pub String);

impl Leaf for Identifier {
    fn shape() -> String {
        "an identifier (lower-case letters, digits, `-`)".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        /// Long enough for any name; it stands in every record and many replies.
        const IDENTIFIER_BYTES_MAX: usize = 64;
        let text = string(value)?;
        let good = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.len() <= IDENTIFIER_BYTES_MAX
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if good { Ok(Self(text.to_owned())) } else { Err((Code::BadIdentifier, "not an identifier".to_owned())) }
    }
}

impl Leaf for Clause {
    fn shape() -> String {
        "the id of a clause, such as `cnrs:III.f`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        /// It is quoted in SMTP replies, whose lines are short (RFC 5321 section 4.5.3.1.5).
        const CLAUSE_BYTES_MAX: usize = 64;
        let text = string(value)?;
        let good = !text.is_empty()
            && text.len() <= CLAUSE_BYTES_MAX
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":.-_".contains(&b));
        let label = "a clause id has letters, digits and `:` `.` `-` `_` only";
        if good { Ok(Self(text.to_owned())) } else { Err((Code::BadText, label.to_owned())) }
    }
}

impl Leaf for Address {
    fn shape() -> String {
        "a mail address".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        /// RFC 5321 section 4.5.3.1.1.
        const LOCAL_PART_BYTES_MAX: usize = 64;
        let text = string(value)?;
        let address = Self::parse(text).map_err(|error| (Code::BadAddress, error.to_string()))?;
        if address.local().len() > LOCAL_PART_BYTES_MAX {
            return Err((Code::BadAddress, format!("more than {LOCAL_PART_BYTES_MAX} octets before the `@`")));
        }
        if address.local().contains('*') {
            return Err((Code::BadAddress, "`*` stands for nothing else here; name each mailbox".to_owned()));
        }
        Ok(address)
    }
}

impl Leaf for IpNet {
    fn shape() -> String {
        "a network, such as `192.0.2.0/24` or `2001:db8::/32`, or a single IP address".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let text = string(value)?;
        if let Ok(address) = text.parse::<std::net::IpAddr>() {
            return Ok(Self::from(address));
        }
        let net: Self = text.parse().map_err(|_| (Code::BadNetwork, "not a network".to_owned()))?;
        if net.trunc() == net {
            Ok(net)
        } else {
            Err((Code::BadNetwork, format!("host bits are set; the network is `{}`", net.trunc())))
        }
    }
}

impl Leaf for civil::Date {
    fn shape() -> String {
        "a local date without quotes, such as `2018-06-11`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let DeValue::Datetime(datetime) = value else { return Err((Code::BadDate, wrong(value).1)) };
        match (datetime.date, datetime.time, datetime.offset) {
            (Some(date), None, None) => {
                let parts = (i16::try_from(date.year), i8::try_from(date.month), i8::try_from(date.day));
                let (Ok(year), Ok(month), Ok(day)) = parts else { return Err(no_such_day()) };
                civil::Date::new(year, month, day).map_err(|_| no_such_day())
            }
            (Some(_), Some(_), _) => {
                Err((Code::BadDate, "this has a time of day; only the day counts here".to_owned()))
            }
            _ => Err((Code::BadDate, "this is not a day".to_owned())),
        }
    }
}

fn no_such_day() -> LeafError {
    (Code::BadDate, "there is no such day".to_owned())
}

impl Leaf for civil::Time {
    fn shape() -> String {
        "a local time without quotes, such as `22:00:00`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let DeValue::Datetime(datetime) = value else { return Err((Code::BadTime, wrong(value).1)) };
        match (datetime.date, datetime.time, datetime.offset) {
            (None, Some(time), None) if time.nanosecond.is_some_and(|fraction| fraction > 0) => {
                Err((Code::BadTime, "fractions of a second do not count here".to_owned()))
            }
            (None, Some(time), None) => {
                let second = time.second.unwrap_or(0);
                let parts = (i8::try_from(time.hour), i8::try_from(time.minute), i8::try_from(second));
                let (Ok(hour), Ok(minute), Ok(second)) = parts else {
                    return Err((Code::BadTime, "there is no such time".to_owned()));
                };
                civil::Time::new(hour, minute, second, 0)
                    .map_err(|_| (Code::BadTime, "there is no such time".to_owned()))
            }
            _ => Err((Code::BadTime, "this is not a time of day".to_owned())),
        }
    }
}

impl Leaf for TimeZone {
    fn shape() -> String {
        "the name of a time zone, such as `Europe/Paris`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let zone = TimeZone::get(string(value)?).ok().filter(|zone| !zone.is_unknown());
        zone.ok_or((Code::BadTimeZone, "not in the time zone database".to_owned()))
    }
}

/// A target for members: `https:` or `mailto:`, possibly with `{list}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(pub String);

impl Leaf for Target {
    fn shape() -> String {
        "an `https:` or `mailto:` target".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let text = string(value)?;
        // The characters that RFC 3986 lets stand in a URI, and the braces of a field that is filled in later.
        let clean = text.bytes().all(|b| b.is_ascii_graphic() && !br#"<>"\^`|"#.contains(&b));
        if !clean {
            return Err((Code::BadUrl, "holds characters that must be percent-encoded".to_owned()));
        }
        if let Some(rest) = text.strip_prefix("https://") {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = host.rsplit_once('@').map_or(host, |(_, h)| h);
            let host = host.rsplit_once(':').filter(|(_, p)| p.parse::<u16>().is_ok()).map_or(host, |(h, _)| h);
            return if Domain::parse(host).is_some() {
                Ok(Self(text.to_owned()))
            } else {
                Err((Code::BadUrl, "names no host".to_owned()))
            };
        }
        if let Some(rest) = text.strip_prefix("mailto:") {
            let mailbox = rest.split('?').next().unwrap_or_default();
            return match Address::parse(&mailbox.replace("{list}", "list")) {
                Ok(_) => Ok(Self(text.to_owned())),
                Err(error) => Err((Code::BadUrl, error.to_string())),
            };
        }
        Err((Code::BadUrl, "neither `https://` nor `mailto:`".to_owned()))
    }
}

impl Target {
    /// The mailbox of a `mailto:` target.
    #[must_use]
    pub fn mailbox(&self) -> Option<Address> {
        let mailbox = self.0.strip_prefix("mailto:")?.split('?').next()?;
        Address::parse(mailbox).ok()
    }
}

/// Whom people can turn to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// By mail.
    Mailbox(Address),
    /// By a form on an `https:` page.
    Page(String),
}

impl Leaf for Contact {
    fn shape() -> String {
        "a mail address or an `https:` page".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let text = string(value)?;
        if text.starts_with("https://") {
            return Target::read(value).map(|Target(page)| Self::Page(page));
        }
        Address::parse(text).map(Self::Mailbox).map_err(|error| (Code::BadAddress, error.to_string()))
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(address) => address.fmt(f),
            Self::Page(page) => page.fmt(f),
        }
    }
}

/// A domain name, in lower-case A-labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(pub String);

impl Domain {
    fn parse(text: &str) -> Option<Self> {
        let ascii = idna::domain_to_ascii_strict(text.trim_end_matches('.')).ok()?;
        (!ascii.is_empty()).then_some(Self(ascii))
    }
}

impl Leaf for Domain {
    fn shape() -> String {
        "a domain name".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        Self::parse(string(value)?).ok_or((Code::BadDomain, "not a domain name".to_owned()))
    }
}

impl Leaf for PathBuf {
    fn shape() -> String {
        "a path".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let text = string(value)?;
        if text.is_empty() || text.contains('\0') {
            return Err((Code::BadPath, "not a path".to_owned()));
        }
        Ok(Self::from(text))
    }
}

/// An absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsolutePath(pub PathBuf);

impl AbsolutePath {
    /// A default of this program.
    #[must_use]
    pub fn at(path: &str) -> Self {
        Self(PathBuf::from(path))
    }
}

impl Leaf for AbsolutePath {
    fn shape() -> String {
        "an absolute path".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let path = PathBuf::read(value)?;
        if Path::is_absolute(&path) {
            Ok(Self(path))
        } else {
            Err((Code::BadPath, "does not begin with `/`".to_owned()))
        }
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.display())
    }
}

/// The mode of a socket file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl Leaf for FileMode {
    fn shape() -> String {
        "a file mode in octal digits, such as `\"0660\"`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        if let DeValue::Integer(_) = value {
            return Err((Code::BadMode, "put the octal digits between quotes".to_owned()));
        }
        let mode = u32::from_str_radix(string(value)?, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or((Code::BadMode, "not octal digits up to 0777".to_owned()))
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{:04o}\"", self.0)
    }
}

#[cfg(test)]
mod tests;
