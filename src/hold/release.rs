//! The release itself: lists, plans, and carries the plan out step by step.
//!
//! It may be killed between any two steps. Each step is durable by itself and in an order that lets the next run see how far
//! this one came:
//!
//! | action | steps, in this order | killed in between, the next run |
//! |---|---|---|
//! | see | record, ledger | sees it again: a second record |
//! | release | record, ledger `released`, mail server | finds it released and still on hold: lets it go, or puts it back when the window has closed |
//! | recall | mail server, record, ledger | finds it released and on hold: puts it back |
//! | return | ledger `begun`, record, ledger `recorded`, notice, ledger `told`, mail server, ledger `returned` | goes on there: a second record or notice only if killed right behind the first |
//!
//! A message that is cancelled by order goes the same way; once `begun` is in the ledger it is finished, also by a later run.
//! So a record may be there twice, but nothing is done that is not recorded, nothing leaves twice, and nothing is lost.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::chronicle::{self, Cause, Chronicle, ChronicleError};
use super::entry::{Entry, EntryNumber, QueueId, Removal, Stage, State};
use super::ledger::{FixedSeed, Ledger, LedgerError};
use super::mta::{Mta, MtaError, Outcome, Verb};
use super::notice::{self, Notice, Post};
use super::plan::{self, Action, Case, Missing, Plan, Queued, Situation, Step, Terms, Window};
use super::regime::Regime;
use crate::charter::ReleaseOrder;
use crate::charter::overdue::Overdue;
use crate::store::{ReservationId, StoreError};
use crate::wording::returned::Returned;

/// A vanished message is looked for so long: longer than any maintenance of a queue takes.
const VANISHED_WATCH: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The seed of a draw is fixed so long before the window opens, if anything waits for it, so that its record is in the log
/// before the opening; several runs of the timer, so that a missed one does no harm.
const DRAW_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// Releases so far back count for the pace; the longest pace a charter can have is far shorter.
const PACE_MEMORY: SignedDuration = SignedDuration::from_hours(25);
/// A run looks at the queue again at once this many times when a step opens the way to another (seen, then overdue).
const PASSES_MAX: usize = 4;

/// Why a run ended before its work was done. What was done stays done; the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The mail server.
    #[error(transparent)]
    Mta(#[from] MtaError),
    /// The sender of a message that is returned or cancelled could not be told.
    #[error("its sender cannot be told yet, so it stays on hold; give the order again: {0}")]
    NotTold(#[source] MtaError),
    /// The decision log.
    #[error(transparent)]
    Chronicle(#[from] ChronicleError),
    /// The store of stops.
    #[error("the store of stops: {0}")]
    Store(#[from] StoreError),
}

/// What a run did, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Seen on hold for the first time, or again.
    pub seen: usize,
    /// Let go.
    pub released: usize,
    /// Called back because their window closed before they were delivered.
    pub recalled: usize,
    /// Left the queue after they were let go.
    pub gone: usize,
    /// Returned to their senders, or cancelled.
    pub returned: usize,
    /// Missing, by reason. An alarm, unless never queued.
    pub missing: BTreeMap<&'static str, usize>,
    /// Still waiting.
    pub waiting: usize,
    /// On hold, and none of ours.
    pub others: usize,
    /// Waiting under a charter that is not configured.
    pub orphans: usize,
    /// What went wrong with single messages; they are tried again.
    pub problems: Vec<String>,
}

impl Summary {
    /// Whether somebody should look at it.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        let missing = self.missing.keys().any(|why| *why != Missing::NeverQueued.as_str());
        missing || self.orphans > 0 || !self.problems.is_empty()
    }
}

/// Everything a run works with.
pub struct Release<'a, M, C, R, P> {
    /// The ledger.
    pub ledger: &'a mut Ledger,
    /// The mail server.
    pub mta: &'a mut M,
    /// The decision log.
    pub chronicle: &'a mut C,
    /// The charters.
    pub regime: &'a mut R,
    /// Who takes notices to senders.
    pub post: &'a mut P,
    /// The clock.
    pub clock: &'a dyn Fn() -> Timestamp,
    /// The mail server reads the same clock; always so, except where a test sets ours.
    pub same_clock: bool,
    /// Waits.
    pub wait: &'a dyn Fn(Duration),
    /// Keeps the places that a message takes in quotas, or gives them back. Both may be asked again.
    pub settle: &'a dyn Fn(ReservationId, Places) -> Result<(), StoreError>,
    /// The name of this host, in notices.
    pub host: &'a str,
    /// From whom notices are; `MAILER-DAEMON` when `None`.
    pub from: Option<&'a str>,
}

/// What becomes of the places that a held message takes in quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// The message left: they are its own.
    Kept,
    /// It never will: the sender has them back.
    GivenBack,
}

/// One look at everything.
struct Look {
    now: Timestamp,
    cases: Vec<Case>,
    queue: Vec<Queued>,
    statistics: HashSet<EntryNumber>,
}

impl Look {
    fn entry(&self, number: EntryNumber) -> Option<&Entry> {
        self.cases.iter().map(|case| &case.entry).find(|entry| entry.number == number)
    }
}

impl<M: Mta, C: Chronicle, R: Regime, P: Post> Release<'_, M, C, R, P> {
    /// Works until nothing more may leave, or for as long as `patience`, waiting where the pace says so.
    ///
    /// # Errors
    /// [`ReleaseError`]; the next run goes on where this one ended.
    pub fn run(&mut self, patience: SignedDuration) -> Result<Summary, ReleaseError> {
        let begun = (self.clock)();
        let mut summary = Summary::default();
        let mut passes = 0;
        loop {
            let look = self.look()?;
            let plan = self.plan(&look)?;
            (summary.waiting, summary.others, summary.orphans) = (plan.waiting, plan.others, plan.orphans);
            let problems = summary.problems.len();
            self.carry_out(&look, &plan, &mut summary)?;
            // A step that failed is for the next run, not for this one again and again.
            let stuck = summary.problems.len() > problems;
            let opens_the_way = plan.steps.iter().any(|step| matches!(step.action, Action::See(_) | Action::Recall));
            passes += 1;
            if opens_the_way && !stuck && passes < PASSES_MAX {
                continue;
            }
            let now = (self.clock)();
            let Some(next) = plan.next.filter(|next| *next <= begun + patience && !stuck) else { return Ok(summary) };
            passes = 0;
            // At least a moment, so that a clock that stands still cannot make this a busy loop.
            (self.wait)(
                Duration::try_from(next.duration_since(now)).unwrap_or_default().max(Duration::from_millis(100)),
            );
        }
    }

    /// Deletes from the queue, and concludes, a message whose sender is to be told that the postmaster cancelled it.
    ///
    /// # Errors
    /// [`ReleaseError`]; the next run finishes what was begun.
    pub fn cancel(&mut self, entry: &Entry, reference: &str, tell: bool) -> Result<Summary, ReleaseError> {
        let now = (self.clock)();
        let order = Some(reference.to_owned());
        let begun = Removal { to: State::Cancelled, why: Overdue::Order, order, silent: !tell, stage: Stage::Begun };
        // One that was begun before is finished as it was begun.
        let removal = entry.removal.clone().filter(Removal::is_binding).unwrap_or(begun);
        let mut summary = Summary::default();
        self.withdraw(entry, removal, now, &mut summary)?;
        Ok(summary)
    }

    /// Lets a message go by order of the postmaster, whatever the hour.
    ///
    /// # Errors
    /// [`ReleaseError`]; the next run finishes what was begun.
    pub fn release_by_order(&mut self, entry: &Entry) -> Result<Summary, ReleaseError> {
        let now = (self.clock)();
        let statistics = self.regime.ruling(entry, now).statistics;
        self.chronicle.record(now, chronicle::release(entry, Cause::Order, statistics, None))?;
        self.ledger.release_by_order(entry.number, entry.state, now)?;
        let mut summary = Summary::default();
        self.settle(entry, Places::Kept, &mut summary);
        let ids = [entry.held.queue_id.clone()];
        self.mta.perform(Verb::Release, &ids)?;
        // Without it the message leaves with the next queue run.
        let _ = self.mta.deliver(&ids);
        Ok(summary)
    }

    /// Reads the ledger first and the queue second: what is entered in between is not in the ledger's list, and is not missed.
    fn look(&mut self) -> Result<Look, ReleaseError> {
        self.regime.refresh()?;
        let vanished_since = (self.clock)().checked_sub(VANISHED_WATCH).unwrap_or(Timestamp::MIN);
        let entries = self.ledger.open_entries(vanished_since)?;
        let queue = self.mta.list()?;
        // The time after listing: a long queue takes a while, and the window may have closed meanwhile.
        let now = (self.clock)();
        let mut statistics = HashSet::new();
        let cases = entries.into_iter().map(|entry| {
            let ruling = self.regime.ruling(&entry, now);
            if ruling.statistics {
                statistics.insert(entry.number);
            }
            Case { entry, window: ruling.window, deadline: ruling.deadline, stopped: ruling.stopped }
        });
        let cases = cases.collect();
        Ok(Look { now, cases, queue, statistics })
    }

    fn plan(&mut self, look: &Look) -> Result<Plan, ReleaseError> {
        let mut charters: BTreeMap<String, Terms> = BTreeMap::new();
        let waiting: HashSet<&str> = look
            .cases
            .iter()
            .filter(|case| case.entry.state.is_waiting())
            .map(|case| case.entry.held.charter.as_str())
            .collect();
        for case in &look.cases {
            let id = &case.entry.held.charter;
            if charters.contains_key(id) {
                continue;
            }
            let Some(mut terms) = self.regime.terms(id, look.now) else { continue };
            if waiting.contains(id.as_str()) {
                self.fix_seed(id, &mut terms, look.now)?;
            }
            charters.insert(id.clone(), terms);
        }
        let opened = charters.values().filter_map(|terms| match terms.window {
            Window::Open { opened } => Some(opened),
            Window::None | Window::Closed { .. } => None,
        });
        let memory = look.now.checked_sub(PACE_MEMORY).unwrap_or(Timestamp::MIN);
        let past = self.ledger.releases_since(opened.fold(memory, Timestamp::min))?;
        let (cases, queue) = (&look.cases[..], &look.queue[..]);
        let same_clock = self.same_clock;
        let situation = Situation { now: look.now, cases, queue, charters: &charters, past: &past, same_clock };
        let mut plan = plan::plan(&situation);
        self.confirm_absences(look, &mut plan)?;
        Ok(plan)
    }

    /// Takes the seed of the open window, or of one that opens soon, and records it before anything leaves in its order.
    fn fix_seed(&mut self, charter: &str, terms: &mut Terms, now: Timestamp) -> Result<(), ReleaseError> {
        if terms.order == ReleaseOrder::Arrival {
            return Ok(());
        }
        let opening = match terms.window {
            Window::Open { opened } => opened,
            Window::Closed { opens: Some(opens) } if opens.duration_since(now) <= DRAW_AHEAD => opens,
            Window::None | Window::Closed { .. } => return Ok(()),
        };
        if let Some(fixed) = self.ledger.seed(charter, opening)? {
            terms.seed = fixed.seed;
            return Ok(());
        }
        // A log younger than the window has no checkpoint before it: then the seed is all zeros, for everybody to see.
        let none = || FixedSeed { seed: [0; 32], source: "no checkpoint before the window".to_owned() };
        let seed = self.chronicle.seed_before(opening.min(now))?.unwrap_or_else(none);
        self.chronicle.record(now, chronicle::draw(charter, opening, &seed))?;
        terms.seed = self.ledger.fix_seed(charter, opening, &seed)?.seed;
        Ok(())
    }

    /// The mail server does not list its queue at one instant: a message that moves from one directory to another while they
    /// are read can show in neither. Only what is not in a second listing either is absent.
    fn confirm_absences(&mut self, look: &Look, plan: &mut Plan) -> Result<(), ReleaseError> {
        let is_absence = |step: &Step| {
            matches!(
                step.action,
                Action::Conclude
                    | Action::Removed(_)
                    | Action::Miss(Missing::NeverQueued | Missing::Vanished | Missing::Changed)
            )
        };
        if !plan.steps.iter().any(is_absence) {
            return Ok(());
        }
        let listed: HashSet<QueueId> = look.queue.iter().map(|queued| queued.queue_id.clone()).collect();
        let again: HashSet<QueueId> = self.mta.list()?.into_iter().map(|queued| queued.queue_id).collect();
        plan.steps.retain(|step| {
            let Some(entry) = look.entry(step.number) else { return true };
            let id = &entry.held.queue_id;
            // It was not in the first listing and is in the second: the next pass will see it.
            !(is_absence(step) && !listed.contains(id) && again.contains(id))
        });
        Ok(())
    }

    fn carry_out(&mut self, look: &Look, plan: &Plan, summary: &mut Summary) -> Result<(), ReleaseError> {
        let now = look.now;
        let (mut letting_go, mut calling_back) = (Vec::new(), Vec::new());
        for step in &plan.steps {
            let Some(entry) = look.entry(step.number) else { continue };
            match step.action {
                Action::See(sighting) => {
                    self.chronicle.record(now, chronicle::seen(entry, sighting))?;
                    self.ledger.see(entry.number, entry.state, sighting, now)?;
                    summary.seen += 1;
                }
                Action::Release { rank, opened } => {
                    let statistics = look.statistics.contains(&entry.number);
                    let cause = if opened.is_some() { Cause::Window } else { Cause::NoWindow };
                    let window = opened.map(|opened| (opened, rank));
                    self.chronicle.record(now, chronicle::release(entry, cause, statistics, window))?;
                    // A message seen for the first time was moved by the step before this one.
                    self.ledger.advance(entry.number, State::SeenInQueue, State::Released, now)?;
                    letting_go.push(entry.held.queue_id.clone());
                    self.settle(entry, Places::Kept, summary);
                    summary.released += 1;
                }
                Action::ReleaseAgain => letting_go.push(entry.held.queue_id.clone()),
                Action::PutBack => self.wait_again(entry, now)?,
                Action::Recall => calling_back.push(entry),
                Action::Conclude => {
                    self.chronicle.record(now, chronicle::gone(entry, None))?;
                    self.ledger.advance(entry.number, State::Released, State::Gone, now)?;
                    self.settle(entry, Places::Kept, summary);
                    summary.gone += 1;
                }
                Action::Miss(missing) => {
                    self.chronicle.record(now, chronicle::gone(entry, Some(missing)))?;
                    self.ledger.advance(entry.number, entry.state, State::Vanished, now)?;
                    // What else is missing may have been delivered.
                    let never = missing == Missing::NeverQueued;
                    self.settle(entry, if never { Places::GivenBack } else { Places::Kept }, summary);
                    *summary.missing.entry(missing.as_str()).or_default() += 1;
                }
                Action::Return(why) => {
                    let to = State::Returned;
                    let removal = Removal { to, why, order: None, silent: false, stage: Stage::Begun };
                    self.give_back(entry, removal, now, summary)?;
                }
                Action::Remove => {
                    let Some(removal) = entry.removal.clone() else { continue };
                    self.give_back(entry, removal, now, summary)?;
                }
                Action::Removed(to) => {
                    self.ledger.advance(entry.number, entry.state, to, now)?;
                    self.settle(entry, Places::GivenBack, summary);
                    summary.returned += 1;
                }
            }
        }
        self.call_back(&calling_back, now, summary)?;
        self.let_go(&letting_go, summary)
    }

    fn let_go(&mut self, ids: &[QueueId], summary: &mut Summary) -> Result<(), ReleaseError> {
        if ids.is_empty() {
            return Ok(());
        }
        // What is absent now shows in the next listing for what it is.
        self.mta.perform(Verb::Release, ids)?;
        if let Err(error) = self.mta.deliver(ids) {
            summary.problems.push(format!("let go, but delivery waits for the next queue run: {error}"));
        }
        Ok(())
    }

    fn call_back(&mut self, entries: &[&Entry], now: Timestamp, summary: &mut Summary) -> Result<(), ReleaseError> {
        if entries.is_empty() {
            return Ok(());
        }
        let ids: Vec<QueueId> = entries.iter().map(|entry| entry.held.queue_id.clone()).collect();
        let outcomes = self.mta.perform(Verb::Hold, &ids)?;
        for (entry, outcome) in entries.iter().zip(outcomes) {
            // One that is being delivered at this moment is tried again by the next run, if it is still there.
            if outcome == Outcome::Done {
                self.wait_again(entry, now)?;
                summary.recalled += 1;
            }
        }
        Ok(())
    }

    /// A message that was let go is on hold: it is seen there again, and waits.
    fn wait_again(&mut self, entry: &Entry, now: Timestamp) -> Result<(), ReleaseError> {
        self.chronicle.record(now, chronicle::seen(entry, entry.known()))?;
        self.ledger.advance(entry.number, State::Released, State::SeenInQueue, now)?;
        Ok(())
    }

    fn give_back(
        &mut self,
        entry: &Entry,
        removal: Removal,
        now: Timestamp,
        summary: &mut Summary,
    ) -> Result<(), ReleaseError> {
        let id = &entry.held.queue_id;
        if entry.held.return_to.is_none() && removal.why != Overdue::Order {
            summary
                .problems
                .push(format!("{id} is too late to be delivered, and names nobody to return it to; cancel it"));
            return Ok(());
        }
        match self.withdraw(entry, removal, now, summary) {
            // It stays on hold, and its sender is told by a later run.
            Err(ReleaseError::NotTold(error)) => summary.problems.push(format!("{id} cannot be returned yet: {error}")),
            done => {
                done?;
                summary.returned += 1;
            }
        }
        Ok(())
    }

    /// Takes a message out of the queue, from the stage that its removal has reached.
    fn withdraw(
        &mut self,
        entry: &Entry,
        mut removal: Removal,
        now: Timestamp,
        summary: &mut Summary,
    ) -> Result<(), ReleaseError> {
        let order = removal.order.clone();
        let must_tell = !removal.silent && removal.stage != Stage::Told;
        let notice = must_tell.then(|| self.notice(entry, removal.why, order.as_deref(), now)).transpose();
        let notice = notice.map_err(ReleaseError::NotTold)?;
        // Noted also where it is no news: while the ledger cannot be written, nobody is told the same again and again.
        self.ledger.note_removal(entry.number, entry.state, &removal)?;
        if removal.stage == Stage::Begun {
            self.chronicle.record(now, chronicle::cancel(entry, removal.why, order.as_deref()))?;
            removal.stage = Stage::Recorded;
            self.ledger.note_removal(entry.number, entry.state, &removal)?;
        }
        if removal.stage == Stage::Recorded {
            if let Some(notice) = notice {
                self.send(entry, &notice).map_err(ReleaseError::NotTold)?;
            }
            removal.stage = Stage::Told;
            self.ledger.note_removal(entry.number, entry.state, &removal)?;
        }
        self.remove(entry, removal.to, summary)
    }

    /// The notice for the sender, with the message.
    fn notice(
        &mut self,
        entry: &Entry,
        why: Overdue,
        order: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<u8>, MtaError> {
        let original = self.mta.read(&entry.held.queue_id)?;
        let voice = self.regime.voice(entry);
        let returned = Returned {
            list: &voice.list,
            charter: &voice.title,
            arrived: &voice.arrived,
            reference: &entry.held.reference,
            contest: voice.contest.as_deref(),
            order,
            was_let_go: entry.released.is_some(),
        };
        let notice = Notice { language: voice.language, why, returned, host: self.host, from: self.from, now };
        let recipient = entry.held.return_to.as_deref().unwrap_or_default();
        Ok(notice::compose(entry, recipient, &original, &notice))
    }

    fn send(&mut self, entry: &Entry, notice: &[u8]) -> Result<(), MtaError> {
        entry.held.return_to.as_deref().map_or(Ok(()), |recipient| self.post.send(recipient, notice))
    }

    fn remove(&mut self, entry: &Entry, to: State, summary: &mut Summary) -> Result<(), ReleaseError> {
        let outcomes = self.mta.perform(Verb::Discard, std::slice::from_ref(&entry.held.queue_id))?;
        if outcomes.first() == Some(&Outcome::Done) {
            self.ledger.advance(entry.number, entry.state, to, (self.clock)())?;
            self.settle(entry, Places::GivenBack, summary);
        }
        Ok(())
    }

    /// Settles the places that a message takes in quotas. What fails is said and holds nothing up: the places stay taken then.
    fn settle(&self, entry: &Entry, places: Places, summary: &mut Summary) {
        let settled = entry.held.reservation.map_or(Ok(()), |reservation| (self.settle)(reservation, places));
        if let Err(error) = settled {
            let id = &entry.held.queue_id;
            summary.problems.push(format!("the places of {id} in quotas could not be settled: {error}"));
        }
    }
}

#[cfg(test)]
mod tests;
