//! Near copies: campaigns with light personalisation against newsletters of one template.

/// Placeholder until the texts are laid out below.
pub fn evaluate() {}
