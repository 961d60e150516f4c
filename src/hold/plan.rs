//! What to do now: the ledger, the mail server's queue listing, the time and the charters' windows go in, steps come out.
//! Pure; everything that happens to held mail is decided here.
//!
//! A message in the queue is ours when its id is in the ledger *and* its arrival time and size are those noted when it was
//! first seen. For the first sight there is no such note: then it must have arrived no later than its entry was made, which
//! excludes every message that got the same id afterwards (an id is free only once our message has left the queue).
//! Whatever else is on hold belongs to somebody else and is only counted.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::draw::{self, Candidate};
use super::entry::{Entry, EntryNumber, PastRelease, QueueId, Sighting, Stage, State};
use crate::charter::overdue::Overdue;
use crate::charter::{Pace, ReleaseOrder};
use crate::closed_list::closed_list;

/// How long a message that the mail server was told to hold may stay out of sight. Postfix waits 300 s for a filter's last
/// answer and then writes the rest of the queue file; twice that is beyond any honest delay.
const SETTLING_TIME: SignedDuration = SignedDuration::from_mins(10);

/// A message in the mail server's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its id.
    pub queue_id: QueueId,
    /// Whether it is on hold or on its way.
    pub place: QueuePlace,
    /// Its arrival time and size.
    pub sighting: Sighting,
}

impl Queued {
    /// Whether it is the message of this entry: see the module's text. `same_clock`: the mail server reads the clock by which the
    /// entry was made.
    #[must_use]
    pub fn is(&self, entry: &Entry, same_clock: bool) -> bool {
        let same = match entry.sighting {
            Some(sighting) => sighting == self.sighting,
            // Queue listings show whole seconds, rounded down.
            None => !same_clock || self.sighting.arrival <= entry.held.entered,
        };
        same && self.queue_id == entry.held.queue_id
    }
}

/// Where in the queue a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueuePlace {
    /// On hold, quarantined: it stays until somebody lets it go.
    OnHold,
    /// The mail server is receiving it, delivering it, or will try again.
    Moving,
}

/// An entry with what holds for it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The entry.
    pub entry: Entry,
    /// The hours in which it may leave.
    pub window: Window,
    /// From when on it may not be delivered any more.
    pub deadline: Option<Timestamp>,
    /// Its sender, list or charter is suspended.
    pub stopped: bool,
}

/// What a charter says of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Its window: of a message that is let go, the record says when this one opened.
    pub window: Window,
    /// How fast.
    pub pace: Option<Pace>,
    /// In which order.
    pub order: ReleaseOrder,
    /// The seed of the open window's draw.
    pub seed: [u8; 32],
}

/// The night window now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The charter has none (any more): mail leaves at once.
    None,
    /// It is open since then.
    Open {
        /// Its first instant.
        opened: Timestamp,
    },
    /// It is closed.
    Closed {
        /// When it opens next.
        opens: Option<Timestamp>,
    },
}

/// Everything a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The time.
    pub now: Timestamp,
    /// The entries that need attention.
    pub cases: &'a [Case],
    /// The queue listing, made after the entries were read.
    pub queue: &'a [Queued],
    /// The charters, by id. Mail under a charter that is not there stays where it is until its deadline.
    pub charters: &'a BTreeMap<String, Terms>,
    /// What was let go since the earliest open window began, or within the longest pace.
    pub past: &'a [PastRelease],
    /// The mail server reads the same clock as this program; always so, except where a test sets ours.
    pub same_clock: bool,
}

closed_list! {
    /// Why a message of ours is not where it should be.
    Missing {
        /// The mail server never put it into its queue: it could not finish, or the client was told to try again.
        NeverQueued = "never-queued",
        /// It was on hold and is no longer in the queue: somebody deleted it, or released it and it was delivered.
        Vanished = "vanished",
        /// It was on hold and is being delivered although nothing here let it go.
        ReleasedByOther = "released-by-other",
        /// Another message has its queue id.
        Changed = "changed",
    }
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// To which entry.
    pub number: EntryNumber,
    /// What.
    pub action: Action,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Note that it was seen on hold (for the first time, or again after it had vanished).
    See(Sighting),
    /// Let it go.
    Release {
        /// Its place in the order of this window, from 1.
        rank: u32,
        /// The window's first instant.
        opened: Option<Timestamp>,
    },
    /// It was marked as released, but is still on hold, and may leave: let it go, without counting it twice.
    ReleaseAgain,
    /// It was marked as released, but is still on hold, and may not leave any more: let it wait again.
    PutBack,
    /// It was released, and could not be delivered before the window closed: put it on hold again.
    Recall,
    /// It was released and has left the queue.
    Conclude,
    /// It is missing: record it.
    Miss(Missing),
    /// Return it to its sender.
    Return(Overdue),
    /// It is being taken out of the queue: go on with that.
    Remove,
    /// It has been taken out of the queue: conclude it.
    Removed(State),
}

/// What to do, and what is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// How many messages stay on hold for a later time.
    pub waiting: usize,
    /// How many messages are on hold that are not ours.
    pub others: usize,
    /// How many messages wait under a charter that is not configured any more.
    pub orphans: usize,
    /// When the pace allows the next message to leave.
    pub next: Option<Timestamp>,
}

/// Makes the plan.
#[must_use]
pub fn plan(situation: &Situation<'_>) -> Plan {
    let matches = Matches::find(situation);
    let mut plan = Plan { others: matches.others, ..Plan::default() };
    let mut candidates: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for (index, case) in situation.cases.iter().enumerate() {
        let found = matches.by_case.get(&index).copied();
        match fate(situation, case, found, matches.has_other(&case.entry)) {
            Fate::Step(action) => plan.steps.push(Step { number: case.entry.number, action }),
            Fate::Wait => plan.waiting += usize::from(case.entry.state.is_waiting()),
            Fate::Candidate { first_seen } => {
                if let Some(seen) = first_seen {
                    plan.steps.push(Step { number: case.entry.number, action: Action::See(seen) });
                }
                candidates.entry(&case.entry.held.charter).or_default().push(case);
            }
        }
    }
    for (charter, cases) in candidates {
        if let Some(terms) = situation.charters.get(charter) {
            release(situation, charter, terms, &cases, &mut plan);
        } else {
            plan.orphans += cases.len();
            plan.waiting += cases.len();
        }
    }
    plan
}

enum Fate {
    Step(Action),
    Wait,
    /// It waits on hold, and may leave when its charter's window is open and its turn has come.
    Candidate {
        first_seen: Option<Sighting>,
    },
}

/// What becomes of one entry, apart from the order and pace of releases.
fn fate(situation: &Situation<'_>, case: &Case, found: Option<&Queued>, id_taken: bool) -> Fate {
    let now = situation.now;
    let settled = now.duration_since(case.entry.held.entered) >= SETTLING_TIME;
    let on_hold = found.is_some_and(|queued| queued.place == QueuePlace::OnHold);
    let removal = case.entry.removal.as_ref().filter(|removal| removal.is_binding());
    if let (Some(removal), true) = (removal, case.entry.state.is_open()) {
        match found {
            None if removal.stage == Stage::Told => return Fate::Step(Action::Removed(removal.to)),
            Some(_) if on_hold => return Fate::Step(Action::Remove),
            // Somebody else took it out before its sender was told.
            None | Some(_) => {}
        }
    }
    match (case.entry.state, found) {
        (State::Entered, None) if settled => {
            Fate::Step(Action::Miss(if id_taken { Missing::Changed } else { Missing::NeverQueued }))
        }
        (State::SeenInQueue, None) => {
            Fate::Step(Action::Miss(if id_taken { Missing::Changed } else { Missing::Vanished }))
        }
        (State::Released, None) => Fate::Step(Action::Conclude),
        (State::Entered | State::SeenInQueue, Some(queued)) if on_hold => {
            let first_seen = (case.entry.state == State::Entered).then_some(queued.sighting);
            match overdue(situation, case) {
                // The sighting is noted first, so that what is returned is known by more than its id.
                Some(why) if first_seen.is_none() => Fate::Step(Action::Return(why)),
                _ => Fate::Candidate { first_seen },
            }
        }
        (State::Entered, Some(_)) if settled => Fate::Step(Action::Miss(Missing::ReleasedByOther)),
        (State::SeenInQueue, Some(_)) => Fate::Step(Action::Miss(Missing::ReleasedByOther)),
        (State::Released, Some(_)) => released(situation, case, on_hold),
        (State::Vanished, Some(queued)) if on_hold => Fate::Step(Action::See(queued.sighting)),
        (State::Entered | State::Gone | State::Cancelled | State::Returned | State::Vanished, _) => Fate::Wait,
    }
}

/// What becomes of a message that was let go and is still in the queue.
fn released(situation: &Situation<'_>, case: &Case, on_hold: bool) -> Fate {
    let known = situation.charters.contains_key(&case.entry.held.charter);
    // What the postmaster let go by order may leave at any hour, and a charter that is gone calls nothing back.
    let free = case.entry.by_order || may_leave(situation, case);
    match (on_hold, free) {
        (true, true) => Fate::Step(Action::ReleaseAgain),
        (true, false) => Fate::Step(overdue(situation, case).map_or(Action::PutBack, Action::Return)),
        (false, false) if known => Fate::Step(Action::Recall),
        (false, _) => Fate::Wait,
    }
}

/// Whether the charter lets this message leave now, pace and turn apart.
fn may_leave(situation: &Situation<'_>, case: &Case) -> bool {
    let held = &case.entry.held;
    situation.charters.contains_key(&held.charter)
        && !matches!(case.window, Window::Closed { .. })
        && !case.stopped
        // An entry from the future means that the clock was set back.
        && situation.now >= held.entered
        && case.deadline.is_none_or(|deadline| situation.now < deadline)
}

/// Why the message can no longer be delivered in time, if so.
fn overdue(situation: &Situation<'_>, case: &Case) -> Option<Overdue> {
    let deadline = case.deadline?;
    if deadline <= situation.now {
        return Some(if case.stopped { Overdue::Suspended } else { Overdue::PeriodOver });
    }
    match case.window {
        Window::Closed { opens } if opens.is_none_or(|opens| opens >= deadline) => {
            Some(if case.stopped { Overdue::Suspended } else { Overdue::NoWindowLeft })
        }
        Window::None | Window::Open { .. } | Window::Closed { .. } => None,
    }
}

/// Adds the releases of one charter to the plan.
fn release(situation: &Situation<'_>, charter: &str, terms: &Terms, cases: &[&Case], plan: &mut Plan) {
    let (ready, waiting): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| may_leave(situation, case));
    plan.waiting += waiting.len();
    let opened = match terms.window {
        Window::Open { opened } => Some(opened),
        Window::None | Window::Closed { .. } => None,
    };
    let past: Vec<_> = situation.past.iter().filter(|past| past.charter == charter).collect();
    let mut left: BTreeMap<&str, u32> = BTreeMap::new();
    for past in past.iter().filter(|past| opened.is_some_and(|opened| past.at >= opened)) {
        let turns = left.entry(&past.sender).or_default();
        *turns = turns.saturating_add(1);
    }
    let candidates: Vec<_> = ready
        .iter()
        .map(|case| Candidate {
            key: case.entry.number,
            sender: &case.entry.held.sender,
            arrival: case.entry.held.arrival,
        })
        .collect();
    let times: Vec<_> = past.iter().map(|past| past.at).collect();
    let places = draw::order(terms.order, &terms.seed, &candidates, &left);
    let allowed = terms.pace.map_or(places.len(), |pace| draw::allowance(pace, &times, situation.now));
    let already: u32 = left.values().sum();
    for (place, rank) in places.iter().zip(already.saturating_add(1)..).take(allowed) {
        plan.steps.push(Step { number: place.key, action: Action::Release { rank, opened } });
    }
    if let (Some(pace), true) = (terms.pace, places.len() > allowed) {
        plan.waiting += places.len() - allowed;
        let leaving = std::iter::repeat_n(situation.now, allowed);
        let times: Vec<_> = times.into_iter().chain(leaving).collect();
        let next = draw::next_allowed(pace, &times, situation.now);
        plan.next = Some(plan.next.map_or(next, |other| other.min(next)));
    }
}

/// Which message in the queue belongs to which entry.
struct Matches<'a> {
    by_case: HashMap<usize, &'a Queued>,
    ids: HashMap<&'a QueueId, usize>,
    others: usize,
}

impl<'a> Matches<'a> {
    fn find(situation: &Situation<'a>) -> Self {
        let mut cases_of: HashMap<&QueueId, Vec<(usize, &Case)>> = HashMap::new();
        for (index, case) in situation.cases.iter().enumerate() {
            cases_of.entry(&case.entry.held.queue_id).or_default().push((index, case));
        }
        let mut matches = Self { by_case: HashMap::new(), ids: HashMap::new(), others: 0 };
        for queued in situation.queue {
            *matches.ids.entry(&queued.queue_id).or_default() += 1;
            let entries = cases_of.get(&queued.queue_id).into_iter().flatten();
            // Where an id was used again, the newest entry that fits is the message's own.
            match entries.rev().find(|(_, case)| queued.is(&case.entry, situation.same_clock)) {
                // A listing is not made at one instant: a message that moves meanwhile can show twice. The later line is newer.
                Some((index, _)) => {
                    matches.by_case.insert(*index, queued);
                }
                None => matches.others += usize::from(queued.place == QueuePlace::OnHold),
            }
        }
        matches
    }

    /// Whether the entry's id is in the queue at all.
    fn has_other(&self, entry: &Entry) -> bool {
        self.ids.contains_key(&entry.held.queue_id)
    }
}

#[cfg(test)]
mod tests;
