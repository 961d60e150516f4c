//! The postmaster's files: raw structures with positions become the valid types of [`crate::charter`], with all problems
//! of all files reported at once.
//!
//! [`Config::load`] reads the main file and every charter it names. It depends on nothing but those files, so a reload
//! is simply another call; when it fails, the configuration in force stays in force.

pub mod charter;
pub mod choices;
pub mod codes;
pub mod daemon;
mod files;
pub mod quantities;
mod reader;
pub mod reference;
pub mod report;
pub mod values;
mod ways;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use toml::Spanned;

use crate::charter::calendar::{self, Position};
use crate::charter::petition::{Pack, PackError};
use crate::charter::stop::StopSubject;
use crate::charter::{Charter, List, Period};
use crate::message::address::{Address, RecipientSyntax, TooManyRoutes, candidates};
use charter::{Defaults, Placed};
use codes::Code;
use daemon::{Daemon, RawMain};
use files::Content;
use reader::Reader;
pub use reader::did_you_mean;
use report::{FileId, Place, Problem, Report};
use ways::Way;

/// Where the main file is, unless a command is told otherwise.
pub const DEFAULT_PATH: &str = "/etc/charter-milter/charter-milter.toml";

/// The pack that is part of the program: it never changes, and its phrases take a while to compile.
static EMBEDDED: OnceLock<Result<Pack, Vec<PackError>>> = OnceLock::new();

/// Everything the daemon was told, valid by construction.
#[derive(Debug, Clone)]
pub struct Config {
    /// The main file's own settings.
    pub daemon: Daemon,
    /// The charters, in the order of their ids.
    pub charters: Vec<Arc<Charter>>,
    /// The signals of petitions and chain letters.
    pub petition: Pack,
    /// Every file in force.
    pub files: Vec<FileInForce>,
    /// Warnings; never errors.
    pub warnings: Report,
    index: HashMap<Address, Vec<(usize, usize)>>,
    closings: Vec<Closing>,
}

/// Where a file says when lists close.
#[derive(Debug, Clone)]
struct Closing {
    what: String,
    period: Period,
    time_zone: TimeZone,
    place: Place,
}

/// A file in force and its digest, as records and `log verify` quote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInForce {
    /// Its path.
    pub path: PathBuf,
    /// SHA-256 of its octets, lower-case hex.
    pub sha256: String,
}

impl Config {
    /// Reads the main file at `path` and every file it names.
    ///
    /// # Errors
    /// The report, with all problems of all files, when any of them is an error.
    pub fn load(path: &Path) -> Result<Self, Report> {
        let mut loader = Loader::default();
        let main = loader.main(path);
        loader.finish(main)
    }

    /// Whether the file at `path` looks like a main file and not like a charter.
    #[must_use]
    pub fn is_main_file(path: &Path) -> bool {
        let text = files::read(path).map(|read| read.text).unwrap_or_default();
        let (table, _) = toml::de::DeTable::parse_recoverable(&text);
        table.get_ref().contains_key("charters") && !table.get_ref().contains_key("charter")
    }

    /// Reads charter files by themselves, as `check FILE…` does; everything the main file would say has its default.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_charters(paths: &[PathBuf]) -> Result<Self, Report> {
        let mut loader = Loader::default();
        // The defaults are those of a main file that says nothing.
        let (silent, text) = (loader.report.add_file(PathBuf::from("(defaults)"), String::new()), "charters = []");
        let raw: Option<RawMain> = Reader::new(&mut loader.report, silent).document(text);
        let main = raw.and_then(|raw| {
            let pack = loader.pack(silent, Path::new(""), None)?;
            Some((daemon::build(&raw, &mut Reader::new(&mut loader.report, silent)), pack))
        });
        let signals = main.as_ref().map(|(_, pack)| pack.ids().map(str::to_owned).collect());
        for path in paths {
            let defaults = Defaults {
                unknown: true,
                authserv_id: Some("(the main file's authserv_id)".to_owned()),
                signals: signals.clone(),
                ..Defaults::default()
            };
            loader.charter(path, None, &defaults);
        }
        loader.finish(main)
    }

    /// The protected lists that have this address, with their charters: more than one only where a shared charter names
    /// the list too.
    pub fn lists<'c>(&'c self, address: &Address) -> impl Iterator<Item = (&'c Arc<Charter>, &'c List)> + use<'c> {
        self.index.get(address).into_iter().flatten().filter_map(|(charter, list)| {
            let charter = self.charters.get(*charter)?;
            Some((charter, charter.lists.get(*list)?))
        })
    }

    /// The protected lists that the mail server could deliver a recipient to, whatever its spelling: the path as the
    /// client wrote it, in RCPT TO. Each list once.
    ///
    /// # Errors
    /// [`TooManyRoutes`] when the path is no honest recipient: the caller refuses it.
    pub fn reached(&self, raw_path: &str) -> Result<Vec<(&Arc<Charter>, &List)>, TooManyRoutes> {
        let mailboxes = candidates(raw_path, &self.daemon.recipient_syntax)?;
        let mut reached: Vec<(&Arc<Charter>, &List)> = Vec::new();
        for (charter, list) in mailboxes.iter().flat_map(|mailbox| self.lists(mailbox)) {
            if !reached.iter().any(|(c, l)| Arc::ptr_eq(c, charter) && l.address == list.address) {
                reached.push((charter, list));
            }
        }
        Ok(reached)
    }

    /// The warnings, and those that come with time: charters whose last day has passed.
    #[must_use]
    pub fn warnings_at(&self, now: Timestamp) -> Report {
        let mut report = self.warnings.clone();
        for closing in &self.closings {
            if matches!(calendar::position(closing.period, &closing.time_zone, now), Position::Closed { .. }) {
                report.add(Problem {
                    code: Code::CharterOver,
                    message: format!("{} closed on {}", closing.what, closing.period.closes),
                    place: closing.place.clone(),
                    label: "all mail to the lists is refused".to_owned(),
                    help: None,
                    related: None,
                });
            }
        }
        report.sort();
        report
    }

    /// Whether there is anything of the name that a stop bears: one may outlive its sender, list or charter.
    #[must_use]
    pub fn has(&self, subject: &StopSubject) -> bool {
        match subject {
            StopSubject::Sender { charter, name } => {
                self.charter(charter).is_some_and(|charter| charter.senders.iter().any(|sender| sender.name == *name))
            }
            StopSubject::List(address) => self.lists(address).next().is_some(),
            StopSubject::Charter(id) => self.charter(id).is_some(),
            StopSubject::Mailbox(_) | StopSubject::Everything => true,
        }
    }

    /// The charter of this id.
    #[must_use]
    pub fn charter(&self, id: &str) -> Option<&Arc<Charter>> {
        self.charters.iter().find(|charter| charter.id == id)
    }
}

#[derive(Default)]
struct Loader {
    report: Report,
    files: Vec<FileInForce>,
    charters: Vec<(FileId, Placed)>,
    /// Those of the main file.
    ways: Vec<(FileId, Way)>,
}

impl Loader {
    fn main(&mut self, path: &Path) -> Option<(Daemon, Pack)> {
        let (file, content) = self.open(path, None)?;
        let raw: RawMain = Reader::new(&mut self.report, file).document(&content.text)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let daemon = daemon::build(&raw, &mut Reader::new(&mut self.report, file));
        self.ways = ways::of_main(&raw).into_iter().map(|way| (file, way)).collect();
        let pack = self.pack(file, directory, raw.petition.as_ref().and_then(|petition| petition.pack.as_ref()));
        let defaults = Defaults {
            domains: daemon.domains.clone(),
            authserv_id: daemon.authserv_id.clone(),
            signals: pack.as_ref().map(|pack| pack.ids().map(str::to_owned).collect()),
            unknown: false,
        };
        for pattern in raw.charters.iter().flat_map(|many| &many.0) {
            let named_at = Place { file, span: Some(pattern.span()) };
            let found = files::expand(directory, pattern.get_ref());
            if found.is_empty() {
                let message = format!("`{}` names no charter file", pattern.get_ref().display());
                let reader = &mut Reader::new(&mut self.report, file);
                reader.problem(Code::NoCharter, pattern.span(), message, "matches nothing");
            }
            for path in found {
                self.charter(&path, Some(named_at.clone()), &defaults);
            }
        }
        if raw.charters.as_ref().is_some_and(|many| many.0.is_empty()) {
            let place = Place { file, span: None };
            self.report.add(Problem {
                code: Code::NoCharter,
                message: "no charter is named".to_owned(),
                place,
                label: "`charters` is empty".to_owned(),
                help: None,
                related: None,
            });
        }
        Some((daemon, pack?))
    }

    /// The petition pack that `named` names, or the one that is part of the program.
    fn pack(&mut self, file: FileId, directory: &Path, named: Option<&Spanned<PathBuf>>) -> Option<Pack> {
        let (file, read) = match named {
            None => (file, EMBEDDED.get_or_init(Pack::embedded).clone()),
            Some(named) => {
                let path = directory.join(named.get_ref());
                let (file, content) = self.open(&path, Some(Place { file, span: Some(named.span()) }))?;
                (file, Pack::parse(&path.display().to_string(), &content.text))
            }
        };
        let reader = &mut Reader::new(&mut self.report, file);
        read.map_err(|errors| {
            for error in errors {
                reader.problem(Code::BadPack, error.span, "the petition pack cannot be used", error.message);
            }
        })
        .ok()
    }

    fn charter(&mut self, path: &Path, named_at: Option<Place>, defaults: &Defaults) {
        let Some((file, Content { text, sha256 })) = self.open(path, named_at) else { return };
        let placed = charter::read(&text, sha256, defaults, &mut Reader::new(&mut self.report, file));
        self.charters.extend(placed.map(|placed| (file, placed)));
    }

    /// Opens a file; a file that cannot be read is a problem of the place that names it.
    fn open(&mut self, path: &Path, named_at: Option<Place>) -> Option<(FileId, Content)> {
        match files::read(path) {
            Ok(content) => {
                self.files.push(FileInForce { path: path.to_owned(), sha256: content.sha256.clone() });
                Some((self.report.add_file(path.to_owned(), content.text.clone()), content))
            }
            Err((code, label)) => {
                let place = named_at.unwrap_or_else(|| Place {
                    file: self.report.add_file(path.to_owned(), String::new()),
                    span: None,
                });
                let message = format!("cannot read {}: {label}", path.display());
                self.report.add(Problem { code, message, place, label, help: None, related: None });
                None
            }
        }
    }

    fn finish(mut self, main: Option<(Daemon, Pack)>) -> Result<Config, Report> {
        self.check_ids();
        self.check_overlap();
        self.check_ways(&main.as_ref().map(|(daemon, _)| daemon.recipient_syntax.clone()).unwrap_or_default());
        self.report.sort();
        let Some((daemon, petition)) = main.filter(|_| !self.report.has_errors()) else { return Err(self.report) };
        let closings = self.closings();
        let mut charters: Vec<_> = self.charters.into_iter().map(|(_, placed)| Arc::new(placed.charter)).collect();
        charters.sort_by(|a, b| a.id.cmp(&b.id));
        let mut index: HashMap<Address, Vec<(usize, usize)>> = HashMap::new();
        for (charter_at, charter) in charters.iter().enumerate() {
            for (list_at, list) in charter.lists.iter().enumerate() {
                for address in list.aliases.iter().chain([&list.address]) {
                    index.entry(address.clone()).or_default().push((charter_at, list_at));
                }
            }
        }
        Ok(Config { daemon, charters, petition, files: self.files, warnings: self.report, index, closings })
    }

    fn closings(&self) -> Vec<Closing> {
        let placed = self.charters.iter().flat_map(|(file, placed)| {
            placed.closings.iter().map(move |(what, period, span)| Closing {
                what: what.clone(),
                period: *period,
                time_zone: placed.charter.time_zone.clone(),
                place: Place { file: *file, span: Some(span.clone()) },
            })
        });
        placed.collect()
    }

    fn check_ids(&mut self) {
        let mut seen: Vec<(FileId, &Placed)> = Vec::new();
        for (file, placed) in &self.charters {
            if let Some((first_file, first)) = seen.iter().find(|(_, p)| p.charter.id == placed.charter.id) {
                self.report.add(Problem {
                    code: Code::DuplicateCharter,
                    message: format!("two charters are called `{}`", placed.charter.id),
                    place: Place { file: *file, span: Some(placed.id.clone()) },
                    label: "again here".to_owned(),
                    help: None,
                    related: Some((Place { file: *first_file, span: Some(first.id.clone()) }, "first here".to_owned())),
                });
            }
            seen.push((*file, placed));
        }
    }

    fn check_ways(&mut self, syntax: &RecipientSyntax) {
        let lists: HashSet<&Address> =
            self.charters.iter().flat_map(|(_, placed)| &placed.addresses).map(|(address, ..)| address).collect();
        let of_charters =
            self.charters.iter().flat_map(|(file, placed)| placed.ways.iter().map(move |way| (*file, way)));
        for (file, way) in self.ways.iter().map(|(file, way)| (*file, way)).chain(of_charters) {
            if way.leads_to(|address| lists.contains(address), syntax) {
                self.report.add(Problem {
                    code: way.code,
                    message: way.message.clone(),
                    place: Place { file, span: Some(way.at.clone()) },
                    label: way.label.to_owned(),
                    help: None,
                    related: None,
                });
            }
        }
    }

    /// Two charters may judge one list only when one of them is shared (am:4.1).
    fn check_overlap(&mut self) {
        let mut seen: HashMap<&Address, (FileId, &Placed, std::ops::Range<usize>)> = HashMap::new();
        for (file, placed) in &self.charters {
            for (address, _, span) in &placed.addresses {
                let Some((first_file, first, first_span)) = seen.get(address) else {
                    seen.insert(address, (*file, placed, span.clone()));
                    continue;
                };
                if first_file == file {
                    continue;
                }
                let (one, other) = (&first.charter.id, &placed.charter.id);
                let (code, message) = if !first.charter.shared && !placed.charter.shared {
                    (Code::OverlappingLists, format!("{address} is a list of `{one}` and of `{other}`"))
                } else if calendar::never_meet(&first.charter, &placed.charter) {
                    (Code::WindowsApart, format!("the night windows of `{one}` and `{other}` never meet for {address}"))
                } else {
                    continue;
                };
                self.report.add(Problem {
                    code,
                    message,
                    place: Place { file: *file, span: Some(span.clone()) },
                    label: "again here".to_owned(),
                    help: None,
                    related: Some((
                        Place { file: *first_file, span: Some(first_span.clone()) },
                        "first here".to_owned(),
                    )),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_files_load() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/charter-milter.toml");
        let config = Config::load(&path).unwrap_or_else(|report| panic!("{report}"));
        assert!(config.warnings.is_empty(), "{}", config.warnings);
    }

    #[test]
    fn a_sub_address_and_other_spellings_reach_the_list() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/charters/cnrs-2018.toml");
        let config = Config::load_charters(&[path]).unwrap_or_else(|report| panic!("{report}"));
        for spelling in ["<electeurs-c@elections.cnrs.example>", "<Electeurs-C+x+y@Elections.CNRS.example.>"] {
            assert_eq!(config.reached(spelling).unwrap().len(), 1, "{spelling}");
        }
        assert!(config.reached("<electeurs@elections.cnrs.example>").unwrap().is_empty());
    }
}
