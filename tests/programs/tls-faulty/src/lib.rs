//! The tls guest with a trap in it, for tests.
//!
//! It is the real guest until the server asks for a fault by writing
//! `fumehood-fault-NAME` where a server may write what it likes:
//!
//! * in the random of its ServerHello, for a fault in the handshake;
//! * in a ticket, for one behind the handshake;
//! * in a handshake record of its own making, which the real guest is not shown.
//!
//! | name | where | what happens |
//! |---|---|---|
//! | `trap`, `hang`, `memory` | anywhere | as said |
//! | `end` | hello | a trap when the handshake is done |
//! | `garbage` | hello, ticket | keys are named that nobody made |
//! | `swapped` | hello | the keys of either direction are named as the other's |
//! | `skip:N` | hello | keys are derived from secret number N, before anybody was asked whether the server is who it should be |
//! | `take:N:M` | record | keys N and M, of whatever connection, are named |
//! | `vouch` | record | the certificate behind the name is shown to the verifier in place of the server's |
//! | `handles` | hello | transcripts are begun without end |
//! | `transfer` | hello | 2 MiB are passed to the host at once |
//! | `update` | ticket | a trap at the next key update, behind its work |
//!
//! An instance that adopts a connection traps at every key update. It traps at
//! once where the connection's suite is ChaCha20-Poly1305's, and says that it
//! cannot where it is that of AES-128.
#![cfg(target_family = "wasm")]

mod rogue;

use std::cell::{Cell, RefCell};

use bindings::exports::fumehood::tls::client::{
    Blame, Config, Established, Failure, Guest, Progress, Update,
};
use fumehood_guest_tls::component::{TlsClient, bindings};
use fumehood_program_faults::{asked_for, strike};

/// Where the content of a record begins.
const RECORD_HEADER: usize = 5;

/// A handshake record's type, and a ServerHello's, a ticket's and a key
/// update's (RFC 8446 sections 4 and 5.1).
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const KEY_UPDATE: u8 = 24;

/// TLS_AES_128_GCM_SHA256 and TLS_CHACHA20_POLY1305_SHA256 (RFC 8446 appendix B.4).
const AES_128: u16 = 0x1301;
const CHACHA20: u16 = 0x1303;

thread_local! {
    /// What the ServerHello asked for.
    static AT_THE_END: RefCell<String> = const { RefCell::new(String::new()) };
    /// Key updates trap.
    static NO_UPDATES: Cell<bool> = const { Cell::new(false) };
}

struct Faulty;

bindings::export_tls_client!(Faulty with_types_in bindings);

impl Guest for Faulty {
    fn start(config: Config) -> Result<Progress, Failure> {
        TlsClient::start(config)
    }

    fn adopt(established: Established) -> Result<(), Failure> {
        NO_UPDATES.set(true);
        match established.cipher_suite {
            AES_128 => Err(Failure {
                blame: Blame::Incompatible,
                message: "this guest knows nothing of the suite".to_owned(),
                alert: Vec::new(),
            }),
            CHACHA20 => panic!("the connection's suite asked this guest to trap"),
            _ => TlsClient::adopt(established),
        }
    }

    fn receive(record: Vec<u8>) -> Result<Progress, Failure> {
        let content = record.get(RECORD_HEADER..).unwrap_or_default();
        if record.first() == Some(&HANDSHAKE)
            && let Some(fault) = asked_for(content)
        {
            strike(fault);
            if content.first() != Some(&SERVER_HELLO) {
                return Ok(rogue::record(fault, content));
            }
            let hello = content.to_vec();
            let progress = TlsClient::receive(record.clone())?;
            AT_THE_END.set(fault.to_owned());
            return Ok(rogue::hello(fault, &hello, progress));
        }
        let mut progress = TlsClient::receive(record)?;
        if let Some(established) = &mut progress.established {
            AT_THE_END.with_borrow(|fault| rogue::end(fault, established));
        }
        Ok(progress)
    }

    fn post_handshake(message: Vec<u8>) -> Result<Update, Failure> {
        let is_update = message.first() == Some(&KEY_UPDATE);
        let fault = asked_for(&message).map(str::to_owned);
        let update = TlsClient::post_handshake(message)?;
        if is_update && NO_UPDATES.get() {
            panic!("the peer asked this guest to trap at a key update");
        }
        Ok(match fault.as_deref() {
            Some("update") => {
                NO_UPDATES.set(true);
                update
            }
            Some("garbage") => rogue::UPDATE,
            Some(fault) => {
                strike(fault);
                update
            }
            None => update,
        })
    }

    fn renew_outbound() -> Result<Update, Failure> {
        TlsClient::renew_outbound()
    }
}
