//! Random numbers that are the same in each run. The hash tables of the standard library take their keys from them: with keys of
//! its own each run would go other ways through the same code from its first input on.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(1) };
}

/// The C library's function of this name (getrandom(2)), as the standard library calls it.
///
/// # Safety
/// `buffer` has room for `length` octets.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    for at in 0..length {
        // splitmix64
        let state = STATE.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        STATE.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        // SAFETY: `at` is below `length`.
        unsafe { buffer.add(at).write((mixed >> 56) as u8) };
    }
    length as isize
}
