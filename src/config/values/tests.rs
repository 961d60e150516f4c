//! What each kind of value takes, and what it refuses and why.

use super::*;

fn read<T: Leaf>(toml: &str) -> Result<T, Code> {
    let document = format!("v = {toml}");
    let table = toml::de::DeTable::parse(&document).unwrap();
    T::read(table.get_ref().get("v").unwrap().get_ref()).map_err(|(code, _)| code)
}

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

#[test]
fn targets_name_a_host_or_a_mailbox() {
    for good in [
        "https://a.example",
        "https://a.example:8443/x?l={list}#f",
        "https://user@a.example/",
        "mailto:a@a.example?subject={list}",
        "mailto:{list}@a.example",
    ] {
        assert!(read::<Target>(&format!("\"{good}\"")).is_ok(), "{good}");
    }
    for bad in [
        "",
        "http://a.example",
        "https://",
        "https:///x",
        "https://a b.example",
        "https://a.example/<x>",
        "https://a.example/\\r\\nBcc: x@x.example",
        "mailto:a",
        "mailto:",
        "javascript:alert(1)",
    ] {
        assert_eq!(read::<Target>(&format!("\"{bad}\"")), Err(Code::BadUrl), "{bad}");
    }
}

#[test]
fn header_words_hold_no_line_breaks() {
    assert!(read::<Line>("\"Élections – collège C\"").is_ok());
    for bad in ["\"a\\r\\nBcc: x@x.example\"", "\"a\\u0000\"", "\"\"", "\"\\t\""] {
        assert_eq!(read::<Line>(bad), Err(Code::BadText), "{bad}");
    }
    let long = "é".repeat(LINE_BYTES_MAX);
    assert_eq!(read::<Line>(&format!("\"{long}\"")), Err(Code::BadText));
}

#[test]
fn networks_may_be_single_addresses_but_not_half_of_one() {
    assert_eq!(read::<IpNet>("\"192.0.2.1\"").unwrap().prefix_len(), 32);
    assert_eq!(read::<IpNet>("\"2001:db8::1\"").unwrap().prefix_len(), 128);
    assert_eq!(read::<IpNet>("\"192.0.2.1/24\""), Err(Code::BadNetwork));
    assert_eq!(read::<IpNet>("\"example\""), Err(Code::BadNetwork));
}

#[test]
fn days_and_times_are_local() {
    assert_eq!(read("2018-06-11"), Ok(civil::date(2018, 6, 11)));
    assert_eq!(read("2016-02-29"), Ok(civil::date(2016, 2, 29)));
    assert_eq!(read::<civil::Date>("2018-06-11T00:00:00"), Err(Code::BadDate));
    assert_eq!(read::<civil::Date>("22:00:00"), Err(Code::BadDate));
    assert_eq!(read("22:00:00"), Ok(civil::time(22, 0, 0, 0)));
    assert_eq!(read("22:00"), Ok(civil::time(22, 0, 0, 0)));
    assert_eq!(read::<civil::Time>("2018-06-11"), Err(Code::BadTime));
}

#[test]
fn file_modes_are_octal() {
    assert_eq!(read("\"0660\""), Ok(FileMode(0o660)));
    for bad in ["660", "\"0888\"", "\"7777\"", "\"rw\""] {
        assert_eq!(read::<FileMode>(bad), Err(Code::BadMode), "{bad}");
    }
}
