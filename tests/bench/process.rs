//! The servers that are measured, each a process of its own, and what the kernel says of them.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use super::milter_client::Address;
use super::mta::gateway::{Gateway, Setup};
use super::mta::guard::Guard;
use super::mta::{directory, free_address, wait_for};

/// A charter with every rule that costs time, and none that refuses what the bench sends.
pub const CHARTER: &str = r#"
[charter]
id       = "mesure"
title    = "Charte de mesure"
language = "fr"
timezone = "Europe/Paris"
contest  = "commission@organisation.example"

[[list]]
address     = "electeurs@listes.example"
label       = "Électeurs"
return_path = "electeurs-retours@listes.example"

[[sender]]
name      = "Liste A"
addresses = ["liste-a@candidats.example"]
proofs    = [{ sasl = "liste-a" }, { network = ["127.0.0.0/8"] }]
lists     = ["electeurs@listes.example"]
adhered   = 2018-06-01

[rules]
sender       = { clause = "m:sender" }
identity     = { action = "reject", clause = "m:identity", login = false }
reply        = { clause = "m:reply" }
recipients   = { per_message = 1, clause = "m:recipients" }
size         = { max = "30 MB", clause = "m:size" }
structure    = { ambiguous = "reject", clause = "m:structure" }
attachments  = { action = "strip", clause = "m:attachments" }
petition     = { action = "reject", threshold = 1.0, clause = "m:petition" }
receipts     = { action = "remove", clause = "m:receipts" }
subject      = { tag = "[{label}]", clause = "m:subject" }
reply_to     = { to = "sender", clause = "m:reply-to" }
return_path  = { clause = "m:return-path" }
list_headers = { unsubscribe = ["https://organisation.example/quitter?liste={list}"], clause = "m:list-headers" }
banner       = { footer = "--\nDiffusé par {sender} sur {label}.\n", clause = "m:banner" }
"#;

/// What the unit of the daemon sets.
fn unit_environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    let unit = include_str!("../../systemd/charter-milter.service");
    unit.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('='))
}

/// A milter under measurement.
pub struct Server {
    pub address: Address,
    pid: u32,
    _keep: Keep,
}

#[expect(dead_code, reason = "kept for its end: what is dropped stops")]
enum Keep {
    Null(Guard, Child),
    Charter(Box<Gateway>),
}

impl Server {
    /// Starts `loud` or `quiet` (see [`super::null_milter`]), or `charter`.
    pub fn start(kind: &str, inet: bool) -> Self {
        if kind == "charter" {
            return Self::charter(inet);
        }
        let directory = directory("null-milter-");
        let (address, place) = if inet {
            let port = free_address().port();
            (Address::Inet(port), port.to_string())
        } else {
            let path = directory.join("milter.sock");
            (Address::Unix(path.clone()), path.display().to_string())
        };
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["null-milter", kind, &place])
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let pid = process.id();
        let guard = Guard::new(pid, &directory);
        wait_for("the milter that does nothing", || address.is_open().then_some(()));
        if let Address::Unix(path) = &address {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        }
        Self { address, pid, _keep: Keep::Null(guard, process) }
    }

    fn charter(inet: bool) -> Self {
        let mut setup = Setup::new(CHARTER).main("[log]\nfilter = \"warn\"");
        for (name, value) in unit_environment() {
            setup = setup.environment(name, value);
        }
        let gateway = Gateway::start(&if inet { setup.inet() } else { setup });
        let milter = gateway.milter();
        let address = match milter.rsplit_once(':') {
            Some((kind, port)) if kind.starts_with("inet") => Address::Inet(port.parse().unwrap()),
            _ => Address::Unix(milter.trim_start_matches("unix:").into()),
        };
        Self { address, pid: gateway.pid(), _keep: Keep::Charter(Box::new(gateway)) }
    }

    /// Processor time used so far, user and system.
    pub fn cpu_seconds(&self) -> f64 {
        /// Linux counts in hundredths of a second on every architecture that Debian has.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        // After the name, which may contain anything, the fields are numbers; 14 and 15 are user and system time.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum();
        ticks / TICKS_PER_SECOND
    }

    /// The most memory it had since [`Server::forget_peak`].
    pub fn peak_megabytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Starts the peak anew.
    pub fn forget_peak(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5");
    }
}
