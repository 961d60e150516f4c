//! DKIM (RFC 6376) as a proof: a signature of a domain that the charter names, verified here on the original bytes.
//!
//! The crate `mail-auth` does the cryptography. This file decides which signatures are looked at, and what a good one is
//! worth as evidence, where RFC 6376 leaves that to the verifier:
//!
//! * Only signatures of the wanted domains are verified, and at most [`SIGNATURES_MAX`] of them: nobody can make the
//!   gateway ask DNS for hundreds of names.
//! * The signature must cover From, and there must be one From.
//! * A signature with a length (`l=`) proves nothing about the text that follows, and is not accepted.
//! * Neither is one with SHA-1 (RFC 8301), one that has expired, one whose key is for tests (`t=y`: to be treated as no
//!   signature at all), nor one whose selector is no DNS name.
//! * When DNS does not answer, nothing is known yet: [`Report::unavailable`].

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use mail_auth::common::crypto::Algorithm;
use mail_auth::common::headers::Header;
use mail_auth::common::verify::VerifySignature as _;
use mail_auth::dkim::{DkimError, Signature};
use mail_auth::hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::hickory_resolver::proto::op::ResponseCode;
use mail_auth::hickory_resolver::system_conf::read_system_conf;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DnsError, Error, MessageAuthenticator, Parameters, ResolverCache, Txt,
};

use crate::closed_list::closed_list;

/// How many signatures of the wanted domains are verified. Honest mail has one or two, of one or two domains.
pub const SIGNATURES_MAX: usize = 8;

/// How many signatures a message may have at all before none of them is looked at. Mailing lists and gateways add one each.
const SIGNATURE_FIELDS_MAX: usize = 50;

/// The flag of a key that is for tests (`t=y`, RFC 6376 section 3.6.1), as `mail-auth` numbers it.
const KEY_FLAG_TESTING: u64 = 0x10;

closed_list! {
    /// Why a signature of a wanted domain proves nothing.
    NotProof {
        /// The signature does not cover the From field.
        FromNotSigned = "from-not-signed",
        /// The message has no From field, or several.
        FromNotSingle = "from-not-single",
        /// The signature covers only a part of the body (l=).
        LengthLimited = "length-limited",
        /// The signature has expired (x=).
        Expired = "expired",
        /// The signature uses SHA-1.
        WeakAlgorithm = "weak-algorithm",
        /// The body is not the one that was signed.
        BodyChanged = "body-changed",
        /// The header is not the one that was signed, or another key signed it.
        HeaderChanged = "header-changed",
        /// The domain publishes no usable key for it.
        NoKey = "no-key",
        /// The domain publishes the key as one for tests.
        KeyForTests = "key-for-tests",
        /// The signature or the name of its key cannot be read.
        Malformed = "malformed",
        /// There are too many signatures.
        TooMany = "too-many",
    }
}

/// What the signatures of a message prove.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The signatures that are good.
    pub verified: Vec<Verified>,
    /// The wanted domains whose keys could not be asked for now.
    pub unavailable: Vec<String>,
    /// The signatures of wanted domains that are not good: domain and reason.
    pub rejected: Vec<(String, NotProof)>,
}

/// A good signature, which covers From.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The domain that signed, lower case.
    pub domain: String,
    /// The selector of its key.
    pub selector: String,
}

/// Verifies signatures. Keys are cached for as long as DNS says.
pub struct Verifier {
    authenticator: MessageAuthenticator,
    timeout: Duration,
}

/// Why no resolver could be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no DNS resolver can be set up: {0}")]
pub struct ResolverError(String);

impl Verifier {
    /// A verifier that asks `servers`, or those of `/etc/resolv.conf` when there are none. One lookup may take `timeout`,
    /// and all lookups for a message together three times that.
    ///
    /// # Errors
    /// [`ResolverError`]: the resolver does not accept its configuration.
    pub fn new(servers: &[SocketAddr], timeout: Duration) -> Result<Self, ResolverError> {
        let of = |servers: &[SocketAddr]| ResolverConfig::from_name_servers(servers.iter().map(name_server).collect());
        let (config, mut options) = match servers {
            // Without a resolv.conf, or without a server in it, the one on this machine is asked (resolv.conf(5)).
            [] => read_system_conf()
                .ok()
                .filter(|(config, _)| !config.name_servers().is_empty())
                .unwrap_or_else(|| (of(&[SocketAddr::from(([127, 0, 0, 1], 53))]), ResolverOpts::default())),
            servers => (of(servers), ResolverOpts::default()),
        };
        // Two attempts within the time of one lookup: a lost datagram is common, and costs half the time.
        options.attempts = 1;
        options.timeout = timeout / 2;
        let authenticator =
            MessageAuthenticator::new(config, options).map_err(|error| ResolverError(error.to_string()))?;
        Ok(Self { authenticator, timeout })
    }

    /// Verifies the signatures in `raw`, a message as it was received, of the domains in `wanted`.
    ///
    /// Costs next to nothing when there is none of them. `now` decides what has expired.
    pub async fn verify(&self, raw: &[u8], wanted: &[&str], now: Timestamp) -> Report {
        let mut report = Report::default();
        if !mentions_wanted_domain(raw, wanted) {
            return report;
        }
        let Some(mut message) = AuthenticatedMessage::parse(raw) else { return report };
        select(&mut message, wanted, now, &mut report);
        if message.dkim_headers.is_empty() {
            return report;
        }
        let keys = KeysSeen::default();
        let parameters = Parameters::new(&message).with_txt_cache(&keys);
        match tokio::time::timeout(self.timeout * 3, self.authenticator.verify_dkim(parameters)).await {
            Ok(outputs) => outputs.iter().for_each(|output| report.add(output, &keys)),
            Err(_) => message.dkim_headers.iter().for_each(|header| report.add_unavailable(domain(&header.header))),
        }
        report
    }
}

impl Report {
    fn add(&mut self, output: &DkimOutput<'_>, keys: &KeysSeen) {
        // Without a signature there is nothing to name; those that cannot be read were sorted out before.
        let Some(signature) = output.signature() else { return };
        let signer = domain(signature);
        let reason = match output.result() {
            DkimResult::Pass if keys.is_for_tests(&signature.domain_key()) => NotProof::KeyForTests,
            DkimResult::Pass => {
                return self.verified.push(Verified { domain: signer, selector: signature.s.clone() });
            }
            DkimResult::None => return,
            DkimResult::TempError(_) => return self.add_unavailable(signer),
            DkimResult::Neutral(error) | DkimResult::Fail(error) | DkimResult::PermError(error) => match error {
                Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain | ResponseCode::NoError)) => NotProof::NoKey,
                // A server that fails has not said that there is no key.
                Error::Dns(DnsError::RecordNotFound(_) | DnsError::Resolver(_)) => {
                    return self.add_unavailable(signer);
                }
                Error::Dkim(DkimError::FailedBodyHashMatch) => NotProof::BodyChanged,
                Error::Dkim(DkimError::SignatureExpired) => NotProof::Expired,
                Error::Dkim(DkimError::SignatureLength) => NotProof::LengthLimited,
                Error::Dkim(DkimError::FailedAuidMatch) => NotProof::Malformed,
                Error::Crypto(_) => NotProof::HeaderChanged,
                _ => NotProof::NoKey,
            },
        };
        self.rejected.push((signer, reason));
    }

    fn add_unavailable(&mut self, domain: String) {
        if !self.unavailable.contains(&domain) {
            self.unavailable.push(domain);
        }
    }
}

/// Leaves in `message` the signatures that are to be verified, and reports the others of wanted domains.
fn select(message: &mut AuthenticatedMessage<'_>, wanted: &[&str], now: Timestamp, report: &mut Report) {
    let froms = message.headers.iter().filter(|(name, _)| name.trim_ascii().eq_ignore_ascii_case(b"from")).count();
    let fields = message.dkim_headers.len() + message.errors.len();
    for header in message.errors.drain(..) {
        // What was wrong with it matters only when it claims to be of a wanted domain.
        let Ok(signature) = Signature::parse(header.value) else { continue };
        if is_wanted(&signature, wanted) {
            let too_short = header.header == Error::Dkim(DkimError::SignatureLength);
            let reason = if too_short { NotProof::LengthLimited } else { NotProof::Malformed };
            report.rejected.push((domain(&signature), reason));
        }
    }
    let mut left = if fields > SIGNATURE_FIELDS_MAX { 0 } else { SIGNATURES_MAX };
    message.dkim_headers.retain_mut(|header| {
        if !is_wanted(&header.header, wanted) {
            return false;
        }
        let defect = if froms == 1 { defect(header, now) } else { Some(NotProof::FromNotSingle) };
        let defect = defect.or(if left == 0 { Some(NotProof::TooMany) } else { None });
        if let Some(reason) = defect {
            report.rejected.push((domain(&header.header), reason));
            return false;
        }
        left -= 1;
        // Expiry has been judged by the clock we were handed. Failure reports (RFC 6651) and third-party permission
        // (RFC 6541) would only make the gateway ask DNS on a stranger's behalf.
        header.header.x = 0;
        header.header.r = false;
        header.header.atps = None;
        true
    });
}

/// What is wrong with a signature before any cryptography.
fn defect(header: &Header<'_, Signature>, now: Timestamp) -> Option<NotProof> {
    let signature = &header.header;
    let expires = i64::try_from(signature.x).unwrap_or(i64::MAX);
    if !signature.h.iter().any(|name| name.trim().eq_ignore_ascii_case("from")) {
        Some(NotProof::FromNotSigned)
    } else if signature.l != 0 || has_length(header.value) {
        Some(NotProof::LengthLimited)
    } else if signature.a == Algorithm::RsaSha1 {
        Some(NotProof::WeakAlgorithm)
    } else if signature.x != 0 && (expires <= now.as_second() || signature.x <= signature.t) {
        Some(NotProof::Expired)
    } else if !is_dns_name(&signature.s) {
        Some(NotProof::Malformed)
    } else {
        None
    }
}

/// Whether there is an `l=` at all, `l=0` and unreadable ones included.
fn has_length(value: &[u8]) -> bool {
    value.split(|&b| b == b';').any(|tag| {
        let tag = tag.trim_ascii_start();
        tag.first() == Some(&b'l') && tag.get(1..).is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b'='))
    })
}

/// Labels as keys really have them. What is not one of these could never be found, and must not look like a DNS failure.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 200 && name.split('.').all(label)
}

fn domain(signature: &Signature) -> String {
    signature.d.trim_end_matches('.').to_ascii_lowercase()
}

fn is_wanted(signature: &Signature, wanted: &[&str]) -> bool {
    let signer = domain(signature);
    wanted.iter().any(|wanted| wanted.trim_end_matches('.').eq_ignore_ascii_case(&signer))
}

/// Looks at the header alone: the body of a message without a signature that matters is not hashed.
fn mentions_wanted_domain(raw: &[u8], wanted: &[&str]) -> bool {
    if wanted.is_empty() {
        return false;
    }
    let end = header_end(raw);
    let header = raw.get(..end).unwrap_or(raw);
    let Some(message) = AuthenticatedMessage::parse(header) else { return false };
    let readable = message.dkim_headers.iter().any(|header| is_wanted(&header.header, wanted));
    let unreadable = |header: &Header<'_, Error>| Signature::parse(header.value).is_ok_and(|s| is_wanted(&s, wanted));
    readable || message.errors.iter().any(unreadable)
}

/// Where the empty line ends, or the message.
fn header_end(raw: &[u8]) -> usize {
    let mut line_start = 0;
    for (index, _) in raw.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        let line = raw.get(line_start..index).unwrap_or_default();
        line_start = index + 1;
        if line.is_empty() || line == b"\r" {
            return line_start;
        }
    }
    raw.len()
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

/// The keys that were used for one message; `mail-auth` has no other way to say which flags they have. The resolver
/// caches for all messages.
#[derive(Default)]
struct KeysSeen(Mutex<Vec<(Box<str>, Txt)>>);

impl KeysSeen {
    fn is_for_tests(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Txt::DomainKey(key)) if key.has_flag(KEY_FLAG_TESTING))
    }
}

impl ResolverCache<Box<str>, Txt> for KeysSeen {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().find(|(key, _)| std::borrow::Borrow::borrow(key) == name).map(|(_, value)| value.clone())
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, key: Box<str>, value: Txt, _: std::time::Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((key, value));
    }
}

#[cfg(test)]
mod tests;
