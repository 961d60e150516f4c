//! The sockets of the daemon: bound here, or inherited from systemd.

use std::io;

use listenfd::ListenFd;

use crate::config::daemon::{ListenAddress, Listener, Role};
use crate::milter::listener::{self, Socket};

/// A socket ready to be served.
pub struct Bound {
    /// How people call it.
    pub name: String,
    /// The socket.
    pub socket: Socket,
    /// What it is for.
    pub role: Role,
}

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {name}: {source}")]
pub struct SocketError {
    name: String,
    source: io::Error,
}

/// Binds every socket of the configuration, or none.
///
/// # Errors
/// The first one that cannot be had.
pub async fn bind(listeners: &[Listener]) -> Result<Vec<Bound>, SocketError> {
    let mut inherited = Inherited::take();
    let mut bound = Vec::with_capacity(listeners.len());
    for wanted in listeners {
        let name = wanted.address.to_string();
        let socket = match &wanted.address {
            ListenAddress::Unix(path) => listener::unix(path, wanted.mode, wanted.group.as_deref()),
            ListenAddress::Inet { host, port } => listener::tcp(&format!("{host}:{port}")).await,
            ListenAddress::Systemd(name) => inherited.socket(name),
        };
        match socket {
            Ok(socket) => bound.push(Bound { name, socket, role: wanted.role }),
            Err(source) => return Err(SocketError { name, source }),
        }
    }
    for socket in &bound {
        tracing::info!(socket = socket.name, role = ?socket.role, "listening");
    }
    Ok(bound)
}

/// The sockets that systemd passed, by the names of `FileDescriptorName=`.
struct Inherited {
    names: Vec<String>,
    sockets: ListenFd,
}

impl Inherited {
    fn take() -> Self {
        let names = sd_notify::listen_fds_with_names().map(|sockets| sockets.map(|(_, name)| name).collect());
        Self { names: names.unwrap_or_default(), sockets: ListenFd::from_env() }
    }

    fn socket(&mut self, name: &str) -> io::Result<Socket> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "systemd passed no socket of this name");
        let index = self.names.iter().position(|own| own == name).ok_or_else(missing)?;
        if let Ok(Some(listener)) = self.sockets.take_unix_listener(index) {
            listener.set_nonblocking(true)?;
            return Ok(Socket::Unix(tokio::net::UnixListener::from_std(listener)?, None));
        }
        let listener = self.sockets.take_tcp_listener(index)?.ok_or_else(missing)?;
        listener.set_nonblocking(true)?;
        Ok(Socket::Tcp(tokio::net::TcpListener::from_std(listener)?))
    }
}
