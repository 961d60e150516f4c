//! The values of configuration files that say how much: numbers, sizes and durations, the latter two always with a unit.

use std::fmt;
use std::time::Duration;

use toml::de::DeValue;

use super::codes::Code;
use super::reader::{Leaf, LeafError, string, wrong};

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

fn integer(value: &DeValue<'_>) -> Result<i128, LeafError> {
    match value {
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| (Code::OutOfRange, "far out of range".to_owned())),
        other => Err(wrong(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reader::tests::read;

    #[test]
    fn sizes_tell_thousands_from_powers_of_two() {
        for (text, bytes) in [
            ("100 kB", 100_000),
            ("100kB", 100_000),
            ("100 KiB", 102_400),
            ("1 MB", 1_000_000),
            ("1 MiB", 1 << 20),
            ("512 B", 512),
            ("1_000 B", 1_000),
            ("1\u{a0}GB", 1_000_000_000),
        ] {
            assert_eq!(read::<Bytes>(&format!("\"{text}\"")), Ok(Bytes(bytes)), "{text}");
        }
        for text in
            ["100", "kB", "100 kb", "100 KB", "1.5 MB", "-1 kB", "99999999999999999999 B", "18446744073709551615 GiB"]
        {
            assert_eq!(read::<Bytes>(&format!("\"{text}\"")), Err(Code::BadSize), "{text}");
        }
    }

    #[test]
    fn what_a_size_or_duration_shows_can_be_read_again() {
        for bytes in [1, 512, 1_000, 1_024, 100_000, 102_400, 1_000_000, 1 << 20, 32 << 20, 1 << 30, 123_456_789] {
            assert_eq!(Bytes::parse(&Bytes(bytes).to_string()), Some(Bytes(bytes)));
        }
        for seconds in [1, 25, 60, 90, 3_600, 86_400, 365 * 86_400, 100_000] {
            let lasting = Lasting::seconds(seconds);
            assert_eq!(Lasting::parse(&lasting.to_string()), Some(lasting), "{lasting}");
        }
    }

    #[test]
    fn counts_stay_whole_and_positive() {
        assert_eq!(read("1"), Ok(Count(1)));
        assert_eq!(read("0x10"), Ok(Count(16)));
        assert_eq!(read("4_294_967_295"), Ok(Count(u32::MAX)));
        for text in ["0", "-1", "4294967296", "999999999999999999999999999"] {
            assert_eq!(read::<Count>(text), Err(Code::OutOfRange), "{text}");
        }
        assert_eq!(read::<Count>("1.0"), Err(Code::WrongType));
    }

    #[test]
    fn weights_are_finite() {
        assert_eq!(read("1"), Ok(Weight(1.0)));
        assert_eq!(read("-0.5"), Ok(Weight(-0.5)));
        for text in ["nan", "inf", "-inf", "1e9"] {
            assert_eq!(read::<Weight>(text), Err(Code::OutOfRange), "{text}");
        }
    }
}
