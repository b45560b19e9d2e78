//! The heap image: the engine's heap with every module read, made when the executable is built and there when it starts.
//!
//! It is a section of the executable, so the kernel maps it with the rest, at an address the linker has fixed: no file
//! beside it, no system call, nothing that can fail. The blank executable has no more there than its bytecode, and makes its
//! heap at every start. Called by the name "write-image", a blank one prints the section instead; the build
//! (build/image.mjs) puts that into a copy. docs/host.md says what follows for the TypeScript.

use crate::arena::{self, Rest};
use crate::{carried, layout};
use std::hint::black_box;
use std::ptr::{addr_of_mut, null_mut};

/// Whole pages, which the build has counted by the bytecode there is to read.
const SIZE: usize = carried::IMAGE_SIZE;
const BYTECODE: usize = carried::MAIN.len();
const HEAP: usize = SIZE - size_of::<usize>() - BYTECODE;

/// The bytecode is nothing any more once it is read, so it lies where the heap comes last.
#[repr(C, align(4096))]
struct Image {
    /// Address of what `make` made, somewhere in the heap; 0 in a blank executable.
    root: usize,
    heap: [u8; HEAP],
    bytecode: [u8; BYTECODE],
}
#[unsafe(link_section = ".image")]
static mut IMAGE: Image = Image { root: 0, heap: [0; HEAP], bytecode: *carried::MAIN };

unsafe extern "C" {
    /// The engine's (frozen.h): objects below this address are never freed, and using one does not write to it.
    static mut js_frozen_end: usize;
    /// And blocks below this one have a number.
    static mut js_numbered_end: usize;
}

static mut BUILDING: bool = false;

/// Hidden from the compiler, which would take the section for what the linker finds in it.
fn image() -> *mut Image {
    black_box(addr_of_mut!(IMAGE))
}

pub fn is_blank() -> bool {
    unsafe { (*image()).root == 0 }
}

/// Whether the heap is being made: what a system call says now would be said for ever.
pub fn is_building() -> bool {
    unsafe { BUILDING }
}

/// Called where memory comes from outside the image, which would be gone at the next start.
pub fn must_not_be_building(why: &str) {
    if is_building() {
        for part in ["the heap image ", why, "\n"] {
            crate::calls::write_all(2, part.as_bytes()).ok();
        }
        unsafe { libc::_exit(1) }
    }
}

/// The compiled script, until the heap needs its place.
pub fn bytecode() -> &'static [u8] {
    unsafe { &*addr_of_mut!((*image()).bytecode) }
}

/// Checks, once the bytecode is read, that the heap had not reached it.
pub fn bytecode_was_read() {
    let place = bytecode().as_ptr_range();
    let rest = arena::rest();
    if is_building() && (rest.next.cast_const() > place.start) {
        crate::last_resort("\"the heap image reached the bytecode: raise imageSize in build/embedded.mjs\"");
    }
}

/// Makes a heap in this room. Returns its root, and what is left of the room.
pub fn build<T>(room: Rest, make: fn() -> T) -> (&'static T, Rest) {
    unsafe {
        js_numbered_end = room.end as usize;
        BUILDING = true;
        let (root, rest) = arena::with_room(room, layout::place, || Box::leak(Box::new(make())));
        BUILDING = false;
        (root, rest)
    }
}

/// Makes the heap. Returns what of the image is not used.
fn fill<T: 'static>(plan: &'static [layout::Place], make: fn() -> T) -> Rest {
    unsafe {
        let heap: *mut u8 = addr_of_mut!((*image()).heap).cast();
        let zone = layout::together(heap, plan);
        let (root, rest) = build(Rest { next: heap.add(zone), end: image().add(1).cast() }, make);
        (*image()).root = root as *const T as usize;
        rest
    }
}

/// From now on what lies below stays as it is.
pub fn freeze(end: *mut u8) {
    unsafe {
        js_frozen_end = end as usize;
        js_numbered_end = end as usize;
    }
}

/// What `make` makes: as the build made it, or made now.
pub fn root<T: 'static>(make: fn() -> T) -> &'static T {
    if is_blank() {
        fill(&[], make);
    } else {
        freeze(unsafe { image().add(1) }.cast());
    }
    unsafe { &*((*image()).root as *const T) }
}

/// The engine remembers addresses of its stack. This one is where it was in every other run.
const STACK_SIZE: usize = 1 << 20;
#[repr(C, align(4096))]
struct Stack([u8; STACK_SIZE]);
static mut STACK: Stack = Stack([0; STACK_SIZE]);

/// Reads the plan of its layout (layout.rs). Prints two words in this machine's order, the section's address and how many of
/// its bytes nothing uses, and then the section; ends the process.
pub fn write<T: 'static>(make: fn() -> T) -> ! {
    struct Task<T: 'static> {
        plan: Vec<layout::Place>,
        make: fn() -> T,
        unused: usize,
    }
    extern "C" fn on_fixed_stack<T: 'static>(task: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: `write` passed one, and waits.
        let task: &'static mut Task<T> = unsafe { &mut *task.cast() };
        let rest = fill(&task.plan, task.make);
        task.unused = rest.end as usize - rest.next as usize;
        null_mut()
    }
    unsafe {
        let mut task = Task { plan: layout::read_plan(), make, unused: 0 };
        let mut attributes = std::mem::zeroed();
        libc::pthread_attr_init(&mut attributes);
        libc::pthread_attr_setstack(&mut attributes, addr_of_mut!(STACK).cast(), STACK_SIZE);
        let mut thread = std::mem::zeroed();
        let started = libc::pthread_create(&mut thread, &attributes, on_fixed_stack::<T>, (&raw mut task).cast());
        if started != 0 || libc::pthread_join(thread, null_mut()) != 0 {
            libc::_exit(1);
        }
        if !layout::is_complete() {
            crate::last_resort("\"the engine asked for other blocks than in the rehearsal\"");
        }
        let words = [image() as usize, task.unused].map(usize::to_ne_bytes);
        let parts = [words.as_flattened(), std::slice::from_raw_parts(image().cast(), SIZE)];
        let written = parts.iter().all(|part| crate::calls::write_all(1, part).is_ok());
        libc::_exit(if written { 0 } else { 1 })
    }
}

/// Rust's hash tables take their seeds here, and so does whoever asks the host for random bytes. Linked instead of libc's.
#[unsafe(no_mangle)]
extern "C" fn getrandom(into: *mut libc::c_void, length: usize, flags: u32) -> isize {
    if is_building() {
        unsafe { into.cast::<u8>().write_bytes(0, length) };
        return length as isize;
    }
    unsafe { libc::syscall(libc::SYS_getrandom, into, length, flags) as isize }
}

/// The engine asks once, for the seed of Math.random, which main.rs takes away. Linked instead of libc's.
#[unsafe(no_mangle)]
extern "C" fn gettimeofday(time: *mut libc::timeval, _zone: *mut libc::c_void) -> i32 {
    unsafe { *time = libc::timeval { tv_sec: 0, tv_usec: 0 } };
    0
}
