//! Whose turn it is (cnrs:pre, equal treatment): inside a window senders take turns, one message each; who comes first is
//! drawn by a lot that anybody can redo.
//!
//! # The lot, so that it can be redone by hand
//!
//! The seed of a window is the root hash of the last checkpoint of the decision log that was signed before the window opened;
//! the `draw` record of that window quotes it in lower-case hex. A sender's ticket is the SHA-256 of the ASCII text
//!
//! ```text
//! SEED:PSEUDONYM
//! ```
//!
//! where `SEED` are the 64 hex digits and `PSEUDONYM` is the sender's pseudonym as the records write it; no line end. With
//! the usual tools: `printf '%s:%s' "$seed" "$pseudonym" | sha256sum`. The sender whose ticket is the smallest comes first,
//! and so on; as hex texts tickets sort in the same order. Nobody could know the seed before the checkpoint was signed, and
//! nobody can change it afterwards.
//!
//! # Turns
//!
//! A sender's messages are served in the order of their arrival. A message's turn is the number of that sender's messages that
//! leave before it in the same window, those that have left already included. Lower turns go first; within a turn, lower
//! tickets go first. So a sender who has ten messages waiting delays nobody else by more than one.
//!
//! Pseudonyms belong to a ballot (a list with a period of its own), and so do turns: nobody could redo by the log a lot that
//! links what the log keeps apart.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::charter::{Pace, ReleaseOrder};

/// What a draw needs to know of a message that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a, K> {
    /// What the caller calls the message; decides between two messages of a sender that arrived at the same instant.
    pub key: K,
    /// The sender's pseudonym.
    pub sender: &'a str,
    /// When it arrived.
    pub arrival: Timestamp,
}

/// A message with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<K> {
    /// What the caller calls the message.
    pub key: K,
    /// How many messages of the same sender go before it in this window.
    pub turn: u32,
}

/// A sender's ticket: see the module's text.
#[must_use]
pub fn ticket(seed: &[u8; 32], pseudonym: &str) -> [u8; 32] {
    let mut text = String::with_capacity(64 + 1 + pseudonym.len());
    for octet in seed {
        // Writing to a string cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    text.push(':');
    text.push_str(pseudonym);
    Sha256::digest(text.as_bytes()).into()
}

/// Puts the messages that wait for a window in the order in which they leave. `left` says how many messages of each sender
/// have left in this window already.
#[must_use]
pub fn order<K: Copy + Ord>(
    kind: ReleaseOrder,
    seed: &[u8; 32],
    candidates: &[Candidate<'_, K>],
    left: &BTreeMap<&str, u32>,
) -> Vec<Place<K>> {
    let mut by_arrival: Vec<_> = candidates.iter().collect();
    by_arrival.sort_by_key(|candidate| (candidate.arrival, candidate.key));
    let mut turns = left.clone();
    let mut places: Vec<_> = by_arrival
        .into_iter()
        .map(|candidate| {
            let next = turns.entry(candidate.sender).or_insert(0);
            let turn = *next;
            *next = next.saturating_add(1);
            (Place { key: candidate.key, turn }, candidate.sender)
        })
        .collect();
    if kind == ReleaseOrder::Draw {
        let tickets: HashMap<&str, [u8; 32]> =
            candidates.iter().map(|candidate| (candidate.sender, ticket(seed, candidate.sender))).collect();
        // A stable sort: what ties (never two senders, unless SHA-256 is broken) stays in the order of arrival.
        places.sort_by_key(|(place, sender)| (place.turn, tickets.get(sender).copied()));
    }
    places.into_iter().map(|(place, _)| place).collect()
}

/// How many messages may leave now, when those in `past` (any order) have left: at no time more than the pace allows within
/// its span.
#[must_use]
pub fn allowance(pace: Pace, past: &[Timestamp], now: Timestamp) -> usize {
    let recent = past.iter().filter(|at| **at > span_begins(pace, now)).count();
    usize::try_from(pace.messages).unwrap_or(usize::MAX).saturating_sub(recent)
}

/// When the next message may leave under this pace; `now` when one may leave at once.
#[must_use]
pub fn next_allowed(pace: Pace, past: &[Timestamp], now: Timestamp) -> Timestamp {
    if allowance(pace, past, now) > 0 {
        return now;
    }
    let mut recent: Vec<_> = past.iter().copied().filter(|at| *at > span_begins(pace, now)).collect();
    recent.sort_unstable();
    // The message whose leaving the span makes room for one more.
    let room = recent.len().saturating_sub(usize::try_from(pace.messages).unwrap_or(usize::MAX));
    let frees = recent.get(room).copied().unwrap_or(now);
    frees.checked_add(span(pace)).unwrap_or(Timestamp::MAX)
}

fn span(pace: Pace) -> SignedDuration {
    SignedDuration::from_secs(pace.per_seconds.into())
}

fn span_begins(pace: Pace, now: Timestamp) -> Timestamp {
    now.checked_sub(span(pace)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_529_917_200 + seconds).unwrap()
    }

    #[test]
    fn a_ticket_is_what_sha256sum_says() {
        // printf '%s:%s' 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f p-liste-a | sha256sum
        let seed: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let expected = "6d814c8170f779086d38465633f3a0bae4ec35ee24a46464fead55c65384285f";
        assert_eq!(data_encoding::HEXLOWER.encode(&ticket(&seed, "p-liste-a")), expected);
    }

    #[test]
    fn senders_take_turns_however_many_messages_one_of_them_has() {
        let seed = [3; 32];
        let mut candidates: Vec<_> = (0..5).map(|n| Candidate { key: n, sender: "many", arrival: at(n) }).collect();
        candidates.push(Candidate { key: 10, sender: "late", arrival: at(100) });
        let order: Vec<_> =
            order(ReleaseOrder::Draw, &seed, &candidates, &BTreeMap::new()).iter().map(|p| p.key).collect();
        let late = order.iter().position(|key| *key == 10).unwrap();
        assert!(late <= 1, "{order:?}");
        let many: Vec<_> = order.into_iter().filter(|key| *key != 10).collect();
        assert_eq!(many, [0, 1, 2, 3, 4], "one sender's messages leave in the order of their arrival");
    }

    #[test]
    fn what_has_left_already_counts_as_turns() {
        let candidates = [
            Candidate { key: 1, sender: "many", arrival: at(0) },
            Candidate { key: 2, sender: "late", arrival: at(100) },
        ];
        let left = BTreeMap::from([("many", 3)]);
        let places = order(ReleaseOrder::Draw, &[0; 32], &candidates, &left);
        assert_eq!(places, [Place { key: 2, turn: 0 }, Place { key: 1, turn: 3 }]);
    }

    #[test]
    fn first_come_first_served_knows_no_turns() {
        let candidates: Vec<_> = [("a", 3), ("a", 1), ("b", 2)]
            .into_iter()
            .map(|(sender, n)| Candidate { key: n, sender, arrival: at(n) })
            .collect();
        let order: Vec<_> =
            order(ReleaseOrder::Arrival, &[0; 32], &candidates, &BTreeMap::new()).iter().map(|p| p.key).collect();
        assert_eq!(order, [1, 2, 3]);
    }

    #[test]
    fn the_pace_is_kept_over_every_span() {
        let pace = Pace { messages: 2, per_seconds: 60 };
        assert_eq!(allowance(pace, &[], at(0)), 2);
        assert_eq!(allowance(pace, &[at(0), at(30)], at(59)), 0);
        assert_eq!(next_allowed(pace, &[at(0), at(30)], at(59)), at(60));
        assert_eq!(allowance(pace, &[at(0), at(30)], at(60)), 1);
        assert_eq!(allowance(pace, &[at(30), at(0), at(60)], at(60)), 0);
        assert_eq!(next_allowed(pace, &[at(30), at(0), at(60)], at(60)), at(90));
        assert_eq!(next_allowed(pace, &[at(0)], at(5)), at(5));
    }

    #[test]
    fn more_than_the_pace_allows_has_left_when_the_pace_was_lowered() {
        let pace = Pace { messages: 1, per_seconds: 60 };
        let past = [at(0), at(10), at(20)];
        assert_eq!(allowance(pace, &past, at(30)), 0);
        assert_eq!(next_allowed(pace, &past, at(30)), at(80));
    }

    fn some_candidates() -> impl Strategy<Value = Vec<(u8, i64)>> {
        prop::collection::vec((0..6u8, 0..1_000i64), 0..40)
    }

    fn candidates<'a>(raw: &[(u8, i64)], names: &'a [String]) -> Vec<Candidate<'a, usize>> {
        raw.iter()
            .enumerate()
            .map(|(key, (sender, arrival))| Candidate {
                key,
                sender: &names[usize::from(*sender)],
                arrival: at(*arrival),
            })
            .collect()
    }

    fn names() -> Vec<String> {
        (0..6).map(|n| format!("pseudonym-{n}")).collect()
    }

    proptest! {
        #[test]
        fn everybody_is_served_once_and_nobody_waits_for_a_second_message_of_another(
            raw in some_candidates(), seed in any::<[u8; 32]>(),
        ) {
            let names = names();
            let candidates = candidates(&raw, &names);
            let places = order(ReleaseOrder::Draw, &seed, &candidates, &BTreeMap::new());
            let mut keys: Vec<_> = places.iter().map(|p| p.key).collect();
            let mut served: HashMap<&str, u32> = HashMap::new();
            for place in &places {
                let sender = candidates[place.key].sender;
                prop_assert_eq!(place.turn, served.get(sender).copied().unwrap_or(0));
                *served.entry(sender).or_insert(0) += 1;
                // Whoever still waits has had at least as many turns as this message's own number says.
                for other in &candidates {
                    let total = u32::try_from(candidates.iter().filter(|c| c.sender == other.sender).count()).unwrap();
                    let had = served.get(other.sender).copied().unwrap_or(0);
                    prop_assert!(had >= place.turn || had == total, "{} waits at turn {}", other.sender, place.turn);
                }
            }
            keys.sort_unstable();
            prop_assert_eq!(keys, (0..raw.len()).collect::<Vec<_>>());
        }

        #[test]
        fn the_order_depends_on_nothing_but_seed_arrival_and_sender(
            raw in some_candidates(), seed in any::<[u8; 32]>(), rotation in 0..40usize,
        ) {
            let names = names();
            let straight = candidates(&raw, &names);
            let mut turned = straight.clone();
            if !turned.is_empty() {
                let by = rotation % turned.len();
                turned.rotate_left(by);
            }
            let one = order(ReleaseOrder::Draw, &seed, &straight, &BTreeMap::new());
            prop_assert_eq!(one, order(ReleaseOrder::Draw, &seed, &turned, &BTreeMap::new()));
        }

        #[test]
        fn stopping_half_way_and_going_on_gives_the_same_order(
            raw in some_candidates(), seed in any::<[u8; 32]>(), stop in 0..40usize,
        ) {
            let names = names();
            let all = candidates(&raw, &names);
            let whole: Vec<_> = order(ReleaseOrder::Draw, &seed, &all, &BTreeMap::new()).iter().map(|p| p.key).collect();
            let (done, rest) = whole.split_at(stop.min(whole.len()));
            let mut left: BTreeMap<&str, u32> = BTreeMap::new();
            for key in done {
                *left.entry(all[*key].sender).or_insert(0) += 1;
            }
            let waiting: Vec<_> = all.iter().copied().filter(|c| !done.contains(&c.key)).collect();
            let again: Vec<_> = order(ReleaseOrder::Draw, &seed, &waiting, &left).iter().map(|p| p.key).collect();
            prop_assert_eq!(rest, again);
        }

        #[test]
        fn no_span_ever_sees_more_than_the_pace(
            messages in 1..5u32, per_seconds in 1..20u32, tries in prop::collection::vec(0..8i64, 1..60),
        ) {
            let pace = Pace { messages, per_seconds };
            let (mut past, mut now) = (Vec::new(), at(0));
            for step in tries {
                now = now.checked_add(SignedDuration::from_secs(step)).unwrap();
                let free = allowance(pace, &past, now);
                prop_assert_eq!(free > 0, next_allowed(pace, &past, now) == now);
                let next = next_allowed(pace, &past, now);
                prop_assert!(allowance(pace, &past, next) > 0);
                past.extend(std::iter::repeat_n(now, free));
            }
            for end in &past {
                let begin = end.checked_sub(SignedDuration::from_secs(per_seconds.into())).unwrap();
                let inside = past.iter().filter(|at| **at > begin && *at <= end).count();
                prop_assert!(inside <= usize::try_from(messages).unwrap());
            }
        }
    }
}
