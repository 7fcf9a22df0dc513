//! The symbols of libc through which chance and time enter a process.
//!
//! While a run is held, `getrandom` and `getentropy` answer from its seed and `clock_gettime` ends the process: nothing
//! in a run may ask a real clock. Outside of a run both ask the system as usual, by raw system calls. So they do on a
//! thread that was spared: the one that draws the progress bar. Every other thread is held, also one that a run should
//! never have started.
//!
//! An abort (a panic in a destructor that a panic runs, an overflowed stack, a real clock that was asked) ends the
//! process in the middle of anything: what is said then was written down before.

#![expect(unsafe_code, reason = "symbols of libc are defined here, and only here")]

use std::{
    cell::Cell,
    ffi::{c_int, c_long, c_uint, c_ulong, c_void},
    io::Write,
    os::fd::BorrowedFd,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

static HELD: AtomicBool = AtomicBool::new(false);
static STATE: AtomicU64 = AtomicU64::new(0);
static LAST_WORDS: OnceLock<LastWords> = OnceLock::new();

/// What an aborting process says, and its exit code.
struct LastWords {
    text: String,
    code: u8,
}

thread_local! {
    /// Constant and without a destructor: reading it allocates nothing and registers nothing.
    static SPARED: Cell<bool> = const { Cell::new(false) };
}

/// This thread watches runs and takes no part in them: it may ask the real clock.
pub(crate) fn spare_this_thread() {
    SPARED.set(true);
}

fn is_held() -> bool {
    HELD.load(Ordering::SeqCst) && !SPARED.get()
}

/// From now on chance comes from `seed` and real clocks are forbidden. Must be called before the run's thread starts:
/// the keys of its hash maps are drawn once per thread.
pub(crate) fn hold(seed: u64) {
    one_heap();
    STATE.store(seed ^ 0x6A09_E667_F3BC_C908, Ordering::SeqCst);
    HELD.store(true, Ordering::SeqCst);
}

/// All threads of this process take memory from one heap. A heap of a thread's own is given back in parts, before which
/// glibc reads a file of the kernel's, and a run opens none.
#[cfg(target_env = "gnu")]
fn one_heap() {
    /// `M_ARENA_MAX` of `mallopt(3)`.
    const ARENA_MAX: c_int = -8;
    // SAFETY: takes two numbers and returns one.
    let _refused_if_zero = unsafe { mallopt(ARENA_MAX, 1) };
}

/// Other libraries have one heap anyway.
#[cfg(not(target_env = "gnu"))]
fn one_heap() {}

/// The run is over.
pub(crate) fn release() {
    HELD.store(false, Ordering::SeqCst);
}

/// From the next `exec` on, the kernel places this program at the same addresses every time. False if it may not ask.
pub(crate) fn fix_addresses() -> bool {
    /// `ADDR_NO_RANDOMIZE` of `personality(2)`.
    const NO_RANDOMIZE: c_ulong = 0x0004_0000;
    // SAFETY: takes a number, returns a number, changes nothing in memory.
    let set = unsafe { personality(NO_RANDOMIZE) };
    set >= 0
}

/// If the process aborts from now on it says `text` on its standard output and ends with `code`. The first call counts.
pub(crate) fn last_words(text: String, code: u8) {
    if LAST_WORDS.set(LastWords { text, code }).is_ok() {
        for number in [SIGABRT, SIGSYS] {
            // SAFETY: the handler only reads what was set before, and makes two system calls.
            let _usual_end_if_refused = unsafe { signal(number, aborted) };
        }
    }
}

/// Number of the signal by which a process aborts itself, on Linux.
const SIGABRT: c_int = 6;
/// Number of the signal for a system call that a confined thread may not make.
const SIGSYS: c_int = 31;

/// Runs in the middle of anything: takes no lock and no memory.
extern "C" fn aborted(_signal: c_int) {
    let Some(words) = LAST_WORDS.get() else { return };
    // SAFETY: nobody closes standard output.
    let out = unsafe { BorrowedFd::borrow_raw(1) };
    let mut left = words.text.as_bytes();
    while let Ok(count @ 1..) = rustix::io::write(out, left) {
        left = &left[count..];
    }
    // SAFETY: ends the process without running anything of it.
    unsafe { _exit(c_int::from(words.code)) }
}

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    fn mallopt(parameter: c_int, value: c_int) -> c_int;
}

unsafe extern "C" {
    fn personality(persona: c_ulong) -> c_int;
    fn signal(number: c_int, handler: extern "C" fn(c_int)) -> *const c_void;
    fn _exit(code: c_int) -> !;
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next() -> u64 {
    let mut x = STATE.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst).wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// # Safety
/// `buffer` is valid for writes of `length` bytes, as `getrandom(2)` asks of its callers.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    // SAFETY: the caller's promise, word for word.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    if is_held() {
        for chunk in bytes.chunks_mut(8) {
            let drawn = next().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
        return length as isize;
    }
    match rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::from_bits_retain(flags)) {
        Ok(count) => count as isize,
        // Callers of ours fall back to /dev/urandom on any failure.
        Err(_) => -1,
    }
}

/// # Safety
/// As [`getrandom`].
#[unsafe(no_mangle)]
unsafe extern "C" fn getentropy(buffer: *mut c_void, length: usize) -> c_int {
    // SAFETY: the caller's promise, word for word.
    if unsafe { getrandom(buffer, length, 0) } == length as isize { 0 } else { -1 }
}

/// `struct timespec` of 64-bit Linux.
#[repr(C)]
struct Timespec {
    seconds: c_long,
    nanoseconds: c_long,
}

/// # Safety
/// `out` is valid for one write, as `clock_gettime(2)` asks of its callers.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: c_int, out: *mut Timespec) -> c_int {
    if is_held() {
        HELD.store(false, Ordering::SeqCst);
        // Reads files, so only where that is wished: a confined run may not.
        let trace = std::backtrace::Backtrace::capture();
        let _ = writeln!(
            std::io::stderr(),
            "a run asked a real clock, so it cannot be repeated (RUST_BACKTRACE=1 shows who): {trace}"
        );
        std::process::abort();
    }
    use rustix::time::{ClockId, clock_gettime};
    // The clocks that the standard library and our crates read.
    let id = match clock {
        known if known == ClockId::Realtime as c_int => ClockId::Realtime,
        known if known == ClockId::ProcessCPUTime as c_int => ClockId::ProcessCPUTime,
        _ => ClockId::Monotonic,
    };
    let time = clock_gettime(id);
    // SAFETY: the caller's promise, word for word.
    unsafe { out.write(Timespec { seconds: time.tv_sec as c_long, nanoseconds: time.tv_nsec as c_long }) };
    0
}
