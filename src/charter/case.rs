//! What the rules are asked about: a message as one scope of one charter sees it, and what is remembered of others.

use jiff::Timestamp;
use jiff::civil::Date;

use super::calendar::{self, Bound, Days, Hours};
use super::facts::Content;
use super::quota::DemandSource;
use super::rules::Rules;
use super::stop::StopSubject;
use super::{Charter, List, Scope, Sender};
use crate::message::envelope::Envelope;

/// Everything one scope of one charter is asked about one message.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The charter.
    pub charter: &'a Charter,
    /// The list, or the general rules.
    pub scope: Scope<'a>,
    /// The envelope.
    pub envelope: &'a Envelope,
    /// How the recipients relate to the scope.
    pub addressed: Addressed,
    /// The content; `None` while only the envelope is known.
    pub content: Option<&'a Content<'a>>,
    /// What is remembered of other messages.
    pub state: &'a State,
    /// The reference of the decision, for the words in banners.
    pub reference: &'a str,
    /// The instant of the decision.
    pub now: Timestamp,
    /// What the other charters that judge the message say of the time at which it may be delivered (am:4.1).
    pub beside: &'a [Bound<'a>],
}

/// How the recipients of a message relate to the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addressed {
    /// Recipients beside the scope's list.
    pub elsewhere: u32,
    /// All recipients.
    pub total: u32,
    /// At least one recipient is outside the organisation's own domains.
    pub outgoing: bool,
    /// The client is one whose mail the general rules trust.
    pub trusted_client: bool,
    /// The place in the charter of a recipient's mailbox that is deactivated.
    pub deactivated: Option<usize>,
}

/// What is remembered of other messages, as far as this decision needs it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// The suspensions in force now.
    pub stops: Vec<Stop>,
    /// The answer of the quota counters.
    pub quota: QuotaState,
    /// Near-identical messages within the span, this one included; `None` when not asked.
    pub copies: Option<u64>,
    /// Earlier messages to this list still wait for their release.
    pub earlier_wait: bool,
    /// Domains with a verified DKIM signature, and what our own server's Authentication-Results say.
    pub credentials: Credentials,
}

/// What the content proves about its sender; established by [`crate::proof`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// Domains aligned with From whose DKIM signature was verified here.
    pub dkim: Vec<String>,
    /// DNS did not answer for at least one signature.
    pub dkim_unavailable: bool,
    /// `(authserv-id, domain)` pairs that passed, of fields that our own servers wrote.
    pub authentication_results: Vec<(String, String)>,
}

/// A suspension (drancy:V.a, pm:6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Who or what is suspended.
    pub subject: StopSubject,
    /// The reference of the decision that suspended it.
    pub reference: String,
    /// The flood breaker did, and nobody has decided anything yet.
    pub automatic: bool,
}

/// The answer of the quota counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum QuotaState {
    /// They were not asked.
    #[default]
    NotAsked,
    /// A place is reserved in each; the count includes this message.
    Granted(Vec<Counted>),
    /// This counter has no place left; the count includes this message.
    Exhausted(Counted),
}

/// One counter's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The id of the charter whose rule counts: a local and a shared charter may both count a message (am:4.1).
    pub charter: String,
    /// The rule that counts.
    pub source: DemandSource,
    /// How much it would hold with this message.
    pub counted: u64,
    /// How much it may hold.
    pub limit: u64,
}

impl<'a> Case<'a> {
    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &'a Rules {
        self.scope.rules()
    }

    /// The list, in the scope of a list.
    #[must_use]
    pub fn list(&self) -> Option<&'a List> {
        match self.scope {
            Scope::List(list) => Some(list),
            Scope::General(_) => None,
        }
    }

    /// What the charter says of the time at which mail of this sender to the list may be delivered.
    #[must_use]
    pub fn bound(&self, sender: Option<&Sender>) -> Bound<'a> {
        let tz = &self.charter.time_zone;
        let hours = self.list().and_then(|_| Hours::of(self.charter));
        let days = match self.scope {
            Scope::List(list) => calendar::binding_days(self.charter, Some(list), sender),
            Scope::General(_) => Days::Always,
        };
        Bound { hours, days, tz }
    }

    /// The local day.
    #[must_use]
    pub fn today(&self) -> Date {
        self.now.to_zoned(self.charter.time_zone.clone()).date()
    }
}
