//! Where each block of the heap image lies. In the order in which the engine asks for them, what one call uses would be
//! spread over all of the image, and each 64 KB it touches are a page fault. So the build makes the heap twice: first with
//! each block on pages of its own, to see which ones calls use (rehearsal.rs), then with these together, where the build's
//! plan puts them (build/image.mjs). The engine asks for the same blocks both times, so a block goes by its number.

use crate::arena::{ALIGN, Rest, size_of_block};
use std::fs::File;
use std::io::Read;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::ptr::null_mut;

/// A block's number, its size, and where it lies in the zone of blocks that lie together: three words of the plan.
pub type Place = [u32; 3];

enum Layout {
    AsTheyCome,
    Apart(Rest),
    Together { zone: *mut u8, plan: &'static [Place] },
}
static mut LAYOUT: Layout = Layout::AsTheyCome;
static mut NUMBER: u32 = 0;

pub fn page_size() -> usize {
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// Standard input, whole.
pub fn read_input() -> Vec<u8> {
    let mut input = Vec::new();
    // SAFETY: nobody else has the descriptor, and it stays open.
    let mut file = ManuallyDrop::new(unsafe { File::from_raw_fd(0) });
    file.read_to_end(&mut input).expect("standard input");
    input
}

/// A plan, in order of the blocks' numbers, in this machine's order of bytes.
pub fn read_plan() -> Vec<Place> {
    let word = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().expect("four bytes"));
    let places = |entry: &[u8]| [0, 4, 8].map(|at| word(&entry[at..at + 4]));
    read_input().chunks_exact(12).map(places).collect()
}

/// From now on each block has pages of its own, in this room.
pub fn apart(room: Rest) {
    unsafe { LAYOUT = Layout::Apart(room) }
}

/// From now on the blocks of the plan lie in a zone that begins here. Returns its size.
pub fn together(zone: *mut u8, plan: &'static [Place]) -> usize {
    unsafe { LAYOUT = Layout::Together { zone, plan } }
    plan.iter().map(|[_, size, offset]| (offset + size) as usize).max().unwrap_or(0)
}

/// Whether all blocks of the plan came.
pub fn is_complete() -> bool {
    unsafe { !matches!(&*(&raw const LAYOUT), Layout::Together { plan: [_, ..], .. }) }
}

/// The next block's number, and its place; null where that is the arena's to choose.
pub extern "C" fn place(size: usize, number: *mut u32) -> *mut u8 {
    if size == 0 {
        crate::image::must_not_be_building("is full: raise imageSize in build/embedded.mjs");
    }
    unsafe {
        *number = NUMBER;
        NUMBER += 1;
        match &mut *(&raw mut LAYOUT) {
            Layout::Apart(room) => {
                let block = room.next.add(ALIGN);
                room.next = page_after(block.add(size));
                assert!(room.next <= room.end, "a rehearsal needs more PAGES (host/src/rehearsal.rs)");
                block
            }
            Layout::Together { zone, plan } => match plan.split_first() {
                Some(([planned, length, offset], rest)) if *planned == *number && *length as usize == size => {
                    *plan = rest;
                    zone.add(*offset as usize)
                }
                _ => null_mut(),
            },
            Layout::AsTheyCome => null_mut(),
        }
    }
}

fn page_after(end: *mut u8) -> *mut u8 {
    end.map_addr(|address| address.next_multiple_of(page_size()))
}

/// The blocks that lie apart from here on, in the order of their numbers, and the end of the last one's pages.
pub fn blocks_apart(mut page: *mut u8) -> (Vec<(usize, usize)>, *mut u8) {
    let mut blocks = Vec::new();
    for _ in 0..unsafe { NUMBER } {
        let block = unsafe { page.add(ALIGN) };
        let size = unsafe { size_of_block(block) };
        blocks.push((block as usize, size));
        page = page_after(unsafe { block.add(size) });
    }
    (blocks, page)
}
