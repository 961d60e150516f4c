//! What each kind of value takes, and what it refuses and why.

use super::*;
use crate::config::reader::tests::read;

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
