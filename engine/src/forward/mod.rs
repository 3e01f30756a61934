//! `forward`
