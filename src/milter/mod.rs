//! The milter protocol: sockets, negotiation, callbacks, sessions, and the effects of a decision. The only room that
//! knows indymilter.

mod callbacks;
mod effects;
mod gathered;
pub mod listener;
pub mod meters;
mod session;
pub mod workers;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use indymilter::Config;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub use crate::config::daemon::Role;
use crate::gateway::Gateway;
use listener::{Patient, Socket};
use workers::{Lane, Workers};

/// How often a closing socket looks whether messages are still under way.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Serves one socket until `shutdown` completes and its sessions have ended. From then on nobody is accepted any more, and a
/// message whose content is already on its way to us is finished; indymilter by itself would end its session at the next
/// command. How long that may take is for the caller to say.
///
/// # Errors
/// A worker failed for good; accept errors are not among the reasons.
pub async fn serve(
    socket: Socket,
    role: Role,
    gateway: Arc<Gateway>,
    workers: &Workers,
    connections_max: usize,
    idle_max: Duration,
    shutdown: impl Future,
) -> io::Result<()> {
    let (end, ended) = watch::channel(false);
    let mut sessions = JoinSet::new();
    let mut lanes = Vec::new();
    for worker in workers.iter() {
        let (lane, lane_end) = Lane::to(worker);
        lanes.push(lane);
        let config = Config { max_connections: connections_max, connection_timeout: idle_max, ..Config::default() };
        let callbacks = callbacks::callbacks(&gateway, role, socket.is_local());
        let mut ended = ended.clone();
        let ended = async move { ended.wait_for(|ended| *ended).await.map(|_| ()) };
        sessions.spawn_on(indymilter::run(lane_end, callbacks, config, ended), &worker.runtime);
    }
    // Until the sessions have ended, those who connect wait where the system keeps them: for the next daemon under socket
    // activation, or until the socket goes.
    let patient = Patient::new(socket);
    tokio::select! {
        () = distribute(&patient, &lanes, connections_max) => {}
        Some(fault) = sessions.join_next() => return fault.map_err(io::Error::other)?,
        _ = shutdown => {}
    }
    while gateway.under_way().count() > 0 {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
    let _ = end.send(true);
    while let Some(ended) = sessions.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

/// Gives each connection to the worker that has the fewest, and accepts no more than there may be at once.
async fn distribute(patient: &Patient, lanes: &[Lane], connections_max: usize) {
    let seats = Arc::new(Semaphore::new(connections_max));
    while let Ok(permit) = Arc::clone(&seats).acquire_owned().await {
        let stream = patient.accept().await;
        if let Some(lane) = lanes.iter().min_by_key(|lane| lane.load()) {
            lane.send(stream, permit);
        }
    }
}

#[cfg(test)]
mod tests {
    use indymilter::Listener as _;
    use tokio::net::UnixStream;
    use workers::Worker;

    use super::*;

    #[tokio::test]
    async fn connections_go_where_there_are_fewest_and_are_no_more_than_may_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let patient = Patient::new(listener::unix(&path, 0o600, None).unwrap());
        let workers = [Worker::start(0).unwrap(), Worker::start(1).unwrap()];
        let (lanes, mut ends): (Vec<_>, Vec<_>) = workers.iter().map(Lane::to).unzip();
        let client = async {
            let mut clients = Vec::new();
            let mut served = [Vec::new(), Vec::new()];
            for number in 0..4 {
                clients.push(UnixStream::connect(&path).await.unwrap());
                served[number % 2].push(ends[number % 2].accept().await.unwrap());
            }
            // All four seats are taken.
            clients.push(UnixStream::connect(&path).await.unwrap());
            let waited = tokio::time::timeout(Duration::from_millis(50), ends[0].accept()).await;
            assert!(waited.is_err());
            served[1].clear();
            let _fifth = ends[1].accept().await.unwrap();
            assert_eq!(lanes[0].load() - lanes[1].load(), 1);
        };
        tokio::select! {
            () = distribute(&patient, &lanes, 4) => unreachable!("it goes on"),
            () = client => {}
        }
    }
}
