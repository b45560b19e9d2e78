//! Rust's side of arena.h, which the engine's C has in it.

use rquickjs::allocator::Allocator;

/// What blocks are aligned to.
pub const ALIGN: usize = 16;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Rest {
    pub next: *mut u8,
    pub end: *mut u8,
}

unsafe extern "C" {
    static mut arena_end: *mut u8;
    static arena_rest: Rest;
    static mut arena_place: Option<extern "C" fn(usize, *mut u32) -> *mut u8>;
    fn arena_carve_from(rest: Rest) -> Rest;
    fn arena_alloc(size: usize) -> *mut u8;
    fn arena_free(block: *mut u8);
    fn arena_realloc(block: *mut u8, size: usize) -> *mut u8;
}

pub unsafe fn alloc(size: usize) -> *mut u8 {
    unsafe { arena_alloc(size) }
}

pub unsafe fn dealloc(block: *mut u8) {
    unsafe { arena_free(block) }
}

/// Size of a block of the arena's.
pub unsafe fn size_of_block(block: *mut u8) -> usize {
    unsafe { *(block.sub(8) as *const u32) as usize }
}

/// What is left of where blocks are carved from.
pub fn rest() -> Rest {
    unsafe { arena_rest }
}

/// Takes memory that is not linked: all below its end is the arena's from now on.
pub fn move_to(room: Rest) {
    unsafe {
        arena_end = room.end;
        arena_carve_from(room);
    }
}

/// Runs `body` with memory from `room`, in places that `place` plans. Returns what of the room is left, too.
pub fn with_room<T>(room: Rest, place: extern "C" fn(usize, *mut u32) -> *mut u8, body: impl FnOnce() -> T) -> (T, Rest) {
    unsafe {
        let before = arena_carve_from(room);
        arena_place = Some(place);
        let done = body();
        arena_place = None;
        (done, arena_carve_from(before))
    }
}

/// What the engine allocates before it has its own functions for it: its runtime.
pub struct Arena;

unsafe impl Allocator for Arena {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        unsafe { arena_alloc(size) }
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let block = self.alloc(count * size);
        if !block.is_null() {
            unsafe { block.write_bytes(0, count * size) };
        }
        block
    }

    unsafe fn dealloc(&mut self, block: *mut u8) {
        unsafe { arena_free(block) }
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        unsafe { arena_realloc(block, size) }
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        unsafe { size_of_block(block) }
    }
}
