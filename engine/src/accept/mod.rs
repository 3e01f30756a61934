//! `accept`
