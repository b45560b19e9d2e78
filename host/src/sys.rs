//! Module "host": the system calls the TypeScript may make, one function each, as lib/host/sys.ts declares them.

mod files;
mod landing;
mod process;
mod refusal;
mod sockets;

use rquickjs::function::{Function, IntoJsFunc, ParamRequirement, Params};
use rquickjs::module::{Declarations, Exports, ModuleDef};
use rquickjs::{Ctx, Exception, Result, Value};

/// A host function that throws while the heap image is made (what the build machine says would be said for ever) and answers
/// as recorded where a call is rehearsed.
struct HostFunction<F>(&'static str, F);
impl<'js, P, F: IntoJsFunc<'js, P>> IntoJsFunc<'js, P> for HostFunction<F> {
    fn param_requirements() -> ParamRequirement {
        F::param_requirements()
    }
    fn call<'a>(&self, params: Params<'a, 'js>) -> Result<Value<'js>> {
        if crate::image::is_building() {
            return Err(Exception::throw_message(params.ctx(), "a module calls the host while it is read: see docs/host.md"));
        }
        match crate::rehearsal::answer(self.0, &params) {
            Some(answer) => answer,
            None => self.1.call(params),
        }
    }
}

/// Declares and exports every function under its TypeScript name.
macro_rules! host_module {
    ($($name:literal => $function:expr),* $(,)?) => {
        pub struct Host;
        impl ModuleDef for Host {
            fn declare(module: &Declarations<'_>) -> Result<()> {
                $(module.declare($name)?;)*
                Ok(())
            }
            fn evaluate<'js>(ctx: &Ctx<'js>, module: &Exports<'js>) -> Result<()> {
                $(module.export($name, Function::new(ctx.clone(), HostFunction($name, $function))?)?;)*
                Ok(())
            }
        }
    };
}

host_module! {
    "onError" => refusal::on_error,
    "argv" => process::argv,
    "executable" => process::executable,
    "getenv" => process::getenv,
    "monotonicMs" => process::monotonic_ms,
    "wallClockMs" => process::wall_clock_ms,
    "sleepMs" => process::sleep_ms,
    "random" => process::random,
    "sha512" => process::sha512,
    "open" => files::open,
    "openUnnamed" => files::open_unnamed,
    "close" => files::close,
    "read" => files::read,
    "write" => files::write,
    "readFile" => files::read_file,
    "readEnd" => files::read_end,
    "readStdin" => files::read_stdin,
    "fsync" => files::fsync,
    "fchmod" => files::fchmod,
    "mkdir" => files::mkdir,
    "rmdir" => files::rmdir,
    "unlink" => files::unlink,
    "rename" => files::rename,
    "link" => files::link,
    "readlink" => files::readlink,
    "readdir" => files::readdir,
    "filesContaining" => files::files_containing,
    "stat" => files::stat,
    "fstat" => files::fstat,
    "access" => files::access,
    "statfs" => files::statfs,
    "fstatfs" => files::fstatfs,
    "flock" => files::flock,
    "setns" => sockets::setns,
    "ioctl" => sockets::ioctl,
    "socket" => sockets::socket,
    "connectNetlink" => sockets::connect_netlink,
    "setsockopt" => sockets::setsockopt,
    "send" => sockets::send,
    "recv" => sockets::recv,
    "spawn" => process::spawn,
}
