//! Every rule of the table, with a message that must trip it and one that must not, through the same code as the
//! daemon's. State that only the store has (quotas, copies, stops, waiting mail) is tested behind a real mail server.

use std::fmt::Write as _;
use std::sync::Arc;

use charter_milter::charter::rules::RuleName;
use charter_milter::charter::verdict::{Outcome, ReasonCode, Verdict};
use charter_milter::config::Config;
use charter_milter::gateway::{Explained, InForce, explain};
use charter_milter::message::address::Address;
use charter_milter::message::envelope::{Envelope, Recipient};

const LIST: &str = "electeurs@lists.example";

const CHARTER: &str = r#"
[charter]
id = "test"
title = "Charte d'essai"
timezone = "Europe/Paris"
domains = ["ville.example"]
contest = "commission@ville.example"
{charter}

[period]
opens = 2026-03-02
closes = 2026-03-20
clause = "t:period"

[night_window]
from = 22:00:00
to = 06:00:00
clause = "t:night"

[[list]]
address = "electeurs@lists.example"
aliases = ["tous@lists.example"]
label = "Élections 2026"
return_path = "retours@lists.example"

[[list]]
address = "autres@lists.example"
label = "Autres"

[[sender]]
name = "Liste A"
addresses = ["liste-a@ville.example", "second@ville.example"]
proofs = [{ sasl = "liste-a" }]
lists = ["electeurs@lists.example"]
adhered = 2026-02-01

[[sender.delegate]]
login = "deleguee"
mailboxes = ["second@ville.example"]

[[sender]]
name = "Liste B"
addresses = ["liste-b@ville.example"]
proofs = [{ network = ["192.0.2.0/24"] }]
lists = ["autres@lists.example"]
adhered = 2026-02-01

[[sender]]
name = "Liste C"
addresses = ["liste-c@ville.example"]
proofs = [{ tls = "liste-c.example" }]
lists = ["electeurs@lists.example"]

[[sender]]
name = "Liste D"
addresses = ["liste-d@ville.example"]
proofs = [{ sasl = "liste-d" }]
lists = ["electeurs@lists.example"]
adhered = 2026-02-01
period = { opens = 2026-03-10, closes = 2026-03-15 }

[rules]
sender = { clause = "t:sender", adherence = true }
identity = { action = "reject", envelope = true, login = true, clause = "t:identity" }
reply = { clause = "t:reply" }
size = { max = "10 kB", clause = "t:size" }
structure = { ambiguous = "reject", clause = "t:structure" }
attachments = { action = "strip", signed = "reject", clause = "t:attachments" }
petition = { action = "reject", threshold = 1.0, clause = "t:petition" }
receipts = { action = "remove", clause = "t:receipts" }
subject = { tag = "[Élections]", clause = "t:subject" }
reply_to = { to = "sender", clause = "t:reply-to" }
return_path = { clause = "t:return-path" }
banner = { footer = "Se désabonner : https://x.example/", signed = "wrap", clause = "t:banner" }
{rules}

{tail}
"#;

/// A message on its way, and the world it arrives in.
#[derive(Clone)]
struct Arrival {
    charter: String,
    rules: String,
    tail: String,
    /// Another charter that names the same lists.
    beside: String,
    at: &'static str,
    login: Option<&'static str>,
    client: Option<&'static str>,
    certificate: Option<&'static str>,
    sender: &'static str,
    recipients: Vec<&'static str>,
    parameters: Vec<String>,
    header: String,
    body: String,
}

impl Arrival {
    /// A message that nothing is wrong with, inside the night window.
    fn fine() -> Self {
        Self {
            charter: String::new(),
            rules: String::new(),
            tail: String::new(),
            beside: String::new(),
            at: "2026-03-12T23:00:00+01:00",
            login: Some("liste-a"),
            client: Some("198.51.100.7"),
            certificate: None,
            sender: "liste-a@ville.example",
            recipients: vec![LIST],
            parameters: Vec::new(),
            header: "From: Liste A <liste-a@ville.example>\r\nTo: electeurs@lists.example\r\n\
                     Subject: Notre programme\r\nMessage-ID: <1@ville.example>\r\n"
                .to_owned(),
            body: "Chers collègues,\r\n\r\nVotez.\r\n".to_owned(),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn header(self, from: &str, to: &str) -> Self {
        self.with(|arrival| {
            assert!(arrival.header.contains(from), "{from}");
            arrival.header = arrival.header.replace(from, to);
        })
    }

    fn judge(&self) -> Option<Explained> {
        let directory = tempfile::tempdir().unwrap();
        let clauses = [
            "period",
            "night",
            "sender",
            "identity",
            "reply",
            "size",
            "structure",
            "attachments",
            "petition",
            "receipts",
            "subject",
            "reply-to",
            "return-path",
            "banner",
            "more",
        ];
        let mut charter =
            CHARTER.replace("{charter}", &self.charter).replace("{rules}", &self.rules).replace("{tail}", &self.tail);
        for clause in clauses {
            write!(charter, "\n[[clause]]\nid = \"t:{clause}\"\ntext = \"x\"\n").unwrap();
        }
        std::fs::create_dir(directory.path().join("charters")).unwrap();
        for (name, text) in [("a.toml", &charter), ("b.toml", &self.beside)].iter().filter(|(_, text)| !text.is_empty())
        {
            std::fs::write(directory.path().join("charters").join(name), text).unwrap();
        }
        let main = directory.path().join("main.toml");
        std::fs::write(
            &main,
            "charters = [\"charters/*.toml\"]\nstate_directory = \"/nonexistent\"\n[mta]\nkind = \"postfix\"\n",
        )
        .unwrap();
        let config = Config::load(&main).unwrap_or_else(|report| panic!("{}", report.render(false)));
        let recipients = self.recipients.iter().map(|address| Recipient {
            raw: format!("<{address}>"),
            address: Address::parse(address).ok(),
            parameters: self.parameters.clone(),
        });
        let envelope = Envelope {
            client_address: self.client.map(|client| client.parse().unwrap()),
            sasl_login: self.login.map(str::to_owned),
            tls_subject: self.certificate.map(str::to_owned),
            sender: Address::parse(self.sender).ok(),
            recipients: recipients.collect(),
            ..Envelope::default()
        };
        let raw = format!("{}\r\n{}", self.header, self.body).into_bytes();
        let in_force = Arc::new(InForce::new(config));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(explain(&in_force, &envelope, raw, self.at.parse().unwrap(), None))
    }

    /// Asserts that the message passes, untouched by a refusal of any kind.
    fn passes(&self) -> Explained {
        let explained = self.judge().expect("a charter is concerned");
        assert_eq!(explained.verdict(), Verdict::Accept, "{:?}", explained.reply());
        explained
    }

    /// Asserts that this rule refuses the message for this reason.
    fn is_refused(&self, rule: RuleName, reason: ReasonCode) -> Explained {
        let explained = self.judge().expect("a charter is concerned");
        assert_eq!(explained.verdict(), Verdict::Reject, "{rule} {reason}");
        let (_, finding) = explained.decision.leading().unwrap();
        assert_eq!((finding.rule, finding.reason()), (rule, Some(reason)));
        explained
    }
}

fn outcome(explained: &Explained, rule: RuleName) -> &Outcome {
    let mut findings = explained.decision.rulings.iter().flat_map(|ruling| &ruling.findings);
    &findings.find(|finding| finding.rule == rule).expect("every rule leaves a finding").outcome
}

#[test]
fn a_message_that_nothing_is_wrong_with_passes_with_its_edits() {
    let explained = Arrival::fine().passes();
    assert!(!explained.at_envelope);
    let result = String::from_utf8(explained.result().unwrap()).unwrap();
    assert!(result.contains("Reply-To: liste-a@ville.example"), "{result}");
    assert!(result.contains("https://x.example/"), "{result}");
    let order: Vec<_> = explained.decision.rulings[0].findings.iter().map(|finding| finding.rule).collect();
    assert!(order.is_sorted(), "the record keeps the order of the table");
    for rule in RuleName::ALL.iter().filter(|rule| **rule != RuleName::Gateway) {
        assert!(order.contains(rule), "{rule} leaves no finding");
    }
}

#[test]
fn mail_to_nobody_s_list_concerns_nobody() {
    let elsewhere = Arrival::fine().with(|arrival| arrival.recipients = vec!["someone@ville.example"]);
    assert!(elsewhere.judge().is_none());
}

#[test]
fn a_list_is_found_under_every_spelling() {
    for spelling in [
        "ELECTEURS@LISTS.EXAMPLE",
        "electeurs+tract@lists.example",
        "\"electeurs\"@lists.example",
        "electeurs@lists.example.",
        "tous@lists.example",
        "@relais.example:electeurs@lists.example",
        "electeurs%lists.example@ville.example",
    ] {
        let spelled = Arrival::fine().with(|arrival| {
            arrival.recipients = vec![spelling];
            arrival.login = None;
        });
        spelled.is_refused(RuleName::Sender, ReasonCode::SenderNotProven);
    }
}

#[test]
fn period_counts_local_days_both_included() {
    let at = |at| Arrival::fine().with(|arrival| arrival.at = at);
    at("2026-03-02T00:00:00+01:00").passes();
    at("2026-03-20T23:59:59+01:00").passes();
    at("2026-03-01T23:59:59+01:00").is_refused(RuleName::Period, ReasonCode::PeriodNotOpen);
    let closed = at("2026-03-21T00:00:00+01:00").is_refused(RuleName::Period, ReasonCode::PeriodClosed);
    assert!(closed.at_envelope, "the envelope decides; the content need not travel");
}

#[test]
fn outside_the_window_a_message_waits_and_after_the_last_one_it_is_refused() {
    let at = |at| Arrival::fine().with(|arrival| arrival.at = at);
    let held = at("2026-03-12T21:59:59+01:00").judge().unwrap();
    assert_eq!(held.verdict(), Verdict::Hold);
    assert_eq!(held.decision.held_until(), Some("2026-03-12T22:00:00+01:00".parse().unwrap()));
    at("2026-03-12T22:00:00+01:00").passes();
    at("2026-03-13T05:59:59+01:00").passes();
    assert_eq!(at("2026-03-13T06:00:00+01:00").judge().unwrap().verdict(), Verdict::Hold);
    let last_evening = at("2026-03-20T12:00:00+01:00").judge().unwrap();
    assert_eq!(last_evening.verdict(), Verdict::Hold, "two hours of the window are inside the period");
    let monitored =
        at("2026-03-12T12:00:00+01:00").with(|arrival| arrival.charter = "mode = \"monitor\"".to_owned()).passes();
    assert!(monitored.edits().is_empty(), "monitor touches nothing");
}

#[test]
fn where_two_charters_apply_a_message_waits_for_both() {
    let national = |hours: &str, closes: &str| {
        format!(
            "[charter]\nid = \"national\"\ntitle = \"Nationale\"\ntimezone = \"Europe/Paris\"\n\
             domains = [\"ville.example\"]\nshared = true\n\
             [period]\nopens = 2026-03-02\ncloses = {closes}\nclause = \"n:1\"\n{hours}\n\
             [[list]]\naddress = \"{LIST}\"\nlabel = \"Tous\"\n\
             [[sender]]\nname = \"Union A\"\naddresses = [\"liste-a@ville.example\"]\n\
             proofs = [{{ sasl = \"liste-a\" }}]\nlists = [\"{LIST}\"]\n\
             [rules]\nsender = {{ clause = \"n:1\" }}\n[[clause]]\nid = \"n:1\"\ntext = \"x\"\n"
        )
    };
    let night = |from: &str, to: &str| format!("[night_window]\nfrom = {from}\nto = {to}\nclause = \"n:1\"");
    let at = |at, hours: &str, closes| {
        Arrival::fine().with(|arrival| (arrival.at, arrival.beside) = (at, national(hours, closes)))
    };
    let until = |arrival: Arrival| {
        let held = arrival.judge().unwrap();
        assert_eq!(held.verdict(), Verdict::Hold);
        held.decision.held_until().unwrap()
    };
    let instant = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let late = night("23:30:00", "04:00:00");
    // The test's own charter opens at 22:00.
    assert_eq!(until(at("2026-03-12T12:00:00+01:00", &late, "2026-03-20")), instant("2026-03-12T23:30:00+01:00"));
    assert_eq!(until(at("2026-03-12T23:00:00+01:00", &late, "2026-03-20")), instant("2026-03-12T23:30:00+01:00"));
    at("2026-03-12T23:45:00+01:00", &late, "2026-03-20").passes();
    assert_eq!(until(at("2026-03-13T05:00:00+01:00", &late, "2026-03-20")), instant("2026-03-13T23:30:00+01:00"));
    // The other charter has no hours, and its last evening ends before this one's window opens once more.
    at("2026-03-12T23:00:00+01:00", "", "2026-03-12").passes();
    assert_eq!(until(at("2026-03-12T12:00:00+01:00", "", "2026-03-12")), instant("2026-03-12T22:00:00+01:00"));
    let evening = at("2026-03-12T21:00:00+01:00", &night("01:00:00", "05:00:00"), "2026-03-12");
    evening.is_refused(RuleName::NightWindow, ReasonCode::DeliveryImpossible);
    let noon = night("12:00:00", "14:00:00");
    let never = at("2026-03-12T13:00:00+01:00", &noon, "2026-03-20");
    never.is_refused(RuleName::NightWindow, ReasonCode::DeliveryImpossible);
    // On trial, it binds nothing.
    let trial = format!("{noon}\nmode = \"monitor\"");
    at("2026-03-12T23:00:00+01:00", &trial, "2026-03-20").passes();
}

#[test]
fn a_sender_is_registered_bound_adhered_open_and_proven() {
    let other = |mailbox: &'static str| {
        Arrival::fine().header("Liste A <liste-a@ville.example>", mailbox).with(|arrival| arrival.sender = mailbox)
    };
    other("inconnu@ville.example").is_refused(RuleName::Sender, ReasonCode::SenderUnknown);
    other("liste-b@ville.example").is_refused(RuleName::Sender, ReasonCode::SenderOtherList);
    other("liste-c@ville.example").is_refused(RuleName::Sender, ReasonCode::SenderNotAdhered);
    let own_dates =
        |at| other("liste-d@ville.example").with(|arrival| (arrival.at, arrival.login) = (at, Some("liste-d")));
    own_dates("2026-03-09T23:00:00+01:00").is_refused(RuleName::Sender, ReasonCode::SenderNotOpen);
    own_dates("2026-03-10T23:00:00+01:00").passes();
    own_dates("2026-03-16T23:00:00+01:00").is_refused(RuleName::Sender, ReasonCode::SenderClosed);
    let forged = Arrival::fine().with(|arrival| arrival.login = None);
    let refused = forged.is_refused(RuleName::Sender, ReasonCode::SenderNotProven);
    let reply = refused.reply().unwrap();
    assert!(
        reply.text.is_ascii() && reply.text.contains("[t:sender]") && reply.text.contains("commission@ville.example")
    );
}

#[test]
fn network_and_certificate_prove_as_well() {
    let autres = |client| {
        Arrival::fine().header("Liste A <liste-a@ville.example>", "liste-b@ville.example").with(|arrival| {
            arrival.sender = "liste-b@ville.example";
            arrival.recipients = vec!["autres@lists.example"];
            (arrival.client, arrival.login) = (Some(client), None);
        })
    };
    assert_eq!(autres("192.0.2.9").passes().decision.rulings[0].proof, Some("network"));
    autres("203.0.113.9").is_refused(RuleName::Sender, ReasonCode::SenderNotProven);
    let tls = |name| {
        Arrival::fine().header("Liste A <liste-a@ville.example>", "liste-c@ville.example").with(|arrival| {
            arrival.sender = "liste-c@ville.example";
            (arrival.certificate, arrival.login) = (Some(name), None);
        })
    };
    tls("liste-c.example").is_refused(RuleName::Sender, ReasonCode::SenderNotAdhered);
}

#[test]
fn all_names_of_a_message_agree() {
    let fine = Arrival::fine;
    fine().header("liste-a@ville.example>", "second@ville.example>").passes();
    fine().header("From: Liste A", "X-From: Liste A").is_refused(RuleName::Sender, ReasonCode::FromMissing);
    fine()
        .header("From: Liste A <liste-a@ville.example>", "From: liste-a@ville.example, maire@ville.example")
        .is_refused(RuleName::Sender, ReasonCode::FromSeveral);
    fine()
        .header("From: Liste A <liste-a@ville.example>", "From: maire@ville.example\r\nFrom: liste-a@ville.example")
        .is_refused(RuleName::Sender, ReasonCode::FromSeveral);
    fine()
        .header("Subject:", "Sender: maire@ville.example\r\nSubject:")
        .is_refused(RuleName::Identity, ReasonCode::SenderFieldDiffers);
    // Who writes for the organisation is named in Sender: a delegate with the login that says so, nobody else.
    let for_another = |login: &'static str, sender: &str| {
        fine()
            .header("liste-a@ville.example>", "second@ville.example>")
            .header("Subject:", &format!("Sender: {sender}\r\nSubject:"))
            .with(|arrival| (arrival.login, arrival.sender) = (Some(login), "second@ville.example"))
    };
    for_another("deleguee", "La Déléguée <deleguee@ville.example>").passes();
    for sender in ["maire@ville.example", "deleguee@ailleurs.example"] {
        for_another("deleguee", sender).is_refused(RuleName::Identity, ReasonCode::SenderFieldDiffers);
    }
    // What mail programs show in the place of the address is not another sender's.
    let shown_as = |name: &str| fine().header("From: Liste A <", &format!("From: {name} <"));
    for name in [
        "Liste B",
        "\"LISTE-B\"",
        "=?utf-8?q?Li=CB=9Aste_B?=",
        "\"liste-b@ville.example\"",
        "\"Vote (liste-b@VILLE.example)\"",
    ] {
        shown_as(name).is_refused(RuleName::Identity, ReasonCode::DisplayNameDiffers);
    }
    for name in [
        "",
        "Liste A",
        "\"Jean Martin, contre la liste B\"",
        "Liste BC",
        "liste-a@ville.example",
        "\"élu@ailleurs.example\"",
    ] {
        shown_as(name).passes();
    }
    fine().with(|arrival| arrival.sender = "<>").is_refused(RuleName::Sender, ReasonCode::EnvelopeSenderNull);
    fine().with(|arrival| arrival.login = Some("deleguee")).is_refused(RuleName::Sender, ReasonCode::SenderNotProven);
    fine()
        .header("liste-a@ville.example>", "second@ville.example>")
        .with(|arrival| (arrival.login, arrival.sender) = (Some("deleguee"), "second@ville.example"))
        .passes();
}

#[test]
fn an_answer_to_list_mail_does_not_go_back_to_the_list() {
    let answer = "Subject: Re: [Élections] Notre programme\r\nIn-Reply-To: <0@ville.example>";
    Arrival::fine().header("Subject: Notre programme", answer).is_refused(RuleName::Reply, ReasonCode::AnswersList);
    let automatic = "Subject: Absence\r\nAuto-Submitted: auto-replied";
    Arrival::fine().header("Subject: Notre programme", automatic).is_refused(RuleName::Reply, ReasonCode::AnswersList);
    let own_thread = "Subject: Re: Notre programme\r\nIn-Reply-To: <0@ville.example>";
    Arrival::fine().header("Subject: Notre programme", own_thread).passes();
}

#[test]
fn a_list_stands_alone_among_the_recipients() {
    // The list's other name and its sub-addresses would bring members the message once more.
    for others in [
        vec![LIST, "autres@lists.example"],
        vec!["ami@ailleurs.example", LIST],
        vec![LIST, "tous@lists.example"],
        vec![LIST, "electeurs+1@lists.example"],
        vec!["electeurs+1@lists.example", "electeurs+2@lists.example"],
    ] {
        let mixed = Arrival::fine().with(|arrival| arrival.recipients = others);
        mixed.is_refused(RuleName::Recipients, ReasonCode::RecipientsMixed);
    }
    for one in [vec!["tous@lists.example"], vec!["electeurs+1@lists.example"], vec![LIST, "Electeurs@Lists.example"]] {
        Arrival::fine().with(|arrival| arrival.recipients = one).passes();
    }
}

#[test]
fn size_is_the_whole_message() {
    let padded = |bytes: usize| {
        Arrival::fine().with(|arrival| {
            let have = arrival.header.len() + 2;
            arrival.body = "x\r\n".repeat(bytes.saturating_sub(have) / 3);
            arrival.body.push_str(&" ".repeat(bytes - have - arrival.body.len()));
        })
    };
    padded(10_000).passes();
    let refused = padded(10_001).is_refused(RuleName::Size, ReasonCode::TooLarge);
    assert_eq!(refused.reply().unwrap().code, "552");
}

fn multipart(parts: &[&str]) -> (String, String) {
    let header = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n".to_owned();
    (header, format!("--b\r\n{}\r\n--b--\r\n", parts.join("\r\n--b\r\n")))
}

fn with_parts(parts: &[&str]) -> Arrival {
    let (header, body) = multipart(parts);
    Arrival::fine().with(|arrival| {
        arrival.header.push_str(&header);
        arrival.body = body;
    })
}

#[test]
fn attachments_are_stripped_and_an_unclear_structure_is_refused() {
    let text = "Content-Type: text/plain; charset=utf-8\r\n\r\nBonjour";
    let file = "Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=tract.pdf\r\n\
                Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQ=";
    with_parts(&[text]).passes();
    let stripped = with_parts(&[text, file]).passes();
    assert!(matches!(outcome(&stripped, RuleName::Attachments), Outcome::Hit { reason: ReasonCode::Attachment, .. }));
    let result = String::from_utf8(stripped.result().unwrap()).unwrap();
    assert!(!result.contains("JVBERi0xLjQ=") && result.contains("tract.pdf"), "{result}");
    let twice = with_parts(&[text]).with(|arrival| {
        arrival.header.push_str("Content-Type: text/plain\r\n");
    });
    twice.is_refused(RuleName::Structure, ReasonCode::StructureAmbiguous);
}

#[test]
fn a_petition_is_refused_with_its_reasons_and_a_report_about_one_is_not() {
    let body = |body: &str| {
        let body = body.to_owned();
        Arrival::fine().with(move |arrival| arrival.body = body)
    };
    let petition = "Signez et faites signer la pétition : https://www.change.org/p/non-a-la-fermeture\r\n\
                    Déjà 1200 signatures, faites circuler autour de vous !\r\n";
    let refused = body(petition).is_refused(RuleName::Petition, ReasonCode::Petition);
    assert!(refused.reply().unwrap().text.contains("Motifs"), "{:?}", refused.reply());
    assert!(!refused.signals().is_empty());
    body("La charte interdit les e-pétitions ; nous la respectons. Votez le 21 mars.\r\n").passes();
}

#[test]
fn inspection_structure_does_not_read_the_text() {
    let petition = Arrival::fine().with(|arrival| {
        arrival.charter = "inspection = \"structure\"".to_owned();
        arrival.body = "Signez la pétition https://www.change.org/p/x et faites signer !\r\n".to_owned();
    });
    // The configuration warns of a rule that never runs; the decision says so in the record.
    let explained = petition.passes();
    assert_eq!(
        *outcome(&explained, RuleName::Petition),
        Outcome::NotRun(charter_milter::charter::verdict::NotRun::StructureOnly)
    );
    assert!(explained.signals().is_empty());
}

#[test]
fn exempt_mail_is_not_looked_into() {
    let tail = "[exemptions]\nmailboxes = []\nsubject_words = [\"Personnel\"]\nclause = \"t:more\"\n";
    let personal = Arrival::fine().header("Subject: Notre programme", "Subject: Personnel").with(|arrival| {
        arrival.tail = tail.to_owned();
        arrival.body = "Signez la pétition https://www.change.org/p/x et faites signer !\r\n".to_owned();
    });
    assert_eq!(*outcome(&personal.passes(), RuleName::Petition), Outcome::Exempt);
}

#[test]
fn receipts_are_removed_from_header_and_envelope() {
    let asking = Arrival::fine()
        .header("Subject:", "Disposition-Notification-To: liste-a@ville.example\r\nSubject:")
        .with(|arrival| arrival.parameters = vec!["NOTIFY=SUCCESS,FAILURE".to_owned()]);
    let explained = asking.passes();
    assert!(explained.edits().iter().any(|edit| edit.starts_with("receipts-removed")), "{:?}", explained.edits());
    assert!(explained.edits().iter().any(|edit| edit.starts_with("notify-neutralised")), "{:?}", explained.edits());
}

#[test]
fn a_receipt_request_inside_a_signature_is_marked_for_it_cannot_be_removed() {
    // id-aa-receiptRequest (RFC 2634 section 2.7) in what begins like a CMS structure.
    let signature = |attribute: &str| {
        Arrival::fine().with(|arrival| {
            arrival.header.push_str(
                "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b; micalg=sha-256;\r\n \
                 protocol=\"application/pkcs7-signature\"\r\n",
            );
            arrival.body = format!(
                "--b\r\nContent-Type: text/plain\r\n\r\nVotez.\r\n--b\r\nContent-Type: application/pkcs7-signature; \
                 name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n{attribute}\r\n--b--\r\n"
            );
        })
    };
    let result =
        String::from_utf8(signature("MIAGCSqGSIb3DQEHAgYLKoZIhvcNAQkQAgE=").passes().result().unwrap()).unwrap();
    assert!(result.contains("X-Charter-Finding: receipt-requested\r\n"), "{result}");
    let result = String::from_utf8(signature("MIAGCSqGSIb3DQEHAg==").passes().result().unwrap()).unwrap();
    assert!(!result.contains("X-Charter-Finding"), "{result}");
}

#[test]
fn general_rules_bind_everybody_in_the_organisation() {
    let general = "[general]\nexempt_networks = [\"192.0.2.0/24\"]\n[general.rules]\n\
                   identity = { action = \"reject\", envelope = true, login = false, clause = \"t:more\" }\n\
                   recipients = { per_message = 3, clause = \"t:more\" }\n\
                   disclaimer = { text = \"Sans engagement.\", official_header = \"X-Officiel\", clause = \"t:more\" }\n";
    let agent = || {
        Arrival::fine()
            .header("Liste A <liste-a@ville.example>", "agent@ville.example")
            .header("To: electeurs@lists.example", "To: ami@ailleurs.example")
            .with(|arrival| {
                arrival.tail = general.to_owned();
                (arrival.sender, arrival.login) = ("agent@ville.example", Some("agent"));
                arrival.recipients = vec!["ami@ailleurs.example"];
            })
    };
    let sent = agent().passes();
    assert!(String::from_utf8(sent.result().unwrap()).unwrap().contains("Sans engagement."));
    let official = agent().header("Subject:", "X-Officiel: oui\r\nSubject:").passes();
    assert!(!String::from_utf8(official.result().unwrap()).unwrap().contains("Sans engagement."));
    agent()
        .header("From: agent@ville.example", "From: directeur@ville.example")
        .is_refused(RuleName::Identity, ReasonCode::EnvelopeSenderDiffers);
    agent()
        .with(|arrival| (arrival.sender, arrival.login) = ("x@ailleurs.example", None))
        .is_refused(RuleName::Identity, ReasonCode::NotAuthenticated);
    agent()
        .with(|arrival| arrival.recipients = vec!["a@x.example", "b@x.example", "c@x.example", "d@x.example"])
        .is_refused(RuleName::Recipients, ReasonCode::RecipientsTooMany);
    assert!(agent().with(|arrival| (arrival.client, arrival.login) = (Some("192.0.2.1"), None)).judge().is_none());
    let many = |login| {
        agent().header("From: agent@ville.example", "From: liste-a@ville.example").with(|arrival| {
            (arrival.sender, arrival.login) = ("liste-a@ville.example", Some(login));
            arrival.recipients = vec!["a@x.example", "b@x.example", "c@x.example", "d@x.example"];
        })
    };
    many("liste-a").passes();
    many("agent").is_refused(RuleName::Recipients, ReasonCode::RecipientsTooMany);
}

#[test]
fn a_deactivated_mailbox_refuses_and_a_suspended_one_takes_mail() {
    let to = |mailbox: &'static str| {
        Arrival::fine().with(|arrival| {
            arrival.tail = "[[recipient]]\naddress = \"parti@ville.example\"\nstate = \"deactivated\"\nclause = \"t:more\"\n\
                            [[recipient]]\naddress = \"absent@ville.example\"\nstate = \"suspended\"\nclause = \"t:more\"\n"
                .to_owned();
            arrival.recipients = vec![mailbox];
        })
    };
    for mailbox in
        ["parti@ville.example", "Parti+x@ville.example", "\"parti\"@ville.example", "parti%ville.example@ville.example"]
    {
        to(mailbox).is_refused(RuleName::RecipientState, ReasonCode::RecipientDeactivated);
    }
    to("parti@ville.example").is_refused(RuleName::RecipientState, ReasonCode::RecipientDeactivated);
    assert!(to("absent@ville.example").judge().is_none_or(|explained| explained.verdict() == Verdict::Accept));
}

#[test]
fn recipients_do_not_see_each_other() {
    let limited = |rules: &str| {
        let rules = rules.to_owned();
        Arrival::fine().with(move |arrival| {
            arrival.rules = rules;
        })
    };
    let hidden = limited("recipients = { hidden = true, clause = \"t:more\" }");
    hidden.passes();
    hidden.clone().header("To: electeurs@lists.example", "To: tous@lists.example, liste-a@ville.example").passes();
    for shown in ["To: electeurs@lists.example, ami@ailleurs.example", "Cc: Ami <ami@ailleurs.example>"] {
        let showing = hidden.clone().header("To: electeurs@lists.example", shown);
        showing.is_refused(RuleName::Recipients, ReasonCode::RecipientsShown);
    }
}

#[test]
fn the_subject_can_name_the_sender() {
    let tail = "[[list]]\naddress = \"syndicats@lists.example\"\nlabel = \"Syndicats\"\n\
                rules = { subject = { tag = \"[{label} – {sender}]\", clause = \"t:subject\" } }\n\
                [[sender]]\nname = \"Syndicat E\"\naddresses = [\"e@ville.example\"]\nproofs = [{ sasl = \"e\" }]\n\
                lists = [\"syndicats@lists.example\"]\nadhered = 2026-02-01\n";
    let named = Arrival::fine()
        .header("From: Liste A <liste-a@ville.example>", "From: e@ville.example")
        .header("To: electeurs@lists.example", "To: syndicats@lists.example")
        .with(|arrival| {
            arrival.tail = tail.to_owned();
            (arrival.login, arrival.sender) = (Some("e"), "e@ville.example");
            arrival.recipients = vec!["syndicats@lists.example"];
        });
    let result = String::from_utf8(named.passes().result().unwrap()).unwrap();
    let subject = result.lines().find(|line| line.starts_with("Subject:")).unwrap();
    let decoded = charter_milter::message::headers::Header::parse(format!("{subject}\r\n").as_bytes()).subject();
    assert_eq!(decoded.as_deref(), Some("[Syndicats – Syndicat E] Notre programme"), "{result}");
    // The tag also tells that a message answers list mail.
    let answer = "Subject: Re: [Syndicats – Syndicat E] x\r\nIn-Reply-To: <0@ville.example>";
    named.header("Subject: Notre programme", answer).is_refused(RuleName::Reply, ReasonCode::AnswersList);
}

#[test]
fn trackers_go_also_where_nobody_may_read_the_text() {
    let pixel = "<p>Bonjour</p><img src=\"https://suivi.example/o.gif?u=1\" width=\"1\" height=\"1\">\r\n";
    let tracking = |action: &str| {
        let rules = format!("tracking = {{ action = \"{action}\", clause = \"t:more\" }}");
        Arrival::fine().with(move |arrival| {
            arrival.charter = "inspection = \"structure\"".to_owned();
            arrival.rules = rules;
            arrival.header.push_str("MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n");
            arrival.body = pixel.to_owned();
        })
    };
    let result = String::from_utf8(tracking("strip").passes().result().unwrap()).unwrap();
    assert!(result.contains("Bonjour") && !result.contains("suivi.example"), "{result}");
    tracking("reject").is_refused(RuleName::Tracking, ReasonCode::Tracker);
    tracking("reject").with(|arrival| arrival.body = "<p>Bonjour</p>\r\n".to_owned()).passes();
}
