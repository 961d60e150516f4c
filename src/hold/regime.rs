//! What the charters and the register of stops say of held mail now.

use jiff::Timestamp;

use super::entry::{Entry, Judged};
use super::plan::{Terms, Window};
use crate::charter::calendar::{self, Days, Hours};
use crate::charter::{Charter, List, Sender};
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
    /// The hours in which it may be delivered: those of every charter that judged it (am:4.1).
    pub window: Window,
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

/// A charter that judged a message, as it is now; what is not there any more is `None`.
struct Place<'a> {
    judged: Judged<'a>,
    charter: Option<&'a Charter>,
    list: Option<&'a List>,
    sender: Option<&'a Sender>,
}

impl Place<'_> {
    fn is_stopped(&self, subject: &StopSubject, return_to: Option<&Address>) -> bool {
        match subject {
            StopSubject::Everything => true,
            StopSubject::Charter(id) => *id == self.judged.charter,
            StopSubject::List(stopped) => {
                self.judged.list.is_some_and(|list| stopped.to_string() == list)
                    || self.list.is_some_and(|list| list.is_called(stopped))
            }
            StopSubject::Mailbox(mailbox) => {
                // The mailbox in From is not in the ledger: where the envelope sender is none of the sender's, it may be any of them.
                let may_be_any = !return_to.zip(self.sender).is_some_and(|(to, sender)| sender.owns(to));
                return_to == Some(mailbox) || may_be_any && self.sender.is_some_and(|sender| sender.owns(mailbox))
            }
            StopSubject::Sender { charter, name } => {
                *charter == self.judged.charter && self.judged.registered_as == Some(name)
            }
        }
    }

    /// From when on the charter lets it be delivered no more.
    fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let Some((charter, list)) = self.charter.zip(self.list) else {
            // The charter or the list is gone; what was promised when the message was held still binds.
            return self.judged.period_ends;
        };
        let deadline = match calendar::binding_days(charter, Some(list), self.sender) {
            // The commission has left this sender no day: it is too late already.
            Days::Never => Some(now),
            days => days.end(&charter.time_zone),
        };
        // Who was struck off the register has no days of its own there any more; the last day it had still binds.
        let is_struck_off = self.judged.registered_as.is_some() && self.sender.is_none();
        let promised = self.judged.period_ends.filter(|_| is_struck_off);
        deadline.into_iter().chain(promised).min()
    }

    /// The hours outside of which the charter lets nothing be delivered, also to a list that it had then.
    fn hours(&self) -> Option<Hours<'_>> {
        self.judged.list.and(self.charter).and_then(Hours::of)
    }
}

impl<'a> InForce<'a> {
    fn charter(&self, id: &str) -> Option<&'a Charter> {
        self.config.charter(id).map(AsRef::as_ref)
    }

    /// The charters that judged a message; the one it waits under comes first.
    fn places<'e>(&'e self, entry: &'e Entry) -> impl Iterator<Item = Place<'e>> {
        entry.held.judged_by().map(|judged| {
            let charter = self.charter(judged.charter);
            let address = judged.list.and_then(|list| Address::parse(list).ok());
            let list = charter
                .zip(address)
                .and_then(|(charter, address)| charter.lists.iter().find(|list| list.is_called(&address)));
            let sender = charter
                .zip(judged.registered_as)
                .and_then(|(charter, name)| charter.senders.iter().find(|sender| sender.name == *name));
            Place { judged, charter, list, sender }
        })
    }
}

impl Regime for InForce<'_> {
    fn refresh(&mut self) -> Result<(), StoreError> {
        self.stops = (self.read_stops)()?;
        Ok(())
    }

    fn terms(&self, charter: &str, now: Timestamp) -> Option<Terms> {
        let charter = self.charter(charter)?;
        let hours = Hours::of(charter);
        let window = hours.map(|hours| hours.window);
        Some(Terms {
            window: position(hours.as_slice(), now),
            pace: window.and_then(|window| window.pace),
            order: window.map(|window| window.order).unwrap_or_default(),
            seed: [0; 32],
        })
    }

    fn ruling(&self, entry: &Entry, now: Timestamp) -> Ruling {
        let places: Vec<_> = self.places(entry).collect();
        let return_to = entry.held.return_to.as_deref().and_then(|to| Address::parse(to).ok());
        let stops = |place: &Place<'_>| {
            self.stops.iter().any(|stop| stop.is_in_force(now) && place.is_stopped(&stop.subject, return_to.as_ref()))
        };
        let hours: Vec<_> = places.iter().filter_map(Place::hours).collect();
        Ruling {
            window: position(&hours, now),
            deadline: places.iter().filter_map(|place| place.deadline(now)).min(),
            stopped: places.iter().any(stops),
            statistics: places.first().and_then(|place| place.charter).is_some_and(|charter| charter.statistics),
        }
    }

    fn voice(&self, entry: &Entry) -> Voice {
        let place = self.places(entry).next();
        let (charter, list) = place.map_or((None, None), |place| (place.charter, place.list));
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

/// Where an instant lies with respect to windows that all bind.
fn position(hours: &[Hours<'_>], now: Timestamp) -> Window {
    let opened = hours.iter().map(|hours| calendar::window_containing(hours.window, hours.tz, now));
    let opened: Option<Vec<_>> = opened.map(|interval| interval.map(|interval| interval.opens)).collect();
    match opened.map(|opened| opened.into_iter().max()) {
        Some(None) => Window::None,
        Some(Some(opened)) => Window::Open { opened },
        None => Window::Closed { opens: calendar::common_opening(hours, now) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::entry::{Beside, Held};
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

    fn stop(subject: &StopSubject) -> Stop {
        Stop {
            number: 1,
            subject: subject.clone(),
            reason: String::new(),
            reference: String::new(),
            from: None,
            until: None,
            by: String::new(),
            added: Timestamp::UNIX_EPOCH,
            lifted: None,
        }
    }

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
        let read = || Ok(vec![stop(subject)]);
        let mut regime = InForce::new(&config, &read);
        regime.refresh().unwrap();
        regime.ruling(&ledger.all_entries().unwrap()[0], now).stopped
    }

    #[test]
    fn where_two_charters_apply_both_bind_the_release() {
        let folder = tempfile::tempdir().unwrap();
        let period = "[period]\nopens = 2026-03-02\ncloses = 2026-03-20\nclause = \"t:1\"\n";
        let national = CHARTER
            .replace("id = \"c\"", "id = \"n\"\nshared = true")
            .replace("from = 22:00:00", "from = 23:00:00")
            .replace("[[list]]", &format!("{period}[[list]]"))
            .replace("name = \"A\"", "name = \"Union A\"");
        std::fs::write(folder.path().join("c.toml"), CHARTER).unwrap();
        std::fs::write(folder.path().join("n.toml"), national).unwrap();
        let paths = ["c.toml", "n.toml"].map(|name| folder.path().join(name));
        let config = Config::load_charters(&paths).unwrap_or_else(|report| panic!("{report}"));
        let beside = |charter: &str, period_ends| Beside {
            charter: charter.to_owned(),
            list: Some("nouvelle@lists.example".to_owned()),
            registered_as: Some("Union A".to_owned()),
            period_ends,
        };
        let entry_of = |list: &str, beside| {
            let own = held("4gP2Xq1Y5z", "pseudonym");
            let held = Held { charter: "c".to_owned(), registered_as: Some("A".to_owned()), beside, ..own };
            let held = Held { list: list.to_owned(), period_ends: None, ..held };
            let mut ledger = Ledger::open(&folder.path().join("ledger.sqlite")).unwrap();
            ledger.enter(&[&held]).unwrap();
            ledger.all_entries().unwrap().pop().unwrap()
        };
        let entry = |beside| entry_of("nouvelle@lists.example", beside);
        let (alone, both) = (entry(Vec::new()), entry(vec![beside("n", None)]));
        let read = || {
            let subject = StopSubject::Sender { charter: "n".to_owned(), name: "Union A".to_owned() };
            Ok(vec![stop(&subject)])
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (ten, eleven) = (at("2026-03-12T21:00:00Z"), at("2026-03-12T22:00:00Z"));
        let end = at("2026-03-20T23:00:00Z");
        let mut regime = InForce::new(&config, &read);
        let ruled = |regime: &InForce<'_>, entry, now| {
            let Ruling { window, deadline, stopped, .. } = regime.ruling(entry, now);
            (window, deadline, stopped)
        };
        assert_eq!(ruled(&regime, &alone, ten), (Window::Open { opened: ten }, None, false));
        assert_eq!(ruled(&regime, &both, ten), (Window::Closed { opens: Some(eleven) }, Some(end), false));
        assert_eq!(ruled(&regime, &both, eleven), (Window::Open { opened: eleven }, Some(end), false));
        regime.refresh().unwrap();
        assert!(!regime.ruling(&alone, ten).stopped && regime.ruling(&both, ten).stopped);
        // A list that is gone from its charter does not set free by day what waits for the night.
        let unlisted = entry_of("autre@lists.example", Vec::new());
        let noon = at("2026-03-12T11:00:00Z");
        assert_eq!(ruled(&regime, &unlisted, noon), (Window::Closed { opens: Some(ten) }, None, false));
        // A charter that is gone binds by the last day that it gave.
        let gone = entry(vec![beside("gone", Some(eleven))]);
        assert_eq!(ruled(&regime, &gone, ten), (Window::Open { opened: ten }, Some(eleven), false));
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
