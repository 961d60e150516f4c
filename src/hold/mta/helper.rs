//! The helper that runs as root, and its client: changing the mail server's queue demands root, planning does not.
//!
//! The helper reads requests from a stream, checks their form, and runs the mail server's tools. It reads no configuration,
//! opens no database and no log, and knows nothing of charters. Whoever may write to its socket (the daemon's own user, nobody
//! else) can let go, hold, delete and read held mail, and nothing more.
//!
//! # The protocol
//!
//! A request is a line with a [`Verb`] (or `read`), a line for each queue id, and an empty line. The answer to a verb is a line for each
//! id in the same order, `ID done` or `ID absent`, and an empty line; the answer to `read` is `content LENGTH` and so many octets.
//! Whatever goes wrong is answered by `error TEXT` and an empty line; after a malformed request the helper hangs up.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{MtaError, Outcome, QueueTools, Verb};
use crate::hold::entry::QueueId;

/// At most so many ids in one request: far more than any pace lets go at once.
pub const REQUEST_IDS_MAX: usize = 1_000;
/// No line of a request is longer, octets.
const LINE_BYTES_MAX: u64 = 64;
/// The client waits so long for an answer; the helper's own tools end within a minute each.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(5);
/// No answer to `read` is longer, octets: the largest message that Postfix takes by default is six times smaller.
const CONTENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The word for reading a message.
const READ: &str = "read";

/// Serves requests until the other side hangs up.
///
/// # Errors
/// When the stream fails; never because of a request.
pub fn serve(input: impl Read, mut output: impl Write, tools: &mut impl QueueTools) -> io::Result<()> {
    let mut input = BufReader::new(input);
    loop {
        let request = match Request::read(&mut input)? {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(refusal) => {
                write!(output, "error {refusal}\n\n")?;
                return output.flush();
            }
        };
        match request {
            Request::Perform(verb, ids) => match tools.perform(verb, &ids) {
                Ok(outcomes) => {
                    for (id, outcome) in ids.iter().zip(outcomes) {
                        writeln!(output, "{id} {outcome}")?;
                    }
                    writeln!(output)?;
                }
                Err(error) => write!(output, "error {}\n\n", one_line(&error))?,
            },
            Request::Read(id) => match tools.read(&id) {
                Ok(content) => {
                    writeln!(output, "content {}", content.len())?;
                    output.write_all(&content)?;
                }
                Err(error) => write!(output, "error {}\n\n", one_line(&error))?,
            },
        }
        output.flush()?;
    }
}

fn one_line(error: &MtaError) -> String {
    error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Perform(Verb, Vec<QueueId>),
    Read(QueueId),
}

impl Request {
    /// The next request; `None` at the end; the inner error is what the other side did wrong.
    fn read(input: &mut impl BufRead) -> io::Result<Result<Option<Self>, &'static str>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            match input.by_ref().take(LINE_BYTES_MAX).read_line(&mut line) {
                Ok(0) if lines.is_empty() => return Ok(Ok(None)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(Err("a request is text")),
                Err(error) => return Err(error),
            }
            // Half a request is not carried out.
            let Some(line) = line.strip_suffix('\n') else {
                return Ok(Err("a line is too long, or the request has no end"));
            };
            if line.is_empty() {
                return Ok(Self::parse(&lines).map(Some));
            }
            // One line for the verb.
            if lines.len() > REQUEST_IDS_MAX {
                return Ok(Err("too many ids"));
            }
            lines.push(line.to_owned());
        }
    }

    fn parse(lines: &[String]) -> Result<Self, &'static str> {
        let (verb, ids) = lines.split_first().ok_or("a request begins with a verb")?;
        let ids: Result<Vec<QueueId>, _> = ids.iter().map(|id| id.parse()).collect();
        let ids = ids.map_err(|_| "not a queue id")?;
        if verb == READ {
            return match <[QueueId; 1]>::try_from(ids) {
                Ok([id]) => Ok(Self::Read(id)),
                Err(_) => Err("one message is read at a time"),
            };
        }
        Verb::from_str(verb).map(|verb| Self::Perform(verb, ids)).map_err(|()| "unknown verb")
    }
}

/// The way to the helper.
#[derive(Debug)]
pub enum HelperClient {
    /// A socket, on which systemd starts a helper for each connection.
    Socket(PathBuf),
    /// A stream that somebody opened for us: root, which started this process as an ordinary user.
    Stream(UnixStream),
}

impl HelperClient {
    fn ask(&self, verb: &str, ids: &[QueueId]) -> Result<BufReader<UnixStream>, MtaError> {
        let stream = match self {
            Self::Socket(path) => UnixStream::connect(path),
            Self::Stream(stream) => stream.try_clone(),
        };
        let ask = |mut stream: UnixStream| -> io::Result<UnixStream> {
            stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
            stream.set_write_timeout(Some(ANSWER_TIME_MAX))?;
            let request: String =
                std::iter::once(verb).chain(ids.iter().map(QueueId::as_str)).flat_map(|line| [line, "\n"]).collect();
            stream.write_all(request.as_bytes())?;
            stream.write_all(b"\n")?;
            Ok(stream)
        };
        // One answer at a time, and read to its end, so nothing of the next one is lost in the buffer.
        stream.and_then(ask).map(BufReader::new).map_err(MtaError::Helper)
    }
}

impl QueueTools for HelperClient {
    fn perform(&mut self, verb: Verb, ids: &[QueueId]) -> Result<Vec<Outcome>, MtaError> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for ids in ids.chunks(REQUEST_IDS_MAX) {
            let mut answer = self.ask(verb.as_str(), ids)?;
            for id in ids {
                let line = answer_line(&mut answer)?;
                let outcome = line.strip_prefix(id.as_str()).and_then(|rest| rest.trim_start().parse().ok());
                outcomes.push(outcome.ok_or_else(|| unexpected(&line))?);
            }
            let end = answer_line(&mut answer)?;
            if !end.is_empty() {
                return Err(unexpected(&end));
            }
        }
        Ok(outcomes)
    }

    fn read(&mut self, id: &QueueId) -> Result<Vec<u8>, MtaError> {
        let mut answer = self.ask(READ, std::slice::from_ref(id))?;
        let line = answer_line(&mut answer)?;
        let length: Option<u64> = line.strip_prefix("content ").and_then(|length| length.parse().ok());
        let length = length.filter(|length| *length <= CONTENT_BYTES_MAX).ok_or_else(|| unexpected(&line))?;
        let mut content = Vec::new();
        answer.take(length).read_to_end(&mut content).map_err(MtaError::Helper)?;
        if content.len() as u64 == length {
            Ok(content)
        } else {
            Err(MtaError::HelperSays("it ended in the middle of a message".to_owned()))
        }
    }
}

/// A line of an answer without its end; an `error` line is the error it reports.
fn answer_line(answer: &mut impl BufRead) -> Result<String, MtaError> {
    let mut line = String::new();
    // Error texts may be longer than the lines of a request.
    answer.by_ref().take(LINE_BYTES_MAX * 32).read_line(&mut line).map_err(MtaError::Helper)?;
    let line = line.strip_suffix('\n').ok_or_else(|| MtaError::HelperSays("it hung up".to_owned()))?;
    match line.strip_prefix("error ") {
        Some(text) => {
            // The empty line behind it, so that a shared stream is ready for the next request.
            let _ = answer.read_line(&mut String::new());
            Err(MtaError::HelperSays(text.to_owned()))
        }
        None => Ok(line.to_owned()),
    }
}

fn unexpected(line: &str) -> MtaError {
    MtaError::HelperSays(format!("an unexpected answer of {} octets", line.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what it is asked; ids that begin with `9` are absent, and reading `BROKEN` fails.
    #[derive(Default)]
    struct Notes(Vec<(Verb, usize)>);

    impl QueueTools for Notes {
        fn perform(&mut self, verb: Verb, ids: &[QueueId]) -> Result<Vec<Outcome>, MtaError> {
            self.0.push((verb, ids.len()));
            Ok(ids
                .iter()
                .map(|id| if id.as_str().starts_with('9') { Outcome::Absent } else { Outcome::Done })
                .collect())
        }
        fn read(&mut self, id: &QueueId) -> Result<Vec<u8>, MtaError> {
            match id.as_str() {
                "BROKEN" => Err(MtaError::Listing("two\nlines".to_owned())),
                _ => Ok(b"Subject: x\n\nerror body\n\n".to_vec()),
            }
        }
    }

    fn served(request: &[u8]) -> (String, Vec<(Verb, usize)>) {
        let (mut answer, mut tools) = (Vec::new(), Notes::default());
        serve(request, &mut answer, &mut tools).unwrap();
        (String::from_utf8(answer).unwrap(), tools.0)
    }

    #[test]
    fn each_id_is_answered() {
        let (answer, asked) = served(b"release\n3F2A41C2B\n9F2A41C2B\n\nhold\n3F2A41C2B\n\n");
        assert_eq!(answer, "3F2A41C2B done\n9F2A41C2B absent\n\n3F2A41C2B done\n\n");
        assert_eq!(asked, [(Verb::Release, 2), (Verb::Hold, 1)]);
    }

    #[test]
    fn a_malformed_request_does_nothing_at_all() {
        let many = format!("discard\n{}\n", "3F2A41C2B\n".repeat(REQUEST_IDS_MAX + 1));
        let long = format!("release\n{}\n\n", "A".repeat(100));
        for (request, refusal) in [
            ("release\n3F2A41C2B\nALL\n\n", "not a queue id"),
            ("release\n3F2A41C2B\n-d\n\n", "not a queue id"),
            ("release\n3F2A41C2B ALL\n\n", "not a queue id"),
            ("release\n../hold/3F2A41C2B\n\n", "not a queue id"),
            ("destroy\n3F2A41C2B\n\n", "unknown verb"),
            ("\n", "a request begins with a verb"),
            ("read\n3F2A41C2B\n3F2A41C2C\n\n", "one message is read at a time"),
            ("release\n3F2A41C2B\n", "a line is too long, or the request has no end"),
            ("release\n3F2A41C2B", "a line is too long, or the request has no end"),
            (&long, "a line is too long, or the request has no end"),
            (&many, "too many ids"),
        ] {
            assert_eq!(served(request.as_bytes()), (format!("error {refusal}\n\n"), vec![]), "{request:?}");
        }
        assert_eq!(served(b"release\n\xff\xfe\n\n"), ("error a request is text\n\n".to_owned(), vec![]));
        assert_eq!(served(b""), (String::new(), vec![]));
    }

    #[test]
    fn client_and_helper_understand_each_other_over_one_stream() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let helper = std::thread::spawn(move || serve(theirs.try_clone().unwrap(), theirs, &mut Notes::default()));
        let mut client = HelperClient::Stream(ours);
        let ids: Vec<QueueId> = ["3F2A41C2B", "9F2A41C2B"].iter().map(|id| id.parse().unwrap()).collect();
        assert_eq!(client.perform(Verb::Release, &ids).unwrap(), [Outcome::Done, Outcome::Absent]);
        assert_eq!(client.read(&ids[0]).unwrap(), b"Subject: x\n\nerror body\n\n");
        let error = client.read(&"BROKEN".parse().unwrap()).unwrap_err();
        assert!(matches!(&error, MtaError::HelperSays(text) if text.ends_with("two lines")), "{error}");
        let many: Vec<QueueId> = (0..2_500).map(|n| format!("3F2A4{n:04}").parse().unwrap()).collect();
        assert_eq!(client.perform(Verb::Discard, &many).unwrap().len(), 2_500);
        drop(client);
        helper.join().unwrap().unwrap();
    }

    #[test]
    fn a_helper_that_is_not_there_or_hangs_up_is_an_error() {
        let id: QueueId = "3F2A41C2B".parse().unwrap();
        let mut nowhere = HelperClient::Socket(PathBuf::from("/nonexistent/release.sock"));
        assert!(matches!(nowhere.perform(Verb::Release, std::slice::from_ref(&id)), Err(MtaError::Helper(_))));
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(&theirs).read_line(&mut line);
            let _ = (&theirs).write_all(b"3F2A41C2B don");
        });
        let error = HelperClient::Stream(ours).perform(Verb::Release, &[id]).unwrap_err();
        assert!(matches!(&error, MtaError::HelperSays(text) if text == "it hung up"), "{error}");
    }
}
