//! Edits, as the next mail server sees them.

use super::world::{NOON, World, charter, from_a};
use crate::mta::gateway::Setup;
use crate::mta::letter::Letter;

const LIST: &str = "editee@listes.example";

#[test]
fn the_subject_is_tagged_once_in_any_encoding() {
    let world = World::shared();
    let first = world.delivered(&from_a(LIST).header("Subject", "=?utf-8?Q?=C3=80_propos_des_cong=C3=A9s?="));
    let subject = decoded(&first.header_value("Subject"));
    assert_eq!(subject, "[Éditée] À propos des congés");
    let again = world.delivered(&from_a(LIST).header("Subject", "=?iso-8859-1?Q?[=C9dit=E9e]_D=E9j=E0?="));
    assert_eq!(decoded(&again.header_value("Subject")), "[Éditée] Déjà");
    let none = world.delivered(&from_a(LIST).header("Subject", ""));
    assert_eq!(decoded(&none.header_value("Subject")).trim(), "[Éditée]");
}

#[test]
fn receipt_requests_are_removed_from_header_and_envelope() {
    let world = World::shared();
    let names =
        ["Disposition-Notification-To", "Return-Receipt-To", "X-Confirm-Reading-To", "Read-Receipt-To", "X-PMRQC"];
    let mut letter = Letter { recipients: vec![format!("{LIST}> NOTIFY=SUCCESS,FAILURE")], ..from_a(LIST) };
    for name in names {
        letter = letter.another_header(name, "liste-a@candidats.example");
    }
    let received = world.delivered(&letter);
    for name in names {
        assert!(received.header_values(name).is_empty(), "{name} is still there:\n{}", received.header());
    }
    assert_eq!(received.recipients, [LIST]);
    assert!(!received.recipient_parameters[0].to_ascii_uppercase().contains("SUCCESS"), "{received:?}");
}

#[test]
fn replies_go_to_the_sender_and_failures_to_the_return_path() {
    let world = World::shared();
    let letter = from_a(LIST).header("Reply-To", LIST).another_header("Mail-Followup-To", LIST);
    let received = world.delivered(&letter);
    assert_eq!(received.sender, "editee-retours@listes.example");
    assert!(received.header_value("Reply-To").contains("liste-a@candidats.example"), "{}", received.header());
    assert!(received.header_values("Mail-Followup-To").is_empty());
}

#[test]
fn list_header_fields_are_ours_alone() {
    let world = World::shared();
    let letter = from_a(LIST)
        .another_header("List-Unsubscribe", "<mailto:piege@ailleurs.example>")
        .another_header("List-Post", "<mailto:piege@ailleurs.example>");
    let received = world.delivered(&letter);
    let unsubscribe = received.header_value("List-Unsubscribe");
    assert!(
        unsubscribe.contains("https://organisation.example/quitter?liste=editee%40listes.example"),
        "{unsubscribe}"
    );
    assert!(!received.header().contains("piege@"), "{}", received.header());
    assert!(received.header_value("List-Id").contains("editee.listes.example"), "{}", received.header());
}

#[test]
fn the_footer_stands_in_every_text_once() {
    let world = World::shared();
    let letter = from_a(LIST).header("Content-Type", "multipart/alternative; boundary=\"b\"").body(
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         Bonjour =C3=A0 tous, voici un texte.\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n<html><body><p>Bonjour à tous</p></body></html>\r\n--b--\r\n",
    );
    let received = world.delivered(&letter);
    let text = received.body_text();
    let reference = received.header_value("X-Charter-Reference");
    let parsed = mail_parser::MessageParser::default().parse(&received.bytes).unwrap();
    for part in [parsed.body_text(0), parsed.body_html(0)] {
        let part = part.unwrap();
        assert_eq!(part.matches("par Liste A sur").count(), 1, "one footer in each part:\n{part}");
    }
    assert!(text.contains("Bonjour =C3=A0 tous, voici un texte."), "the text keeps its encoding:\n{text}");
    assert!(text.contains("<p>Bonjour à tous</p>"));
    assert!(text.find(&reference) < text.find("</body>"), "before the end of the HTML:\n{text}");
}

#[test]
fn the_parts_that_stay_are_byte_identical() {
    let world = World::shared();
    let odd = "Content-Type: text/plain;\r\n\tcharset=utf-8\r\nX-Odd:   spaces  \r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
               Une ligne=20\r\nun =E9trange=\r\n encodage\r\n";
    let letter = from_a("sans-fichiers@listes.example").header("Content-Type", "multipart/mixed; boundary=b").body(format!(
        "préambule\r\n--b\r\n{odd}\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=x.pdf\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nQUFBQQ==\r\n--b--\r\népilogue\r\n"
    ));
    let received = world.delivered(&letter);
    let text = received.body_text();
    assert!(text.starts_with(&format!("préambule\r\n--b\r\n{odd}\r\n--b\r\n")), "{text}");
    assert!(text.ends_with("--b--\r\népilogue\r\n"), "{text}");
    assert!(!text.contains("QUFBQQ=="), "{text}");
}

#[test]
fn every_edit_is_declared_in_the_message_and_in_the_log() {
    let world = World::shared();
    let received = world.delivered(&from_a(LIST).attach("tract.pdf", "application/pdf", b"x"));
    let record = world.record_of_delivered(&received);
    let edits = record["edits"].as_array().unwrap();
    assert!(edits.len() >= 4, "{record}");
    let declared = received.header();
    assert!(
        declared.to_ascii_lowercase().contains("x-charter-edits"),
        "a header field declares the edits:\n{declared}"
    );
}

#[test]
fn no_content_and_no_address_reaches_log_or_daemon_output() {
    // Whatever the operator asks for.
    let filter = "[log]\nfilter = \"trace,indymilter::connection=trace,html5ever::tokenizer=trace\"\n";
    let world = World::start(&Setup::new(&charter()).clock(NOON).main(filter));
    let letter = from_a(LIST).header("Subject", "Sujet-Confidentiel").body("Corps-Confidentiel\r\n");
    world.delivered(&letter);
    world.delivered(&letter.clone().header("Content-Type", "text/html").body("<p>Corps-Confidentiel</p>\r\n"));
    let refused = Letter::new("espion.inconnu@ailleurs.example", &["libre@listes.example"]);
    world.postfix.send(&refused);
    let log: String = world.gateway.records().iter().map(ToString::to_string).collect();
    let daemon = world.gateway.daemon_log();
    for secret in ["Sujet-Confidentiel", "Corps-Confidentiel", "liste-a@candidats", "espion.inconnu", &letter.id] {
        assert!(!log.contains(secret), "{secret} is in the decision log");
        assert!(!daemon.contains(secret), "{secret} is in the daemon's output:\n{daemon}");
    }
    assert!(daemon.contains("DEBUG") && !daemon.contains("got character") && !daemon.contains('\u{1b}'), "{daemon}");
}

/// A header value with its encoded words decoded.
fn decoded(value: &str) -> String {
    let message = format!("Subject: {value}\r\n\r\n");
    let parsed = mail_parser::MessageParser::default().parse(message.as_bytes()).unwrap();
    parsed.subject().unwrap_or_default().to_owned()
}
