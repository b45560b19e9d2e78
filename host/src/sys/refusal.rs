//! System calls that are refused become the errors that the TypeScript's own maker (`onError`) builds, so that all engines say
//! the same.

use crate::calls::retried;
use rquickjs::function::Function;
use rquickjs::{Ctx, Error, Exception, Persistent, Result, Value};
use std::cell::RefCell;
use std::ffi::CString;
use std::mem::ManuallyDrop;

thread_local! {
    /// Never dropped: to register a destructor would take the first page of libc's heap.
    static ERROR_MAKER: RefCell<Option<ManuallyDrop<Persistent<Function<'static>>>>> = const { RefCell::new(None) };
}

/// Throws what the TypeScript's maker builds for a refused system call.
pub fn refuse(ctx: &Ctx<'_>, syscall: &str, errno: i32, path: Option<&str>) -> Error {
    let maker = ERROR_MAKER.with_borrow(|maker| maker.clone());
    let Some(maker) = maker else { return Exception::throw_message(ctx, &format!("{syscall}: errno {errno}")) };
    let made = ManuallyDrop::into_inner(maker).restore(ctx).and_then(|maker| match path {
        Some(path) => maker.call::<_, Value>((syscall, errno, path)),
        None => maker.call::<_, Value>((syscall, errno)),
    });
    match made {
        Ok(error) => ctx.throw(error),
        Err(error) => error,
    }
}

pub fn on_error<'js>(ctx: Ctx<'js>, maker: Function<'js>) {
    ERROR_MAKER.with_borrow_mut(|slot| *slot = Some(ManuallyDrop::new(Persistent::save(&ctx, maker))));
}

pub fn with_path<'js>(ctx: &Ctx<'js>, syscall: &str, path: &str, call: impl Fn(*const libc::c_char) -> i64) -> Result<i64> {
    let done = CString::new(path).map_err(|_| libc::EINVAL).and_then(|path| retried(|| call(path.as_ptr())));
    done.map_err(|errno| refuse(ctx, syscall, errno, Some(path)))
}

pub fn with_fd(ctx: &Ctx<'_>, syscall: &str, call: impl FnMut() -> i64) -> Result<i64> {
    retried(call).map_err(|errno| refuse(ctx, syscall, errno, None))
}
