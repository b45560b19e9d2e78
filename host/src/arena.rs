//! Memory for a process that lives a few milliseconds: handed out in order, hardly ever reclaimed. The engine and Rust
//! (memory.rs) share it. While the heap image is made the blocks come from the image, later from two megabytes of .bss.
//!
//! The engine asks for tens of thousands of blocks and frees most of them in its last microsecond, so not freeing is
//! free. One exception: the engine carves small objects from slabs of its own and returns an empty slab at once, so
//! freed slabs are kept and given out again. Once all is used up libc takes over, and a long loop stays bounded.
//!
//! One thread allocates at a time: there is only one, and while image.rs lets another make the heap, it waits.

use crate::image;
use rquickjs::allocator::Allocator;
use std::ptr::{addr_of_mut, null_mut};

/// Several times what an ADD takes.
const SIZE: usize = 2 << 20;
const HEADER: usize = 16;
const PAGE: usize = 4096;
/// Sizes the engine's slab allocator asks for.
const SLAB: std::ops::RangeInclusive<usize> = 3600..=PAGE;

#[repr(C, align(4096))]
struct Area([u8; SIZE]);
static mut AREA: Area = Area([0; SIZE]);

/// What is left of where blocks are carved from: slabs off the end, a page each, everything else off the start. Nothing
/// before the first block.
static mut REST: Rest = Rest { next: null_mut(), end: null_mut() };
/// Head of the list of free slabs; each holds the address of the next.
static mut FREE_SLABS: *mut u8 = null_mut();

#[derive(Clone, Copy)]
pub struct Rest {
    pub next: *mut u8,
    /// On a page's edge.
    pub end: *mut u8,
}

/// Carves from `rest` from now on. Returns what was left of the memory before.
pub fn carve_from(rest: Rest) -> Rest {
    unsafe {
        FREE_SLABS = null_mut();
        std::mem::replace(&mut *addr_of_mut!(REST), rest)
    }
}

fn is_ours(block: *mut u8) -> bool {
    (block as usize).wrapping_sub(addr_of_mut!(AREA) as usize) < SIZE || image::holds(block)
}

/// Slabs are what begins on a page's edge; nothing else does.
fn is_slab(block: *mut u8) -> bool {
    (block as usize).is_multiple_of(PAGE)
}

/// Size of a block of ours; of what is no slab from the header in front of it.
unsafe fn size_of(block: *mut u8) -> usize {
    if is_slab(block) { PAGE } else { unsafe { *(block.sub(HEADER) as *const usize) } }
}

#[cold]
unsafe fn beyond(size: usize) -> *mut u8 {
    unsafe {
        if REST.next.is_null() {
            let start = addr_of_mut!(AREA) as *mut u8;
            REST = Rest { next: start, end: start.add(SIZE) };
            return alloc(size);
        }
        image::must_not_be_full();
        libc::malloc(size) as *mut u8
    }
}

/// A block of at least `size` bytes, aligned to 16; null where there is no memory.
pub unsafe fn alloc(size: usize) -> *mut u8 {
    unsafe {
        let size = (size.max(1) + 15) & !15;
        let is_for_slab = SLAB.contains(&size);
        if is_for_slab && !FREE_SLABS.is_null() {
            let slab = FREE_SLABS;
            FREE_SLABS = *(slab as *const *mut u8);
            return slab;
        }
        if (REST.end as usize) - (REST.next as usize) < 2 * HEADER + size.max(PAGE) {
            return beyond(size);
        }
        if is_for_slab {
            REST.end = REST.end.sub(PAGE);
            return REST.end;
        }
        if is_slab(REST.next.add(HEADER)) {
            REST.next = REST.next.add(HEADER);
        }
        let block = REST.next.add(HEADER);
        *(REST.next as *mut usize) = size;
        REST.next = block.add(size);
        block
    }
}

pub unsafe fn dealloc(block: *mut u8) {
    unsafe {
        if !is_ours(block) {
            libc::free(block as *mut libc::c_void);
        } else if is_slab(block) {
            *(block as *mut *mut u8) = FREE_SLABS;
            FREE_SLABS = block;
        }
    }
}

/// As realloc(3); null, and the old block as it was, where there is no memory.
pub unsafe fn realloc(block: *mut u8, size: usize) -> *mut u8 {
    unsafe {
        if block.is_null() {
            return alloc(size);
        }
        if !is_ours(block) {
            return libc::realloc(block as *mut libc::c_void, size) as *mut u8;
        }
        let held = size_of(block);
        if size <= held {
            return block;
        }
        let moved = alloc(size);
        if !moved.is_null() {
            block.copy_to_nonoverlapping(moved, held);
            dealloc(block);
        }
        moved
    }
}

/// The engine's side of it.
pub struct Arena;

unsafe impl Allocator for Arena {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        unsafe { alloc(size) }
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
        unsafe { dealloc(block) }
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        unsafe { realloc(block, size) }
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        unsafe {
            if is_ours(block) { size_of(block) } else { libc::malloc_usable_size(block as *mut libc::c_void) }
        }
    }
}
