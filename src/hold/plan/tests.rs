use super::super::entry::Removal;
use super::super::ledger::tests::held;
use super::*;

const OPENING: i64 = 3_600;
const CLOSING: i64 = 7_200;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_529_917_200 + seconds).unwrap()
}

/// An entry of the common fixture, made at second 1 of a message that arrived at second 0.
fn case(number: i64, sender: &str, state: State) -> Case {
    let held = held(&format!("3F2A41C{number:02}"), sender);
    let seen = state != State::Entered;
    let sighting = seen.then_some(Sighting { arrival: at(0), size_bytes: 2_400 });
    let released = (state == State::Released).then_some(at(OPENING));
    let entry = Entry {
        number: EntryNumber(number),
        held,
        state,
        since: at(1),
        sighting,
        released,
        by_order: false,
        removal: None,
    };
    Case { entry, window: Window::None, deadline: None, stopped: false }
}

fn queued(case: &Case, place: QueuePlace) -> Queued {
    let sighting = Sighting { arrival: at(0), size_bytes: 2_400 };
    Queued { queue_id: case.entry.held.queue_id.clone(), place, sighting }
}

struct World {
    now: i64,
    cases: Vec<Case>,
    queue: Vec<Queued>,
    window: Window,
    pace: Option<Pace>,
    past: Vec<PastRelease>,
    charter: &'static str,
}

impl World {
    fn new(now: i64, cases: Vec<Case>, place: QueuePlace) -> Self {
        let window = if (OPENING..CLOSING).contains(&now) {
            Window::Open { opened: at(OPENING) }
        } else {
            Window::Closed { opens: Some(at(OPENING + if now < OPENING { 0 } else { 86_400 })) }
        };
        let queue = cases.iter().map(|case| queued(case, place)).collect();
        Self { now, cases, queue, window, pace: None, past: Vec::new(), charter: "cnrs-2018" }
    }

    fn plan(&self) -> Plan {
        let terms = Terms { window: self.window, pace: self.pace, order: ReleaseOrder::Draw, seed: [5; 32] };
        let cases: Vec<_> = self.cases.iter().map(|case| Case { window: self.window, ..case.clone() }).collect();
        plan(&Situation {
            now: at(self.now),
            cases: &cases,
            queue: &self.queue,
            charters: &BTreeMap::from([(self.charter.to_owned(), terms)]),
            past: &self.past,
            same_clock: true,
        })
    }

    fn actions(&self) -> Vec<Action> {
        self.plan().steps.into_iter().map(|step| step.action).collect()
    }
}

const SIGHTING_OF_ALL: u64 = 2_400;

fn see() -> Action {
    Action::See(Sighting { arrival: at(0), size_bytes: SIGHTING_OF_ALL })
}

fn let_go(rank: u32) -> Action {
    Action::Release { rank, opened: Some(at(OPENING)) }
}

#[test]
fn before_the_window_a_message_is_seen_and_stays() {
    let world = World::new(60, vec![case(1, "a", State::Entered)], QueuePlace::OnHold);
    assert_eq!(
        world.plan(),
        Plan { steps: vec![Step { number: EntryNumber(1), action: see() }], waiting: 1, ..Plan::default() }
    );
    let world = World::new(60, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
    assert_eq!(world.actions(), []);
}

#[test]
fn the_window_is_half_open() {
    let held = || vec![case(1, "a", State::SeenInQueue)];
    assert_eq!(World::new(OPENING - 1, held(), QueuePlace::OnHold).actions(), []);
    assert_eq!(World::new(OPENING, held(), QueuePlace::OnHold).actions(), [let_go(1)]);
    assert_eq!(World::new(CLOSING - 1, held(), QueuePlace::OnHold).actions(), [let_go(1)]);
    assert_eq!(World::new(CLOSING, held(), QueuePlace::OnHold).actions(), []);
}

#[test]
fn a_message_that_was_not_seen_yet_is_noted_before_it_is_let_go() {
    let world = World::new(OPENING, vec![case(1, "a", State::Entered)], QueuePlace::OnHold);
    assert_eq!(world.actions(), [see(), let_go(1)]);
}

#[test]
fn mail_that_somebody_else_holds_is_counted_and_never_touched() {
    let mut world = World::new(OPENING, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
    let stranger = case(7, "x", State::SeenInQueue);
    world.queue = vec![queued(&stranger, QueuePlace::OnHold)];
    let plan = world.plan();
    assert_eq!(plan.others, 1);
    assert_eq!(plan.steps, [Step { number: EntryNumber(1), action: Action::Miss(Missing::Vanished) }]);
}

#[test]
fn a_reused_queue_id_is_not_our_message() {
    for (arrival, size_bytes) in [(at(500), 2_400), (at(0), 9_999)] {
        let mut world = World::new(OPENING, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
        world.queue[0].sighting = Sighting { arrival, size_bytes };
        let plan = world.plan();
        assert_eq!(plan.steps, [Step { number: EntryNumber(1), action: Action::Miss(Missing::Changed) }]);
        assert_eq!(plan.others, 1);
    }
    // Not seen yet: a message that arrived after the entry was made cannot be the one that was entered.
    let mut world = World::new(OPENING, vec![case(1, "a", State::Entered)], QueuePlace::OnHold);
    world.queue[0].sighting.arrival = at(2);
    assert_eq!(world.actions(), [Action::Miss(Missing::Changed)]);
}

#[test]
fn of_two_entries_with_one_id_the_newer_one_owns_the_message() {
    let (mut old, mut new) = (case(1, "a", State::Entered), case(2, "b", State::Entered));
    new.entry.held.queue_id = old.entry.held.queue_id.clone();
    old.entry.held.entered = at(1);
    new.entry.held.entered = at(100);
    let mut world = World::new(700, vec![old, new], QueuePlace::OnHold);
    world.queue.truncate(1);
    let steps = world.plan().steps;
    assert_eq!(
        steps,
        [
            Step { number: EntryNumber(1), action: Action::Miss(Missing::Changed) },
            Step { number: EntryNumber(2), action: see() },
        ]
    );
}

#[test]
fn a_message_may_take_a_while_to_show_up_and_is_missed_after_that() {
    let mut world = World::new(600, vec![case(1, "a", State::Entered)], QueuePlace::OnHold);
    world.queue.clear();
    assert_eq!((world.actions(), world.plan().waiting), (vec![], 1));
    world.now = 601;
    assert_eq!(world.actions(), [Action::Miss(Missing::NeverQueued)]);
    world.queue = vec![queued(&world.cases[0], QueuePlace::Moving)];
    assert_eq!(world.actions(), [Action::Miss(Missing::ReleasedByOther)]);
    world.now = 600;
    assert_eq!(world.actions(), []);
}

#[test]
fn a_message_let_go_by_another_hand_is_recorded() {
    let world = World::new(60, vec![case(1, "a", State::SeenInQueue)], QueuePlace::Moving);
    assert_eq!(world.actions(), [Action::Miss(Missing::ReleasedByOther)]);
}

#[test]
fn a_vanished_message_that_turns_up_again_waits_again() {
    let world = World::new(60, vec![case(1, "a", State::Vanished)], QueuePlace::OnHold);
    assert_eq!(world.actions(), [see()]);
    let world = World::new(60, vec![case(1, "a", State::Vanished)], QueuePlace::Moving);
    assert_eq!(world.actions(), []);
    let mut world = World::new(60, vec![case(1, "a", State::Vanished)], QueuePlace::OnHold);
    world.queue[0].sighting.size_bytes += 1;
    assert_eq!((world.actions(), world.plan().others), (vec![], 1));
}

#[test]
fn a_release_that_was_interrupted_is_finished_inside_the_window_and_undone_outside() {
    let released = || vec![case(1, "a", State::Released)];
    assert_eq!(World::new(OPENING + 60, released(), QueuePlace::OnHold).actions(), [Action::ReleaseAgain]);
    assert_eq!(World::new(CLOSING, released(), QueuePlace::OnHold).actions(), [Action::PutBack]);
    let mut gone = World::new(CLOSING, released(), QueuePlace::OnHold);
    gone.queue.clear();
    assert_eq!(gone.actions(), [Action::Conclude]);
}

#[test]
fn what_could_not_be_delivered_inside_the_window_is_called_back() {
    let released = || vec![case(1, "a", State::Released)];
    assert_eq!(World::new(CLOSING - 1, released(), QueuePlace::Moving).actions(), []);
    assert_eq!(World::new(CLOSING, released(), QueuePlace::Moving).actions(), [Action::Recall]);
    let mut overdue = World::new(OPENING + 60, released(), QueuePlace::Moving);
    overdue.cases[0].deadline = Some(at(OPENING + 60));
    assert_eq!(overdue.actions(), [Action::Recall], "nothing is delivered after the period");
    overdue.queue = vec![queued(&overdue.cases[0], QueuePlace::OnHold)];
    assert_eq!(overdue.actions(), [Action::Return(Overdue::PeriodOver)]);
}

#[test]
fn what_the_postmaster_let_go_leaves_at_any_hour() {
    for (place, expected) in [(QueuePlace::OnHold, vec![Action::ReleaseAgain]), (QueuePlace::Moving, vec![])] {
        let mut world = World::new(60, vec![case(1, "a", State::Released)], place);
        world.cases[0].entry.by_order = true;
        assert_eq!(world.actions(), expected);
    }
}

#[test]
fn what_is_overdue_goes_back_to_its_sender() {
    let returned = |now: i64, deadline: i64, stopped: bool| {
        let mut world = World::new(now, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
        world.cases[0].deadline = Some(at(deadline));
        world.cases[0].stopped = stopped;
        world.actions()
    };
    assert_eq!(returned(100, 100, false), [Action::Return(Overdue::PeriodOver)]);
    assert_eq!(returned(100, 101, false), [Action::Return(Overdue::NoWindowLeft)]);
    assert_eq!(returned(100, OPENING, false), [Action::Return(Overdue::NoWindowLeft)]);
    assert_eq!(returned(100, OPENING + 1, false), []);
    assert_eq!(returned(OPENING, OPENING + 1, false), [let_go(1)]);
    assert_eq!(returned(OPENING, OPENING, false), [Action::Return(Overdue::PeriodOver)]);
    assert_eq!(returned(OPENING, OPENING, true), [Action::Return(Overdue::Suspended)]);
    assert_eq!(returned(100, OPENING, true), [Action::Return(Overdue::Suspended)]);
}

#[test]
fn a_message_is_noted_before_it_is_returned() {
    let mut world = World::new(100, vec![case(1, "a", State::Entered)], QueuePlace::OnHold);
    world.cases[0].deadline = Some(at(50));
    assert_eq!(world.actions(), [see()]);
}

#[test]
fn suspended_mail_waits() {
    let mut world = World::new(OPENING, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
    world.cases[0].stopped = true;
    assert_eq!((world.actions(), world.plan().waiting), (vec![], 1));
}

#[test]
fn mail_under_a_charter_that_is_gone_stays_until_its_deadline() {
    let mut world = World::new(OPENING, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
    world.charter = "another";
    assert_eq!((world.actions(), world.plan().orphans), (vec![], 1));
    world.cases[0].deadline = Some(at(OPENING));
    assert_eq!(world.actions(), [Action::Return(Overdue::PeriodOver)]);
    let mut released = World::new(OPENING, vec![case(1, "a", State::Released)], QueuePlace::Moving);
    released.charter = "another";
    assert_eq!(released.actions(), []);
}

#[test]
fn a_charter_without_a_window_lets_everything_go() {
    let mut world = World::new(60, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
    world.window = Window::None;
    assert_eq!(world.actions(), [Action::Release { rank: 1, opened: None }]);
}

#[test]
fn a_clock_set_back_lets_nothing_go_early() {
    let mut world = World::new(OPENING, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
    world.cases[0].entry.held.entered = at(OPENING + 100);
    assert_eq!(world.actions(), [], "it was entered in the future");
}

#[test]
fn a_window_that_was_moved_forward_after_the_message_was_held_is_used() {
    let mut world = World::new(OPENING, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
    world.cases[0].entry.held.release_not_before = at(CLOSING - 60);
    assert_eq!(world.actions(), [let_go(1)]);
}

#[test]
fn a_message_that_arrived_inside_the_window_takes_its_turn_in_it() {
    let mut world = World::new(OPENING + 100, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
    world.cases[0].entry.held.entered = at(OPENING + 50);
    world.cases[0].entry.held.release_not_before = at(OPENING + 86_400);
    assert_eq!(world.actions(), [let_go(1)]);
}

#[test]
fn the_pace_bounds_a_run_and_says_when_the_next_may_leave() {
    let cases = (1..=5).map(|n| case(n, &format!("p{n}"), State::SeenInQueue)).collect();
    let mut world = World::new(OPENING + 10, cases, QueuePlace::OnHold);
    world.pace = Some(Pace { messages: 3, per_seconds: 60 });
    world.past = vec![PastRelease { charter: "cnrs-2018".to_owned(), sender: "p9".to_owned(), at: at(OPENING + 1) }];
    let plan = world.plan();
    assert_eq!(plan.steps.iter().map(|s| s.action).collect::<Vec<_>>(), [let_go(2), let_go(3)]);
    assert_eq!((plan.waiting, plan.next), (3, Some(at(OPENING + 61))));
    world.past[0].charter = "another".to_owned();
    assert_eq!(world.plan().steps.len(), 3, "another charter's mail does not count");
}

#[test]
fn senders_take_turns_across_runs() {
    let cases = vec![
        case(1, "many", State::SeenInQueue),
        case(2, "many", State::SeenInQueue),
        case(3, "few", State::SeenInQueue),
    ];
    let mut world = World::new(OPENING + 10, cases, QueuePlace::OnHold);
    world.past = vec![PastRelease { charter: "cnrs-2018".to_owned(), sender: "many".to_owned(), at: at(OPENING) }];
    let first = world.plan().steps[0].number;
    assert_eq!(first, EntryNumber(3));
    world.past[0].at = at(OPENING - 1);
    let orders: Vec<_> = world.plan().steps.iter().map(|s| s.number.0).collect();
    assert_eq!(orders.iter().position(|n| *n == 2), Some(2), "last night's turns do not count: {orders:?}");
}

#[test]
fn a_removal_that_was_interrupted_is_finished_and_told_once() {
    let mut world = World::new(60, vec![case(1, "a", State::SeenInQueue)], QueuePlace::OnHold);
    let removal =
        |stage| Some(Removal { to: State::Returned, why: Overdue::PeriodOver, order: None, silent: false, stage });
    world.cases[0].entry.removal = removal(Stage::Begun);
    assert_eq!(world.actions(), [], "nothing is recorded, and it is not overdue any more");
    for stage in [Stage::Recorded, Stage::Told] {
        world.cases[0].entry.removal = removal(stage);
        assert_eq!(world.actions(), [Action::Remove]);
    }
    world.queue.clear();
    assert_eq!(world.actions(), [Action::Removed(State::Returned)], "it did not vanish");
    world.cases[0].entry.removal = removal(Stage::Recorded);
    assert_eq!(world.actions(), [Action::Miss(Missing::Vanished)], "nobody told its sender");
}
