//! `charter-milter explain`, run as people run it: on a message, an mbox file and a Maildir.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::e2e::world::{NOON, charter};
use crate::home::Home;
use crate::mta::gateway::binary;
use crate::mta::write;

const PETITION: &str = "Signez la pétition : https://www.change.org/p/horaires\r\n";

/// A home with the charter of the end-to-end tests, and a place for messages.
struct Desk {
    directory: tempfile::TempDir,
    home: Home,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::with(directory.path(), "");
        home.charter("essai", &charter());
        Self { directory, home }
    }

    /// A desk under a charter that says nothing of mail to others.
    fn of_one_list() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), &["essai"], "");
        Self { directory, home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        write(self.directory.path(), name, content)
    }

    fn explain(&self, message: &Path, more: &[&str]) -> (Option<i32>, String, String) {
        let message = message.to_str().unwrap();
        let command = [&["explain", "--offline", "--login", "liste-a", message], more].concat();
        let output = self.home.run_at(Some(NOON), &command);
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

/// A message to one of the lists, which is named after the rule it is under.
fn message(list: &str, body: &str) -> String {
    format!(
        "From: Liste A <liste-a@candidats.example>\r\nTo: {list}@listes.example\r\nSubject: Une demande\r\n\
         Message-ID: <1@candidats.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n{body}"
    )
}

#[test]
fn every_rule_and_every_signal_is_shown_and_no_text() {
    let desk = Desk::new();
    // The list's rules for files and for the subject as well, before and after the rule that refuses.
    let more = r#"rules   = { attachments = { action = "strip", clause = "t:attachments" }, subject = { tag = "[{label}]", clause = "t:subject" }, petition"#;
    let fuller = charter().replace("rules   = { petition", more);
    assert_ne!(fuller, charter());
    desk.home.charter("essai", &fuller);
    let file = desk.file("petition.eml", message("sans-petition", PETITION));
    let (code, out, err) = desk.explain(&file, &[]);
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    assert!(out.contains("reject: 550 5.7.1 [t:petition]"), "{out}");
    // The clause, the two strongest reasons, and how to contest.
    assert!(
        out.contains("demande a ses lecteurs de signer une petition ; Un lien mene a une page de petition"),
        "{out}"
    );
    assert!(out.contains("Contester : commission@organisation.example"), "{out}");
    let line = |start: &str| {
        out.lines().find(|line| line.trim().starts_with(start)).unwrap_or_else(|| panic!("{start}: {out}"))
    };
    assert!(line("sender ").contains("miss") && line("sender ").contains("[t:sender]"));
    assert!(line("petition ").contains("hit") && line("petition ").contains(" of 1.00"));
    assert!(line("attachments ").contains("miss"));
    assert!(line("subject ").contains("not run") && line("subject ").contains("already-refused"));
    assert!(line("night-window ").contains("not-configured"));
    let signal = out.lines().find(|line| line.contains("  call-to-sign ")).unwrap();
    assert!(signal.contains("1.00") && signal.contains("0:0-18") && signal.contains("Le texte demande"), "{signal}");
    let site = out.lines().find(|line| line.contains("  petition-site ")).unwrap();
    assert!(site.contains("0:21-54"), "{site}");
    assert!(
        !out.contains("Une demande") && !out.contains("horaires"),
        "neither the subject nor the link is repeated: {out}"
    );
    let (_, json, _) = desk.explain(&file, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let signals = json["signals"].as_array().unwrap();
    let call = signals.iter().find(|signal| signal["id"] == "call-to-sign").unwrap();
    assert_eq!(
        (&call["weight"], &call["part"], &call["characters"]),
        (&1.0.into(), &0.into(), &serde_json::json!([0, 18]))
    );
    assert!(!json.to_string().contains("horaires"));
}

#[test]
fn evidence_in_the_subject_is_told_from_evidence_in_the_text() {
    let desk = Desk::new();
    let raw = message("sans-petition", PETITION).replace("Une demande", "Signez la =?utf-8?q?p=C3=A9tition?=");
    let file = desk.file("objet.eml", raw);
    let (_, out, _) = desk.explain(&file, &[]);
    let place_of = |out: &str, id: &str| {
        let line = out.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("{id}: {out}")).to_owned();
        line.split_whitespace().nth(2).unwrap().to_owned()
    };
    assert_eq!((place_of(&out, "  call-to-sign "), place_of(&out, "  petition-site ")), {
        ("subject:0-18".to_owned(), "0:21-54".to_owned())
    });
    let (_, json, _) = desk.explain(&file, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let signals = json["signals"].as_array().unwrap();
    assert!(signals.iter().any(|signal| signal["id"] == "call-to-sign" && signal["part"].is_null()), "{json}");
}

#[test]
fn the_resulting_message_is_written_and_the_tree_drawn() {
    let desk = Desk::new();
    let body = "--b\r\nContent-Type: text/plain\r\n\r\nBonjour.\r\n--b\r\nContent-Type: application/pdf; name=t.pdf\r\n\
                Content-Disposition: attachment; filename=t.pdf\r\n\r\n%PDF\r\n--b--\r\n";
    let raw = message("editee", body).replace("text/plain; charset=utf-8", "multipart/mixed; boundary=b");
    let file = desk.file("tract.eml", raw);
    let result = desk.path("result.eml");
    let (code, out, _) = desk.explain(&file, &["--tree", "--out", result.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("attachments-removed") && out.contains("subject-tagged"), "{out}");
    let part = out.lines().find(|line| line.contains("application/pdf")).unwrap_or_else(|| panic!("{out}"));
    assert!(part.contains("file") && part.contains("strip"), "{part}");
    let made = std::fs::read_to_string(&result).unwrap();
    assert!(made.contains("Bonjour.") && !made.contains("%PDF"), "{made}");
    assert!(made.contains("Subject: =?UTF-8?") && made.ends_with("--b--\r\n"), "{made}");
    // What it says of its own result: nothing more to do.
    let (code, again, _) = desk.explain(&result, &[]);
    assert!(code == Some(0) && !again.contains("attachments-removed"), "{again}");
}

#[test]
fn mailboxes_of_both_kinds_are_read_one_message_after_the_other() {
    let desk = Desk::new();
    let (tract, petition) = (message("sans-petition", "Votez.\r\n"), message("sans-petition", PETITION));
    let mbox = format!("From a@b Wed Jun 20 10:00:00 2018\n{tract}\nFrom a@b Wed Jun 20 10:01:00 2018\n{petition}\n");
    let mbox = desk.file("box.mbox", mbox.replace("\r\n", "\n"));
    desk.file("Maildir/cur/1:2,S", tract);
    desk.file("Maildir/new/2", petition);
    std::fs::create_dir(desk.path("Maildir/tmp")).unwrap();
    for mailbox in [mbox, desk.path("Maildir")] {
        let (code, out, _) = desk.explain(&mailbox, &["--json"]);
        assert_eq!(code, Some(1));
        let verdicts: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let verdicts: Vec<&str> = verdicts.iter().map(|message| message["verdict"].as_str().unwrap()).collect();
        assert_eq!(verdicts, ["accept", "reject"], "{}", mailbox.display());
        let (code, _, err) = desk.explain(&mailbox, &["--out", desk.path("x").to_str().unwrap()]);
        assert!(code == Some(2) && err.contains("--out takes a single message"), "{err}");
    }
}

#[test]
fn what_cannot_be_read_is_said_and_why() {
    let desk = Desk::of_one_list();
    let (code, out, err) = desk.explain(&desk.path("none.eml"), &[]);
    assert!(code == Some(2) && out.is_empty() && err.contains("none.eml: No such file"), "{err}");
    let empty = desk.file("empty.eml", b"");
    let (code, out, _) = desk.explain(&empty, &["--rcpt", "essai@lists.example"]);
    assert!(code == Some(1) && out.contains("reject"), "{out}");
    let other = desk.file("other.eml", message("libre", "Votez.\r\n"));
    let (code, out, _) = desk.explain(&other, &["--rcpt", "ami@voisin.example"]);
    assert!(code == Some(0) && out.contains("no rule of any charter concerns this message"), "{out}");
}

/// On a terminal a bar shows how far a long mailbox is read; elsewhere there is none.
#[test]
fn an_envelope_sender_that_is_none_is_an_error() {
    let desk = Desk::new();
    let file = desk.file("m.eml", message("sender", "Bonjour\r\n"));
    let (code, _, err) = desk.explain(&file, &["--from", "liste-a"]);
    assert!(code == Some(2) && err.contains("--from"), "{err}");
    for null in ["<>", ""] {
        let (code, out, _) = desk.explain(&file, &["--from", null]);
        assert!(code.is_some_and(|code| code < 2) && out.contains("<>"), "{out}");
    }
}

#[test]
fn a_long_mailbox_shows_its_progress_on_a_terminal_alone() {
    let desk = Desk::of_one_list();
    // No rule concerns them, so that reading them is all the work.
    let one = message("libre", &"Votez pour nous, demain.\r\n".repeat(40_000)).replace("libre@listes", "ami@voisin");
    let one = format!("From a@b Wed Jun 20 10:00:00 2018\n{one}\n").replace("\r\n", "\n");
    let mbox = desk.file("box.mbox", one.repeat(8));
    let (_, _, err) = desk.explain(&mbox, &["--json"]);
    assert_eq!(err, "");
    let config = desk.home.config();
    let command = format!(
        "exec {} explain --offline {} --config {} --json",
        binary().display(),
        mbox.display(),
        config.display()
    );
    let shown = Command::new("script").args(["-qec", &command, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains('█') && shown.contains("MiB/"), "{shown:?}");
}
