//! What a guest may set on a socket: kept here, since only part of it can be
//! read back from the kernel inside the sandbox.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;

use super::bindings::wasi::sockets::network::ErrorCode;

/// Largest buffer that a guest may ask the kernel for, in bytes, in each direction.
const MAX_BUFFER: u64 = 4 << 20;

/// Smallest, as the kernel has it.
const MIN_BUFFER: u64 = 4 << 10;

/// Longest time between two keep-alive probes that the kernel takes.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(32_767);

/// Most keep-alive probes that the kernel takes.
const MAX_PROBES: u32 = 127;

/// As set, or as the kernel's are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub keep_alive: bool,
    pub idle: Duration,
    pub interval: Duration,
    pub count: u32,
    pub receive_buffer: u64,
    pub send_buffer: u64,
    /// Which of these are to be told to the kernel.
    set: Set,
}

#[derive(Clone, Copy, Debug, Default)]
struct Set {
    keep_alive: bool,
    idle: bool,
    interval: bool,
    count: bool,
    receive_buffer: bool,
    send_buffer: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            keep_alive: false,
            idle: Duration::from_secs(7200),
            interval: Duration::from_secs(75),
            count: 9,
            receive_buffer: 128 << 10,
            send_buffer: 16 << 10,
            set: Set::default(),
        }
    }
}

impl Options {
    pub(super) fn set_keep_alive(&mut self, enabled: bool) {
        (self.keep_alive, self.set.keep_alive) = (enabled, true);
    }

    pub(super) fn set_idle(&mut self, nanoseconds: u64) -> Result<(), ErrorCode> {
        (self.idle, self.set.idle) = (probe_time(nanoseconds)?, true);
        Ok(())
    }

    pub(super) fn set_interval(&mut self, nanoseconds: u64) -> Result<(), ErrorCode> {
        (self.interval, self.set.interval) = (probe_time(nanoseconds)?, true);
        Ok(())
    }

    pub(super) fn set_count(&mut self, count: u32) -> Result<(), ErrorCode> {
        if count == 0 {
            return Err(ErrorCode::InvalidArgument);
        }
        (self.count, self.set.count) = (count.min(MAX_PROBES), true);
        Ok(())
    }

    pub(super) fn set_receive_buffer(&mut self, bytes: u64) -> Result<(), ErrorCode> {
        (self.receive_buffer, self.set.receive_buffer) = (buffer(bytes)?, true);
        Ok(())
    }

    pub(super) fn set_send_buffer(&mut self, bytes: u64) -> Result<(), ErrorCode> {
        (self.send_buffer, self.set.send_buffer) = (buffer(bytes)?, true);
        Ok(())
    }

    /// Tells the kernel what was set. A UDP socket has no keep-alive to set.
    pub(super) fn apply(&self, socket: &impl AsFd) -> io::Result<()> {
        if self.set.keep_alive {
            sockopt::set_socket_keepalive(socket, self.keep_alive)?;
        }
        if self.set.idle {
            sockopt::set_tcp_keepidle(socket, self.idle)?;
        }
        if self.set.interval {
            sockopt::set_tcp_keepintvl(socket, self.interval)?;
        }
        if self.set.count {
            sockopt::set_tcp_keepcnt(socket, self.count)?;
        }
        if self.set.receive_buffer {
            sockopt::set_socket_recv_buffer_size(socket, in_memory(self.receive_buffer))?;
        }
        if self.set.send_buffer {
            sockopt::set_socket_send_buffer_size(socket, in_memory(self.send_buffer))?;
        }
        Ok(())
    }
}

fn probe_time(nanoseconds: u64) -> Result<Duration, ErrorCode> {
    if nanoseconds == 0 {
        return Err(ErrorCode::InvalidArgument);
    }
    // The kernel counts in seconds, of which there is one at least.
    let seconds = nanoseconds.div_ceil(1_000_000_000);
    Ok(Duration::from_secs(seconds).min(MAX_KEEP_ALIVE))
}

fn buffer(bytes: u64) -> Result<u64, ErrorCode> {
    if bytes == 0 {
        return Err(ErrorCode::InvalidArgument);
    }
    Ok(bytes.clamp(MIN_BUFFER, MAX_BUFFER))
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
