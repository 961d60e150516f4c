//! Which images the HTML of a message really shows.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use lol_html::html_content::Element;
use lol_html::{HtmlRewriter, Settings, element, text};

use super::{Attachment, Look, Place, TextBody, files};
use crate::message::mime::{Part, PartId, Tree, decode};
use crate::message::readings;

/// The pictures among the attachments, by type and by their first octets, that the HTML of a multipart/related around them
/// shows (RFC 2387, RFC 2392, RFC 2557). HTML that is an attachment itself shows nothing: it goes, and its pictures would be
/// left over as files. Where texts are not looked into, every picture with a Content-ID or Content-Location counts as shown.
pub(super) fn shown(tree: &Tree, raw: &[u8], found: &[Attachment], look: Look) -> HashSet<PartId> {
    let mut of_related = HashMap::new();
    let candidates = found.iter().filter(|image| image.place == Place::Part).filter_map(|image| tree.part(image.part));
    candidates
        .filter(|part| part.disposition.as_ref().is_none_or(|disposition| disposition.kind == "inline"))
        .filter(|part| part.content_id.is_some() || part.content_location.is_some())
        .filter(|part| is_called_a_picture(part) && starts_like_a_picture(part, raw))
        .filter(|part| {
            // The HTML of a message does not reach into a message inside it.
            let mut around = tree.ancestors(part.id).take_while(|ancestor| !ancestor.media_type.is_message());
            let Some(related) = around.find(|ancestor| ancestor.media_type.name == "multipart/related") else {
                return false;
            };
            if look == Look::Structure {
                return true;
            }
            let references: &HashSet<String> =
                of_related.entry(related.id).or_insert_with(|| references(tree, raw, related, found));
            [&part.content_id, &part.content_location].into_iter().flatten().any(|name| references.contains(name))
        })
        .map(|part| part.id)
        .collect()
}

/// What the HTML texts inside a multipart/related show: Content-IDs after `cid:`, and addresses as they stand.
fn references(tree: &Tree, raw: &[u8], related: &Part, found: &[Attachment]) -> HashSet<String> {
    let mut shown = HashSet::new();
    // The part whose subtree is not looked into, by depth.
    let mut closed: Option<u32> = None;
    for part in tree.parts().skip(related.id.0 as usize + 1).take_while(|part| part.depth > related.depth) {
        closed = closed.filter(|depth| part.depth > *depth);
        if closed.is_some() {
            continue;
        }
        let here = || of_part(found, part.id);
        if part.media_type.is_message() || here().any(|attachment| attachment.place == Place::Part) {
            closed = Some(part.depth);
        } else if part.media_type.name == "text/html" && part.is_text() {
            let html = match here().next() {
                // What is cut out of a text shows nothing either.
                Some(_) => TextBody::of(tree, raw, part).without_blocks().into(),
                None => tree.decode_text(raw, part.id),
            };
            readings::readings(html.as_bytes()).for_each(|html| collect(&html, &mut shown));
        }
    }
    shown
}

/// The attachments that are this part, or in it. They stand in the order of the parts.
fn of_part(found: &[Attachment], part: PartId) -> impl Iterator<Item = &Attachment> {
    let start = found.partition_point(|attachment| attachment.part < part);
    found.iter().skip(start).take_while(move |attachment| attachment.part == part)
}

/// Reads one HTML text. A link to a picture, a comment or a word in the text show nothing.
fn collect(html: &[u8], found: &mut HashSet<String>) {
    let shown = RefCell::new(found);
    let keep = |element: &Element<'_, '_>| {
        let tag = element.tag_name();
        for attribute in element.attributes() {
            let (name, value) = (attribute.name(), attribute.value().replace("&amp;", "&"));
            match name.as_str() {
                "style" => keep_cids(&value, &mut shown.borrow_mut()),
                "href" | "xlink:href" if !matches!(tag.as_str(), "image" | "use" | "feimage") => {}
                "src" | "srcset" | "background" | "poster" | "lowsrc" | "dynsrc" | "data" | "href" | "xlink:href" => {
                    keep_cids(&value, &mut shown.borrow_mut());
                    // Content-Location (RFC 2557) is named as it stands.
                    shown.borrow_mut().insert(value.trim().to_owned());
                }
                _ => {}
            }
        }
    };
    let sheet = RefCell::new(String::new());
    let settings = Settings::new()
        .append_element_content_handler(element!("*", |element| {
            keep(element);
            Ok(())
        }))
        .append_element_content_handler(text!("style", |chunk| {
            sheet.borrow_mut().push_str(chunk.as_str());
            Ok(())
        }))
        .with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    // HTML that cannot be read to its end shows what it showed so far.
    let _ = rewriter.write(html).and_then(|()| rewriter.end());
    keep_cids(&sheet.into_inner(), &mut shown.borrow_mut());
}

/// The Content-IDs after `cid:` in a value that may list several things.
fn keep_cids(value: &str, found: &mut HashSet<String>) {
    let bytes = value.as_bytes();
    for colon in memchr::memchr_iter(b':', bytes) {
        let scheme = colon.checked_sub(3).and_then(|start| bytes.get(start..colon));
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"cid")) {
            let rest = bytes.get(colon + 1..).unwrap_or_default();
            let id = rest.split(|octet| b"\"'<>)\r\n\t ".contains(octet)).next().unwrap_or_default();
            found.insert(String::from_utf8_lossy(&decode::percent(id)).into_owned());
        }
    }
}

/// The types of the pictures that mail programs show, as they are written in mail.
const SUBTYPES: [&str; 18] = [
    "png",
    "x-png",
    "apng",
    "jpeg",
    "jpg",
    "pjpeg",
    "gif",
    "bmp",
    "x-bmp",
    "x-ms-bmp",
    "x-icon",
    "vnd.microsoft.icon",
    "ico",
    "webp",
    "heic",
    "heif",
    "avif",
    "jfif",
];

/// The endings of their names: a picture with another is offered as the file it is named.
const ENDINGS: [&str; 13] =
    ["png", "apng", "jpg", "jpeg", "jpe", "jfif", "gif", "bmp", "ico", "webp", "heic", "heif", "avif"];

/// Whether type and name are those of a picture.
fn is_called_a_picture(part: &Part) -> bool {
    let subtype = part.media_type.name.strip_prefix("image/").unwrap_or_default();
    let ending = part.file_name().and_then(|name| files::ending(&name));
    SUBTYPES.contains(&subtype) && ending.is_none_or(|ending| ENDINGS.contains(&ending.as_str()))
}

/// The first octets of the pictures that mail programs show; a file that only claims to be one is shown as a file.
fn starts_like_a_picture(part: &Part, raw: &[u8]) -> bool {
    let head = files::head(part, raw);
    let brands: [&[u8]; 9] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"];
    files::PICTURES.iter().any(|start| head.starts_with(start))
        || head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP")
        || head.get(4..8) == Some(b"ftyp") && brands.iter().any(|brand| head.get(8..12) == Some(*brand))
        // Two letters alone tell nothing: behind them stand the size, four zeros, and where the points begin.
        || head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]) && head.get(12..14) == Some(&[0; 2])
        // The first entry of an icon has a zero of its own.
        || head.starts_with(b"\0\0\x01\0") && head.get(5) == Some(&0) && head.get(9) == Some(&0)
}

#[cfg(test)]
mod tests {
    use crate::message::attachments::{Class, find};
    use crate::message::mime::{Limits, parse};
    use crate::message::splice;

    /// Whether a picture of this type, name and content is shown by HTML that has this in it.
    fn is_shown(subtype: &str, name: &str, octets: &[u8], html: &str) -> bool {
        let head = format!(
            "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n{html}\r\n--b\r\n\
             Content-Type: image/{subtype}; name=\"{name}\"\r\nContent-ID: <i@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        );
        let raw = [head.as_bytes(), &splice::base64(octets, "\r\n"), b"--b--\r\n"].concat();
        let tree = parse(&raw, &Limits::default());
        find(&tree, &raw).iter().any(|attachment| attachment.class == Class::InlineImage)
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn what_a_tag_or_a_style_sheet_shows_is_shown() {
        for html in [
            "<img src=\"cid:i@x\">",
            "<IMG SRC=CID:i%40x>",
            "<td background='cid:i@x'>",
            "<div style=\"background: url('cid:i@x')\">",
            "<style>p { background: url(cid:i@x) }</style>",
            "<v:imagedata src=\"cid:i@x\"/>",
            "<noscript><img src=\"cid:i@x\"></noscript>",
            "<!--[if gte vml 1]><v:imagedata src=\"cid:i@x\"/><![endif]-->",
        ] {
            assert!(is_shown("png", "image001.png", PNG, html), "{html}");
        }
        for html in
            ["", "<!-- <img src=\"cid:i@x\"> -->", "cid:i@x", "<a href=\"cid:i@x\">ici</a>", "<p title=\"cid:i@x\">"]
        {
            assert!(!is_shown("png", "image001.png", PNG, html), "{html}");
        }
    }

    #[test]
    fn what_goes_itself_shows_nothing() {
        // A file, an attachment, a message inside the message, a tag that is cut out for the data in it.
        let image = "Content-Type: image/png\r\nContent-ID: <i@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n\
                     iVBORw0KGgoAAAANSUhEUg==\r\n";
        let html = "Content-Type: text/html\r\n";
        let tag = "<img src=\"cid:i@x\">\r\n";
        let block = "-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n";
        for (text, is_shown) in [
            (format!("{html}\r\n{tag}"), true),
            (format!("{html}\r\n{block}{tag}"), true),
            (format!("{html}\r\nPK\u{3}\u{4}{tag}"), false),
            (format!("{html}Content-Disposition: attachment\r\n\r\n{tag}"), false),
            (format!("Content-Type: message/rfc822\r\n\r\n{html}\r\n{tag}"), false),
            (format!("{html}\r\n{}", tag.replace("src", "lowsrc=\"data:image/png;base64,AAAA\" src")), false),
        ] {
            let raw = format!(
                "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\n{text}\r\n--b\r\n{image}\r\n--b--\r\n"
            );
            let found = find(&parse(raw.as_bytes(), &Limits::default()), raw.as_bytes());
            assert_eq!(found.last().map(|image| image.class == Class::InlineImage), Some(is_shown), "{text}");
        }
    }

    #[test]
    fn a_picture_is_one_by_type_name_and_content() {
        let shown = |subtype: &str, name: &str, octets: &[u8]| is_shown(subtype, name, octets, "<img src=\"cid:i@x\">");
        let bitmap = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0";
        let icon = b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04";
        assert!(shown("bmp", "logo.bmp", bitmap) && shown("x-icon", "logo.ico", icon) && shown("png", "logo", PNG));
        assert!(shown("heic", "photo.HEIC", b"\0\0\0\x18ftypheic\0\0\0\0"));
        // A type that programs write for another is no disguise.
        assert!(shown("jpg", "image001.png", PNG));
        for (subtype, name, octets) in [
            ("png", "tract.pdf", PNG),
            ("x-pdf", "image001.png", PNG),
            ("svg+xml", "image001.svg", &b"<svg/>"[..]),
            ("bmp", "logo.bmp", b"BM%PDF-1.4 and more"),
            ("x-icon", "logo.ico", b"\0\0\x01\0alert(1)        "),
            ("heic", "film.heic", b"\0\0\0\x18ftypisom\0\0\0\0"),
        ] {
            assert!(!shown(subtype, name, octets), "{subtype} {name}");
        }
    }
}
