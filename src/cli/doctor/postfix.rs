//! What `doctor` asks of Postfix: `postconf` says what is in force, [`judge`] says what is wrong with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Check, Finding, here};
use crate::config::daemon::{Daemon, ListenAddress, Listener, Role};
use crate::hold::mta::{CommandError, run_tool};

/// Every parameter that is looked at.
const PARAMETERS: &[&str] = &[
    "smtpd_milters",
    "non_smtpd_milters",
    "milter_default_action",
    "milter_protocol",
    "milter_connect_macros",
    "milter_mail_macros",
    "milter_rcpt_macros",
    "enable_long_queue_ids",
    "smtpd_forbid_bare_newline",
    "soft_bounce",
    "queue_directory",
    "mail_owner",
    "authorized_flush_users",
    "authorized_mailq_users",
];

/// What must be in the macro lists where the protocol cannot ask for it: without them nobody's login is known, and no message's name.
const MACROS: &[(&str, &[&str])] = &[
    ("milter_connect_macros", &["{daemon_name}", "v"]),
    ("milter_mail_macros", &["{auth_type}", "{auth_authen}"]),
    ("milter_rcpt_macros", &["i"]),
];

/// What Postfix says of itself.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The parameters it knows, with references resolved.
    pub parameters: BTreeMap<String, String>,
    /// The services of `master.cf`: their lines, in fields.
    pub services: Vec<Vec<String>>,
    /// Parameters that `master.cf` sets for one service: service, parameter, value.
    pub overrides: Vec<(String, String, String)>,
}

/// Asks Postfix, and judges what it says.
///
/// # Errors
/// [`CommandError`] when `postconf` cannot be run.
pub fn examine(daemon: &Daemon) -> Result<Vec<Finding>, CommandError> {
    let view = View::of(&daemon.mta.postconf, &daemon.mta.config_directory)?;
    let mut findings = judge(&view, &daemon.listeners);
    findings.extend(sockets(&view, &daemon.listeners));
    findings.extend(rights(&view, daemon));
    Ok(findings)
}

impl View {
    fn of(postconf: &Path, directory: &Path) -> Result<Self, CommandError> {
        let run = |arguments: &[&str]| {
            let directory = directory.to_string_lossy();
            let arguments: Vec<&str> = ["-c", &directory].into_iter().chain(arguments.iter().copied()).collect();
            run_tool(postconf, &arguments)
        };
        let parameters = run(&[&["-x"], PARAMETERS].concat())?;
        Ok(Self::read(&parameters, &run(&["-M"])?, &run(&["-P"])?))
    }

    fn read(parameters: &str, services: &str, overrides: &str) -> Self {
        let assignment = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        Self {
            parameters: parameters.lines().filter_map(assignment).collect(),
            // Lines that begin with space continue the one before, with options that `-P` shows too.
            services: services
                .lines()
                .filter(|line| !line.starts_with(char::is_whitespace) && !line.is_empty())
                .map(|line| line.split_whitespace().map(str::to_owned).collect())
                .collect(),
            overrides: overrides
                .lines()
                .filter_map(|line| {
                    let (name, value) = assignment(line)?;
                    let (service, parameter) = name.rsplit_once('/')?;
                    Some((service.to_owned(), parameter.to_owned(), value))
                })
                .collect(),
        }
    }

    fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    fn is_yes(&self, name: &str) -> bool {
        matches!(self.get(name), "yes" | "normalize" | "note" | "reject")
    }

    /// Whether a `smtpd` runs in a chroot.
    fn is_chrooted(&self) -> bool {
        self.services.iter().any(|fields| {
            fields.get(7).is_some_and(|command| command == "smtpd") && fields.get(4).is_some_and(|chroot| chroot == "y")
        })
    }

    /// Where a socket path of a milter list leads.
    fn resolve(&self, path: &str) -> PathBuf {
        let queue = Path::new(self.get("queue_directory"));
        match path.strip_prefix('/') {
            Some(inside) if self.is_chrooted() => queue.join(inside),
            Some(_) => PathBuf::from(path),
            None => queue.join(path),
        }
    }

    /// Which of our sockets an entry of a milter list is.
    fn listener<'l>(&self, entry: &str, listeners: &'l [Listener]) -> Option<&'l Listener> {
        listeners.iter().find(|listener| match (&listener.address, entry.split_once(':')) {
            (ListenAddress::Unix(own), Some(("unix" | "local", path))) => self.resolve(path) == *own,
            (ListenAddress::Systemd(name), Some(("unix" | "local", path))) => {
                // As our units have it: below the spool, named like the socket.
                self.resolve(path).ends_with(Path::new("charter-milter").join(format!("{name}.sock")))
            }
            (ListenAddress::Inet { port, .. }, Some(("inet", address))) => {
                address.rsplit_once(':').is_some_and(|(_, own)| own.parse() == Ok(*port))
            }
            _ => false,
        })
    }
}

/// One entry of a milter list: its address, and settings of its own (`{ unix:…, default_action=accept }`).
#[derive(Debug, PartialEq, Eq)]
struct Milter {
    address: String,
    default_action: Option<String>,
}

fn milters(list: &str) -> Vec<Milter> {
    let mut milters = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let (entry, after) = if let Some(inside) = rest.strip_prefix('{') {
            inside.split_once('}').unwrap_or((inside, ""))
        } else {
            rest.split_once(|c: char| c == ',' || c.is_whitespace()).unwrap_or((rest, ""))
        };
        let mut words = entry.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
        if let Some(address) = words.next() {
            let default_action = words.find_map(|word| word.strip_prefix("default_action=")).map(str::to_owned);
            milters.push(Milter { address: address.to_owned(), default_action });
        }
        rest = after.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
    }
    milters
}

/// What is wrong with the configuration of Postfix, as far as the configuration alone shows.
#[must_use]
pub fn judge(view: &View, listeners: &[Listener]) -> Vec<Finding> {
    let mut findings = lists(view, listeners);
    findings.push(protocol(view));
    findings.push(macros(view));
    findings.extend(services(view));
    findings.push(if view.is_yes("enable_long_queue_ids") {
        Finding::fine(Check::QueueIds, "queue ids are long")
    } else {
        Finding::advice(
            Check::QueueIds,
            "queue ids are short (enable_long_queue_ids = no)",
            "a short id is an inode number and comes back; held mail is then told apart by arrival time and size alone, and people who \
             read logs are misled",
            "postconf -e enable_long_queue_ids=yes, while nothing is on hold: the change renames queued files",
        )
    });
    findings.push(if view.is_yes("smtpd_forbid_bare_newline") {
        Finding::fine(Check::BareNewline, "a bare newline does not end a message")
    } else {
        Finding::fault(
            Check::BareNewline,
            format!("smtpd_forbid_bare_newline = {}", or_unknown(view.get("smtpd_forbid_bare_newline"))),
            "a client can hide a second message in the first (SMTP smuggling, CVE-2023-51764); it would pass with the first one's login",
            "postconf -e smtpd_forbid_bare_newline=yes (Postfix 3.5.23, 3.6.13, 3.7.9, 3.8.4, 3.9 and later)",
        )
    });
    findings.push(if view.is_yes("soft_bounce") {
        Finding::fault(
            Check::SoftBounce,
            "soft_bounce = yes",
            "a refusal is turned into \"try again later\": senders learn of it after days, and messages come again",
            "postconf -e soft_bounce=no",
        )
    } else {
        Finding::fine(Check::SoftBounce, "a refusal is final")
    });
    findings
}

fn or_unknown(value: &str) -> &str {
    if value.is_empty() { "unknown to this Postfix" } else { value }
}

/// The milter lists: we are in them, in the right order, and fail closed.
fn lists(view: &View, listeners: &[Listener]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (parameter, check) in [("smtpd_milters", Check::Milter), ("non_smtpd_milters", Check::LocalMail)] {
        let entries = milters(view.get(parameter));
        let ours: Vec<(usize, &Milter, &Listener)> = entries
            .iter()
            .enumerate()
            .filter_map(|(place, milter)| Some((place, milter, view.listener(&milter.address, listeners)?)))
            .collect();
        if ours.is_empty() {
            let (what, why) = if check == Check::Milter {
                ("smtpd_milters does not name this filter", "no message from the network is judged")
            } else {
                (
                    "non_smtpd_milters does not name this filter",
                    "what local programs send with `sendmail` goes to protected lists unjudged",
                )
            };
            let address = listeners.first().map_or_else(String::new, |listener| listener.address.to_string());
            findings.push(Finding::fault(
                check,
                what,
                why,
                format!("add {address} to {parameter}, as the last filter"),
            ));
            continue;
        }
        findings.push(Finding::fine(check, format!("{parameter} names this filter")));
        findings.push(order(parameter, &entries, &ours, listeners));
        findings.extend(ours.iter().map(|(_, milter, _)| default_action(view, parameter, milter)));
    }
    findings
}

fn order(parameter: &str, entries: &[Milter], ours: &[(usize, &Milter, &Listener)], listeners: &[Listener]) -> Finding {
    let place = |wanted: &[Role]| ours.iter().rfind(|(_, _, own)| wanted.contains(&own.role)).map(|(place, ..)| *place);
    let (holds, edits) = (place(&[Role::Full, Role::Hold]), place(&[Role::Edit]));
    let needs_hold = listeners.iter().any(|listener| listener.role == Role::Hold);
    let why = "a message that is put on hold leaves the chain: filters behind never see it, so no signature is made, and nothing is \
               scanned";
    match (edits, holds) {
        (Some(_), None) if needs_hold => Finding::fault(
            Check::MilterOrder,
            format!("{parameter} names the socket that edits and not the one that holds"),
            "nothing would wait for the night",
            "add the socket with role = \"hold\" as the last filter",
        ),
        (Some(edits), Some(holds)) if holds < edits => Finding::fault(
            Check::MilterOrder,
            format!("{parameter} names the socket that holds before the one that edits"),
            "the decision is made by the one that edits, so it must come first",
            "put the socket with role = \"edit\" first, the signer next, the socket with role = \"hold\" last",
        ),
        (_, Some(holds)) if holds + 1 != entries.len() => Finding::fault(
            Check::MilterOrder,
            format!("{parameter} has other filters behind the one that holds"),
            why,
            "put this filter last; where a DKIM signer must follow, use two sockets with role = \"edit\" and role = \"hold\"",
        ),
        _ => Finding::fine(Check::MilterOrder, format!("the filters of {parameter} are in the right order")),
    }
}

fn default_action(view: &View, parameter: &str, milter: &Milter) -> Finding {
    let action = milter.default_action.as_deref().unwrap_or_else(|| view.get("milter_default_action"));
    let what = format!("{parameter}: the default action is {action}");
    let fix = "postconf -e milter_default_action=tempfail";
    match action {
        "tempfail" => Finding::fine(Check::DefaultAction, what),
        // Both refuse for the moment; shutdown also closes the client's connection.
        "shutdown" => Finding::advice(Check::DefaultAction, what, "the client is cut off without a clear answer", fix),
        "accept" => Finding::fault(
            Check::DefaultAction,
            what,
            "while the filter is down every message passes unjudged, and a message half edited is delivered unedited",
            fix,
        ),
        _ => Finding::fault(
            Check::DefaultAction,
            what,
            "mail is refused for good or held for ever while the filter is down",
            fix,
        ),
    }
}

fn protocol(view: &View) -> Finding {
    let version: u32 = view.get("milter_protocol").split(',').next().and_then(|v| v.trim().parse().ok()).unwrap_or(0);
    if version >= 6 {
        return Finding::fine(Check::Protocol, format!("milter protocol {version}"));
    }
    Finding::fault(
        Check::Protocol,
        format!("milter_protocol = {version}"),
        "older protocols lose spaces in headers (which breaks signatures) and cannot be asked for macros",
        "postconf -e milter_protocol=6",
    )
}

fn macros(view: &View) -> Finding {
    let missing: Vec<String> = MACROS
        .iter()
        .filter_map(|(list, wanted)| {
            let sent: Vec<&str> = view.get(list).split_whitespace().collect();
            let missing: Vec<&str> = wanted.iter().copied().filter(|name| !sent.contains(name)).collect();
            (!missing.is_empty()).then(|| format!("{list} lacks {}", missing.join(" ")))
        })
        .collect();
    if missing.is_empty() {
        return Finding::fine(Check::Macros, "the macro lists have what is needed");
    }
    Finding::advice(
        Check::Macros,
        missing.join("; "),
        "the filter asks for these macros by itself; should Postfix not grant them, nobody's login is known and no message can be held",
        "put them back: `postconf -d` shows the default of each list",
    )
}

/// Services of `master.cf` that go round the filter.
fn services(view: &View) -> Vec<Finding> {
    let round: Vec<Finding> = view
        .overrides
        .iter()
        .filter(|(_, parameter, value)| match parameter.as_str() {
            "smtpd_milters" | "non_smtpd_milters" => *value != view.get(parameter),
            "milter_default_action" => value == "accept",
            "receive_override_options" => value.contains("no_milters"),
            _ => false,
        })
        .map(|(service, parameter, value)| {
            Finding::advice(
                Check::Services,
                format!("master.cf: {service} has {parameter} = {value}"),
                "mail that comes in by this service is not judged; right for mail that a content filter or list manager hands back, wrong \
                 for all other",
                "let only the content filter's own address reach this service, or remove the option",
            )
        })
        .collect();
    if round.is_empty() {
        return vec![Finding::fine(Check::Services, "no service of master.cf goes round the filter")];
    }
    round
}

/// Whether Postfix's own user reaches our unix sockets.
fn sockets(view: &View, listeners: &[Listener]) -> Vec<Finding> {
    let queue = Path::new(view.get("queue_directory"));
    let owner = view.get("mail_owner");
    listeners
        .iter()
        .filter_map(|listener| {
            let path = match &listener.address {
                ListenAddress::Unix(path) => path.clone(),
                ListenAddress::Systemd(name) => queue.join(format!("charter-milter/{name}.sock")),
                ListenAddress::Inet { .. } => return None,
            };
            Some(socket(view, &path, queue, owner))
        })
        .collect()
}

fn socket(view: &View, path: &Path, queue: &Path, owner: &str) -> Finding {
    let shown = path.display();
    if view.is_chrooted() && !path.starts_with(queue) {
        return Finding::fault(
            Check::Socket,
            format!("{shown} lies outside of {}", queue.display()),
            "smtpd is chrooted there and cannot see the socket: every message gets 451",
            format!("listen on a path below {}", queue.display()),
        );
    }
    match here::may_connect(owner, path) {
        Ok(()) => Finding::fine(Check::Socket, format!("{owner} reaches {shown}")),
        Err(obstacle) => Finding::fault(
            Check::Socket,
            format!("{owner} does not reach {shown}: {obstacle}"),
            "every message gets 451 until Postfix can connect",
            "start charter-milter; the socket must belong to the group of Postfix with mode 0660, and its directories be open to it",
        ),
    }
}

/// Whether the release can list the queue, ask for delivery, and have the hold queue changed.
fn rights(view: &View, daemon: &Daemon) -> Vec<Finding> {
    let Some(user) = here::owner_name(&daemon.state.0) else { return Vec::new() };
    if user == "root" {
        return vec![Finding::advice(
            Check::ReleaseRights,
            "the state directory is root's, so the release runs as root",
            "planning needs no such right; only changing the hold queue does",
            "give the state directory to a user of its own, and use charter-milter-release.timer and charter-milter-postsuper.socket",
        )];
    }
    let mut findings: Vec<Finding> = ["authorized_mailq_users", "authorized_flush_users"]
        .iter()
        .filter(|list| !may_use(view.get(list), &user))
        .map(|list| {
            Finding::fault(
                Check::ReleaseRights,
                format!("{list} = {} leaves out {user}", view.get(list)),
                "the release cannot see the queue, or what it lets go waits for the next queue run",
                format!("add {user} to {list}"),
            )
        })
        .collect();
    let helper = &daemon.mta.helper_socket;
    if let Err(obstacle) = here::may_connect(&user, helper) {
        findings.push(Finding::fault(
            Check::ReleaseRights,
            format!("{user} does not reach {}: {obstacle}", helper.display()),
            "postsuper demands root: without the helper nothing leaves at night",
            "systemctl enable --now charter-milter-postsuper.socket",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(Check::ReleaseRights, format!("{user} may list, flush and let go")));
    }
    findings
}

/// Whether an access list lets a user in, as far as it can be told without asking its tables; those are believed.
fn may_use(list: &str, user: &str) -> bool {
    let mut entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
    entries.any(|entry| {
        entry == user
            || entry == "static:anyone"
            || entry == "static:all"
            || entry.starts_with('/')
            || entry.contains(':')
    })
}

#[cfg(test)]
mod tests;
