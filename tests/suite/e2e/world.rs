//! The organisation most of these tests write to: one charter with a list for each rule, at noon on a day of its period,
//! behind one Postfix that all of them share. Tests tell their messages apart by Message-ID and senders by login.

use std::sync::OnceLock;

use serde_json::Value;

use crate::mta::client::{Outcome, Reply};
use crate::mta::gateway::{Gateway, Setup};
use crate::mta::letter::Letter;
use crate::mta::postfix::{Options, Postfix};
use crate::mta::sink::{Received, Sink};

/// Wednesday, 20 June 2018, noon in Paris.
pub const NOON: &str = "2018-06-20T12:00:00+02:00";

/// What every test charter begins with; the lists and senders follow.
pub const HEAD: &str = r#"
[charter]
id       = "essai"
title    = "Charte d'essai"
language = "fr"
timezone = "Europe/Paris"
contest  = "commission@organisation.example"
domains  = ["organisation.example"]

[period]
opens  = 2018-06-11
closes = 2018-07-09
clause = "t:period"
"#;

/// One list for each rule, named after it.
const LISTS: &str = r#"
[rules]
sender    = { clause = "t:sender", adherence = true }
identity  = { action = "reject", clause = "t:identity" }
structure = { ambiguous = "reject", clause = "t:structure" }

[[list]]
address = "libre@listes.example"
aliases = ["tous@listes.example"]
label   = "Libre"

[[list]]
address = "close@listes.example"
label   = "Close"
period  = { opens = 2018-05-01, closes = 2018-06-19, clause = "t:period" }

[[list]]
address = "avenir@listes.example"
label   = "Avenir"
period  = { opens = 2018-06-21, closes = 2018-07-09, clause = "t:period" }

[[list]]
address = "derniers-jours@listes.example"
label   = "Derniers jours"
period  = { opens = 2018-06-20, closes = 2018-06-20, clause = "t:period" }

[[list]]
address = "collectif@listes.example"
label   = "Collectif"
rules   = { reply = { clause = "t:reply" }, subject = { tag = "[{label}]", clause = "t:subject" }, recipients = { per_message = 1, hidden = true, clause = "t:recipients" } }

[[list]]
address = "petite@listes.example"
label   = "Petite"
rules   = { size = { max = "10 kB", clause = "t:size", advice = "Un lien suffit." } }

[[list]]
address = "comptee@listes.example"
label   = "Comptée"
rules   = { quota = [{ messages = 2, per = "week", clause = "t:quota" }] }

[[list]]
address = "sans-fichiers@listes.example"
label   = "Sans fichiers"
rules   = { attachments = { action = "strip", clause = "t:attachments" } }

[[list]]
address = "refuse-fichiers@listes.example"
label   = "Refuse les fichiers"
rules   = { attachments = { action = "reject", clause = "t:attachments" } }

[[list]]
address = "sans-petition@listes.example"
label   = "Sans pétition"
rules   = { petition = { action = "reject", threshold = 1.0, clause = "t:petition" }, chain_letter = { action = "reject", threshold = 1.0, clause = "t:chain" } }

[[list]]
address = "sans-copies@listes.example"
label   = "Sans copies"
rules   = { copies = { action = "reject", messages = 2, within = "1 day", clause = "t:copies" } }

[[list]]
address = "sans-traceurs@listes.example"
label   = "Sans traceurs"
rules   = { tracking = { action = "reject", clause = "t:tracking" } }

[[list]]
address     = "editee@listes.example"
label       = "Éditée"
return_path = "editee-retours@listes.example"
[list.rules]
attachments  = { action = "strip", clause = "t:attachments" }
receipts     = { action = "remove", clause = "t:receipts" }
subject      = { tag = "[{label}]", clause = "t:subject" }
reply_to     = { to = "sender", clause = "t:reply-to" }
return_path  = { clause = "t:return-path" }
list_headers = { unsubscribe = ["https://organisation.example/quitter?liste={list}"], help = "https://organisation.example/modalites", clause = "t:list-headers" }
banner       = { footer = "-- \nDiffusé par {sender} sur {label}. Référence : {reference}\n", clause = "t:banner" }

[[list]]
address = "observee@listes.example"
label   = "Observée"
rules   = { attachments = { action = "reject", clause = "t:attachments", mode = "monitor" } }

[[sender]]
name      = "Liste A"
addresses = ["liste-a@candidats.example"]
proofs    = [{ sasl = "liste-a" }]
lists     = [LISTES]
adhered   = 2018-06-01

[[sender]]
name      = "Liste B"
addresses = ["liste-b@candidats.example", "liste-b-secretariat@candidats.example"]
proofs    = [{ sasl = "liste-b" }]
lists     = ["libre@listes.example", "comptee@listes.example"]
adhered   = 2018-06-01
delegate  = [{ login = "autre", mailboxes = ["liste-b-secretariat@candidats.example"] }]

[[sender]]
name      = "Liste sans adhésion"
addresses = ["liste-c@candidats.example"]
proofs    = [{ sasl = "liste-c" }]
lists     = ["libre@listes.example"]

[[recipient]]
address = "partie@organisation.example"
state   = "deactivated"
clause  = "t:deactivated"

[[recipient]]
address = "en-conge@organisation.example"
state   = "suspended"
clause  = "t:deactivated"
"#;

/// The logins of the organisation, each with the password "secret".
pub const LOGINS: [&str; 4] = ["liste-a", "liste-b", "liste-c", "autre"];

/// The whole charter.
pub fn charter() -> String {
    let addresses: Vec<&str> = LISTS
        .lines()
        .filter_map(|line| line.strip_prefix("address").filter(|_| line.contains("@listes.example")))
        .collect();
    let lists: Vec<&str> = addresses.iter().map(|line| line.trim_start_matches([' ', '='])).collect();
    format!("{HEAD}{}", LISTS.replace("LISTES", &lists.join(", ")))
}

/// Postfix, the gateway in front of it and the sink behind it.
#[derive(Debug)]
pub struct World {
    pub sink: Sink,
    // Before the gateway, so that it goes first and logs no lost milter.
    pub postfix: Postfix,
    pub gateway: Gateway,
}

impl World {
    /// The world that all tests share which do not break it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<World> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&Setup::new(&charter()).clock(NOON)))
    }

    /// A world of its own around a gateway.
    pub fn start(setup: &Setup) -> Self {
        Self::start_with(setup, |options| options)
    }

    /// A world of its own, with more settings of Postfix.
    pub fn start_with(setup: &Setup, adjust: impl FnOnce(Options) -> Options) -> Self {
        Self::assemble(Gateway::start(setup), adjust)
    }

    /// A world around a gateway that runs already.
    pub fn around(gateway: Gateway) -> Self {
        Self::assemble(gateway, |options| options)
    }

    fn assemble(gateway: Gateway, adjust: impl FnOnce(Options) -> Options) -> Self {
        let sink = Sink::start();
        let mut options = Options::new(sink.address()).milter(&gateway.milter());
        options.non_smtpd_milters = vec![gateway.milter()];
        for login in LOGINS {
            options = options.user(login, "secret");
        }
        let postfix = Postfix::start(&adjust(options));
        Self { sink, postfix, gateway }
    }

    /// Sends a message that must arrive, and gives it back as it arrived.
    pub fn delivered(&self, letter: &Letter) -> Received {
        let outcome = self.postfix.send(letter);
        assert!(
            outcome.is_accepted(),
            "{} was not accepted: {}\n{}",
            letter.id,
            outcome.last(),
            self.gateway.daemon_log()
        );
        self.sink.wait_for_id(&letter.id)
    }

    /// Sends a message that must be refused for good, for `reason` under `clause`, and gives the reply back.
    ///
    /// The decision log must name the same reason, and nothing may have been queued or delivered.
    pub fn refused(&self, letter: &Letter, code: u16, reason: &str, clause: &str) -> Reply {
        let outcome = self.postfix.send(letter);
        let reply = outcome.last().clone();
        assert_eq!(reply.code, code, "{reply}\n{}", self.gateway.daemon_log());
        assert!(reply.text().contains(&format!("[{clause}]")), "the clause {clause} is quoted: {reply}");
        assert!(reply.text().is_ascii(), "{reply}");
        let record = self.record_of(&reply);
        assert_eq!(record["verdict"], "reject", "{record}");
        assert_eq!(record["judgements"][0]["reason"], reason, "{record}");
        assert_eq!(record["judgements"][0]["clause"], clause, "{record}");
        assert!(self.sink.with_id(&letter.id).is_empty(), "what is refused is not delivered");
        reply
    }

    /// The body of the record that a reply refers to.
    pub fn record_of(&self, reply: &Reply) -> Value {
        let text = reply.text();
        let reference = text.rsplit_once("Ref. ").map(|(_, reference)| reference.trim()).unwrap_or_default();
        self.record(reference).unwrap_or_else(|| panic!("no record {reference:?} ({text})"))
    }

    /// The body of the record with a reference: the index of its line, a hyphen, and the beginning of its hash.
    pub fn record(&self, reference: &str) -> Option<Value> {
        let index: u64 = reference.split_once('-')?.0.parse().ok()?;
        self.gateway.decisions().into_iter().find(|line| line["i"] == index).map(body)
    }

    /// The body of the record of a message that was delivered.
    pub fn record_of_delivered(&self, received: &Received) -> Value {
        let reference = received.header_value("X-Charter-Reference");
        self.record(&reference).unwrap_or_else(|| panic!("no record {reference:?}"))
    }
}

/// The part of a log line that says what happened.
pub fn body(line: Value) -> Value {
    match line.get("body") {
        Some(body) => body.clone(),
        None => line,
    }
}

/// A message of Liste A, logged in, to one recipient.
pub fn from_a(recipient: &str) -> Letter {
    Letter::new("liste-a@candidats.example", &[recipient]).login("liste-a", "secret")
}

/// A message of Liste B, logged in, to one recipient.
pub fn from_b(recipient: &str) -> Letter {
    Letter::new("liste-b@candidats.example", &[recipient]).login("liste-b", "secret")
}

/// Whether the transaction ended with "try again later".
pub fn is_later(outcome: &Outcome) -> bool {
    (400..500).contains(&outcome.last().code)
}
