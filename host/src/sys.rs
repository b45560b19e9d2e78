//! Module "host": the system calls the TypeScript may make, one function each, as lib/host/sys.ts declares them. Every
//! failure becomes the error that the TypeScript's own maker (`onError`) builds, so that all engines say the same.

use crate::calls::{errno, retried, wait_for, write_all};
use rquickjs::function::{Function, IntoJsFunc, Opt, ParamRequirement, Params};
use rquickjs::module::{Declarations, Exports, ModuleDef};
use rquickjs::{Array, Ctx, Error, Exception, Persistent, Result, TypedArray, Value};
use sha2::{Digest, Sha512};
use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::addr_of_mut;

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

fn with_path<'js>(ctx: &Ctx<'js>, syscall: &str, path: &str, call: impl Fn(*const libc::c_char) -> i64) -> Result<i64> {
    let done = CString::new(path).map_err(|_| libc::EINVAL).and_then(|path| retried(|| call(path.as_ptr())));
    done.map_err(|errno| refuse(ctx, syscall, errno, Some(path)))
}

fn with_fd(ctx: &Ctx<'_>, syscall: &str, call: impl FnMut() -> i64) -> Result<i64> {
    retried(call).map_err(|errno| refuse(ctx, syscall, errno, None))
}

/// Where reads and datagrams land: a mapping of their own for each would cost more than the system call.
const SCRATCH: usize = 32768;
static mut LANDING: [u8; SCRATCH] = [0; SCRATCH];

/// The landing place. Nothing is kept in it from one call to the next, and there is one thread.
fn landing() -> &'static mut [u8; SCRATCH] {
    unsafe { &mut *addr_of_mut!(LANDING) }
}

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

pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
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

fn on_error<'js>(ctx: Ctx<'js>, maker: Function<'js>) {
    ERROR_MAKER.with_borrow_mut(|slot| *slot = Some(ManuallyDrop::new(Persistent::save(&ctx, maker))));
}

// --- this process ---

fn argv() -> Vec<String> {
    std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect()
}

fn executable() -> String {
    // SAFETY: the kernel's, who keeps it beside the environment.
    let path = unsafe { CStr::from_ptr(libc::getauxval(libc::AT_EXECFN) as *const libc::c_char) };
    path.to_string_lossy().into_owned()
}

fn getenv(name: String) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn clock_ms(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn monotonic_ms() -> f64 {
    clock_ms(libc::CLOCK_MONOTONIC)
}

fn wall_clock_ms() -> f64 {
    clock_ms(libc::CLOCK_REALTIME)
}

fn sleep_ms(duration_ms: f64) {
    std::thread::sleep(std::time::Duration::from_secs_f64(duration_ms.max(0.0) / 1e3));
}

fn random<'js>(ctx: Ctx<'js>, byte_count: usize) -> Result<TypedArray<'js, u8>> {
    let mut bytes = vec![0u8; byte_count];
    with_fd(&ctx, "getrandom", || unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), byte_count, 0) } as i64)?;
    TypedArray::new_copy(ctx, bytes)
}

fn sha512(text: String) -> String {
    Sha512::digest(text).iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default()).collect()
}

// --- files ---

fn open(ctx: Ctx<'_>, path: String, flags: i32, mode: u32) -> Result<i64> {
    with_path(&ctx, "open", &path, |path| open_at(libc::AT_FDCWD, path, flags, mode))
}

fn open_unnamed(ctx: Ctx<'_>, directory: String, mode: u32) -> Result<i64> {
    with_path(&ctx, "open", &directory, |path| open_at(libc::AT_FDCWD, path, libc::O_TMPFILE | libc::O_WRONLY, mode))
}

fn close(fd: i32) {
    unsafe { libc::close(fd) };
}

fn read<'js>(ctx: Ctx<'js>, fd: i32, max: usize) -> Result<TypedArray<'js, u8>> {
    let mut bytes = vec![0u8; max];
    let got = with_fd(&ctx, "read", || unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), max) } as i64)?;
    TypedArray::new_copy(ctx, &bytes[..got as usize])
}

fn write<'js>(ctx: Ctx<'js>, fd: i32, data: Value<'js>) -> Result<()> {
    with_bytes(&data, |bytes| write_all(fd, bytes))?.map_err(|errno| refuse(&ctx, "write", errno, None))
}

fn read_file(ctx: Ctx<'_>, path: String, max: usize) -> Result<String> {
    let fd = with_path(&ctx, "open", &path, |path| open_at(libc::AT_FDCWD, path, libc::O_RDONLY, 0))? as i32;
    let content = read_all(fd, max);
    close(fd);
    content.map_err(|errno| refuse(&ctx, "read", errno, Some(&path)))
}

fn read_end(ctx: Ctx<'_>, path: String, length: i64) -> Result<String> {
    let fd = with_path(&ctx, "open", &path, |path| open_at(libc::AT_FDCWD, path, libc::O_RDONLY, 0))? as i32;
    let end = unsafe { libc::lseek(fd, 0, libc::SEEK_END) };
    unsafe { libc::lseek(fd, (end - length).max(0), libc::SEEK_SET) };
    let content = read_all(fd, length as usize);
    close(fd);
    content.map_err(|errno| refuse(&ctx, "read", errno, Some(&path)))
}

/// The largest request taken from standard input.
const MAX_STDIN: usize = 8 << 20;

fn read_stdin(ctx: Ctx<'_>) -> Result<String> {
    read_all(0, MAX_STDIN).map_err(|errno| refuse(&ctx, "read", errno, Some("standard input")))
}

fn fsync(ctx: Ctx<'_>, fd: i32) -> Result<()> {
    with_fd(&ctx, "fsync", || unsafe { libc::fsync(fd) } as i64).map(drop)
}

fn fchmod(ctx: Ctx<'_>, fd: i32, mode: u32) -> Result<()> {
    with_fd(&ctx, "fchmod", || unsafe { libc::fchmod(fd, mode) } as i64).map(drop)
}

fn mkdir(ctx: Ctx<'_>, path: String, mode: u32) -> Result<()> {
    with_path(&ctx, "mkdir", &path, |path| unsafe { libc::mkdir(path, mode) } as i64).map(drop)
}

fn rmdir(ctx: Ctx<'_>, path: String) -> Result<()> {
    with_path(&ctx, "rmdir", &path, |path| unsafe { libc::rmdir(path) } as i64).map(drop)
}

fn unlink(ctx: Ctx<'_>, path: String) -> Result<()> {
    with_path(&ctx, "unlink", &path, |path| unsafe { libc::unlink(path) } as i64).map(drop)
}

fn rename(ctx: Ctx<'_>, from: String, to: String) -> Result<()> {
    let target = CString::new(to).unwrap_or_default();
    with_path(&ctx, "rename", &from, |from| unsafe { libc::rename(from, target.as_ptr()) } as i64).map(drop)
}

fn link(ctx: Ctx<'_>, fd: i32, from: String, to: String, flags: i32) -> Result<()> {
    let source = CString::new(from).unwrap_or_default();
    let call = |to| unsafe { libc::linkat(fd, source.as_ptr(), libc::AT_FDCWD, to, flags) };
    with_path(&ctx, "link", &to, |to| call(to) as i64).map(drop)
}

fn readlink(ctx: Ctx<'_>, path: String) -> Result<String> {
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

fn readdir<'js>(ctx: Ctx<'js>, path: String) -> Result<Array<'js>> {
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
fn files_containing<'js>(ctx: Ctx<'js>, path: String, wanted: String, beginnings: Opt<String>) -> Result<Array<'js>> {
    let may_be = |name: &CStr| beginnings.0.as_deref().is_none_or(|bytes| bytes.as_bytes().contains(&name.to_bytes()[0]));
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

fn stat<'js>(ctx: Ctx<'js>, path: String, follow: bool) -> Result<Array<'js>> {
    let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
    let into = &raw mut stat;
    let call: unsafe extern "C" fn(_, _) -> _ = if follow { libc::stat } else { libc::lstat };
    with_path(&ctx, "stat", &path, |path| unsafe { call(path, into) } as i64)?;
    stat_array(&ctx, &stat)
}

fn fstat<'js>(ctx: Ctx<'js>, fd: i32) -> Result<Array<'js>> {
    let mut stat = unsafe { std::mem::zeroed::<libc::stat>() };
    with_fd(&ctx, "fstat", || unsafe { libc::fstat(fd, &mut stat) } as i64)?;
    stat_array(&ctx, &stat)
}

fn access(ctx: Ctx<'_>, path: String, mode: i32) -> Result<()> {
    with_path(&ctx, "access", &path, |path| unsafe { libc::access(path, mode) } as i64).map(drop)
}

fn statfs<'js>(ctx: Ctx<'js>, path: String) -> Result<Array<'js>> {
    let mut stat = unsafe { std::mem::zeroed::<libc::statfs>() };
    let into = &raw mut stat;
    with_path(&ctx, "statfs", &path, |path| unsafe { libc::statfs(path, into) } as i64)?;
    let array = Array::new(ctx)?;
    array.set(0, stat.f_bfree as f64)?;
    array.set(1, stat.f_files as f64)?;
    array.set(2, stat.f_ffree as f64)?;
    Ok(array)
}

fn fstatfs(ctx: Ctx<'_>, fd: i32) -> Result<f64> {
    let mut stat = unsafe { std::mem::zeroed::<libc::statfs>() };
    with_fd(&ctx, "fstatfs", || unsafe { libc::fstatfs(fd, &mut stat) } as i64)?;
    Ok(stat.f_type as u32 as f64)
}

extern "C" fn wake(_: i32) {}

/// A blocking flock is woken at once when the lock falls free; a timer without SA_RESTART bounds the wait. The timer
/// repeats, so that a signal which strikes just before the call is not the only one.
fn flock(ctx: Ctx<'_>, fd: i32, timeout_ms: i64) -> Result<bool> {
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

// --- namespaces and sockets ---

fn setns(ctx: Ctx<'_>, fd: i32, ns_type: i32) -> Result<()> {
    with_fd(&ctx, "setns", || unsafe { libc::setns(fd, ns_type) } as i64).map(drop)
}

fn ioctl(ctx: Ctx<'_>, fd: i32, request: u32) -> Result<i64> {
    with_fd(&ctx, "ioctl", || unsafe { libc::ioctl(fd, request as libc::Ioctl) } as i64)
}

fn socket(ctx: Ctx<'_>, domain: i32, kind: i32, protocol: i32) -> Result<i64> {
    with_fd(&ctx, "socket", || unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) } as i64)
}

fn connect_netlink(ctx: Ctx<'_>, fd: i32) -> Result<()> {
    let mut address = unsafe { std::mem::zeroed::<libc::sockaddr_nl>() };
    address.nl_family = libc::AF_NETLINK as u16;
    let size = size_of::<libc::sockaddr_nl>() as u32;
    with_fd(&ctx, "connect", || unsafe { libc::connect(fd, (&raw const address).cast(), size) } as i64).map(drop)
}

fn setsockopt(ctx: Ctx<'_>, fd: i32, level: i32, option: i32, value: i32) -> Result<()> {
    let call = || unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), 4) } as i64;
    with_fd(&ctx, "setsockopt", call).map(drop)
}

fn send<'js>(ctx: Ctx<'js>, fd: i32, data: TypedArray<'js, u8>) -> Result<()> {
    let raw = data.as_raw().ok_or(Error::Unknown)?;
    with_fd(&ctx, "send", || unsafe { libc::send(fd, raw.as_ptr().cast(), raw.len(), 0) } as i64).map(drop)
}

fn recv<'js>(ctx: Ctx<'js>, fd: i32, max: usize, timeout_ms: i32) -> Result<TypedArray<'js, u8>> {
    let scratch = landing();
    let (into, max) = (scratch.as_mut_ptr(), max.min(SCRATCH));
    // The kernel answers a request before send returns, so mostly the datagram is there and nothing has to be waited for.
    let mut receive = || unsafe { libc::recv(fd, into.cast(), max, libc::MSG_TRUNC | libc::MSG_DONTWAIT) } as i64;
    let got = loop {
        match retried(&mut receive) {
            Err(libc::EAGAIN) => match wait_for(fd, libc::POLLIN, if timeout_ms == 0 { -1 } else { timeout_ms }) {
                Ok(true) => {}
                Ok(false) => return Err(refuse(&ctx, "recv", libc::EAGAIN, None)),
                Err(errno) => return Err(refuse(&ctx, "recv", errno, None)),
            },
            Err(errno) => return Err(refuse(&ctx, "recv", errno, None)),
            Ok(got) if got as usize > max => return Err(refuse(&ctx, "recv", libc::EMSGSIZE, None)),
            Ok(got) => break got as usize,
        }
    };
    TypedArray::new_copy(ctx, &scratch[..got])
}

// --- children ---

fn spawn<'js>(ctx: Ctx<'js>, path: String, argv: Vec<String>, env: Vec<String>, stdin: String, timeout_ms: Opt<f64>) -> Result<Array<'js>> {
    let done = crate::spawn::run(&path, &argv, &env, stdin.as_bytes(), timeout_ms.0.unwrap_or(0.0))
        .map_err(|error| refuse(&ctx, "exec", error.raw_os_error().unwrap_or(libc::EIO), Some(&path)))?;
    let array = Array::new(ctx.clone())?;
    array.set(0, done.status)?;
    array.set(1, done.signal)?;
    array.set(2, text(done.stdout))?;
    array.set(3, text(done.stderr))?;
    Ok(array)
}

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
    "onError" => on_error,
    "argv" => argv,
    "executable" => executable,
    "getenv" => getenv,
    "monotonicMs" => monotonic_ms,
    "wallClockMs" => wall_clock_ms,
    "sleepMs" => sleep_ms,
    "random" => random,
    "sha512" => sha512,
    "open" => open,
    "openUnnamed" => open_unnamed,
    "close" => close,
    "read" => read,
    "write" => write,
    "readFile" => read_file,
    "readEnd" => read_end,
    "readStdin" => read_stdin,
    "fsync" => fsync,
    "fchmod" => fchmod,
    "mkdir" => mkdir,
    "rmdir" => rmdir,
    "unlink" => unlink,
    "rename" => rename,
    "link" => link,
    "readlink" => readlink,
    "readdir" => readdir,
    "filesContaining" => files_containing,
    "stat" => stat,
    "fstat" => fstat,
    "access" => access,
    "statfs" => statfs,
    "fstatfs" => fstatfs,
    "flock" => flock,
    "setns" => setns,
    "ioctl" => ioctl,
    "socket" => socket,
    "connectNetlink" => connect_netlink,
    "setsockopt" => setsockopt,
    "send" => send,
    "recv" => recv,
    "spawn" => spawn,
}
