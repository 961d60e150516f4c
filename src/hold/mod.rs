//! Mail that waits for the night: the ledger of what is held in the mail server's own queue, the order of release, and the release itself.
