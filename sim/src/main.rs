//! The binary `comity-sim`: the false world's operating system. Its command line is in the library.
//!
//! Symbols of libc are defined in `symbols` and nowhere else: `getrandom`, so that all chance of a run comes from its
//! seed (also the keys of hash maps), and `clock_gettime`, so that a run that looks at a real clock ends with its name
//! instead of becoming unrepeatable.

mod symbols;

fn main() -> std::process::ExitCode {
    comity_sim::cli::main(comity_sim::cli::System {
        hold: symbols::hold,
        release: symbols::release,
        spare: symbols::spare_this_thread,
        fix_addresses: symbols::fix_addresses,
        last_words: symbols::last_words,
    })
}
