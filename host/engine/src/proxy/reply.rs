//! What a client is told by the proxy itself, and the embedder of it.

use std::task::Poll;

use fumehood_control::{AccessOutcome, Cause, PayloadLength, ProxyStatus};

use super::client::{Client, Next};
use super::flow::Outbound;
use super::head::whole_head;
use super::patience::within;
use super::refusal::Refusal;
use super::told::{Told, tell};
use crate::instance::ServerAnswer;

impl Client {
    /// Tells the client, and the embedder, why it gets no response.
    pub(super) async fn refuse(&mut self, mut told: Told, refusal: &Refusal) -> Next {
        let (fields, content) = refusal.response();
        let head_only = told.method == "HEAD";
        let answer = ServerAnswer {
            status: refusal.status(),
            reason: refusal.title().as_bytes(),
            fields: &fields.iter().collect(),
            payload: match head_only {
                true => PayloadLength::None,
                false => PayloadLength::Known(content.len() as u64),
            },
            last: self.seat.listener().is_draining(),
            challenge: refusal.status() == 407,
        };
        let Some(guest) = &mut self.codec else {
            return Next::Drop;
        };
        let Ok((mut bytes, persists)) = whole_head(&mut guest.codec, &answer) else {
            return self.tell_gone(told).await;
        };
        told.status = refusal.status();
        told.denied = refusal.reason();
        if !head_only {
            bytes.extend_from_slice(&content);
            told.sent = content.len() as u64;
        }
        let written = self.write(&bytes).await;
        self.tell(told, refusal.outcome()).await;
        match (written, persists) {
            (false, _) => Next::Drop,
            (true, true) => Next::Again,
            (true, false) => Next::Close,
        }
    }

    /// Without a guest nothing can be said.
    pub(super) async fn fail(&mut self, told: Told, cause: &Cause) -> Next {
        let error = ProxyStatus::of_cause(cause).error;
        self.tell(told, AccessOutcome::Failed(error.to_owned()))
            .await;
        Next::Drop
    }

    pub(super) async fn tell_gone(&mut self, told: Told) -> Next {
        let gone = AccessOutcome::Failed("client_gone".to_owned());
        self.tell(told, gone).await;
        Next::Drop
    }

    pub(super) async fn tell(&mut self, told: Told, outcome: AccessOutcome) {
        tell(&self.hub, &self.seat, told, outcome).await;
    }

    /// Writes all of it, unless the client does not read.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> bool {
        let mut out = Outbound::default();
        out.push(bytes);
        let deadline = within(self.seat.listener().setup.deadlines.idle_ms);
        let (transport, patience) = (&mut self.transport, &mut self.patience);
        std::future::poll_fn(|cx| match out.poll_flush(cx, transport) {
            Poll::Ready(flushed) => Poll::Ready(flushed.is_ok()),
            Poll::Pending => patience.poll(cx, deadline).map(|()| false),
        })
        .await
    }
}
