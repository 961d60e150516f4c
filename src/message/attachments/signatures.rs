//! Detached signatures: the second part of a `multipart/signed`, which mail programs check and do not show as a file (RFC 1847).
//! What only says that it is one is shown as a file by every program that does not know the scheme, under the name it has.

use super::files;
use crate::message::mime::{Part, TransferEncoding, Tree, decode};

/// An OpenPGP signature has about 1 kB; an S/MIME signature carries certificates, seldom above 10 kB.
const SIGNATURE_BYTES_MAX: u64 = 64 * 1024;

/// `signedData` (RFC 5652 section 5.1), as an object identifier in DER.
const SIGNED_DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// The endings of the names that programs give to signatures.
const ENDINGS: [&str; 5] = ["asc", "sig", "pgp", "gpg", "p7s"];

/// How it was signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// RFC 3156.
    OpenPgp,
    /// RFC 8551.
    Smime,
}

impl Scheme {
    fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/pgp-signature" => Some(Self::OpenPgp),
            "application/pkcs7-signature" | "application/x-pkcs7-signature" => Some(Self::Smime),
            _ => None,
        }
    }
}

/// Whether a part is a signature: by its place, by what the multipart around it announces, by its name and by its octets.
pub(super) fn is_detached(tree: &Tree, raw: &[u8], part: &Part) -> bool {
    let Some(scheme) = Scheme::of(&part.media_type.name) else { return false };
    let is_expected = part.parent.and_then(|id| tree.part(id)).is_some_and(|parent| {
        // Some programs forget to say how they signed.
        let protocol = parent.media_type.parameter("protocol").map(|protocol| protocol.trim().to_ascii_lowercase());
        parent.media_type.name == "multipart/signed"
            && parent.children.get(1) == Some(&part.id)
            && protocol.is_none_or(|protocol| Scheme::of(&protocol) == Some(scheme))
    });
    is_expected
        && part.decoded_size_bytes() <= SIGNATURE_BYTES_MAX
        && part.file_name().is_none_or(|name| is_name(&name))
        && has_octets_of(scheme, raw, part)
}

/// `signature.asc`, `smime.p7s`, and names without an ending, which open in no program.
fn is_name(name: &str) -> bool {
    files::ending(name).is_none_or(|ending| ENDINGS.contains(&ending.as_str()))
}

fn has_octets_of(scheme: Scheme, raw: &[u8], part: &Part) -> bool {
    if part.encoding == TransferEncoding::Unknown {
        return false;
    }
    let octets = decode::transfer(part.encoding, raw.get(part.body.clone()).unwrap_or_default());
    match scheme {
        Scheme::OpenPgp => is_armour(&octets),
        // A sequence, its length in one to five octets, and what it is.
        Scheme::Smime => {
            octets.first() == Some(&0x30)
                && (2..=6).any(|at| octets.get(at..).is_some_and(|rest| rest.starts_with(&SIGNED_DATA)))
        }
    }
}

/// Nothing but armour, from its first line to its last (RFC 9580 section 6.2); it was called a message once (RFC 2015).
fn is_armour(octets: &[u8]) -> bool {
    let mut lines = octets.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let last: &[u8] = match lines.next() {
        Some(b"-----BEGIN PGP SIGNATURE-----") => b"-----END PGP SIGNATURE-----",
        Some(b"-----BEGIN PGP MESSAGE-----") => b"-----END PGP MESSAGE-----",
        _ => return false,
    };
    let is_data = |line: &[u8]| line.iter().all(|octet| *octet == b'=' || decode::base64_digit(*octet).is_some());
    let is_header = |line: &[u8]| memchr::memchr(b':', line).is_some();
    lines.find(|line| *line == last || !(is_data(line) || is_header(line))) == Some(last) && lines.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armour_is_armour_alone() {
        let armour = |text: &str| is_armour(text.as_bytes());
        let whole = "-----BEGIN PGP SIGNATURE-----\r\nVersion: GnuPG v2\r\n\r\niQEzBAEB\r\n=abcd\r\n-----END PGP SIGNATURE-----\r\n";
        assert!(armour(whole));
        assert!(armour(&whole.replace("SIGNATURE", "MESSAGE")));
        assert!(!armour(&whole.replace("-----END PGP SIGNATURE-----", "")));
        assert!(!armour(&whole.replace("iQEzBAEB", "Signez la pétition !")));
        assert!(!armour(&format!("{whole}PK\x03\x04")));
        assert!(!armour("%PDF-1.4"));
        assert!(!armour(""));
    }

    #[test]
    fn names_of_signatures_open_in_no_other_program() {
        for name in ["signature.asc", "smime.p7s", "OpenPGP_signature", "OpenPGP_signature.ASC"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["petition.pdf", "a.zip", "signature.asc.html", "invitation.ics"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
