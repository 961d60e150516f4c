//! Links and forms as facts: where a link leads, under which registrable domain, what a `mailto:` would write.

use url::Url;

use super::mime::PartId;
use super::text::{Place, View};

/// So many links of a message are looked at; a text for readers has fewer.
pub const LINKS_MAX: usize = 2_000;
/// Links that carry another link (safe-link rewriting, click counters) are followed so deep, without any network.
const WRAPPINGS_MAX: usize = 3;
/// So much of the text of a prefilled mail is looked at.
const PREFILLED_BYTES_MAX: usize = 16_384;
/// A longer `href` leads nowhere a person would go; `data:` has them.
const HREF_BYTES_MAX: usize = 32_768;

/// A link that a reader can follow.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where it leads.
    pub target: Target,
    /// The page whose address its text shows, where it leads to another site.
    pub shown: Option<Page>,
    /// It stands in text that a reply quotes.
    pub quoted: bool,
    /// The index of its [`super::text::LINK_WORD`] in the view it stands in.
    pub word: u32,
    /// Where it stands.
    pub place: Place,
}

/// Where a link leads.
#[derive(Debug, Clone)]
pub enum Target {
    /// A page; the first is the link's own, the others are addresses carried inside it.
    Web(Vec<Page>),
    /// A message to be written.
    Mail(Box<Mailto>),
    /// Something else: `tel:`, `cid:`, a place in the same text.
    Other,
}

/// A web page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The host, lower-case A-labels.
    pub host: String,
    /// The registrable domain of the host (public suffix list); the host itself where it has none.
    pub domain: String,
    /// The path, percent-decoded, lower case, with its leading `/`.
    pub path: String,
}

/// A message that a `mailto:` link would write (RFC 6068).
#[derive(Debug, Clone)]
pub struct Mailto {
    /// To whom, as written.
    pub to: Vec<String>,
    /// The prefilled subject and body, as words; the body begins in the sentence `body_sentence`.
    pub words: View,
    /// Characters of the prefilled body, 0 when there is none.
    pub body_chars: usize,
}

/// A form of an HTML part.
#[derive(Debug, Clone)]
pub struct Form {
    /// Where it is sent; `None` when it says nothing.
    pub action: Option<Target>,
    /// Fields that a person fills in: text, mail address, telephone, check box, selection.
    pub fields: u32,
    /// One of the fields asks for a name or a mail address.
    pub asks_identity: bool,
    /// Where it begins.
    pub place: Place,
}

impl Target {
    /// The pages it leads to; none when it leads elsewhere.
    #[must_use]
    pub fn pages(&self) -> &[Page] {
        match self {
            Self::Web(pages) => pages,
            Self::Mail(_) | Self::Other => &[],
        }
    }

    /// The page whose address a link's text shows, unless that is of a site to which it leads.
    pub(super) fn other_shown(&self, text: &str) -> Option<Page> {
        let shown = text.split_whitespace().find_map(|word| {
            let address = match word.find("http") {
                Some(at) if word.contains("://") => word.get(at..)?.to_owned(),
                _ => format!("https://{}", without_scheme(word)?.1),
            };
            Url::parse(&address).ok().map(|url| page(&url))
        })?;
        self.pages().iter().all(|page| page.domain != shown.domain).then_some(shown)
    }

    /// Reads a link's address. `None` for what is no address at all.
    #[must_use]
    pub fn parse(href: &str) -> Option<Self> {
        if href.len() > HREF_BYTES_MAX {
            return None;
        }
        let href: String =
            href.trim().chars().filter(|c| !c.is_control() && *c != '\u{200b}' && *c != '\u{ad}').collect();
        if href.is_empty() || href.starts_with('#') {
            return Some(Self::Other);
        }
        let url = match Url::parse(&href) {
            Ok(url) => url,
            Err(url::ParseError::RelativeUrlWithoutBase) => {
                Url::parse(&format!("https://{}", href.trim_start_matches('/'))).ok()?
            }
            Err(_) => return None,
        };
        match url.scheme() {
            "http" | "https" => Some(Self::Web(pages(&url))),
            "mailto" => Some(Self::Mail(Box::new(mailto(&url)))),
            _ => Some(Self::Other),
        }
    }
}

/// A host name with a path that stands in a text without `https://`, such as `change.org/p/…` or `www.…`: its byte offset
/// in the chunk, and itself.
pub(super) fn without_scheme(chunk: &str) -> Option<(usize, &str)> {
    let opening: &[char] = &['(', '<', '[', '"', '«', '“', '\'', '’', ':', ',', '*', '_'];
    let closing: &[char] = &[')', '>', ']', '"', '»', '”', '\'', '’', ':', ',', ';', '.', '!', '?', '*', '_', '…'];
    let trimmed = chunk.trim_end().trim_end_matches(closing);
    let inner = trimmed.trim_start_matches(opening);
    let from = trimmed.len() - inner.len();
    let host = inner.split(['/', '?', '#', ':']).next()?;
    // Mail programs make a link of whatever begins so.
    let is_www = host.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
    if !(inner.len() > host.len() || is_www) || !host.contains('.') || host.contains(['@', '(']) {
        return None;
    }
    let ascii = idna::domain_to_ascii(host).ok()?;
    let domain = psl::domain(ascii.as_bytes())?;
    ((is_www || domain.suffix().is_known()) && !ascii.starts_with('.')).then_some((from, inner))
}

fn page(url: &Url) -> Page {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_owned();
    let domain = psl::domain_str(&host).unwrap_or(&host).to_owned();
    Page { domain, host, path: decoded(url.path()).to_lowercase() }
}

/// The page of a URL, and those whose addresses its query carries.
fn pages(url: &Url) -> Vec<Page> {
    let mut found = Vec::new();
    let mut next = Some(url.clone());
    while let Some(url) = next.take() {
        found.push(page(&url));
        if found.len() <= WRAPPINGS_MAX {
            next = url.query_pairs().find_map(|(_, value)| {
                let wrapped = value.starts_with("http://") || value.starts_with("https://");
                wrapped.then(|| Url::parse(&value).ok()).flatten()
            });
        }
    }
    found
}

fn mailto(url: &Url) -> Mailto {
    let mut to: Vec<String> =
        decoded(url.path()).split(',').map(|a| a.trim().to_owned()).filter(|a| !a.is_empty()).collect();
    let (mut subject, mut body) = (String::new(), String::new());
    // RFC 6068: `+` is a plus sign, so the form decoding of query_pairs does not fit.
    for (name, value) in url.query().unwrap_or_default().split('&').filter_map(|field| field.split_once('=')) {
        match name.to_ascii_lowercase().as_str() {
            "to" | "cc" | "bcc" => to.extend(decoded(value).split(',').map(|a| a.trim().to_owned())),
            "subject" => subject = decoded(value),
            "body" => body = decoded(value).chars().take(PREFILLED_BYTES_MAX).collect(),
            _ => {}
        }
    }
    let body_chars = body.trim().chars().count();
    let words = super::text::words_of(&[&subject, &body]);
    Mailto { to, words, body_chars }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Form {
    /// A form that begins here.
    pub(super) fn new(part: PartId, source: u32, action: Option<&str>) -> Self {
        Self {
            action: action.and_then(Target::parse),
            fields: 0,
            asks_identity: false,
            place: Place { part: Some(part), start: source, end: source.saturating_add(1) },
        }
    }
}
