//! Postfix: `postqueue -j` lists, `postsuper` changes, `postqueue -i` asks for delivery, `postcat` reads.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::command::{self, Output};
use super::{Mta, MtaError, Outcome, QueueTools, Verb};
use crate::hold::entry::{QueueId, Sighting};
use crate::hold::plan::{QueuePlace, Queued};

/// Postfix as an ordinary user sees it, with somebody privileged to change the queue.
#[derive(Debug)]
pub struct Postfix<T> {
    /// `postqueue`.
    pub postqueue: PathBuf,
    /// Where `main.cf` is (`-c`); `None` for Postfix's own default. An ordinary user may only name one that the default
    /// `main.cf` lists in `alternate_config_directories`.
    pub config_directory: Option<PathBuf>,
    /// Who changes the queue.
    pub tools: T,
}

/// The privileged tools, run directly; they demand uid 0.
#[derive(Debug, Clone)]
pub struct PostfixTools {
    /// `postsuper`.
    pub postsuper: PathBuf,
    /// `postcat`.
    pub postcat: PathBuf,
    /// Where `main.cf` is (`-c`); `None` for Postfix's own default.
    pub config_directory: Option<PathBuf>,
}

fn run(
    program: &Path,
    config_directory: Option<&PathBuf>,
    arguments: &[&str],
    input: &[u8],
) -> Result<Output, MtaError> {
    let directory = config_directory.map(|directory| [OsString::from("-c"), directory.clone().into_os_string()]);
    let arguments = directory.into_iter().flatten().chain(arguments.iter().map(OsString::from));
    Ok(command::run(program, arguments, input)?)
}

impl<T: QueueTools> QueueTools for Postfix<T> {
    fn perform(&mut self, verb: Verb, ids: &[QueueId]) -> Result<Vec<Outcome>, MtaError> {
        self.tools.perform(verb, ids)
    }

    fn read(&mut self, id: &QueueId) -> Result<Vec<u8>, MtaError> {
        self.tools.read(id)
    }
}

impl<T: QueueTools> Mta for Postfix<T> {
    fn list(&mut self) -> Result<Vec<Queued>, MtaError> {
        let output = run(&self.postqueue, self.config_directory.as_ref(), &["-j"], b"")?;
        parse_listing(&output.stdout)
    }

    fn deliver(&mut self, ids: &[QueueId]) -> Result<(), MtaError> {
        ids.iter().try_for_each(|id| {
            run(&self.postqueue, self.config_directory.as_ref(), &["-i", id.as_str()], b"").map(drop)
        })
    }
}

impl QueueTools for PostfixTools {
    fn perform(&mut self, verb: Verb, ids: &[QueueId]) -> Result<Vec<Outcome>, MtaError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        // Ids on standard input (`-`) and the queue named wherever postsuper would look into more than one: a message
        // that is being delivered is neither held nor deleted, and the word ALL cannot be passed at all.
        let (arguments, said): (&[&str], &str) = match verb {
            Verb::Release => (&["-H", "-", "hold"], ": released from hold"),
            Verb::Hold => (&["-h", "-", "deferred"], ": placed on hold"),
            Verb::Discard => (&["-d", "-", "hold"], ": removed"),
            // postqueue does it, and needs no privilege.
            Verb::Deliver => return Err(MtaError::Unsupported(verb)),
        };
        let input: String = ids.iter().flat_map(|id| [id.as_str(), "\n"]).collect();
        let output = run(&self.postsuper, self.config_directory.as_ref(), arguments, input.as_bytes())?;
        let done = done(&output.stderr, said);
        let outcome = |id: &QueueId| if done.contains(&id.as_str()) { Outcome::Done } else { Outcome::Absent };
        Ok(ids.iter().map(outcome).collect())
    }

    fn read(&mut self, id: &QueueId) -> Result<Vec<u8>, MtaError> {
        let output = run(&self.postcat, self.config_directory.as_ref(), &["-bhq", id.as_str()], b"")?;
        Ok(output.stdout)
    }
}

/// The ids in lines such as `postsuper: 3F2A41C2B: released from hold`; postsuper ends with 0 whatever it found.
fn done<'a>(stderr: &'a str, said: &str) -> Vec<&'a str> {
    stderr.lines().filter_map(|line| line.strip_suffix(said)?.rsplit(' ').next()).collect()
}

/// A line of `postqueue -j`; the fields that are not named here are left alone.
#[derive(Deserialize)]
struct Line {
    queue_name: String,
    queue_id: String,
    arrival_time: i64,
    message_size: u64,
}

fn parse_listing(stdout: &[u8]) -> Result<Vec<Queued>, MtaError> {
    let lines = stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let line: Line =
                // Not the error's own text: it could quote an address.
                serde_json::from_slice(line).map_err(|_| MtaError::Listing("postqueue -j wrote something else than JSON".to_owned()))?;
            let unusable = |what: &str| MtaError::Listing(format!("a message with an unusable {what}"));
            Ok(Queued {
                queue_id: line.queue_id.parse().map_err(|_| unusable("queue id"))?,
                place: if line.queue_name == "hold" { QueuePlace::OnHold } else { QueuePlace::Moving },
                sighting: Sighting {
                    arrival: Timestamp::from_second(line.arrival_time).map_err(|_| unusable("arrival time"))?,
                    size_bytes: line.message_size,
                },
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_without_its_addresses() {
        let listing = br#"{"queue_name": "hold", "queue_id": "E8DCA98E1B8", "arrival_time": 1795291220, "message_size": 324, "forced_expire": false, "sender": "a@ex.example", "recipients": [{"address": "l@l.example"}]}
{"queue_name": "deferred", "queue_id": "4Xvk2N1zQkz9sQ", "arrival_time": 1795291221, "message_size": 9, "sender": "", "recipients": [{"address": "l@l.example", "delay_reason": "no"}]}
"#;
        let queued = parse_listing(listing).unwrap();
        assert_eq!(queued.len(), 2);
        assert_eq!((queued[0].queue_id.as_str(), queued[0].place), ("E8DCA98E1B8", QueuePlace::OnHold));
        assert_eq!((queued[1].sighting.size_bytes, queued[1].place), (9, QueuePlace::Moving));
        assert_eq!(queued[1].sighting.arrival.as_second(), 1_795_291_221);
    }

    #[test]
    fn an_odd_listing_is_an_error_that_quotes_nothing() {
        for listing in [
            "Mail queue is empty\n",
            r#"{"queue_name": "hold", "queue_id": "../x", "arrival_time": 1, "message_size": 1, "sender": "secret@ex.example"}"#,
            r#"{"queue_name": "hold", "queue_id": "E8DCA98E1B8", "arrival_time": "secret@ex.example", "message_size": 1}"#,
        ] {
            let error = parse_listing(listing.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("cannot read the queue listing") && !error.contains("secret"), "{error}");
        }
        assert_eq!(parse_listing(b"").unwrap(), []);
    }

    #[test]
    fn what_postsuper_did_is_read_from_its_own_words() {
        let said = "postsuper: E8DCA98E1B8: released from hold\npostsuper: warning: invalid mail queue id: ../x\npostsuper: Released from hold: 1 message\n";
        assert_eq!(done(said, ": released from hold"), ["E8DCA98E1B8"]);
    }
}
