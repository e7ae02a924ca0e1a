//! Who judges a certificate: the verifier in use, and one more where that one ends.

use fumehood_control::{Aftermath, Cause, Instance};
use fumehood_crypto::PublicKey;

use super::verifier::{Judged, Question, Rejection};
use crate::registry::Registry;

/// Why there is no key.
pub(super) enum Unverified {
    /// The certificate is not believed.
    Rejected(Rejection),
    /// Nobody is left to ask.
    Nobody(Cause),
}

/// The key of a chain's leaf, if the chain is believed or belief was not asked
/// for. A verifier that ends is started again with its anchors and asked once
/// more, then the good version before it. A verdict depends on nothing but the
/// question, so the peer notices none of it. No answer is no belief.
pub(super) fn judge(
    registry: &Registry,
    question: Question<'_>,
) -> Result<(PublicKey, Instance), Unverified> {
    let version = registry.x509.current().map_err(Unverified::Nobody)?;
    let mut faults = match version.module.judge(question) {
        Ok(judged) => return told(judged),
        Err(faults) => faults,
    };
    let before = registry.x509.previous(version.digest());
    let judged = before.and_then(|before| match before.module.judge(question) {
        Ok(judged) => Some(judged),
        Err(more) => {
            faults.append(more);
            None
        }
    });
    let answer = match judged {
        Some(judged) => {
            faults.settle(Aftermath::Resumed);
            told(judged)
        }
        None => Err(Unverified::Nobody(
            faults.fail("no other instance could judge this chain either"),
        )),
    };
    registry.enforce();
    answer
}

fn told(judged: Judged) -> Result<(PublicKey, Instance), Unverified> {
    let Judged { verdict, by } = judged;
    match verdict {
        Ok(key) => Ok((key, by)),
        Err(rejection) => Err(Unverified::Rejected(rejection)),
    }
}
