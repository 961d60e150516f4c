//! What the daemon does by the clock: checkpoints, new keys and segments, and looking whether a failed part works again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::charter::calendar;
use crate::gateway::Gateway;

/// How often the clock is looked at: a night window opens at most this much before its checkpoint.
const EVERY: Duration = Duration::from_secs(5);

/// Runs until the daemon stops, then signs a last checkpoint.
pub async fn run(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    let mut interval = tokio::time::interval(EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {
                let _published = gateway.tick(&open_windows(&gateway)).await;
            }
            _ = stopped.changed() => return,
        }
    }
}

/// The charters whose night window is open now.
fn open_windows(gateway: &Gateway) -> Vec<String> {
    let (in_force, now) = (gateway.in_force(), gateway.now());
    let open = in_force.config.charters.iter().filter(|charter| {
        charter.night_window.as_ref().is_some_and(|window| calendar::is_inside(window, &charter.time_zone, now))
    });
    open.map(|charter| charter.id.clone()).collect()
}
