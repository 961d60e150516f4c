//! A message to send, with the envelope and the proofs that go with it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a client sends in one transaction.
#[derive(Debug, Clone)]
pub struct Letter {
    /// MAIL FROM, without angle brackets; empty for the null sender.
    pub sender: String,
    /// ESMTP parameters of MAIL FROM.
    pub sender_parameters: String,
    /// RCPT TO, without angle brackets; what follows a `>` is taken for ESMTP parameters.
    pub recipients: Vec<String>,
    /// User and password for AUTH PLAIN.
    pub login: Option<(String, String)>,
    /// The loopback address the client connects from: 127.0.0.1 where nothing is said.
    pub client: Option<IpAddr>,
    /// The Message-ID without angle brackets, by which the sink finds it again.
    pub id: String,
    /// The message as it goes after DATA, before dots are stuffed.
    pub bytes: Vec<u8>,
}

impl Letter {
    /// A plain text message from `sender` to `recipients`, with the ordinary headers and a Message-ID of its own.
    pub fn new(sender: &str, recipients: &[&str]) -> Self {
        let id = fresh_id();
        Self {
            sender: sender.to_owned(),
            sender_parameters: String::new(),
            recipients: recipients.iter().map(|&recipient| recipient.to_owned()).collect(),
            login: None,
            client: None,
            bytes: compose(
                &[
                    ("From", sender),
                    ("To", &recipients.join(", ")),
                    ("Subject", "Bonjour"),
                    ("Date", "Mon, 18 Jun 2018 10:00:00 +0200"),
                    ("Message-ID", &format!("<{id}>")),
                    ("MIME-Version", "1.0"),
                    ("Content-Type", "text/plain; charset=utf-8"),
                    ("Content-Transfer-Encoding", "8bit"),
                ],
                "Bonjour à toutes et à tous.\r\n",
            ),
            id,
        }
    }

    /// Logs in before sending.
    #[must_use]
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Connects from another loopback address.
    #[must_use]
    pub fn client_address(mut self, client: &str) -> Self {
        self.client = Some(client.parse().unwrap());
        self
    }

    /// Sets or, with the empty string, removes a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.bytes = without_header(&self.bytes, name);
        if !value.is_empty() {
            self = self.another_header(name, value);
        }
        self
    }

    /// Adds a header field, whether it is there already or not.
    #[must_use]
    pub fn another_header(mut self, name: &str, value: &str) -> Self {
        let at = header_end(&self.bytes);
        self.bytes.splice(at..at, format!("{name}: {value}\r\n").into_bytes());
        self
    }

    /// Replaces everything after the empty line.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        let at = (header_end(&self.bytes) + 2).min(self.bytes.len());
        self.bytes.truncate(at);
        self.bytes.extend_from_slice(body.as_ref());
        self
    }

    /// Sends `bytes` as they are.
    #[must_use]
    pub fn raw(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.bytes = bytes.into();
        self
    }

    /// Makes it a multipart/mixed of its text and one attached file.
    #[must_use]
    pub fn attach(self, name: &str, content_type: &str, content: &[u8]) -> Self {
        let text =
            String::from_utf8_lossy(self.bytes.get(header_end(&self.bytes) + 2..).unwrap_or_default()).into_owned();
        let encoded = data_encoding::BASE64_MIME.encode(content);
        let body = format!(
            "--charter-test\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n\
             --charter-test\r\nContent-Type: {content_type}; name=\"{name}\"\r\n\
             Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}\
             --charter-test--\r\n"
        );
        self.header("Content-Type", "multipart/mixed; boundary=\"charter-test\"").body(body)
    }
}

/// A Message-ID, unique among all the tests that may share a server.
pub fn fresh_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{}.{}@tests.example", NEXT.fetch_add(1, Ordering::Relaxed), std::process::id())
}

/// A message from header fields and a body.
pub fn compose(headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut message: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    message.push_str("\r\n");
    message.push_str(body);
    message.into_bytes()
}

/// Every value of the header field `name`, unfolded and trimmed, in order.
pub fn header_values(message: &[u8], name: &str) -> Vec<String> {
    fields(&message[..header_end(message)])
        .into_iter()
        .filter_map(|field| {
            let text = String::from_utf8_lossy(field).replace("\r\n", "");
            let (found, value) = text.split_once(':')?;
            found.trim_end().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
        .collect()
}

/// Where the header section ends: at the empty line, or at the end where there is none.
fn header_end(message: &[u8]) -> usize {
    if message.starts_with(b"\r\n") {
        return 0;
    }
    message.windows(4).position(|window| window == b"\r\n\r\n").map_or(message.len(), |at| at + 2)
}

/// The header section cut into fields, each with its continuation lines.
fn fields(header: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<usize> = vec![0];
    for (at, window) in header.windows(3).enumerate() {
        if window.starts_with(b"\r\n") && !matches!(window[2], b' ' | b'\t') {
            starts.push(at + 2);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([header.len()]).collect::<Vec<_>>();
    starts.into_iter().zip(ends).map(|(start, end)| &header[start..end]).filter(|field| !field.is_empty()).collect()
}

fn without_header(message: &[u8], name: &str) -> Vec<u8> {
    let end = header_end(message);
    let (header, rest) = message.split_at(end);
    let mut kept: Vec<u8> = fields(header)
        .into_iter()
        .filter(|field| {
            let found = field.split(|&byte| byte == b':').next().unwrap_or_default();
            !found.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
        })
        .flatten()
        .copied()
        .collect();
    kept.extend_from_slice(rest);
    kept
}
