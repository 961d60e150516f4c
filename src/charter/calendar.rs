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

use super::{Charter, List, NightWindow, Period, PeriodRule, Sender};

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

/// Whether and when a message that arrives now may be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// At once.
    Now,
    /// It waits for the first window in which it may leave; where the period ends during that window, `until` says so.
    Held {
        /// The first instant at which it may be delivered.
        from: Timestamp,
        /// The first instant at which it may not any more (in this window; the next one may serve).
        until: Timestamp,
    },
    /// The period has not begun. Nothing is stored for it: the rule `period` refuses the message.
    NotOpen {
        /// The first instant of the period.
        opens: Timestamp,
    },
    /// It can never be delivered.
    TooLate {
        /// Why.
        reason: TooLate,
    },
}

/// Why a message can no longer be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TooLate {
    /// The period is over.
    PeriodClosed {
        /// The first instant after the period.
        closed: Timestamp,
    },
    /// The period is still open, but it ends before the next window opens (cnrs:I.b with cnrs:III.b).
    NoWindowLeft {
        /// The first instant after the period.
        closes: Timestamp,
        /// When the next window would open; `None` when none ever does.
        opens: Option<Timestamp>,
    },
    /// There is no day on which this sender may write to this list.
    NoDay,
}

/// When a message that arrives at `now` may be delivered: inside the window, where there is one, and on one of `days`.
#[must_use]
pub fn delivery(now: Timestamp, window: Option<&NightWindow>, days: Days, tz: &TimeZone) -> Delivery {
    let closes = match days {
        Days::Always => Timestamp::MAX,
        Days::During(period) => day_ends(period.closes, tz),
        Days::Never => return Delivery::TooLate { reason: TooLate::NoDay },
    };
    match days.position(tz, now) {
        Position::NotOpen { opens } => return Delivery::NotOpen { opens },
        Position::Closed { closed } => return Delivery::TooLate { reason: TooLate::PeriodClosed { closed } },
        Position::Open | Position::Never => {}
    }
    let Some(window) = window else { return Delivery::Now };
    if is_inside(window, tz, now) {
        return Delivery::Now;
    }
    match window_following(window, tz, now) {
        Some(next) if next.opens < closes => Delivery::Held { from: next.opens, until: next.closes.min(closes) },
        next => Delivery::TooLate { reason: TooLate::NoWindowLeft { closes, opens: next.map(|n| n.opens) } },
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
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

    use super::*;
    use crate::charter::{Clause, Mode, ReleaseOrder};
    use jiff::ToSpan;
    use jiff::civil::{date, time};
    use proptest::prelude::*;

    /// Zones that are hard in different ways, each with years in which they were.
    const ZONES: &[(&str, i16)] = &[
        ("Europe/Paris", 2018),
        ("Pacific/Auckland", 2024),
        ("America/St_Johns", 2010), // changed its clock at one minute past midnight: a day began twice
        ("America/Sao_Paulo", 2017), // skipped midnight in spring, fell back into the day before in autumn
        ("Africa/Cairo", 2024),     // skips midnight
        ("Australia/Lord_Howe", 2024), // changes by half an hour
        ("Asia/Kolkata", 2024),     // half an hour off, never changes
        ("America/Havana", 2023),   // skips midnight, falls back to midnight
        ("Africa/Casablanca", 2024), // four changes a year around Ramadan
        ("Pacific/Apia", 2011),     // skipped a whole day
        ("America/Toronto", 1919),  // skipped from half past eleven at night to half past midnight
        ("UTC", 2024),
    ];

    fn window(from: Time, to: Time) -> NightWindow {
        NightWindow {
            from,
            to,
            pace: None,
            order: ReleaseOrder::Draw,
            clause: Clause("cnrs:III.b".into()),
            mode: Mode::Enforce,
        }
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn local(zone: &TimeZone, text: &str) -> Timestamp {
        zone.to_timestamp(text.parse().unwrap()).unwrap()
    }

    fn days(opens: Date, closes: Date) -> Days {
        Days::During(Period { opens, closes })
    }

    /// Clocks that jump, as the oracle sees them: what the wall shows, minute by minute.
    struct Wall {
        minutes: Vec<(Timestamp, jiff::civil::DateTime)>,
    }

    impl Wall {
        fn around(zone: &TimeZone, at: Timestamp, hours: i64) -> Self {
            let start = at.as_second().div_euclid(60) - hours * 60;
            let minutes = (start..start + 2 * hours * 60)
                .map(|m| Timestamp::from_second(m * 60).unwrap())
                .map(|t| (t, t.to_zoned(zone.clone()).datetime()))
                .collect();
            Self { minutes }
        }

        /// All stretches that begin and end within what the oracle sees.
        fn stretches(&self, inside: impl Fn(jiff::civil::DateTime) -> bool) -> Vec<Interval> {
            let mut found = Vec::new();
            let mut opens = None;
            let mut before = true; // a stretch that is cut off on the left has no known opening
            for &(t, shown) in &self.minutes {
                let now = inside(shown);
                if now && !before {
                    opens = Some(t);
                }
                if !now && before {
                    found.extend(opens.take().map(|opens| Interval { opens, closes: t }));
                }
                before = now;
            }
            found
        }
    }

    fn oracle_inside(from: i32, to: i32, shown: jiff::civil::DateTime) -> bool {
        let minute = i32::from(shown.hour()) * 60 + i32::from(shown.minute());
        if from < to { (from..to).contains(&minute) } else { !(to..from).contains(&minute) }
    }

    fn clock(minute: i32) -> Time {
        time(i8::try_from(minute / 60).unwrap(), i8::try_from(minute % 60).unwrap(), 0, 0)
    }

    /// Instants near a change of the clock, where there is one, and anywhere else in the year otherwise.
    fn instant(zone: &TimeZone, year: i16, change: usize, offset_minutes: i64) -> Timestamp {
        let start = date(year, 1, 1).to_datetime(time(0, 0, 0, 0)).to_zoned(zone.clone()).unwrap().timestamp();
        let changes: Vec<_> = zone.following(start).take(4).map(|c| c.timestamp()).collect();
        let near = changes.get(change % changes.len().max(1)).copied().unwrap_or(start);
        near + SignedDuration::from_mins(offset_minutes)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn windows_agree_with_a_clock_watched_minute_by_minute(
            which in 0..ZONES.len(), change in 0..4usize, offset in -2000..2000i64,
            from in 0..1440i32, length in 1..1440i32, near_change in any::<bool>(),
        ) {
            let (name, year) = ZONES[which];
            let zone = zone(name);
            // Half of the windows have an edge within the two hours around the change, where mistakes are made.
            let from = if near_change { (1440 - 120 + from % 360) % 1440 } else { from };
            let to = (from + length) % 1440;
            let now = instant(&zone, year, change, offset);
            let w = window(clock(from), clock(to));
            let wall = Wall::around(&zone, now, 24 * 5);
            let stretches = wall.stretches(|shown| oracle_inside(from, to, shown));
            let shown = now.to_zoned(zone.clone()).datetime();
            prop_assert_eq!(is_inside(&w, &zone, now), oracle_inside(from, to, shown));
            prop_assert_eq!(window_containing(&w, &zone, now), stretches.iter().copied().find(|s| s.contains(now)));
            let following = stretches.iter().copied().find(|s| s.opens > now);
            prop_assert_eq!(window_following(&w, &zone, now), following);
            prop_assert_eq!(next_opening(&w, &zone, now), following.map(|s| s.opens));
        }

        #[test]
        fn periods_agree_with_a_calendar_watched_minute_by_minute(
            which in 0..ZONES.len(), change in 0..4usize, offset in -3000..3000i64, length in 0..3i64, shift in -2..3i64,
        ) {
            let (name, year) = ZONES[which];
            let zone = zone(name);
            let now = instant(&zone, year, change, offset);
            let near = instant(&zone, year, change, 0);
            let opens = zone.to_datetime(near).date() + shift.days();
            let period = Period { opens, closes: opens + length.days() };
            let shown: Vec<_> = Wall::around(&zone, near, 24 * 9).minutes;
            let first = shown.iter().find(|(_, s)| s.date() >= period.opens).unwrap().0;
            let last = shown.iter().rev().find(|(_, s)| s.date() <= period.closes).unwrap().0;
            let end = last + SignedDuration::from_mins(1);
            let expected = if now < first {
                Position::NotOpen { opens: first }
            } else if now < end {
                Position::Open
            } else {
                Position::Closed { closed: end }
            };
            prop_assert_eq!(position(period, &zone, now), expected);
        }

        #[test]
        fn nothing_is_held_for_an_instant_outside_window_or_period(
            which in 0..ZONES.len(), change in 0..4usize, offset in -3000..3000i64,
            from in 0..1440i32, length in 1..1440i32, closes_in in 0..3i64,
        ) {
            let (name, year) = ZONES[which];
            let zone = zone(name);
            let now = instant(&zone, year, change, offset);
            let today = zone.to_datetime(now).date();
            let w = window(clock(from), clock((from + length) % 1440));
            let open = days(today - 30.days(), today + closes_in.days());
            let last = |t: Timestamp| open.position(&zone, t) == Position::Open && is_inside(&w, &zone, t);
            match delivery(now, Some(&w), open, &zone) {
                Delivery::Now => prop_assert!(last(now)),
                Delivery::Held { from, until } => {
                    prop_assert!(!is_inside(&w, &zone, now));
                    prop_assert!(from > now && last(from) && last(until - NANOSECOND) && !last(until));
                }
                // Refused: then the wall never shows an hour of the window again before the period is over.
                other => {
                    prop_assert!(matches!(other, Delivery::TooLate { .. }), "{:?}", other);
                    let later = Wall::around(&zone, now, 24 * 5).minutes;
                    prop_assert!(!later.iter().any(|(t, _)| *t >= now && last(*t)), "{:?}", other);
                }
            }
        }
    }

    #[test]
    fn the_night_of_the_spring_change_is_an_hour_short_and_that_of_autumn_an_hour_long() {
        let paris = zone("Europe/Paris");
        let night = window(time(22, 0, 0, 0), time(6, 0, 0, 0));
        for (noon, hours) in [("2018-03-24T12:00", 7), ("2018-10-27T12:00", 9), ("2018-06-11T12:00", 8)] {
            let interval = window_following(&night, &paris, local(&paris, noon)).unwrap();
            assert_eq!(interval.closes.duration_since(interval.opens), SignedDuration::from_hours(hours), "{noon}");
        }
    }

    #[test]
    fn the_window_is_half_open_to_the_nanosecond() {
        let paris = zone("Europe/Paris");
        let night = window(time(22, 0, 0, 0), time(6, 0, 0, 0));
        let opens = local(&paris, "2018-06-11T22:00");
        let closes = local(&paris, "2018-06-12T06:00");
        assert!(is_inside(&night, &paris, opens) && !is_inside(&night, &paris, opens - NANOSECOND));
        assert!(!is_inside(&night, &paris, closes) && is_inside(&night, &paris, closes - NANOSECOND));
        assert_eq!(window_containing(&night, &paris, closes - NANOSECOND), Some(Interval { opens, closes }));
    }

    #[test]
    fn a_window_that_the_clock_skips_does_not_open_that_day() {
        let paris = zone("Europe/Paris");
        let skipped = window(time(2, 15, 0, 0), time(2, 45, 0, 0));
        let next = next_opening(&skipped, &paris, local(&paris, "2018-03-24T12:00")).unwrap();
        assert_eq!(next, local(&paris, "2018-03-26T02:15"));
    }

    #[test]
    fn a_window_that_the_clock_shows_twice_opens_twice() {
        let paris = zone("Europe/Paris");
        let twice = window(time(2, 15, 0, 0), time(2, 45, 0, 0));
        let first = window_following(&twice, &paris, local(&paris, "2018-10-27T12:00")).unwrap();
        let second = window_following(&twice, &paris, first.opens).unwrap();
        assert_eq!(second.opens.duration_since(first.opens), SignedDuration::from_hours(1));
    }

    #[test]
    fn a_window_that_begins_where_the_clock_falls_back_to_is_not_cut_there() {
        let paris = zone("Europe/Paris");
        let w = window(time(2, 0, 0, 0), time(6, 0, 0, 0));
        let opens = local(&paris, "2018-10-28T02:00"); // the first of two
        let interval = Interval { opens, closes: opens + SignedDuration::from_hours(5) };
        for minutes in [0, 30, 60, 90, 299] {
            assert_eq!(window_containing(&w, &paris, opens + SignedDuration::from_mins(minutes)), Some(interval));
        }
    }

    #[test]
    fn a_leap_day_is_a_day() {
        let paris = zone("Europe/Paris");
        let period = Period { opens: date(2024, 2, 29), closes: date(2024, 2, 29) };
        assert_eq!(position(period, &paris, local(&paris, "2024-02-29T23:59:59")), Position::Open);
        let closed = local(&paris, "2024-03-01T00:00");
        assert_eq!(position(period, &paris, closed), Position::Closed { closed });
    }

    #[test]
    fn a_message_that_cannot_leave_before_the_period_ends_is_too_late() {
        let paris = zone("Europe/Paris");
        let night = window(time(22, 0, 0, 0), time(6, 0, 0, 0));
        let campaign = days(date(2018, 6, 11), date(2018, 7, 9));
        let closes = local(&paris, "2018-07-10T00:00");
        // The last evening: the window of 22:00 is cut at midnight.
        assert_eq!(
            delivery(local(&paris, "2018-07-09T18:00"), Some(&night), campaign, &paris),
            Delivery::Held { from: local(&paris, "2018-07-09T22:00"), until: closes }
        );
        // With a window after midnight, the last evening is too late already.
        let early = window(time(1, 0, 0, 0), time(5, 0, 0, 0));
        assert_eq!(
            delivery(local(&paris, "2018-07-09T18:00"), Some(&early), campaign, &paris),
            Delivery::TooLate {
                reason: TooLate::NoWindowLeft { closes, opens: Some(local(&paris, "2018-07-10T01:00")) }
            }
        );
        assert_eq!(
            delivery(closes, Some(&night), campaign, &paris),
            Delivery::TooLate { reason: TooLate::PeriodClosed { closed: closes } }
        );
        let opens = local(&paris, "2018-06-11T00:00");
        assert_eq!(delivery(opens - NANOSECOND, Some(&night), campaign, &paris), Delivery::NotOpen { opens });
        assert_eq!(delivery(opens, None, campaign, &paris), Delivery::Now);
    }

    #[test]
    fn the_ends_of_time_are_answered() {
        let night = window(time(22, 0, 0, 0), time(6, 0, 0, 0));
        let always = window(time(0, 0, 0, 0), time(0, 0, 0, 0));
        for (name, _) in ZONES {
            let zone = zone(name);
            for now in [Timestamp::MIN, Timestamp::MAX] {
                for w in [&night, &always] {
                    let _ = (window_containing(w, &zone, now), window_following(w, &zone, now));
                    let _ = delivery(now, Some(w), days(Date::MIN, Date::MAX), &zone);
                }
            }
        }
    }

    #[test]
    fn a_window_from_an_hour_to_itself_lasts_all_day() {
        let paris = zone("Europe/Paris");
        let all_day = window(time(4, 0, 0, 0), time(4, 0, 0, 0));
        let now = local(&paris, "2018-06-11T03:00");
        let expected = Interval { opens: local(&paris, "2018-06-10T04:00"), closes: local(&paris, "2018-06-11T04:00") };
        assert_eq!(window_containing(&all_day, &paris, now), Some(expected));
    }

    #[test]
    fn a_senders_own_days_narrow_the_lists_and_open_where_there_are_none() {
        let june = Period { opens: date(2024, 6, 1), closes: date(2024, 6, 30) };
        let late = Period { opens: date(2024, 6, 15), closes: date(2024, 12, 31) };
        let july = Period { opens: date(2024, 7, 1), closes: date(2024, 7, 31) };
        let both = Period { opens: late.opens, closes: june.closes };
        // (charter's, list's, sender's) → days, narrowed by the sender
        let cases = [
            (None, None, None, Days::Always, false),
            (Some(june), None, None, Days::During(june), false),
            (Some(june), Some(july), None, Days::During(july), false),
            (None, None, Some(late), Days::During(late), true),
            (Some(june), None, Some(late), Days::During(both), true),
            (Some(june), None, Some(june), Days::During(june), false),
            // Another ballot's list does not open with the sender's dates for this one.
            (Some(june), Some(july), Some(june), Days::Never, true),
        ];
        for (charters, lists, senders, expected, narrowed) in cases {
            let rule = |p: Period| PeriodRule { period: p, clause: Clause("cnrs:I.b".into()), mode: Mode::Enforce };
            let (charters, lists) = (charters.map(rule), lists.map(rule));
            let effective = effective(charters.as_ref(), lists.as_ref(), senders);
            assert_eq!((effective.days, effective.narrowed_by_sender), (expected, narrowed), "{charters:?} {lists:?}");
        }
    }
}
