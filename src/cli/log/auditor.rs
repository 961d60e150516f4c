//! `log init-auditor` and `log export`: what auditors are given.

use std::path::{Path, PathBuf};

use qrcode::QrCode;
use qrcode::render::{svg, unicode};
use sha2::{Digest as _, Sha256};

use super::{Exit, Place, Problem, now, print};
use crate::decision_log::disk::Layout;
use crate::decision_log::line::Line;
use crate::decision_log::reader::Segments;
use crate::decision_log::{Event, Journal, JournalError, Options, Role};

/// Arguments of `log init-auditor`.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Name of the log, if it has to be created: a schema-less URL such as `gateway.example/charter`
    #[arg(long, value_name = "NAME", default_value = "")]
    origin: String,
    /// Also draw the QR code to an SVG file, for printing
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Prints the first key, creating the log when there is none.
pub(super) fn init(place: &Place, args: &InitArgs) -> Result<Exit, Problem> {
    let dir = place.dir()?;
    let key = if let Some(key) = first_key(&dir)? {
        key
    } else {
        // Taking office draws the first key. A daemon that runs has drawn it already, and the log would have it.
        match Journal::open(&Options::new(&dir, &args.origin, Role::Keeper, now())) {
            Ok(journal) => drop(journal),
            Err(JournalError::AlreadyKept) => {}
            Err(error) => return Err(Problem::new(error)),
        }
        first_key(&dir)?.ok_or_else(|| Problem::new("the log has no key yet; try again"))?
    };
    let code = QrCode::new(key.as_bytes()).map_err(Problem::new)?;
    if let Some(path) = &args.svg {
        std::fs::write(path, code.render::<svg::Color<'_>>().min_dimensions(400, 400).build())
            .map_err(Problem::at(path))?;
    }
    let picture = code.render::<unicode::Dense1x2>().quiet_zone(true).build();
    print(&format!(
        "First public key of the decision log. Print this page and give it to every auditor.\n\
         Première clé publique du journal des décisions. À imprimer et à remettre à chaque auditeur.\n\n\
         {key}\n\n{picture}\n\n\
         Fingerprint / empreinte  {}\n\n\
         Verify / vérifier:  charter-milter log verify --dir COPY --key '{key}'\n",
        fingerprint(&key)
    ))?;
    Ok(Exit::Fine)
}

/// The first key that the log announces; `None` when there is no log, or none in it.
fn first_key(dir: &Path) -> Result<Option<String>, Problem> {
    let Ok(segments) = Segments::open(dir) else { return Ok(None) };
    for name in segments.names() {
        let mut lines = segments.lines(*name).map_err(Problem::new)?;
        while let Some(raw) = lines.next_line().map_err(Problem::new)? {
            if let Ok(Line::Record(record)) = Line::parse(raw.bytes)
                && let Ok(Event::Key(key)) = record.event()
            {
                return Ok(Some(key.key));
            }
        }
    }
    Ok(None)
}

/// SHA-256 of the key in groups of four, for reading aloud.
fn fingerprint(key: &str) -> String {
    let hex = data_encoding::HEXUPPER.encode(&Sha256::digest(key));
    let groups: Vec<_> = hex.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    groups.join(" ")
}

/// Arguments of `log export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// A directory that does not exist yet
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Reference of the order, in your own numbering; recorded
    #[arg(long, value_name = "TEXT", value_parser = crate::cli::one_line)]
    reference: Option<String>,
}

/// Copies segments, checkpoint and cosignatures: what is needed to verify, and no private key.
pub(super) fn export(place: &Place, args: &ExportArgs) -> Result<Exit, Problem> {
    let dir = place.leave_trace("log export", Vec::new(), args.reference.as_deref())?;
    let (from, to) = (Layout::at(dir), Layout::at(&args.to));
    std::fs::create_dir(to.root()).map_err(Problem::at(to.root()))?;
    // The checkpoint before the records: a daemon may add to both meanwhile, and must not seem to have signed what is not there.
    for (source, target) in [(from.checkpoint(), to.checkpoint()), (from.auditors(), to.auditors())] {
        if source.exists() {
            std::fs::copy(&source, &target).map_err(Problem::at(&target))?;
        }
    }
    for (source, target) in [(from.segments(), to.segments()), (from.cosignatures(), to.cosignatures())] {
        std::fs::create_dir(&target).map_err(Problem::at(&target))?;
        for entry in std::fs::read_dir(&source).map_err(Problem::at(&source))? {
            let entry = entry.map_err(Problem::at(&source))?;
            if !entry.file_name().to_string_lossy().ends_with(".new") {
                let copy = target.join(entry.file_name());
                std::fs::copy(entry.path(), &copy).map_err(Problem::at(&copy))?;
            }
        }
    }
    Ok(Exit::Fine)
}
