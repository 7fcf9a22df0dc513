//! The binary: everything is in the library.

fn main() -> std::process::ExitCode {
    comity_node::cli::main()
}
