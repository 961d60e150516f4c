//! What every store has to do, whatever holds its data: one suite, run by each implementation's own tests.
//!
//! [`conformance!`] makes one test of each case; it takes an expression that opens a new, empty store.

use std::future::Future;

use jiff::{SignedDuration, Timestamp};

use super::{Copies, FLOOD_BREAKER, Lift, NewCopy, NewStop, Quotas, ReservationId, Reserved, Stop, StopSubject, Stops};
use crate::charter::calendar::Interval;
use crate::charter::copies::Fingerprint;
use crate::charter::quota::{CounterKey, Demand, DemandSource};
use crate::message::address::Address;

macro_rules! conformance {
    ($open:expr) => {
        $crate::store::conformance::conformance!($open;
            a_quota_is_used_up_and_not_passed,
            all_or_nothing,
            a_cancelled_place_is_free_again,
            a_prolonged_place_is_taken_until_its_span_ends_or_it_is_given_back,
            a_confirmed_place_stays_taken,
            an_expired_place_is_free_and_counts_all_the_same_when_it_is_confirmed_late,
            a_clock_set_back_frees_nothing,
            spans_are_counted_apart,
            a_monitored_limit_counts_and_lets_pass,
            two_limits_on_one_counter_count_once,
            a_repeated_reservation_replaces_the_first,
            the_last_place_goes_to_one,
            usage_shows_what_is_taken,
            old_spans_are_forgotten_and_running_ones_are_not,
            recipients_are_counted_by_number,
            extreme_instants_and_amounts_are_stored,
            near_copies_are_counted_and_others_are_not,
            copies_of_refused_mail_do_not_count,
            copies_are_counted_within_their_window_and_scope,
            a_clock_set_back_hides_no_copy,
            stops_are_in_force_between_their_dates,
            stops_concern_their_subject_alone,
            a_lifted_stop_is_history,
            a_breaker_opens_once_until_it_is_lifted,
        );
    };
    ($open:expr; $($case:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                let (store, _keep) = $open;
                $crate::store::conformance::$case(&store).await;
            }
        )+
    };
}
pub(crate) use conformance;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_530_000_000 + seconds).unwrap()
}

pub(crate) fn id(n: u32) -> ReservationId {
    let mut octets = [0; 16];
    octets[..4].copy_from_slice(&n.to_be_bytes());
    ReservationId::new(octets)
}

/// A demand of one place in the counter `name`, in the day that began at `day`.
pub(crate) fn demand(name: &str, day: i64, limit: u64) -> Demand {
    Demand {
        key: CounterKey::from_stored(format!("c messages * sender {name} day")),
        span: Interval { opens: at(day * 86_400), closes: at((day + 1) * 86_400) },
        amount: 1,
        limit,
        charter: "c".into(),
        source: DemandSource::Quota(0),
        binding: true,
    }
}

pub(crate) async fn take(store: &impl Quotas, n: u32, demands: &[Demand], now: i64) -> Reserved {
    store.reserve(id(n), demands.to_vec(), at(now), at(now + 600)).await.unwrap()
}

fn granted(used: &[u64]) -> Reserved {
    Reserved::Granted { used: used.to_vec() }
}

fn exhausted(which: usize, used: &[u64], limit: u64) -> Reserved {
    Reserved::Exhausted { which, used: used.to_vec(), limit }
}

pub(crate) async fn a_quota_is_used_up_and_not_passed(store: &impl Quotas) {
    let two = [demand("s", 0, 2)];
    assert_eq!(take(store, 1, &two, 0).await, granted(&[1]));
    assert_eq!(take(store, 2, &two, 0).await, granted(&[2]));
    assert_eq!(take(store, 3, &two, 0).await, exhausted(0, &[2], 2));
    // Another sender's places are its own.
    assert_eq!(take(store, 4, &[demand("t", 0, 2)], 0).await, granted(&[1]));
    assert_eq!(take(store, 5, &[demand("none", 0, 0)], 0).await, exhausted(0, &[0], 0));
    assert_eq!(take(store, 6, &[], 0).await, granted(&[]));
}

pub(crate) async fn all_or_nothing(store: &impl Quotas) {
    let both = [demand("a", 0, 5), demand("b", 0, 1)];
    assert_eq!(take(store, 1, &both, 0).await, granted(&[1, 1]));
    assert_eq!(take(store, 2, &both, 0).await, exhausted(1, &[1, 1], 1));
    assert_eq!(take(store, 3, &[demand("a", 0, 5)], 0).await, granted(&[2]));
}

pub(crate) async fn a_cancelled_place_is_free_again(store: &impl Quotas) {
    let one = [demand("s", 0, 1)];
    assert_eq!(take(store, 1, &one, 0).await, granted(&[1]));
    assert!(store.cancel(id(1)).await.unwrap());
    assert!(!store.cancel(id(1)).await.unwrap());
    assert!(!store.confirm(id(1)).await.unwrap());
    assert_eq!(take(store, 2, &one, 0).await, granted(&[1]));
}

pub(crate) async fn a_prolonged_place_is_taken_until_its_span_ends_or_it_is_given_back(store: &impl Quotas) {
    let one = [demand("s", 0, 1)];
    take(store, 1, &one, 0).await;
    assert!(store.prolong(id(1)).await.unwrap());
    assert_eq!(take(store, 2, &one, 80_000).await, exhausted(0, &[1], 1), "long after it would have expired");
    assert!(store.cancel(id(1)).await.unwrap());
    assert!(!store.prolong(id(1)).await.unwrap());
    assert_eq!(take(store, 3, &one, 80_001).await, granted(&[1]));
    assert!(store.prolong(id(3)).await.unwrap() && store.confirm(id(3)).await.unwrap());
    assert!(!store.cancel(id(3)).await.unwrap());
    assert_eq!(take(store, 4, &one, 80_002).await, exhausted(0, &[1], 1));
}

pub(crate) async fn a_confirmed_place_stays_taken(store: &impl Quotas) {
    let one = [demand("s", 0, 1)];
    take(store, 1, &one, 0).await;
    assert!(store.confirm(id(1)).await.unwrap());
    assert!(!store.confirm(id(1)).await.unwrap(), "a second confirmation counts nothing");
    assert!(!store.cancel(id(1)).await.unwrap(), "what was confirmed cannot be given back");
    assert_eq!(take(store, 2, &one, 80_000).await, exhausted(0, &[1], 1));
}

pub(crate) async fn an_expired_place_is_free_and_counts_all_the_same_when_it_is_confirmed_late(store: &impl Quotas) {
    let two = [demand("s", 0, 2)];
    take(store, 1, &two, 0).await;
    take(store, 2, &two, 0).await;
    assert_eq!(take(store, 3, &two, 599).await, exhausted(0, &[2], 2));
    assert_eq!(take(store, 4, &two, 600).await, granted(&[1]));
    assert!(store.confirm(id(1)).await.unwrap());
    assert_eq!(take(store, 5, &two, 601).await, exhausted(0, &[2], 2));
}

pub(crate) async fn a_clock_set_back_frees_nothing(store: &impl Quotas) {
    let two = [demand("s", 0, 2)];
    take(store, 1, &two, 50_000).await;
    take(store, 2, &two, 50_000).await;
    store.confirm(id(1)).await.unwrap();
    // Hours and even days back, the span is the same: what was taken is taken, reservations too.
    for now in [49_999, 10_000, 0, -86_400, -86_400 * 365] {
        assert_eq!(take(store, 3, &two, now).await, exhausted(0, &[2], 2), "{now}");
    }
    assert!(store.confirm(id(2)).await.unwrap());
    // A clock that ran far ahead and came back has not lost the count either.
    assert_eq!(take(store, 4, &[demand("s", 400, 2)], 400 * 86_400).await, granted(&[1]));
    assert_eq!(take(store, 5, &two, 50_001).await, exhausted(0, &[2], 2));
}

pub(crate) async fn spans_are_counted_apart(store: &impl Quotas) {
    assert_eq!(take(store, 1, &[demand("s", 0, 1)], 86_399).await, granted(&[1]));
    assert_eq!(take(store, 2, &[demand("s", 1, 1)], 86_400).await, granted(&[1]));
    assert_eq!(take(store, 3, &[demand("s", 0, 1)], 86_400).await, exhausted(0, &[1], 1));
}

pub(crate) async fn a_monitored_limit_counts_and_lets_pass(store: &impl Quotas) {
    let monitored = [Demand { binding: false, ..demand("s", 0, 1) }];
    assert_eq!(take(store, 1, &monitored, 0).await, granted(&[1]));
    assert_eq!(take(store, 2, &monitored, 0).await, granted(&[2]));
}

pub(crate) async fn two_limits_on_one_counter_count_once(store: &impl Quotas) {
    let twice = [demand("s", 0, 5), Demand { binding: false, ..demand("s", 0, 2) }];
    for (n, used) in [(1, 1), (2, 2), (3, 3)] {
        assert_eq!(take(store, n, &twice, 0).await, granted(&[used, used]));
        store.confirm(id(n)).await.unwrap();
    }
    assert_eq!(take(store, 4, &[demand("s", 0, 5), demand("s", 0, 3)], 0).await, exhausted(1, &[3, 3], 3));
}

pub(crate) async fn a_repeated_reservation_replaces_the_first(store: &impl Quotas) {
    assert_eq!(take(store, 1, &[demand("s", 0, 1)], 0).await, granted(&[1]));
    assert_eq!(take(store, 1, &[demand("s", 0, 1)], 0).await, granted(&[1]));
    assert_eq!(take(store, 1, &[demand("t", 0, 1)], 0).await, granted(&[1]));
    assert_eq!(take(store, 2, &[demand("s", 0, 1)], 0).await, granted(&[1]));
}

pub(crate) async fn the_last_place_goes_to_one(store: &impl Quotas) {
    let demands = [demand("s", 0, 10)];
    let all = (0..50).map(|n| take(store, n, &demands, 0));
    let answers = futures_join(all).await;
    let mut places: Vec<u64> = answers
        .iter()
        .filter_map(|answer| match answer {
            Reserved::Granted { used } => Some(used[0]),
            Reserved::Exhausted { .. } => None,
        })
        .collect();
    places.sort_unstable();
    assert_eq!(places, (1..=10).collect::<Vec<u64>>());
}

pub(crate) async fn usage_shows_what_is_taken(store: &impl Quotas) {
    take(store, 1, &[demand("s", 0, 5), demand("t", 0, 5)], 0).await;
    store.confirm(id(1)).await.unwrap();
    take(store, 2, &[demand("s", 0, 5)], 0).await;
    let mut other = demand("s", 0, 5);
    other.key = CounterKey::from_stored("cc messages * sender s day".into());
    take(store, 3, &[other], 0).await;
    let shown = |usage: Vec<super::Usage>| -> Vec<(String, u64)> {
        usage.into_iter().map(|u| (u.key.as_str().to_owned(), u.used)).collect()
    };
    let (s, t) = ("c messages * sender s day".to_owned(), "c messages * sender t day".to_owned());
    assert_eq!(shown(store.usage("c", at(1)).await.unwrap()), [(s.clone(), 2), (t.clone(), 1)]);
    // The reservation expired; another charter whose id begins alike was never meant.
    assert_eq!(shown(store.usage("c", at(601)).await.unwrap()), [(s, 1), (t, 1)]);
}

pub(crate) async fn old_spans_are_forgotten_and_running_ones_are_not(store: &impl Quotas) {
    take(store, 1, &[demand("s", 0, 1), demand("s", 1, 1)], 0).await;
    store.confirm(id(1)).await.unwrap();
    assert_eq!(store.forget(at(86_400)).await.unwrap(), 0, "a span that ends now is not over before now");
    assert_eq!(store.forget(at(86_401)).await.unwrap(), 1);
    assert_eq!(take(store, 2, &[demand("s", 1, 1)], 0).await, exhausted(0, &[1], 1));
}

pub(crate) async fn recipients_are_counted_by_number(store: &impl Quotas) {
    let many = |amount| [Demand { amount, ..demand("r", 0, 100) }];
    assert_eq!(take(store, 1, &many(60), 0).await, granted(&[60]));
    assert_eq!(take(store, 2, &many(41), 0).await, exhausted(0, &[60], 100));
    assert_eq!(take(store, 3, &many(40), 0).await, granted(&[100]));
    assert_eq!(take(store, 4, &many(0), 0).await, granted(&[100]));
}

pub(crate) async fn extreme_instants_and_amounts_are_stored(store: &impl Quotas) {
    let all_time = Interval { opens: Timestamp::MIN, closes: Timestamp::MAX };
    let endless = [Demand { span: all_time, amount: u64::MAX, limit: u64::MAX, ..demand("s", 0, 0) }];
    for n in 0..3 {
        let answer = store.reserve(id(n), endless.to_vec(), Timestamp::MAX, Timestamp::MAX).await.unwrap();
        assert!(matches!(answer, Reserved::Granted { .. }));
        store.confirm(id(n)).await.unwrap();
    }
    let shown = store.usage("c", Timestamp::MIN).await.unwrap();
    assert_eq!((shown[0].opens, shown[0].closes.as_second()), (Timestamp::MIN, Timestamp::MAX.as_second()));
}

/// A fingerprint that shares its first `same` of 128 minima with every other one made so.
fn fingerprint(number: u16, same: usize) -> Fingerprint {
    let minima =
        (0..128u16).flat_map(|n| if usize::from(n) < same { n } else { number * 128 + n + 1000 }.to_be_bytes());
    Fingerprint::from_bytes(&minima.collect::<Vec<u8>>()).unwrap()
}

fn copy(n: u32, fingerprint: Fingerprint) -> NewCopy {
    let window = SignedDuration::from_hours(1);
    NewCopy { id: id(n), scope: "c list".into(), fingerprint, window, count_max: 1000 }
}

async fn count(store: &impl Copies, copy: NewCopy, now: i64) -> u64 {
    store.count_and_remember(copy, at(now), at(now + 600)).await.unwrap()
}

pub(crate) async fn near_copies_are_counted_and_others_are_not(store: &(impl Copies + Quotas)) {
    assert_eq!(count(store, copy(1, fingerprint(1, 100)), 0).await, 1);
    assert_eq!(count(store, copy(2, fingerprint(2, 100)), 0).await, 2);
    // These share bands with the others, and too little else.
    assert_eq!(count(store, copy(3, fingerprint(3, 30)), 0).await, 1);
    assert_eq!(count(store, copy(4, fingerprint(4, 0)), 0).await, 1);
    assert_eq!(count(store, copy(5, fingerprint(1, 100)), 0).await, 3);
    assert_eq!(count(store, NewCopy { count_max: 2, ..copy(6, fingerprint(6, 100)) }, 0).await, 2);
    // The same message judged again.
    assert_eq!(count(store, copy(5, fingerprint(1, 100)), 0).await, 4);
}

pub(crate) async fn copies_of_refused_mail_do_not_count(store: &(impl Copies + Quotas)) {
    for n in 1..=3 {
        assert_eq!(count(store, copy(n, fingerprint(1, 100)), 0).await, 1, "{n}");
        assert!(store.cancel(id(n)).await.unwrap());
    }
    count(store, copy(4, fingerprint(1, 100)), 0).await;
    count(store, copy(5, fingerprint(1, 100)), 0).await;
    assert!(store.confirm(id(5)).await.unwrap());
    assert_eq!(count(store, copy(6, fingerprint(1, 100)), 599).await, 3);
    // The fourth was never settled; its place has expired with its session.
    assert_eq!(count(store, copy(6, fingerprint(1, 100)), 601).await, 2);
    // What waits on hold is remembered for as long as the window, unless it is taken back.
    let held = |n| NewCopy { scope: "c held".into(), ..copy(n, fingerprint(1, 100)) };
    count(store, held(9), 0).await;
    assert!(store.prolong(id(9)).await.unwrap());
    assert_eq!(count(store, held(10), 3_000).await, 2);
    assert!(store.cancel(id(9)).await.unwrap());
    assert_eq!(count(store, held(10), 3_000).await, 1);
    // One id settles a message's places and its copy together.
    take(store, 7, &[demand("s", 0, 1)], 0).await;
    count(store, copy(7, fingerprint(9, 100)), 0).await;
    assert!(store.cancel(id(7)).await.unwrap());
    assert_eq!(take(store, 8, &[demand("s", 0, 1)], 0).await, granted(&[1]));
}

pub(crate) async fn copies_are_counted_within_their_window_and_scope(store: &(impl Copies + Quotas)) {
    count(store, copy(1, fingerprint(1, 100)), 0).await;
    store.confirm(id(1)).await.unwrap();
    let elsewhere = |n| NewCopy { scope: "c other".into(), ..copy(n, fingerprint(1, 100)) };
    assert_eq!(count(store, elsewhere(2), 1).await, 1);
    // One message, compared in two scopes under one id.
    assert_eq!(count(store, copy(2, fingerprint(1, 100)), 1).await, 2);
    store.confirm(id(2)).await.unwrap();
    assert_eq!(count(store, elsewhere(5), 2).await, 2);
    assert_eq!(count(store, copy(6, fingerprint(1, 100)), 2).await, 3);
    store.cancel(id(2)).await.unwrap();
    store.cancel(id(6)).await.unwrap();
    assert_eq!(count(store, copy(3, fingerprint(1, 100)), 3599).await, 2);
    store.cancel(id(3)).await.unwrap();
    assert_eq!(count(store, copy(4, fingerprint(1, 100)), 3600).await, 1);
}

pub(crate) async fn a_clock_set_back_hides_no_copy(store: &(impl Copies + Quotas)) {
    count(store, copy(1, fingerprint(1, 100)), 50_000).await;
    store.confirm(id(1)).await.unwrap();
    assert_eq!(count(store, copy(2, fingerprint(1, 100)), 0).await, 2);
    // A clock that ran ahead by hours and came back has forgotten nothing.
    assert_eq!(count(store, copy(3, fingerprint(2, 0)), 60_000).await, 1);
    assert_eq!(count(store, copy(4, fingerprint(1, 100)), 50_001).await, 2);
}

fn sender(name: &str) -> StopSubject {
    StopSubject::Sender { charter: "c".into(), name: name.into() }
}

fn new_stop(subject: StopSubject, from: Option<i64>, until: Option<i64>) -> NewStop {
    NewStop::new(subject, "misuse", "minutes 12", (from.map(at), until.map(at)), "root").unwrap()
}

async fn numbers_in_force(store: &impl Stops, subjects: &[StopSubject], now: i64) -> Vec<i64> {
    let stops = store.in_force(subjects.to_vec(), at(now)).await.unwrap();
    stops.iter().map(|stop| stop.number).collect()
}

pub(crate) async fn stops_are_in_force_between_their_dates(store: &impl Stops) {
    let dated = store.add(new_stop(sender("s"), Some(100), Some(200)), at(0)).await.unwrap();
    for (now, expected) in [(99, vec![]), (100, vec![dated.number]), (199, vec![dated.number]), (200, vec![])] {
        assert_eq!(numbers_in_force(store, &[sender("s")], now).await, expected, "{now}");
    }
    // At once means at once, and a clock that is set back afterwards does not end it.
    let undated = store.add(new_stop(sender("t"), None, None), at(0)).await.unwrap();
    for now in [-86_400 * 365, 0, 86_400 * 365] {
        assert_eq!(numbers_in_force(store, &[sender("t")], now).await, [undated.number], "{now}");
    }
}

pub(crate) async fn stops_concern_their_subject_alone(store: &impl Stops) {
    let list = Address::parse("a@lists.example").unwrap();
    let subjects = [
        sender("s / t"),
        StopSubject::Mailbox(list.clone()),
        StopSubject::List(list),
        StopSubject::Charter("c".into()),
        StopSubject::Everything,
    ];
    let mut numbers = Vec::new();
    for subject in &subjects {
        numbers.push(store.add(new_stop(subject.clone(), None, None), at(0)).await.unwrap().number);
    }
    for (subject, number) in subjects.iter().zip(&numbers) {
        assert_eq!(numbers_in_force(store, std::slice::from_ref(subject), 1).await, [*number]);
    }
    assert_eq!(numbers_in_force(store, &subjects, 1).await, numbers);
    assert!(numbers_in_force(store, &[sender("s"), StopSubject::Charter("d".into())], 1).await.is_empty());
}

pub(crate) async fn a_lifted_stop_is_history(store: &impl Stops) {
    let stop: Stop = store.add(new_stop(sender("s"), None, None), at(0)).await.unwrap();
    let lift = Lift { at: at(50), by: "root".into(), reason: "heard".into(), reference: "minutes 13".into() };
    let lifted = Stop { lifted: Some(lift.clone()), ..stop.clone() };
    assert_eq!(store.lift(stop.number, lift.clone()).await.unwrap(), Some(lifted.clone()));
    assert_eq!(store.lift(stop.number, lift.clone()).await.unwrap(), None, "it cannot be lifted twice");
    assert_eq!(store.lift(stop.number + 1, lift).await.unwrap(), None);
    // Lifted is lifted, at whatever time the clock says it is.
    assert!(numbers_in_force(store, &[sender("s")], 10).await.is_empty());
    assert_eq!(store.history().await.unwrap(), [lifted]);
}

pub(crate) async fn a_breaker_opens_once_until_it_is_lifted(store: &impl Stops) {
    let breaker = |name: &str, by: &str| NewStop::new(sender(name), "flood", "pm:6", (None, None), by).unwrap();
    let open = |name: &'static str, by: &'static str| store.add_once(breaker(name, by), at(0));
    let first = open("s", FLOOD_BREAKER).await.unwrap().unwrap();
    assert!(first.is_automatic());
    assert_eq!(open("s", FLOOD_BREAKER).await.unwrap(), None);
    assert!(open("t", FLOOD_BREAKER).await.unwrap().is_some(), "another sender's breaker is another");
    assert!(!open("s", "root").await.unwrap().unwrap().is_automatic(), "a person's stop is another");
    let lift = Lift { at: at(1), by: "root".into(), reason: "looked".into(), reference: "call 7".into() };
    store.lift(first.number, lift).await.unwrap().unwrap();
    assert!(open("s", FLOOD_BREAKER).await.unwrap().is_some());
}

/// Runs all at once; each is polled by the test's own task, and the store's thread sees them side by side.
async fn futures_join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in pinned.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
