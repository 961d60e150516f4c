//! Notices as bytes: a part of its own, lines in a text, words in HTML.

use std::fmt::Write as _;

/// The field by which a part that is a notice is told from the author's text.
pub(crate) const NOTICE_FIELD: &str = "X-Charter-Part";

/// A part that carries the notice, header and body, without a line end after it.
pub(super) fn part(text: &str, line_end: &str) -> Vec<u8> {
    let (fields, body) = body(text, line_end);
    let mut part = Vec::with_capacity(body.len() + 160);
    for (name, value) in fields {
        part.extend_from_slice(format!("{name}: {value}{line_end}").as_bytes());
    }
    // By the mark, the words of the list are not put under notices; see `message::banner`.
    part.extend_from_slice(
        format!("Content-Disposition: inline{line_end}{NOTICE_FIELD}: notice{line_end}{line_end}").as_bytes(),
    );
    part.extend_from_slice(&body);
    part
}

/// The fields that describe the notice, and the notice as a body.
pub(super) fn body(text: &str, line_end: &str) -> ([(&'static str, &'static str); 2], Vec<u8>) {
    /// RFC 5322 section 2.1.1.
    const LINE_CHARACTERS_MAX: usize = 78;
    let text = text.trim_end_matches(['\r', '\n']);
    let is_plain = text
        .lines()
        .all(|line| line.len() <= LINE_CHARACTERS_MAX && !line.starts_with("--") && line.bytes().all(is_plain_octet));
    let charset =
        ("Content-Type", if text.is_ascii() { "text/plain; charset=us-ascii" } else { "text/plain; charset=utf-8" });
    if is_plain {
        let lines: Vec<&str> = text.lines().collect();
        return ([charset, ("Content-Transfer-Encoding", "7bit")], lines.join(line_end).into_bytes());
    }
    let mut body = Vec::with_capacity(text.len() * 2);
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            body.extend_from_slice(line_end.as_bytes());
        }
        quoted_printable_line(line.as_bytes(), line_end, &mut body);
    }
    ([charset, ("Content-Transfer-Encoding", "quoted-printable")], body)
}

fn is_plain_octet(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Encodes one line (RFC 2045 section 6.7). Dashes at its start are encoded, so that it is nobody's boundary; so is a
/// lone dot or a `From ` at the start, which mail servers and mailboxes change.
pub(super) fn quoted_printable_line(line: &[u8], line_end: &str, out: &mut Vec<u8>) {
    /// 76 characters with the `=` of a soft line break.
    const COLUMNS_MAX: usize = 75;
    let mut column = 0;
    for (index, byte) in line.iter().enumerate() {
        let is_last = index + 1 == line.len();
        let plain = match byte {
            b'=' => false,
            b' ' | b'\t' => !is_last,
            b'-' | b'.' | b'F' => column > 0,
            _ => byte.is_ascii_graphic(),
        };
        let width = if plain { 1 } else { 3 };
        if column + width > COLUMNS_MAX {
            out.push(b'=');
            out.extend_from_slice(line_end.as_bytes());
            column = 0;
        }
        if plain && !(column == 0 && matches!(byte, b'-' | b'.' | b'F')) {
            out.push(*byte);
            column += 1;
        } else {
            out.extend_from_slice(format!("={byte:02X}").as_bytes());
            column += 3;
        }
    }
}

/// The notice as HTML in ASCII, lines broken as they are.
pub(super) fn html(text: &str, element: &str) -> Vec<u8> {
    let mut html = format!("<{element}>");
    for (index, line) in text.trim_end().lines().enumerate() {
        if index > 0 {
            html.push_str("<br>");
        }
        for c in line.chars() {
            match c {
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '&' => html.push_str("&amp;"),
                '"' => html.push_str("&quot;"),
                ' '..='~' => html.push(c),
                c => {
                    let _ = write!(html, "&#{};", u32::from(c));
                }
            }
        }
    }
    let _ = write!(html, "</{element}>");
    html.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::decode;

    fn decoded(encoded: &[u8]) -> Vec<u8> {
        decode::quoted_printable(encoded).map(|octet| octet.byte).collect()
    }

    #[test]
    fn ascii_stays_readable_and_accents_are_quoted() {
        let (fields, bytes) = body("one\ntwo\n", "\r\n");
        assert_eq!((fields[1].1, bytes.as_slice()), ("7bit", b"one\r\ntwo".as_slice()));
        let (fields, bytes) = body("été =\nfin", "\r\n");
        assert_eq!(fields[0].1, "text/plain; charset=utf-8");
        assert_eq!(bytes, b"=C3=A9t=C3=A9 =3D\r\nfin");
    }

    #[test]
    fn no_line_of_a_notice_is_a_boundary() {
        for text in ["--b", "été\n--b--\nfin", &format!("{}--b", "x".repeat(75)), &format!("{}--b", "é".repeat(25))]
        {
            let (_, bytes) = body(text, "\r\n");
            assert!(bytes.split(|b| *b == b'\n').all(|line| !line.starts_with(b"--")), "{text}");
            assert_eq!(decoded(&bytes), text.replace('\n', "\r\n").as_bytes());
            assert!(bytes.split(|b| *b == b'\n').all(|line| line.len() <= 79));
        }
    }

    #[test]
    fn html_is_ascii_and_escaped() {
        assert_eq!(html("a<b>\né", "p"), b"<p>a&lt;b&gt;<br>&#233;</p>");
    }
}
