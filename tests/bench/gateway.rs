//! `make bench`: charter-milter beside a milter that does nothing, in one run, over a unix socket and over TCP; then
//! Postfix with and without each of them. Prints a table; nothing is asserted, since machines differ.
//!
//! Arguments: `--seconds N` for each measurement (1), `--pause MICROSECONDS` between DATA and the header (200),
//! `--quick` for a short look, `--no-postfix`, `--only TEXT` for the mail whose name contains it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement stops at the first surprise, and prints"
)]

#[path = "../suite/mta/mod.rs"]
mod mta;

mod milter_client;
mod null_milter;
mod postfix_rates;
mod process;

use std::io::Write as _;
use std::time::{Duration, Instant};

use milter_client::{Address, Message, Seen, Verdict, session};
use process::Server;

/// What the measurements are made with.
#[derive(Debug, Clone)]
pub struct Plan {
    seconds: f64,
    pause: Duration,
    quick: bool,
    postfix: bool,
    only: String,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, kind, place] = arguments.as_slice()
        && role == "null-milter"
    {
        let address = match place.parse() {
            Ok(port) => Address::Inet(port),
            Err(_) => Address::Unix(place.into()),
        };
        return null_milter::serve(&address, kind == "quiet");
    }
    let word = |name: &str| arguments.get(arguments.iter().position(|argument| argument == name)? + 1);
    let value = |name: &str| word(name)?.parse::<f64>().ok();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let plan = Plan {
        seconds: value("--seconds").unwrap_or(if flag("--quick") { 0.3 } else { 1.0 }),
        pause: Duration::from_micros(value("--pause").unwrap_or(200.0) as u64),
        quick: flag("--quick"),
        postfix: !flag("--no-postfix"),
        only: word("--only").cloned().unwrap_or_default(),
    };
    milters(&plan);
    if plan.postfix {
        postfix_rates::print(&plan);
    }
}

/// A line of the table: who serves, and what is sent to it.
struct Row {
    name: &'static str,
    server: &'static str,
    /// The same mail at the milter that does nothing: what the rate is compared with.
    peer: &'static str,
    message: Message,
}

fn rows() -> Vec<Row> {
    let (other, list) = ("ami@voisin.example", "electeurs@listes.example");
    let mut rows = Vec::new();
    for server in ["loud", "quiet"] {
        for (size, name) in [(2_000, "2 kB"), (20_000, "20 kB")] {
            rows.push(Row { name, server, peer: name, message: message(other, text(size), None) });
        }
        for (size, name) in [(1_000_000, "1 MB file"), (10_000_000, "10 MB file")] {
            rows.push(Row { name, server, peer: name, message: message(other, text(2_000), Some(size)) });
        }
    }
    for (name, peer, recipient, size, file) in [
        ("unprotected 2 kB", "2 kB", other, 2_000, None),
        ("unprotected 1 MB", "1 MB file", other, 2_000, Some(1_000_000)),
        ("protected 2 kB", "2 kB", list, 2_000, None),
        ("protected 20 kB", "20 kB", list, 20_000, None),
        ("1 MB stripped", "1 MB file", list, 2_000, Some(1_000_000)),
        ("10 MB stripped", "10 MB file", list, 2_000, Some(10_000_000)),
    ] {
        rows.push(Row { name, server: "charter", peer, message: message(recipient, text(size), file) });
    }
    rows
}

fn milters(plan: &Plan) {
    println!(
        "{:<8} {:<6} {:<18} {:>5} {:>4} {:>10} {:>7} {:>9} {:>9} {:>9} {:>8}  remarks",
        "server", "socket", "message", "conns", "each", "msgs/s", "of loud", "cpu ms", "p50 ms", "p99 ms", "peak MB"
    );
    let connections: &[usize] = if plan.quick { &[1, 10] } else { &[1, 10, 50] };
    let is_wanted = |row: &Row| [row.name, row.peer].iter().any(|name| name.contains(&plan.only));
    let rows: Vec<Row> = rows().into_iter().filter(is_wanted).collect();
    // What the loud milter reached, by socket, message, connections and messages on each.
    let mut loud = std::collections::HashMap::new();
    for inet in [false, true] {
        for kind in ["loud", "quiet", "charter"] {
            let server = Server::start(kind, inet);
            for row in rows.iter().filter(|row| row.server == kind) {
                for &connections in connections {
                    for each in [1, 10] {
                        server.forget_peak();
                        let cpu_before = server.cpu_seconds();
                        let result = load(&server.address, plan, &row.message, connections, each);
                        let cpu = (server.cpu_seconds() - cpu_before) * 1000.0 / result.count as f64;
                        let key = (inet, row.peer, connections, each);
                        if kind == "loud" {
                            loud.insert(key, result.rate);
                        }
                        println!(
                            "{kind:<8} {:<6} {:<18} {connections:>5} {each:>4} {:>10.0} {:>7.2} {cpu:>9.3} {:>9.2} {:>9.2} {:>8.1}  {}",
                            if inet { "tcp" } else { "unix" },
                            row.name,
                            result.rate,
                            result.rate / loud.get(&key).copied().unwrap_or(f64::NAN),
                            result.quantile(0.5),
                            result.quantile(0.99),
                            server.peak_megabytes(),
                            result.remarks(),
                        );
                        let _ = std::io::stdout().flush();
                    }
                }
            }
        }
    }
}

/// What came out of one measurement.
struct Measured {
    count: usize,
    rate: f64,
    latencies: Vec<Duration>,
    refused: usize,
    at_data: usize,
    edits: u32,
    broken: usize,
}

impl Measured {
    /// A quantile of the time one message took, in milliseconds.
    fn quantile(&self, quantile: f64) -> f64 {
        let at = ((self.latencies.len() as f64 - 1.0) * quantile) as usize;
        self.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    }

    fn remarks(&self) -> String {
        let mut remarks = Vec::new();
        if self.at_data > 0 {
            remarks.push("decided at DATA".to_owned());
        }
        if self.edits > 0 {
            remarks.push(format!("{:.1} edits each", f64::from(self.edits) / self.count as f64));
        }
        if self.refused > 0 {
            remarks.push(format!("{} REFUSED", self.refused));
        }
        if self.broken > 0 {
            remarks.push(format!("{} connections BROKEN", self.broken));
        }
        remarks.join(", ")
    }
}

/// Sends for the planned time over so many connections, `each` messages over each before it is opened again.
fn load(address: &Address, plan: &Plan, message: &Message, connections: usize, each: usize) -> Measured {
    let started = Instant::now();
    let until = started + Duration::from_secs_f64(plan.seconds);
    let work = || {
        let mut seen: Vec<(Duration, Seen)> = Vec::new();
        let mut broken = 0;
        while Instant::now() < until {
            let done = session(address, plan.pause, |client| {
                for _ in 0..each {
                    let begun = Instant::now();
                    let result = client.send(message)?;
                    seen.push((begun.elapsed(), result));
                }
                Ok(())
            });
            broken += usize::from(done.is_err());
        }
        (seen, broken)
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let elapsed = started.elapsed().as_secs_f64();
    let broken = results.iter().map(|(_, broken)| broken).sum();
    let seen: Vec<(Duration, Seen)> = results.into_iter().flat_map(|(seen, _)| seen).collect();
    let mut latencies: Vec<Duration> = seen.iter().map(|(latency, _)| *latency).collect();
    latencies.sort_unstable();
    Measured {
        count: seen.len(),
        rate: seen.len() as f64 / elapsed,
        latencies,
        refused: seen.iter().filter(|(_, seen)| seen.verdict == Verdict::Refused).count(),
        at_data: seen.iter().filter(|(_, seen)| seen.at_data).count(),
        edits: seen.iter().map(|(_, seen)| seen.edits).sum(),
        broken,
    }
}

/// French prose of about so many octets, lines as people write them.
fn text(bytes: usize) -> String {
    const SENTENCES: [&str; 4] = [
        "Chères et chers collègues, nous vous présentons aujourd'hui notre programme pour le collège.\r\n",
        "Nous défendons l'emploi scientifique, la reconnaissance des métiers et des conditions de travail dignes.\r\n",
        "Vous trouverez le détail de nos propositions sur notre site : https://liste-a.example/programme\r\n",
        "Nous restons à votre écoute, et nous vous souhaitons une bonne lecture de notre profession de foi.\r\n",
    ];
    SENTENCES
        .iter()
        .cycle()
        .copied()
        .scan(0, |sum, line| {
            *sum += line.len();
            (*sum <= bytes + line.len()).then_some(line)
        })
        .collect()
}

/// A message of a registered candidate, with a file of so many octets (as base64) where one is asked for.
fn message(recipient: &str, text: String, file: Option<usize>) -> Message {
    let sender = "liste-a@candidats.example";
    let mut header: Vec<(String, String)> = [
        ("Received", "from poste.candidats.example (poste.candidats.example [192.0.2.7])\n\tby mx.tests.example (Postfix) with ESMTPSA id 4Xyz00AbCdEz;\n\tWed, 20 Jun 2018 10:00:00 +0200 (CEST)"),
        ("From", "Liste A <liste-a@candidats.example>"),
        ("To", recipient),
        ("Subject", "=?utf-8?Q?Notre_programme_pour_le_coll=C3=A8ge_C?="),
        ("Date", "Wed, 20 Jun 2018 10:00:00 +0200"),
        ("Message-ID", "<20180620.1000@candidats.example>"),
        ("User-Agent", "Mozilla Thunderbird"),
        ("MIME-Version", "1.0"),
    ]
    .iter()
    .map(|(name, value)| ((*name).to_owned(), format!(" {value}")))
    .collect();
    let mut field = |name: &str, value: &str| header.push((name.to_owned(), format!(" {value}")));
    let body = match file {
        None => {
            field("Content-Type", "text/plain; charset=utf-8");
            field("Content-Transfer-Encoding", "8bit");
            text
        }
        Some(bytes) => {
            field("Content-Type", "multipart/mixed; boundary=\"bench-boundary\"");
            let line = "JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURl\r\n";
            format!(
                "--bench-boundary\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n\
                 --bench-boundary\r\nContent-Type: application/pdf; name=\"tract.pdf\"\r\n\
                 Content-Disposition: attachment; filename=\"tract.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\
                 --bench-boundary--\r\n",
                line.repeat(bytes / line.len())
            )
        }
    };
    Message {
        login: "liste-a",
        sender: sender.to_owned(),
        recipient: recipient.to_owned(),
        header,
        body: body.into_bytes(),
    }
}
