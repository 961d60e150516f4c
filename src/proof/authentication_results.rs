//! `Authentication-Results` (RFC 8601) of our own server as a proof.
