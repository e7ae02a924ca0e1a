//! Word of the kernel's that addresses or routes came or went, by `rtnetlink(7)`.

use std::io;

use fumehood_sandbox::ReadyFd;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

// Groups of <linux/rtnetlink.h>, which anybody may listen to.
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV4_ROUTE: u32 = 0x40;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
const RTMGRP_IPV6_ROUTE: u32 = 0x400;

/// Bytes read of a notice; what it says does not matter, and the rest of it goes.
const NOTICE_BYTES: usize = 16;

/// A socket that becomes readable when something came or went.
pub(super) struct Notices(ReadyFd);

impl Notices {
    /// Must be called on a runtime with I/O.
    ///
    /// # Errors
    /// Where the kernel, or what confines this program, has no such sockets.
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        let groups =
            RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
        bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        ReadyFd::new(socket)
            .map(Notices)
            .map_err(|(_, error)| error)
    }

    /// Waits for a notice, and reads all there are.
    pub(super) async fn heard(&self) -> io::Result<()> {
        let mut buffer = [0; NOTICE_BYTES];
        let mut heard = false;
        while !heard {
            let mut ready = self.0.readable().await?;
            loop {
                match recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
                    // Some were lost, which is word enough.
                    Ok(_) | Err(Errno::NOBUFS) => heard = true,
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => break ready.clear_ready(),
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        Ok(())
    }
}
