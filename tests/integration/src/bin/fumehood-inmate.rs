//! Tries what a confined program may try, and says on a line each what came of
//! it: `ok`, or the number of the error.
//!
//! ```text
//! fumehood-inmate tcp 127.0.0.1:80 udp 192.0.2.1:53 family 40 pair datagrams unix /run/x read /etc/passwd signal 1
//! ```

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};

use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Pid, test_kill_process};

fn main() -> io::Result<()> {
    let mut words = env::args().skip(1);
    while let Some(what) = words.next() {
        let outcome = match what.as_str() {
            "pair" => UnixStream::pair().map(drop),
            "datagrams" => UnixDatagram::pair().map(drop),
            _ => attempt(&what, &words.next().unwrap_or_default()),
        };
        let outcome = match outcome {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.raw_os_error().unwrap_or(0).to_string(),
        };
        writeln!(io::stdout(), "{what} {outcome}")?;
    }
    Ok(())
}

fn attempt(what: &str, object: &str) -> io::Result<()> {
    let number = || object.parse::<u16>().map_err(io::Error::other);
    match what {
        "tcp" => TcpStream::connect(object).map(drop),
        "udp" => {
            let local = if object.starts_with('[') {
                "[::]:0"
            } else {
                "0.0.0.0:0"
            };
            UdpSocket::bind(local)?.send_to(b"out", object).map(drop)
        }
        "unix" => UnixStream::connect(object).map(drop),
        "family" => {
            let family = AddressFamily::from_raw(number()?);
            Ok(socket(family, SocketType::STREAM, None).map(drop)?)
        }
        "read" => File::open(object)?.read(&mut [0]).map(drop),
        "signal" => {
            let pid = Pid::from_raw(object.parse().map_err(io::Error::other)?);
            let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
            Ok(test_kill_process(pid)?)
        }
        _ => Err(io::Error::other(format!("{what} is not known"))),
    }
}
