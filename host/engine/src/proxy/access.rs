//! What was served, told to the embedder in batches.

use std::sync::Mutex;
use std::time::Duration;

use fumehood_control::{AccessRecord, MAX_ACCESS_RECORDS, ToEmbedder};
use tokio::sync::Notify;

use super::lock;
use crate::outbox::Outbox;

/// How long a record waits for others.
const BATCH_TIME: Duration = Duration::from_millis(20);

/// Records that are not told of yet.
#[derive(Default)]
pub(super) struct Access {
    waiting: Mutex<Vec<AccessRecord>>,
    some: Notify,
}

impl Access {
    /// Adds a record. Waits where the embedder does not read.
    pub(super) async fn add(&self, record: AccessRecord, outbox: &Outbox) {
        let waiting = {
            let mut waiting = lock(&self.waiting);
            waiting.push(record);
            waiting.len()
        };
        match waiting {
            1 => self.some.notify_one(),
            MAX_ACCESS_RECORDS.. => self.flush(outbox).await,
            _ => {}
        }
    }

    /// Tells of all there are.
    pub(super) async fn flush(&self, outbox: &Outbox) {
        loop {
            let batch: Vec<AccessRecord> = {
                let mut waiting = lock(&self.waiting);
                let count = waiting.len().min(MAX_ACCESS_RECORDS);
                waiting.drain(..count).collect()
            };
            // Nobody is left to tell when this fails.
            if batch.is_empty() || outbox.send(ToEmbedder::Access(batch)).await.is_err() {
                return;
            }
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
