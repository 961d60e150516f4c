//! The values of configuration files that are one of a few words. Lists whose names stand in records too have them where they
//! are declared; the words that only a file has are here, and beside the file's own lists.

use toml::de::DeValue;

use super::codes::Code;
use super::reader::{Leaf, LeafError, did_you_mean, enumerate, string};
use crate::charter::rules::{
    AttachmentAction, Direction, FloodSubject, QuotaReach, QuotaSubject, ReceiptsRule, RefuseOrTag, Span,
};
use crate::charter::{Inspection, Keeper, MailboxState, Mode, ReleaseOrder};
use crate::message::edit::SignedPolicy;
use crate::wording::Language;

/// Declares the words of closed lists. A value without a word does not compile.
macro_rules! choices {
    ($($ty:ident { $($variant:ident = $word:literal,)+ })+) => {
        $(impl $crate::config::reader::Leaf for $ty {
            fn shape() -> String {
                $crate::config::choices::shape(&[$($word),+])
            }
            fn read(value: &toml::de::DeValue<'_>) -> Result<Self, $crate::config::reader::LeafError> {
                $crate::config::choices::choose(value, &[$(($word, Self::$variant)),+])
            }
        }
        const _: fn($ty) = |value| match value { $($ty::$variant)|+ => () };)+
    };
}
pub(crate) use choices;

choices! {
    Language { French = "fr", English = "en", }
    ReleaseOrder { Draw = "draw", Arrival = "arrival", }
    MailboxState { Suspended = "suspended", Deactivated = "deactivated", }
    RefuseOrTag { Reject = "reject", Tag = "tag", }
    Direction { Any = "any", Internal = "internal", Outgoing = "outgoing", }
    FloodSubject { Sender = "sender", List = "list", }
    ReceiptsRule { Remove = "remove", Reject = "reject", Pass = "pass", }
    AttachmentAction {
        Strip = "strip",
        Reject = "reject",
        Tag = "tag",
        Allow = "allow",
    }
    SignedPolicy {
        Reject = "reject",
        Wrap = "wrap",
        Break = "break",
        Pass = "pass",
    }
}

/// Lists that have names of their own.
macro_rules! named {
    ($($ty:ident)+) => {
        $(impl Leaf for $ty {
            fn shape() -> String {
                shape(&$ty::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>())
            }
            fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
                choose(value, &$ty::ALL.iter().map(|value| (value.as_str(), *value)).collect::<Vec<_>>())
            }
        })+
    };
}

named! { Mode Inspection QuotaSubject QuotaReach Span }

impl Leaf for Keeper {
    fn shape() -> String {
        "the name of a rule or of a measure".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Result<Self, LeafError> {
        let choices: Vec<_> = Self::all().map(|keeper| (keeper.as_str(), keeper)).collect();
        choose(value, &choices)
    }
}

/// Reads one of a closed list of words.
///
/// # Errors
/// [`Code::UnknownValue`] with the nearest word.
pub fn choose<T: Copy>(value: &DeValue<'_>, choices: &[(&'static str, T)]) -> Result<T, LeafError> {
    let word = string(value)?;
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
        return Ok(*choice);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
    let label = did_you_mean(word, &names, "not one of them");
    Err((Code::UnknownValue, label))
}

/// The words of a closed list, for messages.
#[must_use]
pub fn shape(words: &[&str]) -> String {
    format!("one of {}", enumerate(words))
}
