//! The x509 guest with a trap in it, for tests.
//!
//! It is the real verifier until a chain's leaf holds `fumehood-fault-NAME`,
//! as a label of a name it is for, say. What is named happens when the chain
//! is judged:
//!
//! | name | what happens |
//! |---|---|
//! | `trap`, `hang`, `memory` | as said |
//! | `once` | a trap, where the instance has judged another chain before |
//! | `other` | the key of the issuer is told as the leaf's |
//! | `nokey` | a key is told that is none |
#![cfg(target_family = "wasm")]

use std::cell::Cell;

use bindings::exports::fumehood::x509::verifier::{Guest, KeyKind, Rejection, Verdict};
use fumehood_guest_x509::component::{X509Verifier, bindings};
use fumehood_program_faults::{asked_for, strike};

thread_local! {
    /// A chain was judged by this instance.
    static JUDGED: Cell<bool> = const { Cell::new(false) };
}

struct Faulty;

bindings::export_x509_verifier!(Faulty with_types_in bindings);

impl Guest for Faulty {
    fn set_anchors(anchors: Vec<Vec<u8>>) -> u32 {
        X509Verifier::set_anchors(anchors)
    }

    fn verify(chain: Vec<Vec<u8>>, server_name: String, now: u64) -> Result<Verdict, Rejection> {
        let leaf = chain.first().cloned().unwrap_or_default();
        let fault = asked_for(&leaf);
        if fault == Some("once") && JUDGED.get() {
            strike("trap");
        }
        JUDGED.set(true);
        fault.into_iter().for_each(strike);
        let other = chain.get(1).cloned().unwrap_or_default();
        let verdict = X509Verifier::verify(chain, server_name, now)?;
        match fault {
            Some("other") => X509Verifier::unverified_key(other),
            Some("nokey") => Ok(Verdict {
                kind: KeyKind::P256,
                public_key: vec![4; 65],
            }),
            _ => Ok(verdict),
        }
    }

    fn unverified_key(leaf: Vec<u8>) -> Result<Verdict, Rejection> {
        X509Verifier::unverified_key(leaf)
    }
}
