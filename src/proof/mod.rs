//! Proofs of a sender's identity that need work: DKIM verification and the reading of our own Authentication-Results.
