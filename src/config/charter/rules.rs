//! From the raw rules of a charter file to the valid ones.

use toml::Spanned;

use super::raw::{
    RawAttachments, RawBanner, RawCopies, RawDisclaimer, RawIdentity, RawListHeaders, RawPetition, RawPlain, RawQuota,
    RawReceipts, RawRecipients, RawReplyTo, RawRule, RawRules, RawSenderRule, RawSize, RawSizeLimit, RawStructure,
    RawSubject, RawTracking, TrackingAction,
};
use crate::charter::rules::{
    AttachmentsRule, BannerRule, CopiesRule, DisclaimerRule, IdentityRule, ListHeadersRule, PetitionRule, QuotaRule,
    ReceiptsRule, RecipientsRule, ReplyToRule, Rule, RuleName, Rules, SenderRule, SizeLimit, SizeRule, StructureRule,
    SubjectRule, TrackingRule,
};
use crate::charter::{Clause, Mode};
use crate::config::codes::Code;
use crate::config::reader::{OneOrMany, Reader, Switch, enumerate};
use crate::message::address::Address;

/// The fields that a banner fills in.
const BANNER_FIELDS: &[&str] = &["list", "label", "sender", "unsubscribe", "contest", "help", "reference"];
/// The fields that a subject tag fills in.
const TAG_FIELDS: &[&str] = &["label", "sender"];
/// The fields that a list header target fills in.
const TARGET_FIELDS: &[&str] = &["list"];
/// Images that a text shows pass up to this size when the charter does not say otherwise: none does.
const INLINE_IMAGE_BYTES_DEFAULT: u64 = 0;

/// The rules of one `[rules]` table, and those it switches off.
#[derive(Debug, Default)]
pub struct Built {
    rules: Rules,
    off: Vec<RuleName>,
}

impl Built {
    /// These rules where there are any, those of `base` elsewhere.
    pub fn over(self, base: &Rules) -> Rules {
        let Self { rules: own, off } = self;
        let kept = |name| !off.contains(&name);
        macro_rules! pick {
            ($field:ident, $name:ident) => {
                own.$field.or_else(|| base.$field.clone().filter(|_| kept(RuleName::$name)))
            };
        }
        Rules {
            sender: pick!(sender, Sender),
            identity: pick!(identity, Identity),
            reply: pick!(reply, Reply),
            recipients: pick!(recipients, Recipients),
            size: pick!(size, Size),
            quotas: match (own.quotas.is_empty(), kept(RuleName::Quota)) {
                (false, _) => own.quotas,
                (true, true) => base.quotas.clone(),
                (true, false) => Vec::new(),
            },
            structure: pick!(structure, Structure),
            attachments: pick!(attachments, Attachments),
            petition: pick!(petition, Petition),
            chain_letter: pick!(chain_letter, ChainLetter),
            copies: pick!(copies, Copies),
            tracking: pick!(tracking, Tracking),
            receipts: pick!(receipts, Receipts),
            subject: pick!(subject, Subject),
            list_headers: pick!(list_headers, ListHeaders),
            reply_to: pick!(reply_to, ReplyTo),
            return_path: pick!(return_path, ReturnPath),
            banner: pick!(banner, Banner),
            disclaimer: pick!(disclaimer, Disclaimer),
        }
    }
}

/// Builds rules, checking each against what it needs.
pub struct RuleBuilder<'b, 'r> {
    /// Where problems go.
    pub reader: &'b mut Reader<'r>,
    /// The mode of the charter.
    pub mode: Mode,
    /// The clauses of the charter; empty when it lists none.
    pub clauses: &'b [Clause],
    /// The petition signals that exist, by id; `None` when the packs are not known here.
    pub signals: Option<&'b [String]>,
}

impl RuleBuilder<'_, '_> {
    /// The rules of one table.
    pub fn build(&mut self, raw: &RawRules) -> Built {
        let mut off = Vec::new();
        let rules = Rules {
            sender: self.one(raw.sender.as_ref(), RuleName::Sender, &mut off, Self::sender),
            identity: self.one(raw.identity.as_ref(), RuleName::Identity, &mut off, Self::identity),
            reply: self.one(raw.reply.as_ref(), RuleName::Reply, &mut off, Self::plain),
            recipients: self.one(raw.recipients.as_ref(), RuleName::Recipients, &mut off, Self::recipients),
            size: self.one(raw.size.as_ref(), RuleName::Size, &mut off, Self::size),
            quotas: self.quotas(raw.quota.as_ref(), &mut off),
            structure: self.one(raw.structure.as_ref(), RuleName::Structure, &mut off, Self::structure),
            attachments: self.one(raw.attachments.as_ref(), RuleName::Attachments, &mut off, Self::attachments),
            petition: self.one(raw.petition.as_ref(), RuleName::Petition, &mut off, Self::petition),
            chain_letter: self.one(raw.chain_letter.as_ref(), RuleName::ChainLetter, &mut off, Self::petition),
            copies: self.one(raw.copies.as_ref(), RuleName::Copies, &mut off, Self::copies),
            tracking: self.one(raw.tracking.as_ref(), RuleName::Tracking, &mut off, Self::tracking),
            receipts: self.one(raw.receipts.as_ref(), RuleName::Receipts, &mut off, Self::receipts),
            subject: self.one(raw.subject.as_ref(), RuleName::Subject, &mut off, Self::subject),
            list_headers: self.one(raw.list_headers.as_ref(), RuleName::ListHeaders, &mut off, Self::list_headers),
            reply_to: self.one(raw.reply_to.as_ref(), RuleName::ReplyTo, &mut off, Self::reply_to),
            return_path: self.one(raw.return_path.as_ref(), RuleName::ReturnPath, &mut off, Self::plain),
            banner: self.one(raw.banner.as_ref(), RuleName::Banner, &mut off, Self::banner),
            disclaimer: self.one(raw.disclaimer.as_ref(), RuleName::Disclaimer, &mut off, Self::disclaimer),
        };
        Built { rules, off }
    }

    /// The clause, when the charter has it.
    pub fn clause(&mut self, clause: Option<&Spanned<Clause>>) -> Option<Clause> {
        let clause = clause?;
        if !self.clauses.is_empty() && !self.clauses.contains(clause.get_ref()) {
            let message = format!("the charter has no clause `{}`", clause.get_ref().0);
            let known: Vec<_> = self.clauses.iter().map(|c| c.0.as_str()).collect();
            let label = match crate::config::reader::nearest(&clause.get_ref().0, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "not in the `[[clause]]` table".to_owned(),
            };
            self.reader.problem(Code::UnknownClause, clause.span(), message, label);
        }
        Some(clause.get_ref().clone())
    }

    /// The mode in force where a charter and one of its rules each may set one.
    pub fn mode(&mut self, own: Option<&Spanned<Mode>>) -> Mode {
        match (self.mode, own) {
            (Mode::Enforce, own) => own.map_or(Mode::Enforce, |own| *own.get_ref()),
            (Mode::Monitor, own) => {
                // Whoever sets a charter to monitor must be able to rely on nothing being touched.
                if let Some(own) = own.filter(|own| *own.get_ref() == Mode::Enforce) {
                    let message = "`mode = \"enforce\"` has no effect in a charter that is monitored";
                    self.reader.problem(Code::ModeWithoutEffect, own.span(), message, "the rule is monitored too");
                }
                Mode::Monitor
            }
        }
    }

    fn one<R: RawRule, S>(
        &mut self,
        raw: Option<&Switch<R>>,
        name: RuleName,
        off: &mut Vec<RuleName>,
        settings: impl FnOnce(&mut Self, &R) -> Option<S>,
    ) -> Option<Rule<S>> {
        match raw? {
            Switch::Off => {
                off.push(name);
                None
            }
            Switch::On(raw) => self.rule(raw, settings),
        }
    }

    fn rule<R: RawRule, S>(&mut self, raw: &R, settings: impl FnOnce(&mut Self, &R) -> Option<S>) -> Option<Rule<S>> {
        let head = raw.head();
        let clause = self.clause(head.clause);
        let mode = self.mode(head.mode);
        let settings = settings(self, raw);
        let purpose = head.purpose.map(|p| p.get_ref().0.clone());
        Some(Rule { clause: clause?, purpose, mode, settings: settings? })
    }

    fn quotas(&mut self, raw: Option<&Switch<OneOrMany<RawQuota>>>, off: &mut Vec<RuleName>) -> Vec<Rule<QuotaRule>> {
        match raw {
            None => Vec::new(),
            Some(Switch::Off) => {
                off.push(RuleName::Quota);
                Vec::new()
            }
            Some(Switch::On(OneOrMany(quotas))) => {
                quotas.iter().filter_map(|quota| self.rule(quota, Self::quota)).collect()
            }
        }
    }

    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "one of the settings functions, which share a shape"
    )]
    fn plain(&mut self, _: &RawPlain) -> Option<()> {
        Some(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "one of the settings functions, which share a shape")]
    fn sender(&mut self, raw: &RawSenderRule) -> Option<SenderRule> {
        let adherence_clause = self.clause(raw.adherence_clause.as_ref());
        Some(SenderRule { adherence: *raw.adherence.get_ref(), adherence_clause })
    }

    fn identity(&mut self, raw: &RawIdentity) -> Option<IdentityRule> {
        let rule = IdentityRule {
            action: value(raw.action.as_ref()),
            envelope: *raw.envelope.get_ref(),
            login: *raw.login.get_ref(),
        };
        if !rule.envelope && !rule.login {
            let message = "`identity` compares nothing";
            self.reader.problem(Code::EmptyRule, raw.span.clone(), message, "set `envelope` or `login`");
            return None;
        }
        Some(rule)
    }

    fn recipients(&mut self, raw: &RawRecipients) -> Option<RecipientsRule> {
        let per_span = raw
            .per_span
            .as_ref()
            .and_then(|s| Some((u64::from(s.recipients.as_ref()?.get_ref().0), *s.per.as_ref()?.get_ref())));
        Some(RecipientsRule {
            per_message_max: raw.per_message.as_ref().map(|count| count.get_ref().0),
            per_span,
            hidden: *raw.hidden.get_ref(),
        })
    }

    fn size(&mut self, raw: &RawSize) -> Option<SizeRule> {
        let mut limits: Vec<_> = raw.limits.iter().filter_map(size_limit).collect();
        if let Some(max) = &raw.max {
            limits.push(SizeLimit { bytes_max: max.get_ref().0, direction: value(raw.direction.as_ref()) });
        } else if let Some(direction) = &raw.direction {
            let message = "`direction` belongs to `max`, which is not here";
            self.reader.problem(Code::Contradiction, direction.span(), message, "applies to nothing");
        } else if raw.limits.is_empty() {
            self.reader.problem(Code::EmptyRule, raw.span.clone(), "`size` limits nothing", "set `max` or `limits`");
            return None;
        }
        Some(SizeRule { limits, advice: raw.advice.as_ref().map(|a| a.get_ref().0.clone()) })
    }

    #[expect(clippy::unused_self, reason = "one of the settings functions, which share a shape")]
    fn quota(&mut self, raw: &RawQuota) -> Option<QuotaRule> {
        Some(QuotaRule {
            messages_max: raw.messages.as_ref()?.get_ref().0,
            per: *raw.per.as_ref()?.get_ref(),
            of: value(raw.of.as_ref()),
            over: value(raw.over.as_ref()),
        })
    }

    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "one of the settings functions, which share a shape"
    )]
    fn structure(&mut self, raw: &RawStructure) -> Option<StructureRule> {
        Some(StructureRule { ambiguous: value(raw.ambiguous.as_ref()), encrypted_allowed: *raw.encrypted.get_ref() })
    }

    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "one of the settings functions, which share a shape"
    )]
    fn attachments(&mut self, raw: &RawAttachments) -> Option<AttachmentsRule> {
        let classes = raw.classes.iter().flat_map(|free| &free.0);
        Some(AttachmentsRule {
            action: value(raw.action.as_ref()),
            classes: classes.map(|(name, action)| (name.get_ref().clone(), *action.get_ref())).collect(),
            inline_image_bytes_max: raw.inline_images.as_ref().map_or(INLINE_IMAGE_BYTES_DEFAULT, |b| b.get_ref().0),
            signed: value(raw.signed.as_ref()),
        })
    }

    fn petition(&mut self, raw: &RawPetition) -> Option<PetitionRule> {
        let threshold = raw.threshold.get_ref().0;
        if threshold <= 0.0 {
            let message = "the threshold must be greater than 0";
            self.reader.problem(Code::OutOfRange, raw.threshold.span(), message, "every message would reach it");
            return None;
        }
        let weights: Vec<_> = raw.weights.iter().flat_map(|free| &free.0).collect();
        if let Some(signals) = self.signals {
            let silenced = raw.silenced.iter().map(|s| (s.get_ref().0.as_str(), s.span()));
            let weighed = weights.iter().map(|(name, _)| (name.get_ref().as_str(), name.span()));
            for (name, span) in silenced.chain(weighed) {
                if !signals.iter().any(|s| s == name) {
                    let message = format!("no petition pack has a signal `{name}`");
                    self.reader.problem(Code::UnknownSignal, span, message, "not in any pack");
                }
            }
        }
        Some(PetitionRule {
            action: value(raw.action.as_ref()),
            threshold,
            silenced: raw.silenced.iter().map(|s| s.get_ref().0.clone()).collect(),
            weights: weights.iter().map(|(name, weight)| (name.get_ref().clone(), weight.get_ref().0)).collect(),
        })
    }

    #[expect(clippy::unused_self, reason = "one of the settings functions, which share a shape")]
    fn copies(&mut self, raw: &RawCopies) -> Option<CopiesRule> {
        Some(CopiesRule {
            action: value(raw.action.as_ref()),
            messages_max: raw.messages.as_ref()?.get_ref().0,
            within_seconds: raw.within.as_ref()?.get_ref().0.as_secs(),
        })
    }

    #[expect(clippy::unused_self, reason = "one of the settings functions, which share a shape")]
    fn tracking(&mut self, raw: &RawTracking) -> Option<TrackingRule> {
        Some(TrackingRule { reject: *raw.action.as_ref()?.get_ref() == TrackingAction::Reject })
    }

    #[expect(clippy::unused_self, reason = "one of the settings functions, which share a shape")]
    fn receipts(&mut self, raw: &RawReceipts) -> Option<ReceiptsRule> {
        Some(*raw.action.as_ref()?.get_ref())
    }

    fn subject(&mut self, raw: &RawSubject) -> Option<SubjectRule> {
        let tag = raw.tag.as_ref()?;
        self.fields(&tag.get_ref().0, tag.span(), TAG_FIELDS);
        Some(SubjectRule { tag: tag.get_ref().0.clone() })
    }

    fn list_headers(&mut self, raw: &RawListHeaders) -> Option<ListHeadersRule> {
        let unsubscribe = raw.unsubscribe.iter().flat_map(|many| &many.0);
        for target in unsubscribe.clone().chain(&raw.help).chain(&raw.owner) {
            self.fields(&target.get_ref().0, target.span(), TARGET_FIELDS);
        }
        let unsubscribe: Vec<_> = unsubscribe.map(|target| target.get_ref().0.clone()).collect();
        let one_click = *raw.one_click.get_ref();
        if one_click && !unsubscribe.iter().any(|target| target.starts_with("https://")) {
            let message = "one-click unsubscription needs an `https:` target";
            let label = "RFC 8058 section 3.1 knows no other";
            self.reader.problem(Code::OneClickWithoutHttps, raw.one_click.span(), message, label);
            return None;
        }
        Some(ListHeadersRule {
            unsubscribe,
            one_click,
            help: raw.help.as_ref().map(|t| t.get_ref().0.clone()),
            owner: raw.owner.as_ref().map(|t| t.get_ref().0.clone()),
            silence_automatic_answers: *raw.silence_automatic_answers.get_ref(),
        })
    }

    fn reply_to(&mut self, raw: &RawReplyTo) -> Option<ReplyToRule> {
        let to = raw.to.as_ref()?;
        if to.get_ref().0 == "sender" {
            return Some(ReplyToRule::Sender);
        }
        match Address::parse(&to.get_ref().0) {
            Ok(address) => Some(ReplyToRule::Mailbox(address)),
            Err(error) => {
                let message = "`to` must be `sender` or a mail address";
                self.reader.problem(Code::BadAddress, to.span(), message, error.to_string());
                None
            }
        }
    }

    fn banner(&mut self, raw: &RawBanner) -> Option<BannerRule> {
        for text in raw.header.iter().chain(&raw.footer) {
            self.fields(&text.get_ref().0, text.span(), BANNER_FIELDS);
        }
        if raw.header.is_none() && raw.footer.is_none() {
            let message = "`banner` has no words";
            self.reader.problem(Code::EmptyRule, raw.span.clone(), message, "set `header` or `footer`");
            return None;
        }
        Some(BannerRule {
            header: raw.header.as_ref().map(|t| t.get_ref().0.clone()),
            footer: raw.footer.as_ref().map(|t| t.get_ref().0.clone()),
            signed: value(raw.signed.as_ref()),
        })
    }

    #[expect(clippy::unused_self, reason = "one of the settings functions, which share a shape")]
    fn disclaimer(&mut self, raw: &RawDisclaimer) -> Option<DisclaimerRule> {
        Some(DisclaimerRule {
            text: raw.text.as_ref()?.get_ref().0.clone(),
            official_header: raw.official_header.as_ref().map(|l| l.get_ref().0.clone()),
            official_subject_tag: raw.official_subject_tag.as_ref().map(|l| l.get_ref().0.clone()),
            signed: value(raw.signed.as_ref()),
        })
    }

    /// Complains of fields in braces that nothing fills in: they would reach the readers as they stand.
    fn fields(&mut self, text: &str, span: std::ops::Range<usize>, known: &[&str]) {
        let unknown = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
        for name in unknown.filter(|name| !known.contains(name)) {
            let message = format!("nothing fills in the field `{{{name}}}`");
            self.reader.problem(Code::UnknownField, span.clone(), message, format!("known here: {}", enumerate(known)));
        }
    }
}

/// A raw size limit, when it is complete.
pub fn size_limit(raw: &RawSizeLimit) -> Option<SizeLimit> {
    let max = raw.max.as_ref()?;
    Some(SizeLimit { bytes_max: max.get_ref().0, direction: value(raw.direction.as_ref()) })
}

/// The value, or the type's own default.
pub fn value<T: Copy + Default>(raw: Option<&Spanned<T>>) -> T {
    raw.map(|v| *v.get_ref()).unwrap_or_default()
}
