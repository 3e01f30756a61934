//! `control`
