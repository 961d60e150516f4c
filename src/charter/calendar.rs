//! When mail may be sent and delivered: the period in local days (cnrs:I.b) and the night window (cnrs:III.b).
//!
//! Both are defined by what the clock on the wall shows in the charter's time zone, so that anybody can check them
//! without knowing how they are computed:
//!
//! * An instant is inside the window when the local time is in `[from, to)`, or, when `to <= from`, in
//!   `[from, 24:00)` or `[00:00, to)`. A window whose hours the clock skips does not open on that day, and one whose
//!   hours the clock shows twice opens twice.
//! * A period is one unbroken stretch of time, from the first instant whose local date is `opens` (or later, where
//!   the clock skips that day) to the last instant whose local date is `closes`. Once closed it never opens again, even
//!   where the clock falls back across midnight.
//!
//! Zones change their offsets only at transitions; between two of them local time runs evenly. Every search below steps
//! from transition to transition, at most [`STEPS_MAX`] times.

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::{Charter, List, Mode, NightWindow, Period, PeriodRule, Sender};

/// How many edges of windows and changes of the clock a search may step over before it gives up. The window's edges
/// come round every day and no zone changes its clock more than a few times a year, so four steps nearly always do.
const STEPS_MAX: usize = 64;

const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);

/// A stretch of time, `[opens, closes)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Its first instant.
    pub opens: Timestamp,
    /// The first instant after it.
    pub closes: Timestamp,
}

impl Interval {
    /// Whether `now` is in it.
    #[must_use]
    pub fn contains(self, now: Timestamp) -> bool {
        self.opens <= now && now < self.closes
    }
}

/// Where an instant lies with respect to a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Position {
    /// Before it.
    NotOpen {
        /// The first instant of the period.
        opens: Timestamp,
    },
    /// Inside.
    Open,
    /// After it.
    Closed {
        /// The first instant after the period.
        closed: Timestamp,
    },
    /// There is no day on which this sender may write to this list: their periods have no day in common.
    Never,
}

/// The days on which a sender may write to a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Days {
    /// On any day.
    Always,
    /// On the days of this period.
    During(Period),
    /// On no day.
    Never,
}

impl Days {
    /// Where `now` lies with respect to these days.
    #[must_use]
    pub fn position(self, tz: &TimeZone, now: Timestamp) -> Position {
        match self {
            Self::Always => Position::Open,
            Self::During(period) => position(period, tz, now),
            Self::Never => Position::Never,
        }
    }

    /// The first instant after the last of these days; `None` where no day is the last.
    #[must_use]
    pub fn end(self, tz: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::During(period) => Some(day_ends(period.closes, tz)),
            Self::Always | Self::Never => None,
        }
    }
}

/// The days that apply to one sender and one list, and where they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectivePeriod<'a> {
    /// The days.
    pub days: Days,
    /// The list's or the charter's rule, whose clause and mode apply; `None` when neither has one.
    pub rule: Option<&'a PeriodRule>,
    /// The sender's own period leaves fewer days than the rule does, or is the only one there is.
    pub narrowed_by_sender: bool,
}

/// The days on which `sender` may write to `list`: a day counts when it is in the list's period (the charter's, where
/// the list has none of its own) *and* in the sender's own period, where it has one.
///
/// A sender's own period therefore closes its rights before the others' (Paris Nanterre: signatories of the charter first,
/// admissible lists only after) or, in a charter without a period, opens them for a time only (pm:9). It never opens a
/// list outside that list's own calendar: with a calendar for each ballot, one candidate's dates must not open another
/// ballot's list again.
#[must_use]
pub fn effective_period<'a>(
    charter: &'a Charter,
    list: Option<&'a List>,
    sender: Option<&Sender>,
) -> EffectivePeriod<'a> {
    effective(charter.period.as_ref(), list.and_then(|l| l.period.as_ref()), sender.and_then(|s| s.period))
}

/// The days that bind the delivery of `sender`'s mail to `list`: a period on trial must not keep mail from being delivered.
#[must_use]
pub fn binding_days(charter: &Charter, list: Option<&List>, sender: Option<&Sender>) -> Days {
    let EffectivePeriod { days, rule, .. } = effective_period(charter, list, sender);
    if rule.is_some_and(|rule| rule.mode == Mode::Monitor) { Days::Always } else { days }
}

fn effective<'a>(
    charters: Option<&'a PeriodRule>,
    lists: Option<&'a PeriodRule>,
    own: Option<Period>,
) -> EffectivePeriod<'a> {
    let rule = lists.or(charters);
    let days = match (rule.map(|r| r.period), own) {
        (None, None) => Days::Always,
        (Some(period), None) | (None, Some(period)) => Days::During(period),
        (Some(a), Some(b)) => {
            let common = Period { opens: a.opens.max(b.opens), closes: a.closes.min(b.closes) };
            if common.opens <= common.closes { Days::During(common) } else { Days::Never }
        }
    };
    let narrowed_by_sender = own.is_some() && rule.is_none_or(|r| days != Days::During(r.period));
    EffectivePeriod { days, rule, narrowed_by_sender }
}

/// Where `now` lies with respect to `period`: local days, both included.
#[must_use]
pub fn position(period: Period, tz: &TimeZone, now: Timestamp) -> Position {
    let Interval { opens, closes } = period_interval(period, tz);
    if now < opens {
        Position::NotOpen { opens }
    } else if now < closes {
        Position::Open
    } else {
        Position::Closed { closed: closes }
    }
}

/// The period as a stretch of time.
#[must_use]
pub fn period_interval(period: Period, tz: &TimeZone) -> Interval {
    Interval { opens: day_begins(period.opens, tz), closes: day_ends(period.closes, tz) }
}

/// The first instant whose local date is `day`; where the clock skips the whole day, the first one after it.
#[must_use]
pub fn day_begins(day: Date, tz: &TimeZone) -> Timestamp {
    let midnight = day.to_datetime(Time::midnight());
    let at = |offset: jiff::tz::Offset, otherwise| offset.to_timestamp(midnight).unwrap_or(otherwise);
    match tz.to_ambiguous_timestamp(midnight).offset() {
        AmbiguousOffset::Unambiguous { offset } => at(offset, far_instant(day)),
        AmbiguousOffset::Fold { before, .. } => at(before, far_instant(day)),
        // The clock skips midnight: the day begins at the change itself, which lies between the two readings.
        AmbiguousOffset::Gap { before, after } => {
            let early = at(after, far_instant(day));
            tz.following(early).next().map_or_else(|| at(before, early), |change| change.timestamp())
        }
    }
}

/// The first instant after the last one whose local date is `day` or earlier.
#[must_use]
pub fn day_ends(day: Date, tz: &TimeZone) -> Timestamp {
    let Ok(next) = day.tomorrow() else { return Timestamp::MAX };
    let first = day_begins(next, tz);
    // Where the clock falls back across midnight, the next day begins, stops and begins again; the second time counts.
    let Some(change) = tz.following(first).next() else { return first };
    if tz.to_datetime(change.timestamp()).date() >= next {
        return first;
    }
    match tz.to_ambiguous_timestamp(next.to_datetime(Time::midnight())).offset() {
        AmbiguousOffset::Fold { after, .. } => {
            after.to_timestamp(next.to_datetime(Time::midnight())).map_or(first, |second| second.max(first))
        }
        _ => first,
    }
}

/// Whether the clock shows an hour of the window.
#[must_use]
pub fn is_inside(window: &NightWindow, tz: &TimeZone, now: Timestamp) -> bool {
    shows_window(window, tz.to_datetime(now).time())
}

/// The first instant after `now` at which the window opens. When `now` is inside, that is the next opening, not this one.
/// `None` only where time itself ends (the year 9999).
#[must_use]
pub fn next_opening(window: &NightWindow, tz: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    window_following(window, tz, now).map(|interval| interval.opens)
}

/// The stretch of the window that `now` is in. A window from an hour to the same hour lasts all day, and is cut there.
#[must_use]
pub fn window_containing(window: &NightWindow, tz: &TimeZone, now: Timestamp) -> Option<Interval> {
    if !is_inside(window, tz, now) {
        return None;
    }
    Some(Interval { opens: last_opening(window, tz, now)?, closes: next_closing(window, tz, now)? })
}

/// The first stretch of the window that opens after `now`.
#[must_use]
pub fn window_following(window: &NightWindow, tz: &TimeZone, now: Timestamp) -> Option<Interval> {
    let mut at = if is_inside(window, tz, now) { next_closing(window, tz, now)? } else { now };
    for _ in 0..STEPS_MAX {
        if is_inside(window, tz, at) {
            return Some(Interval { opens: at, closes: next_closing(window, tz, at)? });
        }
        at = next_edge(window, tz, at)?;
    }
    None
}

/// A window and the zone whose clocks it is read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours<'a> {
    /// The window.
    pub window: &'a NightWindow,
    /// The zone.
    pub tz: &'a TimeZone,
}

impl<'a> Hours<'a> {
    /// A charter's window, where it is enforced.
    #[must_use]
    pub fn of(charter: &'a Charter) -> Option<Self> {
        let window = charter.night_window.as_ref().filter(|window| window.mode == Mode::Enforce)?;
        Some(Self { window, tz: &charter.time_zone })
    }
}

/// The first instant, `now` itself or later, that is inside all these windows: where charters apply together, each binds
/// (am:4.1). `None` where they do not meet within [`STEPS_MAX`] openings, which is more than a month.
#[must_use]
pub fn common_opening(hours: &[Hours<'_>], now: Timestamp) -> Option<Timestamp> {
    let mut at = now;
    for _ in 0..STEPS_MAX {
        let closed = hours.iter().filter(|hours| !is_inside(hours.window, hours.tz, at));
        let openings: Option<Vec<_>> = closed.map(|hours| next_opening(hours.window, hours.tz, at)).collect();
        match openings?.into_iter().max() {
            Some(latest) => at = latest,
            None => return Some(at),
        }
    }
    None
}

/// Whether the windows of two charters are never open at the same time, neither in winter nor in summer.
#[must_use]
pub fn never_meet(one: &Charter, other: &Charter) -> bool {
    let hours = [one, other].map(Hours::of);
    let seasons = [Timestamp::constant(1_736_899_200, 0), Timestamp::constant(1_752_537_600, 0)];
    let hours: Vec<_> = hours.into_iter().flatten().collect();
    seasons.into_iter().all(|day| common_opening(&hours, day).is_none())
}

/// What one charter says of the time at which a message may be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound<'a> {
    /// The hours.
    pub hours: Option<Hours<'a>>,
    /// The days.
    pub days: Days,
    /// The zone of the days.
    pub tz: &'a TimeZone,
}

impl Bound<'_> {
    /// The first instant at which it may not be delivered any more, and the last day before it.
    fn end(&self) -> Option<(Timestamp, Date)> {
        let Days::During(period) = self.days else { return None };
        Some((self.days.end(self.tz)?, period.closes))
    }
}

/// Whether and when a message that arrives now may be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// At once.
    Now,
    /// It waits.
    Held {
        /// The first instant at which it may be delivered.
        from: Timestamp,
    },
    /// The period has not begun. Nothing is stored for it: the rule `period` refuses the message.
    NotOpen {
        /// The first instant of the period.
        opens: Timestamp,
    },
    /// It can never be delivered: the period is over, or ends before the next window opens (cnrs:I.b with cnrs:III.b).
    TooLate {
        /// The last day of the period that ends first; `None` where there is no day at all, or no window.
        last_day: Option<Date>,
    },
}

/// When a message that arrives at `now` may be delivered, as one charter sees it: inside its window, where it has one, and on
/// one of its days. A message that must wait does so until the windows of the charters `beside` it are open as well, and none
/// of their periods may end before (am:4.1).
#[must_use]
pub fn delivery(now: Timestamp, own: Bound<'_>, beside: &[Bound<'_>]) -> Delivery {
    match own.days.position(own.tz, now) {
        Position::NotOpen { opens } => return Delivery::NotOpen { opens },
        Position::Closed { .. } => return Delivery::TooLate { last_day: own.end().map(|(_, day)| day) },
        Position::Never => return Delivery::TooLate { last_day: None },
        Position::Open => {}
    }
    let Some(hours) = own.hours.filter(|hours| !is_inside(hours.window, hours.tz, now)) else { return Delivery::Now };
    let all = || std::iter::once(&own).chain(beside);
    let windows: Vec<_> = std::iter::once(hours).chain(beside.iter().filter_map(|bound| bound.hours)).collect();
    let end = all().filter_map(Bound::end).min();
    match common_opening(&windows, now) {
        Some(from) if end.is_none_or(|(ends, _)| from < ends) => Delivery::Held { from },
        _ => Delivery::TooLate { last_day: end.map(|(_, day)| day) },
    }
}

fn shows_window(window: &NightWindow, time: Time) -> bool {
    if window.from < window.to {
        window.from <= time && time < window.to
    } else {
        window.from <= time || time < window.to
    }
}

/// The first instant after `at` at which the clock shows one of the window's edges or is changed.
fn next_edge(window: &NightWindow, tz: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let time = tz.to_datetime(at).time();
    let wait = until(time, window.from).min(until(time, window.to));
    let edge = at.checked_add(wait).ok()?;
    match tz.following(at).next() {
        Some(change) if change.timestamp() < edge => Some(change.timestamp()),
        _ => Some(edge),
    }
}

/// The first instant after `at`, which is inside, that is not part of the same stretch of the window.
fn next_closing(window: &NightWindow, tz: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let mut edge = at;
    for _ in 0..STEPS_MAX {
        edge = next_edge(window, tz, edge)?;
        let time = tz.to_datetime(edge).time();
        if !shows_window(window, time) || (window.from == window.to && time == window.from) {
            return Some(edge);
        }
    }
    None
}

/// The first instant of the stretch of the window that `at` is in.
fn last_opening(window: &NightWindow, tz: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let mut at = at;
    for _ in 0..STEPS_MAX {
        let time = tz.to_datetime(at).time();
        let opening = at.checked_sub(since(time, window.from)).ok()?;
        // `preceding` leaves out its argument, and a change of the clock at this very instant counts.
        let change = tz.preceding(at.checked_add(NANOSECOND).ok()?).next().map(|c| c.timestamp());
        match change {
            // At a change that shows the opening hour once more, the stretch may go on from before it.
            Some(change) if change > opening || (change == opening && window.from != window.to) => {
                let before = change.checked_sub(NANOSECOND).ok()?;
                if !is_inside(window, tz, before) {
                    return Some(change);
                }
                at = before;
            }
            _ => return Some(opening),
        }
    }
    None
}

/// How long an even clock takes from `time` to the next time it shows `target`: more than nothing, at most a day.
fn until(time: Time, target: Time) -> SignedDuration {
    let distance = time.duration_until(target);
    if distance.is_positive() { distance } else { distance + SignedDuration::from_hours(24) }
}

/// How long ago an even clock that shows `time` last showed `target`: at least nothing, less than a day.
fn since(time: Time, target: Time) -> SignedDuration {
    let distance = target.duration_until(time);
    if distance.is_negative() { distance + SignedDuration::from_hours(24) } else { distance }
}

/// Dates at the ends of the calendar have midnights that no timestamp can say.
fn far_instant(day: Date) -> Timestamp {
    if day.year() > 0 { Timestamp::MAX } else { Timestamp::MIN }
}

#[cfg(test)]
mod tests;
