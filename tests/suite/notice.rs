//! The information notice says what the four shipped charters really do, in their language.

use charter_milter::config::Config;
use charter_milter::wording::information::notice;

#[test]
fn the_notice_of_each_charter_names_its_lists_its_checks_and_its_rights() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/charters");
    for (file, must, must_not) in [
        ("cnrs-2018.toml", ["11/06/2018", "22:00", "désabonnement"], "Aucune statistique"),
        ("drancy.toml", ["drancy:", "Aucune statistique", "365 jours"], "22:00"),
        ("prime-minister.toml", ["n'est lu ni par une personne", "pm:", "journal"], "pétitions électroniques"),
        ("assurance-maladie.toml", ["am:", "journal", "décharge"], "22:00"),
    ] {
        let config = Config::load_charters(&[directory.join(file)]).unwrap();
        let text = notice(&config.charters[0], 365).text();
        for words in must {
            assert!(text.contains(words), "{file} lacks {words}:\n{text}");
        }
        assert!(!text.contains(must_not), "{file} says {must_not}:\n{text}");
    }
}

#[test]
fn the_page_escapes_what_a_charter_says() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/charters/cnrs-2018.toml");
    let mut config = Config::load_charters(&[directory]).unwrap();
    let charter = std::sync::Arc::make_mut(&mut config.charters[0]);
    charter.title = "<script>alert(1)</script>".to_owned();
    let page = notice(charter, 1).html(charter.language);
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
}

/// A charter with these rules, and what else a file may say, in this language.
fn told(language: &str, rules: &str, more: &str) -> String {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let charter = format!(
        r#"
[charter]
id       = "essai"
title    = "Charte d'essai"
timezone = "Europe/Paris"
language = "{language}"
{more}
[[sender]]
name      = "Liste A"
addresses = ["a@candidats.example"]
proofs    = [{{ sasl = "liste-a" }}]
lists     = ["membres@listes.example", "jury@listes.example"]

[[sender]]
name      = "Liste B"
addresses = ["b@candidats.example"]
proofs    = [{{ sasl = "liste-b" }}]
lists     = ["membres@listes.example"]
period    = {{ opens = 2026-11-09, closes = 2026-11-13 }}

[[list]]
address = "membres@listes.example"
label   = "Membres"

[[list]]
address = "jury@listes.example"
label   = "Jury"
period  = {{ opens = 2026-12-01, closes = 2026-12-04, clause = "essai:1" }}

[list.rules]
size = {{ max = "1 MB", clause = "essai:2" }}

[period]
opens  = 2026-11-02
closes = 2026-11-20
clause = "essai:1"

[rules]
sender = {{ clause = "essai:1" }}
{rules}

[[clause]]
id   = "essai:1"
text = "Qui, et quand."

[[clause]]
id   = "essai:2"
text = "Comment."
"#
    );
    std::fs::write(file.path(), charter).unwrap();
    let config = Config::load_charters(&[file.path().to_path_buf()]).unwrap();
    notice(&config.charters[0], 365).text()
}

fn says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(&format!("* {line}\n")), "the notice lacks {line:?}:\n{text}");
    }
}

#[test]
fn what_passes_is_not_said_to_be_removed() {
    let lenient = r#"
attachments = { action = "allow", classes = { calendar = "tag", file = "strip" }, signed = "wrap", clause = "essai:2" }
structure   = { ambiguous = "tag", encrypted = true, clause = "essai:2" }
tracking    = { action = "reject", clause = "essai:2" }
receipts    = { action = "pass", clause = "essai:2" }
petition    = { action = "tag", clause = "essai:2" }
flood       = { messages = 60, within = "2 hours", clause = "essai:2" }
"#;
    let strict = r#"
attachments = { inline_images = "20 kB", clause = "essai:2" }
structure   = { clause = "essai:2" }
tracking    = { action = "strip", clause = "essai:2" }
receipts    = { action = "reject", clause = "essai:2" }
petition    = { action = "reject", clause = "essai:2" }
flood       = { messages = 3, within = "1 day", of = "list", clause = "essai:2" }
"#;
    says(
        &told("fr", lenient, ""),
        &[
            "Les fichiers joints passent ; invitation ou rendez-vous : signalement ; fichier : retrait ; un fichier couvert par \
             une signature reste (essai:2).",
            "Les messages que deux logiciels liraient différemment sont signalés ; les messages chiffrés passent (essai:2).",
            "Les messages qui mesurent leur audience sont refusés (essai:2).",
            "Les demandes d'accusé de réception passent (essai:2).",
            "Les pétitions électroniques, reconnues à des indices, sont signalées (essai:2).",
            "Au-delà de 60 messages en 2 heures, l'expéditeur est suspendu jusqu'à vérification (essai:2).",
        ],
    );
    says(
        &told("en", lenient, ""),
        &[
            "Attachments pass; invitation or appointment: marked; file: removed; a file under a signature stays (essai:2).",
            "Messages that two programs would read differently are marked; encrypted messages pass (essai:2).",
            "Messages that track their readers are refused (essai:2).",
            "Requests for receipts pass (essai:2).",
            "E-petitions, recognised by signals, are marked (essai:2).",
            "After 60 messages within 2 hours, the sender is suspended until somebody has looked (essai:2).",
        ],
    );
    says(
        &told("fr", strict, ""),
        &[
            "Les fichiers joints sont retirés ; les images du texte passent jusqu'à environ 20 ko ; un message signé dont un \
             fichier serait à retirer est refusé (essai:2).",
            "Les messages que deux logiciels liraient différemment sont refusés ; les messages chiffrés sont refusés (essai:2).",
            "Les dispositifs de mesure d'audience sont retirés (essai:2).",
            "Les messages qui demandent un accusé de réception sont refusés (essai:2).",
            "Les pétitions électroniques, reconnues à des indices, sont refusées (essai:2).",
            "Au-delà de 3 messages en 1 jour, la liste est suspendue jusqu'à vérification (essai:2).",
        ],
    );
}

#[test]
fn what_is_on_trial_is_said_to_be_without_effect() {
    let rules = r#"
tracking     = { action = "strip", mode = "monitor", clause = "essai:2" }
receipts     = { action = "remove", clause = "essai:2" }
list_headers = { unsubscribe = "https://listes.example/quitter", mode = "monitor", clause = "essai:2" }
"#;
    let text = told("fr", rules, "");
    says(
        &text,
        &[
            "Les dispositifs de mesure d'audience sont retirés (essai:2). Règle à l'essai : ce qu'elle constate est inscrit au \
             journal, et reste sans effet.",
            "Les demandes d'accusé de réception sont retirées (essai:2).",
        ],
    );
    assert!(!text.contains("désabonnement"), "no message has the link yet:\n{text}");
    says(
        &told("en", rules, ""),
        &["Trackers are removed (essai:2). This rule is on trial: what it finds is recorded and not acted on."],
    );
    for (language, title, words) in [
        ("fr", "À l'essai\n---------", "elles ne refusent, ne retiennent et ne modifient aucun message"),
        ("en", "On trial\n--------", "they refuse, hold and change no message"),
    ] {
        let text = told(language, "tracking = { action = \"strip\", clause = \"essai:2\" }", "mode = \"monitor\"");
        assert!(text.contains(title) && text.contains(words), "{text}");
        assert!(
            !text.contains("Règle à l'essai") && !text.contains("This rule is on trial"),
            "it is said once:\n{text}"
        );
        assert!(!told(language, "", "").contains(title));
    }
}

#[test]
fn each_list_and_sender_has_its_own_dates_and_rules() {
    says(
        &told("fr", "", ""),
        &[
            "Membres (membres@listes.example) : Liste A, Liste B (du 09/11/2026 au 13/11/2026 inclus).",
            "Jury (jury@listes.example) : Liste A. Du 01/12/2026 au 04/12/2026 inclus.",
            "Listes sans dates propres : du 02/11/2026 au 20/11/2026 inclus.",
            "L'expéditeur est inscrit au registre et prouvé (essai:1).",
            "La taille du message est limitée (essai:2). S'applique à : Jury.",
        ],
    );
    says(
        &told("en", "", ""),
        &[
            "Membres (membres@listes.example): Liste A, Liste B (from 2026-11-09 to 2026-11-13, both included).",
            "Jury (jury@listes.example): Liste A. From 2026-12-01 to 2026-12-04, both included.",
            "Lists without dates of their own: from 2026-11-02 to 2026-11-20, both included.",
            "The size of the message is limited (essai:2). Applies to Jury.",
        ],
    );
}

#[test]
fn who_has_not_adhered_is_not_said_to_write() {
    let config = Config::load_charters(&[std::path::Path::new("tests/check/charter.toml").to_path_buf()]).unwrap();
    let text = notice(&config.charters[0], 365).text();
    assert!(text.contains(" Liste A, Liste C (seulement après avoir adhéré à la charte), Liste D"), "{text}");
}

#[test]
fn private_mail_is_said_not_to_be_looked_into() {
    let exempt = r#"
[exemptions]
mailboxes     = ["medecin@organisation.example"]
subject_words = ["Personnel", "Privé"]
clause        = "essai:2"
"#;
    says(
        &told("fr", "", exempt),
        &[
            "Le courrier privé n'est pas examiné : aucune règle n'en lit le texte. Sont privés les messages dont l'objet commence \
           par : Personnel, Privé ; les messages de certaines boîtes et ceux qu'elles reçoivent (boîtes désignées : 1) (essai:2).",
        ],
    );
    says(
        &told("en", "", exempt),
        &[
            "Private mail is not looked into: no rule reads its text. Private are messages whose subject begins with Personnel, \
           Privé; messages from and to certain mailboxes (named: 1) (essai:2).",
        ],
    );
    assert!(!told("fr", "", "").contains("privé"));
}
