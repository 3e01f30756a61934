//! Hop-by-hop rules: RFC 9110 §7.6.1 and §7.8, RFC 9112 §9.
