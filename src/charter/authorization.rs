//! Who may write: the sender on the register, the proof, the adherence, and the agreement of all names a message bears.
//!
//! A From line alone proves nothing (cnrs:I.a, am:5.1.e). The register is asked with the envelope sender while only the
//! envelope is known, and with the mailbox in From once the header has come.

use icu_casemap::CaseMapper;
use jiff::civil::Date;
use unicode_normalization::UnicodeNormalization as _;

use super::case::{Case, Credentials};
use super::facts::From;
use super::verdict::{Evidence, ReasonCode};
use super::{Charter, Delegate, List, Proof, Sender};
use crate::message::address::Address;
use crate::message::envelope::Envelope;

/// Whether a sender is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proven {
    /// By this kind of proof.
    By(&'static str),
    /// Not by the envelope; the content may still do it.
    Open,
    /// The check failed for now (DNS).
    Unavailable,
    /// By nothing.
    No,
}

/// Why a message is not from an authorised sender.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The reason.
    pub reason: ReasonCode,
    /// The figures.
    pub evidence: Evidence,
}

impl Sender {
    /// Whether it writes from this mailbox.
    #[must_use]
    pub fn owns(&self, address: &Address) -> bool {
        self.mailboxes.iter().any(|mailbox| mailbox.address == *address)
    }

    /// Whether it may write to this list.
    #[must_use]
    pub fn writes_to(&self, list: &List) -> bool {
        self.lists.contains(&list.address)
    }

    /// Whether this login may use this mailbox: as the organisation's own login, or as a delegate's (drancy:I.1).
    ///
    /// `None` when the register names no login at all for this sender, so that there is nothing to compare with.
    #[must_use]
    pub fn admits_login(&self, login: &str, mailbox: &Address) -> Option<bool> {
        let mut any = false;
        for proof in &self.proofs {
            if let Proof::Sasl(own) = proof {
                any = true;
                if same_login(own, login) {
                    return Some(true);
                }
            }
        }
        for delegate in &self.delegates {
            any = true;
            if same_login(&delegate.login, login) && delegate.mailboxes.contains(mailbox) {
                return Some(true);
            }
        }
        any.then_some(false)
    }
}

/// Logins are compared as Dovecot and Cyrus store them: without regard to case.
fn same_login(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Whether a login is that of a mailbox: its whole address, or what stands before the `@`.
fn is_login_of(login: &str, mailbox: &Address) -> bool {
    same_login(login, &mailbox.to_string()) || same_login(login, mailbox.local())
}

impl<'a> Case<'a> {
    /// The sender on the register, by the best name known: From once the header has come, else the envelope sender.
    ///
    /// # Errors
    /// Why nobody on the register may write here under that name. `None` inside the error: no name is known yet.
    pub fn registered_sender(&self) -> Result<&'a Sender, Option<Refusal>> {
        let Some(list) = self.list() else { return Err(None) };
        let plain = |reason| Some(Refusal { reason, evidence: Evidence::None });
        let rule = self.rules().sender.as_ref();
        let adherence = rule.is_some_and(|rule| rule.settings.adherence);
        let mailbox = match self.content {
            Some(content) => match content.names.from.defect() {
                Some(reason) => return Err(plain(reason)),
                None => content.names.from.one(),
            },
            None if self.rules().identity.as_ref().is_some_and(|rule| rule.settings.envelope) => {
                if self.envelope.sender.is_none() {
                    return Err(plain(ReasonCode::EnvelopeSenderNull));
                }
                self.envelope.sender.as_ref()
            }
            None => None,
        };
        let Some(mailbox) = mailbox else { return Err(None) };
        registered(self.charter, list, mailbox, self.today(), adherence).map_err(Some)
    }
}

/// Finds the sender that owns `mailbox` and may write to `list` today.
///
/// A mailbox may stand on the register more than once (a union with several lists); the entry bound to this list wins.
///
/// # Errors
/// The reason why nobody on the register may write here from that mailbox.
fn registered<'a>(
    charter: &'a Charter,
    list: &List,
    mailbox: &Address,
    today: Date,
    adherence_required: bool,
) -> Result<&'a Sender, Refusal> {
    let plain = |reason| Refusal { reason, evidence: Evidence::None };
    let mut owners = charter.senders.iter().filter(|sender| sender.owns(mailbox)).peekable();
    if owners.peek().is_none() {
        return Err(plain(ReasonCode::SenderUnknown));
    }
    let Some(sender) = owners.find(|sender| sender.writes_to(list)) else {
        return Err(plain(ReasonCode::SenderOtherList));
    };
    if adherence_required && sender.adhered.is_none_or(|day| day > today) {
        return Err(plain(ReasonCode::SenderNotAdhered));
    }
    if let Some(period) = sender.period {
        if today < period.opens {
            return Err(Refusal { reason: ReasonCode::SenderNotOpen, evidence: Evidence::Day(period.opens) });
        }
        if today > period.closes {
            return Err(Refusal { reason: ReasonCode::SenderClosed, evidence: Evidence::Day(period.closes) });
        }
    }
    Ok(sender)
}

/// The identities that must agree with From (am:5.1.e).
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The envelope.
    pub envelope: &'a Envelope,
    /// From, once the header has come.
    pub from: Option<&'a From>,
    /// The display name in From, decoded, when there is one.
    pub display: Option<&'a str>,
    /// The mailbox in the Sender field (RFC 5322 section 3.6.2), when there is one.
    pub sender_field: Option<&'a From>,
}

/// Compares the names of a message from a sender on the register.
#[must_use]
pub fn disagreement(
    names: Names<'_>,
    sender: &Sender,
    register: &[Sender],
    envelope: bool,
    login: bool,
) -> Option<ReasonCode> {
    if let Some(defect) = names.from.and_then(From::defect) {
        return Some(defect);
    }
    let mailbox = names.from.and_then(From::one).or(names.envelope.sender.as_ref());
    if envelope {
        match &names.envelope.sender {
            None => return Some(ReasonCode::EnvelopeSenderNull),
            Some(address) if !sender.owns(address) => return Some(ReasonCode::EnvelopeSenderDiffers),
            Some(_) => {}
        }
    }
    // Who writes for another is named in Sender (RFC 5322 section 3.6.2): a delegate, when the login is theirs.
    let is_delegate = |address: &Address| {
        let login = names.envelope.sasl_login.as_deref().filter(|login| is_login_of(login, address));
        let login = login.zip(mailbox.filter(|mailbox| mailbox.domain() == address.domain()));
        login.is_some_and(|(login, mailbox)| sender.admits_login(login, mailbox) == Some(true))
    };
    if let Some(field) = names.sender_field
        && field.one().is_none_or(|address| !sender.owns(address) && !is_delegate(address))
    {
        return Some(ReasonCode::SenderFieldDiffers);
    }
    if login
        && let (Some(login), Some(mailbox)) = (&names.envelope.sasl_login, mailbox)
        && sender.admits_login(login, mailbox) == Some(false)
    {
        return Some(ReasonCode::LoginDiffers);
    }
    let is_usurped = names.display.is_some_and(|name| is_of_another(name, sender, register));
    is_usurped.then_some(ReasonCode::DisplayNameDiffers)
}

/// Whether a display name is that of another sender on the register, or names a mailbox of theirs: mail programs show it in the
/// place of the address, or alone (am:5.1.e). Names are compared without regard to case, blanks and signs; what merely has
/// another's name in it is no usurpation.
fn is_of_another(display: &str, sender: &Sender, register: &[Sender]) -> bool {
    let bare = |name: &str| -> String {
        let letters: String = name.nfkc().filter(|c| c.is_alphanumeric()).collect();
        CaseMapper::new().fold_string(&letters).into_owned()
    };
    let shown = bare(display);
    let is_end = |c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c);
    let addresses: Vec<Address> =
        display.split(is_end).filter(|word| word.contains('@')).filter_map(|word| Address::parse(word).ok()).collect();
    let is_sender = |other: &Sender| other.mailboxes.iter().any(|mailbox| sender.owns(&mailbox.address));
    // A union may stand on the register more than once.
    register.iter().filter(|other| other.name != sender.name && !is_sender(other)).any(|other| {
        let is_named = !shown.is_empty() && bare(&other.name) == shown && bare(&sender.name) != shown;
        is_named || addresses.iter().any(|address| other.owns(address))
    })
}

/// Compares the names of a message from anybody in the organisation, for the general rules.
///
/// Only mail that claims one of the organisation's own mailboxes is judged: mail from elsewhere is not the charter's.
#[must_use]
pub fn general_disagreement(
    names: Names<'_>,
    domains: &[String],
    trusted_client: bool,
    envelope: bool,
    login: bool,
) -> Option<ReasonCode> {
    let ours = |address: &Address| domains.iter().any(|domain| domain == address.domain());
    let claimed = match names.from {
        Some(From::One(address)) => address,
        // Several mailboxes or none: only somebody who authenticated here is bound by this charter.
        Some(other) => return names.envelope.sasl_login.as_ref().and(other.defect()),
        None => return None,
    };
    if !ours(claimed) {
        return None;
    }
    if names.envelope.sasl_login.is_none() && !trusted_client {
        return Some(ReasonCode::NotAuthenticated);
    }
    if envelope && names.envelope.sender.as_ref() != Some(claimed) {
        return Some(ReasonCode::EnvelopeSenderDiffers);
    }
    if login
        && let Some(login) = &names.envelope.sasl_login
        && !is_login_of(login, claimed)
    {
        return Some(ReasonCode::LoginDiffers);
    }
    None
}

/// Whether anything proves that a message is from this sender (DESIGN: proofs `sasl`, `network`, `tls`, `dkim`,
/// `authentication_results`). The envelope's proofs are tried first: they cost nothing and cannot be unavailable.
#[must_use]
pub fn proven(
    sender: &Sender,
    envelope: &Envelope,
    mailbox: Option<&Address>,
    credentials: &Credentials,
    content_seen: bool,
) -> Proven {
    let mut open = false;
    for proof in &sender.proofs {
        let holds = match proof {
            Proof::Sasl(own) => envelope.sasl_login.as_deref().is_some_and(|login| same_login(own, login)),
            Proof::Network(networks) => {
                envelope.client_address.is_some_and(|client| networks.iter().any(|network| network.contains(&client)))
            }
            Proof::Tls(name) => {
                envelope.tls_subject.as_deref().is_some_and(|subject| subject.eq_ignore_ascii_case(name))
            }
            Proof::Dkim(domain) => {
                open = true;
                credentials.dkim.iter().any(|verified| verified.eq_ignore_ascii_case(domain))
            }
            Proof::AuthenticationResults { authserv_id, domain } => {
                open = true;
                credentials
                    .authentication_results
                    .iter()
                    .any(|(id, passed)| id.eq_ignore_ascii_case(authserv_id) && passed.eq_ignore_ascii_case(domain))
            }
        };
        if holds {
            return Proven::By(proof.name());
        }
    }
    let delegated = |delegate: &Delegate| {
        envelope.sasl_login.as_deref().is_some_and(|login| same_login(&delegate.login, login))
            && mailbox.is_some_and(|mailbox| delegate.mailboxes.contains(mailbox))
    };
    if sender.delegates.iter().any(delegated) {
        return Proven::By("sasl");
    }
    match (open, content_seen) {
        (true, false) => Proven::Open,
        (true, true) if credentials.dkim_unavailable => Proven::Unavailable,
        _ => Proven::No,
    }
}
