//! Which counters a message touches: quotas of messages (cnrs:III.a) and of recipients (am:5.1.a) in spans of local time.
//!
//! This file only says what has to be counted; [`crate::store::Quotas`] counts. A message asks for all its [`Demand`]s at
//! once and gets all of them or none.
//!
//! * Spans are the clock's and the calendar's own: the clock hour, the local day, the ISO week, the calendar month, the
//!   period. They begin anew for everybody at the same instant, so that a sender can tell by a calendar what is left.
//! * A counter is known by what it counts, not by its limit: another limit in a reloaded file goes on from the same
//!   count.
//! * Who is counted goes in as a pseudonym that the caller made under the charter's key. No address of a person gets into a
//!   counter's name. Lists are named as they are: their addresses are public in the organisation.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::calendar::{self, Interval};
use super::rules::{FloodRule, FloodSubject, QuotaReach, QuotaSubject, Rule, Span};
use super::{Charter, Mode, Period, Scope};

const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);

/// What one message needs of one counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The counter.
    pub key: CounterKey,
    /// The span in which it counts; another span, another count.
    pub span: Interval,
    /// How much the message adds: 1 for a message, the number of recipients for recipients.
    pub amount: u64,
    /// How much the counter may hold.
    pub limit: u64,
    /// The id of the charter whose rule it is.
    pub charter: String,
    /// The rule it comes from.
    pub source: DemandSource,
    /// Whether the limit binds. A monitored rule counts, and never stands in the way.
    pub binding: bool,
}

/// The rule a demand comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DemandSource {
    /// The quota with this index in [`super::rules::Rules::quotas`].
    Quota(usize),
    /// The rule `recipients`, its `per_span`.
    Recipients,
    /// The flood breaker.
    Flood,
}

/// The stable name of a counter.
///
/// Six words separated by spaces: charter, what is counted (`messages`, `recipients`, `flood`), over which list (its
/// address, `*` for all lists, `-` outside lists), for whom (`sender`, `mailbox`, `login`, `all`), that one's pseudonym, span. Spaces and
/// other awkward octets inside a word are percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey(String);

impl CounterKey {
    fn new(words: [&str; 6]) -> Self {
        Self(words.map(encode).join(" "))
    }

    /// A counter as the store wrote it down.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What all counters of a charter begin with.
    #[must_use]
    pub fn prefix_of_charter(charter: &str) -> String {
        format!("{} ", encode(charter))
    }
}

/// Who sends a message, as pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The candidate or organisation; in general scope, the same as `mailbox`.
    pub sender: String,
    /// The From mailbox.
    pub mailbox: String,
    /// The login, where there is one.
    pub login: Option<String>,
}

/// What a message to `scope` needs of the counters. `recipients` is the number of its envelope recipients, `None` when
/// their number in a span is not limited for this sender.
///
/// The order is that of the rules. Two rules that count the same thing name the same counter, and the store counts the
/// message there once.
#[must_use]
pub fn demands(
    charter: &Charter,
    scope: Scope<'_>,
    identity: &Identity,
    recipients: Option<u64>,
    now: Timestamp,
) -> Vec<Demand> {
    let list = match scope {
        Scope::List(list) => Some(list),
        Scope::General(_) => None,
    };
    let charters_period = charter.period.as_ref().map(|p| p.period);
    let lists_period = list.and_then(|l| l.period.as_ref()).map(|p| p.period).or(charters_period);
    let own_list = list.map_or_else(|| "-".to_owned(), |l| l.address.to_string());

    let mut found = Vec::new();
    found.extend(list.and(scope.rules().flood.as_ref()).map(|rule| flood(charter, rule, &own_list, identity, now)));
    for (index, rule) in scope.rules().quotas.iter().enumerate() {
        let (over, period) = match rule.settings.over {
            QuotaReach::List => (own_list.as_str(), lists_period),
            QuotaReach::AllLists => ("*", charters_period),
        };
        let (of, who) = subject(rule.settings.of, identity);
        found.push(Demand {
            key: CounterKey::new([&charter.id, "messages", over, of, who, rule.settings.per.as_str()]),
            span: span_interval(rule.settings.per, period, &charter.time_zone, now),
            amount: 1,
            limit: u64::from(rule.settings.messages_max),
            charter: charter.id.clone(),
            source: DemandSource::Quota(index),
            binding: rule.mode == Mode::Enforce,
        });
    }
    let rule = scope.rules().recipients.as_ref();
    let limited = rule.and_then(|r| r.settings.per_span.map(|s| (r, s))).zip(recipients);
    if let Some(((rule, (limit, per)), amount)) = limited {
        // A sender of the register is one sender whatever its mailboxes; everybody else is their mailbox.
        let (of, who) = subject(QuotaSubject::Sender, identity);
        found.push(Demand {
            key: CounterKey::new([&charter.id, "recipients", &own_list, of, who, per.as_str()]),
            span: span_interval(per, lists_period, &charter.time_zone, now),
            amount,
            limit,
            charter: charter.id.clone(),
            source: DemandSource::Recipients,
            binding: rule.mode == Mode::Enforce,
        });
    }
    found
}

/// The demand of the flood breaker. Its spans are not the clock's hours but stretches of the configured length, one after
/// the other since 1970: nobody has to foresee them.
fn flood(charter: &Charter, rule: &Rule<FloodRule>, list: &str, identity: &Identity, now: Timestamp) -> Demand {
    let FloodRule { messages_max, within_seconds, of } = rule.settings;
    let (over, of, who) = match of {
        FloodSubject::Sender => ("*", "sender", identity.sender.as_str()),
        FloodSubject::List => (list, "all", "-"),
    };
    let length = i64::try_from(within_seconds).unwrap_or(i64::MAX).max(1);
    let opens = now.as_second().saturating_sub(now.as_second().rem_euclid(length));
    let at = |second| Timestamp::from_second(second).unwrap_or(now);
    Demand {
        key: CounterKey::new([&charter.id, "flood", over, of, who, &format!("{length}s")]),
        span: Interval { opens: at(opens), closes: at(opens.saturating_add(length)) },
        amount: 1,
        limit: u64::from(messages_max),
        charter: charter.id.clone(),
        source: DemandSource::Flood,
        binding: rule.mode == Mode::Enforce,
    }
}

/// The span that `now` is in. A `period` that does not exist (no rule sets one) is all time.
///
/// A clock hour that the clock shows twice is two hours, and counts twice: nobody is refused because of a change of the
/// clock. A day, week or month has its own length in such a night.
#[must_use]
pub fn span_interval(span: Span, period: Option<Period>, tz: &TimeZone, now: Timestamp) -> Interval {
    let today = tz.to_datetime(now).date();
    let (first, last) = match span {
        Span::Hour => return clock_hour(tz, now),
        Span::Period => {
            let all_time = Interval { opens: Timestamp::MIN, closes: Timestamp::MAX };
            return period.map_or(all_time, |p| calendar::period_interval(p, tz));
        }
        Span::Day => (today, today),
        Span::Week => {
            // ISO 8601: Monday is the first day, and the seventh is Sunday.
            let monday = today.saturating_sub(i64::from(today.weekday().to_monday_zero_offset()).days());
            (monday, monday.saturating_add(6.days()))
        }
        Span::Month => (today.first_of_month(), today.last_of_month()),
    };
    Interval { opens: calendar::day_begins(first, tz), closes: calendar::day_ends(last, tz) }
}

/// Where the clock changes within the hour, the hour is cut there: what the clock shows afterwards is another one.
fn clock_hour(tz: &TimeZone, now: Timestamp) -> Interval {
    let shown = tz.to_datetime(now).time();
    let elapsed = shown.duration_since(Time::constant(shown.hour(), 0, 0, 0));
    // Saturation happens at the ends of the calendar only, where an hour may as well be shorter.
    let begins = now.saturating_sub(elapsed).unwrap_or(now);
    let ends = begins.saturating_add(SignedDuration::from_hours(1)).unwrap_or(now);
    let offset = tz.to_offset(now);
    let just_after = now.saturating_add(NANOSECOND).unwrap_or(now);
    let opens = tz.preceding(just_after).map(|change| change.timestamp()).take_while(|&at| at > begins).find(|at| {
        let just_before = at.saturating_sub(NANOSECOND).unwrap_or(*at);
        tz.to_offset(just_before) != offset
    });
    let mut changes = tz.following(now).take_while(|change| change.timestamp() < ends);
    let closes = changes.find(|change| change.offset() != offset).map(|change| change.timestamp());
    Interval { opens: opens.unwrap_or(begins), closes: closes.unwrap_or(ends) }
}

/// Who is counted. Mail without a login must not slip past a quota of logins: its mailbox stands in.
fn subject(of: QuotaSubject, identity: &Identity) -> (&'static str, &str) {
    match (of, &identity.login) {
        (QuotaSubject::Sender, _) => ("sender", &identity.sender),
        (QuotaSubject::Login, Some(login)) => ("login", login),
        (QuotaSubject::Mailbox | QuotaSubject::Login, _) => ("mailbox", &identity.mailbox),
    }
}

fn encode(word: &str) -> String {
    let mut encoded = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            ' ' => encoded.push_str("%20"),
            '%' => encoded.push_str("%25"),
            // No address in canonical form and no pseudonym has control characters; one stands for them all.
            c if c.is_control() => encoded.push_str("%00"),
            c => encoded.push(c),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

    use super::*;
    use crate::charter::rules::{QuotaRule, RecipientsRule, Rule, Rules};
    use crate::charter::{Clause, Exemptions, Inspection, List};
    use crate::message::address::Address;
    use crate::wording::Language;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn local(zone: &TimeZone, text: &str) -> Timestamp {
        zone.to_timestamp(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn spans_begin_where_the_calendar_says() {
        let paris = zone("Europe/Paris");
        let period = Period { opens: date(2018, 6, 11), closes: date(2018, 7, 9) };
        let cases = [
            (Span::Hour, "2018-07-01T13:14:15", "2018-07-01T13:00", "2018-07-01T14:00"),
            (Span::Day, "2018-07-01T13:14:15", "2018-07-01T00:00", "2018-07-02T00:00"),
            (Span::Day, "2018-03-25T13:14:15", "2018-03-25T00:00", "2018-03-26T00:00"),
            (Span::Week, "2018-07-01T13:14:15", "2018-06-25T00:00", "2018-07-02T00:00"), // a Sunday
            (Span::Week, "2018-07-02T00:00:00", "2018-07-02T00:00", "2018-07-09T00:00"), // a Monday
            (Span::Week, "2019-01-01T12:00:00", "2018-12-31T00:00", "2019-01-07T00:00"), // ISO week 1 of 2019
            (Span::Month, "2024-02-29T23:59:59", "2024-02-01T00:00", "2024-03-01T00:00"),
            (Span::Period, "2018-07-01T13:14:15", "2018-06-11T00:00", "2018-07-10T00:00"),
        ];
        for (span, now, opens, closes) in cases {
            let expected = Interval { opens: local(&paris, opens), closes: local(&paris, closes) };
            assert_eq!(span_interval(span, Some(period), &paris, local(&paris, now)), expected, "{span:?} {now}");
        }
    }

    #[test]
    fn the_hour_that_the_clock_shows_twice_is_two_hours() {
        let paris = zone("Europe/Paris");
        let first = local(&paris, "2018-10-28T02:30");
        let second = first + SignedDuration::from_hours(1);
        let a = span_interval(Span::Hour, None, &paris, first);
        let b = span_interval(Span::Hour, None, &paris, second);
        assert_eq!(a.closes, b.opens);
        assert_eq!(b.opens, local(&paris, "2018-10-28T02:00") + SignedDuration::from_hours(1));
    }

    #[test]
    fn without_a_period_the_period_is_all_time() {
        let span = span_interval(Span::Period, None, &TimeZone::UTC, Timestamp::UNIX_EPOCH);
        assert_eq!(span, Interval { opens: Timestamp::MIN, closes: Timestamp::MAX });
    }

    proptest! {
        #[test]
        fn an_instant_is_in_its_own_span_and_every_instant_of_a_span_has_that_span(
            which in 0..6usize, minutes in 0..60 * 24 * 366i64, fraction in 0.0..1.0f64, span in 0..4usize,
        ) {
            let zones = ["Europe/Paris", "Pacific/Auckland", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata",
                "America/Sao_Paulo"];
            let zone = zone(zones[which]);
            let span = [Span::Hour, Span::Day, Span::Week, Span::Month][span];
            let now = local(&zone, "2017-01-01T12:00") + SignedDuration::from_mins(minutes);
            let interval = span_interval(span, None, &zone, now);
            prop_assert!(interval.contains(now));
            let length = interval.closes.duration_since(interval.opens);
            let other = interval.opens + length.mul_f64(fraction);
            prop_assert_eq!(span_interval(span, None, &zone, other.min(interval.closes - NANOSECOND)), interval);
            prop_assert!(span_interval(span, None, &zone, interval.closes).opens == interval.closes);
        }
    }

    fn quota(messages_max: u32, per: Span, of: QuotaSubject, over: QuotaReach, mode: Mode) -> Rule<QuotaRule> {
        let settings = QuotaRule { messages_max, per, of, over };
        Rule { clause: Clause("cnrs:III.a".into()), purpose: None, mode, settings }
    }

    fn charter(rules: &Rules) -> Charter {
        let list = |address: &str| List {
            address: Address::parse(address).unwrap(),
            aliases: Vec::new(),
            label: "Liste".into(),
            return_path: None,
            period: None,
            rules: rules.clone(),
        };
        Charter {
            id: "c".into(),
            title: "Charte".into(),
            language: Language::default(),
            time_zone: zone("Europe/Paris"),
            mode: Mode::Enforce,
            inspection: Inspection::Content,
            shared: false,
            statistics: true,
            contest: None,
            domains: Vec::new(),
            period: None,
            night_window: None,
            lists: vec![list("a@lists.example"), list("b@lists.example")],
            senders: Vec::new(),
            recipients: Vec::new(),
            exemptions: Exemptions::default(),
            general: None,
            clauses: Vec::new(),
            digest: String::new(),
        }
    }

    fn names(rules: &Rules, list: usize, identity: &Identity) -> Vec<(String, u64, u64, bool)> {
        names_with(rules, list, identity, Some(7))
    }

    fn names_with(
        rules: &Rules,
        list: usize,
        identity: &Identity,
        recipients: Option<u64>,
    ) -> Vec<(String, u64, u64, bool)> {
        let charter = charter(rules);
        let now = local(&charter.time_zone, "2018-07-01T13:14:15");
        demands(&charter, Scope::List(&charter.lists[list]), identity, recipients, now)
            .into_iter()
            .map(|d| (d.key.as_str().to_owned(), d.amount, d.limit, d.binding))
            .collect()
    }

    #[test]
    fn every_figure_of_the_texts_becomes_a_counter() {
        let who = Identity { sender: "S".into(), mailbox: "M".into(), login: Some("L".into()) };
        let rules = Rules {
            quotas: vec![
                // Education 2016: 5 messages a month over all lists.
                quota(5, Span::Month, QuotaSubject::Sender, QuotaReach::AllLists, Mode::Enforce),
                // Interior 2017: 8 messages a month from one functional mailbox.
                quota(8, Span::Month, QuotaSubject::Mailbox, QuotaReach::AllLists, Mode::Enforce),
                // cnrs:III.a, on trial.
                quota(2, Span::Week, QuotaSubject::Sender, QuotaReach::List, Mode::Monitor),
                quota(9, Span::Hour, QuotaSubject::Login, QuotaReach::List, Mode::Enforce),
            ],
            recipients: Some(Rule {
                clause: Clause("am:5.1.a".into()),
                purpose: None,
                mode: Mode::Enforce,
                settings: RecipientsRule { per_span: Some((5000, Span::Day)), ..RecipientsRule::default() },
            }),
            ..Rules::default()
        };
        let expected = |list: &str, login: &str| {
            vec![
                ("c messages * sender S month".to_owned(), 1, 5, true),
                ("c messages * mailbox M month".to_owned(), 1, 8, true),
                (format!("c messages {list} sender S week"), 1, 2, false),
                (format!("c messages {list} {login} hour"), 1, 9, true),
                (format!("c recipients {list} sender S day"), 7, 5000, true),
            ]
        };
        assert_eq!(names(&rules, 0, &who), expected("a@lists.example", "login L"));
        // Mail that was proven without a login does not slip past the quota of logins.
        let without = Identity { login: None, ..who };
        // Those whose recipients are not limited have none counted: a full counter must not stand in their way.
        assert_eq!(names_with(&rules, 1, &without, None), expected("b@lists.example", "mailbox M")[..4]);
        assert_eq!(names(&rules, 1, &without), expected("b@lists.example", "mailbox M"));
    }

    #[test]
    fn two_charters_that_count_one_message_are_told_apart() {
        use crate::charter::case::{Counted, QuotaState};
        use crate::charter::verdict::{Effect, Evidence, ReasonCode};
        let source = DemandSource::Quota(0);
        let of = |charter: &str, counted| Counted { charter: charter.into(), source, counted, limit: 5 };
        let granted = QuotaState::Granted(vec![of("local", 1), of("shared", 4)]);
        let answer =
            |state: &QuotaState, charter| state.answer(charter, source, (ReasonCode::QuotaExhausted, Effect::Reject));
        assert_eq!(answer(&granted, "shared").evidence, Evidence::Count { counted: 4, limit: 5 });
        let exhausted = QuotaState::Exhausted(of("shared", 6));
        assert_eq!(answer(&exhausted, "shared").evidence, Evidence::Count { counted: 6, limit: 5 });
        // The local charter's first quota is not the one that is used up.
        assert_eq!(answer(&exhausted, "local").evidence, Evidence::None);
    }

    #[test]
    fn names_of_counters_keep_their_words_apart() {
        let a = CounterKey::new(["c", "messages", "a b@x.example", "sender", "p", "day"]);
        assert_eq!(a.as_str(), "c messages a%20b@x.example sender p day");
        assert!(a.as_str().starts_with(&CounterKey::prefix_of_charter("c")));
        assert!(!a.as_str().starts_with(&CounterKey::prefix_of_charter("")));
    }
}
