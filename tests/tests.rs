//! The real binary against real clients, real origins and raw bytes.
