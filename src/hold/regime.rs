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
        charter.lists.iter().find(|list| list.address.to_string() == entry.held.list)
    }

    fn is_stopped(&self, entry: &Entry, now: Timestamp) -> bool {
        let held = &entry.held;
        let is_its = |subject: &StopSubject| match subject {
            StopSubject::Everything => true,
            StopSubject::Charter(id) => *id == held.charter,
            StopSubject::List(list) => list.to_string() == held.list,
            StopSubject::Mailbox(mailbox) => {
                held.return_to.as_deref().and_then(|to| Address::parse(to).ok()).is_some_and(|to| to == *mailbox)
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
        let sender: Option<&Sender> =
            entry.held.registered_as.as_ref().and_then(|name| charter.senders.iter().find(|s| s.name == *name));
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
