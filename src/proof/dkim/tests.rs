#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use data_encoding::BASE64;
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::{Canonicalization, DkimSigner, Done};
use mail_auth::hickory_resolver::proto::op::{Message, OpCode};
use mail_auth::hickory_resolver::proto::rr::rdata::TXT;
use mail_auth::hickory_resolver::proto::rr::{RData, Record};

use super::*;

const DOMAIN: &str = "candidats.cnrs.example";

const TEXT: &str = "From: Liste A <liste-a@candidats.cnrs.example>\r\nTo: electeurs-c@elections.cnrs.example\r\n\
                    Subject: Notre programme\r\n\r\nBonjour,\r\n\r\nvoici notre programme.\r\n";

/// A DNS server with a few TXT records, on a port of its own.
struct Dns {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

/// What the server says of a name; of all others it says that they do not exist.
#[derive(Clone)]
enum Says {
    Txt(String),
    Fails,
    Nothing,
    NoRecords,
}

impl Dns {
    fn with(names: Vec<(&str, Says)>) -> Self {
        let names: HashMap<String, Says> = names.into_iter().map(|(n, says)| (format!("{n}."), says)).collect();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                counter.fetch_add(1, Ordering::SeqCst);
                if let Some(answer) = answer(&buffer[..length], &names) {
                    socket.send_to(&answer, client).unwrap();
                }
            }
        });
        Self { address, asked }
    }

    /// Patient, so that a busy machine does not look like a silent server.
    fn verifier(&self) -> Verifier {
        Verifier::new(&[self.address], Duration::from_secs(20)).unwrap()
    }

    fn impatient_verifier(&self) -> Verifier {
        Verifier::new(&[self.address], Duration::from_millis(300)).unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(question: &[u8], names: &HashMap<String, Says>) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries.first().unwrap().clone();
    let name = query.name().clone();
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.add_query(query);
    match names.get(&name.to_ascii().to_lowercase()) {
        Some(Says::Txt(text)) => {
            // A character-string has at most 255 octets (RFC 1035 section 3.3); long keys come in several.
            let strings = text.as_bytes().chunks(255).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
            answer.add_answer(Record::from_rdata(name, 300, RData::TXT(TXT::new(strings))));
        }
        Some(Says::Fails) => answer.metadata.response_code = ResponseCode::ServFail,
        Some(Says::Nothing) => return None,
        Some(Says::NoRecords) => {}
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    Some(answer.to_vec().unwrap())
}

struct Signer(Vec<u8>);

impl Signer {
    fn new() -> Self {
        Self(Ed25519Key::generate_pkcs8().unwrap())
    }

    fn key(&self) -> Ed25519Key {
        Ed25519Key::from_pkcs8_der(&self.0).unwrap()
    }

    /// The TXT record of its key, with other tags before it.
    fn record(&self, tags: &str) -> Says {
        Says::Txt(format!("v=DKIM1; k=ed25519; {tags}p={}", BASE64.encode(&self.key().public_key())))
    }

    /// `text` with a signature above it.
    fn sign(&self, text: &str, how: impl Fn(DkimSigner<Ed25519Key, Done>) -> DkimSigner<Ed25519Key, Done>) -> String {
        self.sign_as(DOMAIN, &["From", "To", "Subject"], text, how)
    }

    fn sign_as(
        &self,
        domain: &str,
        fields: &[&str],
        text: &str,
        how: impl Fn(DkimSigner<Ed25519Key, Done>) -> DkimSigner<Ed25519Key, Done>,
    ) -> String {
        let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
        let signer = DkimSigner::from_key(self.key()).domain(domain).selector("s1").headers(fields);
        format!("{}{text}", how(signer).sign(text.as_bytes()).unwrap().to_header())
    }
}

const KEY_NAME: &str = "s1._domainkey.candidats.cnrs.example";

/// The hour in which these tests run: signatures say when they were made.
#[expect(clippy::disallowed_methods, reason = "signatures made by the test bear the time of the test")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn good() -> Report {
    let verified = vec![Verified { domain: DOMAIN.into(), selector: "s1".into() }];
    Report { verified, ..Report::default() }
}

fn rejected(reason: NotProof) -> Report {
    Report { rejected: vec![(DOMAIN.into(), reason)], ..Report::default() }
}

fn unavailable() -> Report {
    Report { unavailable: vec![DOMAIN.into()], ..Report::default() }
}

async fn verify(dns: &Dns, raw: &str) -> Report {
    dns.verifier().verify(raw.as_bytes(), &[DOMAIN], now()).await
}

#[tokio::test]
async fn a_good_signature_of_a_wanted_domain_is_proof() {
    let signer = Signer::new();
    let dns = Dns::with(vec![(KEY_NAME, signer.record(""))]);
    for c in [Canonicalization::Simple, Canonicalization::Relaxed] {
        let raw = signer.sign(TEXT, |s| s.header_canonicalization(c).body_canonicalization(c));
        assert_eq!(verify(&dns, &raw).await, good(), "{c:?}");
    }
    // Names are compared without regard to case or a final dot.
    let raw = signer.sign(TEXT, |s| s);
    let report = dns.verifier().verify(raw.as_bytes(), &["Candidats.CNRS.example."], now()).await;
    assert_eq!(report, good());
    // A large body is hashed elsewhere, with the same result.
    let large = format!("{TEXT}{}", "Une ligne de plus.\r\n".repeat(50_000));
    assert_eq!(verify(&dns, &signer.sign(&large, |s| s)).await, good());
}

/// Signed once, by OpenSSL and without `mail-auth`, under a 2048-bit key that was destroyed afterwards; the body has the
/// blanks and empty lines that `relaxed` takes away.
#[tokio::test]
async fn an_rsa_signature_is_verified_as_well() {
    let raw = include_str!("rsa-signed.eml").replace('\n', "\r\n");
    let key = include_str!("rsa-key.txt").trim();
    let dns = Dns::with(vec![(KEY_NAME, Says::Txt(key.to_owned()))]);
    assert_eq!(verify(&dns, &raw).await, good());
    let forged = raw.replace("liste-a@", "liste-b@");
    assert_eq!(verify(&dns, &forged).await, rejected(NotProof::HeaderChanged));
}

#[tokio::test]
async fn other_domains_are_not_looked_at_and_dns_is_not_asked() {
    let signer = Signer::new();
    let dns = Dns::with(vec![(KEY_NAME, signer.record(""))]);
    let raw = signer.sign(TEXT, |s| s);
    let verifier = dns.verifier();
    assert_eq!(verifier.verify(raw.as_bytes(), &["cnrs.example"], now()).await, Report::default());
    assert_eq!(verifier.verify(raw.as_bytes(), &[], now()).await, Report::default());
    assert_eq!(verifier.verify(TEXT.as_bytes(), &[DOMAIN], now()).await, Report::default());
    assert_eq!(verifier.verify(b"", &[DOMAIN], now()).await, Report::default());
    // A signature in the body is text.
    let quoted = format!("From: x@evil.example\r\n\r\n{raw}");
    assert_eq!(verifier.verify(quoted.as_bytes(), &[DOMAIN], now()).await, Report::default());
    assert_eq!(dns.asked(), 0);
}

#[tokio::test]
async fn what_was_changed_after_signing_is_no_proof() {
    let signer = Signer::new();
    let dns = Dns::with(vec![(KEY_NAME, signer.record(""))]);
    let raw = signer.sign(TEXT, |s| s);
    let cases = [
        ("voici notre", "voici leur", NotProof::BodyChanged),
        ("Notre programme", "Leur programme", NotProof::HeaderChanged),
        ("liste-a@", "liste-b@", NotProof::HeaderChanged),
    ];
    for (old, new, reason) in cases {
        assert!(raw.contains(old));
        assert_eq!(verify(&dns, &raw.replace(old, new)).await, rejected(reason), "{new}");
    }
    let stranger = Signer::new().sign(TEXT, |s| s);
    assert_eq!(verify(&dns, &stranger).await, rejected(NotProof::HeaderChanged));
}

#[tokio::test]
async fn signatures_that_leave_something_open_are_no_proof_and_dns_is_not_asked() {
    let signer = Signer::new();
    let dns = Dns::with(vec![(KEY_NAME, signer.record(""))]);
    let good = signer.sign(TEXT, |s| s);
    let sha1 = good.replace("a=ed25519-sha256", "a=rsa-sha1");
    let zero = good.replace("a=ed25519-sha256", "a=ed25519-sha256; l=0");
    let selector = good.replace("s=s1;", "s=a..b;");
    assert!(sha1 != good && zero != good && selector != good);
    let cases = [
        (signer.sign_as(DOMAIN, &["To", "Subject"], TEXT, |s| s), NotProof::FromNotSigned),
        (signer.sign(TEXT, |s| s.body_length(true)), NotProof::LengthLimited),
        (zero, NotProof::LengthLimited),
        (sha1, NotProof::WeakAlgorithm),
        (selector, NotProof::Malformed),
        // The signature covers the lower of two From fields, and readers show the upper one.
        (format!("From: liste-b@candidats.cnrs.example\r\n{good}"), NotProof::FromNotSingle),
    ];
    for (raw, reason) in cases {
        assert_eq!(verify(&dns, &raw).await, rejected(reason));
    }
    assert_eq!(dns.asked(), 0);
}

#[tokio::test]
async fn expiry_is_judged_by_the_clock_that_is_handed_down() {
    let signer = Signer::new();
    let dns = Dns::with(vec![(KEY_NAME, signer.record(""))]);
    let raw = signer.sign(TEXT, |s| s.expiration(3600));
    let verifier = dns.verifier();
    for (minutes, expected) in [(-600, good()), (0, good()), (59, good()), (61, rejected(NotProof::Expired))] {
        let at = now() + jiff::SignedDuration::from_mins(minutes);
        assert_eq!(verifier.verify(raw.as_bytes(), &[DOMAIN], at).await, expected, "{minutes}");
    }
}

#[tokio::test]
async fn what_the_domain_says_of_its_key_counts() {
    let signer = Signer::new();
    let raw = signer.sign(TEXT, |s| s);
    let cases = [
        (vec![], rejected(NotProof::NoKey)),
        (vec![(KEY_NAME, Says::NoRecords)], rejected(NotProof::NoKey)),
        (vec![(KEY_NAME, Says::Txt("v=DKIM1; k=ed25519; p=".into()))], rejected(NotProof::NoKey)),
        (vec![(KEY_NAME, Says::Txt("v=spf1 -all".into()))], rejected(NotProof::NoKey)),
        (vec![(KEY_NAME, signer.record("t=y; "))], rejected(NotProof::KeyForTests)),
        (vec![(KEY_NAME, signer.record("t=s; "))], good()),
    ];
    for (names, expected) in cases {
        assert_eq!(verify(&Dns::with(names), &raw).await, expected);
    }
}

#[tokio::test]
async fn a_dns_failure_is_neither_yes_nor_no() {
    let signer = Signer::new();
    let raw = signer.sign(TEXT, |s| s);
    let failing = Dns::with(vec![(KEY_NAME, Says::Fails)]);
    assert_eq!(verify(&failing, &raw).await, unavailable());
    let silent = Dns::with(vec![(KEY_NAME, Says::Nothing)]);
    let start = std::time::Instant::now();
    let report = silent.impatient_verifier().verify(raw.as_bytes(), &[DOMAIN], now()).await;
    assert_eq!(report, unavailable());
    assert!(start.elapsed() < Duration::from_secs(10), "three times the timeout, and what a busy machine adds");
    assert!(failing.asked() > 0 && silent.asked() > 0);
    let nobody = Verifier::new(&["127.0.0.1:9".parse().unwrap()], Duration::from_millis(200)).unwrap();
    assert_eq!(nobody.verify(raw.as_bytes(), &[DOMAIN], now()).await, unavailable());
}

#[tokio::test]
async fn the_number_of_signatures_is_bounded() {
    let signer = Signer::new();
    let dns = Dns::with(vec![(KEY_NAME, signer.record(""))]);
    let stack = |count: usize| (0..count).fold(TEXT.to_owned(), |text, _| signer.sign(&text, |s| s));
    let report = verify(&dns, &stack(SIGNATURES_MAX + 1)).await;
    assert_eq!(
        (report.verified.len(), report.rejected.as_slice()),
        (SIGNATURES_MAX, [(DOMAIN.to_owned(), NotProof::TooMany)].as_slice())
    );
    let asked = dns.asked();
    let report = verify(&dns, &stack(SIGNATURE_FIELDS_MAX + 1)).await;
    assert!(report.verified.is_empty() && report.rejected.iter().all(|(_, reason)| *reason == NotProof::TooMany));
    assert_eq!(dns.asked(), asked);
}

#[tokio::test]
async fn signatures_of_strangers_do_not_hide_a_good_one() {
    let signer = Signer::new();
    let dns = Dns::with(vec![(KEY_NAME, signer.record(""))]);
    let mut raw = signer.sign(TEXT, |s| s);
    for n in 0..20 {
        raw = Signer::new().sign_as(&format!("d{n}.example"), &["From"], &raw, |s| s);
    }
    assert_eq!(verify(&dns, &raw).await, good());
    assert_eq!(dns.asked(), 1, "strangers' keys are not asked for");
}

#[tokio::test]
async fn keys_are_cached() {
    let signer = Signer::new();
    let dns = Dns::with(vec![(KEY_NAME, signer.record(""))]);
    let verifier = dns.verifier();
    for _ in 0..3 {
        assert_eq!(verifier.verify(signer.sign(TEXT, |s| s).as_bytes(), &[DOMAIN], now()).await, good());
    }
    assert_eq!(dns.asked(), 1);
}

#[test]
fn the_header_ends_at_the_first_empty_line() {
    for (raw, end) in [("", 0), ("a: b\r\n\r\nc", 8), ("a: b\n\nc", 6), ("\r\nc", 2), ("a: b\r\n c\r\n", 10)] {
        assert_eq!(header_end(raw.as_bytes()), end, "{raw:?}");
    }
}
