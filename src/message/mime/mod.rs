//! The MIME structure of a message, scanned without decoding: a tree of byte ranges, and everything about it on which
//! two mail programs could disagree.

/// A body part, by its place in the tree's preorder; 0 is the message itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartId(pub u32);
