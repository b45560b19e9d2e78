//! Files, directories, locks.

use super::landing::{SCRATCH, landing};
use super::process::monotonic_ms;
use super::refusal::{refuse, with_fd, with_path};
use crate::calls::{errno, retried, text, wait_for, write_all};
use rquickjs::{Array, Ctx, Error, Result, TypedArray, Value};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Reads to the end, at most `max` bytes, as text.
fn read_all(fd: i32, max: usize) -> std::result::Result<String, i32> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let scratch = landing();
        let got = match retried(|| unsafe { libc::read(fd, scratch.as_mut_ptr().cast(), SCRATCH) } as i64) {
            Err(libc::EAGAIN) => {
                wait_for(fd, libc::POLLIN, -1)?;
                continue;
            }
            result => result? as usize,
        };
        if got == 0 {
            return Ok(text(bytes));
        }
        bytes.extend_from_slice(&scratch[..got]);
        if bytes.len() > max {
            return Err(libc::EFBIG);
        }
    }
}

/// open(2) as the bare system call: musl's own adds an fcntl to every open with O_CLOEXEC.
fn open_at(directory: i32, path: *const libc::c_char, flags: i32, mode: u32) -> i64 {
    unsafe { libc::syscall(libc::SYS_openat, directory, path, flags | libc::O_CLOEXEC, mode) as i64 }
}

/// Text or bytes, as the TypeScript gave them.
fn with_bytes<'js, T>(value: &Value<'js>, body: impl FnOnce(&[u8]) -> T) -> Result<T> {
    if let Some(string) = value.as_string() {
        return Ok(body(string.to_string()?.as_bytes()));
    }
    let array = TypedArray::<u8>::from_value(value.clone())?;
    let raw = array.as_raw().ok_or(Error::Unknown)?;
    // SAFETY: no script runs while `body` does, so the buffer can neither move nor shrink.
    Ok(body(unsafe { raw.as_ref() }))
}

pub fn open(ctx: Ctx<'_>, path: String, flags: i32, mode: u32) -> Result<i64> {
    with_path(&ctx, "open", &path, |path| open_at(libc::AT_FDCWD, path, flags, mode))
}

pub fn open_unnamed(ctx: Ctx<'_>, directory: String, mode: u32) -> Result<i64> {
    with_path(&ctx, "open", &directory, |path| open_at(libc::AT_FDCWD, path, libc::O_TMPFILE | libc::O_WRONLY, mode))
}

pub fn close(fd: i32) {
    unsafe { libc::close(fd) };
}

pub fn read<'js>(ctx: Ctx<'js>, fd: i32, max: usize) -> Result<TypedArray<'js, u8>> {
    let mut bytes = vec![0u8; max];
    let got = with_fd(&ctx, "read", || unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), max) } as i64)?;
    TypedArray::new_copy(ctx, &bytes[..got as usize])
}

pub fn write<'js>(ctx: Ctx<'js>, fd: i32, data: Value<'js>) -> Result<()> {
    with_bytes(&data, |bytes| write_all(fd, bytes))?.map_err(|errno| refuse(&ctx, "write", errno, None))
}

pub fn read_file(ctx: Ctx<'_>, path: String, max: usize) -> Result<String> {
    let fd = with_path(&ctx, "open", &path, |path| open_at(libc::AT_FDCWD, path, libc::O_RDONLY, 0))? as i32;
    let content = read_all(fd, max);
    close(fd);
    content.map_err(|errno| refuse(&ctx, "read", errno, Some(&path)))
}

pub fn read_end(ctx: Ctx<'_>, path: String, length: i64) -> Result<String> {
    let fd = with_path(&ctx, "open", &path, |path| open_at(libc::AT_FDCWD, path, libc::O_RDONLY, 0))? as i32;
    let end = unsafe { libc::lseek(fd, 0, libc::SEEK_END) };
    unsafe { libc::lseek(fd, (end - length).max(0), libc::SEEK_SET) };
    let content = read_all(fd, length as usize);
    close(fd);
    content.map_err(|errno| refuse(&ctx, "read", errno, Some(&path)))
}

/// The largest request taken from standard input.
const MAX_STDIN: usize = 8 << 20;

pub fn read_stdin(ctx: Ctx<'_>) -> Result<String> {
    read_all(0, MAX_STDIN).map_err(|errno| refuse(&ctx, "read", errno, Some("standard input")))
}

pub fn fsync(ctx: Ctx<'_>, fd: i32) -> Result<()> {
    with_fd(&ctx, "fsync", || unsafe { libc::fsync(fd) } as i64).map(drop)
}

pub fn fchmod(ctx: Ctx<'_>, fd: i32, mode: u32) -> Result<()> {
    with_fd(&ctx, "fchmod", || unsafe { libc::fchmod(fd, mode) } as i64).map(drop)
}

pub fn mkdir(ctx: Ctx<'_>, path: String, mode: u32) -> Result<()> {
    with_path(&ctx, "mkdir", &path, |path| unsafe { libc::mkdir(path, mode) } as i64).map(drop)
}

pub fn rmdir(ctx: Ctx<'_>, path: String) -> Result<()> {
    with_path(&ctx, "rmdir", &path, |path| unsafe { libc::rmdir(path) } as i64).map(drop)
}

pub fn unlink(ctx: Ctx<'_>, path: String) -> Result<()> {
    with_path(&ctx, "unlink", &path, |path| unsafe { libc::unlink(path) } as i64).map(drop)
}

pub fn rename(ctx: Ctx<'_>, from: String, to: String) -> Result<()> {
    let target = CString::new(to).unwrap_or_default();
    with_path(&ctx, "rename", &from, |from| unsafe { libc::rename(from, target.as_ptr()) } as i64).map(drop)
}

pub fn link(ctx: Ctx<'_>, fd: i32, from: String, to: String, flags: i32) -> Result<()> {
    let source = CString::new(from).unwrap_or_default();
    let call = |to| unsafe { libc::linkat(fd, source.as_ptr(), libc::AT_FDCWD, to, flags) };
    with_path(&ctx, "link", &to, |to| call(to) as i64).map(drop)
}

pub fn readlink(ctx: Ctx<'_>, path: String) -> Result<String> {
    let target = std::fs::read_link(&path).map_err(|error| refuse(&ctx, "readlink", error.raw_os_error().unwrap_or(0), Some(&path)))?;
    Ok(target.to_string_lossy().into_owned())
}

/// Hands over the names in a directory, with the directory's descriptor and what the name is (DT_*). Not by libc's opendir, whose
/// buffer would be the first of its heap.
fn each_name(ctx: &Ctx<'_>, path: &str, mut each: impl FnMut(i32, &CStr, u8) -> Result<()>) -> Result<()> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let fd = with_path(ctx, "open", path, |path| open_at(libc::AT_FDCWD, path, flags, 0))? as i32;
    let directory = unsafe { OwnedFd::from_raw_fd(fd) };
    loop {
        let scratch = landing();
        let got = retried(|| unsafe { libc::syscall(libc::SYS_getdents64, fd, scratch.as_mut_ptr(), SCRATCH) } as i64)
            .map_err(|errno| refuse(ctx, "open", errno, Some(path)))?;
        let mut left = &scratch[..got as usize];
        // struct linux_dirent64 { u64 d_ino; s64 d_off; u16 d_reclen; u8 d_type; char d_name[] }
        while !left.is_empty() {
            let (entry, rest) = left.split_at(u16::from_ne_bytes([left[16], left[17]]).into());
            let name = CStr::from_bytes_until_nul(&entry[19..]).unwrap_or_default();
            if name != c"." && name != c".." {
                each(directory.as_raw_fd(), name, entry[18])?;
            }
            left = rest;
        }
        if got == 0 {
            return Ok(());
        }
    }
}

pub fn readdir<'js>(ctx: Ctx<'js>, path: String) -> Result<Array<'js>> {
    let names = Array::new(ctx.clone())?;
    let mut count = 0;
    each_name(&ctx, &path, |_, name, _| {
        count += 1;
        names.set(count - 1, name.to_string_lossy().into_owned())
    })?;
    Ok(names)
}

/// Whether a name in a directory is a regular file. Some file systems do not tell with the name.
fn is_file(directory: i32, name: &CStr, kind: u8) -> bool {
    let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
    let into = &raw mut stat;
    let looked = || unsafe { libc::fstatat(directory, name.as_ptr(), into, libc::AT_SYMLINK_NOFOLLOW) } == 0;
    kind == libc::DT_REG || (kind == libc::DT_UNKNOWN && looked() && stat.st_mode & libc::S_IFMT == libc::S_IFREG)
}

/// Files opened relative to their directory and read once: ten thousand of them cost what the kernel charges.
pub fn files_containing<'js>(ctx: Ctx<'js>, path: String, wanted: String, beginnings: Option<String>) -> Result<Array<'js>> {
    let may_be = |name: &CStr| {
        beginnings.as_deref().is_none_or(|bytes| name.to_bytes().first().is_some_and(|first| bytes.as_bytes().contains(first)))
    };
    let found = Array::new(ctx.clone())?;
    let mut count = 0;
    let mut buffer = [0u8; 4096];
    each_name(&ctx, &path, |directory, name, kind| {
        if !may_be(name) || !is_file(directory, name, kind) {
            return Ok(());
        }
        let got = match retried(|| open_at(directory, name.as_ptr(), libc::O_RDONLY, 0)) {
            Ok(fd) => {
                let fd = fd as i32;
                let got = retried(|| unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) } as i64);
                close(fd);
                got
            }
            // Removed since the directory was read.
            Err(libc::ENOENT) => return Ok(()),
            Err(errno) => Err(errno),
        };
        // One that cannot be read may contain it.
        let holds = |got: i64| buffer[..got as usize].windows(wanted.len().max(1)).any(|window| window == wanted.as_bytes());
        if got.map_or(true, holds) {
            count += 1;
            found.set(count - 1, name.to_string_lossy().into_owned())?;
        }
        Ok(())
    })?;
    Ok(found)
}

fn stat_array<'js>(ctx: &Ctx<'js>, stat: &libc::stat) -> Result<Array<'js>> {
    let array = Array::new(ctx.clone())?;
    array.set(0, stat.st_dev.to_string())?;
    array.set(1, stat.st_ino.to_string())?;
    array.set(2, stat.st_mode)?;
    array.set(3, stat.st_size as f64)?;
    array.set(4, stat.st_mtime as f64 * 1e3 + stat.st_mtime_nsec as f64 / 1e6)?;
    Ok(array)
}

pub fn stat<'js>(ctx: Ctx<'js>, path: String, follow: bool) -> Result<Array<'js>> {
    let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
    let into = &raw mut stat;
    let call: unsafe extern "C" fn(_, _) -> _ = if follow { libc::stat } else { libc::lstat };
    with_path(&ctx, "stat", &path, |path| unsafe { call(path, into) } as i64)?;
    stat_array(&ctx, &stat)
}

pub fn fstat<'js>(ctx: Ctx<'js>, fd: i32) -> Result<Array<'js>> {
    let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
    with_fd(&ctx, "fstat", || unsafe { libc::fstat(fd, &mut stat) } as i64)?;
    stat_array(&ctx, &stat)
}

pub fn access(ctx: Ctx<'_>, path: String, mode: i32) -> Result<()> {
    with_path(&ctx, "access", &path, |path| unsafe { libc::access(path, mode) } as i64).map(drop)
}

pub fn statfs<'js>(ctx: Ctx<'js>, path: String) -> Result<Array<'js>> {
    let mut stat = unsafe { std::mem::zeroed::<libc::statfs>() };
    let into = &raw mut stat;
    with_path(&ctx, "statfs", &path, |path| unsafe { libc::statfs(path, into) } as i64)?;
    let array = Array::new(ctx)?;
    array.set(0, stat.f_bfree as f64)?;
    array.set(1, stat.f_files as f64)?;
    array.set(2, stat.f_ffree as f64)?;
    Ok(array)
}

pub fn fstatfs(ctx: Ctx<'_>, fd: i32) -> Result<f64> {
    let mut stat = unsafe { std::mem::zeroed::<libc::statfs>() };
    with_fd(&ctx, "fstatfs", || unsafe { libc::fstatfs(fd, &mut stat) } as i64)?;
    Ok(stat.f_type as u32 as f64)
}

extern "C" fn wake(_: i32) {}

/// A blocking flock is woken at once when the lock falls free; a timer without SA_RESTART bounds the wait. The timer
/// repeats, so that a signal which strikes just before the call is not the only one.
pub fn flock(ctx: Ctx<'_>, fd: i32, timeout_ms: i64) -> Result<bool> {
    let attempt = |flags: i32| if unsafe { libc::flock(fd, libc::LOCK_EX | flags) } == 0 { Ok(()) } else { Err(errno()) };
    match attempt(libc::LOCK_NB) {
        Ok(()) => return Ok(true),
        Err(libc::EWOULDBLOCK) => {}
        Err(errno) => return Err(refuse(&ctx, "flock", errno, None)),
    }
    let deadline = monotonic_ms() + timeout_ms as f64;
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = wake as *const () as usize;
        libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
    }
    let timer = |ms: i64| unsafe {
        let time = libc::timeval { tv_sec: ms / 1000, tv_usec: (ms % 1000) * 1000 };
        libc::setitimer(libc::ITIMER_REAL, &libc::itimerval { it_interval: time, it_value: time }, std::ptr::null_mut());
    };
    timer(timeout_ms.clamp(1, 100));
    let outcome = loop {
        match attempt(0) {
            Ok(()) => break Ok(true),
            Err(libc::EINTR) if monotonic_ms() < deadline => {}
            Err(libc::EINTR) => break Ok(false),
            Err(errno) => break Err(errno),
        }
    };
    timer(0);
    outcome.map_err(|errno| refuse(&ctx, "flock", errno, None))
}
