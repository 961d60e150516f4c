//! The milter protocol: sockets, negotiation, callbacks, sessions, and the effects of a decision. The only room that
//! knows indymilter.

mod callbacks;
mod effects;
mod gathered;
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

/// How often a closing socket looks whether messages are still under way.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Serves one socket until `shutdown` completes and its sessions have ended. From then on nobody is accepted any more, and a
/// message whose content is already on its way to us is finished; indymilter by itself would end its session at the next
/// command. How long that may take is for the caller to say.
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
    let callbacks = callbacks::callbacks(&gateway, role, socket.is_local());
    let patient = Patient::new(socket);
    let door = patient.door();
    let drained = async move {
        shutdown.await;
        door.close();
        while gateway.under_way().count() > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    };
    indymilter::run(patient, callbacks, config, drained).await
}
