//! What the charters and the register of stops say of held mail now.

use jiff::Timestamp;

use super::entry::Entry;
use super::plan::{Terms, Window};
use crate::charter::calendar::{self, Days};
use crate::charter::{Charter, List, Mode, NightWindow, Sender};
use crate::config::Config;
use crate::message::address::Address;
use crate::store::{Stop, StopSubject, StoreError};
use crate::wording::Language;

/// Where the rules for held mail come from.
pub trait Regime {
    /// Reads anew what may have changed since the last look: a stop holds at once.
    ///
    /// # Errors
    /// When it cannot be known whether something is stopped; then nothing may leave.
    fn refresh(&mut self) -> Result<(), StoreError>;

    /// The charter's window, pace and order now; `None` when there is no such charter. The seed is filled in later.
    fn terms(&self, charter: &str, now: Timestamp) -> Option<Terms>;

    /// What holds for one message now.
    fn ruling(&self, entry: &Entry, now: Timestamp) -> Ruling;

    /// What a notice to the sender says of the charter.
    fn voice(&self, entry: &Entry) -> Voice;
}

/// What holds for one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// From when on it may not be delivered.
    pub deadline: Option<Timestamp>,
    /// Its sender, list or charter is suspended.
    pub stopped: bool,
    /// Figures for each sender may be computed (drancy:III.3.d).
    pub statistics: bool,
}

/// How a charter speaks to a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    /// Its language.
    pub language: Language,
    /// Its title.
    pub title: String,
    /// The list's name.
    pub list: String,
    /// When the message arrived, in the charter's local time.
    pub arrived: String,
    /// Whom to turn to.
    pub contest: Option<String>,
}

/// The configuration in force, and the stops in force.
pub struct InForce<'a> {
    config: &'a Config,
    read_stops: &'a dyn Fn() -> Result<Vec<Stop>, StoreError>,
    stops: Vec<Stop>,
}

impl<'a> InForce<'a> {
    /// The configuration, and where to read the stops.
    pub fn new(config: &'a Config, read_stops: &'a dyn Fn() -> Result<Vec<Stop>, StoreError>) -> Self {
        Self { config, read_stops, stops: Vec::new() }
    }
}

impl InForce<'_> {
    fn charter(&self, id: &str) -> Option<&Charter> {
        self.config.charter(id).map(AsRef::as_ref)
    }

    fn list<'c>(charter: &'c Charter, entry: &Entry) -> Option<&'c List> {
        let address = Address::parse(&entry.held.list).ok()?;
        charter.lists.iter().find(|list| list.is_called(&address))
    }

    fn sender<'c>(charter: &'c Charter, entry: &Entry) -> Option<&'c Sender> {
        let name = entry.held.registered_as.as_ref()?;
        charter.senders.iter().find(|sender| sender.name == *name)
    }

    fn is_stopped(&self, entry: &Entry, now: Timestamp) -> bool {
        let held = &entry.held;
        let charter = self.charter(&held.charter);
        let list = charter.and_then(|charter| Self::list(charter, entry));
        let sender = charter.and_then(|charter| Self::sender(charter, entry));
        let return_to = held.return_to.as_deref().and_then(|to| Address::parse(to).ok());
        // The mailbox in From is not in the ledger: where the envelope sender is none of the sender's, it may be any of them.
        let may_be_any = !return_to.as_ref().zip(sender).is_some_and(|(to, sender)| sender.owns(to));
        let is_its = |subject: &StopSubject| match subject {
            StopSubject::Everything => true,
            StopSubject::Charter(id) => *id == held.charter,
            StopSubject::List(stopped) => {
                stopped.to_string() == held.list || list.is_some_and(|list| list.is_called(stopped))
            }
            StopSubject::Mailbox(mailbox) => {
                return_to.as_ref() == Some(mailbox) || may_be_any && sender.is_some_and(|sender| sender.owns(mailbox))
            }
            StopSubject::Sender { charter, name } => {
                *charter == held.charter && held.registered_as.as_ref() == Some(name)
            }
        };
        self.stops.iter().any(|stop| stop.is_in_force(now) && is_its(&stop.subject))
    }
}

impl Regime for InForce<'_> {
    fn refresh(&mut self) -> Result<(), StoreError> {
        self.stops = (self.read_stops)()?;
        Ok(())
    }

    fn terms(&self, charter: &str, now: Timestamp) -> Option<Terms> {
        let charter = self.charter(charter)?;
        let window = charter.night_window.as_ref().filter(|window| window.mode == Mode::Enforce);
        Some(Terms {
            window: window.map_or(Window::None, |window| position(window, charter, now)),
            pace: window.and_then(|window| window.pace),
            order: window.map(|window| window.order).unwrap_or_default(),
            seed: [0; 32],
        })
    }

    fn ruling(&self, entry: &Entry, now: Timestamp) -> Ruling {
        let stopped = self.is_stopped(entry, now);
        let Some(charter) = self.charter(&entry.held.charter) else {
            // The charter is gone; what was promised when the message was held still binds.
            return Ruling { deadline: entry.held.period_ends, stopped, statistics: false };
        };
        let sender = Self::sender(charter, entry);
        let Some(list) = Self::list(charter, entry) else {
            return Ruling { deadline: entry.held.period_ends, stopped, statistics: charter.statistics };
        };
        let period = calendar::effective_period(charter, Some(list), sender);
        let enforced = period.rule.is_none_or(|rule| rule.mode == Mode::Enforce);
        let deadline = match period.days {
            Days::During(days) if enforced => Some(calendar::period_interval(days, &charter.time_zone).closes),
            // The commission has left this sender no day: it is too late already.
            Days::Never if enforced => Some(now),
            Days::Always | Days::During(_) | Days::Never => None,
        };
        // Who was struck off the register has no days of its own there any more; the last day it had still binds.
        let is_struck_off = entry.held.registered_as.is_some() && sender.is_none();
        let promised = entry.held.period_ends.filter(|_| is_struck_off);
        let deadline = deadline.into_iter().chain(promised).min();
        Ruling { deadline, stopped, statistics: charter.statistics }
    }

    fn voice(&self, entry: &Entry) -> Voice {
        let charter = self.charter(&entry.held.charter);
        let list = charter.and_then(|charter| Self::list(charter, entry));
        let zone = charter.map_or(jiff::tz::TimeZone::UTC, |charter| charter.time_zone.clone());
        Voice {
            language: charter.map(|charter| charter.language).unwrap_or_default(),
            title: charter.map_or_else(|| entry.held.charter.clone(), |charter| charter.title.clone()),
            list: list.map_or_else(|| entry.held.list.clone(), |list| list.label.clone()),
            arrived: entry.held.arrival.to_zoned(zone).strftime("%Y-%m-%d %H:%M (%Z)").to_string(),
            contest: charter.and_then(|charter| charter.contest.clone()),
        }
    }
}

fn position(window: &NightWindow, charter: &Charter, now: Timestamp) -> Window {
    match calendar::window_containing(window, &charter.time_zone, now) {
        Some(interval) => Window::Open { opened: interval.opens },
        None => Window::Closed { opens: calendar::next_opening(window, &charter.time_zone, now) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::entry::Held;
    use crate::hold::ledger::Ledger;
    use crate::hold::ledger::tests::held;

    const CHARTER: &str = r#"
        [charter]
        id = "c"
        title = "C"
        language = "fr"
        timezone = "Europe/Paris"
        domains = ["ville.example"]
        [night_window]
        from = 22:00:00
        to = 06:00:00
        clause = "t:1"
        [[list]]
        address = "nouvelle@lists.example"
        aliases = ["ancienne@lists.example"]
        label = "L"
        [[sender]]
        name = "A"
        addresses = ["a@ville.example", "second@ville.example"]
        proofs = [{ sasl = "a" }]
        lists = ["nouvelle@lists.example"]
        [rules]
        sender = { clause = "t:1" }
        [[clause]]
        id = "t:1"
        text = "Who and when."
    "#;

    /// Whether a stop holds back what waits, by the sender's name on the register and its envelope sender.
    fn is_stopped(subject: &StopSubject, registered_as: &str, return_to: Option<&str>) -> bool {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.toml"), CHARTER).unwrap();
        let main = format!(
            "charters = [\"c.toml\"]\nstate_directory = \"{}\"\n[mta]\nkind = \"postfix\"\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("main.toml"), main).unwrap();
        let config = Config::load(&folder.path().join("main.toml")).unwrap();
        let now: Timestamp = "2026-03-12T10:00:00Z".parse().unwrap();
        let held = Held {
            charter: "c".to_owned(),
            list: "ancienne@lists.example".to_owned(),
            registered_as: Some(registered_as.to_owned()),
            return_to: return_to.map(str::to_owned),
            ..held("4gP2Xq1Y5z", "pseudonym")
        };
        let mut ledger = Ledger::open(&folder.path().join("ledger.sqlite")).unwrap();
        ledger.enter(&[&held]).unwrap();
        let stop = Stop {
            number: 1,
            subject: subject.clone(),
            reason: String::new(),
            reference: String::new(),
            from: None,
            until: None,
            by: String::new(),
            added: now,
            lifted: None,
        };
        let read = || Ok(vec![stop.clone()]);
        let mut regime = InForce::new(&config, &read);
        regime.refresh().unwrap();
        regime.ruling(&ledger.all_entries().unwrap()[0], now).stopped
    }

    #[test]
    fn a_stopped_mailbox_holds_back_what_may_be_its_own() {
        let mailbox = |text: &str| StopSubject::Mailbox(Address::parse(text).unwrap());
        let stopped = mailbox("a@ville.example");
        assert!(is_stopped(&stopped, "A", Some("a@ville.example")));
        assert!(is_stopped(&stopped, "A", Some("bounces@ville.example")));
        assert!(is_stopped(&stopped, "A", None));
        assert!(!is_stopped(&stopped, "A", Some("second@ville.example")));
        assert!(!is_stopped(&stopped, "B", Some("b@ville.example")));
        assert!(!is_stopped(&mailbox("b@ville.example"), "A", None));
    }

    #[test]
    fn a_stopped_list_stays_stopped_under_another_main_address() {
        for address in ["ancienne@lists.example", "nouvelle@lists.example"] {
            assert!(is_stopped(&StopSubject::List(Address::parse(address).unwrap()), "A", None), "{address}");
        }
        assert!(!is_stopped(&StopSubject::List(Address::parse("autre@lists.example").unwrap()), "A", None));
    }
}
