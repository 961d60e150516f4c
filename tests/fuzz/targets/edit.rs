//! Any bytes, with any choice of edits: planning ends, what comes out is no more ambiguous than what came in, a second run has
//! nothing to do, and what nobody asked to change (signed parts, pictures, files that stay) is there to the byte.
//!
//! The first two octets choose the edits, the rest is the message; `run` puts the octets before the golden messages.
#![no_main]

mod dice;

use std::collections::HashSet;

use charter_milter::message::address::Address;
use charter_milter::message::attachments::{Class, find};
use charter_milter::message::edit::{
    Banner, BannerPlace, Context, Edit, Edited, ListHeaders, PartRemoval, SignedPolicy, plan,
};
use charter_milter::message::headers::Header;
use charter_milter::message::mime::{Limits, PartId, Tree, parse};
use charter_milter::wording::Language;
use libfuzzer_sys::fuzz_target;

/// What the first two octets say.
struct Choice {
    bits: u16,
}

impl Choice {
    fn has(&self, bit: u16) -> bool {
        self.bits & (1 << bit) != 0
    }

    fn signed(&self) -> SignedPolicy {
        [SignedPolicy::Reject, SignedPolicy::Wrap, SignedPolicy::Break, SignedPolicy::Pass]
            [usize::from(self.bits >> 14)]
    }

    fn edits(&self, raw: &[u8], tree: &Tree) -> Vec<Edit> {
        let mut edits = Vec::new();
        let mut choose = |bit: u16, edit: Edit| edits.extend(self.has(bit).then_some(edit));
        let banner = |place, text: &str| Edit::Banner(Banner { place, text: text.to_owned(), signed: self.signed() });
        choose(0, banner(BannerPlace::Footer, "Liste électorale : https://elections.example/u?a=1&b=2"));
        choose(1, banner(BannerPlace::Header, "Message électoral"));
        choose(2, banner(BannerPlace::Footer, "Unsubscribe: https://elections.example/u"));
        choose(3, Edit::TagSubject("[Élections 2018 – C]".to_owned()));
        choose(4, Edit::RemoveReceiptRequests);
        choose(5, Edit::NeutraliseNotify);
        choose(6, Edit::ReplyTo(vec![Address::parse("liste-a@candidats.example").expect("an address")]));
        choose(7, Edit::ListHeaders(list()));
        choose(8, Edit::SuppressAutomaticAnswers);
        choose(9, Edit::ReturnPath(Address::parse("retours@elections.example").expect("an address")));
        choose(10, Edit::MarkHeader { name: "X-Charter-Finding".to_owned(), value: "identity".to_owned() });
        choose(11, Edit::RemoveTracking);
        let parts = if self.has(12) { removals(raw, tree) } else { Vec::new() };
        edits.extend((!parts.is_empty()).then(|| Edit::RemoveParts { parts, signed: self.signed() }));
        edits
    }
}

fn list() -> ListHeaders {
    ListHeaders {
        label: "Élections 2018 – collège C".to_owned(),
        id: "electeurs-c.elections.example".to_owned(),
        unsubscribe: vec!["https://elections.example/u".to_owned()],
        one_click: true,
        help: None,
        owner: None,
    }
}

fn removals(raw: &[u8], tree: &Tree) -> Vec<PartRemoval> {
    find(tree, raw)
        .into_iter()
        .filter(|found| found.inside.is_none() && found.class != Class::InlineImage)
        .map(|found| PartRemoval {
            part: found.part, place: found.place, notice: "[Pièce jointe retirée]".to_owned()
        })
        .collect()
}

fn edited(raw: &[u8], tree: &Tree, choice: &Choice) -> Edited {
    let context =
        Context { language: Language::French, date: "11 juin 2018".to_owned(), reference: "K7PQM-2XTRA".to_owned() };
    plan(raw, &Header::parse(raw), tree, &choice.edits(raw, tree), &context)
}

/// The parts that no edit may touch: what a signature covers unless it may be broken, and everything that is neither a text
/// shown to readers nor removed.
fn untouchable(raw: &[u8], tree: &Tree, choice: &Choice) -> Vec<PartId> {
    let texts: HashSet<PartId> = tree.text_bodies().into_iter().collect();
    let removed: HashSet<PartId> = if choice.has(12) {
        removals(raw, tree).into_iter().map(|removal| removal.part).collect()
    } else {
        HashSet::new()
    };
    let goes = |id: PartId| removed.contains(&id) || tree.ancestors(id).any(|part| removed.contains(&part.id));
    let is_whole = |id: PartId| choice.signed() != SignedPolicy::Break && tree.signed_ancestor(id).is_some();
    tree.parts()
        .filter(|part| part.children.is_empty() && part.parent.is_some())
        .filter(|part| is_whole(part.id) || !texts.contains(&part.id) && !goes(part.id))
        .map(|part| part.id)
        .collect()
}

fuzz_target!(|input: &[u8]| {
    let Some((head, raw)) = input.split_first_chunk::<2>() else { return };
    let choice = Choice { bits: u16::from_be_bytes(*head) };
    let tree = parse(raw, &Limits::default());
    let first = edited(raw, &tree, &choice);
    let message = first.message(raw, &tree);
    let after = parse(&message, &Limits::default());
    // An ambiguous message is refused, and one that a rule refuses is not edited: for these it is enough to come to an end.
    if !tree.ambiguities().is_empty() || first.refusal().is_some() {
        return;
    }
    assert_eq!(after.ambiguities(), [], "the edits made the message ambiguous");
    for id in untouchable(raw, &tree, &choice) {
        let part = tree.part(id).expect("a part of the tree");
        let bytes = &raw[part.body.clone()];
        assert!(
            message.windows(bytes.len().max(1)).any(|window| window == bytes) || bytes.is_empty(),
            "{id:?} was touched"
        );
    }
    let second = edited(&message, &after, &choice);
    assert_eq!(second.header_edits, [], "a second run edits the header");
    assert_eq!(second.body, None, "a second run edits the body");
});
