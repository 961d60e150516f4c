//! Properties of the scan and of surgery over generated messages: trees of depth ≤ 6 with random headers, which are
//! unambiguous by construction, and heaps of structural lines, which mostly are not.

use std::fmt::Write as _;

use charter_milter::message::attachments::{self, Class};
use charter_milter::message::edit::PartRemoval;
use charter_milter::message::headers;
use charter_milter::message::mime::{Limits, Tree, parse};
use charter_milter::message::surgery;
use proptest::prelude::*;

/// A part to be written down.
#[derive(Debug, Clone)]
enum Part {
    /// Body, encoding and extra header fields of a text.
    Text { html: bool, body: String, fields: Vec<String> },
    /// A file: its fields and its body.
    File { fields: Vec<String>, body: String },
    /// A message inside the message.
    Message(Box<Part>),
    /// The subtype and the parts.
    Multipart { kind: &'static str, parts: Vec<Part>, preamble: String, epilogue: String },
}

/// Header fields that change nothing.
fn harmless_fields() -> impl Strategy<Value = Vec<String>> {
    let field = prop_oneof![
        "X-[A-Za-z]{1,8}: [ -~]{0,60}",
        "X-Folded: [!-~]{1,20}\r\n[ \t]{1,3}[!-~]{1,20}",
        Just("Content-Language: fr".to_owned()),
        Just("CONTENT-TRANSFER-ENCODING:\t8bit".to_owned()),
    ];
    prop::collection::vec(field, 0..3).prop_map(|mut fields| {
        let mut seen = false;
        fields.retain(|f| !f.starts_with("CONTENT-") || !std::mem::replace(&mut seen, true));
        fields
    })
}

/// Lines that are no boundary, no file and no HTML with data.
fn body() -> impl Strategy<Value = String> {
    prop::collection::vec("([ac-zA-Z0-9é=.,;:!?_ ][ -~é]{0,90})?", 0..5)
        .prop_map(|lines| lines.join("\r\n").replace("data:", "").replace('&', "+"))
}

fn leaf() -> impl Strategy<Value = Part> {
    let text =
        (any::<bool>(), body(), harmless_fields()).prop_map(|(html, body, fields)| Part::Text { html, body, fields });
    let file_fields = prop_oneof![
        Just(vec!["Content-Type: application/pdf".to_owned()]),
        Just(vec!["Content-Type: image/png; name=\"a (1).png\"".to_owned()]),
        Just(vec!["Content-Disposition: attachment; filename=a b.txt".to_owned()]),
        Just(vec!["Content-Type: text/calendar; method=REQUEST".to_owned()]),
        Just(vec!["Content-Type: text/plain;\r\n name*0=long;\r\n name*1=\".txt\"".to_owned()]),
        Just(vec!["Content-Type: message/delivery-status".to_owned(), "Content-Transfer-Encoding: 7bit".to_owned()]),
    ];
    let file = (file_fields, body()).prop_map(|(fields, body)| Part::File { fields, body });
    prop_oneof![3 => text, 2 => file]
}

fn part() -> impl Strategy<Value = Part> {
    leaf().prop_recursive(6, 40, 4, |inner| {
        let kind =
            prop_oneof![3 => Just("mixed"), 2 => Just("alternative"), 2 => Just("related"), 1 => Just("x-other")];
        let multipart = (kind, prop::collection::vec(inner.clone(), 1..4), "[a-z ]{0,20}", "[a-z ]{0,20}")
            .prop_map(|(kind, parts, preamble, epilogue)| Part::Multipart { kind, parts, preamble, epilogue });
        prop_oneof![6 => multipart, 1 => inner.prop_map(|part| Part::Message(Box::new(part)))]
    })
}

impl Part {
    /// Header block, empty line, body. Boundaries have the number of the multipart, in fixed width.
    fn write(&self, number: &mut u32) -> String {
        match self {
            Self::Text { html, body, fields } => {
                let mut head =
                    vec![format!("Content-Type: text/{}; charset=utf-8", if *html { "html" } else { "plain" })];
                head.extend(fields.iter().cloned());
                format!("{}\r\n\r\n{body}", head.join("\r\n"))
            }
            Self::File { fields, body } => format!("{}\r\n\r\n{body}", fields.join("\r\n")),
            Self::Message(part) => format!("Content-Type: message/rfc822\r\n\r\nSubject: x\r\n{}", part.write(number)),
            Self::Multipart { kind, parts, preamble, epilogue } => {
                *number += 1;
                let boundary = format!("=_{number:04}");
                let mut text = format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\n{preamble}");
                for part in parts {
                    let _ = write!(text, "\r\n--{boundary}\r\n{}", part.write(number));
                }
                let _ = write!(text, "\r\n--{boundary}--\r\n{epilogue}");
                text
            }
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Text { .. } | Self::File { .. } => 1,
            Self::Message(part) => 1 + part.count(),
            Self::Multipart { parts, .. } => 1 + parts.iter().map(Self::count).sum::<usize>(),
        }
    }
}

fn message() -> impl Strategy<Value = (Part, Vec<u8>)> {
    part().prop_map(|part| {
        let text = format!("From: a@liste.example\r\nMIME-Version: 1.0\r\n{}\r\n", part.write(&mut 0));
        (part, text.into_bytes())
    })
}

fn strip(raw: &[u8], tree: &Tree) -> Vec<u8> {
    let removals: Vec<PartRemoval> = attachments::find(tree, raw)
        .into_iter()
        .filter(|found| found.inside.is_none() && found.class != Class::InlineImage)
        .map(|found| PartRemoval {
            part: found.part, place: found.place, notice: "[pièce jointe retirée]".to_owned()
        })
        .collect();
    let surgery = surgery::remove(raw, tree, &removals);
    let body_start = tree.root().unwrap().body.start;
    let mut message = headers::apply(&raw[..body_start], &surgery.header_edits);
    message.extend(surgery.body);
    message
}

/// Header and body of every text a reader shows, as bytes; the notices among them are marked.
fn texts<'a>(raw: &'a [u8], tree: &Tree) -> Vec<&'a [u8]> {
    tree.text_bodies().into_iter().filter_map(|id| tree.part(id)).map(|part| &raw[part.body.clone()]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_well_formed_tree_is_read_as_it_was_written((part, raw) in message()) {
        let tree = parse(&raw, &Limits::default());
        prop_assert_eq!(tree.ambiguities(), []);
        prop_assert_eq!(tree.parts().count(), part.count());
    }

    #[test]
    fn surgery_leaves_no_attachment_and_every_text_to_the_byte((_, raw) in message()) {
        let tree = parse(&raw, &Limits::default());
        let found = attachments::find(&tree, &raw);
        let after = strip(&raw, &tree);
        let tree_after = parse(&after, &Limits::default());
        prop_assert_eq!(tree_after.ambiguities(), []);
        prop_assert_eq!(attachments::find(&tree_after, &after), []);
        let mut left = texts(&after, &tree_after).into_iter();
        for text in texts(&raw, &tree) {
            prop_assert!(left.any(|other| other == text), "{:?} is not there, or not in its place", text);
        }
        if found.is_empty() {
            prop_assert_eq!(&after, &raw);
        }
        prop_assert_eq!(strip(&after, &tree_after), after);
    }

    #[test]
    fn heaps_of_structural_lines_are_scanned_and_cut_without_surprise(lines in prop::collection::vec(line(), 0..40)) {
        let raw = lines.concat().into_bytes();
        let tree = parse(&raw, &Limits::default());
        for part in tree.parts() {
            prop_assert!(part.header.end <= part.body.start && part.body.start <= part.body.end);
            prop_assert!(part.body.end <= raw.len());
            if let Some(parent) = part.parent.and_then(|id| tree.part(id)) {
                prop_assert!(parent.body.start <= part.delimiter.start && part.body.end <= parent.body.end);
            }
        }
        let after = strip(&raw, &tree);
        let tree_after = parse(&after, &Limits::default());
        if tree.ambiguities().is_empty() {
            prop_assert_eq!(tree_after.ambiguities(), [], "{}", String::from_utf8_lossy(&after));
            prop_assert_eq!(attachments::find(&tree_after, &after), []);
        }
    }
}

/// Lines with their ends, a few of them broken.
fn line() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec![
        "",
        " ",
        "x",
        "Content-Type: multipart/mixed; boundary=b1",
        "Content-Type: multipart/alternative; boundary=b2",
        "Content-Type: multipart/related; boundary=b1b",
        "Content-Type: message/rfc822",
        "Content-Type: application/pdf; name=a.pdf",
        "Content-Type: text/html",
        "Content-Disposition: attachment",
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: quoted-printable",
        " name=x.pdf",
        "--b1",
        "--b1--",
        "--b2",
        "--b2--",
        "--b1b",
        "begin 644 x",
        "#0V%T",
        "end",
        "=ybegin line=1 name=x",
        "<img src=\"data:image/png,x\">",
        "<a href=data:,x>y</a>",
    ]);
    let end = prop_oneof![30 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("=\r\n")];
    (text, end).prop_map(|(text, end)| format!("{text}{end}"))
}
