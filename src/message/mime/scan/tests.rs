//! Each disagreement is provoked by the smallest message that shows it.

use super::*;
use crate::message::mime::AmbiguityKind as Kind;

fn scan(text: &str) -> (Tree, Vec<u8>) {
    let raw = text.replace('\n', "\r\n").into_bytes();
    (parse(&raw, &Limits::default()), raw)
}

fn kinds(text: &str) -> Vec<Kind> {
    scan(text).0.ambiguities().iter().map(|a| a.kind).collect()
}

fn bodies(text: &str) -> Vec<String> {
    let (tree, raw) = scan(text);
    tree.parts()
        .filter(|p| p.children.is_empty())
        .map(|p| String::from_utf8(raw[p.body.clone()].to_vec()).unwrap())
        .collect()
}

const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\n\n";

#[test]
fn the_line_end_before_a_boundary_belongs_to_it() {
    let text = format!("{MIXED}pre\n--b\n\none\n--b\nX: y\n\n\ntwo\n\n--b--\npost\n");
    let (tree, raw) = scan(&text);
    assert_eq!(bodies(&text), ["one", "\r\ntwo\r\n"]);
    assert_eq!(tree.ambiguities(), []);
    let shape = tree.root().unwrap().multipart.clone().unwrap();
    assert_eq!(&raw[shape.preamble], b"pre");
    assert_eq!(&raw[shape.epilogue], b"\r\npost\r\n");
    assert_eq!(&raw[shape.close.unwrap()], b"\r\n--b--");
    let second = tree.part(PartId(2)).unwrap();
    assert_eq!(&raw[second.delimiter.clone()], b"\r\n--b\r\n");
    assert_eq!(&raw[second.header.clone()], b"X: y\r\n");
}

#[test]
fn trees_are_in_preorder_and_messages_are_entered() {
    let text = format!(
        "{MIXED}--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\nx\n--c\nContent-Type: text/html\n\ny\n--c--\n\n--b\nContent-Type: message/rfc822\n\nSubject: s\nContent-Type: multipart/mixed; boundary=d\n\n--d\n\nz\n--d--\n--b--\n"
    );
    let (tree, _) = scan(&text);
    let shape: Vec<_> = tree.parts().map(|p| (p.parent.map(|p| p.0), p.media_type.name.clone())).collect();
    let expected = [
        (None, "multipart/mixed"),
        (Some(0), "multipart/alternative"),
        (Some(1), "text/plain"),
        (Some(1), "text/html"),
        (Some(0), "message/rfc822"),
        (Some(4), "multipart/mixed"),
        (Some(5), "text/plain"),
    ];
    assert_eq!(shape, expected.map(|(parent, name)| (parent, name.to_owned())));
    assert_eq!(tree.ambiguities(), []);
    assert_eq!(tree.text_bodies(), [PartId(2), PartId(3)]);
}

#[test]
fn an_empty_first_part_and_empty_bodies_have_sane_ranges() {
    let text = format!("{MIXED}--b\n\n--b\n\n\n--b--");
    assert_eq!(bodies(&text), ["", ""]);
    assert_eq!(kinds(&text), []);
}

#[test]
fn every_disagreement_about_boundaries_is_named() {
    let part = "--b\n\nx\n";
    let cases: [(String, Kind); 17] = [
        (format!("{MIXED}{part}"), Kind::MissingEnd),
        (format!("{MIXED}nothing\n"), Kind::NoParts),
        (format!("{MIXED}{part}--b--\n{part}--b--\n"), Kind::PartAfterEnd),
        (format!("{MIXED}{part}--bc\n--b--\n"), Kind::BoundaryWithJunk),
        (format!("{MIXED}{part}--b--x\n--b--\n"), Kind::BoundaryWithJunk),
        (format!("{MIXED}Content-Type: text/plain\n{part}--b--\n"), Kind::HiddenInPreamble),
        (format!("{MIXED}{part}--b--\n\nbegin 644 a\n"), Kind::HiddenInEpilogue),
        (format!("{MIXED}--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n"), Kind::BoundaryReused),
        (
            format!("{MIXED}--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\nx\n--bb--\n--b--\n"),
            Kind::BoundaryPrefix,
        ),
        (format!("Content-Type: multipart/mixed\n\n{part}--b--\n"), Kind::MissingBoundary),
        (format!("Content-Type: multipart/mixed; boundary=b; boundary=c\n\n{part}--b--\n"), Kind::SeveralBoundaries),
        (format!("Content-Type: multipart/mixed; boundary*0=b\n\n{part}--b--\n"), Kind::ExtendedBoundary),
        (format!("Content-Type: multipart/mixed; boundary=\"<b>\"\n\n{part}--<b>--\n"), Kind::OddBoundary),
        (
            format!("Content-Type: multipart/mixed; boundary={0}\n\n--{0}\n\nx\n--{0}--\n", "b".repeat(71)),
            Kind::LongBoundary,
        ),
        ("Content-Type: multipart/mixed; boundary=\"a\n b\"\n\n--a b\n\nx\n--a b--\n".to_string(), Kind::OddBoundary),
        ("Content-Type: multipart/mixed; boundary=\"a\\\\b\"\n\n--ab\n\nx\n--ab--\n".to_string(), Kind::OddBoundary),
        ("Content-Type: multipart/mixed; boundary=\"\\ab\"\n\n--ab\n\nx\n--ab--\n".to_string(), Kind::OddBoundary),
    ];
    for (text, kind) in cases {
        assert!(kinds(&text).contains(&kind), "{kind}: {:?}\n{text}", kinds(&text));
    }
}

#[test]
fn every_disagreement_about_headers_is_named() {
    let inside = |header: &str| format!("{MIXED}--b\n{header}\nx\n--b--\n");
    let cases = [
        (inside("Content-Type: text/plain\nContent-Type: text/html\n"), Kind::DuplicateField),
        (inside("Content-Type: text\n"), Kind::MalformedContentType),
        (inside("Content-Type: text/plain (x)\n"), Kind::CommentInField),
        (inside("Content-Type: application/pdf (x)\n"), Kind::CommentInField),
        (inside("Content-Type: image/png\nContent-ID: <a>\nContent-ID: <b>\n"), Kind::DuplicateField),
        (inside("Content-Type: text/plain; charset=\"=?us-ascii?q?utf-8?=\"\n"), Kind::EncodedWordInField),
        (inside("Content-Type: text/plain; charset=utf-8 name=x.pdf\n"), Kind::MalformedParameter),
        (inside("Content-Disposition: ;x\n"), Kind::MalformedDisposition),
        (inside("Content-Transfer-Encoding: x-uuencode\n"), Kind::UnknownEncoding),
        (inside("Content-Type : text/plain\n"), Kind::SpaceBeforeColon),
        (inside("X-A: b\n \nContent-Type: text/plain\n"), Kind::WhitespaceLine),
        (inside("X-A: b\nnonsense\n"), Kind::MalformedHeaderLine),
        (inside("Hello there\n"), Kind::HeaderlessPart),
        (format!("{MIXED}--b\nX-A: b\n--b--\n"), Kind::HeaderWithoutEnd),
        (inside("\nContent-Type: application/pdf\n"), Kind::HeaderAfterBlankLine),
        (inside("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n"), Kind::EncodedComposite),
        (inside("Content-Transfer-Encoding: base64\n\neA!\n"), Kind::ForeignBase64),
        (inside("Content-Transfer-Encoding: base64\n\neA==eA==\n"), Kind::Base64AfterEnd),
        (inside(&format!("X: {}\n", "y".repeat(70_000))), Kind::HeaderTooLong),
    ];
    for (text, kind) in cases {
        assert!(kinds(&text).contains(&kind), "{kind}: {:?}\n{text}", kinds(&text));
    }
}

#[test]
fn stray_controls_are_named_wherever_they_are() {
    let of =
        |raw: &[u8]| -> Vec<Kind> { parse(raw, &Limits::default()).ambiguities().iter().map(|a| a.kind).collect() };
    assert_eq!(of(b"A: b\r\n\r\nx\ry\r\n"), [Kind::BareCr]);
    assert_eq!(of(b"A: b\r\n\r\nx\ny\r\n"), [Kind::BareLf]);
    assert_eq!(of(b"A: b\r\n\r\nx\0y\r\n"), [Kind::Nul]);
    assert_eq!(of(b"\nA: b\r"), [Kind::BareCr, Kind::BareLf]);
    assert_eq!(of(b""), []);
}

#[test]
fn names_written_oddly_make_an_attachment_and_no_ambiguity() {
    for header in [
        "Content-Type: application/pdf; name=Report (1).pdf",
        "Content-Type: text/plain; name=\"=?utf-8?q?a?=.txt\"",
        "Content-Type: application/pdf; name=a b.pdf\nContent-Disposition: attachment; filename=a b.pdf",
        "Content-Type: pdf; name=a.pdf",
        "Content-Type: application/pdf; name=\"a.pdf\"\nContent-Disposition: attachment; filename*=utf-8''a.pdf; filename=a.pdf",
    ] {
        assert_eq!(kinds(&format!("{MIXED}--b\n{header}\n\nx\n--b--\n")), [], "{header}");
    }
}

#[test]
fn limits_are_named() {
    let level = |level| format!("Content-Type: multipart/mixed; boundary=b{level:02}\n\n--b{level:02}\n");
    let deep = (0..20).map(level).collect::<Vec<_>>().concat();
    assert!(kinds(&deep).contains(&Kind::TooDeep));
    let many = format!("{MIXED}{}--b--\n", "--b\n\nx\n".repeat(1_600));
    let (tree, _) = scan(&many);
    assert_eq!(tree.parts().count(), 1_500);
    assert!(tree.ambiguities().iter().any(|a| a.kind == Kind::TooManyParts));
}

#[test]
fn charsets_that_programs_read_differently_are_named() {
    let utf_16 = |little: bool, mark: bool| -> Vec<u8> {
        let text: &str = if mark { "\u{feff}Bonjour" } else { "Bonjour" };
        text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    };
    let is_named = |charset: &str, octets: &[u8]| {
        let head = format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        let raw = [head.as_bytes(), &crate::message::splice::base64(octets, "\r\n")].concat();
        parse(&raw, &Limits::default()).ambiguities().iter().any(|a| a.kind == Kind::UnclearCharset)
    };
    for charset in ["utf-16", "unicode", "ucs-2"] {
        assert!(is_named(charset, &utf_16(true, false)) && is_named(charset, &utf_16(false, false)), "{charset}");
        assert!(!is_named(charset, &utf_16(true, true)), "{charset}");
    }
    assert!(!is_named("utf-16", &utf_16(false, true)));
    for (charset, little) in [("utf-16le", true), ("UTF-16BE", false)] {
        assert!(!is_named(charset, &utf_16(little, false)) && !is_named(charset, &utf_16(little, true)), "{charset}");
        assert!(is_named(charset, &utf_16(!little, true)), "{charset}");
    }
    assert!(is_named("utf-8", &utf_16(true, true)));
    for charset in [
        "utf-32",
        "UTF-32LE",
        "ucs-4",
        "hz-gb-2312",
        "iso-2022-kr",
        "ibm037",
        "cp500",
        "IBM-1047",
        "cp1140",
        "iso-2022-jp-2",
        "ISO-2022-JP-2004",
        "iso2022_jp_ext",
        "cp50220",
        "csISO2022JP2",
    ] {
        assert!(is_named(charset, b"Bonjour"), "{charset}");
    }
    for charset in
        ["utf-8", "us-ascii", "iso-8859-15", "windows-1252", "cp1252", "ibm866", "cp850", "iso-2022-jp", "unknown-8bit"]
    {
        assert!(!is_named(charset, b"Bonjour"), "{charset}");
    }
}

#[test]
fn a_text_that_declares_no_charset_may_not_bring_one_in_which_ascii_is_no_ascii() {
    let is_named = |media_type: &str, text: &str| {
        let raw = format!("Content-Type: {media_type}\r\n\r\n{text}\r\n");
        parse(raw.as_bytes(), &Limits::default()).ambiguities().iter().any(|a| a.kind == Kind::UnclearCharset)
    };
    for text in [
        "<meta http-equiv=Content-Type content=\"text/html; charset=iso-2022-jp\"><p>Si\x1b(Bgnez",
        "<META CHARSET='UTF-7'><p>+AEE-",
        "<meta charset = x-unicode-2-0-utf-7 >",
        "<meta charset=iso-2022-jp-2>",
        "da\x1b(Bta:image/png;base64,",
    ] {
        assert!(is_named("text/html", text), "{text}");
    }
    assert!(is_named("text/plain", "Si\x1b$Bgnez"));
    for text in [
        "<meta charset=utf-8>",
        "<meta http-equiv=Content-Type content=\"text/html; charset=iso-8859-15\">",
        "<p>charset=, le charset=unknown, charset",
        "\x1b[1mgras\x1b[0m",
    ] {
        assert!(!is_named("text/html", text), "{text}");
    }
    // What the part declares, programs go by.
    assert!(!is_named("text/html; charset=utf-8", "<meta charset=utf-7><p>Si\x1b(Bgnez"));
}

#[test]
fn html_with_more_tags_than_can_be_checked_is_no_text() {
    let tree = |encoding: &str, body: &str| {
        let raw = format!("Content-Type: text/html\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n");
        parse(raw.as_bytes(), &Limits::default())
    };
    let is_overfull = |tree: &Tree| tree.ambiguities().iter().any(|a| a.kind == Kind::TextTooLarge);
    let base64 = data_encoding::BASE64.encode("<b ".repeat(600_000).as_bytes());
    for (encoding, body) in
        [("8bit", "<a a".repeat(600_000)), ("quoted-printable", "=3Cb=20".repeat(600_000)), ("base64", base64)]
    {
        let tree = tree(encoding, &body);
        assert!(is_overfull(&tree) && !tree.root().unwrap().is_text(), "{encoding}");
    }
    // A long letter, or a large picture written into one.
    let picture =
        format!("<img src=\"data:image/png;base64,{}\">", data_encoding::BASE64.encode(&vec![0x4f; 9_000_000]));
    for body in ["<p>Bonjour à tous.</p>\r\n".repeat(40_000), picture] {
        let tree = tree("8bit", &body);
        assert!(!is_overfull(&tree) && tree.root().unwrap().is_text());
    }
}
