//! What a run may ask of the kernel: memory, to wait for a thread of its own, to print, and to end.
//!
//! A run that reads a file, a socket, a clock or chance from the kernel cannot be repeated. It is not enough that nobody
//! does so today: the run's own thread is confined by seccomp (`seccomp(2)`, BPF filters), and the process ends with the
//! first call that is not in the list, as for any crash. Threads, too, are refused: all hosts of a universe share one.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Memory, locks, signals of its own, and the end.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
];
/// Highest descriptor that may be written to: standard error.
const PRINTED_MAX: u64 = 2;

/// Confines the calling thread, for good. `Err` says why the kernel would not: then the thread is as free as before.
pub(super) fn confine() -> Result<(), String> {
    // A backtrace reads the program's own file.
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|asked| asked != "0") {
        return Err("RUST_BACKTRACE is set, and a backtrace reads files".to_owned());
    }
    apply(SeccompAction::Trap)
}

fn apply(otherwise: SeccompAction) -> Result<(), String> {
    let program = filter(otherwise).map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

fn filter(otherwise: SeccompAction) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let printed = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Le, PRINTED_MAX)?;
    rules.insert(libc::SYS_write, vec![SeccompRule::new(vec![printed])?]);
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, SeccompAction::Allow, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confined_thread_has_memory_and_nothing_else() {
        let confined = std::thread::spawn(|| {
            apply(SeccompAction::Errno(libc::EPERM as u32)).expect("a kernel with seccomp");
            let memory: Vec<u64> = (0..1_000_000).collect();
            let file = std::fs::File::open("/proc/self/stat").map(drop).map_err(|error| error.kind());
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").map(drop).map_err(|error| error.kind());
            let thread = std::thread::Builder::new().spawn(|| {}).map(drop).map_err(|error| error.kind());
            (memory.len(), [file, socket, thread])
        });
        let refused = Err(std::io::ErrorKind::PermissionDenied);
        assert_eq!(confined.join().expect("it ended by itself"), (1_000_000, [refused; 3]));
    }
}
