use std::os::unix::fs::PermissionsExt;

use jiff::Timestamp;

use super::*;
use crate::hold::entry::{Beside, Held, PastRelease, Route, Sighting, Stage};
use crate::store::ReservationId;

const NOON: Timestamp = Timestamp::constant(1_529_917_200, 0);

fn after(seconds: i64) -> Timestamp {
    NOON + jiff::SignedDuration::from_secs(seconds)
}

pub(crate) fn held(queue_id: &str, sender: &str) -> Held {
    Held {
        route: Route::Postfix,
        queue_id: queue_id.parse().unwrap(),
        arrival: NOON,
        entered: after(1),
        size_bytes: 2_345,
        charter: "cnrs-2018".to_owned(),
        list: "electeurs-c@elections.cnrs.example".to_owned(),
        sender: sender.to_owned(),
        reference: "12-0123456789abcdef".to_owned(),
        registered_as: Some("Liste A".to_owned()),
        return_to: Some("liste-a@candidats.cnrs.example".to_owned()),
        release_not_before: after(3_600),
        window_ends: after(7_200),
        period_ends: Some(after(86_400)),
        reservation: None,
        beside: Vec::new(),
    }
}

fn beside() -> Beside {
    Beside {
        charter: "national".to_owned(),
        list: Some("tous@lists.cnrs.example".to_owned()),
        registered_as: Some("Syndicat A".to_owned()),
        period_ends: Some(after(7_000)),
    }
}

/// A file in a directory of its own, which goes when this is dropped.
struct Place {
    file: PathBuf,
    _directory: tempfile::TempDir,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    Place { file: directory.path().join("ledger.sqlite"), _directory: directory }
}

#[test]
fn an_entry_is_read_back_by_another_connection_as_it_was_written() {
    let place = place();
    let mut daemon = Ledger::open(&place.file).unwrap();
    let release = Ledger::open(&place.file).unwrap();
    let mut without_period = held("4XVK2N1ZQKZ9SQ", "p2");
    (without_period.period_ends, without_period.return_to, without_period.route) = (None, None, Route::Sendmail);
    without_period.beside = vec![beside()];
    without_period.reservation = Some(ReservationId::new([7; 16]));
    daemon.enter(&[&held("3F2A41C2B", "p1"), &without_period]).unwrap();
    let entries = release.open_entries(NOON).unwrap();
    assert_eq!(entries.iter().map(|e| &e.held).collect::<Vec<_>>(), [&held("3F2A41C2B", "p1"), &without_period]);
    assert!(entries.iter().all(|e| e.state == State::Entered && e.since == after(1) && e.sighting.is_none()));
    assert_eq!(release.waiting("electeurs-c@elections.cnrs.example").unwrap(), 2);
    assert_eq!(release.waiting("electeurs-a@elections.cnrs.example").unwrap(), 0);
}

#[test]
fn the_life_of_an_entry_is_kept_and_the_sender_s_address_forgotten_at_its_end() {
    let place = place();
    let mut ledger = Ledger::open(&place.file).unwrap();
    ledger.enter(&[&Held { beside: vec![beside()], ..held("3F2A41C2B", "p1") }]).unwrap();
    let number = ledger.all_entries().unwrap()[0].number;
    let seen = Sighting { arrival: NOON, size_bytes: 2_400 };
    ledger.see(number, State::Entered, seen, after(60)).unwrap();
    ledger.advance(number, State::SeenInQueue, State::Released, after(3_600)).unwrap();
    let entry = &ledger.open_entries(NOON).unwrap()[0];
    assert_eq!((entry.sighting, entry.released), (Some(seen), Some(after(3_600))));
    assert!(entry.held.return_to.is_some());
    ledger.advance(number, State::Released, State::Gone, after(3_660)).unwrap();
    assert_eq!(ledger.open_entries(NOON).unwrap(), []);
    let entry = &ledger.all_entries().unwrap()[0];
    assert_eq!((entry.state, entry.since), (State::Gone, after(3_660)));
    assert_eq!((&entry.held.return_to, &entry.held.registered_as, &entry.held.beside[..]), (&None, &None, &[][..]));
    let past = PastRelease { charter: "cnrs-2018".to_owned(), sender: "p1".to_owned(), at: after(3_600) };
    assert_eq!(ledger.releases_since(after(3_600)).unwrap(), [past]);
    assert_eq!(ledger.releases_since(after(3_601)).unwrap(), []);
}

#[test]
fn an_entry_moves_only_from_the_state_it_is_in() {
    let place = place();
    let mut one = Ledger::open(&place.file).unwrap();
    let mut other = Ledger::open(&place.file).unwrap();
    one.enter(&[&held("3F2A41C2B", "p1")]).unwrap();
    let number = one.all_entries().unwrap()[0].number;
    one.advance(number, State::Entered, State::Cancelled, after(60)).unwrap();
    let error = other.advance(number, State::Entered, State::Released, after(60)).unwrap_err();
    assert!(matches!(error, LedgerError::Moved { from: State::Entered, .. }), "{error}");
    assert_eq!(one.all_entries().unwrap()[0].state, State::Cancelled);
}

#[test]
fn a_message_called_back_waits_again_and_is_known_to_have_been_let_go() {
    let place = place();
    let mut ledger = Ledger::open(&place.file).unwrap();
    ledger.enter(&[&held("3F2A41C2B", "p1")]).unwrap();
    let number = ledger.all_entries().unwrap()[0].number;
    ledger.advance(number, State::Entered, State::Released, after(60)).unwrap();
    assert_eq!(ledger.waiting("electeurs-c@elections.cnrs.example").unwrap(), 0);
    ledger.advance(number, State::Released, State::SeenInQueue, after(120)).unwrap();
    assert_eq!(ledger.waiting("electeurs-c@elections.cnrs.example").unwrap(), 1);
    assert_eq!(ledger.all_entries().unwrap()[0].released, Some(after(60)));
}

#[test]
fn vanished_entries_stay_in_sight_for_a_while() {
    let place = place();
    let mut ledger = Ledger::open(&place.file).unwrap();
    ledger.enter(&[&held("3F2A41C2B", "p1")]).unwrap();
    let number = ledger.all_entries().unwrap()[0].number;
    ledger.advance(number, State::Entered, State::Vanished, after(600)).unwrap();
    assert_eq!(ledger.open_entries(after(600)).unwrap().len(), 1);
    assert_eq!(ledger.open_entries(after(601)).unwrap().len(), 0);
    assert!(ledger.all_entries().unwrap()[0].held.return_to.is_some(), "it may turn up and still have to be returned");
}

#[test]
fn the_first_seed_of_a_window_stays() {
    let place = place();
    let mut ledger = Ledger::open(&place.file).unwrap();
    let first = FixedSeed { seed: [7; 32], source: "checkpoint 12".to_owned() };
    let second = FixedSeed { seed: [9; 32], source: "checkpoint 13".to_owned() };
    assert_eq!(ledger.seed("cnrs-2018", NOON).unwrap(), None);
    assert_eq!(ledger.fix_seed("cnrs-2018", NOON, &first).unwrap(), first);
    assert_eq!(ledger.fix_seed("cnrs-2018", NOON, &second).unwrap(), first);
    assert_eq!(ledger.fix_seed("cnrs-2018", after(86_400), &second).unwrap(), second);
}

#[test]
fn only_concluded_entries_are_forgotten() {
    let place = place();
    let mut ledger = Ledger::open(&place.file).unwrap();
    ledger.enter(&[&held("3F2A41C2B", "p1"), &held("3F2A41C2C", "p2"), &held("3F2A41C2D", "p3")]).unwrap();
    let numbers: Vec<_> = ledger.all_entries().unwrap().iter().map(|e| e.number).collect();
    ledger.advance(numbers[0], State::Entered, State::Cancelled, after(60)).unwrap();
    ledger.advance(numbers[1], State::Entered, State::Cancelled, after(120)).unwrap();
    assert_eq!(ledger.forget_before(after(100)).unwrap(), 1);
    let left: Vec<_> = ledger.all_entries().unwrap().iter().map(|e| e.number).collect();
    assert_eq!(left, numbers[1..]);
    ledger.enter(&[&held("3F2A41C2B", "p1")]).unwrap();
    assert!(ledger.all_entries().unwrap()[2].number > numbers[2], "numbers are never reused");
}

#[test]
fn the_file_is_durable_and_readable_by_its_owner_alone() {
    let place = place();
    let ledger = Ledger::open(&place.file).unwrap();
    let mode = std::fs::metadata(&place.file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let pragma =
        |name: &str| ledger.connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
    assert_eq!(pragma("journal_mode").unwrap(), "wal".to_owned().into());
    assert_eq!(pragma("synchronous").unwrap(), 2i64.into());
}

#[test]
fn processes_that_open_a_new_ledger_at_the_same_time_agree() {
    let place = place();
    let file = &place.file;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Ledger::open(file).map(|_| ()))).collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_ledger_of_the_first_version_is_brought_up_to_date_with_what_waits_in_it() {
    let place = place();
    let mut ledger = Ledger::open(&place.file).unwrap();
    ledger.enter(&[&held("3F2A41C2B", "p1")]).unwrap();
    ledger
        .connection
        .execute_batch("ALTER TABLE held DROP COLUMN beside; ALTER TABLE held DROP COLUMN reservation")
        .unwrap();
    ledger.connection.pragma_update(None, "user_version", 1).unwrap();
    drop(ledger);
    for _ in 0..2 {
        let ledger = Ledger::open(&place.file).unwrap();
        assert_eq!(ledger.all_entries().unwrap()[0].held, held("3F2A41C2B", "p1"));
    }
}

#[test]
fn a_removal_of_the_second_version_is_one_of_which_the_sender_knows() {
    let place = place();
    let mut ledger = Ledger::open(&place.file).unwrap();
    ledger.enter(&[&held("3F2A41C2B", "p1")]).unwrap();
    ledger.connection.execute("UPDATE held SET removal = 'returned'", []).unwrap();
    ledger.connection.pragma_update(None, "user_version", 2).unwrap();
    drop(ledger);
    let ledger = Ledger::open(&place.file).unwrap();
    let removal = ledger.all_entries().unwrap().remove(0).removal.unwrap();
    assert_eq!((removal.to, removal.stage), (State::Returned, Stage::Told));
}

#[test]
fn a_file_that_is_no_ledger_of_this_version_is_refused() {
    let other = place();
    Connection::open(&other.file).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let error = Ledger::open(&other.file).unwrap_err().to_string();
    assert!(error.ends_with("another program's"), "{error}");

    let newer = place();
    Ledger::open(&newer.file).unwrap().connection.pragma_update(None, "user_version", 4).unwrap();
    let error = Ledger::open(&newer.file).unwrap_err().to_string();
    assert!(error.ends_with("its tables have version 4, this program knows 3"), "{error}");

    let garbage = place();
    std::fs::write(&garbage.file, "x".repeat(8_192)).unwrap();
    let error = Ledger::open(&garbage.file).unwrap_err().to_string();
    assert!(error.contains("not a database"), "{error}");

    let error = Ledger::open(Path::new("/nonexistent/ledger.sqlite")).unwrap_err();
    assert!(matches!(error, LedgerError::Create { .. }), "{error}");
}

#[test]
fn a_damaged_line_is_reported_with_its_number() {
    let place = place();
    let mut ledger = Ledger::open(&place.file).unwrap();
    ledger.enter(&[&held("3F2A41C2B", "p1")]).unwrap();
    ledger.connection.execute("UPDATE held SET queue_id = '-d ALL'", []).unwrap();
    let error = ledger.open_entries(NOON).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { number: 1, what: "the queue id", .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sessions_enter_at_once_and_each_entry_is_durable_when_its_answer_comes() {
    let place = place();
    let writer = Writer::start(&place.file).unwrap();
    let sessions: Vec<_> = (0..2_000)
        .map(|n| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.enter(held(&format!("3F2A4{n:05}"), "p1")).await })
        })
        .collect();
    for session in sessions {
        session.await.unwrap().unwrap();
    }
    assert_eq!(Ledger::open(&place.file).unwrap().all_entries().unwrap().len(), 2_000);
    assert_eq!(writer.waiting("electeurs-c@elections.cnrs.example").await.unwrap(), 2_000);
}

#[tokio::test]
async fn an_entry_that_cannot_be_written_is_an_error_and_the_next_one_may_succeed() {
    let place = place();
    let writer = Writer::start(&place.file).unwrap();
    let other = Connection::open(&place.file).unwrap();
    other.execute_batch("CREATE TRIGGER t BEFORE INSERT ON held BEGIN SELECT RAISE(FAIL, 'full'); END").unwrap();
    let error = writer.enter(held("3F2A41C2B", "p1")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Sqlite { .. }), "{error}");
    other.execute_batch("DROP TRIGGER t").unwrap();
    writer.enter(held("3F2A41C2C", "p1")).await.unwrap();
    let names: Vec<_> = Ledger::open(&place.file).unwrap().all_entries().unwrap();
    assert_eq!(names.iter().map(|e| e.held.queue_id.as_str()).collect::<Vec<_>>(), ["3F2A41C2C"]);
}
