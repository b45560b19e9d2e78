//! Memory for a process that lives a few milliseconds: two megabytes of .bss, handed out in order, hardly ever reclaimed.
//!
//! The engine asks for tens of thousands of blocks and frees most of them in its last microsecond, so not freeing is
//! free. One exception: the engine carves small objects from slabs of its own and returns an empty slab at once, so
//! freed slabs are kept and given out again. Once they are used up libc takes over, and a long loop stays bounded.

use rquickjs::allocator::Allocator;
use std::ptr::{addr_of_mut, null_mut};

/// Twice what an ADD takes.
const SIZE: usize = 2 << 20;
/// What every call touches, VERSION too: one madvise instead of 44 page faults. More costs VERSION an eighth of its time,
/// and was measured to gain the other verbs nothing.
const POPULATED: usize = 176 << 10;
const HEADER: usize = 16;
/// Sizes the engine's slab allocator asks for.
const SLAB: std::ops::RangeInclusive<usize> = 3840..=4096;

#[repr(C, align(4096))]
struct Area([u8; SIZE]);
static mut AREA: Area = Area([0; SIZE]);

pub struct Arena {
    used: usize,
    /// Head of the list of free slabs; each holds the address of the next.
    free_slabs: *mut u8,
}

fn base() -> *mut u8 {
    addr_of_mut!(AREA) as *mut u8
}

fn is_ours(block: *mut u8) -> bool {
    (block as usize).wrapping_sub(base() as usize) < SIZE
}

/// Size of a block of ours, from the header in front of it.
unsafe fn size_of(block: *mut u8) -> usize {
    unsafe { *(block.sub(HEADER) as *const usize) }
}

impl Arena {
    pub fn new() -> Self {
        // Fails harmlessly before Linux 5.14: the pages then fault in one by one.
        unsafe { libc::madvise(base() as *mut libc::c_void, POPULATED, libc::MADV_POPULATE_WRITE) };
        Arena { used: 0, free_slabs: null_mut() }
    }
}

unsafe impl Allocator for Arena {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        let size = (size.max(1) + 15) & !15;
        unsafe {
            if SLAB.contains(&size) && !self.free_slabs.is_null() && size_of(self.free_slabs) >= size {
                let slab = self.free_slabs;
                self.free_slabs = *(slab as *const *mut u8);
                return slab;
            }
            if self.used + HEADER + size > SIZE {
                return libc::malloc(size) as *mut u8;
            }
            let block = base().add(self.used + HEADER);
            *(block.sub(HEADER) as *mut usize) = size;
            self.used += HEADER + size;
            block
        }
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let Some(total) = count.checked_mul(size) else { return null_mut() };
        let block = self.alloc(total);
        if !block.is_null() {
            unsafe { block.write_bytes(0, total) };
        }
        block
    }

    unsafe fn dealloc(&mut self, block: *mut u8) {
        unsafe {
            if !is_ours(block) {
                libc::free(block as *mut libc::c_void);
            } else if SLAB.contains(&size_of(block)) {
                *(block as *mut *mut u8) = self.free_slabs;
                self.free_slabs = block;
            }
        }
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        unsafe {
            if block.is_null() {
                return self.alloc(size);
            }
            if !is_ours(block) {
                return libc::realloc(block as *mut libc::c_void, size) as *mut u8;
            }
            let held = size_of(block);
            if size <= held {
                return block;
            }
            let moved = self.alloc(size);
            if !moved.is_null() {
                block.copy_to_nonoverlapping(moved, held);
                self.dealloc(block);
            }
            moved
        }
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        unsafe {
            if is_ours(block) { size_of(block) } else { libc::malloc_usable_size(block as *mut libc::c_void) }
        }
    }
}
