//! `wasi:clocks`: what time it is, and waiting for it.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use wasmtime::Result;
use wasmtime::component::Resource;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use super::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use super::link::View;

/// The monotonic clock's zero. Guests are not told how long the machine is up.
static ZERO: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Longest wait of one pollable; no transfer lasts as long.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A moment to wait for.
struct Alarm(Instant);

#[async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        tokio::time::sleep_until(self.0).await;
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl View<'_> {
    fn alarm(&mut self, wait: Duration) -> Result<Resource<DynPollable>> {
        let alarm = self
            .table
            .push(Alarm(Instant::now() + wait.min(MAX_WAIT)))?;
        subscribe(self.table, alarm)
    }
}

impl monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(nanoseconds(ZERO.elapsed()))
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.alarm(Duration::from_nanos(when).saturating_sub(ZERO.elapsed()))
    }

    fn subscribe_duration(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.alarm(Duration::from_nanos(when))
    }
}

impl wall_clock::Host for View<'_> {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        // Before 1970 it is 1970.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(wall_clock::Datetime {
            seconds: since.as_secs(),
            nanoseconds: since.subsec_nanos(),
        })
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: 0,
            nanoseconds: 1,
        })
    }
}
