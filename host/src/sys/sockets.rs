//! Network namespaces, and sockets in them.

use super::landing::{SCRATCH, landing};
use super::refusal::{refuse, with_fd};
use crate::calls::{retried, wait_for};
use rquickjs::{Ctx, Error, Result, TypedArray};

pub fn setns(ctx: Ctx<'_>, fd: i32, ns_type: i32) -> Result<()> {
    with_fd(&ctx, "setns", || unsafe { libc::setns(fd, ns_type) } as i64).map(drop)
}

pub fn ioctl(ctx: Ctx<'_>, fd: i32, request: u32) -> Result<i64> {
    with_fd(&ctx, "ioctl", || unsafe { libc::ioctl(fd, request as libc::Ioctl) } as i64)
}

pub fn socket(ctx: Ctx<'_>, domain: i32, kind: i32, protocol: i32) -> Result<i64> {
    with_fd(&ctx, "socket", || unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) } as i64)
}

pub fn connect_netlink(ctx: Ctx<'_>, fd: i32) -> Result<()> {
    let mut address = unsafe { std::mem::zeroed::<libc::sockaddr_nl>() };
    address.nl_family = libc::AF_NETLINK as u16;
    let size = size_of::<libc::sockaddr_nl>() as u32;
    with_fd(&ctx, "connect", || unsafe { libc::connect(fd, (&raw const address).cast(), size) } as i64).map(drop)
}

pub fn setsockopt(ctx: Ctx<'_>, fd: i32, level: i32, option: i32, value: i32) -> Result<()> {
    let call = || unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), 4) } as i64;
    with_fd(&ctx, "setsockopt", call).map(drop)
}

pub fn send<'js>(ctx: Ctx<'js>, fd: i32, data: TypedArray<'js, u8>) -> Result<()> {
    let raw = data.as_raw().ok_or(Error::Unknown)?;
    with_fd(&ctx, "send", || unsafe { libc::send(fd, raw.as_ptr().cast(), raw.len(), 0) } as i64).map(drop)
}

pub fn recv<'js>(ctx: Ctx<'js>, fd: i32, max: usize, timeout_ms: i32) -> Result<TypedArray<'js, u8>> {
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
