//! The MTA's side of the milter protocol, as Postfix speaks it: macros before every stage, every command flushed by itself
//! where an answer is due, body in chunks of 65,535 octets, a pause between DATA and the header (the content has to arrive
//! over SMTP first). Blocking, one thread for each connection: it must cost less than what it measures.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// The most of a body that goes in one packet (`MILTER_CHUNK_SIZE`).
const BODY_CHUNK_BYTES: usize = 65_535;

/// The buffer of Postfix's streams (`VSTREAM_BUFSIZE`).
const STREAM_BUFFER_BYTES: usize = 4096;

/// Protocol version and what Postfix offers: every action, and every protocol option of version 6.
const VERSION: u32 = 6;
const ACTIONS: u32 = 0x1ff;
const OPTIONS: u32 = 0x1f_ffff;

/// Options that a milter can ask for (`SMFIP_…`).
const NO_CONNECT: u32 = 0x1;
const NO_HELO: u32 = 0x2;
const NO_MAIL: u32 = 0x4;
const NO_RCPT: u32 = 0x8;
const NO_BODY: u32 = 0x10;
const NO_HEADER: u32 = 0x20;
const NO_EOH: u32 = 0x40;
const NO_DATA: u32 = 0x200;
const QUIET_HEADER: u32 = 0x80;
const QUIET_CONNECT: u32 = 0x1000;
const QUIET_HELO: u32 = 0x2000;
const QUIET_MAIL: u32 = 0x4000;
const QUIET_RCPT: u32 = 0x8000;
const QUIET_DATA: u32 = 0x1_0000;
const QUIET_EOH: u32 = 0x4_0000;
const QUIET_BODY: u32 = 0x8_0000;

/// Where a milter listens.
#[derive(Debug, Clone)]
pub enum Address {
    Unix(PathBuf),
    Inet(u16),
}

impl Address {
    /// As Postfix writes it.
    pub fn postfix(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix:{}", path.display()),
            Self::Inet(port) => format!("inet:127.0.0.1:{port}"),
        }
    }

    /// Whether somebody listens there.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Unix(path) => UnixStream::connect(path).is_ok(),
            Self::Inet(port) => TcpStream::connect(("127.0.0.1", *port)).is_ok(),
        }
    }
}

/// A message with its envelope.
#[derive(Debug, Clone)]
pub struct Message {
    pub login: &'static str,
    pub sender: String,
    pub recipient: String,
    pub header: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    fn size_bytes(&self) -> usize {
        let fields = self.header.iter().map(|(name, value)| name.len() + value.len() + 3);
        fields.sum::<usize>() + 2 + self.body.len()
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Refused,
}

/// What was seen of one message.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub verdict: Verdict,
    /// It was decided at DATA, and its content never travelled.
    pub at_data: bool,
    /// Edits that came before the final answer.
    pub edits: u32,
}

enum Stream {
    Unix(UnixStream),
    Inet(TcpStream),
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => (&mut &*stream).read(buffer),
            Stream::Inet(stream) => (&mut &*stream).read(buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => (&mut &*stream).write(bytes),
            Stream::Inet(stream) => (&mut &*stream).write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One connection to a milter.
pub struct Client<'s> {
    reading: BufReader<&'s Stream>,
    writing: &'s Stream,
    out: Vec<u8>,
    options: u32,
    pause: Duration,
}

/// Connects, negotiates, and hands the connection to `work`.
pub fn session<T>(
    address: &Address,
    pause: Duration,
    work: impl FnOnce(&mut Client<'_>) -> io::Result<T>,
) -> io::Result<T> {
    let stream = match address {
        Address::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
        Address::Inet(port) => {
            let stream = TcpStream::connect(("127.0.0.1", *port))?;
            // As Postfix does not: it leaves Nagle's algorithm on, and that is what has to be measured.
            stream.set_nodelay(false)?;
            Stream::Inet(stream)
        }
    };
    let mut client = Client { reading: BufReader::new(&stream), writing: &stream, out: Vec::new(), options: 0, pause };
    client.negotiate()?;
    client.connect()?;
    let done = work(&mut client)?;
    client.packet(b'Q', &[]);
    client.flush()?;
    Ok(done)
}

impl Client<'_> {
    fn packet(&mut self, command: u8, data: &[u8]) {
        let length = u32::try_from(data.len() + 1).unwrap();
        self.out.extend(length.to_be_bytes());
        self.out.push(command);
        self.out.extend_from_slice(data);
    }

    fn strings(&mut self, command: u8, words: &[&str]) {
        let data: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).collect();
        self.packet(command, &data);
    }

    fn macros(&mut self, stage: u8, pairs: &[&str]) {
        let data: Vec<u8> = [stage].into_iter().chain(pairs.iter().flat_map(|word| word.bytes().chain([0]))).collect();
        self.packet(b'D', &data);
    }

    fn flush(&mut self) -> io::Result<()> {
        (&mut { self.writing }).write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    fn has(&self, option: u32) -> bool {
        self.options & option != 0
    }

    fn read_packet(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut length = [0; 4];
        self.reading.read_exact(&mut length)?;
        let mut data = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.reading.read_exact(&mut data)?;
        let command = data.remove(0);
        Ok((command, data))
    }

    fn negotiate(&mut self) -> io::Result<()> {
        let offer: Vec<u8> = [VERSION, ACTIONS, OPTIONS].into_iter().flat_map(u32::to_be_bytes).collect();
        self.packet(b'O', &offer);
        self.flush()?;
        let (_, data) = self.read_packet()?;
        self.options = u32::from_be_bytes(data[8..12].try_into().unwrap());
        Ok(())
    }

    fn connect(&mut self) -> io::Result<()> {
        if !self.has(NO_CONNECT) {
            self.macros(b'C', &["j", "mx.tests.example", "{daemon_name}", "mx.tests.example", "v", "Postfix 3.7.11"]);
            self.packet(b'C', b"client.example\x004\x30\x39127.0.0.1\0");
            self.ask(QUIET_CONNECT)?;
        }
        if !self.has(NO_HELO) {
            self.macros(b'H', &[]);
            self.strings(b'H', &["client.example"]);
            self.ask(QUIET_HELO)?;
        }
        Ok(())
    }

    /// Sends what was written and waits for the answer, if there is to be one; whether the message goes on.
    fn ask(&mut self, quiet: u32) -> io::Result<Answer> {
        // As Postfix's buffered stream: what needs no answer waits for what does, or for a full buffer.
        if self.has(quiet) {
            if self.out.len() >= STREAM_BUFFER_BYTES {
                self.flush()?;
            }
            return Ok(Answer::Go);
        }
        self.flush()?;
        loop {
            let (command, _) = self.read_packet()?;
            return Ok(match command {
                b'c' => Answer::Go,
                b's' => Answer::Skip,
                b'a' => Answer::Final(Verdict::Accepted),
                b'p' => continue,
                _ => Answer::Final(Verdict::Refused),
            });
        }
    }

    /// One transaction.
    pub fn send(&mut self, message: &Message) -> io::Result<Seen> {
        let early = |verdict| Ok(Seen { verdict, at_data: true, edits: 0 });
        if !self.has(NO_MAIL) {
            self.macros(
                b'M',
                &["{auth_type}", "PLAIN", "{auth_authen}", message.login, "{mail_addr}", &message.sender],
            );
            let sender = format!("<{}>", message.sender);
            // What mail programs declare, and Postfix passes on.
            let size = format!("SIZE={}", message.size_bytes());
            self.strings(b'M', &[&sender, &size]);
            if let Answer::Final(verdict) = self.ask(QUIET_MAIL)? {
                return early(verdict);
            }
        }
        if !self.has(NO_RCPT) {
            self.macros(b'R', &["i", "4Xyz00AbCdEz", "{rcpt_addr}", &message.recipient]);
            let recipient = format!("<{}>", message.recipient);
            self.strings(b'R', &[&recipient]);
            if let Answer::Final(verdict) = self.ask(QUIET_RCPT)? {
                return early(verdict);
            }
        }
        if !self.has(NO_DATA) {
            self.macros(b'T', &["i", "4Xyz00AbCdEz"]);
            self.packet(b'T', &[]);
            if let Answer::Final(verdict) = self.ask(QUIET_DATA)? {
                return early(verdict);
            }
        }
        // The connection goes from Postfix's smtpd to its cleanup here, so nothing may be left in the buffer.
        self.flush()?;
        if !self.pause.is_zero() {
            std::thread::sleep(self.pause);
        }
        self.content(message)
    }

    fn content(&mut self, message: &Message) -> io::Result<Seen> {
        let ended = |verdict| Ok(Seen { verdict, at_data: false, edits: 0 });
        if !self.has(NO_HEADER) {
            for (name, value) in &message.header {
                self.macros(b'L', &["i", "4Xyz00AbCdEz"]);
                self.strings(b'L', &[name, value]);
                if let Answer::Final(verdict) = self.ask(QUIET_HEADER)? {
                    return ended(verdict);
                }
            }
        }
        if !self.has(NO_EOH) {
            self.macros(b'N', &["i", "4Xyz00AbCdEz"]);
            self.packet(b'N', &[]);
            if let Answer::Final(verdict) = self.ask(QUIET_EOH)? {
                return ended(verdict);
            }
        }
        if !self.has(NO_BODY) {
            for chunk in message.body.chunks(BODY_CHUNK_BYTES) {
                self.packet(b'B', chunk);
                match self.ask(QUIET_BODY)? {
                    Answer::Go => {}
                    Answer::Skip => break,
                    Answer::Final(verdict) => return ended(verdict),
                }
            }
        }
        self.macros(b'E', &["i", "4Xyz00AbCdEz"]);
        self.packet(b'E', &[]);
        self.flush()?;
        let mut edits = 0;
        loop {
            let (command, _) = self.read_packet()?;
            match command {
                b'a' | b'c' => return Ok(Seen { verdict: Verdict::Accepted, at_data: false, edits }),
                b'r' | b't' | b'd' | b'y' => return Ok(Seen { verdict: Verdict::Refused, at_data: false, edits }),
                b'p' => {}
                _ => edits += 1,
            }
        }
    }
}

enum Answer {
    Go,
    Skip,
    Final(Verdict),
}
