//! How many requests are over, told to the embedder now and then.

use std::sync::Mutex;
use std::time::Duration;

use fumehood_control::{AccessOutcome, DatagramTally, MAX_TALLIED_DENIALS, ProxyTally, ToEmbedder};
use fumehood_policy::Reason;
use tokio::sync::Notify;

use super::lock;
use crate::outbox::Outbox;

/// How long counts wait for others: what `fumehood status` says is at most so old.
const BATCH_TIME: Duration = Duration::from_millis(250);

/// Counts that are not told of yet.
#[derive(Default)]
pub(super) struct Tally {
    since: Mutex<ProxyTally>,
    some: Notify,
}

impl Tally {
    /// Counts a request. Waits where the embedder does not read.
    pub(super) async fn count(
        &self,
        outcome: &AccessOutcome,
        denied: Option<Reason>,
        (received, sent): (u64, u64),
        outbox: &Outbox,
    ) {
        let full = {
            let mut since = lock(&self.since);
            if *since == ProxyTally::default() {
                self.some.notify_one();
            }
            since.received += received;
            since.sent += sent;
            match (outcome, denied) {
                (_, Some(reason)) => since.denied.push(reason),
                (AccessOutcome::Served, None) => since.served += 1,
                (AccessOutcome::Tunnelled, None) => since.tunnelled += 1,
                (AccessOutcome::Denied(_) | AccessOutcome::Failed(_), None) => since.failed += 1,
            }
            // Under this lock: another thread would put in one more than a tally holds.
            let is_full = since.denied.len() >= MAX_TALLIED_DENIALS;
            is_full.then(|| std::mem::take(&mut *since))
        };
        if let Some(tally) = full {
            // Nobody is left to tell when this fails.
            let _gone = outbox.send(ToEmbedder::ProxyTally(tally)).await;
        }
    }

    /// Counts what became of some datagrams.
    pub(super) fn datagrams(&self, more: DatagramTally) {
        let mut since = lock(&self.since);
        if *since == ProxyTally::default() {
            self.some.notify_one();
        }
        let all = &mut since.datagrams;
        all.received += more.received;
        all.sent += more.sent;
        all.malformed += more.malformed;
        all.fragments += more.fragments;
        all.oversize += more.oversize;
        all.strangers += more.strangers;
        all.denied += more.denied;
        all.unreached += more.unreached;
        all.overflow += more.overflow;
    }

    /// Tells of all there are.
    pub(super) async fn flush(&self, outbox: &Outbox) {
        let tally = std::mem::take(&mut *lock(&self.since));
        if tally != ProxyTally::default() {
            // Nobody is left to tell when this fails.
            let _gone = outbox.send(ToEmbedder::ProxyTally(tally)).await;
        }
    }

    /// Tells of them, a little after the first.
    pub(super) async fn tell(&self, outbox: &Outbox) {
        loop {
            self.some.notified().await;
            tokio::time::sleep(BATCH_TIME).await;
            self.flush(outbox).await;
        }
    }
}
