//! The `x509` guest: a chain, an anchor and a name.
//!
//! Signatures are good unless they begin with `0xff`: no fuzzer forges one, and
//! what lies behind the check is what should be reached.
//!
//! An input is a list ([`crate::pieces`]): the time in days since 1970 (two
//! bytes), the name, the anchor, and the chain, leaf first.

use fumehood_crypto::fuzz::Toy;
use fumehood_engine::fuzz::VerifierInstance;
use fumehood_guest_x509::signatures::{self, Algorithm};
use fumehood_guest_x509::{MAX_CHAIN_LENGTH, Rejection, Verifier};

use crate::glass::{Guests, Shadow};
use crate::pieces;

/// Seconds.
const DAY: u64 = 24 * 60 * 60;

/// The guest survives and keeps its own rules.
pub fn run(data: &[u8]) {
    drive(data, Shadow::none());
}

/// The guest says the same natively and behind glass.
pub fn run_beside_glass(data: &[u8]) {
    run_beside(data, Guests::get());
}

/// The same with these guests.
pub fn run_beside(data: &[u8], guests: &Guests) {
    drive(data, guests.x509(check));
}

/// Whether an input's chain is believed.
#[must_use]
pub fn believes(data: &[u8]) -> bool {
    drive(data, Shadow::none())
}

fn check(_key: &[u8], _message: &[u8], signature: &[u8]) -> bool {
    Toy::believes(signature)
}

fn check_natively(_: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    check(key, message, signature)
}

/// Runs the input; tells whether the chain is believed.
fn drive(data: &[u8], mut shadow: Shadow<VerifierInstance>) -> bool {
    let pieces = pieces::split(data);
    let [days, name, anchor, chain @ ..] = pieces.as_slice() else {
        return false;
    };
    let days = days.iter().take(2).rev();
    let now = DAY * days.fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let name = String::from_utf8_lossy(name);
    let chain: Vec<Vec<u8>> = chain.iter().map(|der| der.to_vec()).collect();
    let anchors = [anchor.to_vec()];

    signatures::install(check_natively);
    let mut verifier = Verifier::default();
    shadow.ask(|it| it.set_anchors(&anchors));
    let held = verifier.set_anchors(&anchors);
    shadow.compare(|| held.to_string());

    shadow.ask(|it| it.verify(&chain, &name, now));
    let verdict = verifier.verify(&chain, &name, now);
    shadow.compare(|| format!("{verdict:?}"));
    let leaf = chain.first().map_or(&[][..], Vec::as_slice);
    shadow.ask(|it| it.unverified_key(leaf));
    let key = Verifier::unverified_key(leaf);
    shadow.compare(|| format!("{key:?}"));

    let believed = verdict.is_ok();
    match verdict {
        Ok(verdict) => {
            assert!(held == 1 && chain.len() <= MAX_CHAIN_LENGTH, "believed");
            assert_eq!(key, Ok(verdict), "another key without verification");
            let other = verifier.verify(&chain, "another.invalid", now);
            assert!(other.is_err(), "believed for another name: {other:?}");
            let stranger = Verifier::default().verify(&chain, &name, now);
            assert!(stranger.is_err(), "believed without an anchor");
        }
        Err(Rejection::WrongName(names)) => {
            let shown = |name: &String| name.bytes().all(|byte| byte.is_ascii_graphic());
            assert!(names.iter().all(shown), "{names:?}");
        }
        Err(_) => {}
    }
    believed
}
