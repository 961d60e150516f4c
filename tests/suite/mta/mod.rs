//! Real mail servers for the tests: Postfix and Sendmail as private instances in temporary directories, the server their
//! mail is delivered to ([`sink`]), the client that sends it ([`client`]), a DNS server and a signer for DKIM.
//!
//! Nothing here is simulated where a real part can be had. What is missing makes a test fail and names the package; it is
//! never skipped. Instances have their own directory and ports, so that tests run side by side, and each of them ends with
//! its owner, however the owner ends (see [`guard`]).
#![allow(
    dead_code,
    clippy::format_collect,
    reason = "each of the suite, the benchmark and the demonstration uses its own part of this; speed does not matter here"
)]

pub mod client;
pub mod dkim;
pub mod dns;
pub mod gateway;
pub mod guard;
pub mod letter;
pub mod postfix;
pub mod sendmail;
pub mod sink;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long anything in the tests may take before it is called broken: generous, since machines are shared.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The lowest port handed out. The range ends below 32,768, where Linux takes the ports of outgoing connections from.
const PORT_MIN: u16 = 20_000;
const PORT_COUNT: u16 = 12_000;

/// A free port on 127.0.0.1 for a server that must be told its port before it starts. Not handed out twice by a process;
/// processes that run side by side start at different places of the range.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(PORT_COUNT)).unwrap();
    loop {
        let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed) % PORT_COUNT) % PORT_COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT_MIN + offset));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Waits until `probe` gives something, and panics with `what` when it has not within [`PATIENCE`].
pub fn wait_for<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, probe).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Waits until `probe` gives something, at most for `patience`.
pub fn wait_within<T>(patience: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if start.elapsed() > patience {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The program `name`, looked for in PATH and in the system's directories.
///
/// # Panics
/// When it is not there, naming the Debian package to install: a test without its mail server has failed.
pub fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/usr/lib/postfix/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is missing: install Debian's package {package} (tests/install-packages does it)")
        })
}

/// A temporary directory that mail servers, which run as other users, may enter. It is removed by its [`guard::Guard`].
pub fn directory(prefix: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::Builder::new().prefix(prefix).tempdir_in("/tmp").unwrap().keep();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// Stops early, and with the reason, where a private mail server cannot be started at all.
pub fn demand_root(who: &str) {
    assert!(
        rustix::process::geteuid().is_root(),
        "{who} switches between system users, so a private instance can only be started by root: run the tests as root"
    );
}

/// Writes a file below `directory`, creating the folders on the way.
pub fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let file = directory.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, content).unwrap();
    file
}
