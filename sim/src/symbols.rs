//! The symbols of libc through which chance and time enter a process.
//!
//! While a run is held, `getrandom` and `getentropy` answer from its seed and `clock_gettime` ends the process: nothing
//! in a run may ask a real clock. Outside of a run both ask the system as usual, by raw system calls.

#![expect(unsafe_code, reason = "symbols of libc are defined here, and only here")]

use std::{
    ffi::{c_int, c_long, c_uint, c_void},
    io::Write,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

static HELD: AtomicBool = AtomicBool::new(false);
static STATE: AtomicU64 = AtomicU64::new(0);
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// From now on chance comes from `seed` and real clocks are forbidden. Must be called before the run's thread starts:
/// the keys of its hash maps are drawn once per thread.
pub(crate) fn hold(seed: u64) {
    STATE.store(seed ^ 0x6A09_E667_F3BC_C908, Ordering::SeqCst);
    HELD.store(true, Ordering::SeqCst);
}

/// The run is over.
pub(crate) fn release() {
    HELD.store(false, Ordering::SeqCst);
}

/// Bytes that were drawn from the seed in place of the system's.
pub(crate) fn drawn() -> u64 {
    DRAWN.load(Ordering::SeqCst)
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
    if HELD.load(Ordering::SeqCst) {
        DRAWN.fetch_add(length as u64, Ordering::SeqCst);
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
    if HELD.load(Ordering::SeqCst) {
        HELD.store(false, Ordering::SeqCst);
        let trace = std::backtrace::Backtrace::force_capture();
        let _ = writeln!(std::io::stderr(), "a run asked a real clock, so it cannot be repeated:\n{trace}");
        std::process::abort();
    }
    use rustix::time::{ClockId, clock_gettime};
    // The two clocks that the standard library and our crates read.
    let id = if clock == ClockId::Realtime as c_int { ClockId::Realtime } else { ClockId::Monotonic };
    let time = clock_gettime(id);
    // SAFETY: the caller's promise, word for word.
    unsafe { out.write(Timespec { seconds: time.tv_sec as c_long, nanoseconds: time.tv_nsec as c_long }) };
    0
}
