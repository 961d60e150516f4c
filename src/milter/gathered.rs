//! A connection whose edits leave together.
//!
//! indymilter flushes after every packet, and a message that is edited is answered with a dozen of them: a dozen writes
//! here, and on the other side as many reads. [`Gathered`] keeps the packets that change a message until a packet that is
//! not one of them follows: the reply that ends the stage, or progress, which says nothing to the MTA and tells us whether
//! it is still there.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::workers::Seat;

/// Packets that change a message, and so are no answer (libmilter's `SMFIR_ADDRCPT`, `_ADDRCPT_PAR`, `_DELRCPT`,
/// `_REPLBODY`, `_CHGFROM`, `_ADDHEADER`, `_INSHEADER`, `_CHGHEADER` and `_QUARANTINE`).
const CHANGES: &[u8] = b"+2-behimq";

/// Beyond so much, what is kept is sent: a body of megabytes is not copied as a whole.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// A packet's head: its length in network order, then its kind.
const HEAD_BYTES: usize = 5;

/// A stream that sends what an answer consists of at once.
#[derive(Debug)]
pub struct Gathered<S> {
    stream: S,
    kept: Vec<u8>,
    /// How much of `kept` has been sent.
    sent: usize,
    reading: Packet,
    /// Given back once the connection is closed.
    _seat: Seat,
}

/// Where in a packet the next octet written will be.
#[derive(Debug)]
struct Packet {
    head: [u8; HEAD_BYTES],
    head_len: usize,
    /// Octets of the payload still to come.
    payload: usize,
    /// Whether the packet is an answer, which must leave at once.
    is_answer: bool,
}

impl Packet {
    const fn new() -> Self {
        Self { head: [0; HEAD_BYTES], head_len: 0, payload: 0, is_answer: false }
    }

    /// Follows what is written, over as many packets as it holds.
    fn follow(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            if self.payload > 0 {
                let taken = self.payload.min(octets.len());
                self.payload -= taken;
                octets = octets.get(taken..).unwrap_or_default();
                if self.payload == 0 {
                    self.head_len = 0;
                }
                continue;
            }
            let Some((&octet, rest)) = octets.split_first() else { return };
            octets = rest;
            if let Some(place) = self.head.get_mut(self.head_len) {
                *place = octet;
            }
            self.head_len += 1;
            if self.head_len == HEAD_BYTES {
                let [a, b, c, d, kind] = self.head;
                // The length counts the kind.
                self.payload = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(1);
                self.is_answer = !CHANGES.contains(&kind);
                if self.payload == 0 {
                    self.head_len = 0;
                }
            }
        }
    }
}

impl<S> Gathered<S> {
    /// Wraps a connection from the MTA.
    pub(super) fn new(stream: S, seat: Seat) -> Self {
        Self { stream, kept: Vec::new(), sent: 0, reading: Packet::new(), _seat: seat }
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left) = self.kept.get(self.sent..).filter(|left| !left.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        // A connection that idles keeps no memory of the body it once sent.
        self.kept = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        if self.kept.len() >= KEPT_BYTES_MAX {
            ready!(self.poll_send(cx))?;
        }
        self.kept.extend_from_slice(octets);
        self.reading.follow(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.reading.is_answer && self.kept.len() < KEPT_BYTES_MAX {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn packet(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 1).unwrap();
        [&length.to_be_bytes()[..], &[kind], payload].concat()
    }

    /// What has arrived on the other side so far.
    async fn arrived(peer: &mut tokio::io::DuplexStream) -> Vec<u8> {
        let mut octets = vec![0; 1 << 22];
        let reading = tokio::time::timeout(std::time::Duration::from_millis(20), peer.read(&mut octets)).await;
        octets.truncate(reading.map_or(0, Result::unwrap));
        octets
    }

    #[tokio::test]
    async fn changes_wait_for_the_answer_that_ends_them() {
        let (mut peer, stream) = tokio::io::duplex(1 << 20);
        let mut gathered = Gathered::new(stream, Seat::default());
        let mut expected = Vec::new();
        for kind in CHANGES {
            let change = packet(*kind, b"payload with an a, a c and a t");
            gathered.write_all(&change).await.unwrap();
            gathered.flush().await.unwrap();
            assert_eq!(arrived(&mut peer).await, b"", "{}", char::from(*kind));
            expected.extend(change);
        }
        gathered.write_all(&packet(b'a', b"")).await.unwrap();
        gathered.flush().await.unwrap();
        expected.extend(packet(b'a', b""));
        assert_eq!(arrived(&mut peer).await, expected);
    }

    #[tokio::test]
    async fn an_answer_leaves_at_once_however_it_was_written() {
        for answer in b"acdrtypsO" {
            let (mut peer, stream) = tokio::io::duplex(1 << 20);
            let mut gathered = Gathered::new(stream, Seat::default());
            let octets = [packet(b'h', b"X\0y\0"), packet(b'q', b""), packet(*answer, b"550 no\0")].concat();
            for octet in &octets {
                gathered.write_all(&[*octet]).await.unwrap();
            }
            gathered.flush().await.unwrap();
            assert_eq!(arrived(&mut peer).await, octets, "{}", char::from(*answer));
        }
    }

    #[tokio::test]
    async fn a_large_body_is_not_kept_whole() {
        let (mut peer, stream) = tokio::io::duplex(1 << 22);
        let mut gathered = Gathered::new(stream, Seat::default());
        for _ in 0..16 {
            gathered.write_all(&packet(b'b', &vec![b'x'; 65_535])).await.unwrap();
            gathered.flush().await.unwrap();
            assert!(gathered.kept.len() <= KEPT_BYTES_MAX, "{}", gathered.kept.len());
        }
        assert_eq!(arrived(&mut peer).await.len(), 16 * 65_540);
    }

    #[tokio::test]
    async fn what_is_kept_is_sent_before_the_stream_closes() {
        let (mut peer, stream) = tokio::io::duplex(1 << 20);
        let mut gathered = Gathered::new(stream, Seat::default());
        gathered.write_all(&packet(b'h', b"X\0y\0")).await.unwrap();
        gathered.shutdown().await.unwrap();
        assert_eq!(arrived(&mut peer).await, packet(b'h', b"X\0y\0"));
    }

    #[tokio::test]
    async fn progress_tells_that_the_mta_is_gone() {
        let (peer, stream) = tokio::io::duplex(1 << 20);
        let mut gathered = Gathered::new(stream, Seat::default());
        drop(peer);
        gathered.write_all(&packet(b'h', b"X\0y\0")).await.unwrap();
        gathered.flush().await.unwrap();
        gathered.write_all(&packet(b'p', b"")).await.unwrap();
        assert_eq!(gathered.flush().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
