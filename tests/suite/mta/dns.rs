//! A DNS server that knows a few TXT records and answers "no such name" to everything else.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Question type TXT (RFC 1035, 3.2.2).
const TYPE_TXT: u16 = 16;
/// Answer codes (RFC 1035, 4.1.1).
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct Dns {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    records: HashMap<String, String>,
    failing: AtomicBool,
    silent: AtomicBool,
    stopped: AtomicBool,
    questions: AtomicUsize,
}

impl Dns {
    /// Serves `records`: names without the final dot, and their text.
    pub fn start(records: &[(&str, &str)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let address = socket.local_addr().unwrap();
        let records = records.iter().map(|(name, text)| (name.to_ascii_lowercase(), (*text).to_owned())).collect();
        let state = Arc::new(State { records, ..State::default() });
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            let mut packet = [0_u8; 1500];
            while !serving.stopped.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut packet) else { continue };
                serving.questions.fetch_add(1, Ordering::Relaxed);
                if !serving.silent.load(Ordering::Relaxed)
                    && let Some(answer) = serving.answer(&packet[..length])
                {
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        Self { address, state }
    }

    /// Where it listens (UDP).
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on answers everything with SERVFAIL.
    pub fn fail(&self, failing: bool) {
        self.state.failing.store(failing, Ordering::Relaxed);
    }

    /// From now on says nothing at all.
    pub fn fall_silent(&self, silent: bool) {
        self.state.silent.store(silent, Ordering::Relaxed);
    }

    /// How many questions it has been asked.
    pub fn questions(&self) -> usize {
        self.state.questions.load(Ordering::Relaxed)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
    }
}

impl State {
    /// The answer to a packet with one question; `None` where it is not one.
    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let (name, name_end) = read_name(question)?;
        let kind = u16::from_be_bytes([*question.get(name_end)?, *question.get(name_end + 1)?]);
        let text = self.records.get(&name);
        let code = match text {
            _ if self.failing.load(Ordering::Relaxed) => SERVFAIL,
            Some(_) => 0,
            None => NXDOMAIN,
        };
        let text = text.filter(|_| code == 0 && kind == TYPE_TXT);
        let mut answer = question[..2].to_vec();
        // A response, authoritative, recursion as asked for and at hand; one question; no other sections than the answers.
        answer.extend([0x84 | (question[2] & 1), 0x80 | code, 0, 1, 0, u8::from(text.is_some()), 0, 0, 0, 0]);
        answer.extend_from_slice(question.get(12..name_end + 4)?);
        if let Some(text) = text {
            // The name is a pointer to the question's; TXT, IN, 60 seconds; strings of at most 255 octets.
            answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
            let strings: Vec<u8> = text
                .as_bytes()
                .chunks(255)
                .flat_map(|chunk| std::iter::once(u8::try_from(chunk.len()).unwrap()).chain(chunk.iter().copied()))
                .collect();
            answer.extend(u16::try_from(strings.len()).unwrap().to_be_bytes());
            answer.extend(strings);
        }
        Some(answer)
    }
}

/// The question's name in lower case, and where it ends.
fn read_name(packet: &[u8]) -> Option<(String, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(packet.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
}
