//! This process: its arguments, clocks, chance, and the children it runs.

use super::refusal::{refuse, with_fd};
use crate::calls::text;
use rquickjs::{Array, Ctx, Result, TypedArray};
use sha2::{Digest, Sha512};
use std::ffi::CStr;

pub fn argv() -> Vec<String> {
    std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect()
}

pub fn executable() -> String {
    let path = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const libc::c_char;
    if path.is_null() {
        return String::new();
    }
    // SAFETY: the kernel's, who put it above the environment for as long as the process lives.
    unsafe { CStr::from_ptr(path) }.to_string_lossy().into_owned()
}

pub fn getenv(name: String) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn clock_ms(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

pub fn monotonic_ms() -> f64 {
    clock_ms(libc::CLOCK_MONOTONIC)
}

pub fn wall_clock_ms() -> f64 {
    clock_ms(libc::CLOCK_REALTIME)
}

pub fn sleep_ms(duration_ms: f64) {
    std::thread::sleep(std::time::Duration::from_secs_f64(duration_ms.max(0.0) / 1e3));
}

pub fn random<'js>(ctx: Ctx<'js>, byte_count: usize) -> Result<TypedArray<'js, u8>> {
    let mut bytes = vec![0u8; byte_count];
    with_fd(&ctx, "getrandom", || unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), byte_count, 0) } as i64)?;
    TypedArray::new_copy(ctx, bytes)
}

pub fn sha512(text: String) -> String {
    Sha512::digest(text).iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default()).collect()
}

pub fn spawn<'js>(ctx: Ctx<'js>, path: String, argv: Vec<String>, env: Vec<String>, stdin: String, timeout_ms: f64) -> Result<Array<'js>> {
    let done = crate::spawn::run(&path, &argv, &env, stdin.as_bytes(), timeout_ms)
        .map_err(|error| refuse(&ctx, "exec", error.raw_os_error().unwrap_or(libc::EIO), Some(&path)))?;
    let array = Array::new(ctx.clone())?;
    array.set(0, done.status)?;
    array.set(1, done.signal)?;
    array.set(2, text(done.stdout))?;
    array.set(3, text(done.stderr))?;
    Ok(array)
}
