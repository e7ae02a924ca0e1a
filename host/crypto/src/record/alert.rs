//! Alerts (RFC 8446 section 6).

/// An alert's description (IANA "TLS Alerts").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert(pub u8);

impl Alert {
    /// The sender has sent all it had to.
    pub const CLOSE_NOTIFY: Alert = Alert(0);
    /// A message that does not belong here.
    pub const UNEXPECTED_MESSAGE: Alert = Alert(10);
    /// A record does not authenticate.
    pub const BAD_RECORD_MAC: Alert = Alert(20);
    /// A record is too long.
    pub const RECORD_OVERFLOW: Alert = Alert(22);
    /// A message cannot be parsed.
    pub const DECODE_ERROR: Alert = Alert(50);
    /// Something went wrong here that is not the peer's fault.
    pub const INTERNAL_ERROR: Alert = Alert(80);
    /// The sender gives up; a close_notify follows.
    pub const USER_CANCELED: Alert = Alert(90);
    /// TLS 1.2: no second handshake.
    pub const NO_RENEGOTIATION: Alert = Alert(100);

    /// Its content in a record: level and description.
    #[must_use]
    pub fn content(self) -> [u8; 2] {
        const WARNING: u8 = 1;
        const FATAL: u8 = 2;
        let level = if self == Alert::CLOSE_NOTIFY {
            WARNING
        } else {
            FATAL
        };
        [level, self.0]
    }

    /// Its name in the registry.
    #[must_use]
    pub fn name(self) -> &'static str {
        description(self.0)
    }
}

/// The registry's name of an alert description.
#[must_use]
pub fn description(code: u8) -> &'static str {
    match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "an unregistered alert",
    }
}
