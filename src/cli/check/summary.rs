//! What a configuration says, as data: the same for people and for programs.

use jiff::Timestamp;
use serde::Serialize;

use super::words::{self, RuleWords};
use crate::charter::calendar::{self, Days, Position};
use crate::charter::{Charter, Clause, List, MailboxState, Mode, Sender};
use crate::config::Config;

/// A configuration.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Its charters.
    pub charters: Vec<CharterSummary>,
    /// The files in force.
    pub files: Vec<FileSummary>,
}

/// A file in force.
#[derive(Debug, Serialize)]
pub struct FileSummary {
    /// Its path.
    pub path: String,
    /// Its digest.
    pub sha256: String,
}

/// A charter.
#[derive(Debug, Serialize)]
pub struct CharterSummary {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// Nothing is touched, only recorded.
    pub monitored: bool,
    /// When its lists are open.
    pub period: Option<Told>,
    /// When mail is delivered.
    pub night_window: Option<Told>,
    /// What is looked at.
    pub inspection: &'static str,
    /// Its lists.
    pub lists: Vec<ListSummary>,
    /// The rules for everybody.
    pub general: Vec<RuleWords>,
    /// What is not looked into.
    pub exemptions: Option<Told>,
    /// How many mailboxes are deactivated, and how many suspended.
    pub mailboxes: (usize, usize),
    /// Its clauses.
    pub clauses: Vec<ClauseSummary>,
}

/// Something said under a clause.
#[derive(Debug, Serialize)]
pub struct Told {
    /// What is said.
    pub says: String,
    /// The clause.
    pub clause: String,
}

/// A list.
#[derive(Debug, Serialize)]
pub struct ListSummary {
    /// Its address.
    pub address: String,
    /// Its other addresses.
    pub aliases: Vec<String>,
    /// Its label.
    pub label: String,
    /// Its own period.
    pub period: Option<Told>,
    /// Who may write to it.
    pub may: Vec<MayWrite>,
    /// Who may not.
    pub may_not: Vec<MayNotWrite>,
    /// Its rules.
    pub rules: Vec<RuleWords>,
}

/// A sender that may write to a list.
#[derive(Debug, Serialize)]
pub struct MayWrite {
    /// Its name.
    pub name: String,
    /// The mailboxes it writes from, each with its own size limits.
    pub from: Vec<String>,
    /// The proofs, one of which is needed.
    pub proofs: Vec<String>,
    /// Logins that may use its mailboxes.
    pub delegates: Vec<String>,
    /// Persons responsible.
    pub referents: Vec<String>,
    /// On which days.
    pub days: String,
    /// Whether it may write at this moment.
    pub now: &'static str,
}

/// A sender that may not write to a list.
#[derive(Debug, Serialize)]
pub struct MayNotWrite {
    /// Its name.
    pub name: String,
    /// Why not.
    pub why: String,
    /// Under which clause.
    pub clause: Option<String>,
}

/// A clause.
#[derive(Debug, Serialize)]
pub struct ClauseSummary {
    /// Its id.
    pub id: String,
    /// What it demands.
    pub text: String,
    /// Who keeps it.
    pub kept: Kept,
    /// The rules and measures that keep it.
    pub by: Vec<&'static str>,
}

/// Who keeps a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// The gateway.
    Enforced,
    /// The gateway records where it is not kept, and does nothing.
    Monitored,
    /// People.
    Organisational,
    /// Nobody.
    NotEnforced,
}

impl Summary {
    /// Sums up a configuration as it stands at `now`.
    pub fn of(config: &Config, now: Timestamp) -> Self {
        let files = config.files.iter();
        Self {
            charters: config.charters.iter().map(|charter| self::charter(charter, now)).collect(),
            files: files
                .map(|f| FileSummary { path: f.path.display().to_string(), sha256: f.sha256.clone() })
                .collect(),
        }
    }
}

fn charter(charter: &Charter, now: Timestamp) -> CharterSummary {
    let zone = charter.time_zone.iana_name().unwrap_or_default();
    let told = |says: String, clause: &Clause| Told { says: format!("{says} ({zone})"), clause: clause.0.clone() };
    let count = |state| charter.recipients.iter().filter(|recipient| recipient.state == state).count();
    CharterSummary {
        id: charter.id.clone(),
        title: charter.title.clone(),
        sha256: charter.digest.clone(),
        monitored: charter.mode == Mode::Monitor,
        period: charter.period.as_ref().map(|rule| told(words::period(rule.period), &rule.clause)),
        night_window: charter.night_window.as_ref().map(|window| told(words::window(window), &window.clause)),
        inspection: charter.inspection.as_str(),
        lists: charter.lists.iter().map(|list| self::list(charter, list, now)).collect(),
        general: charter.general.iter().flat_map(|general| words::rules(&general.rules, None)).collect(),
        exemptions: exemptions(charter),
        mailboxes: (count(MailboxState::Deactivated), count(MailboxState::Suspended)),
        clauses: clauses(charter),
    }
}

fn list(charter: &Charter, list: &List, now: Timestamp) -> ListSummary {
    let mut summary = ListSummary {
        address: list.address.to_string(),
        aliases: list.aliases.iter().map(ToString::to_string).collect(),
        label: list.label.clone(),
        period: list
            .period
            .as_ref()
            .map(|rule| Told { says: words::period(rule.period), clause: rule.clause.0.clone() }),
        may: Vec::new(),
        may_not: Vec::new(),
        rules: words::rules(&list.rules, Some(list)),
    };
    for sender in &charter.senders {
        match may_write(charter, list, sender, now) {
            Ok(may) => summary.may.push(may),
            Err(may_not) => summary.may_not.push(may_not),
        }
    }
    summary
}

fn may_write(charter: &Charter, list: &List, sender: &Sender, now: Timestamp) -> Result<MayWrite, MayNotWrite> {
    let rule = list.rules.sender.as_ref();
    let clause = rule.map(|rule| rule.clause.0.clone());
    let refuse = |why: &str, clause| Err(MayNotWrite { name: sender.name.clone(), why: why.to_owned(), clause });
    if !sender.lists.contains(&list.address) {
        return refuse("is bound to other lists", clause);
    }
    if let Some(rule) = rule.filter(|rule| rule.settings.adherence && sender.adhered.is_none()) {
        let adherence = rule.settings.adherence_clause.as_ref().unwrap_or(&rule.clause);
        return refuse("has not adhered to the charter", Some(adherence.0.clone()));
    }
    let today = charter.time_zone.to_datetime(now).date();
    let awaited = rule.filter(|rule| rule.settings.adherence).zip(sender.adhered.filter(|day| *day > today));
    if let Some((rule, day)) = awaited {
        let adherence = rule.settings.adherence_clause.as_ref().unwrap_or(&rule.clause);
        return refuse(&format!("adheres to the charter on {day} only"), Some(adherence.0.clone()));
    }
    let effective = calendar::effective_period(charter, Some(list), Some(sender));
    let period_clause = effective.rule.map(|rule| rule.clause.0.clone()).or(clause);
    let now = match effective.days.position(&charter.time_zone, now) {
        Position::Open => "open now",
        Position::NotOpen { .. } => "not open yet",
        Position::Closed { .. } => "over",
        Position::Never => return refuse("its own period and the list's have no day in common", period_clause),
    };
    Ok(MayWrite {
        name: sender.name.clone(),
        from: sender
            .mailboxes
            .iter()
            .map(|mailbox| {
                let limits: Vec<_> = mailbox.sizes.iter().copied().map(words::limit).collect();
                if limits.is_empty() {
                    mailbox.address.to_string()
                } else {
                    format!("{} ({})", mailbox.address, limits.join(", "))
                }
            })
            .collect(),
        proofs: sender.proofs.iter().map(words::proof).collect(),
        delegates: sender
            .delegates
            .iter()
            .map(|delegate| {
                let mailboxes: Vec<_> = delegate.mailboxes.iter().map(ToString::to_string).collect();
                format!("the login `{}` from {}", delegate.login, mailboxes.join(", "))
            })
            .collect(),
        referents: sender.referents.clone(),
        days: match effective.days {
            Days::Always => "on any day".to_owned(),
            Days::During(period) => words::period(period),
            Days::Never => "on no day".to_owned(),
        },
        now,
    })
}

fn exemptions(charter: &Charter) -> Option<Told> {
    let clause = charter.exemptions.clause.as_ref()?;
    let words = charter.exemptions.subject_words.join(", ");
    let says = format!(
        "the text of mail to and from certain mailboxes ({}), and of mail whose subject begins with one of: {words}",
        charter.exemptions.mailboxes.len()
    );
    Some(Told { says, clause: clause.0.clone() })
}

fn clauses(charter: &Charter) -> Vec<ClauseSummary> {
    let quoted = charter.quoted_clauses();
    let summary = charter.clauses.iter().map(|entry| {
        let quoting: Vec<_> = quoted.iter().filter(|quoted| *quoted.clause == entry.id).collect();
        let mut by: Vec<_> = quoting.iter().map(|quoted| quoted.rule.as_str()).collect();
        by.dedup();
        let exempting = charter.exemptions.clause.as_ref() == Some(&entry.id);
        by.extend(exempting.then_some("exemptions"));
        for keeper in entry.by.iter().map(|keeper| keeper.as_str()) {
            if !by.contains(&keeper) {
                by.push(keeper);
            }
        }
        let acted_on = exempting || !entry.by.is_empty() || quoting.iter().any(|quoted| quoted.enforced);
        let kept = match (acted_on, by.is_empty()) {
            (true, _) => Kept::Enforced,
            (false, false) => Kept::Monitored,
            (false, true) if entry.organisational => Kept::Organisational,
            (false, true) => Kept::NotEnforced,
        };
        ClauseSummary { id: entry.id.0.clone(), text: entry.text.clone(), kept, by }
    });
    summary.collect()
}
