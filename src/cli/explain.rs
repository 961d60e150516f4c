//! `charter-milter explain`: the daemon's own code on a file. Shows what every rule says of a message, what would be
//! edited, and what would become of it; changes nothing and counts nothing.
//!
//! It takes a message, an mbox file or a Maildir. Counters are not asked, so quotas and copies show as "not asked".

mod messages;
mod print;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Exit, clock};
use crate::charter::verdict::Verdict;
use crate::config::Config;
use crate::gateway::{self, Explained, InForce};
use crate::message::address::Address;
use crate::message::envelope::{Envelope, Recipient};
use crate::proof::dkim;
use messages::Messages;

/// Show what the charters say of a message
///
/// Exits with 0 when every message would pass or be held, 1 when one would be refused or deferred, 2 when the command cannot work.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A message (.eml), an mbox file or a Maildir.
    message: PathBuf,
    #[command(flatten)]
    config: super::ConfigFile,
    /// The envelope sender; that of Return-Path or From when left out. `<>` is the null sender.
    #[arg(long, value_name = "ADDRESS", value_parser = reverse_path)]
    from: Option<ReversePath>,
    /// An envelope recipient; may be given several times. Those of To and Cc when left out.
    #[arg(long, value_name = "ADDRESS")]
    rcpt: Vec<String>,
    /// The instant at which the message arrives, such as 2018-06-20T21:59:00+02:00; now when left out.
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// The SASL login of the client.
    #[arg(long, value_name = "LOGIN")]
    login: Option<String>,
    /// The address of the client.
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// The verified certificate name of the client.
    #[arg(long, value_name = "NAME")]
    certificate: Option<String>,
    /// Do not ask DNS: DKIM signatures stay unverified.
    #[arg(long)]
    offline: bool,
    /// Write the resulting message to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Draw the MIME tree with the class, size and fate of each part.
    #[arg(long)]
    tree: bool,
    /// One JSON object for each message.
    #[arg(long)]
    json: bool,
}

/// An envelope sender; `None` is the null sender.
#[derive(Debug, Clone)]
struct ReversePath(Option<Address>);

fn reverse_path(text: &str) -> Result<ReversePath, String> {
    match text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text) {
        "" => Ok(ReversePath(None)),
        text => Address::parse(text).map(|address| ReversePath(Some(address))).map_err(|error| error.to_string()),
    }
}

/// Runs the command.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let Some(config) = args.config.load() else { return Exit::Failed };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let explained = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(explain_all(args, config)));
    explained.unwrap_or_else(|error| {
        super::say_error(&*error);
        Exit::Failed
    })
}

async fn explain_all(args: &Args, config: Config) -> Result<Exit, Box<dyn std::error::Error>> {
    let verifier = verifier(args, &config)?;
    let messages = Messages::open(&args.message)?;
    let in_force = Arc::new(InForce::new(config));
    let several = messages.are_several();
    if several && args.out.is_some() {
        return Err("--out takes a single message, not a mailbox".into());
    }
    let progress = super::progress(messages.bytes_total());
    let mut exit = Exit::Fine;
    for message in messages {
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                super::say_error(&error);
                exit = Exit::Failed;
                continue;
            }
        };
        progress.inc(u64::try_from(message.raw.len()).unwrap_or(u64::MAX));
        let envelope = envelope(args, &message.raw);
        let now = args.at.unwrap_or_else(clock::now);
        let explained = gateway::explain(&in_force, &envelope, message.raw, now, verifier.as_ref()).await;
        let name = several.then_some(message.name.as_str());
        progress.suspend(|| print::message(args, name, &envelope, explained.as_ref(), now));
        write_out(args, explained.as_ref())?;
        let refused = explained.is_some_and(|explained| explained.verdict() >= Verdict::Tempfail);
        if refused && exit == Exit::Fine {
            exit = Exit::Found;
        }
    }
    progress.finish_and_clear();
    Ok(exit)
}

fn verifier(args: &Args, config: &Config) -> Result<Option<dkim::Verifier>, dkim::ResolverError> {
    if args.offline {
        return Ok(None);
    }
    dkim::Verifier::new(&config.daemon.dns.servers, config.daemon.dns.timeout).map(Some)
}

fn write_out(args: &Args, explained: Option<&Explained>) -> std::io::Result<()> {
    match (&args.out, explained.and_then(Explained::result)) {
        (Some(path), Some(message)) => std::fs::write(path, message),
        _ => Ok(()),
    }
}

/// The envelope the message would have come with, as far as its header tells what the arguments do not.
fn envelope(args: &Args, raw: &[u8]) -> Envelope {
    use crate::message::headers::Header;
    let (header, _) = Header::split(raw);
    let first = |name: &str| header.addresses(name).into_iter().next();
    let sender = match &args.from {
        Some(ReversePath(address)) => address.clone(),
        None => first("Return-Path").or_else(|| first("From")),
    };
    let given: Vec<String> = if args.rcpt.is_empty() {
        header.addresses("To").into_iter().chain(header.addresses("Cc")).map(|address| address.to_string()).collect()
    } else {
        args.rcpt.clone()
    };
    let recipients = given.into_iter().map(|raw| Recipient {
        address: Address::parse(&raw).ok(),
        raw: format!("<{}>", raw.trim_start_matches('<').trim_end_matches('>')),
        parameters: Vec::new(),
    });
    Envelope {
        client_address: args.client,
        sasl_login: args.login.clone(),
        tls_subject: args.certificate.clone(),
        sender,
        recipients: recipients.collect(),
        ..Envelope::default()
    }
}
