//! Many transfers at once, as many as there are connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fumehood::Engine;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::origin::Origin;
use super::plan::Item;
use super::transfer::{self, Outcome};

/// How all transfers of a plan went, in its order.
pub(super) struct Run {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) took: Duration,
}

/// Carries out a plan. `done` counts what is over.
pub(super) async fn run(
    engine: &Engine,
    origin: &Arc<Origin>,
    plan: &Arc<[Item]>,
    connections: usize,
    poison: bool,
    done: &watch::Sender<usize>,
) -> Run {
    let began = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..connections.min(plan.len()) {
        let (client, origin, plan) = (engine.client(), origin.clone(), plan.clone());
        let (next, done) = (next.clone(), done.clone());
        workers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = plan.get(index) else {
                    return mine;
                };
                let outcome = transfer::run(&client, &origin, item, poison).await;
                mine.push((index, outcome));
                done.send_modify(|count| *count += 1);
            }
        });
    }
    let mut all: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    all.sort_by_key(|(index, _)| *index);
    Run {
        outcomes: all.into_iter().map(|(_, outcome)| outcome).collect(),
        took: began.elapsed(),
    }
}
