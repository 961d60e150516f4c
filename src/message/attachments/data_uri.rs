//! Data written into HTML: `data:` URIs (RFC 2397) in attributes and style sheets.
//!
//! `lol_html` cuts the HTML into tags and tells where each value stands in the source, so that everything around a
//! value stays as it is.

use std::cell::RefCell;
use std::ops::Range;

use encoding_rs::Encoding;
use lol_html::html_content::{Element, TextChunk};
use lol_html::{AsciiCompatibleEncoding, HtmlRewriter, Settings, element, text};

use super::{Class, Form, TextBlock, WRITTEN_MAX};
use crate::message::readings;

/// A URI shorter than this carries nothing: an empty picture that stands for one to come.
const PAYLOAD_BYTES_MIN: usize = 1;

/// Attributes whose text is read by people or scripts and never fetched.
const TEXT_ATTRIBUTES: [&str; 7] = ["alt", "title", "placeholder", "summary", "label", "value", "name"];

/// Finds the URIs; after [`WRITTEN_MAX`] it is enough. HTML that cannot be cut into tags at all counts as one block when it
/// names a `data:` URI.
pub(super) fn find(html: &[u8], encoding: &'static Encoding) -> Vec<TextBlock> {
    readings::readings(html).flat_map(|html| find_in(&html, encoding)).collect()
}

fn find_in(html: &[u8], encoding: &'static Encoding) -> Vec<TextBlock> {
    let found = RefCell::new(Vec::new());
    let style = RefCell::new(None::<usize>);
    let encoding = AsciiCompatibleEncoding::new(encoding).unwrap_or(AsciiCompatibleEncoding::utf_8());
    let settings = Settings::new()
        .append_element_content_handler(element!("*", |element| {
            look_at_tag(html, element, &mut found.borrow_mut());
            Ok(())
        }))
        .append_element_content_handler(text!("style", |chunk| {
            look_at_style(chunk, html, &mut style.borrow_mut(), &mut found.borrow_mut());
            Ok(())
        }))
        .with_encoding(encoding)
        .with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    // Closes a tag that the end of the text leaves open, in whatever quotes: words put behind it would close it too.
    let done = rewriter.write(html).and_then(|()| rewriter.write(b"'>\">")).and_then(|()| rewriter.end());
    let mut found = found.into_inner();
    if done.is_err() && position_of_uri(html, 0).is_some() {
        found.clear();
        found.push(block(0..html.len(), Form::Lines, "text/html".to_owned(), html.len()));
    }
    found
}

fn block(range: Range<usize>, form: Form, media_type: String, payload: usize) -> TextBlock {
    TextBlock { range, class: Class::DataUri, name: None, media_type, size_bytes: payload as u64 / 4 * 3, form }
}

/// The URIs inside a value that lists several things, when they stand there undisguised.
fn exact_places(html: &[u8], place: &Range<usize>) -> Option<Vec<TextBlock>> {
    let found = uris_in(html, place.clone());
    (!found.is_empty()).then_some(found)
}

/// The URIs inside a style sheet or a list.
fn uris_in(html: &[u8], place: Range<usize>) -> Vec<TextBlock> {
    let written = html.get(place.clone()).unwrap_or_default();
    let found = written_uris(written, place.start);
    // Undone once, as browsers do. What is written in escapes cannot be told from the rest by its place: the whole goes.
    let meant = if written.contains(&b'\\') { written_uris(&without_escapes(written), 0) } else { Vec::new() };
    if meant.len() > found.len() {
        return meant.into_iter().take(1).map(|first| TextBlock { range: place.clone(), ..first }).collect();
    }
    found
}

/// The URIs that stand in a text as they are, of which the first octet has this place.
fn written_uris(text: &[u8], text_at: usize) -> Vec<TextBlock> {
    let mut found = Vec::new();
    let mut at = 0;
    while found.len() <= WRITTEN_MAX
        && let Some(uri_at) = position_of_uri(text, at)
    {
        let rest = text.get(uri_at..).unwrap_or_default();
        // Between quotes it may have anything but those.
        let before = uri_at.checked_sub(1).and_then(|before| text.get(before));
        let ends: &[u8] = match before {
            Some(b'"') => b"\"\r\n",
            Some(b'\'') => b"'\r\n",
            _ => b"\"') \t\r\n",
        };
        let length = rest.iter().position(|b| ends.contains(b)).unwrap_or(rest.len());
        let uri = String::from_utf8_lossy(rest.get(..length).unwrap_or_default());
        if let Some((media_type, payload)) = read_uri(&uri) {
            let start = text_at + uri_at;
            found.push(block(start..start + length, Form::Value, media_type, payload));
        }
        at = uri_at + length.max(1);
    }
    found
}

fn look_at_tag(html: &[u8], element: &Element<'_, '_>, found: &mut Vec<TextBlock>) {
    for attribute in element.attributes() {
        if found.len() > WRITTEN_MAX {
            return;
        }
        let Some(place) = attribute.value_source_location().map(|place| place.bytes()) else { continue };
        let name = attribute.name();
        if TEXT_ATTRIBUTES.contains(&name.as_str()) || name.starts_with("data-") || name.starts_with("aria-") {
            continue;
        }
        let mut value = as_fetched(&attribute.value());
        if name == "style" && value.contains('\\') {
            value = String::from_utf8_lossy(&without_escapes(value.as_bytes())).into_owned();
        }
        let is_list = matches!(name.as_str(), "style" | "srcset" | "imagesrcset" | "content" | "srcdoc");
        let start = if is_list {
            position_of_uri(value.as_bytes(), 0)
        } else {
            value.get(..5).filter(|start| start.eq_ignore_ascii_case("data:")).map(|_| 0)
        };
        let Some(uri) = start.and_then(|at| value.get(at..)) else { continue };
        // What begins with the scheme is such a URI, however its type is written; in a list it may be a word of a sentence.
        let read = if is_list { read_uri(uri) } else { split_uri(uri) };
        let Some((media_type, payload)) = read else { continue };
        if payload < PAYLOAD_BYTES_MIN {
            continue;
        }
        if is_list
            && place.end < html.len()
            && let Some(exact) = exact_places(html, &place)
        {
            found.extend(exact);
            continue;
        }
        let tag = element.source_location().bytes();
        if tag.end > html.len() {
            return found.push(block(tag.start..html.len(), Form::Tag, media_type, payload));
        }
        let is_picture = matches!(element.tag_name().as_str(), "img" | "source" | "embed" | "input" | "image");
        if is_picture {
            return found.push(block(tag, Form::Tag, media_type, payload));
        }
        found.push(block(place, Form::Value, media_type, payload));
    }
}

/// Style sheets come in chunks; the URIs of one are looked for in the source from its first chunk to its last.
fn look_at_style(chunk: &TextChunk<'_>, html: &[u8], start: &mut Option<usize>, found: &mut Vec<TextBlock>) {
    let place = chunk.source_location().bytes();
    let from = *start.get_or_insert(place.start);
    if !chunk.last_in_text_node() {
        return;
    }
    *start = None;
    if found.len() > WRITTEN_MAX {
        return;
    }
    found.extend(uris_in(html, from..place.end.min(html.len()).max(from)));
}

/// A style sheet with its escapes undone (CSS Syntax section 4.3.7).
fn without_escapes(sheet: &[u8]) -> Vec<u8> {
    const HEX_DIGITS_MAX: usize = 6;
    let mut plain = Vec::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some((octet, behind)) = rest.split_first() {
        rest = behind;
        if *octet != b'\\' {
            plain.push(*octet);
            continue;
        }
        let digits = behind.iter().take(HEX_DIGITS_MAX).take_while(|octet| octet.is_ascii_hexdigit()).count();
        let (escape, mut left) = behind.split_at(digits);
        let number = std::str::from_utf8(escape).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match number {
            Some(number) => {
                plain.extend(char::from_u32(number).unwrap_or_default().encode_utf8(&mut [0; 4]).bytes());
                left = left.strip_prefix(b"\r\n").unwrap_or(match left {
                    [b' ' | b'\t' | b'\r' | b'\n' | b'\x0c', left @ ..] => left,
                    _ => left,
                });
            }
            // A line end behind a backslash is nothing, anything else is itself.
            None => left = left.strip_prefix(b"\r\n").or_else(|| left.strip_prefix(b"\n")).unwrap_or(left),
        }
        rest = left;
    }
    plain
}

/// Where a `data:` URI begins inside a style sheet or a list, from `from` on.
fn position_of_uri(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    memchr::memchr_iter(b':', rest).find_map(|colon| {
        let at = colon.checked_sub(4)?;
        let is_scheme = rest.get(at..colon)?.eq_ignore_ascii_case(b"data");
        let before = at.checked_sub(1).and_then(|i| rest.get(i)).or_else(|| text.get(from.wrapping_sub(1)));
        let starts = before.is_none_or(|b| b"('\" \t\r\n\x0c,=;".contains(b));
        (is_scheme && starts).then_some(from + at)
    })
}

/// Media type and length of the payload; `None` when it is no `data:` URI.
fn read_uri(uri: &str) -> Option<(String, usize)> {
    split_uri(uri).filter(|(media_type, _)| media_type.bytes().all(|b| b.is_ascii_graphic()))
}

/// The same, whatever stands where the media type should; browsers look at the payload then.
fn split_uri(uri: &str) -> Option<(String, usize)> {
    let (head, payload) = uri.get(5..)?.split_once(',')?;
    let media_type = head.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let media_type = if media_type.is_empty() { "text/plain".to_owned() } else { media_type };
    Some((media_type, payload.len()))
}

/// An attribute's value as a browser fetches it: character references undone; tabs and line ends, which URL parsers
/// drop, removed. Only the beginning is needed, but lists need all of it.
fn as_fetched(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        text.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let (character, length) = reference(rest).unwrap_or(('&', 1));
        text.push(character);
        rest = rest.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    text.retain(|c| !matches!(c, '\t' | '\r' | '\n'));
    text.trim_start_matches(|c: char| c <= ' ').to_owned()
}

/// The character reference at the start of `text` (numeric, or one of those that can hide a scheme) and its length.
fn reference(text: &str) -> Option<(char, usize)> {
    const NAMED: [(&str, char); 6] =
        [("&colon;", ':'), ("&Tab;", '\t'), ("&NewLine;", '\n'), ("&comma;", ','), ("&lpar;", '('), ("&semi;", ';')];
    if let Some((name, character)) = NAMED.iter().find(|(name, _)| text.starts_with(name)) {
        return Some((*character, name.len()));
    }
    let digits = text.strip_prefix("&#")?;
    let (digits, radix, skipped) = match digits.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16, 3),
        None => (digits, 10, 2),
    };
    let length = digits.bytes().take_while(|b| char::from(*b).is_digit(radix)).count();
    // However many zeros come first.
    let number = u32::from_str_radix(digits.get(..length)?, radix).ok()?;
    let semicolon = usize::from(digits.as_bytes().get(length) == Some(&b';'));
    Some((char::from_u32(number)?, skipped + length + semicolon))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(html: &str) -> Vec<(Form, String, String)> {
        find(html.as_bytes(), encoding_rs::UTF_8)
            .into_iter()
            .map(|b| (b.form, b.media_type, html.get(b.range).unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn escapes_and_noscript_are_undone_once_however_deep_they_seem() {
        let rest = ":image/png;base64,iVBORw0K";
        let uri = format!("data{rest}");
        for html in [
            format!("<style>p {{ background: url(\\64 ata{rest}) }}</style>"),
            format!("<p style=\"background: url(d\\61ta{rest})\">"),
            format!("<noscript><p><img src=\"{uri}\"></noscript>"),
            format!("<NoScript><noscript><img src=\"{uri}\">"),
            format!("<noscript><!-- </noscript><img src=\"{uri}\"> -->"),
            format!("<!--[if gte mso 9]><img src=\"{uri}\"><![endif]-->"),
        ] {
            assert!(!found(&html).is_empty(), "{html}");
        }
        assert_eq!(found(&format!("<style>{}</style>", "\\5c ".repeat(250_000))), []);
        assert_eq!(found(&"<noscript>".repeat(100_000)), []);
    }

    #[test]
    fn uris_are_found_in_pictures_links_and_styles() {
        assert_eq!(
            found("<p>a<img alt=x src=\"data:image/png;base64,AAAA\">b</p>"),
            [(Form::Tag, "image/png".into(), "<img alt=x src=\"data:image/png;base64,AAAA\">".into())]
        );
        assert_eq!(
            found("<a href='data:text/html,hello'>x</a>"),
            [(Form::Value, "text/html".into(), "data:text/html,hello".into())]
        );
        assert_eq!(
            found("<style>p{background:url(data:image/gif;base64,R0lG)}</style>"),
            [(Form::Value, "image/gif".into(), "data:image/gif;base64,R0lG".into())]
        );
        assert_eq!(
            found("<p style=\"color:red;background:url('data:image/gif,abc')\">"),
            [(Form::Value, "image/gif".into(), "data:image/gif,abc".into())]
        );
    }

    #[test]
    fn disguised_schemes_are_found() {
        for html in [
            "<a href=\"da&#116;a:text/html,x\">",
            "<a href=\" d\na\tta:text/html,x\">",
            "<a href=\"data&colon;text/html,x\">",
            "<a HREF=DATA:text/html,x>",
            "<a href=\"&#x64;ata:;base64,eA==\">",
            "<p>x<a href=\"data:text/html,x\" cut",
            "<p>x<a href='data:text/html,x",
        ] {
            assert_eq!(found(html).len(), 1, "{html}");
        }
    }

    #[test]
    fn words_about_data_are_words() {
        for html in [
            "<p>data:image/png;base64,AAAA</p>",
            "<img alt=\"data: the truth, at last\" src=\"https://x.example/data:1,2\">",
            "<p data-x=\"data:a,b\">",
            "<style>/* metadata: a, b */</style>",
        ] {
            assert_eq!(found(html), [], "{html}");
        }
    }
}
