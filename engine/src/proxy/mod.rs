//! `proxy`
