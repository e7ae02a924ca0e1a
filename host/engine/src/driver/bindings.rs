//! Generated bindings of the world `driver`, and nothing else.
#![allow(
    missing_docs,
    reason = "generated; documented in wit/driver and wit/deps"
)]

wasmtime::component::bindgen!({
    world: "fumehood:driver/driver",
    path: [
        "../../wit/guest",
        "../../wit/deps/io",
        "../../wit/deps/clocks",
        "../../wit/deps/random",
        "../../wit/deps/sockets",
        "../../wit/driver",
    ],
    imports: {
        // Asks the broker for a socket, which takes it no time.
        "wasi:sockets/udp.[method]udp-socket.stream": async | trappable,
        "wasi:sockets/udp.[method]outgoing-datagram-stream.send": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    trappable_error_type: {
        "wasi:sockets/network.error-code" => super::errors::SocketError,
    },
    with: {
        "wasi:io/error": wasmtime_wasi_io::bindings::wasi::io::error,
        "wasi:io/poll": wasmtime_wasi_io::bindings::wasi::io::poll,
        "wasi:io/streams": wasmtime_wasi_io::bindings::wasi::io::streams,
        "wasi:sockets/network.network": super::link::Network,
        "wasi:sockets/tcp.tcp-socket": super::tcp::TcpSocket,
        "wasi:sockets/udp.udp-socket": super::udp::UdpSocket,
        "wasi:sockets/udp.incoming-datagram-stream": super::udp::Incoming,
        "wasi:sockets/udp.outgoing-datagram-stream": super::udp::Outgoing,
        "wasi:sockets/ip-name-lookup.resolve-address-stream": super::lookup::Addresses,
    },
    require_store_data_send: true,
});
