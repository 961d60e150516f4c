//! The milter protocol: sockets, negotiation, callbacks, sessions, and the effects of a decision. The only room that
//! knows indymilter.

mod callbacks;
mod effects;
pub mod listener;
pub mod meters;
mod session;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use indymilter::Config;

pub use crate::config::daemon::Role;
use crate::gateway::Gateway;
use listener::{Patient, Socket};

/// Serves one socket until `shutdown` completes and its sessions have ended.
///
/// # Errors
/// The listener failed for good; accept errors are not among the reasons.
pub async fn serve(
    socket: Socket,
    role: Role,
    gateway: Arc<Gateway>,
    connections_max: usize,
    idle_max: Duration,
    shutdown: impl Future,
) -> io::Result<()> {
    let config = Config { max_connections: connections_max, connection_timeout: idle_max, ..Config::default() };
    indymilter::run(Patient::new(socket), callbacks::callbacks(&gateway, role), config, shutdown).await
}
