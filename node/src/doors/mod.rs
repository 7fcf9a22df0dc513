//! Doors for protocols of others. Each calls the functions of `service` and holds no rule of its own.

pub mod a2a;
pub mod a2a_se;
pub mod ard;
pub mod linked;
pub mod mcp;
pub mod x402;
