//! The same gateway behind a real Sendmail.

use super::world::{NOON, charter};
use crate::mta::gateway::{Gateway, Setup};
use crate::mta::letter::Letter;
use crate::mta::sendmail::Sendmail;
use crate::mta::sink::Sink;
use crate::mta::wait_for;

/// Sendmail offers no login here, so senders prove themselves by their network.
fn gateway(charter: &str) -> Gateway {
    let text = ["liste-a", "liste-b"].iter().fold(charter.to_owned(), |text, login| {
        text.replace(&format!("{{ sasl = \"{login}\" }}"), "{ network = [\"127.7.0.0/16\"] }")
    });
    Gateway::start(&Setup::new(&text).clock(NOON).main("[mta]\nkind = \"sendmail\""))
}

fn from_a(list: &str) -> Letter {
    Letter::new("liste-a@candidats.example", &[list]).client_address("127.7.0.1")
}

#[test]
fn sendmail_refuses_edits_and_passes_as_it_is_told() {
    let sink = Sink::start();
    let gateway = gateway(&charter());
    let sendmail = Sendmail::start(sink.address(), &[&gateway.sendmail_milter()]);

    let refused = sendmail.send(&Letter::new("inconnu@ailleurs.example", &["libre@listes.example"]));
    assert_eq!(refused.last().code, 550, "{refused:?}\n{}", gateway.daemon_log());
    assert!(refused.last().text().contains("[t:sender]"), "{refused:?}");

    let closed = sendmail.send(&from_a("close@listes.example"));
    assert_eq!(closed.last().code, 550, "{closed:?}");

    let mut edited = from_a("editee@listes.example")
        .attach("tract.pdf", "application/pdf", b"contenu")
        .header("Return-Receipt-To", "x@y.example");
    edited.recipients = vec!["editee@listes.example> NOTIFY=SUCCESS".to_owned()];
    let outcome = sendmail.send(&edited);
    assert!(outcome.is_accepted(), "{outcome:?}\n{}", gateway.daemon_log());
    let received = sink.wait_for_id(&edited.id);
    assert_eq!(received.sender, "editee-retours@listes.example");
    // Sendmail keeps the request, and nobody says that it was removed.
    assert!(received.recipient_parameters[0].contains("SUCCESS"), "{:?}", received.recipient_parameters);
    assert_eq!(received.header_value("X-Charter-Finding"), "receipt-requested");
    assert!(!received.header_value("X-Charter-Edits").contains("notify"), "{}", received.header());
    assert!(received.header_values("Return-Receipt-To").is_empty(), "{}", received.header());
    assert_eq!(received.header_values("Subject").len(), 1, "{}", received.header());
    assert_eq!(received.header_values("List-Id").len(), 1, "{}", received.header());
    assert!(!received.body_text().contains("Y29udGVudQ"), "{}", received.body_text());
    assert!(received.body_text().contains("Bonjour à toutes et à tous."));

    let free = Letter::new("a@ailleurs.example", &["b@voisin.example"]);
    assert!(sendmail.send(&free).is_accepted());
    assert!(sink.wait_for_id(&free.id).header_values("X-Charter-Reference").is_empty());
}

#[test]
fn sendmail_quarantines_by_day() {
    let sink = Sink::start();
    let gateway = gateway(&super::hold::charter());
    let sendmail = Sendmail::start(sink.address(), &[&gateway.sendmail_milter()]);
    let letter = from_a("nocturne@listes.example");
    let outcome = sendmail.send(&letter);
    assert!(outcome.is_accepted(), "{outcome:?}\n{}", gateway.daemon_log());
    let held = wait_for("a quarantined message", || sendmail.quarantined().pop());
    assert!(sink.with_id(&letter.id).is_empty());
    sendmail.release(&held);
    assert_eq!(sink.wait_for_id(&letter.id).recipients, ["nocturne@listes.example"]);
}

#[test]
fn sendmail_says_later_when_the_gateway_is_gone() {
    let sink = Sink::start();
    let mut gateway = gateway(&charter());
    let sendmail = Sendmail::start(sink.address(), &[&gateway.sendmail_milter()]);
    gateway.kill();
    let outcome = sendmail.send(&from_a("libre@listes.example"));
    assert!((400..500).contains(&outcome.last().code), "{outcome:?}");
    gateway.launch();
    let letter = from_a("libre@listes.example");
    assert!(sendmail.send(&letter).is_accepted());
    sink.wait_for_id(&letter.id);
}
