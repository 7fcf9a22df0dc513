//! One function per user verb, shared by every door. Never axum, clap or JSON views: doors have their own twins.

pub mod audit;
pub mod books;
pub mod bridge;
pub mod cards;
pub mod closing;
pub mod commands;
pub mod custody;
pub mod domain;
pub mod drift;
pub mod errands;
pub mod error;
pub mod exports;
pub mod federation;
pub mod introductions;
pub mod keyring;
pub mod licences;
pub mod peers;
pub mod principal;
pub mod registry;
pub mod relay;
pub mod restore;
pub mod trades;
pub mod verdicts;
pub mod view;
pub mod witness;
pub mod work;
