//! `charter-milter postsuper-helper`: the one part that runs as root. It reads requests from standard input (systemd gives it a
//! connection there), checks their form, runs the mail server's own tools, and answers. It reads no configuration: what it may
//! run is on its own command line, which root writes.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Exit;
use crate::hold::mta::PostfixTools;
use crate::hold::mta::helper;

/// Arguments of `postsuper-helper`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Postfix's `postsuper`
    #[arg(long, value_name = "FILE", default_value = "/usr/sbin/postsuper")]
    postsuper: PathBuf,
    /// Postfix's `postcat`
    #[arg(long, value_name = "FILE", default_value = "/usr/sbin/postcat")]
    postcat: PathBuf,
    /// Postfix's configuration directory, when it is not the default one
    #[arg(long, value_name = "DIR")]
    config_directory: Option<PathBuf>,
}

/// Runs `postsuper-helper`.
#[must_use]
pub fn run(args: Args) -> Exit {
    let Args { postsuper, postcat, config_directory } = args;
    let mut tools = PostfixTools { postsuper, postcat, config_directory };
    match helper::serve(std::io::stdin().lock(), std::io::stdout().lock(), &mut tools) {
        Ok(()) => Exit::Fine,
        Err(error) => {
            super::say_error(&error);
            Exit::Failed
        }
    }
}
