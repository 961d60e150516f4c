//! Counting: one pass over the records of the time asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::decision_log::line::{Line, RecordLine};
use crate::decision_log::reader::{Place, ReadError, Segments};
use crate::decision_log::record::{
    ConfigRecord, DecisionRecord, Event, JudgementRecord, Kind, QuotaUse, ReleaseRecord, StopRecord,
};
use crate::decision_log::verify::Head;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Question {
    /// First local day.
    pub from: Option<Date>,
    /// Last local day, included.
    pub to: Option<Date>,
    /// Only these charters; all when empty.
    pub charters: Vec<String>,
    /// Where days are counted.
    pub time_zone: TimeZone,
    /// Names of registered senders by pseudonym, when they are to be shown.
    pub names: HashMap<String, String>,
}

/// The answer.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Name of the log.
    pub origin: String,
    /// The checkpoint the report was computed from.
    pub checkpoint: Option<Head>,
    /// Number of records that came after it, and are not counted.
    pub unsigned: u64,
    /// Whether the auditors' key leads to it.
    pub key_confirmed: bool,
    /// First local day asked for.
    pub from: Option<Date>,
    /// Last local day asked for.
    pub to: Option<Date>,
    /// Name of the time zone.
    pub time_zone: String,
    /// Number of records counted.
    pub records: u64,
    /// Each charter.
    pub charters: Vec<CharterReport>,
    /// Suspensions, in order.
    pub stops: Vec<StopLine>,
    /// Configurations, in order.
    pub configurations: Vec<ConfigLine>,
    /// Jumps of the clock.
    pub clock_jumps: u64,
    /// Repairs after a crash or a failed write.
    pub recoveries: u64,
    /// How often each operator's command was used.
    pub operators: BTreeMap<String, u64>,
}

/// Verdicts, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// All messages.
    pub messages: u64,
    /// Accepted at once.
    pub accepted: u64,
    /// Held for the night window.
    pub held: u64,
    /// Refused by the rules that these figures are about.
    pub refused: u64,
    /// Refused by others that judged the same message: another charter's, another list's, or a charter's general rules. These
    /// had no objection, and the sender has its message back all the same.
    pub refused_by_others: u64,
    /// Put off (451).
    pub deferred: u64,
}

impl Verdicts {
    /// Counts a message by what became of it as a whole, which is what its sender saw; `refuses` when the judgement counted does
    /// so itself.
    fn count(&mut self, verdict: &str, refuses: bool) {
        self.messages += 1;
        match verdict {
            _ if refuses => self.refused += 1,
            "accept" => self.accepted += 1,
            "hold" => self.held += 1,
            "reject" => self.refused_by_others += 1,
            _ => self.deferred += 1,
        }
    }
}

/// One charter.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CharterReport {
    /// Its id.
    pub charter: String,
    /// Whether figures for each sender may be shown.
    pub statistics: bool,
    /// All its judgements.
    pub verdicts: Verdicts,
    /// Of these, how many were only recorded (monitor mode).
    pub monitored: u64,
    /// By local day.
    pub days: BTreeMap<Date, Verdicts>,
    /// By list; the general rules are `-`.
    pub lists: BTreeMap<String, Verdicts>,
    /// Refusals by reason code and clause.
    pub reasons: Vec<ReasonLine>,
    /// Each sender; empty without statistics.
    pub senders: Vec<SenderReport>,
    /// Each night window in which something left.
    pub nights: Vec<Night>,
    /// Messages that left outside of any window, by order.
    pub released_by_order: u64,
    /// Held messages that were returned or removed.
    pub cancelled: u64,
    /// Held messages that vanished from the queue.
    pub gone: u64,
}

/// How often a reason was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReasonLine {
    /// The reason code.
    pub reason: String,
    /// The clause.
    pub clause: String,
    /// How often.
    pub count: u64,
}

/// One sender under one charter.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SenderReport {
    /// Its pseudonym.
    pub sender: String,
    /// Its name, when names are shown.
    pub name: Option<String>,
    /// Its messages.
    pub verdicts: Verdicts,
    /// Its refusals.
    pub reasons: Vec<ReasonLine>,
    /// Its held messages that were let go, and neither called back nor returned since; mail that was never held is not among
    /// them.
    pub released: u64,
    /// Time from arrival to release, seconds.
    pub wait: Option<Spread>,
    /// Mean place in the order of the night, from 1.
    pub mean_rank: Option<f64>,
    /// The fullest that each of its quotas was, by the share that was used; of as full ones, the one with most messages.
    pub quotas: Vec<QuotaUse>,
    /// First and last message.
    pub first: Option<Timestamp>,
    /// See `first`.
    pub last: Option<Timestamp>,
}

/// A spread of durations, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The shortest.
    pub min: i64,
    /// The middle one.
    pub median: i64,
    /// The longest.
    pub max: i64,
}

/// One night window.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Night {
    /// Its first instant.
    pub opens: Timestamp,
    /// Seed of the draw, when one was recorded.
    pub seed: Option<String>,
    /// What left, in order.
    pub releases: Vec<Released>,
}

/// One release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Released {
    /// When.
    pub at: Timestamp,
    /// Its place in the order, from 1.
    pub rank: Option<u32>,
    /// Pseudonym of the sender; absent without statistics.
    pub sender: Option<String>,
    /// Name of the sender, when names are shown.
    pub name: Option<String>,
    /// The list.
    pub list: String,
    /// Time from arrival, seconds.
    pub waited: i64,
}

/// A suspension.
#[derive(Debug, Clone, Serialize)]
pub struct StopLine {
    /// When.
    pub at: Timestamp,
    /// `stop`, `resume`, `breaker`.
    pub action: String,
    /// What.
    pub target: String,
    /// Under which charter.
    pub charter: Option<String>,
    /// Which list, or, of a sender or mailbox, which sender where statistics are allowed.
    pub whom: Option<String>,
    /// Reason code.
    pub reason: String,
    /// Reference of the order.
    pub reference: Option<String>,
    /// From when; absent means at once.
    pub from: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// A change of configuration.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigLine {
    /// When.
    pub at: Timestamp,
    /// Digest over all files.
    pub digest: String,
    /// Names of the files whose digest differs from that of the configuration before.
    pub changed: Vec<String>,
}

/// Counts the records of `dir` that `question` asks for, of the first `signed` ones: those that the checkpoint signs which the
/// report names. The log should have been verified.
///
/// # Errors
///
/// When it cannot be read.
pub fn report(dir: &Path, question: &Question, signed: u64) -> Result<Report, ReadError> {
    let mut count = Count::new(question);
    Segments::open(dir)?.for_each(|place, line, _| match line {
        Line::Record(record) if record.index < signed => count.record(place, record),
        _ => Ok(()),
    })?;
    Ok(count.finish())
}

/// Per sender, while counting.
#[derive(Default)]
struct SenderCount {
    report: SenderReport,
    waits: Vec<i64>,
    ranks: Vec<u32>,
    quotas: BTreeMap<(String, String, String), QuotaUse>,
    reasons: BTreeMap<(String, String), u64>,
}

/// Per charter, while counting.
#[derive(Default)]
struct CharterCount {
    report: CharterReport,
    senders: BTreeMap<String, SenderCount>,
    reasons: BTreeMap<(String, String), u64>,
    nights: BTreeMap<Timestamp, Night>,
    /// One record that forbids statistics forbids them for the charter.
    forbidden: bool,
}

struct Count<'a> {
    question: &'a Question,
    charters: BTreeMap<String, CharterCount>,
    report: Report,
    files: BTreeMap<String, String>,
    /// Digest of the configuration in force, once one is recorded.
    digest: Option<String>,
    /// The messages that were let go, in the order of their records. Mail that cannot be delivered in its window is called back
    /// and let go in another, or goes back to its sender: only the last time counts.
    released: Vec<Option<(Timestamp, ReleaseRecord)>>,
    /// Where in `released` each is.
    release_of: HashMap<HeldMessage, usize>,
    /// The messages that were returned or removed: killed at the wrong moment, a cancellation is recorded twice.
    cancelled: HashSet<HeldMessage>,
}

/// Queue id and index of the decision; a queue id alone may come again.
type HeldMessage = (String, Option<u64>);

impl<'a> Count<'a> {
    fn new(question: &'a Question) -> Self {
        let time_zone = question.time_zone.iana_name().unwrap_or("UTC").to_owned();
        let report = Report { from: question.from, to: question.to, time_zone, ..Report::default() };
        Self {
            question,
            charters: BTreeMap::new(),
            report,
            files: BTreeMap::new(),
            digest: None,
            released: Vec::new(),
            release_of: HashMap::new(),
            cancelled: HashSet::new(),
        }
    }

    fn day(&self, at: Timestamp) -> Date {
        at.to_zoned(self.question.time_zone.clone()).date()
    }

    fn wants(&self, charter: &str) -> bool {
        let asked = &self.question.charters;
        asked.is_empty() || asked.iter().any(|id| id == charter)
    }

    fn record(&mut self, place: Place, record: &RecordLine<'_>) -> Result<(), ReadError> {
        // Seeds and configurations before the first day still explain what follows; the rest is not even read.
        let day = self.day(record.at);
        let early = self.question.from.is_some_and(|from| day < from);
        let late = self.question.to.is_some_and(|to| day > to);
        if late || (early && !matches!(record.kind, Kind::Config | Kind::Draw)) {
            return Ok(());
        }
        let event = record.event().map_err(|error| ReadError::Line(place, error))?;
        if !early {
            self.report.records += 1;
        }
        match event {
            Event::Decision(decision) => self.decision(record.at, day, &decision),
            Event::Release(release) if self.wants(&release.charter) => self.release(record.at, release),
            Event::Draw(draw) if self.wants(&draw.charter) => {
                let night = self.charter(&draw.charter).nights.entry(draw.window_opens).or_default();
                night.opens = draw.window_opens;
                night.seed = Some(draw.seed);
            }
            Event::Cancel(cancel) if self.wants(&cancel.charter) => {
                let message = (cancel.queue_id, cancel.decision);
                if let Some(release) = self.release_of.remove(&message).and_then(|at| self.released.get_mut(at)) {
                    *release = None;
                }
                let is_new = self.cancelled.insert(message);
                self.charter(&cancel.charter).report.cancelled += u64::from(is_new);
            }
            Event::Gone(gone) if self.wants(&gone.charter) && gone.is_anomaly() => {
                self.charter(&gone.charter).report.gone += 1;
            }
            Event::Stop(stop) => self.stop(record.at, stop),
            Event::Config(config) => self.config(record.at, early, config),
            Event::Clock(_) => self.report.clock_jumps += 1,
            Event::Recovery(_) => self.report.recoveries += 1,
            Event::Operator(operator) => *self.report.operators.entry(operator.command).or_default() += 1,
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, at: Timestamp, stop: StopRecord) {
        if stop.charter.as_ref().is_none_or(|charter| self.wants(charter)) {
            // The flood breaker names the list beside the sender that it stops: that is where it opened, not what is stopped.
            let whom = if stop.target == "list" { stop.list } else { stop.sender };
            let (action, target, charter) = (stop.action, stop.target, stop.charter);
            let (reason, reference, from, until) = (stop.reason, stop.reference, stop.from, stop.until);
            self.report.stops.push(StopLine { at, action, target, charter, whom, reason, reference, from, until });
        }
    }

    fn config(&mut self, at: Timestamp, early: bool, config: ConfigRecord) {
        // Each start of the daemon records the configuration, also when it is the one in force before.
        if self.digest.as_ref() == Some(&config.digest) {
            return;
        }
        let files: BTreeMap<_, _> = config.files.into_iter().map(|file| (file.name, file.sha256)).collect();
        let names: BTreeSet<_> = files.keys().chain(self.files.keys()).collect();
        let changed = names.into_iter().filter(|name| files.get(*name) != self.files.get(*name)).cloned();
        let line = ConfigLine { at, digest: config.digest.clone(), changed: changed.collect() };
        self.files = files;
        self.digest = Some(config.digest);
        if !early {
            self.report.configurations.push(line);
        }
    }

    fn charter(&mut self, id: &str) -> &mut CharterCount {
        let count = self.charters.entry(id.to_owned()).or_default();
        if count.report.charter.is_empty() {
            id.clone_into(&mut count.report.charter);
        }
        count
    }

    fn decision(&mut self, at: Timestamp, day: Date, decision: &DecisionRecord) {
        for judgement in &decision.judgements {
            if self.wants(&judgement.charter) {
                self.charter(&judgement.charter).judgement(at, day, judgement, decision);
            }
        }
    }

    fn release(&mut self, at: Timestamp, release: ReleaseRecord) {
        let message = (release.queue_id.clone(), release.decision);
        let before = self.release_of.get(&message).and_then(|at| self.released.get_mut(*at));
        match before {
            // Killed at the wrong moment, a release is recorded twice.
            Some(Some((_, before))) if before.window_opens == release.window_opens => return,
            Some(before) => *before = None,
            None => {}
        }
        self.release_of.insert(message, self.released.len());
        self.released.push(Some((at, release)));
    }

    fn count_release(&mut self, at: Timestamp, release: ReleaseRecord) {
        let name = release.sender.as_ref().and_then(|sender| self.question.names.get(sender).cloned());
        let count = self.charter(&release.charter);
        count.forbidden |= !release.statistics;
        let waited = at.duration_since(release.arrived).as_secs();
        if let Some(sender) = &release.sender {
            let sender = count.senders.entry(sender.clone()).or_default();
            sender.report.released += 1;
            sender.waits.push(waited);
            sender.ranks.extend(release.rank);
        }
        match release.window_opens {
            Some(opens) => {
                let night = count.nights.entry(opens).or_default();
                night.opens = opens;
                let (rank, sender, list) = (release.rank, release.sender, release.list);
                night.releases.push(Released { at, rank, sender, name, list, waited });
            }
            None => count.report.released_by_order += u64::from(release.reason == "operator"),
        }
    }

    fn finish(mut self) -> Report {
        for (at, release) in std::mem::take(&mut self.released).into_iter().flatten() {
            self.count_release(at, release);
        }
        let names = &self.question.names;
        self.report.charters = self.charters.into_values().map(|count| count.finish(names)).collect();
        for stop in &mut self.report.stops {
            // A charter that forbids statistics still shows that there was a stop, not whom it concerned.
            let forbidden =
                self.report.charters.iter().any(|charter| {
                    !charter.statistics && stop.charter.as_ref().is_none_or(|id| *id == charter.charter)
                });
            if forbidden && stop.target != "list" {
                stop.whom = None;
            } else if let Some(name) = stop.whom.as_ref().and_then(|whom| names.get(whom)) {
                stop.whom = Some(name.clone());
            }
        }
        self.report
    }
}

impl CharterCount {
    /// Counts a judgement of the message that was decided.
    fn judgement(&mut self, at: Timestamp, day: Date, judgement: &JudgementRecord, decision: &DecisionRecord) {
        let outcome = decision.verdict.as_str();
        self.forbidden |= !judgement.statistics;
        let report = &mut self.report;
        let refuses = judgement.verdict == "reject";
        report.verdicts.count(outcome, refuses);
        report.days.entry(day).or_default().count(outcome, refuses);
        let list = judgement.list.clone().unwrap_or_else(|| "-".to_owned());
        report.lists.entry(list).or_default().count(outcome, refuses);
        if judgement.mode == "monitor" {
            report.monitored += 1;
        }
        let reason = refuses
            .then(|| (judgement.reason.clone().unwrap_or_default(), judgement.clause.clone().unwrap_or_default()));
        if let Some(reason) = &reason {
            *self.reasons.entry(reason.clone()).or_default() += 1;
        }
        // Who only used a sender's address is not that sender.
        let is_claimed = judgement.reason.as_deref() == Some("sender-not-proven");
        // drancy:III.3.d: what a charter without statistics did to a sender's mail is not told in another's figures either.
        let is_told = judgement.verdict == outcome || decision.judgements.iter().all(|other| other.statistics);
        let Some(sender) = judgement.sender.as_ref().filter(|_| is_told && !is_claimed) else { return };
        let count = self.senders.entry(sender.clone()).or_default();
        count.report.verdicts.count(outcome, refuses);
        count.report.first.get_or_insert(at);
        count.report.last = Some(at);
        if let Some(reason) = reason {
            *count.reasons.entry(reason).or_default() += 1;
        }
        // Only mail that is let through counts; what was refused would have been one too many.
        let is_let_through = !refuses && ["accept", "hold"].contains(&outcome);
        for quota in judgement.quotas.iter().filter(|_| is_let_through) {
            let key = (quota.per.clone(), quota.of.clone(), quota.over.clone());
            let fullest = count.quotas.entry(key).or_insert_with(|| quota.clone());
            if is_fuller(quota, fullest) {
                *fullest = quota.clone();
            }
        }
    }

    fn finish(self, names: &HashMap<String, String>) -> CharterReport {
        let mut report = self.report;
        report.statistics = !self.forbidden;
        report.reasons = reason_lines(self.reasons);
        report.nights = self.nights.into_values().collect();
        if !report.statistics {
            // drancy:III.3.d: nothing that could be added up by sender leaves this function.
            for release in report.nights.iter_mut().flat_map(|night| &mut night.releases) {
                release.sender = None;
                release.name = None;
            }
            return report;
        }
        report.senders = self.senders.into_iter().map(|(sender, count)| count.finish(sender, names)).collect();
        report.senders.sort_by(|a, b| (&a.name, &a.sender).cmp(&(&b.name, &b.sender)));
        report
    }
}

impl SenderCount {
    fn finish(mut self, sender: String, names: &HashMap<String, String>) -> SenderReport {
        self.waits.sort_unstable();
        // Of an even number, half way between the two in the middle.
        let middle = |at: usize| self.waits.get(at).copied();
        let half = self.waits.len() / 2;
        let upper = middle(half);
        let lower = if self.waits.len().is_multiple_of(2) { half.checked_sub(1).and_then(middle) } else { upper };
        let median = lower.zip(upper).map(|(lower, upper)| i64::midpoint(lower, upper));
        let wait = self.waits.first().zip(median).zip(self.waits.last());
        let mean = |ranks: &[u32]| {
            let count = u32::try_from(ranks.len()).unwrap_or(u32::MAX);
            (count > 0).then(|| ranks.iter().copied().map(f64::from).sum::<f64>() / f64::from(count))
        };
        SenderReport {
            name: names.get(&sender).cloned(),
            sender,
            reasons: reason_lines(self.reasons),
            wait: wait.map(|((min, median), max)| Spread { min: *min, median, max: *max }),
            mean_rank: mean(&self.ranks),
            quotas: self.quotas.into_values().collect(),
            ..self.report
        }
    }
}

/// Whether more of `quota` is used than of `other`: a greater share, since the same quota may have another limit on each list,
/// or as great a share of more messages.
fn is_fuller(quota: &QuotaUse, other: &QuotaUse) -> bool {
    let share = |of: &QuotaUse, by: &QuotaUse| u128::from(of.used) * u128::from(by.max);
    (share(quota, other), quota.used) > (share(other, quota), other.used)
}

fn reason_lines(reasons: BTreeMap<(String, String), u64>) -> Vec<ReasonLine> {
    let mut lines: Vec<_> =
        reasons.into_iter().map(|((reason, clause), count)| ReasonLine { reason, clause, count }).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.count));
    lines
}
