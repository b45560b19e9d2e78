//! Rust's own memory, which comes from the arena: where the system has none left, it is asked again, and then the process
//! ends with one error as for every other failure, and not by a signal with nothing on standard output.

use crate::{arena, image};
use std::alloc::{GlobalAlloc, Layout, System};

pub struct Patient;

#[global_allocator]
static PATIENT: Patient = Patient;

const ATTEMPTS: u32 = 3;
const PAUSE_US: u32 = 1000;

/// Without memory nothing can be put together: the parts of the message are written as they are.
#[cold]
fn give_up() -> ! {
    let (before, after) = crate::carried::LAST_RESORT;
    for part in [before, "\"out of memory\"", after] {
        crate::calls::write_all(1, part.as_bytes()).ok();
    }
    unsafe { libc::_exit(1) }
}

#[cold]
fn ask_again(ask: impl Fn() -> *mut u8) -> *mut u8 {
    for _ in 1..ATTEMPTS {
        unsafe { libc::usleep(PAUSE_US) };
        let block = ask();
        if !block.is_null() {
            return block;
        }
    }
    give_up()
}

fn patiently(ask: impl Fn() -> *mut u8) -> *mut u8 {
    let block = ask();
    if block.is_null() { ask_again(ask) } else { block }
}

unsafe impl GlobalAlloc for Patient {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        patiently(|| unsafe {
            match layout.align() {
                ..=arena::ALIGN => arena::alloc(layout.size()),
                _ => {
                    image::must_not_be_building("has no blocks aligned to more than 16 bytes");
                    System.alloc(layout)
                }
            }
        })
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { if layout.align() > arena::ALIGN { System.dealloc(block, layout) } else { arena::dealloc(block) } }
    }
}
