//! Surgery: taking attachments out of a message and leaving everything else as it is, byte for byte.
//!
//! A removal becomes a few splices of the bytes as received; nothing is parsed and written again, so odd line lengths,
//! encodings and letter case of untouched parts survive. A notice takes the place of what was removed:
//!
//! * in a `multipart/mixed`, and wherever parts are shown one after the other, in the very place;
//! * in a `multipart/alternative` or `multipart/related`, where readers would show it instead of the text or not at all,
//!   after the outermost of them, which is put into a `multipart/mixed` when it does not stand in one already;
//! * in a text, in the place of the lines that were removed.

pub(super) mod notice;
mod plan;
mod texts;

use std::ops::Range;

use crate::message::edit::PartRemoval;
use crate::message::headers::HeaderEdit;
use crate::message::mime::{Tree, header};

/// What remains of a message after surgery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surgery {
    /// Edits of the message's own header, in the order in which they are to be applied; empty unless the whole message
    /// was removed or wrapped.
    pub header_edits: Vec<HeaderEdit>,
    /// The new body: everything after the empty line that ends the header.
    pub body: Vec<u8>,
}

/// Removes parts, and files written into texts, and puts notices in their places. Removals inside a part that is removed
/// as a whole go with it; unknown parts and ranges are left out. With nothing to remove the body is what it was.
#[must_use]
pub fn remove(raw: &[u8], tree: &Tree, removals: &[PartRemoval]) -> Surgery {
    plan::Plan::new(raw, tree).remove(removals)
}

/// Puts the message, whole and untouched, into a `multipart/mixed` with words before or after it, for signed mail that
/// must stay as it is (RFC 1847). Only the fields that describe the content move inside.
#[must_use]
pub fn wrap(raw: &[u8], tree: &Tree, before: Option<&str>, after: Option<&str>) -> Surgery {
    plan::Plan::new(raw, tree).wrap(before, after)
}

/// Bytes that take the place of other bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Splice {
    range: Range<usize>,
    bytes: Vec<u8>,
}

impl Splice {
    fn insert(at: usize, bytes: Vec<u8>) -> Self {
        Self { range: at..at, bytes }
    }
}

/// Copies `source[from..]` with splices in place. Splices that begin before the end of an earlier one are left out.
fn apply(source: &[u8], from: usize, mut splices: Vec<Splice>) -> Vec<u8> {
    splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let added: usize = splices.iter().map(|splice| splice.bytes.len()).sum();
    let removed: usize = splices.iter().map(|splice| splice.range.len()).sum();
    let kept = source.len().saturating_sub(from).saturating_sub(removed);
    let mut result = Vec::with_capacity(kept + added);
    let mut at = from;
    for splice in splices {
        if splice.range.start < at {
            continue;
        }
        result.extend_from_slice(source.get(at..splice.range.start).unwrap_or_default());
        result.extend_from_slice(&splice.bytes);
        at = splice.range.end;
    }
    result.extend_from_slice(source.get(at..).unwrap_or_default());
    result
}

/// The fields of a header block that describe the content, with their places in the message.
fn content_fields(raw: &[u8], block: &Range<usize>) -> Vec<(String, Range<usize>)> {
    header::fields(raw.get(block.clone()).unwrap_or_default())
        .filter(header::Field::is_content)
        .map(|field| {
            let name = String::from_utf8_lossy(field.name).into_owned();
            (name, block.start + field.range.start..block.start + field.range.end)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::attachments;
    use crate::message::headers;
    use crate::message::mime::{Limits, parse};

    /// Removes whatever is found, and gives back the whole message.
    fn strip(text: &str) -> String {
        let raw = text.replace('\n', "\r\n").into_bytes();
        let once = strip_bytes(&raw);
        assert_eq!(strip_bytes(&once), once, "stripping twice changes something: {}", String::from_utf8_lossy(&once));
        String::from_utf8(once).unwrap().replace("\r\n", "\n")
    }

    fn strip_bytes(raw: &[u8]) -> Vec<u8> {
        let tree = parse(raw, &Limits::default());
        let found = attachments::find(&tree, raw);
        let removals: Vec<PartRemoval> = found
            .iter()
            .filter(|a| a.inside.is_none() && a.class != attachments::Class::InlineImage)
            .map(|a| PartRemoval { part: a.part, place: a.place.clone(), notice: format!("[{} removed]", a.class) })
            .collect();
        let surgery = remove(raw, &tree, &removals);
        let body_start = tree.root().unwrap().body.start;
        if removals.is_empty() {
            assert_eq!(surgery.body, raw[body_start..]);
        }
        let mut result = headers::apply(&raw[..body_start], &surgery.header_edits);
        result.extend(surgery.body);
        result
    }

    const NOTICE: &str = "Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\nContent-Disposition: inline\nX-Charter-Part: notice\n\n[file removed]";
    const PDF: &str = "Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0=";

    #[test]
    fn in_a_mixed_multipart_the_notice_takes_the_very_place() {
        let message = |file: &str| {
            format!(
                "Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\none \n--b\n{file}\n--b\n\ntwo\n--b-- \npost\n"
            )
        };
        assert_eq!(strip(&message(PDF)), message(NOTICE));
    }

    #[test]
    fn an_alternative_keeps_its_alternatives() {
        let message = format!(
            "A: b\nContent-Type: multipart/alternative;\n boundary=b\nContent-Language: fr\n\n--b\n\none\n--b\n{PDF}\n--b--\n"
        );
        let stripped = strip(&message);
        let boundary = "=_charter_000000b7_0001";
        assert_eq!(
            stripped,
            format!(
                "A: b\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n--{boundary}\nContent-Type: multipart/alternative;\n boundary=b\nContent-Language: fr\n\n--b\n\none\n--b--\n\n--{boundary}\n{NOTICE}\n--{boundary}--\n"
            )
        );
    }

    #[test]
    fn a_notice_for_a_nested_related_part_goes_beside_the_outermost_choice() {
        let message = |inside: &str, after: &str| {
            format!(
                "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--c\nContent-Type: multipart/related; boundary=d\n\n--d\nContent-Type: text/html\n\n<p>two\n{inside}--d--\n--c--{after}\n--b\n\nfooter\n--b--\n"
            )
        };
        assert_eq!(strip(&message(&format!("--d\n{PDF}\n"), "")), message("", &format!("\n--b\n{NOTICE}")));
    }

    #[test]
    fn empty_parts_do_not_swallow_the_boundary_behind_them() {
        let message =
            |part: &str| format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n{part}--b--\n");
        assert_eq!(strip(&message("Content-Type: application/pdf\n\n")), message(&format!("{NOTICE}\n")));
        let inner = |part: &str| format!("Content-Type: multipart/related; boundary=c\n\n--c\n\none\n{part}--c--");
        assert_eq!(
            strip(&message(&format!("{}\n", inner("--c\nContent-Type: application/pdf\n\n")))),
            message(&format!("{}\n--b\n{NOTICE}\n", inner("")))
        );
    }

    #[test]
    fn a_choice_that_would_be_empty_goes_as_a_whole() {
        let message =
            |part: &str| format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n{part}\n--b--\n");
        let empty = format!("Content-Type: multipart/related; boundary=c\n\n--c\n{PDF}\n--c\n{PDF}\n--c--");
        assert_eq!(strip(&message(&empty)), message(&format!("{NOTICE}\n\n[file removed]")));
    }

    #[test]
    fn a_message_that_is_nothing_but_a_file_becomes_the_notice() {
        let message = "A: b\nMIME-Version: 1.0\nContent-Type: application/pdf; name=x\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\nZ: y\n\nJVBERi0=\n";
        assert_eq!(
            strip(message),
            "A: b\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\nZ: y\n\n[file removed]\n"
        );
    }

    #[test]
    fn files_in_a_quoted_printable_text_go_and_the_rest_keeps_its_odd_lines() {
        let message = |block: &str| {
            format!(
                "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n=e9t=E9 =\nsoft\nlower=3d\n{block}The end=\n.\n"
            )
        };
        assert_eq!(strip(&message("begin 644 a\n#0V%T\n`\nend\n")), message("[encoded-in-text removed]\n"));
    }

    #[test]
    fn files_in_plain_and_base64_texts_go() {
        let plain = |block: &str| format!("A: b\n\nHello\n{block}Bye\n");
        let block = "begin 644 a\n#0V%T\n`\nend\n";
        assert_eq!(strip(&plain(block)), plain("[encoded-in-text removed]\n"));
        let encoded = |text: &str| {
            let text = data_encoding::BASE64.encode(text.replace('\n', "\r\n").as_bytes());
            format!("Content-Transfer-Encoding: base64\n\n{text}")
        };
        assert_eq!(
            strip(&encoded("Hi\nbegin 644 a\n#0V%T\n`\nend\nBye")),
            encoded("Hi\n[encoded-in-text removed]\nBye")
        );
    }

    #[test]
    fn data_uris_go_and_the_html_around_them_stays() {
        let html = |image: &str, link: &str, after: &str| {
            format!(
                "Content-Type: text/html\n\n<HTML><Body ><p>a{image}b<a title='x' href={link}>c</a>{after}</Body>\n"
            )
        };
        assert_eq!(
            strip(&html("<img src='data:image/png;base64,AAAA'>", "data:text/html,x", "")),
            html("<span>[data-uri removed]</span>", "#", "<p>[data-uri removed]</p>")
        );
    }

    #[test]
    fn a_wrapped_message_is_whole_inside() {
        let raw = b"A: b\r\nContent-Type: multipart/signed; boundary=s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n";
        let tree = parse(raw, &Limits::default());
        let surgery = wrap(raw, &tree, Some("before"), Some("after"));
        let body = String::from_utf8(surgery.body).unwrap();
        assert!(body.contains("\r\nContent-Type: multipart/signed; boundary=s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n"));
        assert!(body.find("before").unwrap() < body.find("--s").unwrap());
        assert!(body.find("after").unwrap() > body.find("--s--").unwrap());
        assert_eq!(wrap(raw, &tree, None, None).body, &raw[tree.root().unwrap().body.start..]);
    }
}
