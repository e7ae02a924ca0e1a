//! Connections that an engine holds: the real processes, on loopback.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fumehood::{Anchors, Client, Engine, Journey, Limits, Module, Options};
use fumehood_tests::certs::TestCa;
use fumehood_tests::processes::{Process, children_of};
use http::Request;
use http_body_util::{BodyExt, Empty};
use tokio::task::JoinSet;

use crate::origins::Origins;
use crate::{Outcome, Row, median, own, text};

/// What the engine is asked to hold.
const HELD: usize = 5000;

/// Connections over which memory is measured, and those before, which warm up
/// what all share.
const COUNTED: usize = 300;
const WARM_UP: usize = 60;

/// Connections held to one origin: one fewer than there may be. At the bound, an
/// exchange that is just ending counts beside its own connection, which is idle
/// already, and an idle one may make way before it has to.
const PER_ORIGIN: usize = 5;

/// Exchanges under way at once while connections are made.
const AT_ONCE: usize = 16;

/// Every so many of the held origins is asked again.
const SAMPLE: usize = 7;

/// Swaps for a median.
const SWAPS: usize = 101;

/// Time connections are kept, in milliseconds: none is to expire.
const KEEP_MS: u32 = 3_600_000;

/// Memory the engine may have here, in bytes: more than it needs.
const MEMORY: u64 = 8 << 30;

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(text)
}

/// An engine with room for so many connections.
async fn launch(
    connections: usize,
    anchors: Anchors,
    modules: Vec<Module>,
) -> Result<Engine, String> {
    let connections = u32::try_from(connections).map_err(text)?;
    let limits = Limits {
        max_instances: 2 * connections + 64,
        max_idle_connections: connections,
        max_connections: 2 * connections,
        idle_connection_ms: KEEP_MS,
        memory_bytes: MEMORY,
        ..Limits::default()
    };
    Engine::builder()
        .anchors(anchors)
        .modules(modules)
        .allow_private("127.0.0.0/8".parse().map_err(text)?)
        .map_err(text)?
        .limits(limits)
        .launch()
        .await
        .map_err(text)
}

/// Memory of an idle connection, in KiB: http, then https.
pub(crate) fn memory() -> Outcome {
    let ca = TestCa::new();
    let count = (WARM_UP + COUNTED).div_ceil(PER_ORIGIN);
    let (https, http) = (Origins::https(&ca, count)?, Origins::http()?);
    let (https, http) = (Arc::new(https), Arc::new(http));
    runtime()?.block_on(async {
        let trusting = Anchors::Der(vec![ca.certificate().clone()]);
        Ok(vec![
            Row::alone("idle-http", taken(&http, Anchors::Nothing).await?),
            Row::alone("idle-https", taken(&https, trusting).await?),
        ])
    })
}

async fn taken(origins: &Arc<Origins>, anchors: Anchors) -> Result<f64, String> {
    let engine = launch(WARM_UP + COUNTED, anchors, Module::embedded_defaults()).await?;
    hold(&engine, origins, 0..WARM_UP).await?;
    let before = of_the_engine()?;
    hold(&engine, origins, WARM_UP..WARM_UP + COUNTED).await?;
    let grown = of_the_engine()?.saturating_sub(before);
    Ok(grown as f64 / COUNTED as f64)
}

/// 5,000 connections held, then a sample of them used.
pub(crate) fn many() -> Outcome {
    let origins = Origins::http()?;
    runtime()?.block_on(async {
        let engine = launch(
            HELD + WARM_UP,
            Anchors::Nothing,
            Module::embedded_defaults(),
        )
        .await?;
        let origins = Arc::new(origins);
        hold(&engine, &origins, 0..HELD).await?;
        let in_use = live(&engine).await?;
        let client = engine.client();
        let mut wrong = 0_usize;
        let mut times = Vec::new();
        for origin in (0..HELD / PER_ORIGIN).step_by(SAMPLE) {
            let began = Instant::now();
            let reused = origins.ask(&client, origin, HELD, false).await;
            times.push(began.elapsed().as_secs_f64() * 1e6);
            if reused != Ok(true) {
                wrong += 1;
            }
        }
        Ok(vec![
            Row::alone("held-connections", in_use),
            Row::alone("held-requests-wrong", wrong as f64),
            Row::alone("held-request", median(times)),
        ])
    })
}

/// Live instances of `http1`, as the engine tells: one a connection.
async fn live(engine: &Engine) -> Result<f64, String> {
    let listing = engine.modules().list().await.map_err(text)?;
    let of_http1 = listing.modules.iter().filter(|it| it.name == "http1");
    Ok(of_http1
        .filter_map(|it| it.in_use.as_ref())
        .map(|it| it.live as f64)
        .sum())
}

/// From the order to swap to the response of the first new connection, in
/// microseconds, beside one that follows no swap.
pub(crate) fn swaps() -> Outcome {
    let origins = Origins::http()?;
    runtime()?.block_on(async {
        let mut modules = Module::embedded_defaults();
        let first = modules
            .iter()
            .find(|it| it.name == "http1")
            .cloned()
            .ok_or("no http1 is embedded")?;
        // The same code under another name: what is timed does not depend on it.
        let second = Module {
            digest: first.digest.map(|byte| !byte),
            version: "99.0.0".into(),
            ..first.clone()
        };
        let digests = [first.digest, second.digest];
        modules.push(second);
        let engine = launch(WARM_UP, Anchors::Nothing, modules).await?;
        let client = engine.client();
        let (mut swapped, mut plain) = (Vec::new(), Vec::new());
        for round in 0..SWAPS {
            let digest = digests[round % 2];
            let began = Instant::now();
            let done = engine.modules().swap("http1", digest).await.map_err(text)?;
            if done.to != digest {
                return Err("another version became current".to_owned());
            }
            origins.ask(&client, 0, round, true).await?;
            swapped.push(began.elapsed().as_secs_f64() * 1e6);
            let began = Instant::now();
            origins.ask(&client, 0, round, true).await?;
            plain.push(began.elapsed().as_secs_f64() * 1e6);
        }
        Ok(vec![Row {
            case: "swap-to-first-response",
            ours: median(swapped),
            peer: Some((median(plain), "a request on a new connection")),
        }])
    })
}

/// Makes connections, each by a request whose answer is looked at.
async fn hold(
    engine: &Engine,
    origins: &Arc<Origins>,
    numbers: std::ops::Range<usize>,
) -> Result<(), String> {
    let mut under_way = JoinSet::new();
    for number in numbers {
        if under_way.len() == AT_ONCE
            && let Some(done) = under_way.join_next().await
        {
            done.map_err(text)??;
        }
        let (client, origins) = (engine.client(), Arc::clone(origins));
        under_way.spawn(async move {
            origins
                .ask(&client, number / PER_ORIGIN, number, true)
                .await
        });
    }
    while let Some(done) = under_way.join_next().await {
        done.map_err(text)??;
    }
    Ok(())
}

impl Origins {
    /// Fetches a resource, and says whether a kept connection brought it.
    async fn ask(
        &self,
        client: &Client,
        origin: usize,
        path: usize,
        fresh_connection: bool,
    ) -> Result<bool, String> {
        let mut request = Request::get(self.url(origin, path))
            .body(Empty::<Bytes>::new())
            .map_err(text)?;
        request.extensions_mut().insert(Options {
            fresh_connection,
            ..Options::default()
        });
        let response = client.send(request).await.map_err(text)?;
        let journey = response.extensions().get::<Journey>().cloned();
        let content = response.into_body().collect().await.map_err(text)?;
        if content.to_bytes() != self.body(origin, path) {
            return Err(format!("{} is not what came", self.url(origin, path)));
        }
        Ok(journey.is_some_and(|journey| journey.reused))
    }
}

/// What the engine alone has, in KiB.
fn of_the_engine() -> Result<u64, String> {
    let own = i32::try_from(std::process::id()).map_err(text)?;
    let engines = children_of(own).into_iter();
    // The last one started: others may still be ending.
    let engine = engines
        .filter(|child| child.plays("engine"))
        .max_by_key(|child: &Process| child.pid)
        .ok_or("there is no engine")?;
    own::kib_of(engine.pid)
}
