//! How fast the structure of a message is read and an attachment is removed, beside mail-parser and Python's email.
//!
//! `cargo bench --bench mime`; times are the best of several runs. The two curves show that the work is linear in the
//! size of the message and in the number of its parts.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement stops at the first surprise")]

use std::hint::black_box;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use charter_milter::message::attachments;
use charter_milter::message::edit::PartRemoval;
use charter_milter::message::mime::{Limits, parse};
use charter_milter::message::surgery;

const LIMITS: Limits = Limits { depth_max: 16, parts_max: 1_000_000, part_header_bytes_max: 64 * 1024 };

fn header() -> String {
    "From: Liste A <liste-a@candidats.cnrs.example>\r\nSubject: Profession de foi\r\nMIME-Version: 1.0\r\n\
     Content-Type: multipart/mixed; boundary=\"=_b1\"\r\n\r\n--=_b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
     Bonjour\r\n"
        .to_owned()
}

/// A text and one file of so many decoded octets.
fn with_file(bytes: usize) -> Vec<u8> {
    let mut message = header();
    message
        .push_str("--=_b1\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    let mut octet = 7u8;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        octet = octet.wrapping_mul(37).wrapping_add(11);
        octet
    })
    .take(bytes)
    .collect();
    for line in content.chunks(57) {
        message.push_str(&data_encoding::BASE64.encode(line));
        message.push_str("\r\n");
    }
    message.push_str("--=_b1--\r\n");
    message.into_bytes()
}

/// A text and so many small files.
fn with_parts(count: usize) -> Vec<u8> {
    let mut message = header();
    for number in 0..count {
        let name = format!("{number}.txt");
        message.push_str("--=_b1\r\nContent-Type: text/plain; name=");
        message.push_str(&name);
        message.push_str("\r\nContent-Disposition: attachment\r\n\r\nx\r\n");
    }
    message.push_str("--=_b1--\r\n");
    message.into_bytes()
}

fn best(runs: u32, mut work: impl FnMut()) -> Duration {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn strip(raw: &[u8]) -> usize {
    let tree = parse(raw, &LIMITS);
    let removals: Vec<PartRemoval> = attachments::find(&tree, raw)
        .into_iter()
        .map(|found| PartRemoval { part: found.part, place: found.place, notice: "Pièce jointe retirée".to_owned() })
        .collect();
    surgery::remove(raw, &tree, &removals).body.len()
}

/// The best time of Python's email over the same bytes, measured inside Python; `None` without Python.
fn python(raw: &[u8], runs: u32) -> Option<Duration> {
    let script = "import sys,time,email\nraw=sys.stdin.buffer.read()\nbest=9e9\nfor _ in range(int(sys.argv[1])):\n \
                  t=time.perf_counter()\n email.message_from_bytes(raw)\n best=min(best,time.perf_counter()-t)\nprint(best)";
    let mut child = Command::new("python3")
        .args(["-c", script, &runs.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(raw).ok()?;
    let output = child.wait_with_output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok().map(Duration::from_secs_f64)
}

fn row(name: &str, raw: &[u8], time: Option<Duration>) {
    let Some(time) = time else { return println!("  {name:<34} not available") };
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
    let rate = raw.len() as f64 / 1e6 / time.as_secs_f64();
    println!("  {name:<34} {:>9.3} ms {rate:>9.0} MB/s", time.as_secs_f64() * 1e3);
}

fn main() {
    let messages = [
        ("1 MB attachment", with_file(1_000_000)),
        ("10 MB attachment", with_file(10_000_000)),
        ("10,000 parts", with_parts(10_000)),
    ];
    for (name, raw) in &messages {
        println!("{name} ({} octets)", raw.len());
        row("scan", raw, Some(best(20, || drop(black_box(parse(black_box(raw), &LIMITS))))));
        row(
            "scan, find, strip",
            raw,
            Some(best(20, || {
                black_box(strip(black_box(raw)));
            })),
        );
        let mail_parser = || drop(black_box(mail_parser::MessageParser::default().parse(black_box(raw.as_slice()))));
        row("mail-parser", raw, Some(best(5, mail_parser)));
        row("Python email", raw, python(raw, 3));
    }
    println!("linear in size");
    for megabytes in [1, 2, 4, 8, 16, 32] {
        let raw = with_file(megabytes * 1_000_000);
        row(
            &format!("scan, find, strip {megabytes} MB"),
            &raw,
            Some(best(10, || {
                black_box(strip(black_box(&raw)));
            })),
        );
    }
    println!("linear in parts");
    for thousands in [1, 2, 4, 8, 16, 32] {
        let raw = with_parts(thousands * 1_000);
        row(
            &format!("scan, find, strip {thousands},000 parts"),
            &raw,
            Some(best(5, || {
                black_box(strip(black_box(&raw)));
            })),
        );
    }
}
