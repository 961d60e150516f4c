//! The decision log: one durable line for each decision, in daily segments that form a Merkle tree auditors can verify.
