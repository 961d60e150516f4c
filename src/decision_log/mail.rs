//! Sending checkpoints to the auditors through the local mail server: once a copy has left the house, nobody in the house
//! can take it back.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use mail_parser::MessageParser;

use super::notary::Published;

/// Who gets checkpoints, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditorMail {
    /// The mail server's `sendmail` program.
    pub sendmail: std::path::PathBuf,
    /// The envelope sender and From.
    pub from: String,
    /// The auditors' addresses. Never empty.
    pub to: Vec<String>,
}

/// Why a checkpoint could not be handed to the mail server.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The program cannot be run.
    #[error("cannot run {0}: {1}")]
    Run(String, std::io::Error),
    /// The program refused the message.
    #[error("{0} did not take the message: {1}")]
    Refused(String, std::process::ExitStatus),
}

impl AuditorMail {
    /// Hands one checkpoint to the mail server. Blocks until the server has taken it; the journal does not wait for it.
    ///
    /// # Errors
    ///
    /// When the server does not take it. The checkpoint stays in the log and in its file.
    pub fn send(&self, checkpoint: &Published) -> Result<(), MailError> {
        let name = || self.sendmail.display().to_string();
        // Never a shell: the program and its arguments go to the system as they are, and addresses cannot be options.
        let mut child = Command::new(Path::new(&self.sendmail))
            .args(["-i", "-f", &self.from, "--"])
            .args(&self.to)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| MailError::Run(name(), error))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(self.message(checkpoint).as_bytes()).map_err(|error| MailError::Run(name(), error))?;
        }
        let status = child.wait().map_err(|error| MailError::Run(name(), error))?;
        if status.success() { Ok(()) } else { Err(MailError::Refused(name(), status)) }
    }

    /// The message: the note is the text, so that what the auditor saves is what `log verify --checkpoint` reads.
    fn message(&self, checkpoint: &Published) -> String {
        let when = checkpoint.time.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!(
            "From: {}\nTo: {}\nSubject: Decision log checkpoint {} at {when}\nMIME-Version: 1.0\n\
             Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nAuto-Submitted: auto-generated\n\n{}",
            self.from,
            self.to.join(", "),
            checkpoint.size,
            checkpoint.note
        )
    }
}

/// The note inside a saved message or file: auditors save mails with header fields and line ends of all kinds, and mail servers
/// on the way write the text in quoted-printable or base64.
#[must_use]
pub fn find_note(octets: &[u8]) -> Option<String> {
    let as_it_is = std::str::from_utf8(octets).ok().and_then(find_in_text);
    as_it_is.or_else(|| {
        let mail = MessageParser::default().parse(octets)?;
        (0..mail.text_body_count()).find_map(|part| find_in_text(&mail.body_text(part)?))
    })
}

fn find_in_text(text: &str) -> Option<String> {
    let text = text.replace("\r\n", "\n");
    let signature = text.find("\n\n— ")?;
    let end = signature + 2;
    let signatures: String = text.get(end..)?.split_inclusive('\n').take_while(|line| line.starts_with("— ")).collect();
    let body = text.get(..=signature)?;
    // The text of the note is the last block of lines before its signatures.
    let start = body.trim_end_matches('\n').rfind("\n\n").map_or(0, |at| at + 2);
    let signatures = if signatures.ends_with('\n') { signatures } else { signatures + "\n" };
    Some(format!("{}\n{signatures}", body.get(start..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision_log::record::CheckpointReason;

    fn published() -> Published {
        let note = "log.example\n5\nCQkJ\ntime 2026-06-11T22:00:00Z\n\n— log.example AAAAAAAA\n".to_owned();
        let time = "2026-06-11T22:00:00Z".parse().unwrap();
        Published { note, size: 5, time, reason: CheckpointReason::Hourly }
    }

    fn mail(sendmail: &str) -> AuditorMail {
        let to = vec!["commission@elections.example".to_owned()];
        AuditorMail { sendmail: sendmail.into(), from: "gateway@elections.example".into(), to }
    }

    #[test]
    fn the_note_is_found_again_in_the_saved_mail() {
        let message = mail("/bin/true").message(&published());
        assert_eq!(find_note(message.as_bytes()), Some(published().note));
        assert_eq!(find_note(message.replace('\n', "\r\n").as_bytes()), Some(published().note));
        assert_eq!(find_note(published().note.as_bytes()), Some(published().note));
        assert_eq!(find_note(b"nothing of the kind"), None);
    }

    #[test]
    fn the_note_is_found_however_the_mail_was_encoded_on_its_way() {
        let message = mail("/bin/true").message(&published());
        let (head, note) = message.split_once("\n\n").unwrap();
        let quoted = note.replace('=', "=3D").replace('—', "=E2=80=94").replace("AAAAAAAA", "AAAA=\nAAAA");
        let base64 = data_encoding::BASE64_MIME.encode(note.replace('\n', "\r\n").as_bytes());
        for (encoding, body) in [("quoted-printable", quoted), ("base64", base64)] {
            let message = format!("{}\n\n{body}", head.replace("8bit", encoding));
            assert_eq!(find_note(message.as_bytes()), Some(published().note), "{encoding}");
            // Some programs put a second text beside it, and a field in Latin-1 is nothing that stops us.
            let beside = format!(
                "X-Name: Jos\u{e9}\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
                 forwarded\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n{body}\n--b--\n"
            );
            let latin1: Vec<u8> = beside.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            assert_eq!(find_note(&latin1), Some(published().note), "{encoding}, beside another text");
        }
    }

    #[test]
    fn the_mail_server_gets_the_message_and_its_refusal_is_an_error() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (program, out) = (dir.path().join("sendmail"), dir.path().join("out"));
        std::fs::write(&program, format!("#!/bin/sh\necho \"$@\" > {0}\ncat >> {0}\n", out.display())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        mail(program.to_str().unwrap()).send(&published()).unwrap();
        let sent = std::fs::read_to_string(&out).unwrap();
        assert!(sent.starts_with("-i -f gateway@elections.example -- commission@elections.example\n"));
        assert!(sent.ends_with(&published().note));
        assert!(matches!(mail("/bin/false").send(&published()), Err(MailError::Refused(..) | MailError::Run(..))));
        assert!(matches!(mail("/nonexistent").send(&published()), Err(MailError::Run(..))));
    }
}
