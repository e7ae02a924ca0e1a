//! The codec's words in the embedder's types.

use fumehood_control::Cause;

use crate::instance::ProtocolError;
use crate::instance::http1::exports::fumehood::http1::client::{Limit, Truncation, Violation};

/// The cause for a protocol error that the guest found.
pub(super) fn cause_of_protocol(error: ProtocolError) -> Cause {
    match error {
        ProtocolError::Peer(violation) => Cause::HttpViolation(violation_name(violation).to_owned()),
        ProtocolError::Limit(limit) => Cause::Limit(limit_name(limit).to_owned()),
        ProtocolError::Truncated(truncation) => {
            Cause::Truncated { place: truncation_name(truncation).to_owned() }
        }
        ProtocolError::Misuse(what) => Cause::BadRequest(what),
    }
}

/// As in `wit/http1`.
fn violation_name(violation: Violation) -> &'static str {
    match violation {
        Violation::BadStatusLine => "bad-status-line",
        Violation::BadVersion => "bad-version",
        Violation::BadField => "bad-field",
        Violation::BareLineEnding => "bare-line-ending",
        Violation::ObsoleteFolding => "obsolete-folding",
        Violation::Nul => "nul",
        Violation::BadContentLength => "bad-content-length",
        Violation::AmbiguousLength => "ambiguous-length",
        Violation::BadTransferEncoding => "bad-transfer-encoding",
        Violation::BadChunk => "bad-chunk",
        Violation::BadChunkEnd => "bad-chunk-end",
        Violation::ForbiddenTrailer => "forbidden-trailer",
        Violation::UnsolicitedUpgrade => "unsolicited-upgrade",
        Violation::UnsolicitedBytes => "unsolicited-bytes",
    }
}

fn limit_name(limit: Limit) -> &'static str {
    match limit {
        Limit::HeadBytes => "head-bytes",
        Limit::FieldCount => "field-count",
        Limit::LineBytes => "line-bytes",
        Limit::InformationalCount => "informational-count",
    }
}

fn truncation_name(truncation: Truncation) -> &'static str {
    match truncation {
        Truncation::BeforeHead => "before-head",
        Truncation::InHead => "in-head",
        Truncation::InPayload => "in-payload",
    }
}
