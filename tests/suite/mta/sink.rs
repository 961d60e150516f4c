//! The end of the line: an SMTP server that keeps every message it is given, envelope and exact bytes.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::letter::header_values;

/// One message as it was delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// The argument of MAIL FROM without the angle brackets.
    pub sender: String,
    /// The ESMTP parameters of MAIL FROM, as sent.
    pub sender_parameters: String,
    /// The arguments of RCPT TO without the angle brackets, in order.
    pub recipients: Vec<String>,
    /// The ESMTP parameters of each RCPT TO, as sent.
    pub recipient_parameters: Vec<String>,
    /// The message, dots unstuffed, line ends as sent.
    pub bytes: Vec<u8>,
}

impl Received {
    /// The header section as text, bytes that are not UTF-8 replaced.
    pub fn header(&self) -> String {
        let end = find(&self.bytes, b"\r\n\r\n").map_or(self.bytes.len(), |at| at + 2);
        String::from_utf8_lossy(&self.bytes[..end]).into_owned()
    }

    /// Everything after the empty line.
    pub fn body(&self) -> &[u8] {
        find(&self.bytes, b"\r\n\r\n").map_or(&[], |at| &self.bytes[at + 4..])
    }

    /// The body as text, bytes that are not UTF-8 replaced.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(self.body()).into_owned()
    }

    /// Every value of a header field, unfolded and trimmed, in order.
    pub fn header_values(&self, name: &str) -> Vec<String> {
        header_values(&self.bytes, name)
    }

    /// The value of a header field that must be there exactly once.
    pub fn header_value(&self, name: &str) -> String {
        let mut values = self.header_values(name);
        assert_eq!(values.len(), 1, "one {name} is expected in:\n{}", self.header());
        values.remove(0)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[derive(Debug, Default)]
struct Shelf {
    received: Mutex<Vec<Received>>,
    arrival: Condvar,
}

impl Shelf {
    /// A test that fails while it looks must not take the others, which share the sink, with it.
    fn lock(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running sink. It stops accepting when dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shelf: Arc<Shelf>,
}

impl Sink {
    /// Starts a sink on a free loopback port.
    pub fn start() -> Self {
        Self::offering("250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 0")
    }

    /// The same with these extensions: the lines behind the first of the reply to EHLO.
    pub fn offering(extensions: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shelf = Arc::new(Shelf::default());
        let weak = Arc::downgrade(&shelf);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(shelf) = weak.upgrade() else { break };
                std::thread::spawn(move || serve(&stream, &shelf, extensions));
            }
        });
        Self { address, shelf }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything received until now.
    pub fn received(&self) -> Vec<Received> {
        self.shelf.lock().clone()
    }

    /// The messages whose Message-ID is `<id>`, received until now.
    pub fn with_id(&self, id: &str) -> Vec<Received> {
        let wanted = format!("<{id}>");
        self.received().into_iter().filter(|message| message.header_values("Message-ID").contains(&wanted)).collect()
    }

    /// Waits for the first message that `matches`.
    ///
    /// # Panics
    /// When none has come within [`PATIENCE`].
    pub fn wait_for(&self, what: &str, matches: impl Fn(&Received) -> bool) -> Received {
        let start = Instant::now();
        let mut received = self.shelf.lock();
        loop {
            if let Some(found) = received.iter().find(|message| matches(message)) {
                return found.clone();
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}; the sink has {} others", received.len());
            let waited = self.shelf.arrival.wait_timeout(received, Duration::from_millis(500));
            received = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the message whose Message-ID is `<id>`.
    pub fn wait_for_id(&self, id: &str) -> Received {
        let wanted = format!("<{id}>");
        self.wait_for(&format!("message {id}"), |message| message.header_values("Message-ID").contains(&wanted))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // The accepting thread notices at its next connection, which is this one.
        self.shelf = Arc::default();
        let _ = TcpStream::connect(self.address);
    }
}

/// Speaks SMTP with one client until it leaves.
fn serve(stream: &TcpStream, shelf: &Shelf, extensions: &str) {
    let _ = stream.set_nodelay(true);
    let Ok(reading) = stream.try_clone() else { return };
    let mut lines = BufReader::new(reading);
    let say = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes()).is_ok();
    let mut message = Received::default();
    if !say("220 sink.example ESMTP") {
        return;
    }
    while let Some(line) = read_line(&mut lines) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = line.to_ascii_uppercase();
        let going_on = if verb.starts_with("EHLO") {
            say(&format!("250-sink.example\r\n{extensions}"))
        } else if verb.starts_with("MAIL FROM:") {
            (message.sender, message.sender_parameters) = path_and_parameters(line.split_at(10).1);
            say("250 2.1.0 sender ok")
        } else if verb.starts_with("RCPT TO:") {
            let (recipient, parameters) = path_and_parameters(line.split_at(8).1);
            message.recipients.push(recipient);
            message.recipient_parameters.push(parameters);
            say("250 2.1.5 recipient ok")
        } else if verb == "DATA" {
            if !say("354 go on") {
                return;
            }
            let Some(bytes) = read_data(&mut lines) else { return };
            message.bytes = bytes;
            shelf.lock().push(std::mem::take(&mut message));
            shelf.arrival.notify_all();
            say("250 2.0.0 kept")
        } else if verb == "QUIT" {
            say("221 2.0.0 bye");
            return;
        } else {
            message = Received::default();
            say("250 2.0.0 ok")
        };
        if !going_on {
            return;
        }
    }
}

fn read_line(lines: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    (lines.read_until(b'\n', &mut line).ok()? > 0).then_some(line)
}

/// Reads up to the final dot; `None` when the client left before it.
fn read_data(lines: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let line = read_line(lines)?;
        if line == b".\r\n" {
            return Some(bytes);
        }
        bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn path_and_parameters(argument: &str) -> (String, String) {
    let argument = argument.trim_start();
    match argument.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((path, parameters)) => (path.to_owned(), parameters.trim().to_owned()),
        None => (argument.to_owned(), String::new()),
    }
}
