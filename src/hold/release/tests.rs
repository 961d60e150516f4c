//! The run against a world in which each step can fail: whatever the step at which a run is killed, the runs after it bring
//! everything to the right end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::super::entry::{Held, Sighting};
use super::super::ledger;
use super::super::mta::QueueTools;
use super::super::plan::QueuePlace;
use super::super::regime::{Ruling, Voice};
use super::*;
use crate::charter::{Pace, ReleaseOrder};
use crate::decision_log::{Event, JournalError};
use crate::wording::Language;

const OPENING: i64 = 3_600;
const CLOSING: i64 = 7_200;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_529_917_200 + seconds).unwrap()
}

/// Everything outside the process: it survives a crash.
#[derive(Default)]
struct World {
    now: Cell<i64>,
    /// Queue id, sender, place.
    queue: RefCell<Vec<(String, QueuePlace)>>,
    delivered: RefCell<Vec<(String, i64)>>,
    records: RefCell<Vec<Event>>,
    notices: RefCell<Vec<(String, String)>>,
    deadline: Cell<Option<i64>>,
    pace: Cell<Option<Pace>>,
    /// The process is killed before its nth effect from now; negative: never.
    fuse: Cell<i64>,
    unreachable_next_hop: Cell<bool>,
    post_is_down: Cell<bool>,
    /// What became of the places of each message, by queue id. As in the store, what was settled once stays so.
    settled: RefCell<BTreeMap<String, Places>>,
}

impl World {
    fn new() -> Rc<Self> {
        let world = Self::default();
        world.fuse.set(-1);
        Rc::new(world)
    }

    /// One effect on the world; an error is the end of the process.
    fn effect(&self) -> Result<(), MtaError> {
        let fuse = self.fuse.get();
        if fuse == 0 {
            return Err(MtaError::HelperSays("killed".to_owned()));
        }
        self.fuse.set(fuse - 1);
        Ok(())
    }

    fn settle(&self, reservation: ReservationId, places: Places) {
        let id = String::from_utf8_lossy(reservation.octets()).trim_end_matches('.').to_owned();
        self.settled.borrow_mut().entry(id).or_insert(places);
    }

    /// What became of the places, in the order of the queue ids.
    fn places(&self) -> Vec<Places> {
        self.settled.borrow().values().copied().collect()
    }

    fn kinds(&self) -> Vec<String> {
        let kind = |event: &Event| match event {
            Event::Gone(gone) => format!("gone:{}", gone.reason),
            Event::Cancel(cancel) => format!("cancel:{}", cancel.reason),
            Event::Release(release) => format!("release:{}", release.reason),
            other => other.kind().as_str().to_owned(),
        };
        self.records.borrow().iter().map(kind).collect()
    }

    /// The mail server's own: what waits for delivery is tried from time to time.
    fn queue_run(&self) {
        let moving: Vec<_> =
            self.queue.borrow().iter().filter(|(_, place)| *place == QueuePlace::Moving).cloned().collect();
        self.queue.borrow_mut().retain(|(_, place)| *place == QueuePlace::OnHold);
        self.delivered.borrow_mut().extend(moving.into_iter().map(|(id, _)| (id, self.now.get())));
    }

    fn hold(&self, id: &str) {
        self.queue.borrow_mut().push((id.to_owned(), QueuePlace::OnHold));
    }
}

struct Server(Rc<World>);

impl QueueTools for Server {
    fn perform(&mut self, verb: Verb, ids: &[QueueId]) -> Result<Vec<Outcome>, MtaError> {
        self.0.effect()?;
        let mut queue = self.0.queue.borrow_mut();
        let (from, to) = match verb {
            Verb::Release => (QueuePlace::OnHold, Some(QueuePlace::Moving)),
            Verb::Hold => (QueuePlace::Moving, Some(QueuePlace::OnHold)),
            Verb::Discard => (QueuePlace::OnHold, None),
            Verb::Deliver => unreachable!(),
        };
        let mut one = |id: &QueueId| {
            let Some(index) = queue.iter().position(|(name, place)| name == id.as_str() && *place == from) else {
                return Outcome::Absent;
            };
            match to {
                Some(to) => queue[index].1 = to,
                None => {
                    queue.remove(index);
                }
            }
            Outcome::Done
        };
        Ok(ids.iter().map(&mut one).collect())
    }

    fn read(&mut self, id: &QueueId) -> Result<Vec<u8>, MtaError> {
        Ok(format!("Subject: {id}\n\nText of {id}\n").into_bytes())
    }
}

impl Mta for Server {
    fn list(&mut self) -> Result<Vec<Queued>, MtaError> {
        let queue = self.0.queue.borrow();
        Ok(queue
            .iter()
            .map(|(id, place)| Queued {
                queue_id: id.parse().unwrap(),
                place: *place,
                sighting: Sighting { arrival: at(0), size_bytes: 2_400 },
            })
            .collect())
    }

    fn deliver(&mut self, ids: &[QueueId]) -> Result<(), MtaError> {
        self.0.effect()?;
        if self.0.unreachable_next_hop.get() {
            return Ok(());
        }
        let mut queue = self.0.queue.borrow_mut();
        for id in ids {
            let before = queue.len();
            queue.retain(|(name, place)| name != id.as_str() || *place == QueuePlace::OnHold);
            if queue.len() < before {
                self.0.delivered.borrow_mut().push((id.to_string(), self.0.now.get()));
            }
        }
        Ok(())
    }
}

struct Log(Rc<World>);

impl Chronicle for Log {
    fn record(&mut self, _: Timestamp, event: Event) -> Result<(), ChronicleError> {
        self.0.effect().map_err(|_| ChronicleError::Journal(JournalError::Closed))?;
        self.0.records.borrow_mut().push(event);
        Ok(())
    }

    fn seed_before(&mut self, _: Timestamp) -> Result<Option<FixedSeed>, ChronicleError> {
        Ok(Some(FixedSeed { seed: [1; 32], source: "test".to_owned() }))
    }
}

struct Mailbox(Rc<World>);

impl Post for Mailbox {
    fn send(&mut self, recipient: &str, message: &[u8]) -> Result<(), MtaError> {
        self.0.effect()?;
        if self.0.post_is_down.get() {
            return Err(MtaError::HelperSays("no post".to_owned()));
        }
        let text = String::from_utf8(message.to_owned()).unwrap();
        self.0.notices.borrow_mut().push((recipient.to_owned(), text));
        Ok(())
    }
}

struct Charter(Rc<World>);

impl Regime for Charter {
    fn refresh(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn terms(&self, charter: &str, now: Timestamp) -> Option<Terms> {
        let window = window(now);
        let pace = self.0.pace.get();
        (charter == "cnrs-2018").then_some(Terms { window, pace, order: ReleaseOrder::Draw, seed: [0; 32] })
    }

    fn ruling(&self, _: &Entry, now: Timestamp) -> Ruling {
        Ruling { window: window(now), deadline: self.0.deadline.get().map(at), stopped: false, statistics: true }
    }

    fn voice(&self, entry: &Entry) -> Voice {
        Voice {
            language: Language::French,
            title: "Charte".to_owned(),
            list: entry.held.list.clone(),
            arrived: "hier".to_owned(),
            contest: None,
        }
    }
}

fn window(now: Timestamp) -> Window {
    if at(OPENING) <= now && now < at(CLOSING) {
        Window::Open { opened: at(OPENING) }
    } else {
        let next = if now < at(OPENING) { OPENING } else { OPENING + 86_400 };
        Window::Closed { opens: Some(at(next)) }
    }
}

struct Bench {
    world: Rc<World>,
    directory: tempfile::TempDir,
}

impl Bench {
    /// Messages entered at second 1 and on hold since.
    fn with(ids: &[(&str, &str)]) -> Self {
        let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
        let bench = Self { world, directory };
        for (id, sender) in ids {
            bench.world.hold(id);
            bench.ledger().enter(&[&held(id, sender)]).unwrap();
        }
        bench
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(&self.directory.path().join("ledger.sqlite")).unwrap()
    }

    fn with_release<T>(&self, work: impl FnOnce(&mut Release<'_, Server, Log, Charter, Mailbox>) -> T) -> T {
        let world = &self.world;
        let clock = || at(world.now.get());
        let wait =
            |time: Duration| world.now.set(world.now.get() + i64::try_from(time.as_millis().div_ceil(1_000)).unwrap());
        let (mut ledger, mut mta, mut chronicle) = (self.ledger(), Server(Rc::clone(world)), Log(Rc::clone(world)));
        let (mut regime, mut post) = (Charter(Rc::clone(world)), Mailbox(Rc::clone(world)));
        work(&mut Release {
            ledger: &mut ledger,
            mta: &mut mta,
            chronicle: &mut chronicle,
            regime: &mut regime,
            post: &mut post,
            clock: &clock,
            same_clock: true,
            wait: &wait,
            settle: &|id, places| {
                world.settle(id, places);
                Ok(())
            },
            host: "gw.example",
            from: None,
        })
    }

    fn run_at(&self, now: i64) -> Result<Summary, ReleaseError> {
        self.world.now.set(now);
        self.with_release(|release| release.run(SignedDuration::from_secs(50)))
    }

    fn states(&self) -> Vec<State> {
        self.ledger().all_entries().unwrap().iter().map(|entry| entry.state).collect()
    }
}

fn held(id: &str, sender: &str) -> Held {
    Held {
        return_to: Some(format!("{sender}@candidats.cnrs.example")),
        period_ends: None,
        reservation: Some(ReservationId::new(std::array::from_fn(|n| *id.as_bytes().get(n).unwrap_or(&b'.')))),
        ..ledger::tests::held(id, sender)
    }
}

#[test]
fn a_night_from_the_first_sight_to_the_end() {
    let bench = Bench::with(&[("3F2A41C01", "a"), ("3F2A41C02", "b")]);
    bench.world.hold("3F2A41CFF");
    let summary = bench.run_at(60).unwrap();
    assert_eq!((summary.seen, summary.released, summary.waiting, summary.others), (2, 0, 2, 1));
    assert_eq!(bench.run_at(120).unwrap().seen, 0);
    assert!(bench.world.delivered.borrow().is_empty());
    let summary = bench.run_at(OPENING - 60).unwrap();
    assert_eq!(
        (summary.released, bench.world.kinds().last().map(String::as_str)),
        (0, Some("draw")),
        "drawn before the opening"
    );
    assert_eq!(bench.run_at(OPENING).unwrap().released, 2);
    assert_eq!(bench.run_at(OPENING + 60).unwrap().gone, 2);
    assert_eq!(bench.states(), [State::Gone, State::Gone]);
    let kinds = bench.world.kinds();
    assert_eq!(
        kinds,
        [
            "seen-in-queue",
            "seen-in-queue",
            "draw",
            "release:window",
            "release:window",
            "gone:left-queue",
            "gone:left-queue"
        ]
    );
    assert_eq!(*bench.world.queue.borrow(), [("3F2A41CFF".to_owned(), QueuePlace::OnHold)], "not ours, not touched");
}

#[test]
fn the_pace_is_kept_within_a_run_and_from_run_to_run() {
    let ids: Vec<String> = (0..9).map(|n| format!("3F2A41C{n:02}")).collect();
    let bench = Bench::with(&ids.iter().map(|id| (id.as_str(), "a")).collect::<Vec<_>>());
    bench.world.pace.set(Some(Pace { messages: 2, per_seconds: 20 }));
    let summary = bench.run_at(OPENING).unwrap();
    assert_eq!((summary.released, summary.waiting), (6, 3), "at 0, 20 and 40 s of a run of 50 s");
    bench.run_at(OPENING + 60).unwrap();
    let times: Vec<i64> = bench.world.delivered.borrow().iter().map(|(_, at)| at - OPENING).collect();
    assert_eq!(times.len(), 9);
    for window in times.windows(3) {
        assert!(window[2] - window[0] >= 20, "{times:?}");
    }
}

#[test]
fn whatever_the_step_at_which_it_is_killed_everything_ends_well() {
    let mut ends = 0;
    for fuse in 0.. {
        let bench = Bench::with(&[("3F2A41C01", "a"), ("3F2A41C02", "b"), ("3F2A41C03", "a")]);
        bench.world.fuse.set(fuse);
        let killed = bench.run_at(OPENING).is_err();
        bench.world.fuse.set(-1);
        if !killed && bench.world.records.borrow().len() >= 7 {
            break;
        }
        for minute in 1..4 {
            bench.run_at(OPENING + minute * 60).unwrap();
            bench.world.queue_run();
        }
        let mut delivered: Vec<_> = bench.world.delivered.borrow().iter().map(|(id, _)| id.clone()).collect();
        delivered.sort();
        assert_eq!(delivered, ["3F2A41C01", "3F2A41C02", "3F2A41C03"], "killed before effect {fuse}");
        assert_eq!(bench.states(), [State::Gone; 3], "killed before effect {fuse}");
        assert_eq!(bench.world.places(), [Places::Kept; 3], "killed before effect {fuse}");
        assert!(bench.world.kinds().iter().filter(|k| *k == "release:window").count() <= 4);
        ends += 1;
    }
    assert!(ends >= 8, "seen 3, draw, release 3, postsuper, delivery: {ends}");
}

#[test]
fn killed_at_the_end_of_the_window_nothing_leaves_outside() {
    for fuse in 0..9 {
        let bench = Bench::with(&[("3F2A41C01", "a"), ("3F2A41C02", "b")]);
        bench.world.fuse.set(fuse);
        let _ = bench.run_at(CLOSING - 1);
        bench.world.fuse.set(-1);
        bench.run_at(CLOSING + 60).unwrap();
        bench.run_at(CLOSING + 120).unwrap();
        assert!(bench.world.delivered.borrow().iter().all(|(_, at)| *at < CLOSING), "killed before effect {fuse}");
        assert!(
            bench.world.queue.borrow().iter().all(|(_, place)| *place == QueuePlace::OnHold),
            "killed before effect {fuse}"
        );
        assert!(
            bench.states().iter().all(|s| matches!(s, State::SeenInQueue | State::Gone)),
            "killed before effect {fuse}"
        );
    }
}

#[test]
fn what_cannot_be_delivered_in_its_window_comes_back_on_hold_and_leaves_the_next_night() {
    let bench = Bench::with(&[("3F2A41C01", "a")]);
    bench.world.unreachable_next_hop.set(true);
    assert_eq!(bench.run_at(OPENING).unwrap().released, 1);
    let summary = bench.run_at(CLOSING).unwrap();
    assert_eq!((summary.recalled, summary.waiting), (1, 1));
    assert_eq!(bench.world.queue.borrow()[0].1, QueuePlace::OnHold);
    bench.world.unreachable_next_hop.set(false);
    assert_eq!(bench.run_at(CLOSING + 60).unwrap().released, 0);
    bench.world.deadline.set(Some(CLOSING + 90));
    bench.run_at(CLOSING + 120).unwrap();
    let notices = bench.world.notices.borrow();
    let notice = mail_parser::MessageParser::new().parse(&notices[0].1).unwrap();
    assert!(notice.body_text(0).unwrap().contains("ou pas à tous ses destinataires"), "it may have reached some");
}

#[test]
fn an_overdue_message_goes_back_to_its_sender_once_whatever_the_step_at_which_it_is_killed() {
    for fuse in 0..8 {
        let bench = Bench::with(&[("3F2A41C01", "a")]);
        bench.run_at(60).unwrap();
        bench.world.deadline.set(Some(OPENING));
        bench.world.fuse.set(fuse);
        let killed = bench.run_at(120).is_err();
        bench.world.fuse.set(-1);
        bench.run_at(180).unwrap();
        bench.run_at(240).unwrap();
        assert_eq!(bench.states(), [State::Returned], "killed before effect {fuse}");
        assert_eq!(bench.world.places(), [Places::GivenBack], "killed before effect {fuse}");
        assert!(bench.world.queue.borrow().is_empty() && bench.world.delivered.borrow().is_empty());
        let notices = bench.world.notices.borrow();
        assert_eq!(notices.len(), 1, "killed before effect {fuse}: {killed}");
        assert_eq!(notices[0].0, "a@candidats.cnrs.example");
        assert!(notices[0].1.contains("Text of 3F2A41C01"));
        assert!(!bench.world.kinds().iter().any(|kind| kind.starts_with("gone")), "{:?}", bench.world.kinds());
        assert_eq!(bench.ledger().all_entries().unwrap()[0].held.return_to, None);
    }
}

#[test]
fn a_message_whose_sender_cannot_be_told_stays_on_hold() {
    let bench = Bench::with(&[("3F2A41C01", "a")]);
    bench.run_at(60).unwrap();
    bench.world.deadline.set(Some(90));
    bench.world.post_is_down.set(true);
    let summary = bench.run_at(120).unwrap();
    assert!(summary.is_alarming() && summary.problems[0].contains("cannot be returned yet"), "{summary:?}");
    assert_eq!(bench.world.queue.borrow().len(), 1);
    bench.world.post_is_down.set(false);
    assert_eq!(bench.run_at(180).unwrap().returned, 1);
}

#[test]
fn a_message_without_anybody_to_return_it_to_is_never_dropped() {
    let bench = Bench::with(&[]);
    let mut nobody = held("3F2A41C01", "a");
    nobody.return_to = None;
    bench.ledger().enter(&[&nobody]).unwrap();
    bench.world.hold("3F2A41C01");
    bench.world.deadline.set(Some(50));
    let summary = bench.run_at(120).unwrap();
    assert!(summary.is_alarming() && summary.problems.iter().any(|p| p.contains("names nobody")), "{summary:?}");
    assert_eq!((bench.world.queue.borrow().len(), bench.states()), (1, vec![State::SeenInQueue]));
}

#[test]
fn a_vanished_message_is_an_alarm_and_one_that_never_came_is_not() {
    let bench = Bench::with(&[("3F2A41C01", "a"), ("3F2A41C02", "b")]);
    bench.world.queue.borrow_mut().remove(1);
    bench.run_at(60).unwrap();
    let summary = bench.run_at(700).unwrap();
    assert_eq!(summary.missing, BTreeMap::from([("never-queued", 1)]));
    assert!(!summary.is_alarming());
    assert_eq!(*bench.world.settled.borrow(), BTreeMap::from([("3F2A41C02".to_owned(), Places::GivenBack)]));
    let gone = bench.world.queue.borrow_mut().remove(0);
    let summary = bench.run_at(760).unwrap();
    assert_eq!(summary.missing, BTreeMap::from([("vanished", 1)]));
    assert!(summary.is_alarming());
    bench.world.queue.borrow_mut().push(gone);
    assert_eq!(bench.run_at(820).unwrap().seen, 1, "it turned up again");
    assert_eq!(bench.run_at(OPENING).unwrap().released, 1);
}

#[test]
fn a_message_that_hides_from_one_listing_has_not_vanished() {
    struct Hiding(Server, Cell<bool>);
    impl QueueTools for Hiding {
        fn perform(&mut self, verb: Verb, ids: &[QueueId]) -> Result<Vec<Outcome>, MtaError> {
            self.0.perform(verb, ids)
        }
        fn read(&mut self, id: &QueueId) -> Result<Vec<u8>, MtaError> {
            self.0.read(id)
        }
    }
    impl Mta for Hiding {
        fn list(&mut self) -> Result<Vec<Queued>, MtaError> {
            if self.1.replace(false) { Ok(Vec::new()) } else { self.0.list() }
        }
        fn deliver(&mut self, ids: &[QueueId]) -> Result<(), MtaError> {
            self.0.deliver(ids)
        }
    }
    let bench = Bench::with(&[("3F2A41C01", "a")]);
    bench.run_at(60).unwrap();
    let world = &bench.world;
    let (mut ledger, mut chronicle, mut post) = (bench.ledger(), Log(Rc::clone(world)), Mailbox(Rc::clone(world)));
    let summary = Release {
        ledger: &mut ledger,
        mta: &mut Hiding(Server(Rc::clone(world)), Cell::new(true)),
        chronicle: &mut chronicle,
        regime: &mut Charter(Rc::clone(world)),
        post: &mut post,
        clock: &|| at(120),
        same_clock: true,
        wait: &|_| (),
        settle: &|id, places| {
            world.settle(id, places);
            Ok(())
        },
        host: "gw.example",
        from: None,
    }
    .run(SignedDuration::ZERO)
    .unwrap();
    assert_eq!((summary.missing.len(), bench.states()), (0, vec![State::SeenInQueue]));
}

#[test]
fn the_postmaster_may_let_go_and_cancel_at_any_hour() {
    let bench = Bench::with(&[("3F2A41C01", "a"), ("3F2A41C02", "b"), ("3F2A41C03", "c")]);
    bench.run_at(60).unwrap();
    let entries = bench.ledger().all_entries().unwrap();
    bench.with_release(|release| {
        release.release_by_order(&entries[0]).unwrap();
        release.cancel(&entries[1], "CE-2018-07", true).unwrap();
        release.cancel(&entries[2], "CE-2018-08", false).unwrap();
    });
    bench.run_at(120).unwrap();
    assert_eq!(bench.states(), [State::Gone, State::Cancelled, State::Cancelled]);
    assert_eq!(bench.world.places(), [Places::Kept, Places::GivenBack, Places::GivenBack]);
    assert_eq!(bench.world.delivered.borrow().len(), 1);
    let notices = bench.world.notices.borrow();
    assert_eq!(notices.len(), 1, "the second sender asked for it, and knows");
    assert_eq!(notices[0].0, "b@candidats.cnrs.example");
    let kinds = bench.world.kinds();
    assert_eq!(kinds[3..], ["release:operator", "cancel:operator", "cancel:operator", "gone:left-queue"]);
}

#[test]
fn a_cancellation_that_was_killed_is_finished_and_never_delivered() {
    for fuse in 0..6 {
        let bench = Bench::with(&[("3F2A41C01", "a")]);
        bench.run_at(60).unwrap();
        let entry = bench.ledger().all_entries().unwrap().remove(0);
        bench.world.fuse.set(fuse);
        bench.with_release(|release| {
            let _ = release.cancel(&entry, "CE-2018-07", true);
        });
        bench.world.fuse.set(-1);
        bench.run_at(OPENING).unwrap();
        bench.run_at(OPENING + 60).unwrap();
        assert_eq!(bench.states(), [State::Cancelled], "killed before effect {fuse}");
        assert!(bench.world.delivered.borrow().is_empty(), "killed before effect {fuse}");
        let notices = bench.world.notices.borrow();
        assert_eq!(notices.len(), 1, "killed before effect {fuse}");
        assert!(notices[0].1.contains("Text of 3F2A41C01"));
    }
}

#[test]
fn a_return_of_which_nothing_was_recorded_binds_no_order() {
    let bench = Bench::with(&[("3F2A41C01", "a"), ("3F2A41C02", "b")]);
    bench.run_at(60).unwrap();
    for entry in bench.ledger().all_entries().unwrap() {
        let (to, why, stage) = (State::Returned, Overdue::PeriodOver, Stage::Begun);
        let begun = Removal { to, why, order: None, silent: false, stage };
        bench.ledger().note_removal(entry.number, entry.state, &begun).unwrap();
    }
    let entries = bench.ledger().all_entries().unwrap();
    bench.with_release(|release| {
        release.cancel(&entries[0], "CE-2018-07", true).unwrap();
        release.release_by_order(&entries[1]).unwrap();
    });
    bench.run_at(120).unwrap();
    assert_eq!(bench.states(), [State::Cancelled, State::Gone]);
    assert!(bench.world.kinds().contains(&"cancel:operator".to_owned()), "{:?}", bench.world.kinds());
}

#[test]
fn while_the_ledger_cannot_be_written_nobody_is_told_anything() {
    let bench = Bench::with(&[("3F2A41C01", "a"), ("3F2A41C02", "b")]);
    bench.run_at(60).unwrap();
    let records = bench.world.kinds().len();
    let entries = bench.ledger().all_entries().unwrap();
    let full = rusqlite::Connection::open(bench.directory.path().join("ledger.sqlite")).unwrap();
    full.execute_batch("CREATE TRIGGER full BEFORE UPDATE ON held BEGIN SELECT RAISE(FAIL, 'disk full'); END").unwrap();
    bench.world.deadline.set(Some(90));
    for at in [120, 180, 240] {
        assert!(bench.run_at(at).is_err());
    }
    bench.with_release(|release| assert!(release.cancel(&entries[1], "CE-2018-07", true).is_err()));
    assert_eq!((bench.world.notices.borrow().len(), bench.world.kinds().len()), (0, records));
    full.execute_batch("DROP TRIGGER full").unwrap();
    bench.run_at(300).unwrap();
    assert_eq!(bench.states(), [State::Returned, State::Returned]);
    assert_eq!(bench.world.notices.borrow().len(), 2);
}

#[test]
fn a_release_by_order_that_was_killed_is_finished_outside_the_window() {
    for fuse in 0..3 {
        let bench = Bench::with(&[("3F2A41C01", "a")]);
        bench.run_at(60).unwrap();
        let entry = bench.ledger().all_entries().unwrap().remove(0);
        bench.world.fuse.set(fuse);
        let _ = bench.with_release(|release| release.release_by_order(&entry));
        bench.world.fuse.set(-1);
        bench.run_at(120).unwrap();
        bench.world.queue_run();
        bench.run_at(180).unwrap();
        let expected = if fuse == 0 { State::SeenInQueue } else { State::Gone };
        assert_eq!(bench.states(), [expected], "killed before effect {fuse}");
    }
}
