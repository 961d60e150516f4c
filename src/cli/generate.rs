//! `charter-milter completions` and the hidden `manual`: shell completions and manual pages, written from the very
//! definition of the command line, so that they cannot say anything else.

use std::io;
use std::path::{Path, PathBuf};

use clap::Command;

use super::Exit;

/// Writes shell completions to standard output.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Writes manual pages.
#[derive(Debug, clap::Args)]
pub struct ManualArgs {
    /// The directory to write them to.
    directory: PathBuf,
}

/// Writes the completions of a shell.
#[must_use]
pub fn completions(args: &CompletionsArgs, mut command: Command) -> Exit {
    clap_complete::generate(args.shell, &mut command, "charter-milter", &mut io::stdout());
    Exit::Fine
}

/// Writes a page for the program, and one for each subcommand.
#[must_use]
pub fn manual(args: &ManualArgs, command: Command) -> Exit {
    match write_pages(&args.directory, command) {
        Ok(()) => Exit::Fine,
        Err(error) => {
            super::say(&format!("cannot write the manual to {}: {error}", args.directory.display()));
            Exit::Failed
        }
    }
}

fn write_pages(directory: &Path, command: Command) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command, directory)
}
