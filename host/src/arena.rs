//! Memory for a process that lives a few milliseconds: handed out in order, hardly ever reclaimed. The engine and Rust
//! (memory.rs) share it. While the heap image is made the blocks come from the image, later from two megabytes of .bss.
//!
//! The engine asks for tens of thousands of blocks and frees most of them in its last microsecond, so not freeing is
//! free. Small blocks are kept by their size and given out again, and the largest of the others is carved again; once
//! all is used up libc takes over, and a long loop stays bounded. The engine's own slabs are switched off
//! (build/embedded.mjs): each of their thirty sizes has a page of its own, and a page is what a call pays for.
//!
//! One thread allocates at a time: there is only one, and while image.rs lets another make the heap, it waits.

use crate::{image, layout};
use rquickjs::allocator::Allocator;
use std::ptr::{addr_of_mut, null_mut};

/// Several times what an ADD takes.
const SIZE: usize = 2 << 20;
/// A block's size, in front of it; in the image also its number.
const HEADER: usize = size_of::<usize>();
/// What blocks are aligned to.
pub const ALIGN: usize = 16;
/// Freed blocks up to this size are given out again.
const SMALL: usize = 512;
const SIZES: usize = SMALL / ALIGN + 1;
const FULL: &str = "is full: raise imageSize in build/embedded.mjs";

#[repr(C, align(4096))]
struct Area([u8; SIZE]);
static mut AREA: Area = Area([0; SIZE]);
/// Blocks of the image and of AREA lie below.
static mut END: *mut u8 = unsafe { addr_of_mut!(AREA).add(1).cast() };

/// What is left of where blocks are carved from; nothing before the first block.
static mut REST: Rest = NOTHING;
/// What is left of the largest freed block that was not small. Carved first.
static mut SPARE: Rest = NOTHING;
/// Freed small blocks by size; each holds the address of the next.
static mut FREE: [*mut u8; SIZES] = [null_mut(); SIZES];

#[derive(Clone, Copy)]
pub struct Rest {
    pub next: *mut u8,
    pub end: *mut u8,
}

const NOTHING: Rest = Rest { next: null_mut(), end: null_mut() };

impl Rest {
    fn bytes(&self) -> usize {
        self.end as usize - self.next as usize
    }
    fn has_room_for(&self, size: usize) -> bool {
        self.bytes() >= 2 * ALIGN + size
    }
}

/// Carves from `rest` from now on. Returns what was left of the memory before.
pub fn carve_from(rest: Rest) -> Rest {
    unsafe {
        FREE = [null_mut(); SIZES];
        SPARE = NOTHING;
        std::mem::replace(&mut *addr_of_mut!(REST), rest)
    }
}

pub fn rest() -> Rest {
    unsafe { REST }
}

/// Takes memory that is not linked: all below its end is ours from now on.
pub fn move_to(room: Rest) {
    unsafe {
        END = room.end;
        carve_from(room);
    }
}

/// Whether a block is of the image or of AREA. What libc lends lies above all that is linked, on its heap or mapped.
fn is_ours(block: *mut u8) -> bool {
    block < unsafe { END }
}

/// Size of a block of ours.
pub unsafe fn size_of_block(block: *mut u8) -> usize {
    unsafe { *(block.sub(HEADER) as *const u32) as usize }
}

#[cold]
unsafe fn beyond(size: usize) -> *mut u8 {
    unsafe {
        if REST.next.is_null() {
            let start = addr_of_mut!(AREA) as *mut u8;
            REST = Rest { next: start, end: start.add(SIZE) };
            return carve(size);
        }
        image::must_not_be_building(FULL);
        libc::malloc(size) as *mut u8
    }
}

/// A block of at least `size` bytes; null where there is no memory.
unsafe fn carve(size: usize) -> *mut u8 {
    unsafe {
        let (spare, rest) = (&mut *addr_of_mut!(SPARE), &mut *addr_of_mut!(REST));
        let rest = if spare.has_room_for(size) { spare } else { rest };
        if !rest.has_room_for(size) {
            return beyond(size);
        }
        let block = rest.next.add(HEADER).map_addr(|address| address.next_multiple_of(ALIGN));
        // With the next block's header it ends where that one is aligned.
        let size = (size + HEADER).next_multiple_of(ALIGN) - HEADER;
        *(block.sub(HEADER) as *mut usize) = size;
        rest.next = block.add(size);
        block
    }
}

/// As `carve`, but of what was freed where that is possible.
pub unsafe fn alloc(size: usize) -> *mut u8 {
    unsafe {
        // What `carve` would make of it, so that a call finds again what it freed.
        let size = (size + HEADER).next_multiple_of(ALIGN) - HEADER;
        if image::is_building() { alloc_in_image(size) } else { take(size) }
    }
}

/// Puts the block's number behind its size: the engine's identity of an object that may be moved (frozen.h).
#[cold]
unsafe fn alloc_in_image(size: usize) -> *mut u8 {
    unsafe {
        let (number, place) = layout::next(size);
        let block = if place.is_null() { take(size) } else { place };
        if !block.is_null() {
            *(block.sub(HEADER) as *mut [u32; 2]) = [size as u32, number];
        }
        block
    }
}

/// A freed block of this size, or a new one.
unsafe fn take(size: usize) -> *mut u8 {
    unsafe {
        if size > SMALL {
            return carve(size);
        }
        let free = &mut *addr_of_mut!(FREE[size / ALIGN]);
        if free.is_null() {
            return carve(size);
        }
        let block = *free;
        *free = *(block as *const *mut u8);
        block
    }
}

pub unsafe fn dealloc(block: *mut u8) {
    unsafe {
        if image::is_frozen(block) {
            // Objects in its place would be taken for such as are never freed.
            return;
        }
        if !is_ours(block) {
            return libc::free(block as *mut libc::c_void);
        }
        let size = size_of_block(block);
        if size <= SMALL {
            let free = &mut *addr_of_mut!(FREE[size / ALIGN]);
            *(block as *mut *mut u8) = *free;
            *free = block;
        } else if size > (*addr_of_mut!(SPARE)).bytes() {
            SPARE = Rest { next: block.sub(HEADER), end: block.add(size) };
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
        let held = size_of_block(block);
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
            if is_ours(block) { size_of_block(block) } else { libc::malloc_usable_size(block as *mut libc::c_void) }
        }
    }
}
