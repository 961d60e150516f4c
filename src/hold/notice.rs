//! The message that brings a message back: a delivery status notification (RFC 3464) with the reason, and the returned
//! message itself, to its own sender and nobody else.
//!
//! Why not let the mail server return it? `postsuper -f` expires a message: Postfix's own text says "message is
//! administratively expired" and cannot give a reason, the report goes to the envelope sender as edited (with a list's return
//! path: not to the author), and Sendmail has nothing of the kind. A release to a transport that bounces would take the message
//! off hold, one configuration error away from delivering it. So the notice is made here and handed to the
//! mail server's own submission program; only then is the held message deleted, from the hold queue alone.

use std::borrow::Cow;
use std::path::PathBuf;

use data_encoding::BASE64_MIME;
use jiff::Timestamp;

use super::entry::Entry;
use super::mta::{MtaError, QUOTED_BYTES_MAX, run_program};
use crate::charter::overdue::Overdue;
use crate::message::{mime, splice};
use crate::wording::Language;
use crate::wording::returned::{self, Returned};

/// Who takes a notice to its reader.
pub trait Post {
    /// Hands over a message with the null envelope sender (RFC 3464 section 2), to this one recipient.
    ///
    /// # Errors
    /// [`MtaError`] when it was not taken.
    fn send(&mut self, recipient: &str, message: &[u8]) -> Result<(), MtaError>;
}

/// The mail server's submission program (`sendmail`, of Postfix or Sendmail).
#[derive(Debug, Clone)]
pub struct Submission {
    /// The program.
    pub program: PathBuf,
}

impl Post for Submission {
    fn send(&mut self, recipient: &str, message: &[u8]) -> Result<(), MtaError> {
        // `--` ends the options: no recipient can be one. `-i`: a line with a dot alone does not end the message.
        let arguments = ["-i", "-B8BITMIME", "-f", "<>", "--", recipient];
        run_program(&self.program, &arguments, message)
    }
}

/// What a notice says.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// The charter's language.
    pub language: Language,
    /// Why the message comes back.
    pub why: Overdue,
    /// What the text quotes.
    pub returned: Returned<'a>,
    /// The name of this host.
    pub host: &'a str,
    /// From whom the notice is, `MAILER-DAEMON` when `None`.
    pub from: Option<&'a str>,
    /// The time.
    pub now: Timestamp,
}

/// Writes the notice; lines end with LF, as submission programs expect. The Message-ID depends on the returned message alone, so
/// that a second copy, sent after a crash, is known as one.
#[must_use]
pub fn compose(entry: &Entry, recipient: &str, original: &[u8], notice: &Notice<'_>) -> Vec<u8> {
    let host = notice.host;
    let from = notice.from.map_or_else(|| format!("MAILER-DAEMON@{host}"), str::to_owned);
    let reference = &entry.held.reference;
    let boundary = boundary(reference, original);
    let subject = encoded_word(returned::subject(notice.language));
    let date = jiff::fmt::rfc2822::to_string(&notice.now.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default();
    let text = returned::text(notice.language, notice.why, &notice.returned);
    let (kind, content) = quoted(original);
    let arrived =
        jiff::fmt::rfc2822::to_string(&entry.held.arrival.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default();
    let list = &entry.held.list;
    let mut message = format!(
        "From: <{from}>\nTo: <{recipient}>\nSubject: {subject}\nDate: {date}\n\
         Message-ID: <returned.{number}.{reference}@{host}>\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"{boundary}\"\n\n\
         --{boundary}\nContent-Type: text/plain; charset=utf-8\nContent-Language: {language}\n\
         Content-Transfer-Encoding: base64\n\n{text}\n\
         --{boundary}\nContent-Type: message/delivery-status\n\n\
         Reporting-MTA: dns; {host}\nArrival-Date: {arrived}\n\n\
         Final-Recipient: rfc822; {list}\nAction: failed\nStatus: {status}\n\n\
         --{boundary}\n{kind}\n\n",
        number = entry.number,
        language = notice.language.tag(),
        text = BASE64_MIME.encode(text.as_bytes()).replace('\r', ""),
        status = status(notice.why),
    )
    .into_bytes();
    message.extend_from_slice(&content);
    message.extend_from_slice(format!("\n--{boundary}--\n").as_bytes());
    message
}

/// The enhanced status code (RFC 3463): 5.4.7 delivery time expired, 5.7.1 delivery not authorised.
fn status(why: Overdue) -> &'static str {
    match why {
        Overdue::PeriodOver | Overdue::NoWindowLeft => "5.4.7",
        Overdue::Suspended | Overdue::Order => "5.7.1",
    }
}

/// The message, or where it is too long its header (RFC 6522 allows both), below the fields that say what it is.
///
/// A field with raw 8-bit octets, as some programs still write them, goes encoded: Postfix looks into the message and would ask
/// the next server for SMTPUTF8, and where that has none the notice would be lost. `message/rfc822` must not be encoded,
/// `message/global` may (RFC 6532 section 3.7).
fn quoted(original: &[u8]) -> (&'static str, Cow<'_, [u8]>) {
    if original.len() > QUOTED_BYTES_MAX {
        let end = original.windows(2).position(|pair| pair == b"\n\n").map_or(0, |at| at + 1);
        let header = original.get(..end.min(QUOTED_BYTES_MAX)).unwrap_or_default();
        return ("Content-Type: text/rfc822-headers\nContent-Transfer-Encoding: 8bit", header.into());
    }
    let tree = mime::parse(original, &mime::Limits::default());
    let is_raw = |part: &mime::Part| !original.get(part.header.clone()).unwrap_or_default().is_ascii();
    if tree.parts().any(is_raw) {
        let kind = "Content-Type: message/global\nContent-Transfer-Encoding: base64\n\
                    Content-Disposition: attachment; filename=\"message.eml\"";
        return (kind, splice::base64(original, "\n").into());
    }
    ("Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit", original.into())
}

/// A boundary that does not occur in the message: whoever wrote it could not know the whole of it.
fn boundary(reference: &str, original: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update(reference).chain_update(original).finalize();
    let text = data_encoding::HEXLOWER.encode(&digest);
    format!("returned-{}", text.get(..32).unwrap_or(&text))
}

fn encoded_word(text: &str) -> String {
    if text.is_ascii() {
        text.to_owned()
    } else {
        format!("=?utf-8?B?{}?=", data_encoding::BASE64.encode(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{EntryNumber, Held, State};
    use super::super::ledger::tests::held;
    use super::*;
    use mail_parser::{MessageParser, MimeHeaders};

    fn entry() -> Entry {
        let now = Timestamp::from_second(1_529_917_200).unwrap();
        let held = Held { arrival: now, size_bytes: 10, ..held("3F2A41C2B", "p1") };
        let (number, since) = (EntryNumber(7), now);
        Entry {
            number,
            held,
            state: State::SeenInQueue,
            since,
            sighting: None,
            released: None,
            by_order: false,
            removal: None,
        }
    }

    fn composed(original: &[u8]) -> Vec<u8> {
        let returned = Returned {
            list: "Élections – C",
            charter: "Listes électorales",
            arrived: "25 juin 2018",
            reference: "12-0123456789abcdef",
            contest: None,
            order: None,
            was_let_go: false,
        };
        let notice = Notice {
            language: Language::French,
            why: Overdue::PeriodOver,
            returned,
            host: "gw.cnrs.example",
            from: None,
            now: Timestamp::from_second(1_531_180_800).unwrap(),
        };
        compose(&entry(), "liste-a@candidats.cnrs.example", original, &notice)
    }

    #[test]
    fn a_notice_is_a_report_with_the_reason_the_status_and_the_message() {
        let original = "From: liste-a@candidats.cnrs.example\nSubject: Bonjour\n\nTexte\n.\n";
        let bytes = composed(original.as_bytes());
        let notice = MessageParser::new().parse(&bytes).unwrap();
        assert_eq!(notice.content_type().unwrap().subtype(), Some("report"));
        assert_eq!(notice.subject(), Some("Message non distribué"));
        let parts: Vec<_> = notice.parts.iter().skip(1).map(|p| p.content_type().unwrap().subtype().unwrap()).collect();
        assert_eq!(parts, ["plain", "delivery-status", "rfc822"]);
        assert!(notice.body_text(0).unwrap().contains("s'est terminée avant qu'il ait pu partir"));
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("Status: 5.4.7\n") && text.contains(original), "{text}");
        assert_eq!(
            text.lines().filter(|line| line.starts_with("Message-ID: <returned.7.12-0123456789abcdef@")).count(),
            1
        );
    }

    #[test]
    fn a_message_with_raw_octets_in_its_header_comes_back_encoded() {
        let part =
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Description: é\n\nx\n--b--\n";
        for original in ["From: a@b.example\nSubject: Réunion\n\nTexte\n", part] {
            let bytes = composed(original.as_bytes());
            assert!(bytes.is_ascii());
            let notice = MessageParser::new().parse(&bytes).unwrap();
            let last = notice.parts.iter().rfind(|part| part.content_type().is_some()).unwrap();
            assert_eq!(last.content_type().unwrap().subtype(), Some("global"));
            assert_eq!(last.contents(), original.as_bytes());
        }
        let text = String::from_utf8(composed("From: a@b.example\n\nTexte à lire\n".as_bytes())).unwrap();
        assert!(text.contains("message/rfc822") && text.contains("Texte à lire"));
    }

    #[test]
    fn of_a_large_message_only_the_header_comes_back() {
        let original = format!("Subject: x\nX: y\n\n{}", "long\n".repeat(QUOTED_BYTES_MAX / 4));
        let text = String::from_utf8(composed(original.as_bytes())).unwrap();
        assert!(
            text.contains("text/rfc822-headers") && text.contains("\n\nSubject: x\nX: y\n") && !text.contains("long")
        );
    }
}
