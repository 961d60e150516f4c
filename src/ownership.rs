//! Whose the files are that root makes. A command that root runs before the daemon's first start must not leave behind what the
//! daemon cannot open.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Opens a file for appending, and makes it, readable by its owner alone, where there is none. One that is empty and that root
/// owns, in a directory of somebody else, becomes that one's. (The two files that SQLite keeps beside a database follow its
/// owner by themselves.)
///
/// # Errors
/// What the system says.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (directory, own) = (std::fs::metadata(directory)?, file.metadata()?);
    if own.len() == 0 && own.uid() == 0 && directory.uid() != 0 && rustix::process::geteuid().is_root() {
        std::os::unix::fs::fchown(&file, Some(directory.uid()), Some(directory.gid()))?;
    }
    Ok(file)
}
