//! Guests' memory while a large body passes: how much, and what is in it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use fumehood_tests::certs::TestCa;

use crate::server::{BODY_MARKER, HEAD_MARKER, Server};
use crate::{Outcome, Row, guests, text};

/// As whose first argument a child is to run one transfer.
pub(crate) const TRANSFER: &str = "--transfer";

/// The small and the large body, in bytes.
const SMALL: u64 = 1 << 10;
const LARGE: u64 = 1 << 30;

/// Guests of one https exchange: codec, TLS and the shared verifier.
const GUESTS: f64 = 3.0;

/// Least size of an inaccessible mapping beside a slot, in bytes: a thread's
/// guard is smaller.
const GUARD: u64 = 1 << 20;

/// Least size of the larger of a slot's two guards, in bytes: an allocator's
/// reserve is smaller.
const LARGE_GUARD: u64 = 1 << 30;

/// What was found in the guests' memory.
struct Found {
    /// Bytes of it that are resident.
    resident: u64,
    /// Times the body's marker stands in it.
    bodies: usize,
    /// Times the head's marker stands in it.
    heads: usize,
}

pub(crate) fn measure() -> Outcome {
    let small = in_child(SMALL)?;
    let large = in_child(LARGE)?;
    if large.heads == 0 {
        // The codec has seen the head, so a search that does not find it
        // would not find a body either.
        return Err("the search of the guests' memory does not find even the head".to_owned());
    }
    let growth = large.resident.saturating_sub(small.resident);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(vec![
        Row::alone("guest-memory", mib(large.resident) / GUESTS),
        Row::alone("guest-memory-growth", growth as f64),
        Row::alone("guest-payload", (large.bodies * BODY_MARKER.len()) as f64),
    ])
}

/// A transfer in a process of its own, so that there is one pool to search.
fn in_child(length: u64) -> Result<Found, String> {
    let program = std::env::current_exe().map_err(text)?;
    let output = Command::new(program)
        .args([TRANSFER, &length.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .map_err(text)?;
    let printed = String::from_utf8(output.stdout).map_err(text)?;
    let mut numbers = printed.split_ascii_whitespace().map(str::parse::<u64>);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(resident)), Some(Ok(bodies)), Some(Ok(heads))) => Ok(Found {
            resident,
            bodies: usize::try_from(bodies).map_err(text)?,
            heads: usize::try_from(heads).map_err(text)?,
        }),
        _ => Err(format!("a transfer of {length} bytes failed")),
    }
}

/// The child's part: prints what it found.
pub(crate) fn transfer(length: &str) -> Result<String, String> {
    let found = after_transfer(length.parse().map_err(text)?)?;
    Ok(format!(
        "{} {} {}",
        found.resident, found.bodies, found.heads
    ))
}

/// Runs one transfer and looks at the guests' memory at its end.
fn after_transfer(length: u64) -> Result<Found, String> {
    let ca = TestCa::new();
    let guests = guests::load(&ca)?;
    let server = Server::start(&ca)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(text)?;
    runtime.block_on(async {
        let sink = File::options()
            .write(true)
            .open("/dev/null")
            .map_err(text)?;
        let path = format!("/{length}");
        guests
            .exchange(
                server.connect()?,
                &server.target(),
                &path,
                sink.into(),
                |summary| {
                    if summary.payload_received != length {
                        return Err(format!(
                            "{} of {length} bytes came",
                            summary.payload_received
                        ));
                    }
                    search()
                },
            )
            .await?
    })
}

/// Reads all guests' linear memory of this process.
fn search() -> Result<Found, String> {
    let memory = File::open("/proc/self/mem").map_err(text)?;
    let mut found = Found {
        resident: 0,
        bodies: 0,
        heads: 0,
    };
    for region in guest_regions()? {
        found.resident += region.resident;
        let length = usize::try_from(region.end - region.start).map_err(text)?;
        let mut bytes = vec![0; length];
        memory
            .read_exact_at(&mut bytes, region.start)
            .map_err(text)?;
        found.bodies += occurrences(&bytes, BODY_MARKER.as_bytes());
        found.heads += occurrences(&bytes, HEAD_MARKER.as_bytes());
    }
    Ok(found)
}

fn occurrences(haystack: &[u8], needle: &[u8]) -> usize {
    haystack
        .windows(needle.len())
        .filter(|window| *window == needle)
        .count()
}

struct Region {
    start: u64,
    end: u64,
    resident: u64,
}

/// Writable mappings between two guards, one of them large: the pool's slots,
/// and nothing else in a process with one pool.
fn guest_regions() -> Result<Vec<Region>, String> {
    let smaps = fs::read_to_string("/proc/self/smaps").map_err(text)?;
    let mut regions = Vec::new();
    // The guard before, and what followed it; a slot may be several mappings.
    let mut open: Option<(u64, Vec<Region>)> = None;
    for mapping in parse(&smaps)? {
        let size = mapping.region.end - mapping.region.start;
        match mapping.access {
            Access::None if size >= GUARD => {
                let before = open.replace((size, Vec::new()));
                regions.extend(
                    before
                        .filter(|(left, _)| size.max(*left) >= LARGE_GUARD)
                        .into_iter()
                        .flat_map(|(_, slot)| slot),
                );
            }
            Access::Write => {
                if let Some((_, slot)) = &mut open {
                    slot.push(mapping.region);
                }
            }
            Access::None | Access::Read => open = None,
        }
    }
    Ok(regions)
}

#[derive(Clone, Copy)]
enum Access {
    None,
    Read,
    Write,
}

struct Mapping {
    region: Region,
    access: Access,
}

/// Reads `/proc/PID/smaps` (proc(5)).
fn parse(smaps: &str) -> Result<Vec<Mapping>, String> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(first), Some(second)) = (words.next(), words.next()) else {
            continue;
        };
        if let (true, Some(mapping)) = (first == "Rss:", mappings.last_mut()) {
            mapping.region.resident = second.parse::<u64>().map_err(text)? * 1024;
        } else if let (Some((start, end)), false) = (first.split_once('-'), first.ends_with(':')) {
            let number = |digits| u64::from_str_radix(digits, 16).map_err(text);
            let region = Region {
                start: number(start)?,
                end: number(end)?,
                resident: 0,
            };
            let access = match second.get(..2) {
                Some("--") => Access::None,
                Some("rw") => Access::Write,
                _ => Access::Read,
            };
            mappings.push(Mapping { region, access });
        }
    }
    Ok(mappings)
}
