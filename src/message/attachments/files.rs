//! What files begin and end like. Some programs offer a second text as a file, and what opens it goes by its octets.

use super::tnef;
use crate::message::mime::{Part, TransferEncoding, decode};

/// The first octets of the common pictures: PNG, JPEG, GIF.
pub(super) const PICTURES: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"];

/// Those of PDF, ZIP (and with it of office documents), older office documents, RAR, 7z, gzip, RTF and Outlook's container. No
/// letter begins like that.
const DOCUMENTS: [&[u8]; 8] = [
    b"%PDF-",
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"Rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c",
    b"\x1f\x8b\x08",
    b"{\\rtf1",
    &tnef::SIGNATURE,
];

/// Whether a text begins as a file does.
pub(super) fn starts_like_one(part: &Part, raw: &[u8]) -> bool {
    let head = head(part, raw);
    PICTURES.iter().chain(&DOCUMENTS).any(|beginning| head.starts_with(beginning))
}

/// The first octets of a part, decoded; none where nobody knows how.
pub(super) fn head(part: &Part, raw: &[u8]) -> Vec<u8> {
    /// Enough encoded octets for the 16 first ones, however they are encoded.
    const HEAD_BYTES: usize = 64;
    if part.encoding == TransferEncoding::Unknown {
        return Vec::new();
    }
    let body = raw.get(part.body.clone()).unwrap_or_default().trim_ascii_start();
    decode::transfer(part.encoding, body.get(..body.len().min(HEAD_BYTES)).unwrap_or_default()).into_owned()
}

/// The ending of a file's name, lower case: what decides which program opens it.
pub(super) fn ending(name: &str) -> Option<String> {
    name.trim().rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase())
}
