//! Makes every address one of this machine: `lo` up, and local routes to
//! everything, by `rtnetlink(7)`.

use std::io;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

/// `lo` is the first interface of every network namespace.
const LOOPBACK_INDEX: u32 = 1;

/// The kernel's answer is one header and an error number, behind which it
/// repeats the request. In bytes.
const ANSWER_BYTES: usize = 256;

// Numbers of <linux/netlink.h>, <linux/rtnetlink.h> and <linux/if.h>.
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_CREATE: u16 = 0x400;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWROUTE: u16 = 24;
const RTA_OIF: u16 = 4;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_HOST: u8 = 254;
const RTN_LOCAL: u8 = 2;
const IFF_UP: u32 = 1;
const HEADER_BYTES: usize = 16;

/// Does so, for IPv4 and IPv6.
pub(super) fn own_every_address() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    let ask = |kind: u16, body: &[u8]| -> io::Result<()> {
        send(&socket, &message(kind, body), SendFlags::empty())?;
        let mut answer = [0; ANSWER_BYTES];
        let (read, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
        acknowledged(&answer[..read])
    };
    ask(RTM_NEWLINK, &link_up())?;
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        ask(RTM_NEWROUTE, &local_route(family))?;
    }
    Ok(())
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(u32::MAX);
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence and port: one question at a time, and the kernel knows us.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// `struct ifinfomsg`.
fn link_up() -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(LOOPBACK_INDEX.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes());
    body
}

/// `struct rtmsg` and the interface: everything of the family is local.
fn local_route(family: AddressFamily) -> Vec<u8> {
    let family = u8::try_from(family.as_raw()).unwrap_or_default();
    let (any_destination, any_source, any_service) = (0, 0, 0);
    let mut body = vec![family, any_destination, any_source, any_service];
    body.extend([RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL]);
    body.extend([0; 4]);
    body.extend(8_u16.to_ne_bytes());
    body.extend(RTA_OIF.to_ne_bytes());
    body.extend(LOOPBACK_INDEX.to_ne_bytes());
    body
}

fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|it| it.try_into().ok());
    let error = answer
        .get(HEADER_BYTES..HEADER_BYTES + 4)
        .and_then(|it| it.try_into().ok());
    match (kind.map(u16::from_ne_bytes), error.map(i32::from_ne_bytes)) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(error)) => {
            Err(Errno::from_raw_os_error(error.saturating_neg()).into())
        }
        _ => Err(io::Error::other("the kernel's answer is not understood")),
    }
}
