//! Ends what a test has started, however the test ends.
//!
//! `Drop` alone is not enough: statics are never dropped, and a killed test binary drops nothing. So each server has a
//! small shell beside it that reads from a pipe. Dropping the guard closes the pipe, and so does the kernel when the test
//! binary dies; either way the shell then kills the server's process group and removes its directory.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Owns a process group and a directory; both are gone when it is dropped.
#[derive(Debug)]
pub struct Guard {
    shell: Child,
}

impl Guard {
    /// Guards the process group `group` (given by the pid of its leader) and `directory`.
    pub fn new(group: u32, directory: &Path) -> Self {
        // Wait a moment after the kill: a process that is being killed may still be writing into its directory.
        let script = r#"trap '' INT TERM HUP
            cat >/dev/null
            kill -KILL "-$1" 2>/dev/null
            for try in 1 2 3 4 5 6 7 8 9 10; do kill -0 "-$1" 2>/dev/null || break; sleep 0.05; done
            [ -n "$2" ] && rm -rf -- "$2""#;
        let shell = Command::new("/bin/sh")
            .args(["-c", script, "guard", &group.to_string()])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of reach of the Ctrl-C that ends the tests: it has to outlive them by a moment.
            .process_group(0)
            .spawn()
            .expect("/bin/sh starts");
        Self { shell }
    }

    /// Gives up guarding: what was guarded is gone already, or another guard has taken over.
    pub fn forget(mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
