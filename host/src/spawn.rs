//! A child process, fed and read in one loop without a thread, in a process group of its own, bounded in time.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub struct Done {
    /// -1 when a signal ended it.
    pub status: i32,
    pub signal: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

fn unblock(fd: RawFd) {
    unsafe { libc::fcntl(fd, libc::F_SETFL, libc::fcntl(fd, libc::F_GETFL) | libc::O_NONBLOCK) };
}

/// Appends what can be read now; false at the end.
fn drain(fd: RawFd, into: &mut Vec<u8>, copy_to: Option<RawFd>) -> bool {
    let mut buffer = [0u8; 16384];
    loop {
        match unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) } {
            0 => return false,
            got if got > 0 => {
                let bytes = &buffer[..got as usize];
                if let Some(copy) = copy_to {
                    crate::calls::write_all(copy, bytes).ok();
                }
                into.extend_from_slice(bytes);
            }
            _ if crate::calls::errno() == libc::EINTR => {}
            _ => return crate::calls::errno() == libc::EAGAIN,
        }
    }
}

/// Runs `path` with `argv`, the name it sees itself by first, our environment under `env` ("KEY=value"), `stdin` on its standard input. What it writes to
/// standard error reaches ours at once. After `timeout_ms` (0: never) its whole process group is killed. Ends when the
/// child does, even if a grandchild keeps a pipe open.
pub fn run(path: &str, argv: &[String], env: &[String], stdin: &[u8], timeout_ms: f64) -> Result<Done> {
    let pairs = env.iter().filter_map(|pair| pair.split_once('='));
    let (argv0, args) = argv.split_first().ok_or_else(|| Error::from_raw_os_error(libc::EINVAL))?;
    let mut child = Command::new(path)
        .arg0(argv0)
        .args(args)
        .envs(pairs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let mut input = child.stdin.take();
    let (output, errors) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) } as RawFd;
    if pidfd < 0 {
        // Not to be watched, so not to be left running either.
        let error = Error::last_os_error();
        child.kill().ok();
        child.wait().ok();
        return Err(error);
    }
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    for fd in [input.as_ref().map(AsRawFd::as_raw_fd), Some(output.as_raw_fd()), Some(errors.as_raw_fd())].into_iter().flatten() {
        unblock(fd);
    }
    let deadline = (timeout_ms > 0.0).then(|| Instant::now() + Duration::from_secs_f64(timeout_ms / 1e3));
    let mut done = Done { status: -1, signal: 0, stdout: Vec::new(), stderr: Vec::new() };
    let (mut fed, mut output_open, mut errors_open) = (0, true, true);
    loop {
        if let Some(pipe) = &input {
            let rest = &stdin[fed..];
            let written = if rest.is_empty() { 0 } else { unsafe { libc::write(pipe.as_raw_fd(), rest.as_ptr().cast(), rest.len()) } };
            if written > 0 {
                fed += written as usize;
            }
            // All given, or it closed its end without reading: either way there is nothing more to feed.
            if fed == stdin.len() || (written < 0 && crate::calls::errno() == libc::EPIPE) {
                input = None;
            }
        }
        let want = |open: bool, fd: RawFd, events: i16| libc::pollfd { fd: if open { fd } else { -1 }, events, revents: 0 };
        let mut polls = [
            want(true, pidfd.as_raw_fd(), libc::POLLIN),
            want(input.is_some(), input.as_ref().map_or(-1, AsRawFd::as_raw_fd), libc::POLLOUT),
            want(output_open, output.as_raw_fd(), libc::POLLIN),
            want(errors_open, errors.as_raw_fd(), libc::POLLIN),
        ];
        let left = deadline.map_or(-1, |deadline| deadline.saturating_duration_since(Instant::now()).as_millis() as i32 + 1);
        unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as u64, left) };
        output_open = output_open && drain(output.as_raw_fd(), &mut done.stdout, None);
        errors_open = errors_open && drain(errors.as_raw_fd(), &mut done.stderr, Some(2));
        let ended = polls[0].revents != 0;
        let overdue = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if ended || overdue {
            if overdue && !ended {
                unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
            }
            let status = child.wait()?;
            if output_open {
                drain(output.as_raw_fd(), &mut done.stdout, None);
            }
            if errors_open {
                drain(errors.as_raw_fd(), &mut done.stderr, Some(2));
            }
            done.status = if overdue && !ended { -1 } else { status.code().unwrap_or(-1) };
            done.signal = status.signal().unwrap_or(0);
            return Ok(done);
        }
    }
}
