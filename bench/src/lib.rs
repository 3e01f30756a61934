//! Benchmarks of the engine's steps, one file per step under `benches/`.
//!
//! `cargo bench -p bench` runs them all; `cargo bench -p bench --bench parse` one. Each measures a
//! pure step on inputs written in the file itself. The commands under `bin/` run whole programs;
//! what they share is here. End-to-end comparisons of cost with other proxies are `loadgen`'s
//! business.

pub mod process;
