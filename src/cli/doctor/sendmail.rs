//! What `doctor` asks of Sendmail: it reads `sendmail.cf`.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::{Check, Finding};
use crate::config::daemon::{Daemon, ListenAddress, Listener};

/// What must be in the macro lists where the protocol cannot ask for it.
const MACROS: &[(&str, &[&str])] = &[("envfrom", &["i", "{auth_type}", "{auth_authen}"])];

/// `sendmail.cf` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

/// Reads `sendmail.cf`, and judges it.
///
/// # Errors
/// [`Unreadable`].
pub fn examine(daemon: &Daemon) -> Result<Vec<Finding>, Unreadable> {
    let path = daemon.mta.config_directory.join("sendmail.cf");
    let bytes = std::fs::read(&path).map_err(|source| Unreadable { path, source })?;
    let cf = String::from_utf8_lossy(&bytes);
    let mut findings = judge(&cf, &daemon.listeners);
    findings.extend(ours(&cf, &daemon.listeners).map(|filter| socket(&filter)));
    Ok(findings)
}

/// Whether something listens where Sendmail asks.
fn socket(filter: &Filter<'_>) -> Finding {
    let shown = filter.socket;
    // Whether a host of the network answers is Sendmail's to find out.
    let reached = path_of(filter.socket).map_or(Ok(()), |path| UnixStream::connect(path).map(drop));
    match reached {
        Ok(()) => Finding::fine(Check::Socket, format!("Sendmail's socket is {shown}")),
        Err(error) => Finding::fault(
            Check::Socket,
            format!("nobody answers on {shown}: {error}"),
            "every message to a protected list gets 451",
            "systemctl enable --now charter-milter.socket; it must lie where INPUT_MAIL_FILTER says",
        ),
    }
}

/// A filter as an `X` line defines it.
#[derive(Debug)]
struct Filter<'a> {
    name: &'a str,
    socket: &'a str,
    flag: Option<&'a str>,
}

fn filters(cf: &str) -> Vec<Filter<'_>> {
    cf.lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix('X')?.split_once(',')?;
            let field = |key: &str| rest.split(',').map(str::trim).find_map(|field| field.strip_prefix(key));
            Some(Filter { name: name.trim(), socket: field("S=")?, flag: field("F=").filter(|flag| !flag.is_empty()) })
        })
        .collect()
}

fn option<'a>(cf: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix("O ")?.strip_prefix(name)?.strip_prefix('=');
    cf.lines().filter_map(value).next_back().unwrap_or("").trim()
}

/// The path of a socket that is a file. Without a protocol it is one.
fn path_of(socket: &str) -> Option<&str> {
    let (protocol, path) = socket.split_once(':').unwrap_or(("", socket));
    ["", "unix", "local"].iter().any(|file| protocol.eq_ignore_ascii_case(file)).then_some(path)
}

fn is_ours(socket: &str, listeners: &[Listener]) -> bool {
    listeners.iter().any(|listener| match (&listener.address, path_of(socket)) {
        (ListenAddress::Unix(own), Some(path)) => own.as_os_str() == path,
        (ListenAddress::Systemd(name), Some(path)) => path.ends_with(&format!("/{name}.sock")),
        (ListenAddress::Inet { port, .. }, None) => {
            let address = socket.split_once(':').map_or("", |(_, address)| address);
            address.split('@').next().and_then(|own| own.parse().ok()) == Some(*port)
        }
        _ => false,
    })
}

/// This filter, among those that are asked.
fn ours<'a>(cf: &'a str, listeners: &[Listener]) -> Option<Filter<'a>> {
    let in_use: Vec<&str> = option(cf, "InputMailFilters").split([',', ';']).map(str::trim).collect();
    filters(cf).into_iter().find(|filter| in_use.contains(&filter.name) && is_ours(filter.socket, listeners))
}

/// The daemons that ask other filters than all do, or none: what they say instead of `InputMailFilters`.
fn own_filters(cf: &str) -> impl Iterator<Item = &str> {
    let daemons = cf.lines().filter_map(|line| line.strip_prefix("O DaemonPortOptions="));
    daemons.filter_map(|daemon| {
        let mut fields = daemon.split(',').map(str::trim);
        fields.find_map(|field| {
            let (key, value) = field.split_once('=')?;
            // Sendmail goes by the first letter.
            key.trim().starts_with(['I', 'i']).then_some(value.trim())
        })
    })
}

/// What is wrong with a `sendmail.cf`.
#[must_use]
pub fn judge(cf: &str, listeners: &[Listener]) -> Vec<Finding> {
    let Some(ours) = ours(cf, listeners) else {
        return vec![Finding::fault(
            Check::Milter,
            "InputMailFilters does not name this filter",
            "no message is judged",
            "add INPUT_MAIL_FILTER(`charter-milter', `S=unix:/path/to/socket, F=T, T=C:10s;S:30s;R:30s;E:5m') to sendmail.mc",
        )];
    };
    let mut findings =
        vec![Finding::fine(Check::Milter, format!("InputMailFilters names this filter as {}", ours.name))];
    let fix = "write F=T in its INPUT_MAIL_FILTER";
    findings.push(match ours.flag {
        Some("T" | "4") => Finding::fine(Check::DefaultAction, "mail waits while the filter is down (F=T)"),
        Some("R") => Finding::fault(
            Check::DefaultAction,
            "F=R",
            "while the filter is down, lawful mail is refused for good instead of for the moment",
            fix,
        ),
        _ => Finding::fault(
            Check::DefaultAction,
            "no F=T",
            "while the filter is down every message passes unjudged",
            fix,
        ),
    });
    if let Some(own) = own_filters(cf).find(|own| !own.split(';').any(|name| name.trim() == ours.name)) {
        findings.push(Finding::fault(
            Check::Services,
            format!("a DaemonPortOptions has InputMailFilters={own}"),
            "what comes in through that daemon passes unjudged",
            format!("take InputMailFilters out of its DAEMON_OPTIONS, or name {} there", ours.name),
        ));
    }
    let private = option(cf, "PrivacyOptions");
    findings.push(if private.split([',', ' ']).any(|word| word.trim().eq_ignore_ascii_case("noreceipts")) {
        Finding::fine(Check::Receipts, "no delivery receipts (PrivacyOptions has noreceipts)")
    } else {
        Finding::advice(
            Check::Receipts,
            "PrivacyOptions lacks noreceipts",
            "senders may have themselves told of successful deliveries; no filter can take such a request back from Sendmail",
            "add noreceipts to confPRIVACY_FLAGS in sendmail.mc, as conf/sendmail.m4 does",
        )
    });
    let missing: Vec<String> = MACROS
        .iter()
        .filter_map(|(stage, wanted)| {
            let sent: Vec<&str> = option(cf, &format!("Milter.macros.{stage}")).split(',').map(str::trim).collect();
            let missing: Vec<&str> = wanted.iter().copied().filter(|name| !sent.contains(name)).collect();
            (!missing.is_empty()).then(|| format!("Milter.macros.{stage} lacks {}", missing.join(", ")))
        })
        .collect();
    findings.push(if missing.is_empty() {
        Finding::fine(Check::Macros, "the macro lists have what is needed")
    } else {
        Finding::advice(
            Check::Macros,
            missing.join("; "),
            "the filter asks for these macros by itself; should Sendmail not grant them, nobody's login is known and no message can be held",
            "leave confMILTER_MACROS_ENVFROM at its default",
        )
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use crate::config::daemon::Role;

    fn listener() -> Vec<Listener> {
        let address = ListenAddress::Unix("/run/charter-milter/milter.sock".into());
        vec![Listener { address, role: Role::Full, mode: 0o660, group: None }]
    }

    const GOOD: &str = "O PrivacyOptions=authwarnings,noreceipts\nO DaemonPortOptions=Name=MTA, Port=25\nO InputMailFilters=greylist, charter-milter\nO Milter.macros.envfrom=i, {auth_type}, {auth_authen}, {mail_addr}\n\
                        Xgreylist, S=local:/run/g.sock\nXcharter-milter, S=unix:/run/charter-milter/milter.sock, F=T, T=C:10s;S:30s\n";

    fn levels(cf: &str) -> Vec<(Check, Level)> {
        judge(cf, &listener()).iter().map(|finding| (finding.check, finding.level)).collect()
    }

    #[test]
    fn a_good_configuration_is_fine() {
        assert!(levels(GOOD).iter().all(|(_, level)| *level == Level::Fine), "{:?}", judge(GOOD, &listener()));
    }

    #[test]
    fn a_socket_without_a_protocol_is_a_file() {
        for socket in ["S=/run/charter-milter/milter.sock", "S=LOCAL:/run/charter-milter/milter.sock"] {
            let cf = GOOD.replace("S=unix:/run/charter-milter/milter.sock", socket);
            assert_eq!(levels(&cf).first(), Some(&(Check::Milter, Level::Fine)), "{socket}");
        }
    }

    #[test]
    fn a_filter_that_is_not_asked_or_lets_mail_pass_is_a_fault() {
        assert_eq!(levels(&GOOD.replace(", charter-milter\n", "\n")), [(Check::Milter, Level::Fault)]);
        assert_eq!(levels(&GOOD.replace("milter/milter.sock", "milter/other.sock")), [(Check::Milter, Level::Fault)]);
        assert_eq!(levels(&GOOD.replace("F=T, ", "")).get(1), Some(&(Check::DefaultAction, Level::Fault)));
        assert_eq!(levels(&GOOD.replace("F=T", "F=R")).get(1), Some(&(Check::DefaultAction, Level::Fault)));
        let found = |from: &str, to: &str, wanted| assert!(levels(&GOOD.replace(from, to)).contains(&wanted), "{to}");
        found("i, {auth_type}", "{auth_type}", (Check::Macros, Level::Advice));
        found(",noreceipts", "", (Check::Receipts, Level::Advice));
        for own in ["", "greylist"] {
            found("Port=25", &format!("Port=25, InputMailFilters={own}"), (Check::Services, Level::Fault));
        }
        found("Port=25", "Port=25, InputMailFilters=greylist;charter-milter", (Check::Macros, Level::Fine));
    }

    #[test]
    fn a_socket_that_nobody_answers_on_is_a_fault() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("milter.sock");
        let named = format!("unix:{}", path.display());
        let filter = Filter { name: "charter", socket: &named, flag: Some("T") };
        assert_eq!(socket(&filter).level, Level::Fault);
        let _listening = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(socket(&filter).level, Level::Fine);
    }
}
