//! Each way in which a sender can prove itself, as a real mail server conveys it.

use super::world::{HEAD, NOON, World};
use crate::mta::dkim::DkimKey;
use crate::mta::dns::Dns;
use crate::mta::gateway::Setup;
use crate::mta::letter::Letter;
use crate::mta::postfix::Options;

const LIST: &str = "libre@listes.example";
const SENDER: &str = "liste-a@candidats.example";

fn charter(proof: &str) -> String {
    format!(
        "{HEAD}\n[rules]\nsender = {{ clause = \"t:sender\" }}\n\n[[list]]\naddress = \"{LIST}\"\nlabel = \"Libre\"\n\n\
         [[sender]]\nname = \"Liste A\"\naddresses = [\"{SENDER}\"]\nproofs = [{proof}]\nlists = [\"{LIST}\"]\n"
    )
}

fn setup(proof: &str) -> Setup {
    Setup::new(&charter(proof)).clock(NOON)
}

fn proof_of(world: &World, letter: &Letter) -> String {
    let received = world.sink.wait_for_id(&letter.id);
    world.record_of_delivered(&received)["judgements"][0]["proof"].as_str().unwrap().to_owned()
}

#[test]
fn network_is_the_address_of_the_client() {
    let world = World::start(&setup(r#"{ network = ["127.7.0.0/16"] }"#));
    let letter = Letter::new(SENDER, &[LIST]);
    world.refused(&letter, 550, "sender-not-proven", "t:sender");
    let letter = letter.client_address("127.7.0.1");
    assert!(world.postfix.send(&letter).is_accepted());
    assert_eq!(proof_of(&world, &letter), "network");
}

#[test]
fn from_and_envelope_must_name_the_same_sender_although_both_are_proven() {
    let own = charter(r#"{ network = ["127.7.0.0/16"] }"#);
    let other = "[[sender]]\nname = \"Liste B\"\naddresses = [\"liste-b@candidats.example\"]\n\
                 proofs = [{ network = [\"127.7.0.0/16\"] }]\nlists = [\"libre@listes.example\"]\n";
    let rule = "\n[rules.identity]\naction = \"reject\"\nclause = \"t:identity\"\n\n[[list]]";
    let world = World::start(&Setup::new(&(own.replacen("\n[[list]]", rule, 1) + other)).clock(NOON));
    let letter = Letter::new(SENDER, &[LIST]).client_address("127.7.0.1");
    let posing = Letter { sender: "liste-b@candidats.example".to_owned(), ..letter.clone() };
    world.refused(&posing, 550, "envelope-sender-differs", "t:identity");
    assert!(world.postfix.send(&letter).is_accepted());
}

#[test]
fn tls_is_the_name_in_a_certificate_that_was_verified() {
    let world = World::start_with(&setup(r#"{ tls = "liste-a.candidats.example" }"#), |options| Options {
        tls: true,
        ..options
    });
    let ca = world.postfix.client_ca();
    let letter = Letter::new(SENDER, &[LIST]);
    let other = world.postfix.send_over_tls(&letter, &ca.issue("autre", "autre.candidats.example"));
    assert_eq!(other.last().code, 550, "{other:?}");
    let outcome = world.postfix.send_over_tls(&letter, &ca.issue("liste-a", "liste-a.candidats.example"));
    assert!(outcome.is_accepted(), "{outcome:?}");
    assert_eq!(proof_of(&world, &letter), "tls");
}

#[test]
fn dkim_is_verified_here_and_aligned_with_from() {
    let key = DkimKey::generate("candidats.example", "juin");
    let (name, text) = key.record();
    let dns = Dns::start(&[(&name, &text)]);
    let main = format!("[dns]\nresolver = [\"{}\"]\ntimeout = \"2 s\"", dns.address());
    let world = World::start(&setup(r#"{ dkim = "candidats.example" }"#).main(&main));

    let letter = Letter::new(SENDER, &[LIST]);
    world.refused(&letter, 550, "sender-not-proven", "t:sender");

    let signed = Letter { bytes: key.sign(&letter.bytes), ..letter.clone() };
    assert!(world.postfix.send(&signed).is_accepted());
    assert_eq!(proof_of(&world, &signed), "dkim");

    let mut altered = Letter::new(SENDER, &[LIST]);
    altered.bytes = key.sign(&altered.bytes);
    altered.bytes.extend_from_slice(b"un mot de plus\r\n");
    world.refused(&altered, 550, "sender-not-proven", "t:sender");

    // A signature of somebody else's domain is a good signature and no proof.
    let foreign = DkimKey::generate("ailleurs.example", "juin");
    let letter = Letter::new(SENDER, &[LIST]);
    world.refused(&Letter { bytes: foreign.sign(&letter.bytes), ..letter }, 550, "sender-not-proven", "t:sender");
}

#[test]
fn a_resolver_that_fails_costs_a_retry_and_not_the_message() {
    let key = DkimKey::generate("candidats.example", "juin");
    let dns = Dns::start(&[]);
    dns.fail(true);
    let main = format!("[dns]\nresolver = [\"{}\"]\ntimeout = \"1 s\"", dns.address());
    let world = World::start(&setup(r#"{ dkim = "candidats.example" }"#).main(&main));
    let letter = Letter::new(SENDER, &[LIST]);
    let outcome = world.postfix.send(&Letter { bytes: key.sign(&letter.bytes), ..letter });
    assert_eq!(outcome.last().code, 451, "{outcome:?}");
}

#[test]
fn authentication_results_count_from_our_own_server_alone() {
    let proof =
        r#"{ authentication_results = { domain = "candidats.example", authserv_id = "mx.organisation.example" } }"#;
    let world = World::start(&setup(proof));
    let result = |server: &str| format!("{server}; dkim=pass header.d=candidats.example header.i=@candidats.example");
    let foreign = Letter::new(SENDER, &[LIST]).another_header("Authentication-Results", &result("mx.ailleurs.example"));
    world.refused(&foreign, 550, "sender-not-proven", "t:sender");
    let ours = Letter::new(SENDER, &[LIST]);
    let field = format!("Authentication-Results: {}\r\n", result("mx.organisation.example"));
    let ours = Letter { bytes: [field.as_bytes(), &ours.bytes].concat(), ..ours };
    assert!(world.postfix.send(&ours).is_accepted());
    assert_eq!(proof_of(&world, &ours), "authentication-results");
}
