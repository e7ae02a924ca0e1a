//! Generated bindings of the worlds `tls-client` and `x509-verifier`, and nothing else.

pub(crate) mod client {
    #![allow(
        missing_docs,
        reason = "generated; documented in wit/tls and wit/crypto"
    )]
    wasmtime::component::bindgen!({
        world: "fumehood:tls/tls-client",
        path: ["../../wit/guest", "../../wit/crypto", "../../wit/tls"],
        imports: { default: trappable },
        additional_derives: [serde::Serialize, serde::Deserialize],
        with: {
            "fumehood:crypto/keys.key-exchange": fumehood_crypto::KeyExchange,
            "fumehood:crypto/keys.transcript": fumehood_crypto::Transcript,
            "fumehood:crypto/keys.record-key": fumehood_crypto::GuestKey,
        },
    });
}

pub(crate) mod x509 {
    #![allow(
        missing_docs,
        reason = "generated; documented in wit/x509 and wit/crypto"
    )]
    wasmtime::component::bindgen!({
        world: "fumehood:x509/x509-verifier",
        path: ["../../wit/guest", "../../wit/crypto", "../../wit/x509"],
    });
}
