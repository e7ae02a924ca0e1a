//! A script being played on a connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::wire::Wire;
use super::{End, Request, Script, Step};

/// Plays the script; hands every request to `keep` as soon as it is read. An
/// error means that the peer went away first, which is its right.
pub(super) fn play(wire: Wire, script: &Script, keep: &mut dyn FnMut(Request)) -> io::Result<()> {
    let mut wire = BufReader::new(wire);
    for step in &script.steps {
        if !perform(&mut wire, step, keep)? {
            return Ok(());
        }
    }
    end(wire, script.end)
}

/// False where the peer has closed and the script is over.
fn perform(
    wire: &mut BufReader<Wire>,
    step: &Step,
    keep: &mut dyn FnMut(Request),
) -> io::Result<bool> {
    match step {
        Step::Request | Step::RequestHead => {
            let Some(mut request) = Request::read_head(wire)? else {
                return Ok(false);
            };
            if matches!(step, Step::Request) {
                request.read_content(wire)?;
            }
            keep(request);
        }
        Step::FirstBytes => return Ok(!wire.fill_buf()?.is_empty()),
        Step::Send(bytes) => send(wire.get_mut(), bytes)?,
        Step::Repeat(bytes, times) => repeat(wire.get_mut(), bytes, *times)?,
        Step::SendRaw(bytes) => wire.get_ref().socket().write_all(bytes)?,
        Step::Gate(gate) => gate.pass(),
    }
    Ok(true)
}

fn send(wire: &mut Wire, bytes: &[u8]) -> io::Result<()> {
    wire.write_all(bytes)?;
    wire.flush()
}

/// In large pieces, so that a million small ones cost no million calls.
fn repeat(wire: &mut Wire, bytes: &[u8], times: usize) -> io::Result<()> {
    let at_once = (64 * 1024 / bytes.len().max(1)).clamp(1, times.max(1));
    let block = bytes.repeat(at_once);
    let mut left = times;
    while left > 0 {
        let now = left.min(at_once);
        wire.write_all(&block[..now * bytes.len()])?;
        left -= now;
    }
    wire.flush()
}

fn end(mut wire: BufReader<Wire>, end: End) -> io::Result<()> {
    match end {
        End::Close => wire.get_mut().say_farewell()?,
        End::Truncate => {}
        End::Reset => return reset(wire.get_ref().socket()),
        End::Stall => return drain(wire.get_ref().socket()),
    }
    let socket = wire.get_ref().socket();
    socket.shutdown(Shutdown::Write)?;
    // Closing with something unread would reset the connection and take
    // from the peer what was sent.
    drain(socket)
}

/// The close that follows sends RST.
fn reset(socket: &TcpStream) -> io::Result<()> {
    Ok(set_socket_linger(socket, Some(Duration::ZERO))?)
}

/// Reads until the peer goes.
fn drain(mut socket: &TcpStream) -> io::Result<()> {
    let mut waste = [0; 16 * 1024];
    while socket.read(&mut waste)? > 0 {}
    Ok(())
}
