//! Which images the HTML of a message really shows.

use std::collections::{HashMap, HashSet};

use crate::message::mime::{Part, PartId, TransferEncoding, Tree, decode};

/// The references of each multipart/related, read when first asked for.
pub(super) struct References {
    read_texts: bool,
    of_related: HashMap<PartId, HashSet<String>>,
}

impl References {
    /// With `read_texts` false no HTML is read, and every image with a Content-ID counts as shown.
    pub(super) fn new(read_texts: bool) -> Self {
        Self { read_texts, of_related: HashMap::new() }
    }

    /// Whether the part is a picture, by type and by its first octets, that the HTML of a multipart/related around it
    /// shows (RFC 2387, RFC 2392, RFC 2557).
    pub(super) fn is_shown(&mut self, tree: &Tree, raw: &[u8], part: &Part) -> bool {
        if part.media_type.main() != "image" || !starts_like_a_picture(part, raw) {
            return false;
        }
        let Some(related) = tree.ancestors(part.id).find(|a| a.media_type.name == "multipart/related") else {
            return false;
        };
        if !self.read_texts {
            return part.content_id.is_some() || part.content_location.is_some();
        }
        let references = self.of_related.entry(related.id).or_insert_with(|| references(tree, raw, related));
        let by_id = part.content_id.as_ref().is_some_and(|id| references.contains(id));
        by_id || part.content_location.as_ref().is_some_and(|location| references.contains(location))
    }
}

/// What the HTML texts inside a multipart/related refer to: Content-IDs after `cid:`, and the values of `src`.
fn references(tree: &Tree, raw: &[u8], related: &Part) -> HashSet<String> {
    let mut found = HashSet::new();
    let inside = tree.parts().skip(related.id.0 as usize + 1).take_while(|part| part.depth > related.depth);
    for part in inside.filter(|part| part.media_type.name == "text/html" && part.is_text()) {
        collect(&tree.decode_text(raw, part.id), &mut found);
    }
    found
}

fn collect(html: &str, found: &mut HashSet<String>) {
    let bytes = html.as_bytes();
    let end_of = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().position(|b| b"\"'<>)\r\n\t ".contains(b)).unwrap_or(rest.len())
    };
    for colon in memchr::memchr_iter(b':', bytes) {
        let scheme = colon.checked_sub(3).and_then(|start| bytes.get(start..colon));
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"cid")) {
            let id = bytes.get(colon + 1..end_of(colon + 1)).unwrap_or_default();
            found.insert(String::from_utf8_lossy(&decode::percent(id)).replace("&amp;", "&"));
        }
    }
    // Content-Location (RFC 2557) is named as it stands.
    for at in memchr::memmem::find_iter(bytes, b"src=") {
        let from = at + 4 + usize::from(matches!(bytes.get(at + 4), Some(b'"' | b'\'')));
        let value = bytes.get(from..end_of(from)).unwrap_or_default();
        found.insert(String::from_utf8_lossy(value).replace("&amp;", "&"));
    }
}

/// The first octets of the pictures that mail programs show; a file that only claims to be one is shown as a file.
fn starts_like_a_picture(part: &Part, raw: &[u8]) -> bool {
    /// Enough encoded octets for the 16 first ones, however they are encoded.
    const HEAD_BYTES: usize = 64;
    let body = raw.get(part.body.clone()).unwrap_or_default().trim_ascii_start();
    let head = body.get(..body.len().min(HEAD_BYTES)).unwrap_or_default();
    let head = match part.encoding {
        TransferEncoding::Unknown => return false,
        encoding => decode::transfer(encoding, head),
    };
    let starts: [&[u8]; 6] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"\0\0\x01\0"];
    starts.iter().any(|start| head.starts_with(start))
        || head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP")
        || head.get(4..8) == Some(b"ftyp")
}
