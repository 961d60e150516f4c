//! A rule pack as its file writes it. Every value that can be wrong in itself keeps its place in the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPack {
    pub pack: RawHead,
    #[serde(default)]
    pub words: BTreeMap<String, Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    pub guard: BTreeMap<String, RawGuard>,
    #[serde(default)]
    pub site: Vec<RawSite>,
    #[serde(default)]
    pub signal: Vec<RawSignal>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHead {
    pub id: Spanned<String>,
    pub version: Spanned<u32>,
    pub threshold: Spanned<f64>,
    #[serde(default)]
    pub strong: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGuard {
    pub scope: Scope,
    pub phrases: Vec<Spanned<String>>,
    /// Phrases that let a hit stand all the same: "n'oubliez pas de signer" asks.
    #[serde(default)]
    pub except: Vec<Spanned<String>>,
}

/// Where a guard must stand to take a hit back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scope {
    /// It shares words with the hit, or ends right before it.
    Hit,
    /// In the same sentence.
    Sentence,
    /// In the same sentence, before the hit's last word.
    Before,
    /// In the same sentence or the one before.
    Nearby,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSite {
    pub class: Spanned<String>,
    pub hosts: Vec<Spanned<String>>,
    #[serde(default)]
    pub paths: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignal {
    pub id: Spanned<String>,
    pub rule: super::SignalRule,
    pub weight: Spanned<f64>,
    pub fr: Spanned<String>,
    pub en: Spanned<String>,
    pub group: Option<String>,
    #[serde(default)]
    pub hands_on: bool,
    /// What it looks for: exactly one of the following.
    pub phrases: Option<Vec<Spanned<String>>>,
    pub mail_phrases: Option<Vec<Spanned<String>>>,
    pub links: Option<Spanned<String>>,
    pub link_words: Option<Vec<Spanned<String>>>,
    /// Words of an address that say it is no such page.
    #[serde(default)]
    pub unless_link_words: Vec<Spanned<String>>,
    pub fact: Option<Fact>,
    #[serde(default)]
    pub unless: Vec<Spanned<String>>,
    #[serde(default)]
    pub near: Vec<Spanned<String>>,
    /// Signals of which one must be near as well.
    #[serde(default)]
    pub beside: Vec<Spanned<String>>,
    pub within: Option<u32>,
    /// Signals beside which this one does not count.
    #[serde(default)]
    pub yields_to: Vec<Spanned<String>>,
    /// Counts between quotation marks as well.
    #[serde(default)]
    pub quotations: bool,
}

/// What no phrase can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fact {
    /// A strong word in a spelling that hides it from machines.
    DisguisedSpelling,
    /// A form that asks for a name or an address.
    IdentityForm,
    /// A `mailto:` link that brings a text of some length along.
    PrefilledMail,
    /// A link to a page.
    AnyLink,
    /// A link whose text shows the address of another site than it leads to.
    OtherAddressShown,
}
