//! charter-milter itself as a fixture: the real program with a configuration and a state directory of its own.

use std::fmt::Write as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Instant;

use super::guard::Guard;
use super::{PATIENCE, directory, free_address, wait_for, wait_within, write};

/// Sets the daemon's clock in test builds: an RFC 3339 instant that runs on from there.
const TEST_CLOCK: &str = "CHARTER_MILTER_TEST_CLOCK";

/// What a gateway is to look like.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    charters: Vec<(String, String)>,
    main: String,
    two_sockets: bool,
    inet: bool,
    clock: Option<String>,
    environment: Vec<(String, String)>,
    arguments_before: Vec<String>,
}

impl Setup {
    /// A gateway with one charter file.
    pub fn new(charter: &str) -> Self {
        Self::default().charter("charter.toml", charter)
    }

    /// Adds a charter file.
    #[must_use]
    pub fn charter(mut self, name: &str, text: &str) -> Self {
        self.charters.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Adds tables to the main file.
    #[must_use]
    pub fn main(mut self, toml: &str) -> Self {
        writeln!(self.main, "{toml}").unwrap();
        self
    }

    /// Listens on two sockets, one that edits and one that holds (for a signer between them).
    #[must_use]
    pub fn two_sockets(mut self) -> Self {
        self.two_sockets = true;
        self
    }

    /// Listens on a TCP port.
    #[must_use]
    pub fn inet(mut self) -> Self {
        self.inet = true;
        self
    }

    /// The instant at which the daemon's clock starts.
    #[must_use]
    pub fn clock(mut self, instant: &str) -> Self {
        self.clock = Some(instant.to_owned());
        self
    }

    /// Sets an environment variable of the daemon.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the daemon through another program (`strace -f …`, `prlimit …`).
    #[must_use]
    pub fn through(mut self, arguments: &[&str]) -> Self {
        self.arguments_before = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self
    }
}

/// A running gateway; it ends, and its directory goes, when this is dropped.
#[derive(Debug)]
pub struct Gateway {
    setup: Setup,
    directory: PathBuf,
    port: u16,
    /// The clock that was set, and when: it runs on across restarts.
    clock: Option<(jiff::Timestamp, Instant)>,
    // Before the process: the guard kills it, the process is then collected.
    guard: Option<Guard>,
    process: Option<Child>,
}

impl Gateway {
    /// Starts the daemon and waits until it listens.
    ///
    /// # Panics
    /// When it does not, with what it wrote.
    pub fn start(setup: &Setup) -> Self {
        let mut gateway = Self::prepare(setup);
        gateway.launch();
        gateway
    }

    /// Writes the configuration and starts nothing.
    pub fn prepare(setup: &Setup) -> Self {
        let directory = directory("gateway-");
        for (name, text) in &setup.charters {
            write(&directory, &format!("etc/charters/{name}"), text);
        }
        let state = directory.join("state");
        std::fs::create_dir(&state).unwrap();
        std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let gateway = Self {
            setup: setup.clone(),
            clock: setup.clock.as_deref().map(at_instant),
            port: if setup.inet { free_address().port() } else { 0 },
            directory,
            guard: None,
            process: None,
        };
        write(&gateway.directory, "etc/charter-milter.toml", gateway.main_file());
        gateway
    }

    fn main_file(&self) -> String {
        let here = self.directory.display();
        let mut text = format!("charters = [\"charters/*.toml\"]\nstate_directory = \"{here}/state\"\n");
        // What the test adds may begin with keys of the root table, so the tables come after it.
        text.push_str(&self.setup.main);
        let sockets: Vec<(String, &str)> = if self.setup.two_sockets {
            vec![(format!("unix:{here}/edit.sock"), "edit"), (format!("unix:{here}/hold.sock"), "hold")]
        } else if self.setup.inet {
            vec![(format!("inet:127.0.0.1:{}", self.port), "full")]
        } else {
            vec![(format!("unix:{here}/milter.sock"), "full")]
        };
        for (address, role) in sockets {
            write!(text, "\n[[listen]]\naddress = \"{address}\"\nrole = \"{role}\"\n").unwrap();
            if address.starts_with("unix:") {
                text.push_str("mode = \"0660\"\ngroup = \"postfix\"\n");
            }
        }
        text
    }

    /// Writes into the main file where the mail server's configuration is, for the commands that look into its queue.
    pub fn know_postfix(&self, postfix: &super::postfix::Postfix) {
        let text = std::fs::read_to_string(self.config_file()).unwrap();
        let directory = postfix.config_directory();
        let mta = format!("\n[mta]\nkind = \"postfix\"\nconfig_directory = \"{}\"\n", directory.display());
        std::fs::write(self.config_file(), text + &mta).unwrap();
    }

    /// Starts the daemon on what lies in its directory, and waits until it listens.
    pub fn launch(&mut self) {
        self.launch_without_waiting();
        let listening = wait_within(PATIENCE, || {
            if let Some(status) = self.process.as_mut().unwrap().try_wait().unwrap() {
                panic!("charter-milter ended at once ({status}):\n{}", self.daemon_log());
            }
            self.is_listening().then_some(())
        });
        assert!(listening.is_some(), "charter-milter does not listen:\n{}", self.daemon_log());
    }

    /// Starts the daemon and leaves it to itself.
    pub fn launch_without_waiting(&mut self) {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.directory.join("daemon.log")).unwrap();
        let mut command = self.daemon_command();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let process = command.spawn().unwrap();
        if let Some(guard) = self.guard.take() {
            guard.forget();
        }
        self.guard = Some(Guard::new(process.id(), &self.directory));
        self.process = Some(process);
    }

    fn daemon_command(&self) -> Command {
        let mut words = self.setup.arguments_before.clone();
        words.push(binary().display().to_string());
        words.extend(["serve".to_owned(), "--config".to_owned(), self.config_file().display().to_string()]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        command.envs(self.setup.environment.iter().map(|(name, value)| (name, value)));
        if let Some((instant, set)) = self.clock {
            command.env(TEST_CLOCK, (instant + set.elapsed()).to_string());
        }
    }

    fn is_listening(&self) -> bool {
        if self.setup.inet {
            return std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        }
        self.sockets().iter().all(|socket| UnixStream::connect(socket).is_ok())
    }

    fn sockets(&self) -> Vec<PathBuf> {
        let names: &[&str] = if self.setup.two_sockets { &["edit.sock", "hold.sock"] } else { &["milter.sock"] };
        names.iter().map(|name| self.directory.join(name)).collect()
    }

    /// The private directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// The main configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("etc/charter-milter.toml")
    }

    /// The socket as Postfix names it.
    pub fn milter(&self) -> String {
        if self.setup.inet {
            return format!("inet:127.0.0.1:{}", self.port);
        }
        format!("unix:{}", self.sockets()[0].display())
    }

    /// The socket that holds, of two.
    pub fn hold_milter(&self) -> String {
        format!("unix:{}", self.sockets().last().unwrap().display())
    }

    /// The socket as Sendmail names it.
    pub fn sendmail_milter(&self) -> String {
        if self.setup.inet { format!("inet:{}@127.0.0.1", self.port) } else { self.milter() }
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it was started").id()
    }

    /// What the daemon wrote on standard error.
    pub fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.directory.join("daemon.log")).unwrap_or_default()
    }

    /// Sends a signal to the daemon.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Kills the daemon as a power cut would, with what it was started through.
    pub fn kill(&mut self) {
        let group = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.process.as_mut().unwrap().wait();
        // Under another program it is that one's child, and may hold its socket for a moment longer.
        assert!(wait_within(PATIENCE, || (!self.is_listening()).then_some(())).is_some(), "it outlives its death");
    }

    /// Asks the daemon to stop and waits for it.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Whether the daemon has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Waits for the daemon to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the daemon to end", || self.process.as_mut().unwrap().try_wait().unwrap())
    }

    /// From the next start on, the daemon's clock begins at this instant.
    pub fn set_clock(&mut self, instant: &str) {
        self.clock = Some(at_instant(instant));
    }

    /// Runs another subcommand on the same configuration and clock.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.arg(arguments[0]).arg("--config").arg(self.config_file()).args(&arguments[1..]);
        self.environment(&mut command);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Every record of the decision log, oldest first.
    pub fn records(&self) -> Vec<serde_json::Value> {
        let Ok(entries) = std::fs::read_dir(self.state().join("log/segments")) else { return Vec::new() };
        let mut segments: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        segments.sort();
        segments
            .iter()
            .flat_map(|segment| {
                let text = std::fs::read_to_string(segment).unwrap();
                text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
            })
            .collect()
    }

    /// The records of decisions, oldest first.
    pub fn decisions(&self) -> Vec<serde_json::Value> {
        self.records().into_iter().filter(|record| record["kind"] == "decision").collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- what charter-milter wrote:\n{}", self.daemon_log());
        }
        match self.guard.take() {
            Some(guard) => drop(guard),
            None => drop(std::fs::remove_dir_all(&self.directory)),
        }
        if let Some(mut process) = self.process.take() {
            let _ = process.wait();
        }
    }
}

fn at_instant(instant: &str) -> (jiff::Timestamp, Instant) {
    (instant.parse().unwrap(), Instant::now())
}

/// The program under test: the one cargo built for these tests, or, in an example, the one built beside it.
pub fn binary() -> PathBuf {
    if let Some(path) = option_env!("CARGO_BIN_EXE_charter-milter") {
        return PathBuf::from(path);
    }
    let beside = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("charter-milter");
    assert!(beside.exists(), "{} is missing: build it first", beside.display());
    beside
}
