//! House rules as tests: `cargo tidy`.
//!
//! Every rule is one test named as the claim it makes. It reads the working tree (committed files and new ones that git
//! does not ignore) and fails with file, line, rule and what to do. Beside each rule stands a test that feeds it a small
//! made-up tree and sees it fail: a rule that cannot fail guards nothing.
//!
//! A rule may be broken with a reason: `//! tidy: long because ...` in the head of a long file, `// tidy: long because
//! ...` inside or right above a long function. No other rule has an escape.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/bare_metal.rs"]
mod bare_metal;
#[path = "tidy/codes.rs"]
mod codes;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/length.rs"]
mod length;
#[path = "tidy/lock.rs"]
mod lock;
#[path = "tidy/marks.rs"]
mod marks;
#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/readme.rs"]
mod readme;
#[path = "tidy/refusals.rs"]
mod refusals;
#[path = "tidy/tokens.rs"]
mod tokens;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/unsafe_code.rs"]
mod unsafe_code;
