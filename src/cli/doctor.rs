//! `charter-milter doctor`: looks at the mail server and at this machine, and says what stands in the way of the charters, why it
//! does, and how to mend it. Changes nothing.

mod here;
mod postfix;
mod sendmail;

use std::io::Write as _;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{Exit, clock};
use crate::closed_list::closed_list;
use crate::config::daemon::MtaKind;

/// Arguments of `doctor`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    config: super::ConfigFile,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

closed_list! {
    /// How bad a finding is.
    Level {
        /// Mail can pass unjudged, unheld or be lost, or the gateway cannot work.
        Fault = "fault",
        /// It works, and would be safer or clearer otherwise.
        Advice = "advice",
        /// As it should be.
        Fine = "fine",
    }
}

closed_list! {
    /// What is looked at.
    Check {
        /// The mail server asks this filter about mail from the network.
        Milter = "milter",
        /// The mail server asks this filter about mail of local programs.
        LocalMail = "local-mail",
        /// The filter that holds comes last; the one that edits comes before it.
        MilterOrder = "milter-order",
        /// Mail waits when the filter is down.
        DefaultAction = "default-action",
        /// The milter protocol is recent enough.
        Protocol = "protocol",
        /// The mail server tells the filter what it must know.
        Macros = "macros",
        /// No service of the mail server goes round the filter.
        Services = "services",
        /// Queue ids are not used twice.
        QueueIds = "queue-ids",
        /// One message cannot hide another.
        BareNewline = "bare-newline",
        /// A refusal is final.
        SoftBounce = "soft-bounce",
        /// The mail server reaches the filter's socket.
        Socket = "socket",
        /// Nobody is told of a successful delivery.
        Receipts = "receipts",
        /// Held mail can be let go.
        ReleaseRights = "release-rights",
        /// Held mail is being let go.
        ReleaseRuns = "release-runs",
        /// The state directory is there, writable, and nobody else's.
        State = "state",
        /// The decision log can be written.
        Log = "log",
        /// The clock goes right.
        Clock = "clock",
    }
}

/// What was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub check: Check,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// How to mend it; empty when all is well.
    pub fix: String,
}

impl Finding {
    fn fine(check: Check, what: impl Into<String>) -> Self {
        Self { level: Level::Fine, check, what: what.into(), why: "", fix: String::new() }
    }

    fn fault(check: Check, what: impl Into<String>, why: &'static str, fix: impl Into<String>) -> Self {
        Self { level: Level::Fault, check, what: what.into(), why, fix: fix.into() }
    }

    fn advice(check: Check, what: impl Into<String>, why: &'static str, fix: impl Into<String>) -> Self {
        Self { level: Level::Advice, ..Self::fault(check, what, why, fix) }
    }
}

/// Runs `doctor`.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let Some(config) = args.config.load() else { return Exit::Failed };
    let server: Result<_, Box<dyn std::error::Error>> = match config.daemon.mta.kind {
        MtaKind::Postfix => postfix::examine(&config.daemon).map_err(Into::into),
        MtaKind::Sendmail => sendmail::examine(&config.daemon).map_err(Into::into),
    };
    let mut findings = match server {
        Ok(findings) => findings,
        Err(error) => {
            super::say_error(&*error);
            return Exit::Failed;
        }
    };
    findings.extend(here::examine(&config, clock::now()));
    findings.sort_by_key(|finding| (finding.level, finding.check));
    if args.json {
        super::print_json(&findings);
    } else {
        print_table(&findings);
    }
    if findings.iter().any(|finding| finding.level == Level::Fault) { Exit::Found } else { Exit::Fine }
}

fn print_table(findings: &[Finding]) {
    let mut out = anstream::stdout();
    for finding in findings {
        let colour = match finding.level {
            Level::Fault => anstyle::AnsiColor::Red,
            Level::Advice => anstyle::AnsiColor::Yellow,
            Level::Fine => anstyle::AnsiColor::Green,
        };
        let style = anstyle::Style::new().fg_color(Some(colour.into()));
        let _ = writeln!(
            out,
            "{style}{:<6}{style:#} {:<15} {}",
            finding.level.as_str(),
            finding.check.as_str(),
            finding.what
        );
        if finding.level != Level::Fine {
            let _ = writeln!(out, "{:22} why: {}\n{:22} fix: {}", "", finding.why, "", finding.fix);
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (faults, advice, fine) = (count(Level::Fault), count(Level::Advice), count(Level::Fine));
    let _ = writeln!(out, "{faults} faults, {advice} pieces of advice, {fine} fine");
}
