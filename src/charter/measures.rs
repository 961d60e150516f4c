//! What keeps a clause besides the rules that quote it: a rule that quotes another clause, a setting of the charter, or a
//! property of the program.
//!
//! A clause names its keepers (`by = ["draw", "reply-to"]`), and [`Keeper::in_force`] tells whether the charter really
//! sets them, so that a charter cannot claim to keep a clause and not do it.

use super::rules::{RuleName, Rules};
use super::{Charter, Clause, Inspection, Mode, ReleaseOrder};
use crate::closed_list::closed_list;

closed_list! {
    /// What keeps a clause besides rules.
    Measure {
        /// Each sender is bound to the lists it may write to.
        ListBinding = "list-binding",
        /// Organisations have mailboxes, and logins that may use them.
        Delegates = "delegates",
        /// Persons responsible are recorded on the register of senders.
        Referents = "referents",
        /// No member's address stands in a reply, a notice, a metric or the log.
        ConfidentialMembers = "confidential-members",
        /// The log keeps no content, and pseudonyms for senders.
        ConfidentialLog = "confidential-log",
        /// Decisions are made by rule; nobody is asked to approve a text.
        AutomaticDecisions = "automatic-decisions",
        /// The same rules hold for all senders, and a verifiable lot decides who is released first.
        Draw = "draw",
        /// No figures are kept for each sender.
        NoStatistics = "no-statistics",
        /// The text of messages is never looked at.
        StructureOnly = "structure-only",
        /// A link is never a reason to touch or refuse a message by itself.
        LinksPass = "links-pass",
        /// Replies and footers name whom to turn to.
        Contest = "contest",
        /// Members find a link to the arrangements in the message.
        InformationLink = "information-link",
        /// `charter-milter notice` writes the information notice from the configuration in force.
        InformationNotice = "information-notice",
        /// A sender, a list or everything can be suspended: dated, reasoned, logged, lifted by command.
        Suspension = "suspension",
        /// A message is found in the decision log from its Message-ID or its reference.
        Traceable = "traceable",
        /// Who may write where, and who may not and why, is printed by `check`.
        AccessReport = "access-report",
        /// Rights can open and close for each sender at dates of its own.
        SenderPeriods = "sender-periods",
        /// Local and shared charters apply together, and the stricter wins.
        StricterWins = "stricter-wins",
        /// The log is purged when its time is over, and stays verifiable.
        Retention = "retention",
        /// Every rule states its clause, and its purpose where the clause does not say it.
        StatedPurpose = "stated-purpose",
        /// Every edit is declared in the message, in words and in a header field.
        DeclaredEdits = "declared-edits",
        /// Every operator's command on held mail or on the log is itself in the log.
        OperatorLog = "operator-log",
    }
}

/// What keeps a clause besides the rules that quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Keeper {
    /// A rule that quotes another clause.
    Rule(RuleName),
    /// A setting or a property of the program.
    Measure(Measure),
}

impl Keeper {
    /// Every keeper.
    pub fn all() -> impl Iterator<Item = Self> {
        let rules = RuleName::ALL.iter().copied().map(Self::Rule);
        rules.chain(Measure::ALL.iter().copied().map(Self::Measure))
    }

    /// Its stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.as_str(),
            Self::Measure(measure) => measure.as_str(),
        }
    }

    /// One sentence for people.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.help(),
            Self::Measure(measure) => measure.help(),
        }
    }

    /// Whether the charter has the rule somewhere, or sets what the measure needs.
    #[must_use]
    pub fn in_force(self, charter: &Charter) -> bool {
        match self {
            Self::Rule(RuleName::Stop) => true,
            Self::Rule(rule) => charter.quoted_clauses().iter().any(|quoted| quoted.rule == rule),
            Self::Measure(measure) => measure.in_force(charter),
        }
    }
}

impl Measure {
    /// Whether the charter sets what the measure needs. Properties of the program are always in force.
    #[must_use]
    pub fn in_force(self, charter: &Charter) -> bool {
        match self {
            Self::Delegates => charter.senders.iter().any(|s| !s.delegates.is_empty()),
            Self::Referents => charter.senders.iter().any(|s| !s.referents.is_empty()),
            Self::Draw => charter.night_window.as_ref().is_none_or(|w| w.order == ReleaseOrder::Draw),
            Self::NoStatistics => !charter.statistics,
            Self::StructureOnly => charter.inspection == Inspection::Structure,
            Self::Contest => charter.contest.is_some(),
            Self::InformationLink => charter
                .lists
                .iter()
                .all(|l| l.rules.list_headers.as_ref().is_some_and(|rule| rule.settings.help.is_some())),
            Self::SenderPeriods => charter.senders.iter().any(|s| s.period.is_some()),
            Self::ListBinding
            | Self::ConfidentialMembers
            | Self::ConfidentialLog
            | Self::AutomaticDecisions
            | Self::InformationNotice
            | Self::LinksPass
            | Self::Suspension
            | Self::Traceable
            | Self::AccessReport
            | Self::StricterWins
            | Self::Retention
            | Self::StatedPurpose
            | Self::DeclaredEdits
            | Self::OperatorLog => true,
        }
    }
}

/// A clause quoted by a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quoted<'c> {
    /// The rule.
    pub rule: RuleName,
    /// The clause.
    pub clause: &'c Clause,
    /// The rule acts, and does not only record.
    pub enforced: bool,
}

impl<'c> Quoted<'c> {
    fn new(rule: RuleName, clause: &'c Clause, mode: Mode) -> Self {
        Self { rule, clause, enforced: mode == Mode::Enforce }
    }
}

impl Rules {
    /// Every clause that these rules quote, with the rule that does.
    #[must_use]
    pub fn clauses(&self) -> Vec<Quoted<'_>> {
        let mut quoted = Vec::new();
        macro_rules! quote {
            ($($field:ident => $name:ident),+ $(,)?) => {
                $(quoted.extend(self.$field.iter().map(|rule| Quoted::new(RuleName::$name, &rule.clause, rule.mode)));)+
            };
        }
        quote!(
            sender => Sender, identity => Identity, reply => Reply, flood => Stop, recipients => Recipients, size => Size,
            quotas => Quota, structure => Structure, attachments => Attachments, petition => Petition,
            chain_letter => ChainLetter, copies => Copies, tracking => Tracking, receipts => Receipts,
            subject => Subject, list_headers => ListHeaders, reply_to => ReplyTo, return_path => ReturnPath,
            banner => Banner, disclaimer => Disclaimer,
        );
        quoted.extend(self.sender.iter().filter_map(|rule| {
            let clause = rule.settings.adherence_clause.as_ref()?;
            Some(Quoted::new(RuleName::Sender, clause, rule.mode))
        }));
        quoted
    }
}

impl Charter {
    /// Every clause that a setting or rule of the charter quotes, with the rule that it belongs to; each pair once, or
    /// twice where the rule acts for some lists and only records for others.
    #[must_use]
    pub fn quoted_clauses(&self) -> Vec<Quoted<'_>> {
        let mut quoted = Vec::new();
        let periods = self.period.iter().chain(self.lists.iter().filter_map(|list| list.period.as_ref()));
        quoted.extend(periods.map(|period| Quoted::new(RuleName::Period, &period.clause, period.mode)));
        let window = self.night_window.iter();
        quoted.extend(window.map(|window| Quoted::new(RuleName::NightWindow, &window.clause, window.mode)));
        let recipients = self.recipients.iter();
        quoted.extend(recipients.map(|r| Quoted::new(RuleName::RecipientState, &r.clause, Mode::Enforce)));
        quoted.extend(self.lists.iter().flat_map(|list| list.rules.clauses()));
        quoted.extend(self.general.iter().flat_map(|general| general.rules.clauses()));
        quoted.sort_unstable();
        quoted.dedup();
        quoted
    }
}
