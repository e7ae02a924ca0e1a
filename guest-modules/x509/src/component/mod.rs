//! The verifier as a component: the world `fumehood:x509/x509-verifier`.
//!
//! An instance has one [`Verifier`], which is its state.

pub mod bindings;

use std::cell::RefCell;

use bindings::exports::fumehood::x509::verifier as wit;
use fumehood_guest_sdk::panic;

use crate::{KeyKind, Rejection, Verdict, Verifier};

/// Serves all connections.
#[derive(Debug)]
pub struct X509Verifier;

thread_local! {
    static VERIFIER: RefCell<Verifier> = RefCell::default();
}

impl wit::Guest for X509Verifier {
    fn set_anchors(anchors: Vec<Vec<u8>>) -> u32 {
        panic::install();
        let held = VERIFIER.with_borrow_mut(|verifier| verifier.set_anchors(&anchors));
        // At most MAX_ANCHORS.
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    fn verify(
        chain: Vec<Vec<u8>>,
        server_name: String,
        now: u64,
    ) -> Result<wit::Verdict, wit::Rejection> {
        panic::install();
        VERIFIER
            .with_borrow(|verifier| verifier.verify(&chain, &server_name, now))
            .map(wit::Verdict::from)
            .map_err(wit::Rejection::from)
    }

    fn unverified_key(leaf: Vec<u8>) -> Result<wit::Verdict, wit::Rejection> {
        panic::install();
        Verifier::unverified_key(&leaf)
            .map(wit::Verdict::from)
            .map_err(wit::Rejection::from)
    }
}

impl From<Verdict> for wit::Verdict {
    fn from(verdict: Verdict) -> Self {
        let kind = match verdict.kind {
            KeyKind::P256 => wit::KeyKind::P256,
            KeyKind::P384 => wit::KeyKind::P384,
            KeyKind::P521 => wit::KeyKind::P521,
            KeyKind::Ed25519 => wit::KeyKind::Ed25519,
            KeyKind::Rsa => wit::KeyKind::Rsa,
        };
        wit::Verdict {
            kind,
            public_key: verdict.public_key,
        }
    }
}

impl From<Rejection> for wit::Rejection {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Malformed => wit::Rejection::Malformed,
            Rejection::Limit => wit::Rejection::Limit,
            Rejection::Expired(at) => wit::Rejection::Expired(at),
            Rejection::NotYetValid(at) => wit::Rejection::NotYetValid(at),
            Rejection::UnknownIssuer => wit::Rejection::UnknownIssuer,
            Rejection::BadSignature => wit::Rejection::BadSignature,
            Rejection::WrongName(names) => wit::Rejection::WrongName(names),
            Rejection::WrongPurpose => wit::Rejection::WrongPurpose,
            Rejection::NameConstraint => wit::Rejection::NameConstraint,
            Rejection::Other(rule) => wit::Rejection::Other(rule),
        }
    }
}
