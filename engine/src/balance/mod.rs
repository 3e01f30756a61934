//! `balance`
