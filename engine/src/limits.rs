//! Every bound of the engine in one place: its value, its unit and its reason.
//!
//! Bounds that an operator sets are in the configuration; their defaults are here. Relations
//! between bounds are checked when the crate compiles.

