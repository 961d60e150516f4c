//! What a charter says of everybody in the organisation: the disclaimer on mail that leaves it, the limit of recipients; and
//! trackers that are removed instead of refused.

use std::sync::OnceLock;

use super::world::{HEAD, NOON, World, from_a};
use crate::mta::gateway::Setup;
use crate::mta::letter::Letter;

const LIST: &str = "nettoyee@listes.example";
const DISCLAIMER: &str = "Ce message n'engage pas l'organisation.";
const PIXEL: &str = r#"<img src="https://stats.example/ouvert.gif?id=42" width="1" height="1" alt="">"#;

fn world() -> &'static World {
    static SHARED: OnceLock<World> = OnceLock::new();
    let charter = format!(
        r#"{HEAD}
[general.rules]
recipients = {{ per_message = 2, clause = "t:recipients" }}
disclaimer = {{ text = "{DISCLAIMER}", official_header = "X-Officiel", clause = "t:disclaimer" }}

[rules]
sender   = {{ clause = "t:sender" }}
tracking = {{ action = "strip", clause = "t:tracking" }}

[[list]]
address = "{LIST}"
label   = "Nettoyée"

[[sender]]
name      = "Liste A"
addresses = ["liste-a@candidats.example"]
proofs    = [{{ sasl = "liste-a" }}]
lists     = ["{LIST}"]
"#
    );
    SHARED.get_or_init(|| World::start(&Setup::new(&charter).clock(NOON)))
}

fn from_an_agent(recipients: &[&str]) -> Letter {
    Letter::new("agent@organisation.example", recipients).login("autre", "secret")
}

#[test]
fn mail_that_leaves_the_organisation_carries_its_disclaimer_once() {
    let world = world();
    let sent = world.delivered(&from_an_agent(&["ami@voisin.example"]).body("Bonjour,\r\nà demain.\r\n"));
    let text = sent.body_text();
    assert!(text.contains("à demain.") && text.contains(DISCLAIMER), "{text}");
    assert_eq!(text.matches(DISCLAIMER).count(), 1);
    assert!(sent.header_value("X-Charter-Edits").contains("words-added"), "it is declared: {}", sent.header());
    let answered = format!("Bonjour,\r\nà demain.\r\n\r\n{DISCLAIMER}\r\n");
    let again = world.delivered(&from_an_agent(&["ami@voisin.example"]).body(answered));
    assert_eq!(again.body_text().matches(DISCLAIMER).count(), 1, "{}", again.body_text());
}

#[test]
fn official_mail_and_mail_that_stays_inside_carry_no_disclaimer() {
    let world = world();
    let official = from_an_agent(&["ami@voisin.example"]).header("X-Officiel", "oui");
    let inside = from_an_agent(&["collegue@organisation.example"]);
    let foreign = Letter::new("ami@voisin.example", &["agent@organisation.example"]);
    for letter in [official, inside, foreign] {
        let received = world.delivered(&letter);
        assert!(!received.body_text().contains(DISCLAIMER), "{}", received.body_text());
        assert!(received.bytes.ends_with(letter.bytes.rsplit(|&octet| octet == b'\r').next().unwrap()));
    }
}

#[test]
fn one_message_has_no_more_recipients_than_the_charter_allows() {
    let world = world();
    let two = ["ami@voisin.example", "amie@voisin.example"];
    world.delivered(&from_an_agent(&two));
    let three = ["ami@voisin.example", "amie@voisin.example", "tiers@ailleurs.example"];
    let reply = world.refused(&from_an_agent(&three), 550, "recipients-too-many", "t:recipients");
    assert!(reply.text().contains('2'), "the limit is named: {reply}");
    for recipient in three {
        assert!(!reply.text().contains(recipient), "no address in a reply: {reply}");
    }
}

#[test]
fn trackers_are_removed_and_the_rest_of_the_text_stays() {
    let world = world();
    let html = |image: &str| {
        let page = format!(
            "<html><body><p>Bonjour</p>{image}<a href=\"https://liste-a.example/programme\">Programme</a></body></html>\r\n"
        );
        from_a(LIST).header("Content-Type", "text/html; charset=utf-8").body(page)
    };
    let received = world.delivered(&html(PIXEL));
    let text = received.body_text();
    assert!(!text.contains("stats.example"), "{text}");
    assert!(text.contains("<p>Bonjour</p>") && text.contains("https://liste-a.example/programme"), "{text}");
    assert!(received.header_value("X-Charter-Edits").contains("tracking-removed"), "{}", received.header());
    let record = world.record_of_delivered(&received);
    assert!(record["edits"].as_array().unwrap().iter().any(|edit| edit == "tracking-removed=1"), "{record}");
    let harmless = world.delivered(&html(""));
    assert!(harmless.header_values("X-Charter-Edits").iter().all(|edits| !edits.contains("tracking-removed")));
}
