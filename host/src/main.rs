//! Runs the TypeScript this executable carries as bytecode. Knows the engine and the system calls, and nothing of what
//! the TypeScript is for: `main.js` exports a function, and what it returns is the exit status.
//!
//! No environment variable, file or argument changes what this program does; only the TypeScript reads them.

mod arena;
mod memory;
mod spawn;
mod sys;

use rquickjs::context::Intrinsic;
use rquickjs::context::intrinsic::{Json, MapSet, Promise as PromiseIntrinsic, RegExp, TypedArrays};
use rquickjs::function::Function;
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::promise::MaybePromise;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Error, Module, Object, Result, Runtime, Value};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Made by the build: MODULES and LAST_RESORT.
mod carried {
    include!(env!("WEFT_TABLE"));
}

/// What a runaway script may use.
const MEMORY_LIMIT: usize = 64 << 20;
/// A call never reaches this; a long loop with garbage does, and stays bounded.
const GC_THRESHOLD: usize = 8 << 20;
/// Processor time, not wall time: waiting for a lock, a delegate or the kernel is no runaway.
const CPU_LIMIT: Duration = Duration::from_secs(10);

/// Modules have flat names: "./chunk-X.js" in any of them is "chunk-X.js" in the table.
struct Flat;
impl Resolver for Flat {
    fn resolve<'js>(&mut self, _: &Ctx<'js>, _: &str, name: &str, _: Option<ImportAttributes<'js>>) -> Result<String> {
        Ok(name.strip_prefix("./").unwrap_or(name).to_string())
    }
}

struct Embedded;
impl Loader for Embedded {
    fn load<'js>(&mut self, ctx: &Ctx<'js>, name: &str, _: Option<ImportAttributes<'js>>) -> Result<Module<'js, Declared>> {
        if name == "host" {
            return Module::declare_def::<sys::Host, _>(ctx.clone(), name);
        }
        complete_language(ctx);
        let (_, bytecode) =
            carried::MODULES.iter().find(|(module, _)| *module == name).ok_or_else(|| Error::new_loading(name))?;
        // SAFETY: compiled by this very engine in the build that made this executable, and never read from disk.
        unsafe { Module::load(ctx.clone(), bytecode) }
    }
}

thread_local! {
    /// What of the language has come so far.
    static LANGUAGE: Cell<Language> = const { Cell::new(Language::Little) };
    /// Promises rejected that nobody waits for, so far.
    static UNHANDLED: Cell<i32> = const { Cell::new(0) };
}

#[derive(Clone, Copy, PartialEq)]
enum Language {
    /// JSON and promises; `main.js` is being read.
    Little,
    /// The same; the next module that is read is one that `main.js` imports while it runs.
    LittleAndStarted,
    Whole,
}

/// What `main.js` can do without comes with the first module it imports while it runs. A call that imports none, and
/// there are many, is spared a sixth of its time.
fn complete_language(ctx: &Ctx<'_>) {
    if LANGUAGE.get() == Language::LittleAndStarted {
        LANGUAGE.set(Language::Whole);
        // SAFETY: a context that lives, and each of these once.
        unsafe {
            RegExp::add_intrinsic(ctx.as_raw());
            MapSet::add_intrinsic(ctx.as_raw());
            TypedArrays::add_intrinsic(ctx.as_raw());
        }
    }
}

fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The last word where the TypeScript cannot have it: one JSON object on standard output, exit status 1.
fn last_resort(quoted: &str) -> ! {
    let (before, after) = carried::LAST_RESORT;
    sys::write_all(1, format!("{before}{quoted}{after}").as_bytes()).ok();
    unsafe { libc::_exit(1) }
}

/// JSON without the engine, for when there is none to ask.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\u{0}'..='\u{1f}' => quoted.push_str(&format!("\\u{:04x}", character as u32)),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

fn describe<'js>(ctx: &Ctx<'js>, caught: CaughtError<'js>) -> String {
    let text = match caught {
        CaughtError::Exception(exception) => {
            let stack = exception.stack().unwrap_or_default();
            sys::write_all(2, stack.as_bytes()).ok();
            exception.message().unwrap_or_else(|| "an error without a readable message".into())
        }
        CaughtError::Value(value) => {
            let json = ctx.json_stringify(value).ok().flatten().and_then(|json| json.to_string().ok());
            format!("thrown: {}", json.unwrap_or_else(|| "a value without a text".into()))
        }
        CaughtError::Error(Error::WouldBlock) => "the script waits for something that never comes, or ran out of memory".into(),
        CaughtError::Error(error) => error.to_string(),
    };
    quote(&text)
}

fn main_function<'js>(ctx: &Ctx<'js>) -> Result<i32> {
    let module = Module::import(ctx, "main.js")?.finish::<Object>()?;
    LANGUAGE.set(Language::LittleAndStarted);
    let status = module.get::<_, Function>("default")?.call::<_, MaybePromise>(())?.finish::<Value>()?;
    Ok(status.as_int().unwrap_or(1))
}

fn main() {
    std::panic::set_hook(Box::new(|panic| last_resort(&quote(&format!("internal panic: {panic}")))));
    let started = Instant::now();
    let runtime = Runtime::new_with_alloc(arena::Arena::new()).expect("memory for the engine");
    runtime.set_memory_limit(MEMORY_LIMIT);
    runtime.set_gc_threshold(GC_THRESHOLD);
    runtime.set_loader(Flat, Embedded);
    runtime.set_interrupt_handler(Some(Box::new(move || started.elapsed() > CPU_LIMIT && cpu_time() > CPU_LIMIT)));
    runtime.set_host_promise_rejection_tracker(Some(Box::new(|_, _, _, handled| {
        UNHANDLED.set(UNHANDLED.get() + if handled { -1 } else { 1 });
    })));
    let context = Context::custom::<(Json, PromiseIntrinsic)>(&runtime).expect("memory for the engine");
    let status = context.with(|ctx| match main_function(&ctx).catch(&ctx) {
        Ok(_) if UNHANDLED.get() > 0 => last_resort("\"a promise was rejected and nobody waited for it\""),
        Ok(status) => status,
        Err(caught) => {
            let text = describe(&ctx, caught);
            last_resort(&text)
        }
    });
    // Nothing is freed: the kernel takes it all at once.
    unsafe { libc::_exit(status) }
}
