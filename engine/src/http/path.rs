//! Path normalisation: RFC 3986 §6.2.2.
