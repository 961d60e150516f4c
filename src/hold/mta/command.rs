//! Running one of the mail server's tools: no shell, a bare environment, bounded output, a time limit.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// No tool needs longer: listing a queue of 100,000 messages takes seconds, and a stuck one must not block the next run.
const RUN_TIME_MAX: Duration = Duration::from_mins(1);
/// No more output than this is read, octets: a listing line has about 300, so this is a queue of 200,000 messages.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Error texts are for people; more than this is a tool gone mad.
const ERRORS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Of an error text, so many characters are passed on.
const QUOTED_CHARS_MAX: usize = 300;

/// Why a tool could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started, written to or read from.
    #[error("cannot run {}: {source}", program.display())]
    Io {
        /// The tool.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It took too long and was killed.
    #[error("{} did not end within {} s", program.display(), RUN_TIME_MAX.as_secs())]
    Time {
        /// The tool.
        program: PathBuf,
    },
    /// Its output exceeds every honest size.
    #[error("{} wrote too much", program.display())]
    Output {
        /// The tool.
        program: PathBuf,
    },
    /// It reported an error.
    #[error("{} failed ({status}): {says}", program.display())]
    Failed {
        /// The tool.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        says: String,
    },
}

/// What a tool wrote.
#[derive(Debug)]
pub struct Output {
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Runs a tool to its end, with `input` on its standard input.
pub fn run<I, S>(program: &Path, arguments: I, input: &[u8]) -> Result<Output, CommandError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let failed = |source| CommandError::Io { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .args(arguments)
        // Nothing of the caller's environment changes what the tool does (MAIL_CONFIG, LANG…).
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let outcome = converse(program, &mut child, input);
    if outcome.is_err() {
        // It may have ended by itself in the meantime; either way it is collected.
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    let output = outcome?;
    if status.success() {
        return Ok(output);
    }
    let says = last_line(&output.stderr);
    Err(CommandError::Failed { program: program.to_owned(), status, says })
}

/// Writes the input and reads both outputs at the same time, so that no pipe can fill up and block.
fn converse(program: &Path, child: &mut Child, input: &[u8]) -> Result<Output, CommandError> {
    let deadline = Instant::now() + RUN_TIME_MAX;
    let stdout = read_in_background(child.stdout.take(), OUTPUT_BYTES_MAX);
    let stderr = read_in_background(child.stderr.take(), ERRORS_BYTES_MAX);
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_owned();
        // A tool that does not read everything closes its end; what it thinks of that shows in its exit status.
        thread::spawn(move || stdin.write_all(&input));
    }
    let collect = |lines: &mpsc::Receiver<io::Result<Option<Vec<u8>>>>| {
        let rest = deadline.saturating_duration_since(Instant::now());
        let bytes = lines.recv_timeout(rest).map_err(|_| CommandError::Time { program: program.to_owned() })?;
        let bytes = bytes.map_err(|source| CommandError::Io { program: program.to_owned(), source })?;
        bytes.ok_or_else(|| CommandError::Output { program: program.to_owned() })
    };
    let stdout = collect(&stdout)?;
    let stderr = String::from_utf8_lossy(&collect(&stderr)?).into_owned();
    Ok(Output { stdout, stderr })
}

/// Reads to the end; `None` when there is more than `bytes_max`.
fn read_in_background(
    pipe: Option<impl Read + Send + 'static>,
    bytes_max: u64,
) -> mpsc::Receiver<io::Result<Option<Vec<u8>>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.map_or(Ok(0), |pipe| pipe.take(bytes_max + 1).read_to_end(&mut bytes));
        let fits = bytes.len() as u64 <= bytes_max;
        let _ = sender.send(read.map(|_| fits.then_some(bytes)));
    });
    receiver
}

fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no error message");
    line.chars().filter(|c| !c.is_control()).take(QUOTED_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_and_both_outputs_pass_whatever_their_size() {
        let input = vec![b'x'; 3_000_000];
        let output = run(Path::new("/usr/bin/tee"), ["/dev/stderr"], &input).unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (input.len(), input.len()));
    }

    #[test]
    fn a_failing_tool_is_quoted_with_its_last_words() {
        let error = run(Path::new("/usr/bin/ls"), ["/nonexistent"], b"").unwrap_err();
        assert!(matches!(&error, CommandError::Failed { says, .. } if says.contains("No such file")), "{error}");
        let error = run(Path::new("/nonexistent/tool"), [""; 0], b"").unwrap_err();
        assert!(matches!(error, CommandError::Io { .. }), "{error}");
    }

    #[test]
    fn the_caller_s_environment_does_not_reach_the_tool() {
        let output = run(Path::new("/usr/bin/env"), [""; 0], b"").unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut names: Vec<_> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH", "TZ"]);
    }

    #[test]
    fn arguments_are_not_read_by_a_shell() {
        let output = run(Path::new("/usr/bin/printf"), ["%s", "$(id); `id` | id"], b"").unwrap();
        assert_eq!(output.stdout, b"$(id); `id` | id");
    }
}
