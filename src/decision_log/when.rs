//! Times and days as the log writes them: one text for one instant, so that no two readers of the log differ.

use jiff::Timestamp;
use jiff::civil::Date;

/// An instant: RFC 3339 in UTC with `T` and `Z`, years 1970 to 9998, at most nine decimals of a second of which the last is not
/// 0, no leap second.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let (head, tail) = bytes.split_at_checked(19)?;
    let shaped = head.iter().zip(b"0000-00-00T00:00:00").all(|(octet, model)| match model {
        b'0' => octet.is_ascii_digit(),
        other => octet == other,
    });
    let fraction = tail.strip_suffix(b"Z")?;
    let exact = match fraction.split_first() {
        None => true,
        Some((b'.', digits)) => {
            digits.len() <= 9
                && digits.iter().all(u8::is_ascii_digit)
                && digits.last().is_some_and(|last| *last != b'0')
        }
        Some(_) => false,
    };
    let leap = head.ends_with(b"60");
    (shaped && exact && !leap && years(bytes)).then(|| text.parse().ok())?
}

/// A day, `YYYY-MM-DD`, years 1970 to 9998.
pub(super) fn day(text: &str) -> Option<Date> {
    let shaped = text.len() == 10
        && text.bytes().zip(b"0000-00-00").all(|(octet, model)| match model {
            b'0' => octet.is_ascii_digit(),
            other => octet == *other,
        });
    (shaped && years(text.as_bytes())).then(|| text.parse().ok())?
}

/// The years that every language's library knows.
fn years(text: &[u8]) -> bool {
    text.get(..4).is_some_and(|year| year >= b"1970".as_slice() && year < b"9999".as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_one_text() {
        for good in ["1970-01-01T00:00:00Z", "2026-06-11T22:00:00.5Z", "9998-12-31T23:59:59.000000001Z"] {
            assert_eq!(time(good).map(|time| time.to_string()).as_deref(), Some(good));
        }
        for bad in [
            "2026-06-11T22:00:00+00:00",
            "2026-06-11T22:00:00.50Z",
            "2026-06-11T22:00:00.Z",
            "2026-06-11T22:00:00.0000000001Z",
            "2026-06-11t22:00:00z",
            "2026-06-11 22:00:00Z",
            "2026-06-11T22:00:60Z",
            "2026-06-11T24:00:00Z",
            "2026-02-29T22:00:00Z",
            "2026-06-11T22:00Z",
            "2026-06-11T22:00:00",
            "20260611T220000Z",
            "1969-12-31T23:59:59Z",
            "9999-01-01T00:00:00Z",
            "2026-06-11T22:00:00Z[Europe/Paris]",
            "",
        ] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_day_has_one_text() {
        assert_eq!(day("2026-06-11").map(|day| day.to_string()).as_deref(), Some("2026-06-11"));
        for bad in ["20260611", "2026-6-11", "2026-06-31", "2026-06-11T00:00:00", "1969-12-31", "2026-W24-4", ""] {
            assert_eq!(day(bad), None, "{bad}");
        }
    }
}
