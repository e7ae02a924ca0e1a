//! A connection to a server: being made, or carrying messages.

use super::bindings::fumehood::dns::secure::Connecting;
use super::bindings::wasi::io::poll::Pollable;
use super::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use super::bindings::wasi::sockets::instance_network::instance_network;
use super::bindings::wasi::sockets::network::ErrorCode;
use super::bindings::wasi::sockets::tcp::TcpSocket;
use super::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use super::convert::{family_of, secure_error, server as to_wit, to_socket_address};
use super::sockets::describe;
use crate::{Channel, Deframer, Server, Transport, frame};

/// Bytes read at once.
const READ_BYTES: u64 = 16 << 10;

/// See [`Stage`] for where it stands. The fields are dropped in order,
/// children first.
pub(super) struct Line {
    stage: Stage,
    /// Whose streams they are; in TLS the host keeps it.
    socket: Option<TcpSocket>,
    unsent: Vec<u8>,
    received: Deframer,
}

enum Stage {
    /// TCP's handshake.
    Connecting(Pollable),
    /// The host's handshakes, TCP's and that of TLS.
    Securing(Pollable, Connecting),
    Open(Streams),
}

/// The fields are dropped in order, children first.
struct Streams {
    readable: Pollable,
    writable: Pollable,
    input: InputStream,
    output: OutputStream,
}

impl Line {
    pub(super) fn open(channel: Channel, server: &Server) -> Result<Self, String> {
        let (stage, socket) = if channel.transport == Transport::Tls {
            let connecting = Connecting::new(&to_wit(server.clone()));
            (Stage::Securing(connecting.subscribe(), connecting), None)
        } else {
            let socket = connect(server).map_err(describe)?;
            (Stage::Connecting(socket.subscribe()), Some(socket))
        };
        Ok(Line {
            stage,
            socket,
            unsent: Vec::new(),
            received: Deframer::default(),
        })
    }

    /// Sends it as soon as that can be: at the next [`advance`](Self::advance).
    pub(super) fn send(&mut self, message: &[u8]) {
        self.unsent.extend_from_slice(&frame(message));
    }

    pub(super) fn next_message(&mut self) -> Option<Vec<u8>> {
        self.received.next_message()
    }

    /// What to wait for.
    pub(super) fn pollables(&self) -> Vec<&Pollable> {
        match &self.stage {
            Stage::Connecting(ready) | Stage::Securing(ready, _) => vec![ready],
            Stage::Open(streams) if self.unsent.is_empty() => vec![&streams.readable],
            Stage::Open(streams) => vec![&streams.readable, &streams.writable],
        }
    }

    /// Does what can be done without waiting. The error is why it has ended.
    pub(super) fn advance(&mut self) -> Result<(), String> {
        if let Some((input, output)) = self.finish_opening()? {
            self.stage = Stage::Open(Streams {
                readable: input.subscribe(),
                writable: output.subscribe(),
                input,
                output,
            });
        }
        if let Stage::Open(streams) = &self.stage {
            let written = streams.write(&mut self.unsent);
            // A server that takes no more may have answered before.
            let bytes = streams.input.read(READ_BYTES).map_err(stream_error)?;
            self.received.push(&bytes);
            written?;
        }
        Ok(())
    }

    /// The streams, once there are some.
    fn finish_opening(&self) -> Result<Option<(InputStream, OutputStream)>, String> {
        match (&self.stage, &self.socket) {
            (Stage::Connecting(_), Some(socket)) => match socket.finish_connect() {
                Ok(streams) => Ok(Some(streams)),
                Err(ErrorCode::WouldBlock) => Ok(None),
                Err(why) => Err(describe(why)),
            },
            (Stage::Securing(_, connecting), _) => {
                connecting.finish().transpose().map_err(secure_error)
            }
            _ => Ok(None),
        }
    }
}

impl Streams {
    /// Writes as much as there is room for.
    fn write(&self, unsent: &mut Vec<u8>) -> Result<(), String> {
        if unsent.is_empty() {
            return Ok(());
        }
        let room = self.output.check_write().map_err(stream_error)?;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let length = unsent.len().min(room);
        if length > 0 {
            self.output.write(&unsent[..length]).map_err(stream_error)?;
            unsent.drain(..length);
        }
        Ok(())
    }
}

fn connect(server: &Server) -> Result<TcpSocket, ErrorCode> {
    let socket = create_tcp_socket(family_of(server.address))?;
    let remote = to_socket_address(server.address);
    socket.start_connect(&instance_network(), remote)?;
    Ok(socket)
}

fn stream_error(error: StreamError) -> String {
    match error {
        StreamError::Closed => "the server closed the connection".to_owned(),
        StreamError::LastOperationFailed(why) => why.to_debug_string(),
    }
}
