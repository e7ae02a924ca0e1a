//! A clock that stands still: the time the host passed with `start`.

use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// The moment the handshake began.
#[derive(Debug)]
pub(crate) struct Moment(pub(crate) u64);

impl TimeProvider for Moment {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}
