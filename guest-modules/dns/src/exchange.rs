//! Questions that are under way: by socket, by channel, by deadline.

use std::collections::{BTreeMap, BTreeSet};

use crate::bounds::IDLE_TIME;
use crate::lookup::LookupId;
use crate::message::Question;
use crate::network::{Channel, ExchangeId};
use crate::types::{Time, Transport};

/// One question to one server.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) lookup: LookupId,
    pub(crate) server: usize,
    pub(crate) transport: Transport,
    pub(crate) question: Question,
    pub(crate) sent: Time,
    pub(crate) deadline: Time,
    /// Replies so far that were not its own.
    pub(crate) ignored: u32,
}

impl Exchange {
    /// The connection it shares, if it does.
    pub(crate) fn channel(&self) -> Option<Channel> {
        match self.transport {
            Transport::Tcp | Transport::Tls => Some(Channel {
                server: self.server,
                transport: self.transport,
            }),
            Transport::Udp | Transport::Https => None,
        }
    }
}

/// A connection to a server.
#[derive(Debug)]
struct Line {
    waiting: usize,
    heard: Time,
    idle_since: Time,
}

/// All that are under way.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    open: BTreeMap<ExchangeId, Exchange>,
    deadlines: BTreeSet<(Time, ExchangeId)>,
    lines: BTreeMap<Channel, Line>,
    count: u64,
}

impl Exchanges {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn get_mut(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        self.open.get_mut(&id)
    }

    pub(crate) fn insert(&mut self, exchange: Exchange) -> ExchangeId {
        let id = ExchangeId(self.count);
        self.count += 1;
        self.deadlines.insert((exchange.deadline, id));
        if let Some(channel) = exchange.channel() {
            let line = self.lines.entry(channel).or_insert(Line {
                waiting: 0,
                heard: exchange.sent,
                idle_since: exchange.sent,
            });
            line.waiting += 1;
        }
        self.open.insert(id, exchange);
        id
    }

    pub(crate) fn remove(&mut self, id: ExchangeId, now: Time) -> Option<Exchange> {
        let exchange = self.open.remove(&id)?;
        self.deadlines.remove(&(exchange.deadline, id));
        let line = exchange.channel().and_then(|it| self.lines.get_mut(&it));
        if let Some(line) = line {
            line.waiting = line.waiting.saturating_sub(1);
            line.idle_since = now;
        }
        Some(exchange)
    }

    /// A message ID that no exchange under way has. There are at most 128.
    pub(crate) fn unused_id(&self, random: &mut dyn FnMut() -> u64) -> u16 {
        loop {
            let [a, b, ..] = random().to_le_bytes();
            let id = u16::from_le_bytes([a, b]);
            if self.open.values().all(|it| it.question.id != id) {
                return id;
            }
        }
    }

    /// Whose reply a message of this ID on a channel is.
    pub(crate) fn on_channel(
        &mut self,
        channel: Channel,
        id: u16,
        now: Time,
    ) -> Option<ExchangeId> {
        self.lines.get_mut(&channel)?.heard = now;
        self.open
            .iter()
            .find(|(_, it)| it.question.id == id && it.channel() == Some(channel))
            .map(|(id, _)| *id)
    }

    /// Takes a channel away, and returns who waits for a reply on it.
    pub(crate) fn end_channel(&mut self, channel: Channel) -> Vec<ExchangeId> {
        self.lines.remove(&channel);
        let waits =
            |(id, it): (&ExchangeId, &Exchange)| (it.channel() == Some(channel)).then_some(*id);
        self.open.iter().filter_map(waits).collect()
    }

    /// Whether nothing has come on its channel since this one was sent.
    pub(crate) fn is_channel_silent(&self, channel: Channel, since: Time) -> bool {
        self.lines.get(&channel).is_some_and(|it| it.heard <= since)
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let first = self.deadlines.first().map(|(at, _)| *at);
        let idle = self.idle_lines().map(|(_, at)| at).min();
        first.into_iter().chain(idle).min()
    }

    pub(crate) fn next_expired(&self, now: Time) -> Option<ExchangeId> {
        let (at, id) = self.deadlines.first()?;
        (*at <= now).then_some(*id)
    }

    /// A channel that nobody has used for [`IDLE_TIME`].
    pub(crate) fn next_idle(&self, now: Time) -> Option<Channel> {
        let mut idle = self.idle_lines().filter(|(_, at)| *at <= now);
        idle.next().map(|(channel, _)| channel)
    }

    fn idle_lines(&self) -> impl Iterator<Item = (Channel, Time)> {
        let idle = self.lines.iter().filter(|(_, line)| line.waiting == 0);
        idle.map(|(channel, line)| (*channel, line.idle_since + IDLE_TIME))
    }

    /// Takes everything away: what to forget, and what to hang up.
    pub(crate) fn drain(&mut self) -> (Vec<ExchangeId>, Vec<Channel>) {
        self.deadlines.clear();
        let open = std::mem::take(&mut self.open);
        let lines = std::mem::take(&mut self.lines);
        let own = open.iter().filter(|(_, it)| it.channel().is_none());
        (
            own.map(|(id, _)| *id).collect(),
            lines.into_keys().collect(),
        )
    }
}
