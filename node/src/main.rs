//! The binary: everything is in the library.

/// A node's memory is many small records, made on one thread and freed on another: the system's allocator took a sixth
/// of the processor time of a busy node.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    comity_node::cli::main()
}
