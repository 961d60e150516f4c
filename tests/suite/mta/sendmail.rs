//! A private Sendmail, run from Debian's packages unpacked beside the installed Postfix (both cannot be installed). Whatever
//! it accepts goes to one next hop, the test's [`super::sink::Sink`].

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::client::{self, Outcome, SmtpClient};
use super::guard::Guard;
use super::letter::Letter;
use super::{demand_root, directory, free_address, program, wait_for, write};

/// The host name the instance gives itself.
pub const HOSTNAME: &str = "sendmail.tests.example";

/// A running instance; it ends, and its directory goes, when this is dropped.
#[derive(Debug)]
pub struct Sendmail {
    directory: PathBuf,
    address: SocketAddr,
    _guard: Guard,
}

impl Sendmail {
    /// Starts an instance that asks `milters` (as in `S=`: `unix:/path` or `inet:port@127.0.0.1`), in that order, and refuses
    /// mail for the moment when one of them is not there (`F=T`).
    pub fn start(next_hop: SocketAddr, milters: &[&str]) -> Self {
        demand_root("Sendmail");
        let directory = directory("sendmail-");
        std::fs::create_dir(directory.join("queue")).unwrap();
        let address = free_address();
        write(&directory, "service.switch", "hosts files\naliases files\n");
        let macros = write(&directory, "sendmail.mc", sendmail_mc(&directory, address, next_hop, milters));
        let generated = Command::new(program("m4", "m4"))
            .arg(format!("-D_CF_DIR_={}/", root().join("usr/share/sendmail/cf").display()))
            .arg(&macros)
            .output()
            .unwrap();
        assert!(generated.status.success(), "m4: {}", String::from_utf8_lossy(&generated.stderr));
        write(&directory, "sendmail.cf", generated.stdout);
        let mut daemon = sendmail(&directory);
        daemon.args(["-bD", "-X"]).arg(directory.join("transcript"));
        let error_log = std::fs::File::create(directory.join("stderr")).unwrap();
        daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(error_log).process_group(0);
        let mut process = daemon.spawn().unwrap();
        let guard = Guard::new(process.id(), &directory);
        wait_for("Sendmail to listen", || {
            if let Some(status) = process.try_wait().unwrap() {
                let said = std::fs::read_to_string(directory.join("stderr")).unwrap_or_default();
                panic!("Sendmail ended at once ({status}): {said}");
            }
            std::net::TcpStream::connect(address).ok()
        });
        let instance = Self { directory, address, _guard: guard };
        SmtpClient::connect(address).quit();
        // It is the guard that ends the process; somebody has to collect it then.
        std::thread::spawn(move || process.wait());
        instance
    }

    /// Where it accepts mail.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its private directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its configuration, for `-C`.
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("sendmail.cf")
    }

    /// Sends one message over a connection of its own.
    pub fn send(&self, letter: &Letter) -> Outcome {
        client::send(self.address, letter)
    }

    /// The ids of the messages that are quarantined (their queue files are named `hf…`).
    pub fn quarantined(&self) -> Vec<String> {
        self.queue_files("hf")
    }

    /// The ids of the messages that wait for delivery.
    pub fn waiting(&self) -> Vec<String> {
        self.queue_files("qf")
    }

    /// A `sendmail` command on this instance's configuration, to be given arguments and run.
    pub fn command(&self) -> Command {
        sendmail(&self.directory)
    }

    /// Releases a quarantined message and delivers it.
    pub fn release(&self, id: &str) {
        for arguments in [vec!["-qQ".to_owned(), "-Q".to_owned(), format!("-qI{id}")], vec![format!("-qI{id}")]] {
            let output = self.command().args(&arguments).output().unwrap();
            assert!(output.status.success(), "sendmail {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// The SMTP sessions so far, as Sendmail saw them.
    pub fn transcript(&self) -> String {
        std::fs::read(self.directory.join("transcript"))
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    fn queue_files(&self, prefix: &str) -> Vec<String> {
        std::fs::read_dir(self.directory.join("queue"))
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_prefix(prefix).map(str::to_owned))
            .collect()
    }
}

/// Where `tests/install-packages` has unpacked Sendmail.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sendmail");
    assert!(
        root.join("complete").exists(),
        "Sendmail is missing: run tests/install-packages sendmail, which unpacks Debian's packages sendmail-bin, sendmail-base \
         and sendmail-cf under {}",
        root.display()
    );
    root
}

/// The command, with its libraries, in a name space with a qualified host name: without one it sleeps for a minute first.
fn sendmail(directory: &Path) -> Command {
    let root = root();
    let libraries: Vec<String> = ["usr/lib", "lib"]
        .map(|lib| format!("{0}/{lib}/{1}-linux-gnu", root.display(), std::env::consts::ARCH))
        .to_vec();
    let mut command = Command::new(program("unshare", "util-linux"));
    command
        .args(["--uts", "sh", "-c", r#"hostname "$0"; exec "$@""#, HOSTNAME])
        .arg(root.join("usr/libexec/sendmail/sendmail"))
        .arg("-C")
        .arg(directory.join("sendmail.cf"))
        .env("LD_LIBRARY_PATH", libraries.join(":"));
    command
}

/// On a busy machine Sendmail would refuse connections and queue what it accepts: the limits on the load are out of reach.
fn sendmail_mc(directory: &Path, address: SocketAddr, next_hop: SocketAddr, milters: &[&str]) -> String {
    let here = directory.display();
    let cf = root().join("usr/share/sendmail/cf/m4/cf.m4");
    let filters: String = milters
        .iter()
        .enumerate()
        .map(|(index, milter)| {
            format!("INPUT_MAIL_FILTER(`charter{index}', `S={milter}, F=T, T=C:10s;S:20s;R:20s;E:60s')\n")
        })
        .collect();
    format!(
        "divert(-1)\ninclude(`{cf}')\nOSTYPE(`linux')\n\
         define(`confDOMAIN_NAME', `{HOSTNAME}')\n\
         define(`confDONT_BLAME_SENDMAIL', `AssumeSafeChown,TrustStickyBit,GroupWritableDirPathSafe,ForwardFileInUnsafeDirPath,\
IncludeFileInUnsafeDirPath,GroupWritableForwardFileSafe')\n\
         define(`confSERVICE_SWITCH_FILE', `{here}/service.switch')\n\
         define(`confPID_FILE', `{here}/pid')\n\
         define(`QUEUE_DIR', `{here}/queue')\ndefine(`ALIAS_FILE', `')\ndefine(`HELP_FILE', `')\n\
         define(`STATUS_FILE', `{here}/statistics')\ndefine(`confTO_IDENT', `0')\n\
         define(`confDELIVERY_MODE', `background')\ndefine(`confDEF_USER_ID', `0:0')\n\
         define(`confMAX_HEADERS_LENGTH', `1000000')\n\
         define(`confREFUSE_LA', `10000')\ndefine(`confQUEUE_LA', `10000')\ndefine(`confDELAY_LA', `0')\n\
         FEATURE(`promiscuous_relay')\nFEATURE(`accept_unresolvable_domains')\nFEATURE(`accept_unqualified_senders')\n\
         FEATURE(`nocanonify')\nFEATURE(`no_default_msa')\n\
         DAEMON_OPTIONS(`Name=MTA, Addr={ip}, Port={port}, Family=inet')\n\
         define(`SMART_HOST', `esmtp:[{hop_ip}]')\ndefine(`ESMTP_MAILER_ARGS', `TCP $h {hop_port}')\n\
         {filters}MAILER(`smtp')\n",
        cf = cf.display(),
        ip = address.ip(),
        port = address.port(),
        hop_ip = next_hop.ip(),
        hop_port = next_hop.port(),
    )
}
