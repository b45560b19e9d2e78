//! Where reads and datagrams land: a mapping of their own for each would cost more than the system call.

use std::ptr::addr_of_mut;

pub const SCRATCH: usize = 32768;
static mut LANDING: [u8; SCRATCH] = [0; SCRATCH];

/// The landing place. Nothing is kept in it from one call to the next, and there is one thread.
pub fn landing() -> &'static mut [u8; SCRATCH] {
    unsafe { &mut *addr_of_mut!(LANDING) }
}
