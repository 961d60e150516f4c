//! The command `charter-milter`: arguments in, exit code out; everything else is in the library.

fn main() -> std::process::ExitCode {
    charter_milter::cli::run(std::env::args_os())
}
