//! What reading a text costs, and what finding near copies costs: texts a second for 2 kB, 20 kB, 200 kB and 10 MB, and
//! look-ups a second among 1, 10⁵ and 10⁶ fingerprints in SQLite.
//!
//! `cargo bench --bench petition`; `-- --texts` and `-- --copies` limit it, `-- --copies-max 100000` spares the largest table.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a measuring tool prints, and stops at the first surprise"
)]

use std::time::{Duration, Instant};

use charter_milter::charter::copies::{FINGERPRINT_BYTES, Fingerprint, fingerprint, similar};
use charter_milter::charter::petition::{Pack, Settings, analyse};
use charter_milter::message::mime::PartId;
use charter_milter::message::text::{Kind, Source, read};
use rusqlite::Connection;

/// A text of ten million octets, the worst we know how to write, is analysed in so long.
const TEN_MEGABYTES_MAX: Duration = Duration::from_secs(30);

/// The letter that texts of any size are made of.
const LETTER: &str = "Chères et chers collègues, le conseil a adopté hier la réforme des horaires. Nous avons voté contre et nous \
    en dirons les raisons lundi, à midi, devant le restaurant. Vous pouvez signer la feuille de présence à l'entrée. La pétition \
    de juin avait réuni 900 noms ; la direction n'y a pas répondu. Dossier complet : https://section.example/horaires-2026\n\n";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let only = |name: &str| arguments.iter().any(|a| a == name);
    let max =
        arguments.iter().skip_while(|a| *a != "--copies-max").nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    if !only("--copies") {
        texts();
    }
    if !only("--texts") {
        for count in [1, 100_000, 1_000_000].into_iter().filter(|count| *count <= max) {
            look_ups(count);
        }
    }
}

fn texts() {
    let pack = Pack::embedded().expect("the embedded pack is valid");
    println!("{:>24} {:>14} {:>14} {:>14}", "text", "read/s", "analyse/s", "fingerprint/s");
    for (name, bytes, html) in [
        ("2 kB plain", 2_000, false),
        ("20 kB plain", 20_000, false),
        ("200 kB plain", 200_000, false),
        ("2 kB HTML", 2_000, true),
        ("20 kB HTML", 20_000, true),
        ("200 kB HTML", 200_000, true),
    ] {
        let paragraph = if html { format!("<tr><td><p class=\"t\">{LETTER}</p></td></tr>") } else { LETTER.to_owned() };
        let text = paragraph.repeat(bytes / paragraph.len() + 1);
        let kind = if html { Kind::Html } else { Kind::Plain { flowed: false } };
        let sources = [Source { kind, text: &text, part: PartId(1) }];
        let reading = read(&sources);
        let read_rate = rate(|| read(&sources).own.words.len());
        let analyse_rate = rate(|| analyse(&pack, &reading, &Settings::default()).signals.len());
        let print_rate = rate(|| usize::from(fingerprint(&[1; 32], &reading).is_some()));
        println!("{name:>24} {read_rate:>14.0} {analyse_rate:>14.0} {print_rate:>14.0}");
    }
    for (name, unit) in [
        ("10 MB plain", LETTER),
        ("10 MB hostile", "signer la convention https://change.org/p/x p e t i t i o n "),
        ("10 MB of letters", "x "),
        ("10 MB of one tag", "a "),
    ] {
        let mut text = unit.repeat(10_000_000 / unit.len());
        let kind = if unit == "a " { Kind::Html } else { Kind::Plain { flowed: false } };
        if kind == Kind::Html {
            text = format!("<p {text}>");
        }
        let started = Instant::now();
        let reading = read(&[Source { kind, text: &text, part: PartId(1) }]);
        let report = analyse(&pack, &reading, &Settings::default());
        let took = started.elapsed();
        println!("{name:>24} {:>14.2?} for all, {} signals", took, report.signals.len());
        assert!(took < TEN_MEGABYTES_MAX, "ten megabytes took {took:?}");
    }
}

/// How often a second, over half a second.
fn rate(mut work: impl FnMut() -> usize) -> f64 {
    let mut sum = work();
    let started = Instant::now();
    let mut count = 0u32;
    while started.elapsed() < Duration::from_millis(500) {
        sum = sum.wrapping_add(work());
        count += 1;
    }
    std::hint::black_box(sum);
    f64::from(count) / started.elapsed().as_secs_f64()
}

/// Fingerprints of `count` texts that have nothing to do with each other, in the tables of the store.
fn look_ups(count: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut database = Connection::open(folder.path().join("copies.sqlite")).expect("a database");
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -64000;
             CREATE TABLE copy (number INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL) STRICT;
             CREATE TABLE copy_band (band BLOB NOT NULL, copy INTEGER NOT NULL, PRIMARY KEY (band, copy)) STRICT, WITHOUT ROWID;",
        )
        .expect("the tables");
    let mut bands: Vec<([u8; 8], i64)> = Vec::new();
    let filling = database.transaction().expect("a transaction");
    {
        let mut insert =
            filling.prepare("INSERT INTO copy (number, fingerprint) VALUES (?1, ?2)").expect("a statement");
        for number in 0..count {
            let fingerprint = unrelated(number);
            let number = i64::try_from(number).expect("a row number");
            insert.execute((number, fingerprint.as_bytes().as_slice())).expect("a row");
            bands.extend(fingerprint.bands().map(|band| (band, number)));
        }
        // In the order of the index, or filling takes longer than anybody waits.
        bands.sort_unstable();
        let mut insert = filling.prepare("INSERT INTO copy_band (band, copy) VALUES (?1, ?2)").expect("a statement");
        for (band, number) in &bands {
            insert.execute((band.as_slice(), number)).expect("a row");
        }
    }
    filling.commit().expect("a commit");
    let question = "SELECT fingerprint FROM copy WHERE number IN (SELECT copy FROM copy_band WHERE band IN
        (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16))";
    let mut look_up = database.prepare(question).expect("a statement");
    let mut next = 0u64;
    let per_second = rate(|| {
        // Every second one is there.
        next += 1;
        let asked = unrelated(if next.is_multiple_of(2) { next * 7919 % count } else { count + next });
        let keys: Vec<[u8; 8]> = asked.bands().collect();
        let rows = look_up
            .query_map(rusqlite::params_from_iter(keys.iter()), |row| row.get::<_, Vec<u8>>(0))
            .expect("an answer");
        rows.filter_map(|row| Fingerprint::from_bytes(&row.expect("a row")))
            .filter(|other| similar(&asked, other))
            .count()
    });
    println!("{:>24} {per_second:>14.0} look-ups/s", format!("{count} fingerprints"));
}

/// The fingerprint of a text that is like no other: splitmix64, so that the same number gives the same one.
fn unrelated(number: u64) -> Fingerprint {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut bytes = Vec::with_capacity(FINGERPRINT_BYTES);
    while bytes.len() < FINGERPRINT_BYTES {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_be_bytes());
    }
    Fingerprint::from_bytes(&bytes).expect("the right length")
}
