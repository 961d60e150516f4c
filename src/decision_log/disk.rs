//! Where the log lies on disk, and the few operations it does there.
//!
//! Everything the journal asks of the disk goes through [`Medium`], so that tests can make each operation fail in turn.
//! Files that root creates are given to the owner of the state directory: the daemon, which is not root, must be able to
//! go on appending to them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

/// Mode of a segment that takes more lines.
const SEGMENT_MODE: u32 = 0o640;
/// Mode of a segment that takes no more lines. Writers of other processes learn from it that a new segment has begun.
const SEALED_MODE: u32 = 0o440;
/// Mode of private keys.
const KEY_MODE: u32 = 0o600;

/// The operations on disk whose failure the journal must survive.
pub trait Medium: Send + Sync + std::fmt::Debug {
    /// Appends all the octets to a file.
    ///
    /// # Errors
    ///
    /// What the system says; some of the octets may have been written.
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let mut file = file;
        file.write_all(bytes)
    }

    /// Makes the content of a file durable.
    ///
    /// # Errors
    ///
    /// What the system says; after that, nothing is known of what was written since the last success.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Cuts a file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    /// Renames a file over another.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    /// Called before a file is created.
    ///
    /// # Errors
    ///
    /// A reason why it cannot be created.
    fn may_create(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// The disk itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Medium for Disk {}

/// The directory of a log.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    /// Who owns what root creates here; `None` when the process is not root or the owner is.
    owner: Option<(u32, u32)>,
}

impl Layout {
    /// The log in `root`; nothing is touched.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        // The nearest directory that exists says whose it will be.
        let owner = root.ancestors().find_map(|dir| std::fs::metadata(dir).ok()).map(|meta| (meta.uid(), meta.gid()));
        let owner = owner.filter(|(uid, _)| *uid != 0 && rustix::process::geteuid().is_root());
        Self { root, owner }
    }

    /// Makes the directories that are missing.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn create(&self) -> io::Result<()> {
        for dir in [self.root.clone(), self.segments(), self.torn(), self.cosignatures()] {
            self.make_dir(&dir, 0o750)?;
        }
        for dir in [self.private(), self.period_keys()] {
            self.make_dir(&dir, 0o700)?;
        }
        Ok(())
    }

    fn make_dir(&self, dir: &Path, mode: u32) -> io::Result<()> {
        match DirBuilder::new().recursive(false).mode(mode).create(dir) {
            Ok(()) => self.give(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a file made elsewhere to the owner of the log.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        self.give(path)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        match self.owner {
            Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The daily segments.
    #[must_use]
    pub fn segments(&self) -> PathBuf {
        self.root.join("segments")
    }

    /// Torn lines, set aside.
    #[must_use]
    pub fn torn(&self) -> PathBuf {
        self.root.join("torn")
    }

    /// Cosigned checkpoints that auditors returned.
    #[must_use]
    pub fn cosignatures(&self) -> PathBuf {
        self.root.join("cosignatures")
    }

    /// Verifier keys of the auditors, one a line.
    #[must_use]
    pub fn auditors(&self) -> PathBuf {
        self.root.join("auditors")
    }

    /// Private keys.
    #[must_use]
    pub fn private(&self) -> PathBuf {
        self.root.join("private")
    }

    /// Keys of pseudonyms and of sealed Message-IDs.
    #[must_use]
    pub fn period_keys(&self) -> PathBuf {
        self.private().join("period")
    }

    /// The latest checkpoint, for people and for other programs.
    #[must_use]
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint")
    }

    /// From where a process that opens the log reads on.
    #[must_use]
    pub fn resume(&self) -> PathBuf {
        self.root.join("resume.json")
    }

    /// The file that a process locks while it writes.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The file that the daemon locks while it runs.
    #[must_use]
    pub fn daemon_lock(&self) -> PathBuf {
        self.root.join("daemon.lock")
    }

    /// Opens a file that is only there to be locked.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open_lock(&self, path: &Path) -> io::Result<File> {
        let fresh = !path.exists();
        let file = OpenOptions::new().create(true).append(true).read(true).mode(SEGMENT_MODE).open(path)?;
        if fresh {
            self.give(path)?;
        }
        Ok(file)
    }

    /// Opens a segment for appending, creating it when it is not there.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open_segment(&self, medium: &dyn Medium, name: &SegmentName) -> io::Result<File> {
        let path = self.segments().join(name.to_string());
        let fresh = !path.exists();
        if fresh {
            medium.may_create(&path)?;
        }
        let file = OpenOptions::new().create(true).append(true).read(true).mode(SEGMENT_MODE).open(&path)?;
        if fresh {
            self.give(&path)?;
            medium.sync_dir(&self.segments())?;
        }
        Ok(file)
    }

    /// The segments, in order.
    ///
    /// # Errors
    ///
    /// What the system says; a file in the directory whose name is no segment's.
    pub fn list_segments(&self) -> io::Result<Vec<SegmentName>> {
        list_segments(&self.segments())
    }

    /// Writes a file so that it is either the old or the new one, whatever happens, and durable when this returns.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn replace(&self, medium: &dyn Medium, path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
        let draft = path.with_extension("new");
        medium.may_create(&draft)?;
        let mode = if private { KEY_MODE } else { SEGMENT_MODE };
        // A draft left by a crash may have another mode or owner: never write a key into it.
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().create_new(true).write(true).mode(mode).open(&draft)?;
        self.give(&draft)?;
        medium.append(&file, bytes)?;
        medium.sync(&file)?;
        drop(file);
        medium.rename(&draft, path)?;
        medium.sync_dir(path.parent().unwrap_or(&self.root))
    }

    /// Overwrites a key with zeros and removes it. On file systems that copy on write the overwriting may reach other
    /// blocks; `docs/audit.md` says so.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn destroy(&self, medium: &dyn Medium, path: &Path) -> io::Result<()> {
        let file = match OpenOptions::new().write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        medium.append(&file, &vec![0; len.min(1 << 20)])?;
        medium.sync(&file)?;
        drop(file);
        std::fs::remove_file(path)?;
        medium.sync_dir(path.parent().unwrap_or(&self.root))
    }
}

/// The segments in a directory, in order.
///
/// # Errors
///
/// What the system says; a file in the directory whose name is no segment's.
pub fn list_segments(dir: &Path) -> io::Result<Vec<SegmentName>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        // Drafts of a purge that did not come to its end.
        if name.ends_with(".new") {
            continue;
        }
        let parsed = name.parse();
        names.push(parsed.map_err(|()| io::Error::new(io::ErrorKind::InvalidData, format!("{name} is no segment")))?);
    }
    names.sort_unstable();
    Ok(names)
}

/// Marks a segment as one that takes no more lines.
///
/// # Errors
///
/// What the system says.
pub fn seal(file: &File) -> io::Result<()> {
    file.set_permissions(std::fs::Permissions::from_mode(SEALED_MODE))
}

/// Length of a segment, and whether it is sealed.
///
/// # Errors
///
/// What the system says.
pub fn state_of(file: &File) -> io::Result<(u64, bool)> {
    let meta = file.metadata()?;
    Ok((meta.len(), meta.mode() & 0o200 == 0))
}

/// Reads a small file, at most `bytes_max` octets of it.
///
/// # Errors
///
/// What the system says; `InvalidData` when the file is larger or not UTF-8.
pub fn read_small(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if read as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("larger than {bytes_max} octets")));
    }
    Ok(text)
}

/// The name of a segment: index of its first line, and the day (UTC) it was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// Index of its first line.
    pub first: u64,
    /// The day it was begun, UTC; never earlier than that of the segment before.
    pub day: Date,
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:012}_{}.jsonl", self.first, self.day)
    }
}

impl std::str::FromStr for SegmentName {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let (first, day) = name.strip_suffix(".jsonl").and_then(|stem| stem.split_once('_')).ok_or(())?;
        let parsed = Self { first: first.parse().map_err(|_| ())?, day: day.parse().map_err(|_| ())? };
        // One name for one segment: no second spelling of the same numbers.
        if parsed.to_string() == name { Ok(parsed) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_has_one_name() {
        let name = SegmentName { first: 42, day: "2026-06-11".parse().unwrap() };
        assert_eq!(name.to_string(), "000000000042_2026-06-11.jsonl");
        assert_eq!(name.to_string().parse(), Ok(name));
        for bad in ["42_2026-06-11.jsonl", "000000000042_2026-06-11", "000000000042-2026-06-11.jsonl", "resume.json"] {
            assert_eq!(bad.parse::<SegmentName>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_destroyed_key_is_gone_and_a_missing_one_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path().join("log"));
        layout.create().unwrap();
        let path = layout.private().join("signing.key");
        layout.replace(&Disk, &path, b"secret", true).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        layout.destroy(&Disk, &path).unwrap();
        assert!(!path.exists());
        layout.destroy(&Disk, &path).unwrap();
    }

    #[test]
    fn a_foreign_file_among_the_segments_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        layout.create().unwrap();
        std::fs::write(layout.segments().join("notes.txt"), "x").unwrap();
        assert_eq!(layout.list_segments().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
