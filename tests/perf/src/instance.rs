//! What an instance costs, alone and beside what it is made for.

use std::fs::File;
use std::time::Instant;

use fumehood_tests::certs::TestCa;

use crate::server::Server;
use crate::{Outcome, Row, guests, median, text};

/// Instances made, called once and dropped for a median.
const CYCLES: usize = 4001;

/// Instances made before, to warm the pool and the caches.
const WARM_UP: usize = 500;

/// New connections with a handshake and a small request for a median.
const EXCHANGES: usize = 201;

/// Size of the small response, in bytes.
const SMALL: &str = "/1024";

pub(crate) fn measure() -> Outcome {
    let ca = TestCa::new();
    let guests = guests::load(&ca)?;
    let server = Server::start(&ca)?;
    let target = server.target();
    for _ in 0..WARM_UP {
        guests.instance_life(&target)?;
    }
    let cycle = median(
        (0..CYCLES)
            .map(|_| timed(|| guests.instance_life(&target)))
            .collect::<Result<Vec<_>, _>>()?,
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(text)?;
    let exchange = median(
        (0..EXCHANGES)
            .map(|_| {
                timed(|| {
                    runtime.block_on(async {
                        let sink = File::options()
                            .write(true)
                            .open("/dev/null")
                            .map_err(text)?;
                        guests
                            .exchange(server.connect()?, &target, SMALL, sink.into(), |_| ())
                            .await
                    })
                })
            })
            .collect::<Result<Vec<_>, _>>()?,
    );
    let beside = "connect, handshake and request";
    Ok(vec![
        Row::alone("instance-cycle", cycle),
        Row {
            case: "instance-share",
            ours: cycle,
            peer: Some((exchange, beside)),
        },
    ])
}

/// How long it took, in microseconds.
fn timed(work: impl FnOnce() -> Result<(), String>) -> Result<f64, String> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64() * 1e6)
}
