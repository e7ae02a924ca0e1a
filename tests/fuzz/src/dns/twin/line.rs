//! A connection to a server, as the resolver's contract has it: what is sent goes out in
//! order as there is room, what comes is cut into messages, and what has come before the
//! end is heard before the end.

use fumehood_engine::fuzz::resolver::{Deed, End, ROOM};
use fumehood_guest_dns::{Deframer, frame};

/// Most bytes that are read at once.
const READ_BYTES: usize = 16 << 10;

/// One connection.
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) is_tls: bool,
    pub(super) standing: Standing,
    pub(super) inbound: Vec<u8>,
    pub(super) room: usize,
    pub(super) end: Option<End>,
    pub(super) false_alarm: bool,
    unsent: Vec<u8>,
    received: Deframer,
    /// What the server has heard.
    heard: Deframer,
}

/// Where it stands.
pub(super) enum Standing {
    Asked,
    /// It came to nothing; the reason is for people.
    Failed(String),
    Stands,
    /// And that is known.
    Open,
}

impl Line {
    pub(super) fn new(number: u32, is_tls: bool) -> Line {
        Line {
            number,
            is_tls,
            standing: Standing::Asked,
            inbound: Vec::new(),
            room: ROOM,
            end: None,
            false_alarm: false,
            unsent: Vec::new(),
            received: Deframer::default(),
            heard: Deframer::default(),
        }
    }

    pub(super) fn send(&mut self, message: &[u8]) {
        self.unsent.extend(frame(message));
    }

    /// Whether the server would have to take more before anything else can come of it.
    pub(super) fn is_stuck(&self) -> bool {
        matches!(self.standing, Standing::Open) && !self.unsent.is_empty() && self.room == 0
    }

    pub(super) fn is_asked(&self) -> bool {
        matches!(self.standing, Standing::Asked)
    }

    pub(super) fn next_message(&mut self) -> Option<Vec<u8>> {
        self.received.next_message()
    }

    /// What the server has been asked.
    pub(super) fn next_question(&mut self) -> Option<Vec<u8>> {
        self.heard.next_message()
    }

    /// How many things that are waited for are there.
    pub(super) fn ready(&self) -> usize {
        if !matches!(self.standing, Standing::Open) {
            return usize::from(self.false_alarm || !self.is_asked());
        }
        let closed = matches!(self.end, Some(End::Closed | End::Broken(_)));
        let deaf = matches!(self.end, Some(End::Deaf | End::Broken(_)));
        let readable = closed || self.false_alarm || !self.inbound.is_empty();
        let writable = !self.unsent.is_empty() && (deaf || self.room > 0);
        usize::from(readable) + usize::from(writable)
    }

    /// Does what can be done. The error is why it has ended.
    pub(super) fn advance(&mut self, deeds: &mut Vec<Deed>) -> Result<(), String> {
        match &self.standing {
            Standing::Asked => {
                self.false_alarm = false;
                return Ok(());
            }
            Standing::Failed(why) => return Err(why.clone()),
            Standing::Stands => self.standing = Standing::Open,
            Standing::Open => {}
        }
        let written = self.write(deeds);
        self.read()?;
        written
    }

    fn write(&mut self, deeds: &mut Vec<Deed>) -> Result<(), String> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        match &self.end {
            Some(End::Deaf) => return Err(closed()),
            Some(End::Broken(why)) => return Err(why.clone()),
            Some(End::Closed) | None => {}
        }
        let count = self.unsent.len().min(self.room);
        if count > 0 {
            let bytes: Vec<u8> = self.unsent.drain(..count).collect();
            self.room -= count;
            self.heard.push(&bytes);
            deeds.push(Deed::Wrote(self.number, bytes));
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), String> {
        self.false_alarm = false;
        let count = self.inbound.len().min(READ_BYTES);
        match &self.end {
            Some(End::Closed) if count == 0 => return Err(closed()),
            Some(End::Broken(why)) if count == 0 => return Err(why.clone()),
            _ => {}
        }
        let bytes: Vec<u8> = self.inbound.drain(..count).collect();
        self.received.push(&bytes);
        Ok(())
    }
}

fn closed() -> String {
    "the server closed the connection".to_owned()
}
