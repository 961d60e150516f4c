//! Requests for signed receipts (RFC 2634 section 2): an attribute inside an S/MIME signature, which no gateway can take
//! out without breaking it. They can only be flagged. Requests in header fields are in [`super::headers`].

use super::mime::{Part, Tree, decode};

/// `id-aa-receiptRequest`, 1.2.840.113549.1.9.16.2.1, in DER.
const RECEIPT_REQUEST_OID: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x01";

/// Does an S/MIME signature of the message ask for a signed receipt? Only signatures are decoded.
#[must_use]
pub fn has_signed_request(raw: &[u8], tree: &Tree) -> bool {
    let is_smime = |part: &&Part| {
        matches!(
            part.media_type.name.as_str(),
            "application/pkcs7-signature"
                | "application/x-pkcs7-signature"
                | "application/pkcs7-mime"
                | "application/x-pkcs7-mime"
        )
    };
    tree.parts().filter(is_smime).any(|part| {
        let body = raw.get(part.body.clone()).unwrap_or_default();
        memchr::memmem::find(&decode::transfer(part.encoding, body), RECEIPT_REQUEST_OID).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::{Limits, parse};

    #[test]
    fn the_attribute_is_found_in_signatures_only() {
        let signature = data_encoding::BASE64.encode(&[b"\x30\x80xx".as_slice(), RECEIPT_REQUEST_OID, b"yy"].concat());
        let message = |kind: &str| {
            format!(
                "Content-Type: multipart/signed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a\r\nContent-Type: application/{kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n{signature}\r\n--a--\r\n"
            )
        };
        for (kind, asks) in [("pkcs7-signature", true), ("x-pkcs7-mime; smime-type=signed-data", true), ("pdf", false)]
        {
            let raw = message(kind);
            assert_eq!(has_signed_request(raw.as_bytes(), &parse(raw.as_bytes(), &Limits::default())), asks, "{kind}");
        }
    }
}
