//! Any bytes: everything found can be removed, removing nothing changes nothing, and what is not ambiguous before is not
//! ambiguous after, has nothing left to remove, and keeps its texts.
#![no_main]

mod dice;

use charter_milter::message::attachments::{Class, Place, find};
use charter_milter::message::edit::PartRemoval;
use charter_milter::message::headers;
use charter_milter::message::mime::{Limits, parse};
use charter_milter::message::surgery;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    let tree = parse(raw, &Limits::default());
    let Some(root) = tree.root() else { return };
    assert_eq!(surgery::remove(raw, &tree, &[]).body, &raw[root.body.start..]);
    let found = find(&tree, raw);
    let removals: Vec<PartRemoval> = found
        .iter()
        .filter(|attachment| attachment.inside.is_none() && attachment.class != Class::InlineImage)
        .map(|attachment| PartRemoval {
            part: attachment.part,
            place: attachment.place.clone(),
            notice: "[retirée]".to_owned(),
        })
        .collect();
    let surgery = surgery::remove(raw, &tree, &removals);
    let mut after = headers::apply(&raw[..root.body.start], &surgery.header_edits);
    after.extend(&surgery.body);
    let tree_after = parse(&after, &Limits::default());
    if !tree.ambiguities().is_empty() {
        return;
    }
    assert!(tree_after.ambiguities().is_empty(), "{:?}", tree_after.ambiguities());
    let left = find(&tree_after, &after);
    assert!(left.iter().all(|attachment| attachment.class == Class::InlineImage), "{left:?}");
    if found.iter().all(|attachment| attachment.place == Place::Part) {
        let texts_after: Vec<&[u8]> =
            tree_after.text_bodies().iter().filter_map(|id| after.get(tree_after.part(*id)?.body.clone())).collect();
        for id in tree.text_bodies() {
            let part = tree.part(id).expect("a text is a part");
            let goes = |id| removals.iter().any(|removal| removal.part == id);
            if !goes(id) && !tree.ancestors(id).any(|ancestor| goes(ancestor.id)) {
                assert!(texts_after.contains(&&raw[part.body.clone()]));
            }
        }
    }
});
