//! What the daemon does by the clock: checkpoints and their way to the auditors, new keys and segments, forgetting what
//! has been kept long enough, and looking whether a failed part works again.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::charter::calendar;
use crate::config::daemon::Daemon;
use crate::decision_log::mail::AuditorMail;
use crate::decision_log::notary::Published;
use crate::gateway::Gateway;
use crate::hold::ledger::Ledger;

/// How often the clock is looked at: a night window opens at most this much before its checkpoint.
const EVERY: Duration = Duration::from_secs(5);

/// How often old rows are looked for.
const FORGET_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// How long a stopping daemon waits for the last checkpoint to be signed and taken by the mail server.
const SIGN_OFF_MAX: Duration = Duration::from_secs(5);

/// Counters are kept this much longer than their span, for a clock that was wrong.
const COUNTERS_KEPT_FOR: SignedDuration = SignedDuration::from_hours(24 * 40);

/// Runs until the daemon stops.
pub async fn run(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    let mut interval = tokio::time::interval(EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut forgot: Option<Timestamp> = None;
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            _ = stopped.changed() => return,
        }
        let published = gateway.tick(&open_windows(&gateway)).await;
        send(&gateway, published);
        let now = gateway.now();
        if forgot.is_none_or(|last| now.duration_since(last) >= FORGET_EVERY) {
            forgot = Some(now);
            forget(&gateway, now).await;
        }
    }
}

/// Signs a last checkpoint and hands it to the mail server, so that an auditor can tell a daemon that was stopped from a log
/// whose end was cut off. Not for long: a stop has a deadline.
pub async fn sign_off(gateway: &Arc<Gateway>) {
    let signing = Arc::clone(gateway);
    let last = tokio::task::spawn_blocking(move || match signing.sign_off() {
        Ok(published) => {
            if let Some(mail) = auditor_mail(&signing.in_force().config.daemon) {
                send_now(&mail, &[published]);
            }
        }
        Err(error) => tracing::error!(%error, "no last checkpoint could be signed"),
    });
    if tokio::time::timeout(SIGN_OFF_MAX, last).await.is_err() {
        tracing::error!("the mail server did not take the last checkpoint in time; it is in the log");
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

/// Mails checkpoints to the auditors. The mail server may be slow or away: nobody waits for it, and the checkpoint stays
/// in the log in any case.
fn send(gateway: &Gateway, published: Vec<Published>) {
    let in_force = gateway.in_force();
    let Some(mail) = auditor_mail(&in_force.config.daemon).filter(|_| !published.is_empty()) else { return };
    tokio::task::spawn_blocking(move || send_now(&mail, &published));
}

fn send_now(mail: &AuditorMail, published: &[Published]) {
    for checkpoint in published {
        if let Err(error) = mail.send(checkpoint) {
            tracing::error!(%error, "a checkpoint could not be mailed to the auditors; it is in the log");
        }
    }
}

fn auditor_mail(daemon: &Daemon) -> Option<AuditorMail> {
    let to: Vec<String> = daemon.auditors.iter().map(ToString::to_string).collect();
    let from = daemon.submission.sender.as_ref().map_or_else(|| "postmaster".to_owned(), ToString::to_string);
    (!to.is_empty()).then(|| AuditorMail { sendmail: daemon.submission.program.clone(), from, to })
}

/// Forgets counters and concluded rows that were kept long enough (am:4.2). Records are purged by command only.
async fn forget(gateway: &Arc<Gateway>, now: Timestamp) {
    if let Err(error) = gateway.forget_counters(now.saturating_sub(COUNTERS_KEPT_FOR).unwrap_or(Timestamp::MIN)).await {
        tracing::warn!(%error, "old counters could not be forgotten");
    }
    let in_force = gateway.in_force();
    let (path, kept) = (in_force.config.daemon.state.ledger(), in_force.config.daemon.retention.ledger);
    let before = now.saturating_sub(kept).unwrap_or(Timestamp::MIN);
    let forgotten = tokio::task::spawn_blocking(move || Ledger::open(&path)?.forget_before(before)).await;
    if let Ok(Err(error)) = forgotten {
        tracing::warn!(%error, "old rows of the ledger could not be forgotten");
    }
}
