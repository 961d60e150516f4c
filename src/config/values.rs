//! The single values of configuration files: each read into its own type, with its own complaint when it cannot be.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use jiff::civil;
use jiff::tz::TimeZone;
use toml::de::DeValue;

use super::codes::Code;
use super::reader::{Leaf, LeafError, enumerate, kind, nearest};
use crate::charter::rules::{
    AttachmentAction, Direction, FloodSubject, QuotaReach, QuotaSubject, ReceiptsRule, RefuseOrTag, Span,
};
use crate::charter::{Clause, Inspection, Keeper, MailboxState, Mode, ReleaseOrder};
use crate::message::address::Address;
use crate::message::edit::SignedPolicy;
use crate::wording::Language;

/// The longest text that any key takes, in octets: a footer of some pages. Header tags have their own bound.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// The longest text on one line, in octets: a header field line may have 998 (RFC 5322 section 2.1.1).
const LINE_BYTES_MAX: usize = 900;

fn wrong(value: &DeValue<'_>) -> LeafError {
    (Code::WrongType, format!("this is {}", kind(value)))
}

fn string<'v>(value: &'v DeValue<'_>) -> Result<&'v str, LeafError> {
    match value {
        DeValue::String(text) => Ok(text),
        other => Err(wrong(other)),
    }
}

fn integer(value: &DeValue<'_>) -> Result<i128, LeafError> {
    match value {
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| (Code::OutOfRange, "far out of range".to_owned())),
        other => Err(wrong(other)),
    }
}

impl Leaf for bool {
    fn shape() -> String {
        "`true` or `false`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        if let DeValue::Boolean(b) = value { Ok(*b) } else { Err(wrong(value)) }
    }
}

/// A number of things, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u32);

impl Leaf for Count {
    fn shape() -> String {
        "a whole number from 1".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        match u32::try_from(integer(value)?) {
            Ok(0) => Err((Code::OutOfRange, "nothing could ever pass; a suspension is made with `stop`".to_owned())),
            Ok(count) => Ok(Self(count)),
            Err(_) => Err((Code::OutOfRange, format!("not between 1 and {}", u32::MAX))),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The weight of a signal, or a threshold: a finite number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight(pub f64);

impl Leaf for Weight {
    fn shape() -> String {
        "a number".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let number: f64 = match value {
            DeValue::Float(number) => number.as_str().parse().map_err(|_| wrong(value))?,
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().map_err(|_| wrong(value))?,
            other => return Err(wrong(other)),
        };
        // A thousand is already a hundred times any sum of signals; NaN and infinities would never compare.
        if number.is_finite() && number.abs() <= 1000.0 {
            Ok(Self(number))
        } else {
            Err((Code::OutOfRange, "not between -1000 and 1000".to_owned()))
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
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
        Self::parse(string(value)?).map_err(|error| (Code::BadAddress, error.to_string()))
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

/// A size in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl Bytes {
    /// The units, from the largest; powers of 1000 and of 1024 are told apart as IEC 80000-13 does.
    const UNITS: &[(&'static str, u64)] = &[
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
        ("B", 1),
    ];

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_unit(text)?;
        let (_, factor) = Self::UNITS.iter().find(|(name, _)| *name == unit)?;
        number.parse::<u64>().ok()?.checked_mul(*factor).map(Self)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) =
            Self::UNITS.iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor)).unwrap_or(&("B", 1));
        write!(f, "{} {unit}", self.0 / factor)
    }
}

impl Leaf for Bytes {
    fn shape() -> String {
        "a size with a unit, such as `\"100 kB\"` or `\"1 MiB\"`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        if let DeValue::Integer(number) = value {
            return Err((Code::BadSize, format!("write `\"{} B\"` if octets are meant", number.as_str())));
        }
        match Self::parse(string(value)?) {
            Some(Self(0)) => Err((Code::OutOfRange, "nothing could ever pass".to_owned())),
            Some(size) => Ok(size),
            None => Err((Code::BadSize, "a whole number and one of B, kB, MB, GB, KiB, MiB, GiB".to_owned())),
        }
    }
}

/// A duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lasting(pub Duration);

impl Lasting {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Each unit's names, the one for several first, the one for one second.
    const UNITS: &[(&'static [&'static str], u64)] = &[
        (&["days", "day", "d"], 86_400),
        (&["hours", "hour", "h"], 3_600),
        (&["min", "min", "minute", "minutes"], 60),
        (&["s", "s", "second", "seconds"], 1),
    ];

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_unit(text)?;
        let (_, factor) = Self::UNITS.iter().find(|(names, _)| names.contains(&unit))?;
        number.parse::<u64>().ok()?.checked_mul(*factor).map(Self::seconds)
    }
}

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let unit = Self::UNITS.iter().find(|(_, factor)| seconds > 0 && seconds.is_multiple_of(*factor));
        let (names, factor) = unit.unwrap_or(&(&["s"], 1));
        let count = seconds / factor;
        let name = if count == 1 { names.get(1) } else { names.first() };
        write!(f, "{count} {}", name.unwrap_or(&"s"))
    }
}

impl Leaf for Lasting {
    fn shape() -> String {
        "a duration with a unit, such as `\"30 s\"`, `\"5 min\"`, `\"12 hours\"`, `\"7 days\"`".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        match Self::parse(string(value)?) {
            Some(Self(Duration::ZERO)) => Err((Code::OutOfRange, "has no length".to_owned())),
            Some(Self(d)) if d.as_secs() > 100 * 366 * 86_400 => {
                Err((Code::OutOfRange, "longer than a century".to_owned()))
            }
            Some(duration) => Ok(duration),
            None => Err((Code::BadDuration, "a whole number and one of s, min, hours, days".to_owned())),
        }
    }
}

/// Splits `100 kB` into `100` and `kB`; digits may be grouped with `_`, the space may be left out or be a no-break one.
fn split_unit(text: &str) -> Option<(String, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_')?;
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.replace('_', ""), unit.trim()))
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
        let name = string(value)?;
        TimeZone::get(name).map_err(|_| (Code::BadTimeZone, "not in the time zone database".to_owned()))
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

/// Reads one of a closed list of words.
///
/// # Errors
/// [`Code::UnknownValue`] with the nearest word.
pub fn choose<T: Copy>(value: &DeValue<'_>, choices: &[(&'static str, T)]) -> Result<T, LeafError> {
    let word = string(value)?;
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
        return Ok(*choice);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
    let label = match nearest(word, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "not one of them".to_owned(),
    };
    Err((Code::UnknownValue, label))
}

/// The words of a closed list, for messages.
#[must_use]
pub fn words<T>(choices: &[(&'static str, T)]) -> String {
    let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
    format!("one of {}", enumerate(&names))
}

macro_rules! choices {
    ($($ty:ty { $($word:literal => $value:expr,)+ })+) => {
        $(impl $crate::config::reader::Leaf for $ty {
            fn shape() -> String {
                $crate::config::values::words::<$ty>(&[$(($word, $value)),+])
            }
            fn read(value: &toml::de::DeValue<'_>) -> Result<Self, $crate::config::reader::LeafError> {
                $crate::config::values::choose(value, &[$(($word, $value)),+])
            }
        })+
    };
}
pub(crate) use choices;

choices! {
    Mode { "enforce" => Mode::Enforce, "monitor" => Mode::Monitor, }
    Inspection { "content" => Inspection::Content, "structure" => Inspection::Structure, }
    Language { "fr" => Language::French, "en" => Language::English, }
    ReleaseOrder { "draw" => ReleaseOrder::Draw, "arrival" => ReleaseOrder::Arrival, }
    MailboxState { "suspended" => MailboxState::Suspended, "deactivated" => MailboxState::Deactivated, }
    RefuseOrTag { "reject" => RefuseOrTag::Reject, "tag" => RefuseOrTag::Tag, }
    Direction { "any" => Direction::Any, "internal" => Direction::Internal, "outgoing" => Direction::Outgoing, }
    QuotaSubject { "sender" => QuotaSubject::Sender, "mailbox" => QuotaSubject::Mailbox, "login" => QuotaSubject::Login, }
    FloodSubject { "sender" => FloodSubject::Sender, "list" => FloodSubject::List, }
    QuotaReach { "list" => QuotaReach::List, "all-lists" => QuotaReach::AllLists, }
    ReceiptsRule { "remove" => ReceiptsRule::Remove, "reject" => ReceiptsRule::Reject, "pass" => ReceiptsRule::Pass, }
    AttachmentAction {
        "strip" => AttachmentAction::Strip,
        "reject" => AttachmentAction::Reject,
        "tag" => AttachmentAction::Tag,
        "allow" => AttachmentAction::Allow,
    }
    SignedPolicy {
        "reject" => SignedPolicy::Reject,
        "wrap" => SignedPolicy::Wrap,
        "break" => SignedPolicy::Break,
        "pass" => SignedPolicy::Pass,
    }
    Span {
        "hour" => Span::Hour,
        "day" => Span::Day,
        "week" => Span::Week,
        "month" => Span::Month,
        "period" => Span::Period,
    }
}

impl Leaf for Keeper {
    fn shape() -> String {
        "the name of a rule or of a measure".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let choices: Vec<_> = Self::all().map(|keeper| (keeper.as_str(), keeper)).collect();
        choose(value, &choices)
    }
}

#[cfg(test)]
mod tests;
