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

/// Zones whose clocks have shown the same minutes as those above ever since.
const OTHERS: [&str; 3] = ["Europe/Paris", "Asia/Tokyo", "UTC"];

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

fn bound<'a>(window: Option<&'a NightWindow>, days: Days, tz: &'a TimeZone) -> Bound<'a> {
    Bound { hours: window.map(|window| Hours { window, tz }), days, tz }
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
        match delivery(now, bound(Some(&w), open, &zone), &[]) {
            Delivery::Now => prop_assert!(last(now)),
            Delivery::Held { from } => {
                prop_assert!(!is_inside(&w, &zone, now));
                prop_assert!(from > now && last(from) && !last(from - NANOSECOND));
            }
            // Refused: then the wall never shows an hour of the window again before the period is over.
            other => {
                prop_assert!(matches!(other, Delivery::TooLate { .. }), "{:?}", other);
                let later = Wall::around(&zone, now, 24 * 5).minutes;
                prop_assert!(!later.iter().any(|(t, _)| *t >= now && last(*t)), "{:?}", other);
            }
        }
    }

    #[test]
    fn where_two_charters_apply_a_message_waits_for_the_first_minute_that_both_allow(
        which in 0..ZONES.len(), other in 0..OTHERS.len(), change in 0..4usize, offset in -3000..3000i64,
        from in 0..1440i32, length in 1..1440i32, others in 0..1440i32, others_length in 1..1440i32, closes_in in 0..3i64,
    ) {
        let (name, year) = ZONES[which];
        let (zone, other) = (zone(name), zone(OTHERS[other]));
        let now = instant(&zone, year, change, offset);
        let own = window(clock(from), clock((from + length) % 1440));
        let theirs = window(clock(others), clock((others + others_length) % 1440));
        let until = days(date(1900, 1, 1), other.to_datetime(now).date() + closes_in.days());
        let allowed = |t: Timestamp| {
            is_inside(&own, &zone, t) && is_inside(&theirs, &other, t) && until.position(&other, t) == Position::Open
        };
        let first = Wall::around(&zone, now, 24 * 5).minutes.into_iter().find(|(t, _)| *t >= now && allowed(*t));
        let beside = bound(Some(&theirs), until, &other);
        let expected = match first {
            _ if is_inside(&own, &zone, now) => Delivery::Now,
            Some((from, _)) => Delivery::Held { from },
            None => Delivery::TooLate { last_day: beside.end().map(|(_, day)| day) },
        };
        prop_assert_eq!(delivery(now, bound(Some(&own), Days::Always, &zone), &[beside]), expected);
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
        delivery(local(&paris, "2018-07-09T18:00"), bound(Some(&night), campaign, &paris), &[]),
        Delivery::Held { from: local(&paris, "2018-07-09T22:00") }
    );
    // With a window after midnight, the last evening is too late already.
    let early = window(time(1, 0, 0, 0), time(5, 0, 0, 0));
    assert_eq!(
        delivery(local(&paris, "2018-07-09T18:00"), bound(Some(&early), campaign, &paris), &[]),
        Delivery::TooLate { last_day: Some(date(2018, 7, 9)) }
    );
    assert_eq!(
        delivery(closes, bound(Some(&night), campaign, &paris), &[]),
        Delivery::TooLate { last_day: Some(date(2018, 7, 9)) }
    );
    // Another charter's period ends before this one's window opens; that it has no hours of its own changes nothing.
    let others = bound(None, days(date(2018, 6, 11), date(2018, 6, 30)), &paris);
    assert_eq!(
        delivery(local(&paris, "2018-06-30T18:00"), bound(Some(&early), campaign, &paris), &[others]),
        Delivery::TooLate { last_day: Some(date(2018, 6, 30)) }
    );
    let opens = local(&paris, "2018-06-11T00:00");
    assert_eq!(delivery(opens - NANOSECOND, bound(Some(&night), campaign, &paris), &[]), Delivery::NotOpen { opens });
    assert_eq!(delivery(opens, bound(None, campaign, &paris), &[]), Delivery::Now);
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
                let _ = delivery(now, bound(Some(w), days(Date::MIN, Date::MAX), &zone), &[]);
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
