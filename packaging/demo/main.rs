//! `make run`: charter-milter at work, on this machine, without touching its mail.
//!
//! A private Postfix on a loopback port has charter-milter in front and a server behind that keeps what it is given. The
//! charter is the one in `conf/charters/cnrs-2018.toml`, unchanged, so the gateway's clock is set to a day of its electoral
//! period. A handful of messages show what the charter makes of them; then the demonstration stays up for yours, until
//! Ctrl-C. With `--once` it ends after the messages, and its exit code says whether all went as told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a demonstration stops at the first surprise, and prints"
)]

#[path = "../../tests/suite/mta/mod.rs"]
mod mta;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use mta::client::Outcome;
use mta::gateway::{Gateway, Setup, binary};
use mta::letter::Letter;
use mta::postfix::{Options, Postfix};
use mta::sink::{Received, Sink};

const CNRS: &str = include_str!("../../conf/charters/cnrs-2018.toml");
const CLOSED: &str = include_str!("closed.toml");
const LIST: &str = "electeurs-c@elections.cnrs.example";
const AFTERNOON: &str = "2018-06-20T14:00:00+02:00";
const NIGHT: &str = "2018-06-20T22:00:30+02:00";
const PASSWORD: &str = "demo";

struct Demo {
    sink: Sink,
    postfix: Postfix,
    gateway: Gateway,
    surprises: u32,
}

fn main() -> ExitCode {
    let once = std::env::args().any(|argument| argument == "--once");
    let mut demo = Demo::start();
    demo.introduce();
    demo.messages();
    demo.night();
    if once {
        return if demo.surprises == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    demo.stay();
    ExitCode::SUCCESS
}

/// What a message must come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Held,
    Refused,
    Delivered,
}

impl Demo {
    fn start() -> Self {
        let sink = Sink::start();
        // Postfix starts after the gateway, so the gateway is told of its directory by a name that does not change.
        let mut gateway = Gateway::prepare(
            &Setup::new(CNRS).charter("closed.toml", CLOSED).main("[log]\nfilter = \"warn\"").clock(AFTERNOON),
        );
        let options = ["liste-a", "liste-b"]
            .iter()
            .fold(Options::new(sink.address()).milter(&gateway.milter()), |options, user| options.user(user, PASSWORD));
        let postfix = Postfix::start(&options);
        gateway.know_postfix(&postfix);
        gateway.launch();
        Self { sink, postfix, gateway, surprises: 0 }
    }

    fn introduce(&self) {
        println!("charter-milter, a demonstration. Nothing here touches the mail of this machine.\n");
        println!("  Postfix        {} (private, in {})", self.postfix.address(), self.postfix.directory().display());
        println!("  charter        conf/charters/cnrs-2018.toml, as it is; and a list whose period is over");
        println!("  clock          {AFTERNOON}: a day of the electoral period, set for the demonstration");
        println!("  protected list {LIST}");
        println!("  candidates     liste-a@candidats.cnrs.example, liste-b@candidats.cnrs.example (log in to send)");
    }

    fn messages(&mut self) {
        let a = || Letter::new("liste-a@candidats.cnrs.example", &[LIST]).login("liste-a", PASSWORD);
        let b = || Letter::new("liste-b@candidats.cnrs.example", &[LIST]).login("liste-b", PASSWORD);
        self.show("A candidate writes to the list", Expected::Held, &a().header("Subject", "Notre programme"));
        self.show(
            "Somebody writes under the candidate's name, without logging in",
            Expected::Refused,
            &Letter::new("liste-a@candidats.cnrs.example", &[LIST]).header("Subject", "Un faux"),
        );
        let file = b"%PDF-1.4 a leaflet".repeat(500);
        self.show(
            "A candidate attaches a file and asks for a receipt",
            Expected::Held,
            &b().header("Subject", "Notre tract")
                .header("Disposition-Notification-To", "liste-b@candidats.cnrs.example")
                .attach("tract.pdf", "application/pdf", &file),
        );
        let petition = "Signez et faites signer notre pétition en ligne !\r\n\
                        https://www.change.org/p/maintien-des-postes\r\nDéjà 1 250 signatures, objectif 2 000.\r\n";
        self.show(
            "A candidate sends an e-petition",
            Expected::Refused,
            &a().header("Subject", "Signez la pétition").body(petition),
        );
        self.show(
            "A candidate writes to a list whose period is over",
            Expected::Refused,
            &Letter::new("liste-a@candidats.cnrs.example", &["electeurs-2017@elections.cnrs.example"])
                .login("liste-a", PASSWORD)
                .header("Subject", "Trop tard"),
        );
        self.show(
            "Anybody writes to anybody else: no charter is concerned",
            Expected::Delivered,
            &Letter::new("claude@ailleurs.example", &["dominique@voisin.example"]).header("Subject", "Photos").attach(
                "photo.jpg",
                "image/jpeg",
                &[7; 2000],
            ),
        );
    }

    fn show(&mut self, what: &str, expected: Expected, letter: &Letter) {
        println!("\n== {what}");
        let outcome = self.postfix.send(letter);
        println!("   Postfix says   {}", outcome.last());
        let got = self.what_became_of(letter, &outcome);
        let log = self.gateway.decisions().into_iter().map(body).next_back();
        match got {
            Expected::Delivered => println!("   decision log   nothing: no charter is concerned"),
            Expected::Held | Expected::Refused => {
                println!("   decision log   {}", log.as_ref().map_or_else(String::new, summary));
            }
        }
        if got != expected {
            self.surprises += 1;
            println!("   !! this was not expected\n{}", self.gateway.daemon_log());
        }
    }

    fn what_became_of(&self, letter: &Letter, outcome: &Outcome) -> Expected {
        if !outcome.is_accepted() {
            return Expected::Refused;
        }
        let queue_id = outcome.last().text().rsplit(' ').next().unwrap_or_default().to_owned();
        let held = self.postfix.held().into_iter().find(|message| message.queue_id == queue_id);
        if let Some(held) = held {
            println!("   hold queue     {} ({} octets) waits for the night", held.queue_id, held.message_size);
            return Expected::Held;
        }
        let received = self.sink.wait_for_id(&letter.id);
        println!("   delivered      at once, {}", touched(letter, &received));
        Expected::Delivered
    }

    fn night(&mut self) {
        println!(
            "\n== Night falls: {NIGHT}. `charter-milter release`, which a timer runs every minute, lets held mail go"
        );
        self.gateway.set_clock(NIGHT);
        let output = self.gateway.run(&["release"]);
        for line in String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).lines() {
            println!("   release        {line}");
        }
        let waiting = mta::wait_within(mta::PATIENCE / 4, || {
            let to_list: Vec<Received> =
                self.sink.received().into_iter().filter(|received| received.recipients == [LIST]).collect();
            (to_list.len() >= 2).then_some(to_list)
        });
        let Some(delivered) = waiting else {
            self.surprises += 1;
            println!("   !! the held messages did not arrive\n{}", self.gateway.daemon_log());
            return;
        };
        for received in delivered {
            let parsed = mail_parser::MessageParser::default().parse(&received.bytes).unwrap();
            println!("\n   delivered      Subject: {}", parsed.subject().unwrap_or_default());
            for name in ["Reply-To", "List-Id", "List-Unsubscribe", "X-Charter-Edits"] {
                for value in received.header_values(name) {
                    println!("                  {name}: {value}");
                }
            }
            println!(
                "                  MAIL FROM:<{}>, {} octets; members read:",
                received.sender,
                received.bytes.len()
            );
            for line in parsed.body_text(0).unwrap_or_default().lines() {
                println!("                  | {line}");
            }
        }
        self.gateway.set_clock(AFTERNOON);
    }

    fn stay(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // From here on Ctrl-C ends things in order, even before we wait for it.
        let mut interrupt = runtime.block_on(async { signal(SignalKind::interrupt()).unwrap() });
        let address = self.postfix.address();
        let config = self.gateway.config_file();
        println!("\n== Your turn. Ctrl-C ends everything and removes it.");
        println!("   curl --url smtp://{address} --mail-from liste-a@candidats.cnrs.example --mail-rcpt {LIST} \\");
        println!("        --user liste-a:{PASSWORD} --login-options AUTH=PLAIN --upload-file message.eml");
        println!("   {} check --config {}", binary().display(), config.display());
        println!("   postqueue -c {} -p", self.postfix.config_directory().display());
        println!("   What arrives is shown here:\n");
        let mut shown = self.sink.received().len();
        runtime.block_on(async {
            let mut tick = tokio::time::interval(std::time::Duration::from_millis(300));
            loop {
                tokio::select! {
                    _ = interrupt.recv() => break,
                    _ = tick.tick() => {
                        for received in self.sink.received().iter().skip(shown) {
                            println!("--- to {}\n{}", received.recipients.join(", "), String::from_utf8_lossy(&received.bytes));
                            shown += 1;
                        }
                    }
                }
            }
        });
        println!("\nStopping.");
    }
}

fn touched(letter: &Letter, received: &Received) -> &'static str {
    if received.bytes.ends_with(&letter.bytes) { "byte for byte as it was sent" } else { "changed on the way" }
}

fn body(line: serde_json::Value) -> serde_json::Value {
    line.get("body").cloned().unwrap_or(line)
}

/// What a postmaster looks for first in a record.
fn summary(record: &serde_json::Value) -> String {
    let judgement = &record["judgements"][0];
    let word = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let edits: Vec<String> = record["edits"].as_array().into_iter().flatten().map(word).collect();
    format!(
        "{}: reason {}, clause {}, proof {}, edits [{}], reference {}",
        word(&record["verdict"]),
        word(&judgement["reason"]),
        word(&judgement["clause"]),
        word(&judgement["proof"]),
        edits.join(", "),
        word(&record["reference"]),
    )
}
