//! The configuration in force, with what every message asks of it worked out once.

use crate::charter::MailboxState;
use crate::config::Config;
use crate::config::daemon::MtaKind;
use crate::message::address::RecipientSyntax;
use crate::message::mime;

/// A configuration and what follows from it.
#[derive(Debug)]
pub struct InForce {
    /// The configuration.
    pub config: Config,
    /// How recipients may be written.
    pub syntax: RecipientSyntax,
    /// Some charter has rules for mail that goes to no list.
    pub has_general_rules: bool,
    /// Some mailbox is deactivated, so that RCPT has to be answered.
    pub has_deactivated_mailboxes: bool,
    /// The bounds of the scan for MIME structure.
    pub mime_limits: mime::Limits,
    /// SHA-256 over the digests of all files in force, lower-case hex; records quote it.
    pub digest: String,
}

impl InForce {
    /// Works out what follows from a configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        use sha2::Digest as _;
        // A recipient without a domain is completed by the mail server; any domain that has a list may be the one.
        let mut syntax = config.daemon.recipient_syntax.clone();
        for charter in &config.charters {
            let lists = charter.lists.iter().flat_map(|list| std::iter::once(&list.address).chain(&list.aliases));
            syntax.local_domains.extend(lists.map(|address| address.domain().to_owned()));
            syntax.local_domains.extend(charter.domains.iter().cloned());
        }
        syntax.local_domains.sort_unstable();
        syntax.local_domains.dedup();
        let mut digest = sha2::Sha256::new();
        for file in &config.files {
            digest.update(file.sha256.as_bytes());
        }
        Self {
            syntax,
            has_general_rules: config.charters.iter().any(|charter| charter.general.is_some()),
            has_deactivated_mailboxes: config
                .charters
                .iter()
                .flat_map(|charter| &charter.recipients)
                .any(|recipient| recipient.state == MailboxState::Deactivated),
            digest: data_encoding::HEXLOWER.encode(&digest.finalize()),
            mime_limits: mime::Limits {
                depth_max: config.daemon.limits.mime_depth_max,
                parts_max: config.daemon.limits.mime_parts_max,
                ..mime::Limits::default()
            },
            config,
        }
    }

    /// Whether the mail server keeps requests for receipts in the envelope.
    #[must_use]
    pub fn keeps_notify(&self) -> bool {
        self.config.daemon.mta.kind == MtaKind::Sendmail
    }
}
