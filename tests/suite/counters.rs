//! What the gateway remembers from one message to the next, through the daemon's own code: quotas that only mail that is
//! let through uses up, copies, suspensions, the flood breaker.

use std::path::Path;
use std::sync::{Arc, Mutex};

use charter_milter::charter::verdict::ReasonCode;
use charter_milter::config::Config;
use charter_milter::decision_log::{Journal, Options, Pseudonymizer, Role};
use charter_milter::gateway::{Arrived, Gateway, InForce, Memory, Outcome, Parts};
use charter_milter::hold::ledger;
use charter_milter::message::address::Address;
use charter_milter::message::envelope::{Envelope, Recipient};
use charter_milter::milter;
use charter_milter::proof::dkim;
use charter_milter::store::sqlite::Sqlite;
use charter_milter::store::{Lift, NewStop, Stop, StopSubject, Stops as _};
use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::watch;

const CHARTER: &str = r#"
[charter]
id       = "essai"
title    = "Essai"
language = "en"
timezone = "Europe/Paris"
domains  = ["ville.example"]

[[list]]
address = "tous@lists.example"
label   = "Tous"

[[list]]
address = "autres@lists.example"
label   = "Autres"

[[sender]]
name      = "Union A"
addresses = ["a@ville.example", "a2@ville.example"]
proofs    = [{ sasl = "a" }]
lists     = ["tous@lists.example", "autres@lists.example"]

[[sender]]
name      = "Union B"
addresses = ["b@ville.example"]
proofs    = [{ sasl = "b" }]
lists     = ["tous@lists.example"]

[rules]
sender = { clause = "t:1" }
RULES
"#;

/// A gateway with a state directory of its own and a clock that stands still until it is moved.
struct World {
    gateway: Arc<Gateway>,
    store: Arc<Sqlite>,
    clock: Arc<Mutex<Timestamp>>,
    /// How long a message takes from DATA to its end.
    arriving_seconds: i64,
    directory: TempDir,
}

/// What the sender is told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Taken,
    Refused(String),
}

impl World {
    fn new(rules: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let state = directory.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let main =
            format!("charters = [\"c.toml\"]\nstate_directory = \"{}\"\n[mta]\nkind = \"postfix\"\n", state.display());
        std::fs::write(directory.path().join("main.toml"), main).unwrap();
        std::fs::write(directory.path().join("c.toml"), CHARTER.replace("RULES", rules)).unwrap();
        let clock = Arc::new(Mutex::new("2026-03-12T10:00:00Z".parse::<Timestamp>().unwrap()));
        let (gateway, store) = open(directory.path(), &clock);
        Self { gateway: Arc::new(gateway), store, clock, arriving_seconds: 0, directory }
    }

    /// Ends, and begins anew with a charter in which one text stands for another.
    fn restarted(self, text: &str, with: &str) -> Self {
        let Self { gateway, store, clock, arriving_seconds, directory } = self;
        drop((gateway, store));
        let file = directory.path().join("c.toml");
        let charter = std::fs::read_to_string(&file).unwrap();
        assert!(charter.contains(text));
        std::fs::write(&file, charter.replace(text, with)).unwrap();
        let (gateway, store) = open(directory.path(), &clock);
        Self { gateway: Arc::new(gateway), store, clock, arriving_seconds, directory }
    }

    fn pass(&self, seconds: i64) {
        *self.clock.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    /// A message with `body` from `from` (whose login is its first letter) to `to`, up to the answer; `lost` when the
    /// mail server never took it over after all.
    async fn present(&self, from: &str, to: &str, body: &str, lost: bool) -> Told {
        let envelope = Envelope {
            sasl_login: from.chars().next().map(|c| c.to_string()),
            sender: Address::parse(from).ok(),
            recipients: vec![Recipient {
                raw: format!("<{to}>"),
                address: Address::parse(to).ok(),
                parameters: Vec::new(),
            }],
            queue_id: Some("4gP2Xq1Y5z".into()),
            ..Envelope::default()
        };
        let raw = format!(
            "From: <{from}>\r\nTo: <{to}>\r\nSubject: Essai\r\nDate: Thu, 12 Mar 2026 11:00:00 +0100\r\n\r\n{body}\r\n"
        );
        let matter = self.gateway.take_up(&envelope).unwrap();
        if let Some(reply) = self.gateway.judge_envelope(&matter, &envelope).await {
            return Told::Refused(format!("{reply:?}"));
        }
        self.pass(self.arriving_seconds);
        let arrived = Arrived { raw: raw.into_bytes(), ..Arrived::default() };
        let ruled = self.gateway.judge(matter, envelope, arrived, milter::Role::Full).await;
        let told = match ruled.outcome {
            Outcome::Refuse(reply) => Told::Refused(format!("{reply:?}")),
            Outcome::Pass | Outcome::Deliver(_) => Told::Taken,
        };
        if let Some(settlement) = ruled.settlement {
            self.gateway.settle(settlement, told == Told::Taken && !lost).await;
        }
        told
    }

    async fn send(&self, from: &str, to: &str) -> Told {
        self.present(from, to, "Bonjour.", false).await
    }

    async fn stops(&self) -> Vec<Stop> {
        self.store.history().await.unwrap()
    }

    fn log(&self) -> String {
        let mut text = String::new();
        let mut directories = vec![self.directory.path().join("state/log")];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "jsonl") {
                    text.push_str(&std::fs::read_to_string(path).unwrap());
                }
            }
        }
        text
    }
}

fn open(directory: &Path, clock: &Arc<Mutex<Timestamp>>) -> (Gateway, Arc<Sqlite>) {
    let config = Config::load(&directory.join("main.toml")).unwrap_or_else(|report| panic!("{}", report.render(false)));
    let state = config.daemon.state.clone();
    let (_, in_force) = watch::channel(Arc::new(InForce::new(config)));
    let now = *clock.lock().unwrap();
    let journal = Journal::open(&Options::new(state.log(), "gateway.example/test", Role::Keeper, now)).unwrap();
    let store = Arc::new(Sqlite::open(&state.store()).unwrap());
    let memory = Memory {
        store: Arc::clone(&store),
        ledger: ledger::Writer::start(&state.ledger()).unwrap(),
        pseudonyms: Pseudonymizer::open(state.log()).unwrap(),
        copies_key: [7; 32],
    };
    let dkim = dkim::Verifier::new(&[], std::time::Duration::from_secs(1)).unwrap();
    let clock = Arc::clone(clock);
    let clock = Arc::new(move || *clock.lock().unwrap());
    (Gateway::new(Parts { in_force, memory, dkim, journal, clock, background: Handle::current() }), store)
}

fn refused_for(told: &Told, code: &str, words: &str) {
    let Told::Refused(reply) = told else { panic!("taken, and should have been refused: {words}") };
    assert!(reply.contains(code) && reply.contains(words), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_used_up_by_mail_that_is_let_through_and_by_no_other() {
    let world = World::new(
        r#"quota = { messages = 2, per = "day", clause = "t:2" }
        size = { max = "2 kB", clause = "t:3" }"#,
    );
    let (a, all, others) = ("a@ville.example", "tous@lists.example", "autres@lists.example");
    // Refused for another reason, and lost by the mail server: neither costs a place.
    let large = "Une ligne de trop.\r\n".repeat(200);
    for _ in 0..3 {
        assert!(matches!(world.present(a, all, &large, false).await, Told::Refused(_)));
        assert_eq!(world.present(a, all, "Bonjour.", true).await, Told::Taken);
    }
    assert_eq!(world.send(a, all).await, Told::Taken);
    // Another mailbox of the same sender.
    assert_eq!(world.send("a2@ville.example", all).await, Told::Taken);
    refused_for(&world.send(a, all).await, "550", "2");
    assert_eq!(world.send(a, others).await, Told::Taken, "each list counts by itself");
    assert_eq!(world.send("b@ville.example", all).await, Told::Taken, "each sender counts by itself");
    // Yesterday's clock gives nothing back; tomorrow does.
    world.pass(-3600);
    refused_for(&world.send(a, all).await, "550", "2");
    world.pass(3600 * 24);
    assert_eq!(world.send(a, all).await, Told::Taken);
    let log = world.log();
    assert!(!log.contains("ville.example"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_lists_together_may_be_one_quota() {
    let world = World::new(r#"quota = { messages = 2, per = "month", over = "all-lists", clause = "t:2" }"#);
    assert_eq!(world.send("a@ville.example", "tous@lists.example").await, Told::Taken);
    assert_eq!(world.send("a@ville.example", "autres@lists.example").await, Told::Taken);
    refused_for(&world.send("a@ville.example", "autres@lists.example").await, "550", "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_goes_on_where_the_keys_of_the_log_change() {
    let world = World::new(r#"quota = { messages = 2, per = "week", clause = "t:2" }"#);
    // From 12 March to 31 December; the week ends on 3 January, the key of the pseudonyms with the year.
    world.pass(294 * 86_400);
    assert_eq!(world.send("a@ville.example", "tous@lists.example").await, Told::Taken);
    assert_eq!(world.send("a2@ville.example", "tous@lists.example").await, Told::Taken);
    world.pass(86_400);
    refused_for(&world.send("a@ville.example", "tous@lists.example").await, "550", "2");
    world.pass(3 * 86_400);
    assert_eq!(world.send("a@ville.example", "tous@lists.example").await, Told::Taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_goes_on_where_the_register_has_the_mailboxes_in_another_order() {
    let world = World::new(r#"quota = { messages = 2, per = "day", clause = "t:2" }"#);
    assert_eq!(world.send("a@ville.example", "tous@lists.example").await, Told::Taken);
    assert_eq!(world.send("a2@ville.example", "tous@lists.example").await, Told::Taken);
    let mailboxes = r#"["a@ville.example", "a2@ville.example"]"#;
    let world = world.restarted(mailboxes, r#"["a2@ville.example", "a@ville.example"]"#);
    refused_for(&world.send("a@ville.example", "tous@lists.example").await, "550", "2");
    assert_eq!(world.send("b@ville.example", "tous@lists.example").await, Told::Taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_at_the_same_time_do_not_share_the_last_place() {
    let world = Arc::new(World::new(r#"quota = { messages = 3, per = "day", clause = "t:2" }"#));
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.send("a@ville.example", "tous@lists.example").await })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        taken += usize::from(task.await.unwrap() == Told::Taken);
    }
    assert_eq!(taken, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_opens_the_breaker_once_and_only_a_person_closes_it() {
    let world = World::new(r#"flood = { messages = 5, within = "1 min", clause = "pm:6" }"#);
    let (a, all) = ("a@ville.example", "tous@lists.example");
    for _ in 0..5 {
        assert_eq!(world.send(a, all).await, Told::Taken);
    }
    for _ in 0..4 {
        // For now, not for good: nobody has decided anything yet.
        refused_for(&world.send(a, all).await, "451", "interrupted until somebody has looked");
    }
    assert_eq!(world.send("b@ville.example", all).await, Told::Taken, "others are not concerned");
    // It does not close by itself.
    world.pass(3600);
    refused_for(&world.send(a, all).await, "451", "[pm:6] Too many messages");
    let stops = world.stops().await;
    assert_eq!(stops.len(), 1);
    assert!(stops[0].is_automatic() && stops[0].reference == "pm:6", "{stops:?}");
    let log = world.log();
    assert_eq!(log.matches("\"action\":\"breaker\"").count(), 1, "{log}");
    assert!(log.contains(ReasonCode::Flood.as_str()) && !log.contains("ville.example"), "{log}");

    let at = *world.clock.lock().unwrap();
    let lift = Lift { at, by: "root".into(), reason: "a loop, mended".into(), reference: "call 7".into() };
    world.store.lift(stops[0].number, lift).await.unwrap().unwrap();
    assert_eq!(world.send(a, all).await, Told::Taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_on_trial_is_recorded_and_stops_nobody() {
    let world = World::new(r#"flood = { messages = 1, within = "1 min", clause = "pm:6", mode = "monitor" }"#);
    let all = "tous@lists.example";
    assert_eq!(world.send("a@ville.example", all).await, Told::Taken);
    assert!(!world.log().contains("\"flood\""));
    assert_eq!(world.send("a@ville.example", all).await, Told::Taken);
    let log = world.log();
    let last = log.lines().last().unwrap();
    assert!(last.contains("\"flood\"") && last.contains("\"monitor\""), "{last}");
    assert!(!log.contains("\"breaker\"") && world.stops().await.is_empty(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_all_senders_stops_the_list() {
    let world = World::new(r#"flood = { messages = 2, within = "1 min", of = "list", clause = "pm:6" }"#);
    let all = "tous@lists.example";
    assert_eq!(world.send("a@ville.example", all).await, Told::Taken);
    assert_eq!(world.send("b@ville.example", all).await, Told::Taken);
    refused_for(&world.send("a@ville.example", all).await, "451", "interrupted");
    refused_for(&world.send("b@ville.example", all).await, "451", "interrupted");
    assert_eq!(world.send("a@ville.example", "autres@lists.example").await, Told::Taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_arrives_for_hours_is_judged_when_it_is_there() {
    let mut world = World::new("");
    world.arriving_seconds = 600;
    assert_eq!(world.send("a@ville.example", "tous@lists.example").await, Told::Taken);
    world.arriving_seconds = 7200;
    assert_eq!(world.send("a@ville.example", "tous@lists.example").await, Told::Taken);
    assert_eq!(world.send("a@ville.example", "autres@lists.example").await, Told::Taken);
    world.arriving_seconds = 0;
    assert_eq!(world.send("a@ville.example", "tous@lists.example").await, Told::Taken);
    // By its end, in order: nobody set the clock back.
    let log = world.log();
    for at in ["2026-03-12T10:10:00", "2026-03-12T12:10:00", "2026-03-12T14:10:00"] {
        assert!(log.contains(&format!("\"{at}")), "{at}: {log}");
    }
    assert!(!log.contains("\"clock\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_a_decision_names_the_rule_pack_its_version_and_its_digest() {
    let world = World::new(r#"petition = { action = "reject", clause = "cnrs:III.i" }"#);
    assert_eq!(world.send("a@ville.example", "tous@lists.example").await, Told::Taken);
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/conf/petition/default.toml")).unwrap();
    let version = String::from_utf8_lossy(&file).lines().find_map(|line| line.strip_prefix("version = ")?.parse().ok());
    let (version, digest): (u32, _) = (version.unwrap(), HEXLOWER.encode(&Sha256::digest(&file)));
    let log = world.log();
    assert!(log.contains(&format!("\"rule_pack\":\"default {version} {digest}\"")), "{log}");
}

const LETTER: &str = "Je tiens à dénoncer publiquement la manière dont le chef du service des sports traite ses agents \
    depuis la rentrée. Les plannings changent la veille pour le lendemain, les congés sont refusés sans motif et personne \
    à la direction ne répond aux courriers. Cette situation doit cesser, et je demande que la lumière soit faite.";

#[tokio::test(flavor = "multi_thread")]
async fn near_copies_in_number_are_refused_and_other_texts_are_not() {
    let world = World::new(
        r#"copies = { action = "reject", messages = 2, within = "1 day", clause = "drancy:IV" }
        size = { max = "3 kB", clause = "t:3" }"#,
    );
    let all = "tous@lists.example";
    let letter = |name: &str| format!("Bonjour {name},\r\n\r\n{LETTER}\r\n\r\n{name}, service des espaces verts");
    // Lost by the mail server, or refused for its size: not sent, and no copy.
    assert_eq!(world.present("a@ville.example", all, &letter("Camille"), true).await, Told::Taken);
    let long = format!("{}\r\n{}", letter("Claude"), "Une ligne de trop.\r\n".repeat(200));
    assert!(matches!(world.present("a@ville.example", all, &long, false).await, Told::Refused(_)));
    assert_eq!(world.present("a@ville.example", all, &letter("Camille"), false).await, Told::Taken);
    assert_eq!(world.present("b@ville.example", all, &letter("Sacha"), false).await, Told::Taken);
    // The third, whoever sends it.
    refused_for(&world.present("b@ville.example", all, &letter("Dominique"), false).await, "550", "2");
    let other = "La cantine change de fournisseur au printemps, et la commission des menus se réunit jeudi prochain à midi \
        pour goûter les plats proposés, comparer les prix et choisir ensemble ceux qui seront servis en avril.";
    assert_eq!(world.present("b@ville.example", all, other, false).await, Told::Taken);
    world.pass(3600 * 25);
    assert_eq!(world.present("b@ville.example", all, &letter("Dominique"), false).await, Told::Taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_by_command_holds_for_the_next_message_and_is_a_decision() {
    let world = World::new("");
    let (a, all) = ("a@ville.example", "tous@lists.example");
    let at = *world.clock.lock().unwrap();
    // As the command does it: another connection to the same file.
    let command = Sqlite::open(&world.directory.path().join("state/store.sqlite")).unwrap();
    let subjects = [
        StopSubject::Sender { charter: "essai".into(), name: "Union A".into() },
        StopSubject::Mailbox(Address::parse(a).unwrap()),
        StopSubject::List(Address::parse(all).unwrap()),
        StopSubject::Charter("essai".into()),
        StopSubject::Everything,
    ];
    for subject in subjects {
        assert_eq!(world.send(a, all).await, Told::Taken, "{subject:?}");
        let stop = NewStop::new(subject.clone(), "misuse", "minutes 12", (None, None), "root").unwrap();
        let stop = command.add(stop, at).await.unwrap();
        refused_for(&world.send(a, all).await, "550", "minutes 12");
        let others = world.send("b@ville.example", all).await;
        let personal = matches!(subject, StopSubject::Sender { .. } | StopSubject::Mailbox(_));
        assert_eq!(others == Told::Taken, personal, "{subject:?}");
        let lift = Lift { at, by: "root".into(), reason: "heard".into(), reference: "minutes 13".into() };
        command.lift(stop.number, lift).await.unwrap().unwrap();
    }
}
