//! The envelope: who connected, how they proved themselves, who sends and to whom, as SMTP (not the header) says it.

use std::net::IpAddr;

use super::address::Address;

/// Everything known of a message before its content arrives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// The address the SMTP client connected from; `None` for mail submitted locally or over an unknown family.
    pub client_address: Option<IpAddr>,
    /// The SASL login (macro `{auth_authen}`), as the MTA gives it.
    pub sasl_login: Option<String>,
    /// The common name of a *verified* TLS client certificate (macro `{cert_subject}`).
    pub tls_subject: Option<String>,
    /// The envelope sender (MAIL FROM); `None` for the null reverse-path `<>`.
    pub sender: Option<Address>,
    /// The envelope sender could not be read as an address.
    pub sender_malformed: bool,
    /// The size the client declared (RFC 1870), octets.
    pub declared_size_bytes: Option<u64>,
    /// The client asked for SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// The mail server keeps what a recipient's `NOTIFY` asked for, whatever a filter does: Sendmail adds the wishes of a
    /// recipient that is given again to those it had.
    pub keeps_notify: bool,
    /// The recipients, in order.
    pub recipients: Vec<Recipient>,
    /// When MAIL FROM came in.
    pub arrived: Option<jiff::Timestamp>,
    /// The MTA's queue id (macro `i`), once it is known.
    pub queue_id: Option<String>,
}

/// One RCPT TO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The path exactly as the client wrote it, needed to delete or replace it.
    pub raw: String,
    /// The canonical address; `None` when it cannot be read as one.
    pub address: Option<Address>,
    /// The ESMTP parameters, such as `NOTIFY=SUCCESS`.
    pub parameters: Vec<String>,
}
