//! A plain SMTP client that shows every reply, sends byte for byte what it is told and can leave at any point.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::net::{AddressFamily, SocketType};

use super::letter::Letter;
use super::{PATIENCE, program};

/// A reply: its code and its lines without code and line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub lines: Vec<String>,
}

impl Reply {
    /// The lines joined by a space.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// 2xx, or 3xx for the answer to DATA.
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.text())
    }
}

/// What a server said to each step of one transaction, up to the step it refused.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub auth: Option<Reply>,
    pub mail: Option<Reply>,
    /// One reply for each recipient.
    pub rcpt: Vec<Reply>,
    /// The answer to DATA itself.
    pub data: Option<Reply>,
    /// The answer to the final dot.
    pub end: Option<Reply>,
}

impl Outcome {
    /// The last reply of the transaction: what the sender sees.
    pub fn last(&self) -> &Reply {
        let last_recipient = self.rcpt.last();
        [&self.end, &self.data]
            .into_iter()
            .find_map(Option::as_ref)
            .or(last_recipient)
            .or(self.mail.as_ref())
            .or(self.auth.as_ref())
            .expect("a transaction has replies")
    }

    /// The message was taken.
    pub fn is_accepted(&self) -> bool {
        self.end.as_ref().is_some_and(Reply::is_positive)
    }
}

/// What an SMTP dialogue runs over.
#[derive(Debug)]
enum Link {
    Plain(BufReader<TcpStream>),
    /// `openssl s_client`, which speaks STARTTLS and TLS and passes the rest through.
    Tls {
        openssl: Child,
        from: BufReader<ChildStdout>,
        to: ChildStdin,
    },
}

/// One SMTP connection.
#[derive(Debug)]
pub struct SmtpClient {
    link: Link,
}

impl SmtpClient {
    /// Connects and reads the greeting, which must be 220.
    pub fn connect(server: SocketAddr) -> Self {
        let mut client =
            Self::over(TcpStream::connect(server).unwrap_or_else(|e| panic!("connecting to {server}: {e}")));
        let greeting = client.reply();
        assert_eq!(greeting.code, 220, "{greeting}");
        client
    }

    /// Connects from another loopback address (all of 127.0.0.0/8 is ours on Linux), which the server takes for another
    /// host.
    pub fn connect_from(source: IpAddr, server: SocketAddr) -> Self {
        let IpAddr::V4(source) = source else { panic!("the tests' servers speak IPv4 alone") };
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from((source, 0))).unwrap();
        rustix::net::connect(&socket, &server).unwrap_or_else(|e| panic!("connecting to {server} from {source}: {e}"));
        let mut client = Self::over(TcpStream::from(socket));
        let greeting = client.reply();
        assert_eq!(greeting.code, 220, "{greeting}");
        client
    }

    /// Connects and goes over to TLS, showing a client certificate. The server's own certificate is not looked at.
    pub fn connect_over_tls(server: SocketAddr, certificate: &Path, key: &Path) -> Self {
        let mut openssl = Command::new(program("openssl", "openssl"))
            .args([
                "s_client",
                "-quiet",
                "-starttls",
                "smtp",
                "-name",
                "client.example",
                "-connect",
                &server.to_string(),
            ])
            .arg("-cert")
            .arg(certificate)
            .arg("-key")
            .arg(key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (from, to) = (BufReader::new(openssl.stdout.take().unwrap()), openssl.stdin.take().unwrap());
        // s_client reads our first command when TLS is established; until then it speaks for itself.
        Self { link: Link::Tls { openssl, from, to } }
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { link: Link::Plain(BufReader::new(stream)) }
    }

    /// Reads one reply.
    ///
    /// # Panics
    /// When the server hangs up or is silent for [`super::PATIENCE`].
    pub fn reply(&mut self) -> Reply {
        self.try_reply().expect("the server answers")
    }

    /// Reads one reply, or nothing when the server has hung up.
    pub fn try_reply(&mut self) -> Option<Reply> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = match &mut self.link {
                Link::Plain(stream) => stream.read_until(b'\n', &mut line),
                Link::Tls { from, .. } => from.read_until(b'\n', &mut line),
            };
            if read.ok()? == 0 {
                return None;
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let code = line.get(..3)?.parse().ok()?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Some(Reply { code, lines });
            }
        }
    }

    /// Sends bytes as they are; a server that has hung up shows itself at the next reply.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let _ = match &mut self.link {
            Link::Plain(stream) => stream.get_mut().write_all(bytes),
            Link::Tls { to, .. } => to.write_all(bytes).and_then(|()| to.flush()),
        };
    }

    /// Sends one command line and reads its reply.
    pub fn command(&mut self, line: &str) -> Reply {
        self.send_raw(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    /// EHLO, which must be answered by 250.
    pub fn ehlo(&mut self) -> Reply {
        let reply = self.command("EHLO client.example");
        assert_eq!(reply.code, 250, "{reply}");
        reply
    }

    /// AUTH PLAIN.
    pub fn auth(&mut self, user: &str, password: &str) -> Reply {
        let response = data_encoding::BASE64.encode(format!("\0{user}\0{password}").as_bytes());
        self.command(&format!("AUTH PLAIN {response}"))
    }

    /// MAIL FROM with the letter's parameters.
    pub fn mail(&mut self, letter: &Letter) -> Reply {
        let line = format!("MAIL FROM:<{}> {}", letter.sender, letter.sender_parameters);
        self.command(line.trim_end())
    }

    /// RCPT TO; what follows a `>` are its parameters.
    pub fn rcpt(&mut self, recipient: &str) -> Reply {
        let (path, parameters) = recipient.split_once('>').unwrap_or((recipient, ""));
        let line = format!("RCPT TO:<{path}> {}", parameters.trim_start());
        self.command(line.trim_end())
    }

    /// Sends part of a message, dots stuffed; the part must begin at the start of a line.
    pub fn content(&mut self, bytes: &[u8]) {
        self.send_raw(&dot_stuffed(bytes));
    }

    /// The final dot and its reply. The message must have ended with a line end.
    pub fn finish(&mut self) -> Reply {
        self.send_raw(b".\r\n");
        self.reply()
    }

    /// One whole transaction on this connection, stopped at the first refusal of everything.
    pub fn transact(&mut self, letter: &Letter) -> Outcome {
        let mut outcome = Outcome { mail: Some(self.mail(letter)), ..Outcome::default() };
        if !outcome.last().is_positive() {
            return outcome;
        }
        for recipient in &letter.recipients {
            outcome.rcpt.push(self.rcpt(recipient));
        }
        if !outcome.rcpt.iter().any(Reply::is_positive) {
            return outcome;
        }
        outcome.data = Some(self.command("DATA"));
        if !outcome.last().is_positive() {
            return outcome;
        }
        self.content(&letter.bytes);
        if !letter.bytes.is_empty() && !letter.bytes.ends_with(b"\r\n") {
            self.send_raw(b"\r\n");
        }
        outcome.end = Some(self.finish());
        outcome
    }

    /// QUIT.
    pub fn quit(mut self) {
        self.send_raw(b"QUIT\r\n");
        let _ = self.try_reply();
    }

    /// Leaves without a word, whatever was going on.
    pub fn abort(self) {
        drop(self);
    }
}

impl Drop for SmtpClient {
    fn drop(&mut self) {
        if let Link::Tls { openssl, .. } = &mut self.link {
            let _ = openssl.kill();
            let _ = openssl.wait();
        }
    }
}

/// Connects over TLS with a client certificate, sends the letter and quits.
pub fn send_over_tls(server: SocketAddr, letter: &Letter, certificate: &Path, key: &Path) -> Outcome {
    let mut client = SmtpClient::connect_over_tls(server, certificate, key);
    client.ehlo();
    let outcome = client.transact(letter);
    client.quit();
    outcome
}

/// Connects, logs in where the letter says so, sends it and quits.
pub fn send(server: SocketAddr, letter: &Letter) -> Outcome {
    let source = letter.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut client = SmtpClient::connect_from(source, server);
    client.ehlo();
    if let Some((user, password)) = &letter.login {
        let auth = client.auth(user, password);
        if !auth.is_positive() {
            return Outcome { auth: Some(auth), ..Outcome::default() };
        }
    }
    let outcome = client.transact(letter);
    client.quit();
    outcome
}

fn dot_stuffed(bytes: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(bytes.len() + 16);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed
}
