//! Sockets to listen on, wrapped so that no accept error ends the daemon.
//!
//! A daemon out of file descriptors would leave the MTA without its milter. [`Patient`] reports the error, waits, and goes on.
//! On TCP it also sets `TCP_NODELAY`: several reply packets at end of message would otherwise wait for the peer's delayed
//! acknowledgement, 44 ms each.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::time::sleep;

use super::workers::Stream;

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
#[derive(Debug)]
pub(super) struct Patient(Socket);

impl Patient {
    /// Wraps a bound socket.
    pub fn new(socket: Socket) -> Self {
        Self(socket)
    }

    /// The next connection. Loses none when it is dropped.
    pub async fn accept(&self) -> Stream {
        loop {
            match self.try_accept().await {
                Ok(stream) => return stream,
                Err(error) => complain(&error),
            }
            sleep(BACK_OFF).await;
        }
    }

    async fn try_accept(&self) -> io::Result<Stream> {
        match &self.0 {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY not set; replies will be slow");
                }
                stream.into_std().map(Stream::Tcp)
            }
            Socket::Unix(listener, _) => listener.accept().await?.0.into_std().map(Stream::Unix),
        }
    }
}

/// Tells the operator of a connection that was not taken.
pub(super) fn complain(error: &io::Error) {
    metrics::counter!(crate::milter::meters::ACCEPT_ERRORS).increment(1);
    tracing::warn!(%error, "cannot accept a connection; trying again (are the file descriptors used up?)");
}

impl Drop for Patient {
    fn drop(&mut self) {
        if let Socket::Unix(_, Some(path)) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Gives a unix socket to a group of the system, so that the mail server may connect.
fn hand_to_group(path: &Path, group: &str) -> io::Result<()> {
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

/// Binds a unix socket with this mode and group, in place of a socket file that nobody listens on any more. It comes to its path
/// when all that is done: a mail server that finds it may open it.
///
/// # Errors
/// Somebody listens there already, the path is something else than a socket, the directory cannot be written, or there is no
/// such group.
pub fn unix(path: &Path, mode: u32, group: Option<&str>) -> io::Result<Socket> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    if let Ok(metadata) = std::fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is not a socket"));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on this socket"));
        }
    }
    // No longer than the names of sockets are, which may not be long.
    let unready = path.with_file_name(format!(".{}", std::process::id()));
    let _ = std::fs::remove_file(&unready);
    let listener = UnixListener::bind(&unready)?;
    let ready = std::fs::set_permissions(&unready, std::fs::Permissions::from_mode(mode))
        .and_then(|()| group.map_or(Ok(()), |group| hand_to_group(&unready, group)))
        .and_then(|()| std::fs::rename(&unready, path));
    if let Err(error) = ready {
        let _ = std::fs::remove_file(&unready);
        return Err(error);
    }
    Ok(Socket::Unix(listener, Some(path.to_owned())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_socket_comes_to_its_path_ready_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("milter.sock");
        let names =
            || std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        assert!(unix(&path, 0o660, Some("no such group")).is_err());
        assert!(names().is_empty(), "{:?}", names());
        let own = rustix::process::getegid().as_raw().to_string();
        let first = unix(&path, 0o640, Some(&own)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(names(), ["milter.sock"]);
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        assert!(unix(&path, 0o600, None).is_err(), "somebody listens there");
        // A file that nobody listens on any more is replaced.
        drop(first);
        std::os::unix::net::UnixListener::bind(directory.path().join("left.sock")).unwrap();
        std::fs::rename(directory.path().join("left.sock"), &path).unwrap();
        unix(&path, 0o600, None).unwrap();
        std::os::unix::net::UnixStream::connect(&path).unwrap_err();
    }
}
