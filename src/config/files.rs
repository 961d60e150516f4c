//! Reading of configuration files: within bounds, as UTF-8, with their digest.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::codes::Code;

/// A register of some thousand senders takes about 1 MB; anything above this is not a configuration file.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A file as it was read.
pub struct Content {
    /// Its text.
    pub text: String,
    /// SHA-256 of its octets, lower-case hex.
    pub sha256: String,
}

/// Reads a file.
///
/// # Errors
/// The code of the problem, and what to say of it.
pub fn read(path: &Path) -> Result<Content, (Code, String)> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    // One octet more than allowed tells a file that is too large from one that just fits.
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err((Code::FileTooLarge, format!("larger than {FILE_BYTES_MAX} octets")));
    }
    let sha256 = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Content { text, sha256 }),
        Err(error) => {
            let line = error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|b| **b == b'\n').count();
            Err((Code::NotUtf8, format!("line {} is not UTF-8", line + 1)))
        }
    }
}

fn unreadable(error: &std::io::Error) -> (Code, String) {
    match error.kind() {
        ErrorKind::NotFound => (Code::FileMissing, "no such file".to_owned()),
        _ => (Code::FileUnreadable, error.to_string()),
    }
}

/// The files that `pattern` names, in the order of their names: a file itself, the `*.toml` of a directory, or those that
/// match a pattern with one `*` in its last part. A plain name is returned whether or not it exists.
pub fn expand(directory: &Path, pattern: &Path) -> Vec<PathBuf> {
    let path = directory.join(pattern);
    if path.is_dir() {
        return matching(&path, "", ".toml");
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match (name.split_once('*'), path.parent()) {
        (Some((prefix, suffix)), Some(parent)) => {
            // Beside a main file that was named without a directory.
            let here = parent.as_os_str().is_empty();
            matching(if here { Path::new(".") } else { parent }, prefix, suffix)
        }
        _ => vec![path],
    }
}

fn matching(directory: &Path, prefix: &str, suffix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            // Editors leave `.name.toml.swp` and `.#name.toml` behind; hidden files are never charters.
            !name.starts_with('.')
                && name.len() >= prefix.len() + suffix.len()
                && name.starts_with(prefix)
                && name.ends_with(suffix)
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_beside_a_main_file_named_without_a_directory_is_looked_for_here() {
        // Tests run in the directory of the package.
        assert_eq!(expand(Path::new(""), Path::new("Cargo*.toml")), [Path::new("./Cargo.toml")]);
    }
}
