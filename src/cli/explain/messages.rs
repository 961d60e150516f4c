//! Where `explain` takes messages from: a file with one message, an mbox file, or a Maildir.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::message::mime::with_crlf;

/// A message and what to call it.
pub struct Message {
    /// The file, and in an mbox the number.
    pub name: String,
    /// The message with CRLF line ends, as SMTP carries it.
    pub raw: Vec<u8>,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}")]
pub struct ReadError {
    path: PathBuf,
    source: io::Error,
}

/// The messages at a path.
pub struct Messages {
    several: bool,
    bytes_total: u64,
    source: Source,
}

enum Source {
    /// Files still to be read, the next one last.
    Files(Vec<PathBuf>),
    /// An mbox file, how far it is read, and how many messages were before.
    Mbox { path: PathBuf, bytes: Vec<u8>, at: usize, number: usize },
}

impl Messages {
    /// Looks what is at `path`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ReadError { path, source }
        };
        let metadata = fs::metadata(path).map_err(failed(path))?;
        if metadata.is_dir() {
            let mut files = maildir(path).map_err(failed(path))?;
            if files.is_empty() {
                return Err(failed(path)(io::Error::new(io::ErrorKind::NotFound, "no message is in this directory")));
            }
            let bytes_total = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
            files.sort_unstable_by(|a, b| b.cmp(a));
            return Ok(Self { several: true, bytes_total, source: Source::Files(files) });
        }
        let bytes = fs::read(path).map_err(failed(path))?;
        let bytes_total = metadata.len();
        if bytes.starts_with(b"From ") {
            let source = Source::Mbox { path: path.to_owned(), bytes, at: 0, number: 0 };
            return Ok(Self { several: true, bytes_total, source });
        }
        Ok(Self { several: false, bytes_total, source: Source::Files(vec![path.to_owned()]) })
    }

    /// Whether this is a mailbox and not a single message.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.several
    }

    /// The octets there are to read.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total
    }
}

impl Iterator for Messages {
    type Item = Result<Message, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.source {
            Source::Files(files) => {
                let path = files.pop()?;
                let name = path.display().to_string();
                Some(match fs::read(&path) {
                    Ok(bytes) => Ok(Message { name, raw: with_crlf(&bytes).into_owned() }),
                    Err(source) => Err(ReadError { path, source }),
                })
            }
            Source::Mbox { path, bytes, at, number } => {
                let (message, length) = next_of_mbox(bytes.get(*at..)?)?;
                *at += length;
                *number += 1;
                Some(Ok(Message {
                    name: format!("{}#{number}", path.display()),
                    raw: with_crlf(&message).into_owned(),
                }))
            }
        }
    }
}

/// The files of a Maildir, or of a plain directory of messages.
fn maildir(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let parts: Vec<PathBuf> = ["cur", "new"].iter().map(|part| path.join(part)).filter(|part| part.is_dir()).collect();
    for directory in if parts.is_empty() { vec![path.to_owned()] } else { parts } {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// The first message of an mbox, and how much of it that is (mboxrd: `From ` at the start of a line separates,
/// `>From ` is unquoted).
fn next_of_mbox(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let start = rest.iter().position(|&byte| byte == b'\n')? + 1;
    let body = rest.get(start..)?;
    let end = body.windows(6).position(|window| window == b"\nFrom ").map_or(body.len(), |at| at + 1);
    let mut message = Vec::with_capacity(end);
    for line in body.get(..end)?.split_inclusive(|&byte| byte == b'\n') {
        let quotes = line.iter().take_while(|&&byte| byte == b'>').count();
        let is_quote = quotes > 0 && line.get(quotes..).is_some_and(|tail| tail.starts_with(b"From "));
        message.extend_from_slice(if is_quote { line.get(1..).unwrap_or_default() } else { line });
    }
    Some((message, start + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mbox_falls_into_its_messages() {
        let mbox = b"From a Mon\nSubject: 1\n\n>From here\n\nFrom b Tue\nSubject: 2\n\nx\n";
        let (one, length) = next_of_mbox(mbox).unwrap();
        assert_eq!(one, b"Subject: 1\n\nFrom here\n\n");
        let (other, tail) = next_of_mbox(&mbox[length..]).unwrap();
        assert_eq!(other, b"Subject: 2\n\nx\n");
        assert!(next_of_mbox(&mbox[length + tail..]).is_none());
    }
}
