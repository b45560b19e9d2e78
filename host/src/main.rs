//! Runs the TypeScript this executable carries as bytecode. Knows the engine and the system calls, and nothing of what
//! the TypeScript is for: `main.js` exports a function, and what it returns is the exit status.
//!
//! No environment variable, file or argument changes what this program does; only the TypeScript reads them.

mod arena;
mod calls;
mod image;
mod layout;
mod memory;
mod rehearsal;
mod spawn;
mod sys;

use rquickjs::context::intrinsic::{Json, MapSet, Promise as PromiseIntrinsic, RegExp, TypedArrays};
use rquickjs::function::Function;
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::object::Filter;
use rquickjs::{Atom, CatchResultExt, CaughtError, Context, Ctx, Error, Module, Object, Persistent, Result, Runtime, Value, qjs};
use std::time::Duration;

/// Made by the build: the bytecode MAIN, LAST_RESORT and IMAGE_SIZE.
mod carried {
    include!(env!("WEFT_TABLE"));
}

/// What a runaway script may use. A call takes a few megabytes; one with ten thousand ports in iptables takes 200.
const MEMORY_LIMIT: usize = 256 << 20;
/// A call never reaches this; a long loop with garbage does, and stays bounded.
const GC_THRESHOLD: usize = 8 << 20;
const STACK_LIMIT: u64 = 1 << 20;
/// Processor time, not wall time: waiting for a lock, a delegate or the kernel is no runaway.
const CPU_LIMIT: Duration = Duration::from_secs(10);

/// The two modules there are: the script, and the system calls it imports.
struct Modules;
impl Resolver for Modules {
    fn resolve<'js>(&mut self, _: &Ctx<'js>, _: &str, name: &str, _: Option<ImportAttributes<'js>>) -> Result<String> {
        Ok(name.to_string())
    }
}
impl Loader for Modules {
    fn load<'js>(&mut self, ctx: &Ctx<'js>, name: &str, _: Option<ImportAttributes<'js>>) -> Result<Module<'js, Declared>> {
        match name {
            "host" => Module::declare_def::<sys::Host, _>(ctx.clone(), name),
            // SAFETY: compiled by this very engine in the build that made this executable, and never read from disk.
            "main.js" => {
                let loaded = unsafe { Module::load(ctx.clone(), image::bytecode()) };
                image::bytecode_was_read();
                loaded
            }
            _ => Err(Error::new_loading(name)),
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
    calls::write_all(1, format!("{before}{quoted}{after}").as_bytes()).ok();
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
            calls::write_all(2, stack.as_bytes()).ok();
            exception.message().unwrap_or_else(|| "an error without a readable message".into())
        }
        // What the engine throws where it has no memory for an error.
        CaughtError::Value(value) if value.is_null() => "out of memory".into(),
        CaughtError::Value(value) => {
            let json = ctx.json_stringify(value).ok().flatten().and_then(|json| json.to_string().ok());
            format!("thrown: {}", json.unwrap_or_else(|| "a value without a text".into()))
        }
        CaughtError::Error(error) => error.to_string(),
    };
    quote(&text)
}

/// The heap image: the engine with every module read, and the function to call.
struct Root {
    context: Context,
    main: Persistent<Function<'static>>,
}

/// The engine makes a method of its own objects when it is first asked for. Asked for now, it is in the image.
fn make_methods<'js>(ctx: &Ctx<'js>) -> Result<()> {
    let mut objects = Vec::new();
    for name in ["Array", "JSON", "Map", "Number", "Object", "RegExp", "Set", "String", "Uint8Array"] {
        let object: Object = ctx.globals().get(name)?;
        let prototype = object.get::<_, Option<Object>>("prototype")?;
        objects.extend(prototype.as_ref().and_then(Object::get_prototype));
        objects.extend(prototype);
        objects.push(object);
    }
    for object in objects {
        for key in object.own_keys::<Atom>(Filter::new().string().symbol()) {
            // A getter may refuse the object it stands in.
            object.get::<_, Value>(key?).catch(ctx).ok();
        }
    }
    Ok(())
}

fn read_modules<'js>(ctx: &Ctx<'js>) -> Result<Persistent<Function<'static>>> {
    // Every process would draw the same numbers: `random` of the host is for that.
    ctx.globals().get::<_, Object>("Math")?.remove("random")?;
    make_methods(ctx)?;
    let module = Module::import(ctx, "main.js")?.finish::<Object>()?;
    Ok(Persistent::save(ctx, module.get::<_, Function>("default")?))
}

/// The value, or the last word.
fn required<'js, T>(ctx: &Ctx<'js>, outcome: Result<T>) -> T {
    match outcome.catch(ctx) {
        Ok(value) => value,
        Err(caught) => {
            let text = describe(ctx, caught);
            last_resort(&text)
        }
    }
}

fn make_root() -> Root {
    let runtime = Runtime::new_with_alloc(arena::Arena).expect("memory for the engine");
    runtime.set_memory_limit(MEMORY_LIMIT);
    runtime.set_gc_threshold(GC_THRESHOLD);
    runtime.set_loader(Modules, Modules);
    runtime.set_interrupt_handler(Some(Box::new(|| cpu_time() > CPU_LIMIT)));
    // Promises are what modules are read by. The TypeScript makes none, for nothing would wait for it.
    let context = Context::custom::<(Json, PromiseIntrinsic, RegExp, MapSet, TypedArrays)>(&runtime).expect("memory for the engine");
    let main = context.with(|ctx| required(&ctx, read_modules(&ctx)));
    runtime.run_gc();
    Root { context, main }
}

/// What endless recursion may take of the stack before it is an error; a small stack (ulimit -s) must not end it by a signal.
fn stack_room() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe { libc::getrlimit(libc::RLIMIT_STACK, &mut limit) };
    // Half of it is for arguments, the environment and what is below the engine.
    (limit.rlim_cur / 2).min(STACK_LIMIT)
}

fn run<'js>(ctx: &Ctx<'js>, main: &Persistent<Function<'static>>) -> Result<i32> {
    // SAFETY: the runtime of a context that lives. It remembers the stack of the process that made the image.
    unsafe {
        let runtime = qjs::JS_GetRuntime(ctx.as_raw().as_ptr());
        qjs::JS_SetMaxStackSize(runtime, stack_room());
        qjs::JS_UpdateStackTop(runtime);
    }
    main.clone().restore(ctx)?.call(())
}

fn main() {
    std::panic::set_hook(Box::new(|panic| last_resort(&quote(&format!("internal panic: {panic}")))));
    if image::is_blank() {
        // What the build asks for (build/image.mjs).
        match std::env::args_os().next().as_ref().and_then(|name| name.to_str()) {
            Some("rehearse") => rehearsal::hold(make_root),
            Some("write-image") => image::write(make_root),
            _ => {}
        }
    }
    let root = image::root(make_root);
    let status = root.context.with(|ctx| required(&ctx, run(&ctx, &root.main)));
    // Nothing is freed: the kernel takes it all at once.
    unsafe { libc::_exit(status) }
}
