//! The threads that serve connections, each with a runtime of its own.
//!
//! indymilter hands every packet from one task to another. On a runtime of several threads each hand-over wakes a thread that
//! finds nothing to do: for a message of fifty packets that costs more than deciding about it. Here a connection stays on one
//! thread, and its tasks wake nobody else. A thread never waits for long: what takes its time is done elsewhere
//! ([`crate::gateway::Gateway::judge`]).

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use indymilter::{EitherStream, Listener};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::gathered::Gathered;

/// The threads; they end with this.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

#[derive(Debug)]
pub(super) struct Worker {
    pub runtime: Handle,
    /// Each connection of this worker holds a clone.
    load: Arc<()>,
    /// The thread ends when this is gone.
    _until: oneshot::Sender<()>,
}

impl Workers {
    /// Starts one for each processor.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        (0..count).map(Worker::start).collect::<io::Result<_>>().map(Self)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.0.iter()
    }
}

impl Worker {
    pub fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (until, ended) = oneshot::channel::<()>();
        let run = move || {
            let _ = runtime.block_on(ended);
        };
        std::thread::Builder::new().name(format!("connections-{number}")).spawn(run)?;
        Ok(Self { runtime: handle, load: Arc::default(), _until: until })
    }
}

/// A connection on its way to a worker: no runtime knows of it.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Stream {
    /// Makes it known to the runtime that runs here.
    fn arrive(self) -> io::Result<EitherStream<TcpStream, UnixStream>> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).map(EitherStream::Tcp),
            Self::Unix(stream) => UnixStream::from_std(stream).map(EitherStream::Unix),
        }
    }
}

/// What a connection takes from the others for as long as it lasts.
#[derive(Debug, Default)]
pub(super) struct Seat {
    _permit: Option<OwnedSemaphorePermit>,
    _load: Arc<()>,
}

/// The way of one socket's connections to one worker.
#[derive(Debug)]
pub(super) struct Lane {
    connections: mpsc::UnboundedSender<(Stream, Seat)>,
    load: Arc<()>,
}

impl Lane {
    /// A lane, and its end at the worker.
    pub fn to(worker: &Worker) -> (Self, LaneEnd) {
        let (connections, end) = mpsc::unbounded_channel();
        (Self { connections, load: Arc::clone(&worker.load) }, LaneEnd(end))
    }

    /// How many connections its worker has.
    pub fn load(&self) -> usize {
        Arc::strong_count(&self.load)
    }

    /// Sends a connection on its way. One whose worker is gone closes.
    pub fn send(&self, stream: Stream, permit: OwnedSemaphorePermit) {
        let seat = Seat { _permit: Some(permit), _load: Arc::clone(&self.load) };
        let _ = self.connections.send((stream, seat));
    }
}

/// Where the connections of a lane arrive.
#[derive(Debug)]
pub(super) struct LaneEnd(mpsc::UnboundedReceiver<(Stream, Seat)>);

impl Listener for LaneEnd {
    type Io = Gathered<EitherStream<TcpStream, UnixStream>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Io>> {
        loop {
            // Nobody sends any more when the socket closes; indymilter is told so by other means, and takes an error for a defect.
            let Some((stream, seat)) = ready!(self.0.poll_recv(cx)) else { return Poll::Pending };
            match stream.arrive() {
                Ok(stream) => return Poll::Ready(Ok(Gathered::new(stream, seat))),
                Err(error) => super::listener::complain(&error),
            }
        }
    }
}
