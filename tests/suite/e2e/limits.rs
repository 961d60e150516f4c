//! Limits of the daemon itself, and the same work over TCP.

use super::world::{NOON, World, charter, from_a};
use crate::mta::client::SmtpClient;
use crate::mta::gateway::Setup;
use crate::mta::letter::Letter;

const LIST: &str = "libre@listes.example";

fn declared(bytes: usize) -> Letter {
    Letter { sender_parameters: format!("SIZE={bytes}"), ..from_a(LIST) }
}

#[test]
fn beyond_the_memory_budget_protected_mail_waits_and_other_mail_passes() {
    let limits = "[limits]\nheader = \"100 kB\"\nheader_field = \"60 kB\"\nbody = \"900 kB\"\nmemory = \"1 MB\"";
    let world = World::start(&Setup::new(&charter()).clock(NOON).main(limits));
    let mut first = SmtpClient::connect(world.postfix.address());
    first.ehlo();
    assert!(first.auth("liste-a", "secret").is_positive());
    let letter = declared(800_000);
    first.mail(&letter);
    first.rcpt(LIST);
    assert_eq!(first.command("DATA").code, 354);
    // While the first one sends, there is no room for a second of that size: refused at DATA, for the moment.
    let second = declared(500_000);
    let outcome = world.postfix.send(&second);
    assert_eq!(outcome.data.as_ref().map(|reply| reply.code), Some(451), "{outcome:?}");
    world.delivered(&Letter::new("a@ailleurs.example", &["b@voisin.example"]));
    first.content(&letter.bytes);
    assert_eq!(first.finish().code, 250);
    world.delivered(&second);
    // What a client declares binds nobody: a body over the limit is refused all the same.
    let large = from_a(LIST).body(format!("{}\r\n", "x".repeat(78)).repeat(12_000));
    let outcome = world.postfix.send(&large);
    assert!((500..600).contains(&outcome.last().code), "{outcome:?}");
    assert!(world.sink.with_id(&large.id).is_empty());
}

#[test]
fn over_tcp_it_does_the_same() {
    let world = World::start(&Setup::new(&charter()).clock(NOON).inet());
    let received =
        world.delivered(&from_a("editee@listes.example").attach("tract.pdf", "application/pdf", &vec![7; 300_000]));
    assert_eq!(received.sender, "editee-retours@listes.example");
    assert_eq!(received.header_values("List-Id").len(), 1);
    assert!(received.bytes.len() < 10_000, "the file is gone: {} octets", received.bytes.len());
    world.refused(&from_a("close@listes.example"), 550, "period-closed", "t:period");
    world.delivered(&Letter::new("a@ailleurs.example", &["b@voisin.example"]));
}
