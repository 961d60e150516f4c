//! The way of a message through the gateway without a gateway: for `explain`, which changes nothing and counts nothing.

use std::sync::Arc;

use jiff::Timestamp;

use super::deliberation::{self, Sources};
use super::{Deliberation, InForce, Matter};
use crate::charter::facts::Content;
use crate::charter::verdict::{Decision, Evidence, Verdict};
use crate::charter::{Scope, attachments};
use crate::message::envelope::Envelope;
use crate::message::headers;
use crate::message::mime::{self, Skim, Tree};
use crate::proof::dkim;
use crate::wording::replies::Reply;

/// The reference that stands in banners and replies of a message that was only explained.
const NO_REFERENCE: &str = "00000-00000";

/// What would become of a message.
pub struct Explained {
    matter: Matter,
    envelope: Envelope,
    raw: Vec<u8>,
    /// Refused with the envelope alone.
    pub at_envelope: bool,
    /// The decision.
    pub decision: Decision,
    deliberation: Option<Deliberation>,
}

/// Judges a message as the daemon would; `None` when no rule of any charter concerns it.
pub async fn explain(
    in_force: &Arc<InForce>,
    envelope: &Envelope,
    raw: Vec<u8>,
    now: Timestamp,
    dkim: Option<&dkim::Verifier>,
) -> Option<Explained> {
    let matter = Matter::find(in_force, envelope, || NO_REFERENCE.to_owned(), now)?;
    let sources = Sources { memory: None, dkim, budget: None };
    // Without memory there is nothing that could fail.
    let decision = deliberation::envelope(&matter, envelope, sources).await.unwrap_or_default();
    let (envelope, at_envelope) = (envelope.clone(), decision.verdict().refuses());
    if at_envelope {
        return Some(Explained { matter, envelope, raw, at_envelope, decision, deliberation: None });
    }
    let deliberation = deliberation::content(&matter, &envelope, (&raw, Skim::default()), sources).await.ok()?;
    let decision = deliberation.decision.clone();
    Some(Explained { matter, envelope, raw, at_envelope, decision, deliberation: Some(deliberation) })
}

impl Explained {
    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.decision.verdict()
    }

    /// The SMTP reply, when the message would be refused.
    #[must_use]
    pub fn reply(&self) -> Option<Reply> {
        let reasons =
            self.deliberation.as_ref().map(|deliberation| deliberation.reasons.as_slice()).unwrap_or_default();
        self.verdict().refuses().then(|| self.matter.reply(&self.decision, &self.envelope, NO_REFERENCE, reasons))
    }

    /// The names of the edits that would be made.
    #[must_use]
    pub fn edits(&self) -> Vec<String> {
        let edited = self.deliberation.as_ref().and_then(|deliberation| deliberation.edited.as_ref());
        edited.map(crate::message::edit::Edited::made).unwrap_or_default()
    }

    /// The message as it would be delivered; `None` when it would be refused.
    #[must_use]
    pub fn result(&self) -> Option<Vec<u8>> {
        let edited = self.deliberation.as_ref()?.edited.as_ref()?;
        let (_, body_at) = headers::Header::split(&self.raw);
        let mut message = headers::apply(self.raw.get(..body_at)?, &edited.header_edits);
        message.extend_from_slice(edited.body.as_deref().or_else(|| self.raw.get(body_at..))?);
        Some(message)
    }

    /// The MIME structure as it was judged.
    #[must_use]
    pub fn tree(&self) -> Tree {
        mime::parse(&self.raw, &self.matter.in_force.mime_limits)
    }

    /// The message as it came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}

/// A signal of a text rule, with the position of its evidence.
pub struct SignalShown {
    /// The rule it counts for.
    pub rule: &'static str,
    /// Its id.
    pub id: String,
    /// What it counts for.
    pub weight: f64,
    /// The part it was found in, by its place in the tree (0 is the message itself); `None` for the subject.
    pub part: Option<u32>,
    /// First character, and first character after it, in the decoded text of the part.
    pub characters: (u32, u32),
    /// What it means.
    pub explanation: String,
}

impl Explained {
    /// The MIME tree with the class, the size and the fate of each part.
    #[must_use]
    pub fn drawing(&self) -> String {
        let tree = self.tree();
        let (header, _) = headers::Header::split(&self.raw);
        let content = Content::new(&self.raw, &header, &tree, &self.matter.in_force.config.petition);
        let place = self.matter.places.first();
        let inspection = place.map(|place| place.charter.inspection).unwrap_or_default();
        let found = content.attachments(inspection);
        let rules = place.and_then(super::matter::Place::scope).map(Scope::rules);
        let rule = rules.and_then(|rules| rules.attachments.as_ref());
        let encrypted =
            rules.and_then(|rules| rules.structure.as_ref()).is_some_and(|rule| rule.settings.encrypted_allowed);
        let fates = rule.map(|rule| attachments::fates(&rule.settings, encrypted, found)).unwrap_or_default();
        mime::draw(&tree, found, &|index, _| fates.get(index).map_or("no rule", |fate| fate.as_str()).to_owned())
    }

    /// The signals of petitions and chain letters, where a charter asks for them and the text was looked at.
    #[must_use]
    pub fn signals(&self) -> Vec<SignalShown> {
        let asked = self.decision.rulings.iter().flat_map(|ruling| &ruling.findings);
        if !asked.into_iter().any(|finding| matches!(finding.evidence, Evidence::Signals { .. })) {
            return Vec::new();
        }
        let tree = self.tree();
        let (header, _) = headers::Header::split(&self.raw);
        let content = Content::new(&self.raw, &header, &tree, &self.matter.in_force.config.petition);
        let places = self.matter.places.iter().filter_map(|place| Some((place, place.scope()?)));
        places
            .flat_map(|(place, scope)| {
                let report = content.report(scope.rules());
                report.signals.into_iter().map(|hit| SignalShown {
                    rule: hit.rule.as_str(),
                    explanation: hit.help(place.charter.language).to_owned(),
                    weight: hit.weight,
                    part: hit.part.map(|part| part.0),
                    characters: (hit.start, hit.end),
                    id: hit.id,
                })
            })
            .collect()
    }
}
