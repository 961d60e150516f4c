//! Postfix end to end with its own load tools (`smtp-source`, `smtp-sink`), with and without a milter in front.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::Plan;
use super::mta::guard::Guard;
use super::mta::postfix::{Options, Postfix};
use super::mta::{directory, free_address, program, wait_for};
use super::process::Server;

/// Prints a line for each milter and kind of mail.
pub fn print(plan: &Plan) {
    println!("\n{:<34} {:<6} {:>6} {:>10} {:>9}", "Postfix", "socket", "kB", "msgs/s", "of plain");
    for kilobytes in [2, 20] {
        let bare = rate(plan, None, "ami@voisin.example", kilobytes);
        println!("{:<34} {:<6} {kilobytes:>6} {bare:>10.0} {:>9.2}", "without a milter", "", 1.0);
        for inet in [false, true] {
            for (kind, recipient, name) in [
                ("loud", "ami@voisin.example", "does nothing, replies"),
                ("quiet", "ami@voisin.example", "does nothing, no-reply"),
                ("charter", "ami@voisin.example", "charter-milter, unprotected"),
                ("charter", "electeurs@listes.example", "charter-milter, protected"),
            ] {
                let server = Server::start(kind, inet);
                let rate = rate(plan, Some(&server), recipient, kilobytes);
                let socket = if inet { "tcp" } else { "unix" };
                println!("{name:<34} {socket:<6} {kilobytes:>6} {rate:>10.0} {:>9.2}", rate / bare);
            }
        }
    }
}

/// Messages per second that Postfix accepts over ten connections, while it delivers to `smtp-sink`.
fn rate(plan: &Plan, server: Option<&Server>, recipient: &str, kilobytes: usize) -> f64 {
    let sink = free_address();
    let nowhere = directory("smtp-sink-");
    let mut process = Command::new(program("smtp-sink", "postfix"))
        // Started by root, it wants to know whom to be.
        .args(["-u", "nobody", &sink.to_string(), "200"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let guard = Guard::new(process.id(), &nowhere);
    wait_for("smtp-sink", || std::net::TcpStream::connect(sink).ok());
    let mut options = Options::new(sink);
    options.milters.extend(server.map(|server| server.address.postfix()));
    let postfix = Postfix::start(&options);
    let count = if plan.quick { 200 } else { 2000 };
    let started = Instant::now();
    let status = Command::new(program("smtp-source", "postfix"))
        .args(["-s", "10", "-m", &count.to_string(), "-l", &(kilobytes * 1000).to_string()])
        .args(["-f", "liste-a@candidats.example", "-t", recipient, &postfix.address().to_string()])
        .stdin(Stdio::null())
        .status()
        .unwrap();
    let elapsed = started.elapsed().as_secs_f64();
    assert!(status.success(), "smtp-source: {}", postfix.log().lines().rev().take(5).collect::<Vec<_>>().join("\n"));
    drop(guard);
    let _ = process.wait();
    f64::from(count) / elapsed
}
