//! What `doctor` looks at on this machine: directories, the log, the clock, and whether the release runs.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::{Check, Finding};
use crate::config::Config;
use crate::decision_log::reader::last_checkpoint_before;
use crate::decision_log::{Journal, Options, Role};
use crate::hold::State;
use crate::hold::ledger::Ledger;

/// The release looks at the queue every minute; a message that it has not seen for so long shows that it does not run.
const UNSEEN_MAX: SignedDuration = SignedDuration::from_mins(15);
/// Checkpoints come every hour at least; a daemon whose last one is older does not run.
const CHECKPOINT_AGE_MAX: SignedDuration = SignedDuration::from_hours(2);
/// Files that show that something keeps the clock right.
const CLOCK_KEEPERS: &[&str] =
    &["/run/systemd/timesync/synchronized", "/run/chrony", "/run/chronyd.pid", "/run/ntpd.pid", "/run/openntpd.pid"];

/// Looks at this machine.
pub fn examine(config: &Config, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![state(&config.daemon.state.0)];
    findings.extend(log(&config.daemon.state.log(), now));
    findings.extend(release(&config.daemon.state.ledger(), now));
    findings.push(clock_keeper());
    findings
}

fn state(directory: &Path) -> Finding {
    let shown = directory.display();
    let metadata = match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) | Err(_) => {
            return Finding::fault(
                Check::State,
                format!("{shown} is no directory that can be read"),
                "log, ledger and store live there; without them mail to protected lists gets 451",
                "start the daemon once, or create the directory for its user with mode 0700",
            );
        }
    };
    if metadata.mode() & 0o077 != 0 {
        return Finding::fault(
            Check::State,
            format!("{shown} is open to others (mode {:o})", metadata.mode() & 0o7777),
            "it holds the keys that sign the log and make pseudonyms",
            format!("chmod 0700 {shown}"),
        );
    }
    if rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_err() {
        return Finding::fault(
            Check::State,
            format!("{shown} cannot be written to"),
            "nothing can be recorded, so mail to protected lists gets 451",
            "run doctor as root or as the daemon's user; check that the file system is not full or read-only",
        );
    }
    Finding::fine(Check::State, format!("{shown} is private and writable"))
}

fn log(directory: &Path, now: Timestamp) -> Vec<Finding> {
    if !directory.exists() {
        return vec![Finding::advice(
            Check::Log,
            "there is no decision log yet",
            "nothing has been judged",
            "start the daemon",
        )];
    }
    let opened = Journal::open(&Options::new(directory, "", Role::Appender, now));
    let mut findings = vec![match opened {
        Ok(_) => Finding::fine(Check::Log, "the decision log can be appended to"),
        Err(error) => Finding::fault(
            Check::Log,
            error.to_string(),
            "while the log cannot be written, mail to protected lists gets 451",
            "`charter-milter log verify` tells what is wrong with it",
        ),
    }];
    match last_checkpoint_before(directory, Timestamp::MAX) {
        Ok(Some(checkpoint)) if checkpoint.time > now => findings.push(Finding::fault(
            Check::Clock,
            format!("the clock shows {now}, and the log was signed at {}", checkpoint.time),
            "the clock was set back: periods and night windows would be wrong",
            "set the clock, and let something keep it right (systemd-timesyncd, chrony)",
        )),
        Ok(Some(checkpoint)) if now.duration_since(checkpoint.time) > CHECKPOINT_AGE_MAX => {
            findings.push(Finding::fault(
                Check::Log,
                format!("the last checkpoint is of {}", checkpoint.time),
                "the daemon signs one every hour; silence longer than that is what auditors are told to ask about",
                "start the daemon, or look why it does not sign",
            ));
        }
        Ok(Some(_)) => findings.push(Finding::fine(Check::Clock, "the clock is not behind the log")),
        Ok(None) => {}
        Err(error) => findings.push(Finding::fault(
            Check::Log,
            error.to_string(),
            "the order of a night is drawn from the log's checkpoints",
            "`charter-milter log verify` tells what is wrong with it",
        )),
    }
    findings
}

/// Whether somebody looks at held mail.
fn release(ledger: &Path, now: Timestamp) -> Vec<Finding> {
    if !ledger.exists() {
        return Vec::new();
    }
    let why = "what waits would not leave at night";
    let fix =
        "systemctl enable --now charter-milter-release.timer; `charter-milter release` by hand shows what stops it";
    let entries = Ledger::open(ledger).and_then(|ledger| ledger.open_entries(now));
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            let fix = "restore the file, or move it away: what it names then has to be let go by hand";
            return vec![Finding::fault(
                Check::ReleaseRuns,
                error.to_string(),
                "held mail cannot be told from others'",
                fix,
            )];
        }
    };
    let unseen = entries
        .iter()
        .filter(|entry| entry.state == State::Entered && now.duration_since(entry.held.entered) > UNSEEN_MAX);
    let late = entries.iter().filter(|entry| entry.state.is_waiting() && entry.held.window_ends < now);
    let (unseen, late) = (unseen.count(), late.count());
    vec![match (unseen, late) {
        (0, 0) => Finding::fine(Check::ReleaseRuns, format!("{} messages wait or are on their way", entries.len())),
        (0, late) => Finding::advice(
            Check::ReleaseRuns,
            format!("{late} messages wait longer than the first window they could have left in"),
            "they did not fit in, their sender is suspended, or the release did not run that night",
            "look at `charter-milter held list`, the pace of the night window, and `charter-milter stop list`",
        ),
        (unseen, _) => Finding::fault(
            Check::ReleaseRuns,
            format!("{unseen} messages have never been looked for in the queue"),
            why,
            fix,
        ),
    }]
}

fn clock_keeper() -> Finding {
    if CLOCK_KEEPERS.iter().any(|path| Path::new(path).exists()) {
        return Finding::fine(Check::Clock, "something keeps the clock right");
    }
    Finding::advice(
        Check::Clock,
        "nothing seems to keep the clock right",
        "periods and night windows are told by this clock, and the log is dated by it",
        "install systemd-timesyncd or chrony, unless the clock is the host's",
    )
}

/// The login name of a file's owner.
pub fn owner_name(path: &Path) -> Option<String> {
    let uid = std::fs::metadata(path).ok()?.uid();
    user(|_, id| id == uid).map(|(name, ..)| name)
}

/// Whether a user may connect to a unix socket: go through every directory above it, and write to it.
///
/// # Errors
/// What stands in the way, for people.
pub fn may_connect(name: &str, socket: &Path) -> Result<(), String> {
    let (_, uid, gid) = user(|own, _| own == name).ok_or_else(|| format!("there is no user {name}"))?;
    let groups = groups(name, gid);
    let allowed = |path: &Path, bit: u32| -> Result<std::fs::Metadata, String> {
        let metadata = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let shift = if metadata.uid() == uid {
            6
        } else if groups.contains(&metadata.gid()) {
            3
        } else {
            0
        };
        let granted = uid == 0 || metadata.mode() >> shift & bit == bit;
        if granted { Ok(metadata) } else { Err(format!("{} does not let it in", path.display())) }
    };
    let above: Vec<&Path> = socket.ancestors().skip(1).collect();
    for directory in above.into_iter().rev().filter(|directory| !directory.as_os_str().is_empty()) {
        allowed(directory, 1)?;
    }
    let metadata = allowed(socket, 2)?;
    if metadata.file_type().is_socket() { Ok(()) } else { Err("it is no socket".to_owned()) }
}

/// The first user of the passwd file that fits: name, uid, gid.
fn user(fits: impl Fn(&str, u32) -> bool) -> Option<(String, u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (name, uid, gid) = (fields.first()?, fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        fits(name, uid).then(|| ((*name).to_owned(), uid, gid))
    })
}

/// The groups a user is in.
fn groups(name: &str, own: u32) -> Vec<u32> {
    let file = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let member = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_member = fields.get(3)?.split(',').any(|member| member == name);
        is_member.then(|| fields.get(2)?.parse().ok()).flatten()
    };
    file.lines().filter_map(member).chain([own]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_socket_must_let_the_mail_server_in_and_so_must_every_directory_above() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("spool");
        std::fs::create_dir(&folder).unwrap();
        let socket = folder.join("milter.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        mode(directory.path(), 0o755);
        mode(&folder, 0o755);
        mode(&socket, 0o666);
        assert_eq!(may_connect("nobody", &socket), Ok(()));
        mode(&socket, 0o660);
        assert!(may_connect("nobody", &socket).unwrap_err().ends_with("milter.sock does not let it in"));
        mode(&socket, 0o666);
        mode(&folder, 0o700);
        assert!(may_connect("nobody", &socket).unwrap_err().ends_with("spool does not let it in"));
        assert!(may_connect("nobody", &directory.path().join("none")).unwrap_err().contains("No such file"));
        mode(&folder, 0o755);
        std::fs::write(folder.join("file"), "").unwrap();
        mode(&folder.join("file"), 0o666);
        assert_eq!(may_connect("nobody", &folder.join("file")), Err("it is no socket".to_owned()));
        assert_eq!(may_connect("no-such-user", &socket), Err("there is no user no-such-user".to_owned()));
    }

    #[test]
    fn the_state_directory_is_nobody_else_s() {
        let directory = tempfile::tempdir().unwrap();
        mode(directory.path(), 0o755);
        assert_eq!(state(directory.path()).level, super::super::Level::Fault);
        mode(directory.path(), 0o700);
        assert_eq!(state(directory.path()).level, super::super::Level::Fine);
        assert!(state(&directory.path().join("none")).what.contains("no directory"));
    }
}
