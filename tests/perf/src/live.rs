//! Modules live, seen from inside: swaps, resumption, instances at a stretch.

use std::time::{Duration, Instant};

use fumehood_engine::measure::Guests;
use fumehood_policy::{Host, Scheme, Target};
use fumehood_tests::certs::TestCa;
use rustix::time::{ClockId, clock_gettime};

use crate::{Outcome, Row, guests, median, own, text};

/// Swaps, and resumptions, for a median.
const ROUNDS: u8 = 101;

/// Time for which instances are made, for a rate a second of one core's time.
const STRETCH: Duration = Duration::from_millis(500);

/// Stretches for a median.
const STRETCHES: usize = 5;

/// Instances between two looks at the clock.
const BATCH: u32 = 50;

/// Instances of idle connections that are held.
const HELD: usize = 5000;

/// Instances over which memory is measured, and those before, which warm up what all
/// share.
const COUNTED: usize = 300;
const WARM_UP: usize = 60;

fn target() -> Result<Target, String> {
    Ok(Target {
        scheme: Scheme::Http,
        host: Host::parse("localhost").map_err(text)?,
        port: 80,
    })
}

/// A module loaded, linked, tried and made current; and a head that ends a
/// codec twice, until the version before takes over.
pub(crate) fn changes() -> Outcome {
    let guests = guests::load(&TestCa::new())?;
    let mut swaps = Vec::new();
    for number in 1..=ROUNDS {
        let took = guests.load_and_swap(&guests::code("http1", number)?)?;
        swaps.push(microseconds(took));
    }
    guests.load_and_swap(&guests::named_code("http1", "http1-faulty", u8::MAX)?)?;
    let target = target()?;
    let resumptions = (0..ROUNDS)
        .map(|_| guests.resume(&target).map(microseconds))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(vec![
        Row::alone("swap", median(swaps)),
        Row::alone("resume", median(resumptions)),
    ])
}

/// Instances made, called once and dropped on one core, a second; then the
/// same while others idle.
pub(crate) fn rates() -> Outcome {
    let guests = guests::load(&TestCa::new())?;
    let target = target()?;
    let alone = rate(&guests, &target)?;
    let idle = guests.idle(&target, HELD)?;
    let beside = rate(&guests, &target)?;
    drop(idle);
    Ok(vec![
        Row::alone("instances-rate", alone),
        Row {
            case: "instances-rate-held",
            ours: beside,
            peer: Some((alone, "with none held")),
        },
    ])
}

/// Memory of an instance that idles behind an exchange, in KiB.
pub(crate) fn memory() -> Outcome {
    let guests = guests::load(&TestCa::new())?;
    let target = target()?;
    let first = guests.idle(&target, WARM_UP)?;
    let before = own::kib()?;
    let counted = guests.idle(&target, COUNTED)?;
    let grown = own::kib()?.saturating_sub(before);
    drop((first, counted));
    let each = grown as f64 / COUNTED as f64;
    Ok(vec![Row::alone("instance-memory", each)])
}

fn rate(guests: &Guests, target: &Target) -> Result<f64, String> {
    let mut rates = Vec::new();
    for _ in 0..STRETCHES {
        let (began, worked, mut made) = (Instant::now(), processor_time(), 0);
        while began.elapsed() < STRETCH {
            for _ in 0..BATCH {
                guests.instance_life(target)?;
            }
            made += BATCH;
        }
        rates.push(f64::from(made) / (processor_time() - worked).as_secs_f64());
    }
    Ok(median(rates))
}

/// What this thread has had of a core: others may have had the rest.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn microseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}
