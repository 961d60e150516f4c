//! `charter-milter notice`: the information text for members (cnrs:IV, pm:8), from the configuration in force.

use std::io::Write as _;

use super::Exit;
use crate::wording::information;

/// Writes the information notice for members.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The charter, by its id; every charter when left out.
    charter: Option<String>,
    #[command(flatten)]
    config: super::ConfigFile,
    /// A page of HTML instead of plain text.
    #[arg(long)]
    html: bool,
}

/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;

/// Writes the notices to standard output.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let Some(config) = args.config.load() else { return Exit::Failed };
    let wanted = |id: &str| args.charter.as_ref().is_none_or(|charter| charter == id);
    let charters: Vec<_> = config.charters.iter().filter(|charter| wanted(&charter.id)).collect();
    if charters.is_empty() {
        super::say("there is no charter of this id; `charter-milter check` lists them");
        return Exit::Failed;
    }
    let kept_days = config.daemon.retention.decisions.as_secs() / DAY_SECONDS;
    for charter in charters {
        let notice = information::notice(charter, kept_days);
        let text = if args.html { notice.html(charter.language) } else { notice.text() };
        let _ = anstream::stdout().write_all(text.as_bytes());
    }
    Exit::Fine
}
