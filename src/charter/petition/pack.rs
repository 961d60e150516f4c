//! A rule pack, valid by construction: its signals with their phrases compiled, its sites, its strong words.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use super::disguise::Disguises;
use super::index::{Clues, Index};
use super::language::{self, Classes};
use super::phrase::Phrase;
use super::raw::{Fact, RawPack, RawSignal, Scope};
use super::vocabulary::Sets;
use crate::charter::rules::RuleName;
use crate::message::links::Page;

/// Sentences between a hit and the one it must be near, unless the signal says otherwise.
const WITHIN_DEFAULT: u32 = 2;
/// A shorter strong word would be found in the middle of honest ones.
const STRONG_CHARS_MIN: usize = 5;
/// Weights beyond this make the other signals meaningless.
const WEIGHT_MAX: f64 = 10.0;

/// A rule pack. Cheap to clone.
#[derive(Clone)]
pub struct Pack {
    inner: Arc<Inner>,
}

struct Inner {
    id: String,
    version: u32,
    digest: String,
    threshold: f64,
    disguises: Disguises,
    sites: Sites,
    signals: Vec<Signal>,
    /// The indices of the signals that look at links.
    of_links: Vec<usize>,
    phrases: Vec<Wanted>,
    guards: Vec<Guard>,
    index: Index,
}

/// A mistake in a pack's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PackError {
    /// The bytes of the file it is in.
    pub span: Range<usize>,
    /// What is wrong, in one sentence.
    pub message: String,
}

/// The rule a signal counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignalRule {
    /// `petition`.
    Petition,
    /// `chain-letter`.
    ChainLetter,
}

impl SignalRule {
    /// The rule's name.
    #[must_use]
    pub fn name(self) -> RuleName {
        match self {
            Self::Petition => RuleName::Petition,
            Self::ChainLetter => RuleName::ChainLetter,
        }
    }
}

/// What a signal means, in one line for each language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// In French.
    pub french: Arc<str>,
    /// In English.
    pub english: Arc<str>,
}

/// One signal of a pack.
#[derive(Debug, Clone)]
pub struct Signal {
    /// Its stable name.
    pub id: String,
    /// The rule it counts for.
    pub rule: SignalRule,
    /// What it adds; negative for a counter-signal.
    pub weight: f64,
    /// What it means.
    pub explanation: Explanation,
    /// Of the signals of a group only the heaviest counts.
    pub group: Option<String>,
    /// Says that the author passes on what is quoted below.
    pub(super) hands_on: bool,
    pub(super) what: What,
    /// The indices of its guards.
    pub(super) guards: Vec<usize>,
    /// Indices of the signals it must be near to.
    pub(super) near: Vec<usize>,
    /// Indices of the signals of which one must be near as well.
    pub(super) beside: Vec<usize>,
    pub(super) within: u32,
    /// Indices of the signals beside which it does not count.
    pub(super) yields_to: Vec<usize>,
    pub(super) quotations: bool,
}

/// Phrases that take a hit back.
#[derive(Debug)]
pub(super) struct Guard {
    pub scope: Scope,
    pub phrases: Vec<Phrase>,
    pub except: Vec<Phrase>,
    /// Nearly every hit is compared with some guards, and nearly no guard has anything to do with it.
    pub clues: Clues,
}

/// What a signal looks for.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// Phrases of the text; the [`Index`] gives them.
    Phrases,
    /// Phrases of a prefilled mail.
    Mail(Vec<Phrase>),
    /// Links to sites of this class.
    Sites(String),
    /// Links whose host or path has one of these words, and none of those.
    Words(LinkWords, LinkWords),
    Fact(Fact),
}

impl What {
    fn is_of_links(&self) -> bool {
        match self {
            Self::Mail(_) | Self::Sites(_) | Self::Words(..) => true,
            Self::Fact(fact) => matches!(fact, Fact::PrefilledMail | Fact::AnyLink | Fact::OtherAddressShown),
            Self::Phrases => false,
        }
    }
}

/// Rows of words of links' addresses, as [`address_words`] writes them: `-je-signe-`, `-petition`.
#[derive(Debug, Clone)]
pub(super) struct LinkWords(AhoCorasick);

impl LinkWords {
    /// Whether an address, as [`address_words`] writes it, has one of them.
    pub(super) fn are_in(&self, address: &str) -> bool {
        self.0.is_match(address)
    }
}

/// The words of a page's host and path without accents, `-` around each.
pub(super) fn address_words(page: &Page) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    let mut words = "-".to_owned();
    let mut take = |c: char| {
        if c.is_alphanumeric() {
            words.extend(c.to_lowercase());
        } else if !words.ends_with('-') {
            words.push('-');
        }
    };
    for c in page.host.chars().chain(page.path.chars()).chain(['/']) {
        if c.is_ascii() {
            take(c);
        } else {
            let letters = std::iter::once(c).nfd();
            letters.filter(|c| !unicode_normalization::char::is_combining_mark(*c)).for_each(&mut take);
        }
    }
    words
}

/// A phrase, and the index of the signal that looks for it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub signal: usize,
    pub phrase: Phrase,
}

/// Sites, or the parts of them that count, by host.
type Sites = HashMap<String, Vec<Site>>;

/// The part of a host that counts.
#[derive(Debug)]
struct Site {
    class: String,
    /// All of it when there are none.
    paths: Vec<String>,
}

impl Site {
    fn covers(&self, class: &str, path: &str) -> bool {
        self.class == class && (self.paths.is_empty() || self.paths.iter().any(|start| path.starts_with(start)))
    }
}

impl Pack {
    /// Reads a pack. `name` is what errors and records call it when the file gives it no id.
    ///
    /// # Errors
    /// Every mistake of the file, with its place.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<PackError>> {
        let raw: RawPack = toml::from_str(text).map_err(|error| {
            vec![PackError { span: error.span().unwrap_or_default(), message: format!("{name}: {}", error.message()) }]
        })?;
        let digest = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
        let mut reader = Reader::default();
        let inner = reader.pack(raw, digest);
        if reader.errors.is_empty() {
            return Ok(Self { inner: Arc::new(inner) });
        }
        reader.errors.sort_by_key(|error| error.span.start);
        Err(reader.errors)
    }

    /// The pack that is part of the program.
    ///
    /// # Errors
    /// None in a program whose tests have passed; like every pack it is read from its file's text.
    pub fn embedded() -> Result<Self, Vec<PackError>> {
        Self::parse("default", super::DEFAULT_PACK)
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Its version; grows with every change.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.inner.version
    }

    /// SHA-256 of its file, lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// How records name it: id, version and digest, such as `default 1 9f86d0…`.
    #[must_use]
    pub fn designation(&self) -> String {
        format!("{} {} {}", self.id(), self.version(), self.digest())
    }

    /// The threshold its weights are made for.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.inner.threshold
    }

    /// Its signals, in the order of the file.
    #[must_use]
    pub fn signals(&self) -> &[Signal] {
        &self.inner.signals
    }

    /// The indices of the signals that look at links.
    pub(super) fn signals_of_links(&self) -> &[usize] {
        &self.inner.of_links
    }

    /// The ids of its signals, for checking a charter's `silenced` and `weights`.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.inner.signals.iter().map(|signal| signal.id.as_str())
    }

    /// Which phrases a sentence can have.
    pub(super) fn index(&self) -> &Index {
        &self.inner.index
    }

    /// A phrase by its index.
    pub(super) fn phrase(&self, index: usize) -> Option<&Wanted> {
        self.inner.phrases.get(index)
    }

    /// The guards of a signal.
    pub(super) fn guards_of(&self, signal: &Signal) -> impl Iterator<Item = &Guard> {
        signal.guards.iter().filter_map(|guard| self.inner.guards.get(*guard))
    }

    /// The words worth disguising.
    pub(super) fn disguises(&self) -> &Disguises {
        &self.inner.disguises
    }

    pub(super) fn hands_on(&self, signal: usize) -> bool {
        self.inner.signals.get(signal).is_some_and(|signal| signal.hands_on)
    }

    /// Whether a page belongs to a site of this class.
    pub(super) fn covers(&self, class: &str, page: &Page) -> bool {
        self.sites_of(page).any(|site| site.covers(class, &page.path))
    }

    /// Whether only the path of a page can say what it is, since its host is a petition site in part.
    pub(super) fn is_of_petition_site(&self, page: &Page) -> bool {
        self.sites_of(page).any(|site| site.class == "petition")
    }

    fn sites_of(&self, page: &Page) -> impl Iterator<Item = &Site> {
        let suffixes = std::iter::successors(Some(page.host.as_str()), |host| Some(host.split_once('.')?.1));
        suffixes.filter_map(|host| self.inner.sites.get(host)).flatten()
    }
}

impl fmt::Debug for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pack")
            .field("id", &self.id())
            .field("version", &self.version())
            .field("digest", &self.digest())
            .finish()
    }
}

/// Turns a raw pack into a valid one and collects what is wrong with it.
#[derive(Default)]
struct Reader {
    errors: Vec<PackError>,
    classes: Classes,
    /// The indices of the guards.
    guards: BTreeMap<String, usize>,
    sets: Sets,
}

impl Reader {
    fn error<T>(&mut self, at: &Spanned<T>, message: impl Into<String>) {
        self.errors.push(PackError { span: at.span(), message: message.into() });
    }

    fn pack(&mut self, raw: RawPack, digest: String) -> Inner {
        if !is_name(raw.pack.id.as_ref()) {
            self.error(&raw.pack.id, "the id of a pack is made of lower-case letters, digits and `-`");
        }
        if !(raw.pack.threshold.as_ref() > &0.0 && raw.pack.threshold.as_ref() <= &WEIGHT_MAX) {
            self.error(&raw.pack.threshold, format!("the threshold lies above 0 and is at most {WEIGHT_MAX}"));
        }
        let disguises = Disguises::new(self.strong(&raw.pack.strong));
        for (name, entries) in &raw.words {
            if entries.as_ref().is_empty() {
                self.error(entries, format!("the word class `{name}` is empty"));
            }
            self.classes.insert(name.clone(), entries.as_ref().iter().map(|e| e.as_ref().clone()).collect());
        }
        let mut guards: Vec<Guard> = Vec::new();
        for (name, guard) in &raw.guard {
            self.guards.insert(name.clone(), guards.len());
            guards.push(Guard {
                scope: guard.scope,
                phrases: guard.phrases.iter().filter_map(|p| self.phrase(p)).collect(),
                except: guard.except.iter().filter_map(|p| self.phrase(p)).collect(),
                clues: Clues::default(),
            });
        }
        let sites = self.sites(&raw);
        let mut phrases: Vec<Wanted> = Vec::new();
        let signals = self.signals(&raw, &mut phrases);
        // Only now it is known which words are rare.
        let sets = std::mem::take(&mut self.sets);
        let commonness = sets.commonness();
        let rarest_first = |phrase: &mut Phrase| phrase.needs.sort_by_key(|set| commonness.get(*set));
        phrases.iter_mut().map(|wanted| &mut wanted.phrase).for_each(rarest_first);
        for guard in &mut guards {
            guard.phrases.iter_mut().chain(&mut guard.except).for_each(rarest_first);
            guard.clues = Clues::to(&guard.phrases);
        }
        let index = Index::new(sets, phrases.iter().map(|wanted| &wanted.phrase));
        let of_links =
            (0..).zip(&signals).filter(|(_, signal)| signal.what.is_of_links()).map(|(index, _)| index).collect();
        let (id, version, threshold) =
            (raw.pack.id.into_inner(), raw.pack.version.into_inner(), raw.pack.threshold.into_inner());
        Inner { id, version, digest, threshold, disguises, sites, signals, of_links, phrases, guards, index }
    }

    fn strong(&mut self, words: &[Spanned<String>]) -> Vec<String> {
        for word in words.iter().filter(|word| word.as_ref().chars().count() < STRONG_CHARS_MIN) {
            self.error(word, format!("a strong word has at least {STRONG_CHARS_MIN} letters"));
        }
        words.iter().map(|word| word.as_ref().to_lowercase()).collect()
    }

    fn phrase(&mut self, raw: &Spanned<String>) -> Option<Phrase> {
        language::read(raw.as_ref(), &self.classes, &mut self.sets).map_err(|message| self.error(raw, message)).ok()
    }

    fn sites(&mut self, raw: &RawPack) -> Sites {
        let mut sites = Sites::new();
        for site in &raw.site {
            for path in site.paths.iter().filter(|path| !path.as_ref().starts_with('/')) {
                self.error(path, "a path begins with `/`");
            }
            for host in &site.hosts {
                match idna::domain_to_ascii(host.as_ref()).ok().filter(|h| psl::domain_str(h).is_some()) {
                    Some(ascii) => sites.entry(ascii).or_default().push(Site {
                        class: site.class.as_ref().clone(),
                        paths: site.paths.iter().map(|p| p.as_ref().to_lowercase()).collect(),
                    }),
                    None => self.error(host, "this is not a host name below a public suffix"),
                }
            }
        }
        sites
    }

    fn signals(&mut self, raw: &RawPack, phrases: &mut Vec<Wanted>) -> Vec<Signal> {
        let ids: Vec<&str> = raw.signal.iter().map(|s| s.id.as_ref().as_str()).collect();
        let mut signals = Vec::new();
        for (index, signal) in raw.signal.iter().enumerate() {
            let id = signal.id.as_ref();
            if !is_name(id) {
                self.error(&signal.id, "the id of a signal is made of lower-case letters, digits and `-`");
            }
            if ids.iter().take(index).any(|other| other == id) {
                self.error(&signal.id, format!("there is another signal `{id}` above"));
            }
            let weight = *signal.weight.as_ref();
            if !weight.is_finite() || weight.abs() > WEIGHT_MAX {
                self.error(&signal.weight, format!("a weight lies between -{WEIGHT_MAX} and {WEIGHT_MAX}"));
            }
            for text in [&signal.fr, &signal.en] {
                if text.as_ref().trim().is_empty() || text.as_ref().contains('\n') {
                    self.error(text, "the explanation of a signal is one line");
                }
            }
            let Some(what) = self.what(signal, raw, index, phrases) else { continue };
            let near = self.indices(&signal.near, &ids, index);
            let beside = self.indices(&signal.beside, &ids, index);
            let yields_to = self.indices(&signal.yields_to, &ids, index);
            let guards = self.guards_of(signal);
            signals.push(Signal {
                id: id.clone(),
                rule: signal.rule,
                weight,
                explanation: Explanation {
                    french: signal.fr.as_ref().as_str().into(),
                    english: signal.en.as_ref().as_str().into(),
                },
                group: signal.group.clone(),
                hands_on: signal.hands_on,
                what,
                guards,
                near,
                beside,
                within: signal.within.unwrap_or(WITHIN_DEFAULT),
                yields_to,
                quotations: signal.quotations,
            });
        }
        signals
    }

    /// The other signals that a signal names.
    fn indices(&mut self, names: &[Spanned<String>], ids: &[&str], own: usize) -> Vec<usize> {
        let mut found = Vec::new();
        for name in names {
            match ids.iter().position(|id| id == name.as_ref()) {
                Some(index) if index != own => found.push(index),
                _ => self.error(name, format!("there is no other signal `{}`", name.as_ref())),
            }
        }
        found
    }

    fn guards_of(&mut self, signal: &RawSignal) -> Vec<usize> {
        let mut found = Vec::new();
        for name in &signal.unless {
            match self.guards.get(name.as_ref()) {
                Some(guard) => found.push(*guard),
                None => self.error(name, format!("there is no guard `{}`", name.as_ref())),
            }
        }
        found
    }

    /// What a signal looks for; an error when it says nothing or two things.
    fn what(&mut self, signal: &RawSignal, raw: &RawPack, index: usize, phrases: &mut Vec<Wanted>) -> Option<What> {
        let mut found = Vec::new();
        if let Some(list) = &signal.phrases {
            phrases.extend(list.iter().filter_map(|p| self.phrase(p)).map(|phrase| Wanted { signal: index, phrase }));
            found.push(What::Phrases);
        }
        if let Some(list) = &signal.mail_phrases {
            found.push(What::Mail(list.iter().filter_map(|p| self.phrase(p)).collect()));
        }
        if let Some(class) = &signal.links {
            if raw.site.iter().all(|site| site.class.as_ref() != class.as_ref()) {
                self.error(class, format!("there is no site of the class `{}`", class.as_ref()));
            }
            found.push(What::Sites(class.as_ref().clone()));
        }
        if let Some(words) = &signal.link_words {
            let others = self.link_words(&signal.unless_link_words);
            found.extend(self.link_words(words).zip(others).map(|(words, others)| What::Words(words, others)));
        } else if let Some(word) = signal.unless_link_words.first() {
            self.error(word, "unless_link_words goes with link_words");
        }
        found.extend(signal.fact.map(What::Fact));
        if found.len() != 1 {
            let message = "a signal has exactly one of phrases, mail_phrases, links, link_words and fact";
            self.error(&signal.id, message);
            return None;
        }
        found.pop()
    }

    fn link_words(&mut self, words: &[Spanned<String>]) -> Option<LinkWords> {
        let mut found = Vec::new();
        for word in words {
            let (letters, end) = match word.as_ref().strip_suffix('*') {
                Some(start) => (start, ""),
                None => (word.as_ref().as_str(), "-"),
            };
            if !is_name(letters) {
                self.error(word, "a word of a link's address is made of lower-case letters, digits and `-`");
            }
            found.push(format!("-{letters}{end}"));
        }
        AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(found).ok().map(LinkWords)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
