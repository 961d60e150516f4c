//! The milter protocol: sockets, negotiation, callbacks, sessions, and the effects of a decision. The only room that knows indymilter.
