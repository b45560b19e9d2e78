//! Which blocks of the heap calls use. The build has a blank executable, called by the name "rehearse", make its heap with each
//! block on pages of its own (layout.rs) and go through calls whose system calls were recorded on a real kernel
//! (build/rehearsal/): nothing is asked of the machine that builds. The pages are locked before each call, and a use is a
//! fault, which is noted and opens the page.

use crate::arena::{self, Rest};
use crate::{Root, calls, image, layout, run};
use rquickjs::function::{Function, Params};
use rquickjs::{CatchResultExt, Ctx, Module, Persistent, Result, Value};
use std::ptr::{null_mut, slice_from_raw_parts_mut};

/// Pages of address space for the blocks. Some 44,000 are touched.
const PAGES: usize = 128 << 10;
/// What the calls have for themselves, behind them.
const FOR_CALLS: usize = 32 << 20;

/// The script that says what was recorded. While it is there, host functions answer by it.
static mut ANSWER: Option<Persistent<Function<'static>>> = None;

/// The recorded answer of a host function, where a call is rehearsed.
pub fn answer<'js>(name: &str, params: &Params<'_, 'js>) -> Option<Result<Value<'js>>> {
    let answer = unsafe { (*(&raw const ANSWER)).clone() }?;
    // The system call would have read them.
    let texts = (0..params.len()).filter_map(|at| params.arg(at)?.into_string());
    texts.for_each(|text| drop(text.to_string()));
    Some(answer.restore(params.ctx()).and_then(|answer| answer.call((name, params.arg(0)))))
}

static mut START: *mut u8 = null_mut();
/// How each page from START on was used.
static mut USED: *mut [u8] = slice_from_raw_parts_mut(null_mut(), 0);
const NOT: u8 = 0;
const READ: u8 = 1;
const WRITTEN: u8 = 2;

/// The first use of a page opens it for reading. Where that was not enough the next opens it for writing.
extern "C" fn on_fault(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    unsafe {
        let page = ((*info).si_addr() as usize).wrapping_sub(START as usize) / layout::page_size();
        if page >= USED.len() {
            // A fault of another kind: it comes again, and ends the process.
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            return;
        }
        let used = &mut (&mut *USED)[page];
        *used = (*used + 1).min(WRITTEN);
        let mode = if *used == READ { libc::PROT_READ } else { libc::PROT_READ | libc::PROT_WRITE };
        if libc::mprotect(START.add(page * layout::page_size()).cast(), layout::page_size(), mode) != 0 {
            // It would come again for ever.
            libc::_exit(1);
        }
    }
}

/// From now on uses are noted.
fn watch() {
    unsafe { assert_eq!(libc::mprotect(START.cast(), USED.len() * layout::page_size(), libc::PROT_NONE), 0) }
}

/// The most that was done to any page of a block.
fn use_of(&(block, size): &(usize, usize)) -> u8 {
    let page = |address: usize| (address - unsafe { START } as usize) / layout::page_size();
    let pages = unsafe { &(&*USED)[page(block)..=page(block + size - 1)] };
    pages.iter().copied().max().unwrap_or(NOT)
}

/// Rehearses one call after another, each in a process of its own as every call is.
fn rehearse_all<'js>(ctx: &Ctx<'js>, root: &Root, blocks: &[(usize, usize)]) -> Result<()> {
    // SAFETY: compiled by this very engine, in this build.
    let script = unsafe { Module::load(ctx.clone(), &layout::read_input()) }?;
    let (script, evaluated) = script.eval()?;
    evaluated.finish::<()>()?;
    // What was written so far a call writes too: locks of the runtime, and the image's last object, to which its first is linked.
    unsafe { (&mut *USED).iter_mut().for_each(|used| *used = if *used == WRITTEN { WRITTEN } else { NOT }) };
    let function = |name: &str| script.get::<_, Function>(name);
    let (begin, left) = (function("begin")?, function("left")?);
    unsafe { ANSWER = Some(Persistent::save(ctx, function("answer")?)) };
    while begin.call::<_, bool>(())? {
        let mut status = 0;
        match unsafe { libc::fork() } {
            0 => {
                let used = rehearse(ctx, root, blocks);
                let line = format!("{}{used}\n", left.call::<_, i32>(())?);
                let done = calls::write_all(1, line.as_bytes());
                unsafe { libc::_exit(if done.is_ok() { 0 } else { 1 }) }
            }
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            child => unsafe { assert_eq!((libc::waitpid(child, &mut status, 0), status), (child, 0), "a rehearsal ended early") },
        }
    }
    Ok(())
}

/// The blocks that the call uses: number, size, and how.
fn rehearse<'js>(ctx: &Ctx<'js>, root: &Root, blocks: &[(usize, usize)]) -> String {
    watch();
    // What it ended with is not asked here: how far it came tells whether it was rehearsed well.
    run(ctx, &root.main).catch(ctx).ok();
    let used = blocks.iter().map(use_of).zip(blocks).enumerate().filter(|(_, (used, _))| *used != NOT);
    used.map(|(number, (used, (_, size)))| format!(" {number}:{size}:{used}")).collect()
}

/// Makes the heap and rehearses. Prints a line for each call: how many recorded answers it left over, and the blocks it used.
/// Ends the process.
pub fn hold(make: fn() -> Root) -> ! {
    unsafe {
        let (read_write, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        let room = PAGES * layout::page_size();
        let start = libc::mmap(null_mut(), room + FOR_CALLS, read_write, flags, -1, 0);
        assert_ne!(start, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        START = start.cast();
        let (for_calls, end) = (START.add(room), START.add(room + FOR_CALLS));
        layout::apart(Rest { next: START, end: for_calls });
        arena::move_to(Rest { next: for_calls, end });
        let (root, _) = image::build(Rest { next: null_mut(), end: for_calls }, make);
        let (blocks, blocks_end) = layout::blocks_apart(START);
        image::freeze(blocks_end);
        USED = Box::leak(vec![NOT; (blocks_end as usize - start as usize) / layout::page_size()].into_boxed_slice());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGSEGV, &action, null_mut());
        watch();
        match root.context.with(|ctx| rehearse_all(&ctx, root, &blocks).catch(&ctx).map_err(|error| crate::describe(&ctx, error))) {
            Ok(()) => libc::_exit(0),
            Err(text) => crate::last_resort(&text),
        }
    }
}
