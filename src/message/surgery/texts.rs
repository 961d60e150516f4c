//! Cutting files out of a text: the splices are found in the decoded text and made in the encoded one.

use std::ops::Range;

use super::{Splice, apply, notice};
use crate::message::attachments::{Form, TextBlock, TextBody, TextCharset};
use crate::message::mime::{Part, TransferEncoding, Tree, decode};
use crate::wording;

/// A block of a text to be removed, by its range in the decoded octets, and its notice.
pub(super) struct Cut<'a> {
    pub(super) range: Range<usize>,
    pub(super) notice: &'a str,
}

/// The splices of the message that remove blocks from a text part. Ranges that name no block are left out.
pub(super) fn splices(raw: &[u8], tree: &Tree, part: &Part, cuts: &[Cut<'_>]) -> Vec<Splice> {
    let body = TextBody::of(tree, raw, part);
    let decoded = decoded_splices(&body, part, tree.line_end(), cuts);
    if decoded.is_empty() {
        return Vec::new();
    }
    let start = part.body.start;
    match (body.charset, part.encoding) {
        (TextCharset::AsciiCompatible(_), TransferEncoding::QuotedPrintable) => {
            quoted(raw.get(part.body.clone()).unwrap_or_default(), decoded, tree.line_end())
                .into_iter()
                .map(|splice| Splice {
                    range: start + splice.range.start..start + splice.range.end,
                    bytes: splice.bytes,
                })
                .collect()
        }
        (TextCharset::AsciiCompatible(_), encoding) if encoding != TransferEncoding::Base64 => decoded
            .into_iter()
            .map(|splice| Splice { range: start + splice.range.start..start + splice.range.end, bytes: splice.bytes })
            .collect(),
        (charset, encoding) => {
            let octets = to_charset(apply(&body.octets, 0, decoded), charset);
            let bytes = encode(&octets, encoding, tree.line_end());
            vec![Splice { range: part.body.clone(), bytes }]
        }
    }
}

/// The splices in the decoded octets.
fn decoded_splices(body: &TextBody<'_>, part: &Part, line_end: &str, cuts: &[Cut<'_>]) -> Vec<Splice> {
    let blocks = body.blocks();
    let mut splices = Vec::new();
    let mut below = Vec::new();
    for block in &blocks {
        let Some(cut) = cuts.iter().find(|cut| cut.range == block.range) else { continue };
        let bytes = match block.form {
            Form::Lines if body.is_html => notice::html(cut.notice, "p"),
            Form::Lines => lines(cut.notice, body, part, block, line_end),
            Form::Tag => notice::html(cut.notice, "span"),
            Form::Value => {
                below.extend(notice::html(cut.notice, "p"));
                b"#".to_vec() // an empty value without quotes would swallow what follows
            }
        };
        splices.push(Splice { range: block.range.clone(), bytes });
    }
    if !below.is_empty() {
        splices.push(Splice::insert(end_of_html(&body.octets, &blocks), below));
    }
    splices
}

/// Before the last `</body>` that is not inside a block, or at the very end. The blocks are in order.
fn end_of_html(html: &[u8], blocks: &[TextBlock]) -> usize {
    let is_in_block = |at: usize| {
        let next = blocks.partition_point(|block| block.range.end <= at);
        blocks.get(next).is_some_and(|block| block.range.start <= at)
    };
    let found = memchr::memrchr_iter(b'<', html)
        .find(|at| html.get(at + 1..at + 6).is_some_and(|tag| tag.eq_ignore_ascii_case(b"/body")) && !is_in_block(*at));
    found.unwrap_or(html.len())
}

/// A notice as lines of a plain text, in its charset; without accents where the charset or the encoding has none.
fn lines(text: &str, body: &TextBody<'_>, part: &Part, block: &TextBlock, line_end: &str) -> Vec<u8> {
    let mut words = String::with_capacity(text.len() + 16);
    for line in text.trim_end().lines() {
        // Neither a boundary nor the start of an encoded file.
        if line.starts_with("--") || line.starts_with("begin") || line.starts_with('=') {
            words.push(' ');
        }
        words.push_str(line);
        words.push_str(line_end);
    }
    if !body.octets.get(block.range.clone()).is_some_and(|lines| lines.ends_with(b"\n")) {
        words.truncate(words.len() - line_end.len());
    }
    let TextCharset::AsciiCompatible(encoding) = body.charset else { return words.into_bytes() };
    let declared = part.media_type.parameter("charset").is_some();
    let label = part.media_type.parameter("charset").unwrap_or_default();
    if encoding == encoding_rs::WINDOWS_1252 && !label.to_ascii_lowercase().contains("1252") {
        // Browsers read ISO-8859-1 as windows-1252, others do not: no characters that only the latter has.
        words =
            words.chars().map(|c| if c <= '\u{ff}' { c.to_string() } else { wording::ascii(&c.to_string()) }).collect();
    }
    let is_ascii = label.to_ascii_lowercase().contains("ascii");
    if part.encoding != TransferEncoding::SevenBit && declared && !is_ascii {
        let (bytes, _, has_unknown) = encoding.encode(&words);
        if !has_unknown {
            return bytes.into_owned();
        }
    }
    without_accents(&words)
}

fn without_accents(words: &str) -> Vec<u8> {
    wording::ascii(words).into_bytes()
}

/// Moves splices of the decoded octets into a quoted-printable body, leaving the rest of it as it is.
fn quoted(body: &[u8], mut splices: Vec<Splice>, line_end: &str) -> Vec<Splice> {
    splices.sort_by_key(|splice| splice.range.start);
    let mut places: Vec<usize> = splices.iter().flat_map(|splice| [splice.range.start, splice.range.end]).collect();
    places.sort_unstable();
    let encoded = encoded_places(body, &places);
    let place = |decoded: usize| places.binary_search(&decoded).ok().and_then(|i| encoded.get(i)).copied();
    splices
        .into_iter()
        .filter_map(|splice| {
            let range = place(splice.range.start)?..place(splice.range.end)?;
            let mut bytes = Vec::with_capacity(splice.bytes.len() * 2);
            let soft = format!("={line_end}");
            if !starts_line(body, range.start) {
                bytes.extend_from_slice(soft.as_bytes());
            }
            let mut rest = splice.bytes.as_slice();
            while let Some(at) = memchr::memchr(b'\n', rest) {
                let (line, after) = rest.split_at(at + 1);
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                notice::quoted_printable_line(line.strip_suffix(b"\r").unwrap_or(line), line_end, &mut bytes);
                bytes.extend_from_slice(line_end.as_bytes());
                rest = after;
            }
            notice::quoted_printable_line(rest, line_end, &mut bytes);
            if !rest.is_empty() && range.end < body.len() {
                bytes.extend_from_slice(soft.as_bytes());
            }
            Some(Splice { range, bytes })
        })
        .collect()
}

fn starts_line(body: &[u8], at: usize) -> bool {
    at == 0 || body.get(at - 1) == Some(&b'\n')
}

/// Where decoded octets stand in the encoded body; `places` in rising order.
fn encoded_places(body: &[u8], places: &[usize]) -> Vec<usize> {
    let mut wanted = places.iter().peekable();
    let mut encoded = Vec::with_capacity(places.len());
    for (decoded, octet) in decode::quoted_printable(body).enumerate() {
        while wanted.next_if(|place| **place <= decoded).is_some() {
            encoded.push(octet.at);
        }
        if wanted.peek().is_none() {
            break;
        }
    }
    encoded.resize(places.len(), body.len());
    encoded
}

fn to_charset(utf8: Vec<u8>, charset: TextCharset) -> Vec<u8> {
    let TextCharset::Utf16 { little_endian, marked } = charset else { return utf8 };
    let text = String::from_utf8_lossy(&utf8);
    let mark = marked.then_some(0xfeff_u16);
    mark.into_iter()
        .chain(text.encode_utf16())
        .flat_map(|unit| if little_endian { unit.to_le_bytes() } else { unit.to_be_bytes() })
        .collect()
}

fn encode(octets: &[u8], encoding: TransferEncoding, line_end: &str) -> Vec<u8> {
    match encoding {
        TransferEncoding::Base64 => {
            /// 57 octets make a line of 76 characters (RFC 2045 section 6.8).
            const LINE_OCTETS: usize = 57;
            let lines = octets.chunks(LINE_OCTETS).map(|line| data_encoding::BASE64.encode(line));
            lines.collect::<Vec<_>>().join(line_end).into_bytes()
        }
        TransferEncoding::QuotedPrintable => {
            let mut body = Vec::with_capacity(octets.len() * 2);
            notice::quoted_printable_line(octets, line_end, &mut body);
            body
        }
        TransferEncoding::SevenBit
        | TransferEncoding::EightBit
        | TransferEncoding::Binary
        | TransferEncoding::Unknown => octets.to_vec(),
    }
}
