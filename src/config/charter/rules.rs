//! From the raw rules of a charter file to the valid ones.

use toml::Spanned;

use super::raw::rules::{
    RawAttachments, RawBanner, RawCopies, RawDisclaimer, RawFlood, RawIdentity, RawListHeaders, RawPetition, RawPlain,
    RawQuota, RawReceipts, RawRecipients, RawReplyTo, RawRule, RawRules, RawSenderRule, RawSize, RawSizeLimit,
    RawStructure, RawSubject, RawTracking, TrackingAction,
};
use crate::charter::rules::{
    AttachmentsRule, BannerRule, CopiesRule, DisclaimerRule, FloodRule, IdentityRule, ListHeadersRule, PetitionRule,
    QuotaRule, ReceiptsRule, RecipientsRule, ReplyToRule, Rule, RuleName, Rules, SenderRule, SizeLimit, SizeRule,
    StructureRule, SubjectRule, TrackingRule,
};
use crate::charter::{Clause, Mode};
use crate::config::codes::Code;
use crate::config::reader::{OneOrMany, Reader, Switch, did_you_mean, enumerate};
use crate::message::address::Address;
use crate::message::attachments::Class;

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
            flood: pick!(flood, Stop),
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
            sender: self.one(raw.sender.as_ref(), RuleName::Sender, &mut off),
            identity: self.one(raw.identity.as_ref(), RuleName::Identity, &mut off),
            reply: self.one(raw.reply.as_ref(), RuleName::Reply, &mut off),
            flood: self.one(raw.flood.as_ref(), RuleName::Stop, &mut off),
            recipients: self.one(raw.recipients.as_ref(), RuleName::Recipients, &mut off),
            size: self.one(raw.size.as_ref(), RuleName::Size, &mut off),
            quotas: self.quotas(raw.quota.as_ref(), &mut off),
            structure: self.one(raw.structure.as_ref(), RuleName::Structure, &mut off),
            attachments: self.one(raw.attachments.as_ref(), RuleName::Attachments, &mut off),
            petition: self.one(raw.petition.as_ref(), RuleName::Petition, &mut off),
            chain_letter: self.one(raw.chain_letter.as_ref(), RuleName::ChainLetter, &mut off),
            copies: self.one(raw.copies.as_ref(), RuleName::Copies, &mut off),
            tracking: self.one(raw.tracking.as_ref(), RuleName::Tracking, &mut off),
            receipts: self.one(raw.receipts.as_ref(), RuleName::Receipts, &mut off),
            subject: self.one(raw.subject.as_ref(), RuleName::Subject, &mut off),
            list_headers: self.one(raw.list_headers.as_ref(), RuleName::ListHeaders, &mut off),
            reply_to: self.one(raw.reply_to.as_ref(), RuleName::ReplyTo, &mut off),
            return_path: self.one(raw.return_path.as_ref(), RuleName::ReturnPath, &mut off),
            banner: self.one(raw.banner.as_ref(), RuleName::Banner, &mut off),
            disclaimer: self.one(raw.disclaimer.as_ref(), RuleName::Disclaimer, &mut off),
        };
        Built { rules, off }
    }

    /// The clause, when the charter has it.
    pub fn clause(&mut self, clause: Option<&Spanned<Clause>>) -> Option<Clause> {
        let clause = clause?;
        if !self.clauses.is_empty() && !self.clauses.contains(clause.get_ref()) {
            let message = format!("the charter has no clause `{}`", clause.get_ref().0);
            let known: Vec<_> = self.clauses.iter().map(|c| c.0.as_str()).collect();
            let label = did_you_mean(&clause.get_ref().0, &known, "not in the `[[clause]]` table");
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

    fn one<R: Lower>(
        &mut self,
        raw: Option<&Switch<R>>,
        name: RuleName,
        off: &mut Vec<RuleName>,
    ) -> Option<Rule<R::Settings>> {
        match raw? {
            Switch::Off => {
                off.push(name);
                None
            }
            Switch::On(raw) => self.rule(raw),
        }
    }

    fn rule<R: Lower>(&mut self, raw: &R) -> Option<Rule<R::Settings>> {
        let head = raw.head();
        let clause = self.clause(head.clause);
        let mode = self.mode(head.mode);
        let settings = raw.lower(self);
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
            Some(Switch::On(OneOrMany(quotas))) => quotas.iter().filter_map(|quota| self.rule(quota)).collect(),
        }
    }

    /// Complains of fields in braces that nothing fills in: they would reach the readers as they stand.
    fn fields(&mut self, text: &str, span: std::ops::Range<usize>, known: &[&str]) {
        let unknown = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
        for name in unknown.filter(|name| !known.contains(name)) {
            let message = format!("nothing fills in the field `{{{name}}}`");
            self.reader.problem(Code::UnknownField, span.clone(), message, format!("known here: {}", enumerate(known)));
        }
        if text.rsplit('{').next().is_some_and(|rest| rest.len() < text.len() && !rest.contains('}')) {
            let message = "a field begins and does not end".to_owned();
            self.reader.problem(Code::UnknownField, span, message, "`{` without `}`");
        }
    }
}

/// A raw rule that has a valid form.
trait Lower: RawRule {
    /// Its valid settings.
    type Settings;

    /// The valid settings; `None` when they cannot be built, which has been reported.
    fn lower(&self, builder: &mut RuleBuilder<'_, '_>) -> Option<Self::Settings>;
}

impl Lower for RawPlain {
    type Settings = ();

    fn lower(&self, _: &mut RuleBuilder<'_, '_>) -> Option<()> {
        Some(())
    }
}

impl Lower for RawSenderRule {
    type Settings = SenderRule;

    fn lower(&self, builder: &mut RuleBuilder<'_, '_>) -> Option<SenderRule> {
        let adherence_clause = builder.clause(self.adherence_clause.as_ref());
        Some(SenderRule { adherence: *self.adherence.get_ref(), adherence_clause })
    }
}

impl Lower for RawIdentity {
    type Settings = IdentityRule;

    fn lower(&self, builder: &mut RuleBuilder<'_, '_>) -> Option<IdentityRule> {
        let rule = IdentityRule {
            action: value(self.action.as_ref()),
            envelope: *self.envelope.get_ref(),
            login: *self.login.get_ref(),
        };
        if !rule.envelope && !rule.login {
            let message = "`identity` compares nothing";
            builder.reader.problem(Code::EmptyRule, self.span.clone(), message, "set `envelope` or `login`");
            return None;
        }
        Some(rule)
    }
}

impl Lower for RawRecipients {
    type Settings = RecipientsRule;

    fn lower(&self, _: &mut RuleBuilder<'_, '_>) -> Option<RecipientsRule> {
        let per_span = self
            .per_span
            .as_ref()
            .and_then(|s| Some((u64::from(s.recipients.as_ref()?.get_ref().0), *s.per.as_ref()?.get_ref())));
        Some(RecipientsRule {
            per_message_max: self.per_message.as_ref().map(|count| count.get_ref().0),
            per_span,
            hidden: *self.hidden.get_ref(),
        })
    }
}

impl Lower for RawSize {
    type Settings = SizeRule;

    fn lower(&self, builder: &mut RuleBuilder<'_, '_>) -> Option<SizeRule> {
        let mut limits: Vec<_> = self.limits.iter().filter_map(size_limit).collect();
        if let Some(max) = &self.max {
            limits.push(SizeLimit { bytes_max: max.get_ref().0, direction: value(self.direction.as_ref()) });
        } else if let Some(direction) = &self.direction {
            let message = "`direction` belongs to `max`, which is not here";
            builder.reader.problem(Code::Contradiction, direction.span(), message, "applies to nothing");
        }
        Some(SizeRule { limits, advice: self.advice.as_ref().map(|a| a.get_ref().0.clone()) })
    }
}

impl Lower for RawQuota {
    type Settings = QuotaRule;

    fn lower(&self, _: &mut RuleBuilder<'_, '_>) -> Option<QuotaRule> {
        Some(QuotaRule {
            messages_max: self.messages.as_ref()?.get_ref().0,
            per: *self.per.as_ref()?.get_ref(),
            of: value(self.of.as_ref()),
            over: value(self.over.as_ref()),
        })
    }
}

impl Lower for RawStructure {
    type Settings = StructureRule;

    fn lower(&self, _: &mut RuleBuilder<'_, '_>) -> Option<StructureRule> {
        Some(StructureRule { ambiguous: value(self.ambiguous.as_ref()), encrypted_allowed: *self.encrypted.get_ref() })
    }
}

impl Lower for RawAttachments {
    type Settings = AttachmentsRule;

    fn lower(&self, builder: &mut RuleBuilder<'_, '_>) -> Option<AttachmentsRule> {
        let classes: Vec<_> = self.classes.iter().flat_map(|free| &free.0).collect();
        let known: Vec<_> = Class::ALL.iter().map(|class| class.as_str()).collect();
        for (name, _) in classes.iter().filter(|(name, _)| !known.contains(&name.get_ref().as_str())) {
            let label = did_you_mean(name.get_ref(), &known, &format!("known: {}", enumerate(&known)));
            let message = format!("no class of attachments is called `{}`", name.get_ref());
            builder.reader.problem(Code::UnknownClass, name.span(), message, label);
        }
        Some(AttachmentsRule {
            action: value(self.action.as_ref()),
            classes: classes.iter().map(|(name, action)| (name.get_ref().clone(), *action.get_ref())).collect(),
            inline_image_bytes_max: self.inline_images.as_ref().map_or(INLINE_IMAGE_BYTES_DEFAULT, |b| b.get_ref().0),
            signed: value(self.signed.as_ref()),
        })
    }
}

impl Lower for RawPetition {
    type Settings = PetitionRule;

    fn lower(&self, builder: &mut RuleBuilder<'_, '_>) -> Option<PetitionRule> {
        let threshold = self.threshold.get_ref().0;
        if threshold <= 0.0 {
            let message = "the threshold must be greater than 0";
            builder.reader.problem(Code::OutOfRange, self.threshold.span(), message, "every message would reach it");
            return None;
        }
        let weights: Vec<_> = self.weights.iter().flat_map(|free| &free.0).collect();
        if let Some(signals) = builder.signals {
            let silenced = self.silenced.iter().map(|s| (s.get_ref().0.as_str(), s.span()));
            let weighed = weights.iter().map(|(name, _)| (name.get_ref().as_str(), name.span()));
            for (name, span) in silenced.chain(weighed) {
                if !signals.iter().any(|s| s == name) {
                    let message = format!("no petition pack has a signal `{name}`");
                    builder.reader.problem(Code::UnknownSignal, span, message, "not in any pack");
                }
            }
        }
        Some(PetitionRule {
            action: value(self.action.as_ref()),
            threshold,
            silenced: self.silenced.iter().map(|s| s.get_ref().0.clone()).collect(),
            weights: weights.iter().map(|(name, weight)| (name.get_ref().clone(), weight.get_ref().0)).collect(),
        })
    }
}

impl Lower for RawCopies {
    type Settings = CopiesRule;

    fn lower(&self, _: &mut RuleBuilder<'_, '_>) -> Option<CopiesRule> {
        Some(CopiesRule {
            action: value(self.action.as_ref()),
            messages_max: self.messages.as_ref()?.get_ref().0,
            within_seconds: self.within.as_ref()?.get_ref().0.as_secs(),
        })
    }
}

impl Lower for RawFlood {
    type Settings = FloodRule;

    fn lower(&self, _: &mut RuleBuilder<'_, '_>) -> Option<FloodRule> {
        Some(FloodRule {
            messages_max: self.messages.as_ref()?.get_ref().0,
            within_seconds: self.within.as_ref()?.get_ref().0.as_secs(),
            of: value(self.of.as_ref()),
        })
    }
}

impl Lower for RawTracking {
    type Settings = TrackingRule;

    fn lower(&self, _: &mut RuleBuilder<'_, '_>) -> Option<TrackingRule> {
        Some(TrackingRule { reject: *self.action.as_ref()?.get_ref() == TrackingAction::Reject })
    }
}

impl Lower for RawReceipts {
    type Settings = ReceiptsRule;

    fn lower(&self, _: &mut RuleBuilder<'_, '_>) -> Option<ReceiptsRule> {
        Some(*self.action.as_ref()?.get_ref())
    }
}

impl Lower for RawSubject {
    type Settings = SubjectRule;

    fn lower(&self, builder: &mut RuleBuilder<'_, '_>) -> Option<SubjectRule> {
        let tag = self.tag.as_ref()?;
        builder.fields(&tag.get_ref().0, tag.span(), TAG_FIELDS);
        Some(SubjectRule { tag: tag.get_ref().0.clone() })
    }
}

impl Lower for RawListHeaders {
    type Settings = ListHeadersRule;

    fn lower(&self, builder: &mut RuleBuilder<'_, '_>) -> Option<ListHeadersRule> {
        let unsubscribe = self.unsubscribe.iter().flat_map(|many| &many.0);
        for target in unsubscribe.clone().chain(&self.help).chain(&self.owner) {
            builder.fields(&target.get_ref().0, target.span(), TARGET_FIELDS);
        }
        let unsubscribe: Vec<_> = unsubscribe.map(|target| target.get_ref().0.clone()).collect();
        let one_click = *self.one_click.get_ref();
        if one_click && !unsubscribe.iter().any(|target| target.starts_with("https://")) {
            let message = "one-click unsubscription needs an `https:` target";
            let label = "RFC 8058 section 3.1 knows no other";
            builder.reader.problem(Code::OneClickWithoutHttps, self.one_click.span(), message, label);
            return None;
        }
        Some(ListHeadersRule {
            unsubscribe,
            one_click,
            help: self.help.as_ref().map(|t| t.get_ref().0.clone()),
            owner: self.owner.as_ref().map(|t| t.get_ref().0.clone()),
            silence_automatic_answers: *self.silence_automatic_answers.get_ref(),
        })
    }
}

impl Lower for RawReplyTo {
    type Settings = ReplyToRule;

    fn lower(&self, builder: &mut RuleBuilder<'_, '_>) -> Option<ReplyToRule> {
        let to = self.to.as_ref()?;
        if to.get_ref().0 == "sender" {
            return Some(ReplyToRule::Sender);
        }
        match Address::parse(&to.get_ref().0) {
            Ok(address) => Some(ReplyToRule::Mailbox(address)),
            Err(error) => {
                let message = "`to` must be `sender` or a mail address";
                builder.reader.problem(Code::BadAddress, to.span(), message, error.to_string());
                None
            }
        }
    }
}

impl Lower for RawBanner {
    type Settings = BannerRule;

    fn lower(&self, builder: &mut RuleBuilder<'_, '_>) -> Option<BannerRule> {
        for text in self.header.iter().chain(&self.footer) {
            builder.fields(&text.get_ref().0, text.span(), BANNER_FIELDS);
        }
        if self.header.is_none() && self.footer.is_none() {
            let message = "`banner` has no words";
            builder.reader.problem(Code::EmptyRule, self.span.clone(), message, "set `header` or `footer`");
            return None;
        }
        Some(BannerRule {
            header: self.header.as_ref().map(|t| t.get_ref().0.clone()),
            footer: self.footer.as_ref().map(|t| t.get_ref().0.clone()),
            signed: value(self.signed.as_ref()),
        })
    }
}

impl Lower for RawDisclaimer {
    type Settings = DisclaimerRule;

    fn lower(&self, _: &mut RuleBuilder<'_, '_>) -> Option<DisclaimerRule> {
        Some(DisclaimerRule {
            text: self.text.as_ref()?.get_ref().0.clone(),
            official_header: self.official_header.as_ref().map(|l| l.get_ref().0.clone()),
            official_subject_tag: self.official_subject_tag.as_ref().map(|l| l.get_ref().0.clone()),
            signed: value(self.signed.as_ref()),
        })
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
