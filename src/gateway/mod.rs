//! What happens to one message, from its envelope to the effects on it, without a word of protocol.
//!
//! The daemon and `explain` walk the same way: [`Matter`] finds the rules that concern the message, [`deliberation`]
//! gathers facts and decides, [`Gateway`] makes the decision durable before anybody hears of it. Any error on the way
//! answers "try again later" for mail to a protected list: never accept, never discard.

mod budget;
mod deliberation;
mod explain;
mod in_force;
mod matter;
mod memory;
mod pending;
mod record;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::watch;

pub use budget::{Budget, Permit};
pub use deliberation::{Deliberation, Sources};
pub use explain::{Explained, explain};
pub use in_force::InForce;
pub use matter::Matter;
pub use memory::{Memory, Trouble};

use crate::charter::verdict::{Decision, Evidence, ReasonCode, Verdict};
use crate::config::Config;
use crate::config::daemon::Role;
use crate::decision_log::notary::Published;
use crate::decision_log::{Event, Journal, Record};
use crate::message::address::Address;
use crate::message::edit::{Edited, notify};
use crate::message::envelope::{Envelope, Recipient};
use crate::message::headers::HeaderEdit;
use crate::message::mime::Skim;
use crate::milter::meters;
use crate::proof::dkim;
use crate::store::{ReservationId, Stops as _};
use crate::wording::replies::{self, Reply};
use pending::{Decided, Pending};
use record::{Stage, Writing};

/// The header field that carries the reference of the decision.
pub const REFERENCE_FIELD: &str = "X-Charter-Reference";

/// How long the record of a decision that failed may take, so that the reply still reaches the mail server in time.
const LAST_WORD: Duration = Duration::from_secs(2);

/// A larger message is judged in the background. Such a text is read and weighed in some milliseconds, and so is kept a
/// connection that waits meanwhile.
const JUDGED_HERE_BYTES_MAX: usize = 128 << 10;

/// Crockford's base 32: no letter that looks like a digit.
const REFERENCE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Reads the clock; the real one in the daemon, a set one in tests.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What becomes of a message.
#[derive(Debug)]
pub enum Outcome {
    /// It passes untouched.
    Pass,
    /// It is refused, for now or for good.
    Refuse(Reply),
    /// It passes with these effects.
    Deliver(Box<Effects>),
}

/// A message that has come in whole.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Header, empty line, body; all lines as on the wire.
    pub raw: Vec<u8>,
    /// What was seen of it on the way.
    pub skim: Skim,
    /// Its share of the memory budget.
    pub permit: Option<Permit>,
}

/// A ruling for the protocol: what to tell the MTA, and what to settle once it has been told.
#[derive(Debug)]
pub struct Ruled {
    /// What becomes of the message.
    pub outcome: Outcome,
    /// What was reserved for it.
    pub settlement: Option<Settlement>,
    /// Its share of the memory budget, which the edited copy takes over until the MTA has it.
    pub room: Option<Permit>,
}

/// What is to be done to a message, in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Edits of the header, in order.
    pub header_edits: Vec<HeaderEdit>,
    /// The new envelope sender.
    pub return_path: Option<Address>,
    /// Recipients whose parameters change.
    pub recipients: Vec<RecipientReplacement>,
    /// The new body.
    pub body: Option<Vec<u8>>,
    /// Hold the message, for this reason.
    pub quarantine: Option<String>,
}

/// A recipient that is deleted and added again with other parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientReplacement {
    /// The path as the client wrote it.
    pub raw: String,
    /// The ESMTP parameters it shall have.
    pub parameters: Vec<String>,
}

/// What was reserved for a message and is confirmed or given back when its fate is known.
#[derive(Debug)]
pub struct Settlement {
    reservation: ReservationId,
    /// The message waits on hold: it is settled for good by what becomes of it there.
    held: bool,
}

impl Ruled {
    /// No rule concerns it.
    #[must_use]
    pub fn pass() -> Self {
        Self { outcome: Outcome::Pass, settlement: None, room: None }
    }

    /// Refused with this reply.
    #[must_use]
    pub fn refuse(reply: Reply) -> Self {
        Self { outcome: Outcome::Refuse(reply), settlement: None, room: None }
    }
}

/// Messages whose content is on its way to us: each holds a clone.
#[derive(Debug, Clone, Default)]
pub struct UnderWay(Arc<()>);

impl UnderWay {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// The gateway of one daemon.
pub struct Gateway {
    parts: Parts,
    budget: Budget,
    under_way: UnderWay,
    pending: Pending,
}

/// What a gateway is made of.
pub struct Parts {
    /// The configuration in force, replaced on reload.
    pub in_force: watch::Receiver<Arc<InForce>>,
    /// What is remembered of other messages.
    pub memory: Memory,
    /// Verification of DKIM signatures.
    pub dkim: dkim::Verifier,
    /// The decision log.
    pub journal: Journal,
    /// The clock.
    pub clock: Clock,
    /// Where large messages are judged, so that they keep no connection waiting but their own: a runtime of several threads.
    pub background: Handle,
}

impl Gateway {
    /// Puts a gateway together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let memory_bytes = parts.in_force.borrow().config.daemon.limits.memory_bytes_max;
        Self {
            budget: Budget::new(usize::try_from(memory_bytes).unwrap_or(usize::MAX)),
            under_way: UnderWay::default(),
            pending: Pending::default(),
            parts,
        }
    }

    /// The configuration in force now.
    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.parts.in_force.borrow())
    }

    /// The messages under way, over all connections.
    #[must_use]
    pub fn under_way(&self) -> &UnderWay {
        &self.under_way
    }

    /// The memory budget.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.parts.clock)()
    }

    /// Finds the rules that concern a message; `None` when none does.
    #[must_use]
    pub fn take_up(&self, envelope: &Envelope) -> Option<Matter> {
        let matter = Matter::find(&self.in_force(), envelope, new_reference, self.now());
        if matter.is_none() {
            metrics::counter!(meters::UNCONCERNED).increment(1);
        }
        matter
    }

    /// The reply to a recipient whose mailbox is deactivated (am:3.2.1), when RCPT can be answered.
    pub async fn refuses_recipient(&self, envelope: &Envelope, recipient: &Recipient) -> Option<Reply> {
        let in_force = self.in_force();
        if !in_force.has_deactivated_mailboxes {
            return None;
        }
        let alone = Envelope { recipients: vec![recipient.clone()], ..envelope.clone() };
        let mut matter = Matter::find(&in_force, &alone, new_reference, self.now())?;
        matter.keep_deactivated(&alone);
        if matter.is_empty() {
            return None;
        }
        self.judge_envelope(&matter, &alone).await
    }

    /// Asks the rules that need the envelope alone; the reply when they refuse, or when they cannot be asked in time.
    pub async fn judge_envelope(&self, matter: &Matter, envelope: &Envelope) -> Option<Reply> {
        let deadline = matter.limits().callback_deadline;
        if let Ok(reply) = tokio::time::timeout(deadline, self.rule_on_envelope(matter, envelope)).await {
            return reply;
        }
        tracing::error!(?deadline, "the envelope could not be judged in time; the message is deferred");
        Some(replies::later(matter.language(), "").plain(envelope.smtputf8))
    }

    async fn rule_on_envelope(&self, matter: &Matter, envelope: &Envelope) -> Option<Reply> {
        let limits = matter.limits();
        if envelope.declared_size_bytes.is_some_and(|size| size > limits.header_bytes_max + limits.body_bytes_max) {
            return Some(self.refuse_for(matter, envelope, ReasonCode::OverLimit, Evidence::Limit("body-bytes")).await);
        }
        if matter.unreadable_recipient {
            return Some(
                self.refuse_for(matter, envelope, ReasonCode::OverLimit, Evidence::Limit("recipient-routes")).await,
            );
        }
        if envelope.recipients.len() > matter.limits().recipients_max as usize && matter.concerns_list() {
            return Some(self.refuse_for(matter, envelope, ReasonCode::OverLimit, Evidence::Limit("recipients")).await);
        }
        let decision = match deliberation::envelope(matter, envelope, self.sources()).await {
            Ok(decision) => decision,
            Err(trouble) => return self.trouble(matter, envelope, &trouble).await,
        };
        if !decision.verdict().refuses() {
            return None;
        }
        let writing = Writing {
            matter,
            envelope,
            decision: &decision,
            deliberation: None,
            stage: Stage::Envelope,
            edits: Vec::new(),
        };
        Some(self.refuse(&writing, &[]).await)
    }

    /// Refuses a message for a reason that lies in the gateway, not in a charter; recorded like every refusal.
    pub async fn refuse_for(
        &self,
        matter: &Matter,
        envelope: &Envelope,
        reason: ReasonCode,
        evidence: Evidence,
    ) -> Reply {
        let decision = matter.fault(reason, &evidence);
        let writing = Writing {
            matter,
            envelope,
            decision: &decision,
            deliberation: None,
            stage: Stage::Envelope,
            edits: Vec::new(),
        };
        self.refuse(&writing, &[]).await
    }

    /// Decides about a message, makes the decision durable, and says what is to be done. A panic or a deadline that
    /// passes answers "try again later".
    pub async fn judge(
        self: &Arc<Self>,
        mut matter: Matter,
        envelope: Envelope,
        arrived: Arrived,
        role: Role,
    ) -> Ruled {
        matter.has_arrived(self.now());
        let deadline = matter.limits().callback_deadline;
        let (gateway, for_faults) = (Arc::clone(self), (matter.clone(), envelope.clone()));
        let started = std::time::Instant::now();
        // A task of its own: a panic in it is an answer here, and not the silent end of the session.
        let size = arrived.raw.len();
        let ruling = async move { gateway.rule(&matter, &envelope, arrived, role).await };
        let mut task =
            if size > JUDGED_HERE_BYTES_MAX { self.parts.background.spawn(ruling) } else { tokio::spawn(ruling) };
        let reason = match tokio::time::timeout(deadline, &mut task).await {
            Ok(Ok(ruled)) => {
                metrics::histogram!(meters::DECISION_SECONDS).record(started.elapsed());
                return ruled;
            }
            Ok(Err(panic)) => {
                tracing::error!(%panic, "the decision failed; the message is deferred. Please report this as a defect");
                ReasonCode::InternalFault
            }
            Err(_) => {
                task.abort();
                tracing::error!(?deadline, "the decision took too long; the message is deferred");
                ReasonCode::DeadlinePassed
            }
        };
        let (matter, envelope) = for_faults;
        // Whatever hung may hang the record of it too.
        let refusal = self.refuse_for(&matter, &envelope, reason, Evidence::None);
        let reply = tokio::time::timeout(LAST_WORD, refusal).await;
        Ruled::refuse(reply.unwrap_or_else(|_| replies::later(matter.language(), "").plain(envelope.smtputf8)))
    }

    async fn rule(
        &self,
        matter: &Matter,
        envelope: &Envelope,
        Arrived { raw, skim, permit }: Arrived,
        role: Role,
    ) -> Ruled {
        let mut deliberation = match deliberation::content(matter, envelope, (&raw, skim), self.sources()).await {
            Ok(deliberation) => deliberation,
            Err(trouble) => {
                return self.trouble(matter, envelope, &trouble).await.map_or_else(Ruled::pass, Ruled::refuse);
            }
        };
        if let Some(breaker) = deliberation.breaker.take() {
            tracing::warn!(target = breaker.target, charter = ?breaker.charter, "the flood breaker has opened");
            // The message is deferred either way.
            let opened = self.parts.journal.append(Record::new(matter.now, Event::Stop(breaker))).await;
            opened.err().into_iter().for_each(|error| alarm(&error.into()));
        }
        // What goes on needs the edited copy only; ten large messages at once must not be kept twice.
        let copy_bytes = deliberation.edited.as_ref().and_then(|edited| edited.body.as_ref()).map_or(0, Vec::capacity);
        let room = permit.map(|permit| self.budget.recycle(raw, permit, copy_bytes));
        let held = deliberation.decision.verdict() == Verdict::Hold;
        let settlement = deliberation.reservation.map(|reservation| Settlement { reservation, held });
        let edits = deliberation.edited.as_ref().map(Edited::made).unwrap_or_default();
        let writing = Writing {
            matter,
            envelope,
            decision: &deliberation.decision,
            deliberation: Some(&deliberation),
            stage: Stage::Content,
            edits,
        };
        if deliberation.decision.verdict().refuses() {
            let reply = self.refuse(&writing, &deliberation.reasons).await;
            return Ruled { outcome: Outcome::Refuse(reply), settlement, room: None };
        }
        let outcome = match self.commit(&writing).await {
            Ok(reference) => self.deliver(matter, envelope, deliberation, &reference, role),
            Err(trouble) => match self.trouble(matter, envelope, &trouble).await {
                Some(reply) => Outcome::Refuse(reply),
                None => self.deliver(matter, envelope, deliberation, "", role),
            },
        };
        Ruled { outcome, settlement, room }
    }

    /// Makes a decision durable: the log first, then the ledger for mail that is held.
    async fn commit(&self, writing: &Writing<'_>) -> Result<String, Trouble> {
        let reference = self.append(writing).await?;
        if writing.decision.verdict() == Verdict::Hold {
            let held = writing.held(&reference, &self.parts.memory)?;
            self.parts.memory.ledger.enter(held).await?;
        }
        count(writing.decision);
        Ok(reference)
    }

    async fn append(&self, writing: &Writing<'_>) -> Result<String, Trouble> {
        let record = writing.record(&self.parts.memory.pseudonyms)?;
        let reference = self.parts.journal.append(Record::new(writing.matter.now, record.into())).await?;
        Ok(reference.to_string())
    }

    fn deliver(
        &self,
        matter: &Matter,
        envelope: &Envelope,
        deliberation: Deliberation,
        reference: &str,
        role: Role,
    ) -> Outcome {
        let hold = (deliberation.decision.verdict() == Verdict::Hold).then(|| matter.hold_reason(reference));
        let mut effects = deliberation.edited.map(|edited| Effects::new(edited, envelope)).unwrap_or_default();
        if matter.enforces_list() {
            effects.header_edits.extend(reference_edits(deliberation.references_found, reference));
        }
        match role {
            Role::Edit => {
                let decided = hold.map_or(Decided::Pass, Decided::Hold);
                if let Some(queue_id) = &envelope.queue_id {
                    self.pending.put(queue_id.clone(), decided, matter.now);
                }
            }
            Role::Full | Role::Hold => effects.quarantine = hold,
        }
        if effects == Effects::default() { Outcome::Pass } else { Outcome::Deliver(Box::new(effects)) }
    }

    /// On the second socket of two: finds the decision that the first one made. A message that no list is concerned with
    /// may have passed the first one early, and left nothing there.
    pub async fn recall(&self, matter: &Matter, envelope: &Envelope) -> Ruled {
        let decided = envelope.queue_id.as_ref().and_then(|id| self.pending.take(id, self.now()));
        match decided {
            None if !matter.concerns_list() => Ruled::pass(),
            Some(Decided::Pass) => Ruled::pass(),
            Some(Decided::Hold(reason)) => {
                let effects = Effects { quarantine: Some(reason), ..Effects::default() };
                Ruled { outcome: Outcome::Deliver(Box::new(effects)), settlement: None, room: None }
            }
            None => Ruled::refuse(self.refuse_for(matter, envelope, ReasonCode::Undecided, Evidence::None).await),
        }
    }

    /// Keeps what was reserved when the message was let through, gives it back otherwise.
    pub async fn settle(&self, settlement: Settlement, delivered: bool) {
        if let Err(trouble) = self.parts.memory.settle(&settlement, delivered).await {
            // The reservation expires by itself; a confirmed place that is not kept costs the charter, not the sender.
            tracing::error!(%trouble, delivered, "a quota could not be settled");
        }
    }

    /// Appends a record that is about no message.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn note(&self, record: Record) -> Result<(), Trouble> {
        self.parts.journal.append(record).await?;
        Ok(())
    }

    /// The numbers of the stops in force that name nothing of this configuration: who was renamed has escaped one.
    pub async fn stops_of_nothing(&self, config: &Config) -> Vec<i64> {
        let stops = self.parts.memory.store.history().await.unwrap_or_default();
        let idle = stops.into_iter().filter(|stop| stop.is_in_force(self.now()) && !config.has(&stop.subject));
        idle.map(|stop| stop.number).collect()
    }

    /// Forgets counters whose span ended before this.
    ///
    /// # Errors
    /// The store failed.
    pub async fn forget_counters(&self, before: Timestamp) -> Result<(), Trouble> {
        self.parts.memory.forget_counters(before).await
    }

    /// What the log does by the clock; returns the checkpoints signed. Also looks whether what failed works again, and gives back
    /// memory that nobody needs.
    pub async fn tick(&self, open_windows: &[String]) -> Vec<Published> {
        let now = self.now();
        self.budget.give_up_idle();
        for (writer, works) in
            [("store", self.parts.memory.store_works().await), ("ledger", self.parts.memory.ledger_works().await)]
        {
            match works {
                Ok(()) => metrics::gauge!(meters::UNWRITABLE, "writer" => writer).set(0.0),
                Err(trouble) => alarm(&trouble),
            }
        }
        match self.parts.journal.tick(now, open_windows).await {
            Ok(published) => {
                metrics::gauge!(meters::UNWRITABLE, "writer" => "log").set(0.0);
                published
            }
            Err(error) => {
                alarm(&Trouble::Log(error));
                Vec::new()
            }
        }
    }

    /// Signs a last checkpoint, for a daemon that stops: what it did since the last one is then proven too. Blocks.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn sign_off(&self) -> Result<Published, Trouble> {
        Ok(self.parts.journal.checkpoint_blocking(self.now())?)
    }

    /// Records a refusal and words the reply. A refusal that cannot be recorded becomes "try again later".
    async fn refuse(&self, writing: &Writing<'_>, reasons: &[String]) -> Reply {
        match self.append(writing).await {
            Ok(reference) => {
                count(writing.decision);
                writing.matter.reply(writing.decision, writing.envelope, &reference, reasons)
            }
            Err(trouble) => {
                alarm(&trouble);
                replies::later(writing.matter.language(), "").plain(writing.envelope.smtputf8)
            }
        }
    }

    /// Something the gateway needs failed: the operator is told what, the sender only when to come back. `None` when no
    /// list is concerned: other mail passes.
    async fn trouble(&self, matter: &Matter, envelope: &Envelope, trouble: &Trouble) -> Option<Reply> {
        alarm(trouble);
        if !matter.concerns_list() {
            return None;
        }
        Some(self.refuse_for(matter, envelope, trouble.reason(), Evidence::None).await)
    }

    fn sources(&self) -> Sources<'_> {
        Sources { memory: Some(&self.parts.memory), dkim: Some(&self.parts.dkim), budget: Some(&self.budget) }
    }
}

impl Effects {
    fn new(edited: Edited, envelope: &Envelope) -> Self {
        let asking = envelope.recipients.iter().filter(|_| edited.envelope.neutralise_notify);
        let recipients = asking.filter_map(|recipient| {
            let parameters = notify::neutralised(&recipient.parameters)?;
            Some(RecipientReplacement { raw: recipient.raw.clone(), parameters })
        });
        Self {
            recipients: recipients.collect(),
            header_edits: edited.header_edits,
            return_path: edited.envelope.return_path,
            body: edited.body,
            quarantine: None,
        }
    }
}

/// The reference goes into the header in place of any that came with the message.
fn reference_edits(found: u32, reference: &str) -> Vec<HeaderEdit> {
    let stale = (1..=found).rev().map(|index| HeaderEdit::Delete { name: REFERENCE_FIELD.to_owned(), index });
    let value = format!(" {reference}").into_bytes();
    stale.chain([HeaderEdit::Append { name: REFERENCE_FIELD.to_owned(), value }]).collect()
}

/// Tells the operator, once for each message, what failed; and the metrics, until it works again.
fn alarm(trouble: &Trouble) {
    if let Some(writer) = trouble.writer() {
        metrics::gauge!(meters::UNWRITABLE, "writer" => writer).set(1.0);
    }
    tracing::error!(%trouble, "mail to protected lists is deferred (451) until this is mended");
}

fn count(decision: &Decision) {
    metrics::counter!(meters::DECISIONS, "verdict" => decision.verdict().as_str()).increment(1);
    if decision.verdict().refuses() {
        let reason = decision.leading().and_then(|(_, finding)| finding.reason()).unwrap_or(ReasonCode::InternalFault);
        metrics::counter!(meters::REFUSALS, "reason" => reason.as_str()).increment(1);
    }
}

/// A reference that nobody can guess and anybody can read over the telephone: 50 bits, in groups of five characters.
fn new_reference() -> String {
    let mut octets = [0; 8];
    // Without random octets the reference is the same for all; the record is found by its Message-ID all the same.
    let _ = getrandom::fill(&mut octets);
    let mut bits = u64::from_be_bytes(octets);
    let mut text = String::with_capacity(11);
    for position in 0..10 {
        if position == 5 {
            text.push('-');
        }
        let index = usize::try_from(bits & 31).unwrap_or(0);
        text.push(char::from(REFERENCE_ALPHABET.get(index).copied().unwrap_or(b'0')));
        bits >>= 5;
    }
    text
}
