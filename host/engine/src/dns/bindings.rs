//! Generated bindings of the world `dns-resolver`, and nothing else. Its WASI is
//! that of the drivers.
#![allow(missing_docs, reason = "generated; documented in wit/dns and wit/deps")]

wasmtime::component::bindgen!({
    world: "fumehood:dns/dns-resolver",
    path: [
        "../../wit/guest",
        "../../wit/deps/io",
        "../../wit/deps/clocks",
        "../../wit/deps/random",
        "../../wit/deps/sockets",
        "../../wit/dns",
    ],
    imports: { default: trappable },
    exports: { default: async },
    with: {
        "fumehood:guest/panic": crate::driver::bindings::fumehood::guest::panic,
        "wasi:io/error": wasmtime_wasi_io::bindings::wasi::io::error,
        "wasi:io/poll": wasmtime_wasi_io::bindings::wasi::io::poll,
        "wasi:io/streams": wasmtime_wasi_io::bindings::wasi::io::streams,
        "wasi:clocks": crate::driver::bindings::wasi::clocks,
        "wasi:random": crate::driver::bindings::wasi::random,
        "wasi:sockets": crate::driver::bindings::wasi::sockets,
        "fumehood:dns/secure.connecting": super::secure::Connecting,
        "fumehood:dns/secure.posting": super::secure::Posting,
    },
    require_store_data_send: true,
});
