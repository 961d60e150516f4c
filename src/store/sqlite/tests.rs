#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::store::conformance::{at, demand, id, take};
use crate::store::{NewStop, Quotas, Reserved, StopSubject, Stops};

fn fresh() -> (Sqlite, TempDir) {
    let directory = TempDir::new().unwrap();
    (Sqlite::open(&file(&directory)).unwrap(), directory)
}

mod conforms {
    use super::fresh;
    crate::store::conformance::conformance!(fresh());
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("store.sqlite")
}

#[tokio::test]
async fn what_was_answered_is_there_for_the_next_process() {
    let (store, directory) = fresh();
    take(&store, 1, &[demand("s", 0, 2)], 0).await;
    store.confirm(id(1)).await.unwrap();
    take(&store, 2, &[demand("s", 0, 2)], 0).await;
    // Not closed, not told: as after SIGKILL.
    std::mem::forget(store);
    let again = Sqlite::open(&file(&directory)).unwrap();
    let answer = take(&again, 3, &[demand("s", 0, 2)], 1).await;
    assert_eq!(answer, Reserved::Exhausted { which: 0, used: vec![2], limit: 2 });
    // The dead one's reservation expires, its confirmed place does not.
    assert_eq!(take(&again, 4, &[demand("s", 0, 2)], 700).await, Reserved::Granted { used: vec![2] });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_connections_never_both_take_the_last_place() {
    let (first, directory) = fresh();
    let second = Sqlite::open(&file(&directory)).unwrap();
    for round in 0..50u32 {
        let day = i64::from(round);
        let demands = [demand("s", day, 3)];
        let mut tasks = Vec::new();
        for n in 0..8 {
            let store = if n % 2 == 0 { first.clone() } else { second.clone() };
            let demands = demands.clone();
            tasks.push(tokio::spawn(async move { take(&store, round * 8 + n, &demands, day * 86_400).await }));
        }
        let mut granted = 0;
        for task in tasks {
            granted += usize::from(matches!(task.await.unwrap(), Reserved::Granted { .. }));
        }
        assert_eq!(granted, 3);
    }
}

/// How many places each of two processes tries to take; together more than there are.
const TRIES: u32 = 200;
const PLACES: u64 = 250;

/// The second process of the test below: the same binary, told by its environment where the store is.
#[tokio::test]
async fn process_that_takes_places() {
    let Some(path) = std::env::var_os("STORE_UNDER_TEST") else { return };
    let name: u32 = std::env::var("STORE_PROCESS").unwrap().parse().unwrap();
    // Patient: on a busy machine the other process may hold the lock for long.
    let options = Options { busy_timeout: Duration::from_mins(1), ..Options::default() };
    let store = Sqlite::open_with(Path::new(&path), &options).unwrap();
    let mut granted = 0;
    for n in 0..TRIES {
        let answer = take(&store, name * TRIES + n, &[demand("s", 0, PLACES)], 0).await;
        if matches!(answer, Reserved::Granted { .. }) {
            store.confirm(id(name * TRIES + n)).await.unwrap();
            granted += 1;
        }
    }
    eprintln!("granted={granted}.");
}

#[test]
fn two_processes_never_both_take_the_last_place() {
    let (_store, directory) = fresh();
    let this_test = "store::sqlite::tests::process_that_takes_places";
    let children: Vec<_> = (1..=2)
        .map(|name| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", this_test, "--nocapture"])
                .env("STORE_UNDER_TEST", file(&directory))
                .env("STORE_PROCESS", format!("{name}"))
                .stderr(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let granted: u64 = children
        .into_iter()
        .map(|child| {
            let output = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
            let (_, rest) = output.split_once("granted=").unwrap();
            rest.split_once('.').unwrap().0.parse::<u64>().unwrap()
        })
        .sum();
    assert_eq!(granted, PLACES);
}

#[tokio::test]
async fn a_stop_added_by_another_process_holds_for_the_next_message() {
    let (daemon, directory) = fresh();
    assert!(daemon.in_force(vec![StopSubject::Everything], at(0)).await.unwrap().is_empty());
    let command = Sqlite::open_with(&file(&directory), &Options { create: false, ..Options::default() }).unwrap();
    let stop = NewStop::new(StopSubject::Everything, "flood", "call 7", (None, None), "root").unwrap();
    let added = command.add(stop, at(0)).await.unwrap();
    assert_eq!(daemon.in_force(vec![StopSubject::Everything], at(0)).await.unwrap(), [added]);
}

#[tokio::test]
async fn a_stop_is_found_when_nobody_can_look_in_place() {
    let (store, directory) = fresh();
    let stop = NewStop::new(StopSubject::Everything, "flood", "call 7", (None, None), "root").unwrap();
    let added = [store.add(stop, at(0)).await.unwrap()];
    let subjects = || vec![StopSubject::Everything];
    let busy = std::mem::take(&mut *store.readers.lock().unwrap());
    assert_eq!(store.in_force(subjects(), at(0)).await.unwrap(), added, "all are in use");
    let elsewhere = Connection::open(directory.path().join("empty.sqlite")).unwrap();
    store.readers.lock().unwrap().push(elsewhere);
    assert_eq!(store.in_force(subjects(), at(0)).await.unwrap(), added, "the look fails");
    assert!(!busy.is_empty());
}

#[tokio::test]
async fn a_reader_writes_nothing() {
    let (store, _directory) = fresh();
    let written = store.look_here(|connection| Ok(connection.execute("DELETE FROM stop", [])?));
    assert_eq!(written, None);
}

#[tokio::test]
async fn a_full_disk_is_said_and_takes_nothing_back() {
    let directory = TempDir::new().unwrap();
    let options = Options { pages_max: Some(20), ..Options::default() };
    let store = Sqlite::open_with(&file(&directory), &options).unwrap();
    let long = "x".repeat(2000);
    let mut taken = 0u32;
    let error = loop {
        let demands = vec![demand(&format!("{long}{taken}"), 0, 1)];
        match store.reserve(id(taken), demands, at(0), at(600)).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 1000, "the file never filled up");
    };
    assert_eq!(error, StoreError::Full);
    assert!(taken > 0);
    assert_eq!(store.usage("c", at(0)).await.unwrap().len(), usize::try_from(taken).unwrap());
    // Places that are given back make room again.
    for n in 0..taken {
        assert!(store.cancel(id(n)).await.unwrap());
    }
    assert_eq!(take(&store, 9999, &[demand("s", 0, 1)], 0).await, Reserved::Granted { used: vec![1] });
}

#[tokio::test]
async fn a_read_only_store_is_read_and_says_that_it_cannot_be_written() {
    let (store, directory) = fresh();
    take(&store, 1, &[demand("s", 0, 1)], 0).await;
    let options = Options { create: false, read_only: true, ..Options::default() };
    let reader = Sqlite::open_with(&file(&directory), &options).unwrap();
    assert_eq!(reader.usage("c", at(0)).await.unwrap().len(), 1);
    let error = reader.reserve(id(2), vec![demand("s", 0, 9)], at(0), at(1)).await.unwrap_err();
    assert_eq!(error, StoreError::ReadOnly);
}

#[tokio::test]
async fn a_locked_store_is_said_after_the_timeout_and_works_again_afterwards() {
    let (_first, directory) = fresh();
    let options = Options { busy_timeout: Duration::from_millis(50), ..Options::default() };
    let store = Sqlite::open_with(&file(&directory), &options).unwrap();
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.reserve(id(1), vec![demand("s", 0, 1)], at(0), at(1)).await.unwrap_err();
    assert_eq!(error, StoreError::Locked);
    // Who only asks is not kept waiting.
    assert!(store.in_force(vec![StopSubject::Everything], at(0)).await.unwrap().is_empty());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(take(&store, 2, &[demand("s", 0, 1)], 0).await, Reserved::Granted { used: vec![1] });
}

#[test]
fn files_that_are_not_ours_are_refused_for_the_right_reason_and_left_alone() {
    type Case<'a> = (&'a str, &'a dyn Fn(), fn(&StoreError) -> bool);
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    let cases: [Case; 3] = [
        (
            "no database",
            &|| std::fs::write(&path, "not a database, and longer than a header".repeat(99)).unwrap(),
            |e| matches!(e, StoreError::Corrupt(_)),
        ),
        ("a stranger's", &|| Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap(), |e| {
            *e == StoreError::Foreign
        }),
        (
            "a newer version's",
            &|| {
                Sqlite::open(&path).unwrap();
                Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
            },
            |e| *e == StoreError::TooNew { found: 7, known: 1 },
        ),
    ];
    for (name, make, expected) in cases {
        let _ = std::fs::remove_file(&path);
        make();
        let before = std::fs::read(&path).unwrap();
        let error = Sqlite::open(&path).unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "{name}");
    }
    let missing = Options { create: false, ..Options::default() };
    let error = Sqlite::open_with(&directory.path().join("missing"), &missing).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn damage_inside_the_file_is_said() {
    let (store, directory) = fresh();
    for n in 0..200 {
        take(&store, n, &[demand(&format!("s{n}"), 0, 1)], 0).await;
        store.confirm(id(n)).await.unwrap();
    }
    drop(store);
    // The thread ends with its last handle and moves the log into the file.
    let path = file(&directory);
    for _ in 0..3000 {
        if !path.with_extension("sqlite-wal").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 3 * 4096);
    bytes[2 * 4096..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let store = Sqlite::open(&file(&directory)).unwrap();
    let error = store.usage("c", at(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}

#[tokio::test]
async fn a_job_that_fails_takes_back_its_own_changes_and_no_others() {
    let (store, _directory) = fresh();
    let demands = [demand("s", 0, 9)];
    let good = take(&store, 1, &demands, 0);
    let bad = store.call(Access::Write, |connection| {
        connection.execute("DELETE FROM reservation", [])?;
        Err::<(), _>(StoreError::Corrupt("on purpose".into()))
    });
    let (granted, error) = tokio::join!(good, bad);
    assert_eq!(granted, Reserved::Granted { used: vec![1] });
    assert_eq!(error.unwrap_err(), StoreError::Corrupt("on purpose".into()));
    assert_eq!(store.usage("c", at(0)).await.unwrap()[0].used, 1);
}
