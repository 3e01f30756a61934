//! Benchmarks of the engine's steps, one file per step under `benches/`.
//!
//! `cargo bench -p bench` runs them all; `cargo bench -p bench --bench parse` one. Each measures a
//! pure step on inputs written in the file itself, so that this library holds nothing. End-to-end
//! comparisons with other proxies are `loadgen`'s business.
