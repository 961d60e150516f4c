//! Night: what waits in the mail server's own queue, when it leaves, and what becomes of it when things go wrong.

use super::world::{HEAD, NOON, World, body, from_a, from_b};
use crate::mta::gateway::{Gateway, Setup};
use crate::mta::letter::Letter;
use crate::mta::wait_for;

const LIST: &str = "nocturne@listes.example";

/// A list with the window of cnrs:III.b, and two senders.
pub fn charter() -> String {
    format!(
        r#"{HEAD}
[night_window]
from   = 22:00:00
to     = 06:00:00
pace   = {{ messages = 60, per = "minute" }}
order  = "draw"
clause = "t:night"

[rules]
sender = {{ clause = "t:sender" }}

[[list]]
address = "{LIST}"
label   = "Nocturne"

[[sender]]
name      = "Liste A"
addresses = ["liste-a@candidats.example"]
proofs    = [{{ sasl = "liste-a" }}]
lists     = ["{LIST}"]

[[sender]]
name      = "Liste B"
addresses = ["liste-b@candidats.example"]
proofs    = [{{ sasl = "liste-b" }}]
lists     = ["{LIST}"]
"#
    )
}

fn world(clock: &str) -> World {
    World::start(&Setup::new(&charter()).clock(clock))
}

fn release(gateway: &Gateway) -> String {
    let output = gateway.run(&["release"]);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "release: {said}");
    said
}

#[test]
fn by_day_mail_waits_on_hold_and_at_night_it_leaves() {
    let mut world = world(NOON);
    world.gateway.know_postfix(&world.postfix);
    let letter = from_a(LIST);
    let outcome = world.postfix.send(&letter);
    assert!(outcome.is_accepted(), "{outcome:?}");
    let held = world.postfix.held();
    assert_eq!(held.len(), 1, "{}", world.postfix.log());
    let record = body(world.gateway.decisions().pop().unwrap());
    assert_eq!(record["verdict"], "hold");
    assert_eq!(record["judgements"][0]["hold_until"], "2018-06-20T20:00:00Z", "22:00 in Paris");

    world.gateway.set_clock("2018-06-20T21:59:00+02:00");
    release(&world.gateway);
    assert_eq!(world.postfix.held().len(), 1, "a minute before the window nothing leaves");

    world.gateway.set_clock("2018-06-20T22:00:30+02:00");
    release(&world.gateway);
    let received = world.sink.wait_for_id(&letter.id);
    assert_eq!(received.recipients, [LIST]);
    world.postfix.wait_until_delivered();
    assert!(world.postfix.held().is_empty());
    // Running it again changes nothing.
    release(&world.gateway);
    assert_eq!(world.sink.with_id(&letter.id).len(), 1, "delivered exactly once");
}

#[test]
fn where_two_charters_apply_mail_waits_for_the_hours_of_both() {
    let national = charter()
        .replace("id       = \"essai\"", "id = \"national\"\nshared = true")
        .replace("from   = 22:00:00", "from   = 23:30:00")
        .replace("name      = \"Liste", "name      = \"Union");
    let mut world = World::start(&Setup::new(&charter()).charter("national.toml", &national).clock(NOON));
    world.gateway.know_postfix(&world.postfix);
    let letter = from_a(LIST);
    assert!(world.postfix.send(&letter).is_accepted());
    let stop = ["stop", "add", "--sender", "Union A", "--charter", "national", "--reason", "Essai", "--reference", "1"];
    for (clock, waiting) in [("22:00:30", 1), ("23:29:59", 1), ("23:30:30", 1), ("23:31:30", 0)] {
        world.gateway.set_clock(&format!("2018-06-20T{clock}+02:00"));
        match clock {
            "23:30:30" => assert!(world.gateway.run(&stop).status.success()),
            "23:31:30" => {
                let resume = ["resume", "1", "--reason", "Essai", "--reference", "2"];
                assert!(world.gateway.run(&resume).status.success());
            }
            _ => {}
        }
        release(&world.gateway);
        assert_eq!(world.postfix.held().len(), waiting, "{clock}");
    }
    world.sink.wait_for_id(&letter.id);
}

#[test]
fn a_stop_is_told_to_the_sender_it_concerns_and_to_no_impostor() {
    let world = world(NOON);
    for subject in [["--sender", "Liste A"], ["--mailbox", "liste-b@candidats.example"]] {
        let stop = [&["stop", "add"], subject.as_slice(), &["--reason", "Essai", "--reference", "Comité 3"]].concat();
        assert!(world.gateway.run(&stop).status.success());
    }
    for letter in [from_a(LIST), from_b(LIST)] {
        let outcome = world.postfix.send(&letter);
        assert!(outcome.last().text().contains("suspendus"), "{outcome:?}");
    }
    let forged = |as_whom: &str, login: &str| {
        let letter = Letter::new(&format!("{as_whom}@candidats.example"), &[LIST]).login(login, "secret");
        let reply = world.refused(&letter, 550, "sender-not-proven", "t:sender");
        assert!(!reply.text().contains("suspendus") && !reply.text().contains("Comit"), "{reply}");
    };
    forged("liste-a", "liste-b");
    forged("liste-b", "liste-a");
}

#[test]
fn inside_the_window_mail_passes_at_once() {
    let world = world("2018-06-20T23:30:00+02:00");
    world.delivered(&from_a(LIST));
    assert!(world.postfix.held().is_empty());
}

#[test]
fn what_cannot_leave_before_the_period_ends_is_refused_on_arrival() {
    let world = world("2018-07-09T06:30:00+02:00");
    // The last window is from 22:00 to the end of the last day: this one can still leave.
    assert!(world.postfix.send(&from_a(LIST)).is_accepted());
    let world = World::start(
        &Setup::new(
            &charter()
                .replace("to     = 06:00:00", "to     = 21:00:00")
                .replace("from   = 22:00:00", "from   = 20:00:00"),
        )
        .clock("2018-07-09T21:30:00+02:00"),
    );
    let reply = world.refused(&from_a(LIST), 550, "delivery-impossible", "t:night");
    assert!(reply.text().contains("09/07/2018"), "{reply}");
}

#[test]
fn mail_held_by_somebody_else_is_not_touched() {
    let mut world = World::start_with(&Setup::new(&charter()).clock(NOON), |options| {
        options.set("smtpd_recipient_restrictions", "check_recipient_access inline:{{ami@voisin.example=hold}}, permit")
    });
    world.gateway.know_postfix(&world.postfix);
    assert!(world.postfix.send(&Letter::new("a@ailleurs.example", &["ami@voisin.example"])).is_accepted());
    let ours = from_a(LIST);
    assert!(world.postfix.send(&ours).is_accepted());
    assert_eq!(world.postfix.held().len(), 2);
    world.gateway.set_clock("2018-06-20T22:05:00+02:00");
    release(&world.gateway);
    world.sink.wait_for_id(&ours.id);
    let held = world.postfix.held();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(held[0].recipients[0].address, "ami@voisin.example");
}

#[test]
fn held_mail_that_vanished_is_recorded() {
    let mut world = world(NOON);
    world.gateway.know_postfix(&world.postfix);
    assert!(world.postfix.send(&from_a(LIST)).is_accepted());
    // Once seen in the queue, deleted by somebody.
    world.gateway.set_clock("2018-06-20T12:01:00+02:00");
    release(&world.gateway);
    world.postfix.command("postsuper", &["-d", &world.postfix.held()[0].queue_id]);
    world.gateway.set_clock("2018-06-20T22:05:00+02:00");
    let _ = world.gateway.run(&["release"]);
    let kinds: Vec<String> =
        world.gateway.records().iter().map(|line| line["kind"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(kinds.iter().any(|kind| kind == "gone"), "{kinds:?}");
}

#[test]
fn each_sender_has_its_turn() {
    let mut world = world(NOON);
    world.gateway.know_postfix(&world.postfix);
    let letters = [from_a(LIST), from_a(LIST), from_a(LIST), from_b(LIST)];
    for letter in &letters {
        assert!(world.postfix.send(letter).is_accepted());
    }
    world.gateway.set_clock("2018-06-20T22:00:30+02:00");
    for minute in 0..4 {
        world.gateway.set_clock(&format!("2018-06-20T22:{minute:02}:30+02:00"));
        release(&world.gateway);
    }
    wait_for("all four at the sink", || (world.sink.received().len() >= 4).then_some(()));
    let ranks: Vec<(String, u64)> = world
        .gateway
        .records()
        .into_iter()
        .filter(|line| line["kind"] == "release")
        .map(body)
        .map(|release| (release["sender"].as_str().unwrap().to_owned(), release["rank"].as_u64().unwrap()))
        .collect();
    assert_eq!(ranks.len(), 4, "{ranks:?}");
    let lone = ranks.iter().find(|(sender, _)| ranks.iter().filter(|(other, _)| other == sender).count() == 1).unwrap();
    assert!(lone.1 <= 2, "the sender of one message is not behind all those of the other: {ranks:?}");
}

#[test]
fn what_waits_takes_its_place_and_gives_it_back_when_it_is_cancelled() {
    let quota = "[rules]\nquota = [{ messages = 1, per = \"week\", clause = \"t:sender\" }]";
    let mut world = World::start(&Setup::new(&charter().replace("[rules]", quota)).clock(NOON));
    world.gateway.know_postfix(&world.postfix);
    assert!(world.postfix.send(&from_a(LIST)).is_accepted());
    // Long after a reservation that nobody settles has expired.
    world.gateway.set_clock("2018-06-20T15:00:00+02:00");
    let reply = world.refused(&from_a(LIST), 550, "quota-exhausted", "t:sender");
    assert!(reply.text().contains("1 message(s) au plus par semaine (du lundi au dimanche)."), "{reply}");
    let id = world.postfix.held()[0].queue_id.clone();
    assert!(world.gateway.run(&["held", "cancel", &id, "--reference", "1", "--without-notice"]).status.success());
    let second = from_a(LIST);
    assert!(world.postfix.send(&second).is_accepted());
    world.gateway.set_clock("2018-06-20T22:00:30+02:00");
    release(&world.gateway);
    world.sink.wait_for_id(&second.id);
    world.refused(&from_a(LIST), 550, "quota-exhausted", "t:sender");
}

#[test]
fn the_clock_set_back_releases_nothing_early_or_twice() {
    let mut world = world(NOON);
    world.gateway.know_postfix(&world.postfix);
    let letter = from_a(LIST);
    assert!(world.postfix.send(&letter).is_accepted());
    world.gateway.set_clock("2018-06-20T22:00:30+02:00");
    release(&world.gateway);
    world.sink.wait_for_id(&letter.id);
    let second = from_a(LIST);
    world.gateway.stop();
    world.gateway.set_clock("2018-06-20T15:00:00+02:00");
    world.gateway.launch();
    assert!(world.postfix.send(&second).is_accepted());
    let _ = world.gateway.run(&["release"]);
    assert_eq!(world.sink.with_id(&letter.id).len(), 1);
    assert!(world.sink.with_id(&second.id).is_empty(), "it is day again");
    assert_eq!(world.postfix.held().len(), 1);
}

#[test]
fn with_two_sockets_the_second_holds_what_the_first_decided() {
    let sink = crate::mta::sink::Sink::start();
    let gateway = Gateway::start(&Setup::new(&charter()).clock(NOON).two_sockets());
    let options = crate::mta::postfix::Options::new(sink.address())
        .milter(&gateway.milter())
        .milter(&gateway.hold_milter())
        .user("liste-a", "secret");
    let postfix = crate::mta::postfix::Postfix::start(&options);
    let letter = from_a(LIST);
    assert!(postfix.send(&letter).is_accepted());
    assert_eq!(postfix.held().len(), 1, "{}", gateway.daemon_log());
    assert_eq!(gateway.decisions().len(), 1, "one decision, made once");
}
