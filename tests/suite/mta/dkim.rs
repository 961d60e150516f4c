//! Signs messages as a sender's own server would, with a key whose public half a [`super::dns::Dns`] can serve.

use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::DkimSigner;

/// A domain's DKIM key.
#[derive(Debug)]
pub struct DkimKey {
    domain: String,
    selector: String,
    pkcs8: Vec<u8>,
}

impl DkimKey {
    /// A fresh Ed25519 key (RFC 8463).
    pub fn generate(domain: &str, selector: &str) -> Self {
        Self { domain: domain.to_owned(), selector: selector.to_owned(), pkcs8: Ed25519Key::generate_pkcs8().unwrap() }
    }

    /// The name and text of the DNS record of the public half.
    pub fn record(&self) -> (String, String) {
        let public = data_encoding::BASE64.encode(&self.key().public_key());
        (format!("{}._domainkey.{}", self.selector, self.domain), format!("v=DKIM1; k=ed25519; p={public}"))
    }

    /// The message with its signature in front.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signer = DkimSigner::from_key(self.key())
            .domain(self.domain.as_str())
            .selector(self.selector.as_str())
            .headers(["From", "To", "Subject", "Date", "Message-ID"]);
        let signature = signer.sign(message).unwrap().to_header();
        [signature.as_bytes(), message].concat()
    }

    fn key(&self) -> Ed25519Key {
        Ed25519Key::from_pkcs8_der(&self.pkcs8).unwrap()
    }
}
