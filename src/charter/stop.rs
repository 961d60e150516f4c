//! Who or what can be suspended (drancy:V.a, pm:6).

use crate::message::address::Address;

/// What is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StopSubject {
    /// A sender on the register of a charter, by its name there.
    Sender {
        /// The charter's id.
        charter: String,
        /// The sender's name.
        name: String,
    },
    /// One mailbox, whoever writes from it.
    Mailbox(Address),
    /// A protected list, by its main address.
    List(Address),
    /// All lists of a charter, by its id.
    Charter(String),
    /// All protected mail.
    Everything,
}

impl StopSubject {
    /// The kind of subject, as the store and the log write it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sender { .. } => "sender",
            Self::Mailbox(_) => "mailbox",
            Self::List(_) => "list",
            Self::Charter(_) => "charter",
            Self::Everything => "everything",
        }
    }

    /// Which one of its kind, as the store and the log write it: `charter/name` for a sender, empty for everything.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Sender { charter, name } => format!("{charter}/{name}"),
            Self::Mailbox(address) | Self::List(address) => address.to_string(),
            Self::Charter(id) => id.clone(),
            Self::Everything => String::new(),
        }
    }

    /// Reads back what [`Self::kind`] and [`Self::name`] wrote.
    #[must_use]
    pub fn read(kind: &str, name: &str) -> Option<Self> {
        Some(match kind {
            "sender" => {
                // The id of a charter has no slash; the name of a sender may.
                let (charter, name) = name.split_once('/')?;
                Self::Sender { charter: charter.to_owned(), name: name.to_owned() }
            }
            "mailbox" => Self::Mailbox(Address::parse(name).ok()?),
            "list" => Self::List(Address::parse(name).ok()?),
            "charter" => Self::Charter(name.to_owned()),
            "everything" if name.is_empty() => Self::Everything,
            _ => return None,
        })
    }
}
