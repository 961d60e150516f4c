//! `charter-milter release`: lets held mail go when its window is open. A timer starts it every minute; to start it twice, or
//! to kill it, does no harm.

use std::io::Write as _;

use clap::Args as ClapArgs;
use jiff::{SignedDuration, Timestamp};

use super::Exit;
use super::mail_server::{Office, Trouble, lock};
use crate::config::Config;
use crate::hold::release::Summary;

/// A run ends in time for the next one, seconds.
const PATIENCE_SECONDS: u32 = 50;

/// Arguments of `release`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    config: super::ConfigFile,
    /// Go on for so long where the pace says that the next message may leave a little later
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE_SECONDS)]
    patience: u32,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `release`.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let Some(config) = args.config.load() else { return Exit::Failed };
    match work(args, config) {
        Ok(Some(summary)) => {
            print(&summary, args.json);
            if summary.is_alarming() { Exit::Found } else { Exit::Fine }
        }
        Ok(None) => {
            super::say("another command is moving held mail; nothing to do");
            Exit::Fine
        }
        Err(trouble) => {
            super::say_error(&trouble);
            Exit::Failed
        }
    }
}

fn work(args: &Args, config: Config) -> Result<Option<Summary>, Trouble> {
    let clock = super::clock::system();
    let Some(_lock) = lock(&config.daemon.state)? else { return Ok(None) };
    let kept = config.daemon.retention.ledger;
    let losses = config.daemon.state.losses();
    let mut office = Office::open(config, clock())?;
    let patience = SignedDuration::from_secs(args.patience.into());
    let mut summary = office.with_release(&*clock, |release| release.run(patience))?;
    summary.problems.extend(losses.into_iter().map(str::to_owned));
    office.ledger.forget_before(clock().saturating_sub(kept).unwrap_or(Timestamp::MIN))?;
    Ok(Some(summary))
}

fn print(summary: &Summary, json: bool) {
    let mut out = anstream::stdout();
    if json {
        let text = serde_json::to_string(summary).unwrap_or_default();
        let _ = writeln!(out, "{text}");
        return;
    }
    for (count, what) in [
        (summary.seen, "seen on hold"),
        (summary.released, "let go"),
        (summary.recalled, "called back, their window has closed"),
        (summary.gone, "left the queue"),
        (summary.returned, "returned to their senders"),
        (summary.waiting, "waiting"),
        (summary.orphans, "waiting under a charter that is not configured"),
        (summary.others, "on hold for other reasons, not touched"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "{count:>6} {what}");
        }
    }
    for (why, count) in &summary.missing {
        let _ = writeln!(out, "{count:>6} missing: {why}");
    }
    for problem in &summary.problems {
        super::say(problem);
    }
}
