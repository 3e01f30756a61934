//! Routes end to end.
