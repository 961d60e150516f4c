//! One connection from the MTA: what has been heard so far, message after message.
//!
//! indymilter keeps `context.data` for the whole connection and runs no abort callback after a panic, so everything that
//! belongs to one message lives in [`Incoming`], which MAIL makes anew and every end takes away.

use std::net::IpAddr;
use std::sync::Arc;

use crate::charter::verdict::{Evidence, ReasonCode};
use crate::gateway::{Arrived, Gateway, Matter, Ruled, UnderWay};
use crate::message::address::Address;
use crate::message::envelope::{Envelope, Recipient};
use crate::wording::replies::Reply;

use crate::config::daemon::Role;

/// What to tell the MTA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction {
    /// Go on.
    Continue,
    /// Nothing more to say about this message: let it pass.
    Accept,
    /// No more body, please; the answer comes at the end of the message.
    Skip,
    /// Refuse, for now or for good; the reply says which.
    Refuse(Reply),
}

/// The state of one connection.
pub struct Session {
    gateway: Arc<Gateway>,
    role: Role,
    client_address: Option<IpAddr>,
    incoming: Option<Incoming>,
}

/// The state of one message.
struct Incoming {
    envelope: Envelope,
    matter: Option<Matter>,
    arrived: Arrived,
    fields: usize,
    header_bytes: usize,
    header_done: bool,
    over: Option<(ReasonCode, &'static str)>,
    /// Held from DATA on: a daemon that stops waits for it.
    under_way: Option<UnderWay>,
}

/// What the MTA says of a client at MAIL.
#[derive(Debug, Default)]
pub struct MailMacros {
    /// `{auth_authen}`.
    pub login: Option<String>,
    /// `{cert_subject}`, set only when the certificate was verified.
    pub certificate: Option<String>,
}

impl Session {
    /// A new connection.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, role: Role) -> Self {
        Self { gateway, role, client_address: None, incoming: None }
    }

    /// The client has connected to the MTA.
    pub fn connect(&mut self, client_address: Option<IpAddr>) {
        self.client_address = client_address;
        self.incoming = None;
    }

    /// MAIL FROM: a new message begins, whatever became of the last.
    pub fn mail(&mut self, sender: &str, parameters: &[String], macros: MailMacros) {
        let null = matches!(sender.trim(), "<>" | "");
        let address = (!null).then(|| Address::parse(sender));
        let value = |name: &str| {
            parameters.iter().find_map(|parameter| {
                let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                key.eq_ignore_ascii_case(name).then_some(value)
            })
        };
        let envelope = Envelope {
            client_address: self.client_address,
            sasl_login: macros.login.filter(|login| !login.is_empty()),
            tls_subject: macros.certificate.filter(|subject| !subject.is_empty()),
            sender_malformed: matches!(address, Some(Err(_))),
            sender: address.and_then(Result::ok),
            declared_size_bytes: value("SIZE").and_then(|size| size.parse().ok()),
            smtputf8: value("SMTPUTF8").is_some(),
            keeps_notify: self.gateway.in_force().keeps_notify(),
            recipients: Vec::new(),
            arrived: Some(self.gateway.now()),
            queue_id: None,
        };
        self.incoming = Some(Incoming {
            envelope,
            matter: None,
            arrived: Arrived::default(),
            fields: 0,
            header_bytes: 0,
            header_done: false,
            over: None,
            under_way: None,
        });
    }

    /// RCPT TO; a deactivated mailbox is refused by itself, where the MTA lets us answer (am:3.2.1).
    pub async fn rcpt(&mut self, path: &str, parameters: Vec<String>, may_answer: bool) -> Reaction {
        let Some(incoming) = &mut self.incoming else { return Reaction::Continue };
        let address = Address::parse(path).ok();
        let recipient = Recipient { raw: path.to_owned(), address, parameters };
        if may_answer && let Some(reply) = self.gateway.refuses_recipient(&incoming.envelope, &recipient).await {
            return Reaction::Refuse(reply);
        }
        incoming.envelope.recipients.push(recipient);
        Reaction::Continue
    }

    /// DATA: mail that no rule concerns passes; what the envelope decides is refused before the content travels.
    pub async fn data(&mut self, queue_id: Option<String>) -> Reaction {
        let Some(incoming) = &mut self.incoming else { return Reaction::Continue };
        incoming.envelope.queue_id = queue_id;
        let Some(matter) = self.gateway.take_up(&incoming.envelope) else {
            self.incoming = None;
            return Reaction::Accept;
        };
        incoming.under_way = Some(self.gateway.under_way().clone());
        if self.role == Role::Hold {
            incoming.matter = Some(matter);
            return Reaction::Continue;
        }
        if let Some(reply) = self.gateway.judge_envelope(&matter, &incoming.envelope).await {
            self.incoming = None;
            return Reaction::Refuse(reply);
        }
        let declared = incoming.envelope.declared_size_bytes.unwrap_or_default();
        let Some((room, permit)) = self.gateway.budget().open(declared) else {
            let reply =
                self.gateway.refuse_for(&matter, &incoming.envelope, ReasonCode::OverBudget, Evidence::None).await;
            self.incoming = None;
            return Reaction::Refuse(reply);
        };
        incoming.arrived = Arrived { raw: room, permit: Some(permit), ..Arrived::default() };
        incoming.matter = Some(matter);
        Reaction::Continue
    }

    /// One header field, its value exactly as received, with the space after the colon.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        let Some(incoming) = &mut self.incoming else { return };
        let Some(matter) = &incoming.matter else { return };
        let limits = matter.limits();
        incoming.fields += 1;
        if incoming.fields > limits.header_fields_max as usize {
            incoming.over.get_or_insert((ReasonCode::OverLimit, "header-fields"));
        }
        if name.len() + value.len() > bytes(limits.header_field_bytes_max) {
            incoming.over.get_or_insert((ReasonCode::OverLimit, "header-field-bytes"));
        }
        if incoming.arrived.raw.len() + name.len() + value.len() > bytes(limits.header_bytes_max) {
            incoming.over.get_or_insert((ReasonCode::OverLimit, "header-bytes"));
        }
        if incoming.over.is_some() {
            return;
        }
        incoming.arrived.raw.extend_from_slice(name);
        incoming.arrived.raw.push(b':');
        append_with_crlf(&mut incoming.arrived.raw, value);
        incoming.arrived.raw.extend_from_slice(b"\r\n");
    }

    /// The end of the header: what only concerned the header need not send its body.
    pub fn end_of_header(&mut self) -> Reaction {
        let Some(incoming) = &mut self.incoming else { return Reaction::Continue };
        incoming.arrived.raw.extend_from_slice(b"\r\n");
        incoming.header_bytes = incoming.arrived.raw.len();
        incoming.header_done = true;
        let Some(matter) = &incoming.matter else { return Reaction::Continue };
        if incoming.over.is_none() && matter.ends_with_header(&incoming.envelope, &incoming.arrived.raw) {
            self.incoming = None;
            return Reaction::Accept;
        }
        Reaction::Continue
    }

    /// A piece of the body.
    pub fn body(&mut self, chunk: &[u8]) -> Reaction {
        let Some(incoming) = &mut self.incoming else { return Reaction::Continue };
        let Some(matter) = &incoming.matter else { return Reaction::Continue };
        if incoming.over.is_some() {
            return Reaction::Skip;
        }
        let size = incoming.arrived.raw.len() + chunk.len();
        if size - incoming.header_bytes > bytes(matter.limits().body_bytes_max) {
            incoming.over = Some((ReasonCode::OverLimit, "body-bytes"));
        } else if !incoming.make_room(size) {
            incoming.over = Some((ReasonCode::OverBudget, "memory"));
        }
        if incoming.over.is_some() {
            incoming.arrived.raw = Vec::new();
            return Reaction::Skip;
        }
        incoming.arrived.raw.extend_from_slice(chunk);
        incoming.arrived.skim.follow(&incoming.arrived.raw);
        Reaction::Continue
    }

    /// The end of the message: the decision.
    pub async fn end_of_message(&mut self, queue_id: Option<String>) -> Ruled {
        let Some(mut incoming) = self.incoming.take() else { return Ruled::pass() };
        if queue_id.is_some() {
            incoming.envelope.queue_id = queue_id;
        }
        let Some(matter) = incoming.matter else { return Ruled::pass() };
        if self.role == Role::Hold {
            return self.gateway.recall(&matter, &incoming.envelope).await;
        }
        if let Some((reason, limit)) = incoming.over {
            let reply = self.gateway.refuse_for(&matter, &incoming.envelope, reason, Evidence::Limit(limit)).await;
            return Ruled::refuse(reply);
        }
        if !incoming.header_done {
            incoming.arrived.raw.extend_from_slice(b"\r\n");
        }
        self.gateway.judge(matter, incoming.envelope, incoming.arrived, self.role).await
    }

    /// The message ends here without a decision: RSET, a new MAIL, or the client gone.
    pub fn abort(&mut self) {
        self.incoming = None;
    }

    /// The gateway behind this connection.
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }
}

impl Incoming {
    /// Makes room for a message of `size` octets, in steps and not by doubling, and counts what is really taken; `false`
    /// when the memory budget is used up.
    fn make_room(&mut self, size: usize) -> bool {
        let Arrived { raw, permit, .. } = &mut self.arrived;
        if size > raw.capacity() {
            raw.reserve_exact(size - raw.len() + growth(size));
        }
        let taken = raw.capacity();
        permit.as_mut().is_some_and(|permit| permit.grow_to(taken))
    }
}

/// How much more to make room for when a message that grows has `size` octets.
fn growth(size: usize) -> usize {
    if size < PACKET_BYTES { 0 } else { (size / GROWTH_DIVISOR).max(GROWTH_BYTES_MIN) }
}

/// A message whose size was not declared grows by this part of itself, so that no octet is moved more than a few times…
const GROWTH_DIVISOR: usize = 3;

/// …and at least by this, four packets of the milter protocol…
const GROWTH_BYTES_MIN: usize = 256 * 1024;

/// …unless it is shorter than one (Postfix's and libmilter's `MILTER_CHUNK_SIZE`): then it is all there.
const PACKET_BYTES: usize = 65_535;

/// A limit as a length in memory.
fn bytes(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// MTAs pass the lines of a folded field with LF alone; on the wire they end with CRLF, and DKIM counts on it.
fn append_with_crlf(raw: &mut Vec<u8>, value: &[u8]) {
    let mut previous = 0u8;
    for &byte in value {
        if byte == b'\n' && previous != b'\r' {
            raw.push(b'\r');
        }
        raw.push(byte);
        previous = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_message_takes_no_more_than_it_needs() {
        assert_eq!(growth(2_000), 0);
        assert_eq!(growth(PACKET_BYTES), GROWTH_BYTES_MIN);
        assert_eq!(growth(30 << 20), 10 << 20);
    }
}
