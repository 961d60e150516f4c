//! The postmaster's files: raw serde structures with positions become the valid types of [`crate::charter`], with all problems reported at once.
