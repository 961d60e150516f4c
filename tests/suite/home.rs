//! The home of a gateway that does not run: its configuration, its state directory and its log as a daemon leaves them behind.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use charter_milter::decision_log::{Journal, Options, Role};
use jiff::Timestamp;

use crate::mta::gateway::binary;
use crate::mta::write;

/// A charter with one list and one sender; `ID` is its id.
const CHARTER: &str = r#"
[charter]
id       = "ID"
title    = "Listes"
language = "fr"
timezone = "Europe/Paris"
mode     = "enforce"
domains  = ["organisation.example"]

[[list]]
address = "ID@lists.example"
aliases = ["alias-ID@lists.example"]
label   = "Liste"

[[sender]]
name      = "Union A"
addresses = ["a-ID@union.example"]
proofs    = [{ sasl = "a" }]
lists     = ["ID@lists.example"]

[rules]
sender = { clause = "x:1" }

[[clause]]
id   = "x:1"
text = "Who may write."
"#;

/// Where a gateway has its files.
#[derive(Debug)]
pub struct Home {
    directory: PathBuf,
}

impl Home {
    /// Writes the files below `directory`: a charter for each of `ids`, and a main file that also says `more`.
    pub fn new(directory: &Path, ids: &[&str], more: &str) -> Self {
        let home = Self::with(directory, more);
        for id in ids {
            home.charter(id, &CHARTER.replace("ID", id));
        }
        home
    }

    /// The same without a charter.
    pub fn with(directory: &Path, more: &str) -> Self {
        let home = Self { directory: directory.to_owned() };
        std::fs::create_dir_all(home.state()).unwrap();
        std::fs::set_permissions(home.state(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let state = home.state();
        let main = format!("charters = [\"charters/*.toml\"]\nstate_directory = \"{}\"\n{more}", state.display());
        write(directory, "charter-milter.toml", main);
        home
    }

    /// Writes the charter `id`.
    pub fn charter(&self, id: &str, text: &str) {
        write(&self.directory, &format!("charters/{id}.toml"), text);
    }

    /// The main file.
    pub fn config(&self) -> PathBuf {
        self.directory.join("charter-milter.toml")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// The directory of the log.
    pub fn log(&self) -> PathBuf {
        self.state().join("log")
    }

    /// Leaves a log as a daemon that ran and stopped.
    pub fn leave_log(&self) {
        let options = Options::new(self.log(), "gateway.example/charter-milter", Role::Keeper, now());
        drop(Journal::open(&options).unwrap());
    }

    /// Runs a command on it, at the time that `clock` says, or that it is.
    pub fn run_at(&self, clock: Option<&str>, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.args(arguments).arg("--config").arg(self.config()).stdin(Stdio::null());
        command.envs(clock.map(|clock| ("CHARTER_MILTER_TEST_CLOCK", clock))).output().unwrap()
    }

    /// Runs a command on it now.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_at(None, arguments)
    }
}

#[expect(clippy::disallowed_methods, reason = "the programs and mail servers under test go by the real clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
