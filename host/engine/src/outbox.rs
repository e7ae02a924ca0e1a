//! Messages to the embedder, in order, from every exchange.

use fumehood_control::{
    Cause, ExchangeId, Failure, Field, JourneyEvent, ResponseHead, Summary, ToEmbedder, fragments,
};
use fumehood_sandbox::{AsyncChannel, ChannelError};
use tokio::sync::mpsc;

/// Messages that may wait for the embedder to read. Exchanges wait beyond it;
/// progress reports are dropped.
const WAITING_MESSAGES: usize = 256;

/// Where exchanges put what they have to say.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<ToEmbedder>,
}

/// The other end, which the serve loop empties into the channel.
pub(crate) type Outgoing = mpsc::Receiver<ToEmbedder>;

impl Outbox {
    pub(crate) fn new() -> (Outbox, Outgoing) {
        let (sender, receiver) = mpsc::channel(WAITING_MESSAGES);
        (Outbox { sender }, receiver)
    }

    /// Says something, waiting for room.
    ///
    /// # Errors
    /// [`Cause::EngineDied`] when the engine is shutting down.
    pub(crate) async fn send(&self, message: ToEmbedder) -> Result<(), Cause> {
        self.sender
            .send(message)
            .await
            .map_err(|_| Cause::EngineDied)
    }

    /// Says something that may be missed.
    pub(crate) fn try_send(&self, message: ToEmbedder) {
        let _ = self.sender.try_send(message);
    }

    pub(crate) async fn journey(&self, id: ExchangeId, event: JourneyEvent) -> Result<(), Cause> {
        self.send(ToEmbedder::Journey { id, event }).await
    }

    pub(crate) async fn informational(
        &self,
        id: ExchangeId,
        head: ResponseHead,
    ) -> Result<(), Cause> {
        self.in_pieces(id, &head, |bytes| ToEmbedder::Informational { id, bytes })
            .await
    }

    pub(crate) async fn head(&self, id: ExchangeId, head: ResponseHead) -> Result<(), Cause> {
        self.in_pieces(id, &head, |bytes| ToEmbedder::Head { id, bytes })
            .await
    }

    pub(crate) async fn trailers(&self, id: ExchangeId, fields: Vec<Field>) -> Result<(), Cause> {
        self.in_pieces(id, &fields, |bytes| ToEmbedder::Trailers { id, bytes })
            .await
    }

    pub(crate) async fn finished(&self, id: ExchangeId, outcome: Result<Summary, Failure>) {
        // Nobody is left to tell when this fails.
        let _ = self.send(ToEmbedder::Finished { id, outcome }).await;
    }

    async fn in_pieces<T: serde::Serialize>(
        &self,
        id: ExchangeId,
        value: &T,
        last: impl FnOnce(Vec<u8>) -> ToEmbedder,
    ) -> Result<(), Cause> {
        let mut pieces = fragments(value).map_err(|_| Cause::Limit("head-bytes".to_owned()))?;
        let closing = pieces.pop().unwrap_or_default();
        for bytes in pieces {
            self.send(ToEmbedder::HeadFragment { id, bytes }).await?;
        }
        self.send(last(closing)).await
    }
}

/// Empties the outbox into the channel until either ends.
///
/// # Errors
/// Where a message cannot be sent. No later one may be: who waits for it would
/// wait for ever.
pub(crate) async fn pump<R: fumehood_control::Message>(
    mut outgoing: Outgoing,
    channel: &AsyncChannel<ToEmbedder, R>,
) -> Result<(), ChannelError> {
    while let Some(message) = outgoing.recv().await {
        channel.send(&message, &[]).await?;
    }
    Ok(())
}
