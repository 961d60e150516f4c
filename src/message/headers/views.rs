//! What the fields of a header say: who wrote the message, what it answers, where answers go, what it asks of its
//! readers.

use super::{Header, words};
use crate::message::address::{Address, Mailbox};

/// The fields that ask for a read or delivery receipt, of all the mail programs known to have one (cnrs:III.e).
/// RFC 8098 defines the first two, the others never were standards.
const RECEIPT_FIELDS: &[&str] = &[
    "Disposition-Notification-To",
    "Disposition-Notification-Options",
    "Return-Receipt-To",
    "Return-Receipt-Requested",
    "Return-Receipt-Requested-To",
    "X-Confirm-Reading-To",
    "X-PMRQC",
    "Read-Receipt-To",
    "Receipt-Requested-To",
    "Generate-Delivery-Report",
    "Delivery-Receipt-To",
    "Notice-Requested-Upon-Delivery-To",
    "Register-Mail-Reply-Requested-By",
    "Registered-Mail-Reply-Requested-By",
    "X-Ack",
    "X-Acknowledge-To",
    "X-MSMail-Receipt-Requested",
    "X-MSMail-Read-Receipt",
    "X-MSMail-Delivery-Receipt",
    "Original-Recipient-Receipt-Requested",
    "X-Read-Notification",
    "X-Return-Receipt-To",
];

/// Message identifiers read from one field; a References field of a longer thread is cut (RFC 5322 knows no limit).
const IDS_MAX: usize = 1000;

/// Why a field does not name exactly one mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FromDefect {
    /// There is no such field.
    Missing,
    /// There are several fields of this name.
    SeveralFields,
    /// The field names several mailboxes.
    SeveralMailboxes,
    /// The field names a group.
    Group,
    /// The field cannot be read, or two mail programs would read it differently.
    Unreadable,
}

impl FromDefect {
    /// Every defect.
    pub const ALL: &[Self] =
        &[Self::Missing, Self::SeveralFields, Self::SeveralMailboxes, Self::Group, Self::Unreadable];

    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::SeveralFields => "several-fields",
            Self::SeveralMailboxes => "several-mailboxes",
            Self::Group => "group",
            Self::Unreadable => "unreadable",
        }
    }
}

impl std::fmt::Display for FromDefect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Header {
    /// The one mailbox of From; its display name is decoded, and never taken for an address (am:5.1.e).
    ///
    /// # Errors
    /// [`FromDefect`] when there is not exactly one.
    pub fn from(&self) -> Result<Mailbox, FromDefect> {
        self.one_mailbox("From")
    }

    /// The one mailbox of Sender; most messages have none.
    ///
    /// # Errors
    /// [`FromDefect`] when there is not exactly one.
    pub fn sender(&self) -> Result<Mailbox, FromDefect> {
        self.one_mailbox("Sender")
    }

    fn one_mailbox(&self, name: &str) -> Result<Mailbox, FromDefect> {
        let mut fields = self.all(name);
        let field = fields.next().ok_or(FromDefect::Missing)?;
        if fields.next().is_some() {
            return Err(FromDefect::SeveralFields);
        }
        if field.text().is_empty() {
            return Err(FromDefect::Missing);
        }
        let mut read = field.mailboxes();
        if read.unreadable {
            return Err(FromDefect::Unreadable);
        }
        if read.group {
            return Err(FromDefect::Group);
        }
        match (read.list.pop(), read.list.is_empty()) {
            (Some(mailbox), true) => {
                let display = mailbox.display.map(|name| words::decode(name.as_bytes()));
                Ok(Mailbox { display, ..mailbox })
            }
            (Some(_), false) => Err(FromDefect::SeveralMailboxes),
            (None, _) => Err(FromDefect::Unreadable),
        }
    }

    /// The mailboxes of all fields of this name that can be read, such as Reply-To or Mail-Followup-To.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Vec<Address> {
        let lists = self.all(name).map(|field| field.mailboxes().list);
        lists.flatten().map(|mailbox| mailbox.address).collect()
    }

    /// The identifiers of Message-ID, with their angle brackets; more than one is a sign of trouble.
    #[must_use]
    pub fn message_ids(&self) -> Vec<String> {
        self.all("Message-ID").flat_map(|field| ids(&field.text())).collect()
    }

    /// The identifiers of the messages this one answers, In-Reply-To first, then References.
    #[must_use]
    pub fn answered_ids(&self) -> Vec<String> {
        let fields = self.all("In-Reply-To").chain(self.all("References"));
        fields.flat_map(|field| ids(&field.text())).take(IDS_MAX).collect()
    }

    /// The subject, decoded: the first field's, which is the one most programs show. `None` when there is none.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        self.first("Subject").map(super::Field::decoded)
    }

    /// Did a program answer another message (RFC 3834 section 5)? So says any `Auto-Submitted` but `no`, and `auto-generated`,
    /// which is for what is no answer, where the header names a message that is answered all the same.
    #[must_use]
    pub fn is_automatic_answer(&self) -> bool {
        self.all("Auto-Submitted").any(|field| {
            let text = field.text();
            let keyword = text.split([';', ' ', '(']).next().unwrap_or_default();
            let is_generated = keyword.eq_ignore_ascii_case("auto-generated");
            !keyword.eq_ignore_ascii_case("no") && (!is_generated || !self.answered_ids().is_empty())
        })
    }
}

/// The identifiers `<…>` in a text, with their brackets, in order (RFC 5322 section 3.6.4, read generously).
#[must_use]
pub fn ids(text: &str) -> Vec<String> {
    let pieces = text.split('<').skip(1).filter_map(|piece| piece.split_once('>'));
    let ids = pieces.map(|(id, _)| id.split_whitespace().collect::<String>()).filter(|id| !id.is_empty());
    ids.take(IDS_MAX).map(|id| format!("<{id}>")).collect()
}

/// The fields that ask for a receipt, each name as often as it is there, in the order of the header, spelled as in the
/// list of known names. A signed request inside an S/MIME signature is not among them (RFC 2634): it is no header field.
#[must_use]
pub fn receipt_requests(header: &Header) -> Vec<&'static str> {
    header.fields().iter().filter_map(receipt_request).collect()
}

/// The name of a field that asks for a receipt; `None` for any other field.
#[must_use]
pub fn receipt_request(field: &super::Field) -> Option<&'static str> {
    RECEIPT_FIELDS.iter().copied().find(|name| field.is(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(block: &str) -> Header {
        Header::parse(block.as_bytes())
    }

    fn from(block: &str) -> Result<String, FromDefect> {
        header(block).from().map(|m| m.address.to_string())
    }

    #[test]
    fn from_is_exactly_one_mailbox_or_says_why_not() {
        for (block, expected) in [
            ("From: Liste A <liste-a@c.example>\n", Ok("liste-a@c.example")),
            ("From:\n =?utf-8?q?chef=40d=2Eexample?=\n <liste-a@c.example>\n", Ok("liste-a@c.example")),
            ("From: \"chef@d.example\" <liste-a@c.example>\n", Ok("liste-a@c.example")),
            ("Subject: x\n", Err(FromDefect::Missing)),
            ("From:\n", Err(FromDefect::Missing)),
            ("From: a@c.example\nfrom: a@c.example\n", Err(FromDefect::SeveralFields)),
            ("From: a@c.example, b@c.example\n", Err(FromDefect::SeveralMailboxes)),
            ("From: Liste A: a@c.example;\n", Err(FromDefect::Group)),
            ("From: undisclosed:;\n", Err(FromDefect::Group)),
            ("From: nobody\n", Err(FromDefect::Unreadable)),
            ("From: <>\n", Err(FromDefect::Unreadable)),
            ("From: chef@d.example <liste-a@c.example>\n", Err(FromDefect::Unreadable)),
            ("From: a@c.example <b@c.example> c@c.example\n", Err(FromDefect::Unreadable)),
            ("From: a@c.example\0\n", Err(FromDefect::Unreadable)),
        ] {
            assert_eq!(from(block), expected.map(str::to_owned), "{block}");
        }
    }

    #[test]
    fn the_display_name_is_decoded_after_the_address_was_read() {
        let mailbox = header("From: =?utf-8?q?=C3=89lue_=3Cx=40y=3E?= <a@c.example>\n").from().unwrap();
        assert_eq!(mailbox.display.as_deref(), Some("Élue <x@y>"));
        assert_eq!(mailbox.address.to_string(), "a@c.example");
    }

    #[test]
    fn identifiers_are_found_through_folding_and_debris() {
        let header =
            header("Message-ID: <a@b>\nIn-Reply-To: Your mail of <c@d> \"x\"\nReferences: <e@f>\n\t<g @h> <\n");
        assert_eq!(header.message_ids(), ["<a@b>"]);
        assert_eq!(header.answered_ids(), ["<c@d>", "<e@f>", "<g@h>"]);
    }

    #[test]
    fn automatic_answers_say_so() {
        for (value, automatic) in [
            ("auto-replied", true),
            ("auto-generated; x=y", false),
            ("no", false),
            ("No (a person)", false),
            ("", true),
        ] {
            assert_eq!(header(&format!("Auto-Submitted: {value}\n")).is_automatic_answer(), automatic, "{value}");
        }
        assert!(header("Auto-Submitted: Auto-Generated\nIn-Reply-To: <a@b>\n").is_automatic_answer());
        assert!(!header("Subject: x\n").is_automatic_answer());
    }

    #[test]
    fn receipt_requests_are_found_by_any_name() {
        let header = header("Disposition-notification-to: a@b\nSubject: x\nx-pmrqc: 1\nX-Ack: YES\nX-PMRQC : 1\n");
        assert_eq!(receipt_requests(&header), ["Disposition-Notification-To", "X-PMRQC", "X-Ack", "X-PMRQC"]);
    }
}
