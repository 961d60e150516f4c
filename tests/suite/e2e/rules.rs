//! Each rule of the table with a message that must trip it and one that must not.

use super::world::{World, from_a, from_b};
use crate::mta::letter::Letter;

#[test]
fn mail_that_no_rule_concerns_passes_untouched() {
    let world = World::shared();
    let letter = Letter::new("quelqu.un@ailleurs.example", &["ami@voisin.example"])
        .attach("photo.jpg", "image/jpeg", &[7; 3000])
        .header("Disposition-Notification-To", "quelqu.un@ailleurs.example");
    let received = world.delivered(&letter);
    assert_eq!(received.sender, "quelqu.un@ailleurs.example");
    assert!(
        received.bytes.ends_with(&letter.bytes),
        "but for the Received line it is the same:\n{}",
        received.header()
    );
    assert!(received.header_values("X-Charter-Reference").is_empty());
}

#[test]
fn a_registered_and_proven_sender_reaches_the_list() {
    let world = World::shared();
    let received = world.delivered(&from_a("libre@listes.example"));
    let record = world.record_of_delivered(&received);
    assert_eq!(record["verdict"], "accept");
    assert_eq!(record["judgements"][0]["proof"], "sasl");
    assert_eq!(record["judgements"][0]["list"], "libre@listes.example");
}

#[test]
fn a_deactivated_mailbox_is_refused_and_a_suspended_one_takes_mail() {
    let world = World::shared();
    let letter = Letter::new("quelqu.un@ailleurs.example", &["partie@organisation.example"]);
    let reply = world.refused(&letter, 550, "recipient-deactivated", "t:deactivated");
    assert!(reply.text().starts_with("5.2.1 "), "{reply}");
    world.delivered(&Letter::new("quelqu.un@ailleurs.example", &["en-conge@organisation.example"]));
}

#[test]
fn a_deactivated_mailbox_does_not_take_the_other_recipients_with_it() {
    let world = World::shared();
    let letter =
        Letter::new("quelqu.un@ailleurs.example", &["partie@organisation.example", "presente@organisation.example"]);
    let outcome = world.postfix.send(&letter);
    assert_eq!(outcome.rcpt[0].code, 550, "{outcome:?}");
    assert!(outcome.is_accepted(), "{outcome:?}");
    assert_eq!(world.sink.wait_for_id(&letter.id).recipients, ["presente@organisation.example"]);
}

#[test]
fn outside_the_period_nobody_may_write() {
    let world = World::shared();
    let reply = world.refused(&from_a("close@listes.example"), 550, "period-closed", "t:period");
    assert!(reply.text().contains("19/06/2018"), "{reply}");
    let reply = world.refused(&from_a("avenir@listes.example"), 550, "period-not-open", "t:period");
    assert!(reply.text().contains("21/06/2018"), "{reply}");
    world.delivered(&from_a("derniers-jours@listes.example"));
}

#[test]
fn whoever_is_not_on_the_register_may_not_write() {
    let world = World::shared();
    let letter = Letter::new("inconnu@ailleurs.example", &["libre@listes.example"]);
    world.refused(&letter, 550, "sender-unknown", "t:sender");
}

#[test]
fn a_forged_from_proves_nothing() {
    let world = World::shared();
    let letter = Letter::new("liste-a@candidats.example", &["libre@listes.example"]);
    world.refused(&letter, 550, "sender-not-proven", "t:sender");
    world.refused(&letter.login("autre", "secret"), 550, "sender-not-proven", "t:sender");
}

#[test]
fn a_sender_is_bound_to_its_lists() {
    let world = World::shared();
    world.refused(&from_b("petite@listes.example"), 550, "sender-other-list", "t:sender");
    world.delivered(&from_b("libre@listes.example"));
}

#[test]
fn a_sender_without_adherence_is_refused() {
    let letter = Letter::new("liste-c@candidats.example", &["libre@listes.example"]).login("liste-c", "secret");
    World::shared().refused(&letter, 550, "sender-not-adhered", "t:sender");
}

#[test]
fn no_spelling_of_a_lists_address_slips_past_it() {
    let world = World::shared();
    for spelling in [
        "LIBRE@LISTES.EXAMPLE",
        "Libre@listes.example.",
        "\"libre\"@listes.example",
        "\"li\\bre\"@listes.example",
        "libre+x@listes.example",
        "tous@listes.example",
        "tou\u{17f}@listes.example",
        "touſ@li\u{17f}tes.example",
        "@relais.example:libre@listes.example",
    ] {
        let letter = Letter::new("inconnu@ailleurs.example", &[spelling]);
        let outcome = world.postfix.send(&letter);
        assert!(!outcome.is_accepted(), "{spelling} slipped past: {outcome:?}");
        assert!(world.sink.with_id(&letter.id).is_empty(), "{spelling}");
    }
}

#[test]
fn a_delegate_uses_its_mailboxes_and_no_others() {
    let world = World::shared();
    let from = |mailbox: &str| Letter::new(mailbox, &["libre@listes.example"]).login("autre", "secret");
    world.delivered(&from("liste-b-secretariat@candidats.example"));
    let outcome = world.postfix.send(&from("liste-b@candidats.example"));
    assert_eq!(outcome.last().code, 550, "{outcome:?}");
    let record = world.record_of(outcome.last());
    let reason = &record["judgements"][0]["reason"];
    assert!(reason == "sender-not-proven" || reason == "login-differs", "{record}");
}

#[test]
fn from_is_exactly_one_mailbox() {
    let world = World::shared();
    let to = "libre@listes.example";
    let a = "liste-a@candidats.example";
    for (letter, reason) in [
        (from_a(to).header("From", ""), "from-missing"),
        (from_a(to).another_header("From", "liste-b@candidats.example"), "from-several"),
        (from_a(to).header("From", &format!("{a}, liste-b@candidats.example")), "from-several"),
    ] {
        let outcome = world.postfix.send(&letter);
        assert_eq!(outcome.last().code, 554, "{reason}: {outcome:?}");
        let record = world.record_of(outcome.last());
        assert_eq!(record["judgements"][0]["reason"], reason, "{record}");
    }
    world.delivered(&from_a(to).header("From", &format!("\"Liste A, collège C\" <{a}>")));
}

#[test]
fn a_reply_to_list_mail_does_not_go_back_to_the_list() {
    let world = World::shared();
    let list = "collectif@listes.example";
    let reply = from_a(list)
        .header("Subject", "Re: [Collectif] Bonjour")
        .header("In-Reply-To", "<1.2@candidats.example>")
        .header("References", "<1.2@candidats.example>");
    world.refused(&reply, 550, "answers-list", "t:reply");
    world.delivered(&from_a(list));
}

#[test]
fn a_list_stands_alone_among_the_recipients() {
    let world = World::shared();
    let mixed = Letter::new("liste-a@candidats.example", &["libre@listes.example", "ami@voisin.example"]);
    let outcome = world.postfix.send(&mixed.login("liste-a", "secret"));
    assert_eq!(outcome.last().code, 550, "{outcome:?}");
    assert_eq!(world.record_of(outcome.last())["judgements"][0]["reason"], "recipients-mixed");
}

#[test]
fn a_message_over_the_size_is_refused_with_the_limit_and_advice() {
    let world = World::shared();
    let list = "petite@listes.example";
    let reply = world.refused(&from_a(list).body("x".repeat(11_000) + "\r\n"), 552, "too-large", "t:size");
    assert!(reply.text().contains("10 ko au plus") && reply.text().contains("Un lien suffit."), "{reply}");
    world.delivered(&from_a(list).body("x".repeat(900) + "\r\n"));
}

#[test]
fn a_declared_size_over_the_limit_is_refused_before_the_content_travels() {
    let world = World::shared();
    let letter = Letter { sender_parameters: "SIZE=20000".to_owned(), ..from_a("petite@listes.example") };
    let outcome = world.postfix.send(&letter);
    assert_eq!(outcome.data.as_ref().map(|reply| reply.code), Some(552), "{outcome:?}");
    assert!(outcome.end.is_none());
}

#[test]
fn a_quota_counts_what_was_accepted_and_nothing_else() {
    let world = World::shared();
    let list = "comptee@listes.example";
    // Refused for another reason: it costs nothing.
    let refused = from_a(list).another_header("From", "liste-b@candidats.example");
    assert!(!world.postfix.send(&refused).is_accepted());
    world.delivered(&from_a(list));
    world.delivered(&from_a(list));
    let reply = world.refused(&from_a(list), 550, "quota-exhausted", "t:quota");
    assert!(reply.text().contains("2 message(s)"), "{reply}");
    // Another sender has a quota of its own, and another list is not counted here.
    world.delivered(&from_b(list));
    world.delivered(&from_a("libre@listes.example"));
}

#[test]
fn a_message_that_reads_differently_is_refused() {
    let world = World::shared();
    let list = "sans-fichiers@listes.example";
    let ambiguous =
        from_a(list).attach("a.txt", "text/plain", b"x").another_header("Content-Type", "text/plain; charset=us-ascii");
    world.refused(&ambiguous, 554, "structure-ambiguous", "t:structure");
}

#[test]
fn attachments_are_stripped_or_refused_as_the_list_says() {
    let world = World::shared();
    let content = b"%PDF-1.4 secret content of the file";
    let stripped =
        world.delivered(&from_a("sans-fichiers@listes.example").attach("tract.pdf", "application/pdf", content));
    let encoded = data_encoding::BASE64_MIME.encode(content);
    assert!(!stripped.body_text().contains(encoded.trim_end()), "the file is gone:\n{}", stripped.body_text());
    assert!(stripped.body_text().contains("Bonjour à toutes et à tous."), "the text stays:\n{}", stripped.body_text());
    assert!(stripped.body_text().contains("t:attachments"), "the notice quotes the clause:\n{}", stripped.body_text());
    let refused = from_a("refuse-fichiers@listes.example").attach("tract.pdf", "application/pdf", content);
    world.refused(&refused, 550, "attachment", "t:attachments");
    world.delivered(&from_a("refuse-fichiers@listes.example"));
    // Monitored: recorded, delivered, and nothing touched.
    let observed = from_a("observee@listes.example").attach("tract.pdf", "application/pdf", content);
    let received = world.delivered(&observed);
    assert!(received.body_text().contains(encoded.trim_end()));
    let record = world.gateway.records().into_iter().rev().map(|line| line.to_string());
    assert!(record.into_iter().any(|line| line.contains("observee@listes.example") && line.contains("monitor")));
}

#[test]
fn a_petition_is_refused_and_a_link_is_not() {
    let world = World::shared();
    let list = "sans-petition@listes.example";
    let petition = from_a(list).header("Subject", "Signez la pétition").body(
        "Signez et faites signer notre pétition en ligne pour le maintien des postes !\r\n\
         https://www.change.org/p/maintien-des-postes\r\n\
         Déjà 1 250 signatures, objectif 2 000.\r\n",
    );
    world.refused(&petition, 550, "petition", "t:petition");
    let link = from_a(list).body("Notre profession de foi : https://liste-a.example/programme\r\n");
    world.delivered(&link);
}

#[test]
fn a_chain_letter_is_refused() {
    let world = World::shared();
    let chain = from_a("sans-petition@listes.example").body(
        "URGENT ! Virus très dangereux. Transférez ce message à tous vos contacts avant minuit.\r\n\
         Faites suivre à tous vos collègues, ne brisez pas la chaîne !\r\n",
    );
    world.refused(&chain, 550, "chain-letter", "t:chain");
}

#[test]
fn near_copies_in_number_are_refused() {
    let world = World::shared();
    let list = "sans-copies@listes.example";
    let text = "Monsieur le directeur, nous vous demandons solennellement de revenir sur la fermeture du site de Bobigny, \
                décidée sans aucune concertation avec les agents ni avec leurs représentants élus au comité.\r\n";
    world.delivered(&from_a(list).body(text));
    world.delivered(&from_a(list).body(text));
    world.refused(&from_a(list).body(text), 550, "copies", "t:copies");
    world.delivered(
        &from_a(list).body("Un tout autre texte, qui ne ressemble en rien aux précédents, sur les congés d'été.\r\n"),
    );
}

#[test]
fn a_list_may_ask_that_other_recipients_are_hidden() {
    let world = World::shared();
    let shown = from_a("collectif@listes.example").header("Cc", "ami@voisin.example");
    let outcome = world.postfix.send(&shown);
    assert_eq!(outcome.last().code, 550, "{outcome:?}");
    assert!(outcome.last().text().contains("[t:recipients]"), "{outcome:?}");
}

#[test]
fn a_tracking_pixel_is_refused() {
    let world = World::shared();
    let list = "sans-traceurs@listes.example";
    let html = |image: &str| {
        from_a(list)
            .header("Content-Type", "text/html; charset=utf-8")
            .body(format!("<html><body><p>Bonjour</p>{image}</body></html>\r\n"))
    };
    let pixel = html(r#"<img src="https://stats.example/ouvert.gif?id=42" width="1" height="1" alt="">"#);
    world.refused(&pixel, 550, "tracker", "t:tracking");
    world.delivered(&html(""));
}
