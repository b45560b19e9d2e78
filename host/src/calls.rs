//! What every system call needs, whoever makes it: its errno, the repeating of an interrupted one, waiting.

/// The last errno.
pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Repeats a call that a signal interrupted; -1 becomes the errno.
pub fn retried(mut call: impl FnMut() -> i64) -> Result<i64, i32> {
    loop {
        match call() {
            -1 if errno() == libc::EINTR => {}
            -1 => return Err(errno()),
            value => return Ok(value),
        }
    }
}

/// Whether one of the events came in time; a time of -1 is for ever.
pub fn wait_for(fd: i32, events: i16, timeout_ms: i32) -> Result<bool, i32> {
    let mut poll = libc::pollfd { fd, events, revents: 0 };
    retried(|| unsafe { libc::poll(&mut poll, 1, timeout_ms) } as i64).map(|ready| ready > 0)
}

/// Writes all of it; waits where the other end is a full non-blocking pipe.
pub fn write_all(fd: i32, mut bytes: &[u8]) -> Result<(), i32> {
    while !bytes.is_empty() {
        match retried(|| unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) } as i64) {
            Ok(written) => bytes = &bytes[written as usize..],
            Err(libc::EAGAIN) => drop(wait_for(fd, libc::POLLOUT, -1)?),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// What was read, as text.
pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
