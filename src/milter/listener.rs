//! Sockets to listen on, wrapped so that no accept error ends the daemon.
//!
//! indymilter stops when a listener reports an error, and a daemon out of file descriptors would leave the MTA without
//! its milter. [`Patient`] reports the error, waits, and goes on. On TCP it also sets `TCP_NODELAY`: several reply
//! packets at end of message would otherwise wait for the peer's delayed acknowledgement, 44 ms each.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use indymilter::{EitherStream, Listener};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::{Sleep, sleep};

use super::gathered::Gathered;

/// How long to wait after a failed accept: long enough for a connection to end, short against the MTA's 30 s.
const BACK_OFF: Duration = Duration::from_millis(200);

/// A bound socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket; the path is removed when it was bound here and not inherited.
    Unix(UnixListener, Option<PathBuf>),
}

impl Socket {
    /// Whether what is written to it arrives at once. On TCP the peer's last packet waits for an acknowledgement, and that
    /// for an answer.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Unix(..))
    }
}

/// A listener that survives accept errors.
pub struct Patient {
    socket: Socket,
    pause: Option<Pin<Box<Sleep>>>,
    door: Door,
}

/// Whether a listener still accepts connections.
#[derive(Debug, Clone, Default)]
pub struct Door(Arc<AtomicBool>);

impl Door {
    /// From now on connections wait where the system keeps them: for the next daemon under socket activation, or until the
    /// socket goes.
    pub fn close(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Patient {
    /// Wraps a bound socket.
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self { socket, pause: None, door: Door::default() }
    }

    /// What closes it, from elsewhere.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    fn poll_socket(&self, cx: &mut Context<'_>) -> Poll<io::Result<EitherStream<TcpStream, UnixStream>>> {
        match &self.socket {
            Socket::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, _)| {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY not set; replies will be slow");
                }
                EitherStream::Tcp(stream)
            }),
            Socket::Unix(listener, _) => listener.poll_accept(cx).map_ok(|(stream, _)| EitherStream::Unix(stream)),
        }
    }
}

impl Listener for Patient {
    type Io = Gathered<EitherStream<TcpStream, UnixStream>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Io>> {
        loop {
            if self.door.is_closed() {
                return Poll::Pending;
            }
            if let Some(pause) = &mut self.pause {
                match pause.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => self.pause = None,
                }
            }
            match self.poll_socket(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(Gathered::new(stream))),
                Poll::Ready(Err(error)) => {
                    metrics::counter!(crate::milter::meters::ACCEPT_ERRORS).increment(1);
                    tracing::warn!(%error, "cannot accept a connection; trying again (are the file descriptors used up?)");
                    self.pause = Some(Box::pin(sleep(BACK_OFF)));
                }
            }
        }
    }
}

use std::future::Future as _;

impl Drop for Patient {
    fn drop(&mut self) {
        if let Socket::Unix(_, Some(path)) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Gives a unix socket to a group of the system, so that the mail server may connect.
///
/// # Errors
/// There is no such group, or the socket is not ours to give.
pub fn hand_to_group(path: &Path, group: &str) -> io::Result<()> {
    let id = group_id(group)?.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no group `{group}`")))?;
    std::os::unix::fs::chown(path, None, Some(id))
}

/// Looks a group up where all local groups are (group(5)); its number may stand for its name.
fn group_id(group: &str) -> io::Result<Option<u32>> {
    if let Ok(id) = group.parse() {
        return Ok(Some(id));
    }
    let groups = std::fs::read_to_string("/etc/group")?;
    let mut entries = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = entries.find(|fields| fields.first() == Some(&group));
    Ok(found.and_then(|fields| fields.get(2).and_then(|id| id.parse().ok())))
}

/// Binds a TCP socket.
///
/// # Errors
/// The address is in use, not ours, or not permitted.
pub async fn tcp(address: &str) -> io::Result<Socket> {
    TcpListener::bind(address).await.map(Socket::Tcp)
}

/// Binds a unix socket with this mode, in place of a socket file that nobody listens on any more.
///
/// # Errors
/// Somebody listens there already, the path is something else than a socket, or the directory cannot be written.
pub fn unix(path: &Path, mode: u32) -> io::Result<Socket> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    if let Ok(metadata) = std::fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is not a socket"));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on this socket"));
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(Socket::Unix(listener, Some(path.to_owned())))
}
