//! The faults, and how a response asks for one.

use std::cell::{Cell, RefCell};
use std::hint::black_box;

use fumehood_guest_http1::component::bindings::exports::fumehood::http1::client::{
    Completion, Demand, Event, Fields, Progress, ResponseHead,
};

/// How much memory is taken at a time.
const GULP_BYTES: usize = 1024 * 1024;

/// How often it is taken by one that hoards: a guest may have a little more.
const HOARDED_GULPS: usize = 12;

/// Pieces of a chunked body's framing that go well after a head that asks for
/// a trap later.
const PIECES_BEFORE_TRAP: u32 = 3;

thread_local! {
    /// The next piece of request payload is to end it.
    static IN_UPLOAD: Cell<bool> = const { Cell::new(false) };
    /// What is to be lied about the payload.
    static LIE: Cell<Option<Fault>> = const { Cell::new(None) };
    /// Pieces until the trap that was asked for.
    static PIECES_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    /// What is never given back.
    static HOARD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// What can go wrong.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    Trap,
    Hang,
    Memory,
    Garbage,
    /// More payload than the head has told.
    More,
    /// Less.
    Less,
    /// A trap, but not yet.
    Later,
    /// Much memory, and no more.
    Hoard,
}

impl Fault {
    /// The fault that a head's fields ask for.
    pub(crate) fn asked_for(fields: &Fields) -> Option<Self> {
        match asking(fields)? {
            b"trap" => Some(Self::Trap),
            b"hang" => Some(Self::Hang),
            b"memory" => Some(Self::Memory),
            b"garbage" => Some(Self::Garbage),
            b"more" => Some(Self::More),
            b"less" => Some(Self::Less),
            b"later" => Some(Self::Later),
            b"hoard" => Some(Self::Hoard),
            _ => None,
        }
    }

    /// Ends the guest, if that is what it does.
    pub(crate) fn end(self) {
        match self {
            Self::Trap => panic!("the peer asked this guest to trap"),
            Self::Hang => loop {
                black_box(());
            },
            Self::Memory => take_memory(),
            Self::Garbage | Self::More | Self::Less | Self::Later | Self::Hoard => {}
        }
    }

    /// Does the damage. Garbage is returned from, and what comes later.
    pub(crate) fn strike(self, progress: Progress) -> Progress {
        self.end();
        match self {
            Self::Trap | Self::Hang | Self::Memory => progress,
            Self::Garbage => garble(progress),
            Self::More | Self::Less => {
                LIE.set(Some(self));
                Progress {
                    // The host is to ask when it has moved.
                    completes: None,
                    ..progress
                }
            }
            Self::Later => {
                PIECES_LEFT.set(Some(PIECES_BEFORE_TRAP));
                progress
            }
            Self::Hoard => {
                HOARD.with_borrow_mut(|hoard| {
                    hoard.extend((0..HOARDED_GULPS).map(|_| vec![1; GULP_BYTES]));
                });
                progress
            }
        }
    }
}

/// Takes what an informational response asks for.
pub(crate) fn arm(head: &ResponseHead) {
    if asking(&head.fields) == Some(b"upload") {
        IN_UPLOAD.set(true);
    }
}

/// What the field that asks for a fault says.
fn asking(fields: &Fields) -> Option<&[u8]> {
    let mut start = 0;
    let parts = fields.ends.iter().map(|end| {
        let part = &fields.bytes[start..*end as usize];
        start = *end as usize;
        part
    });
    let parts: Vec<&[u8]> = parts.collect();
    let mut pairs = parts.chunks_exact(2);
    pairs
        .find(|pair| pair[0].eq_ignore_ascii_case(b"x-fumehood-fault"))
        .map(|pair| pair[1])
}

/// Traps over a piece of request payload, if that was asked for.
pub(crate) fn frame_piece() {
    assert!(
        !IN_UPLOAD.get(),
        "the response asked this guest to trap in the upload"
    );
}

/// Counts a piece of the stream behind the head, and traps at the last.
pub(crate) fn count_piece() {
    match PIECES_LEFT.get() {
        None => {}
        Some(0) => panic!("the response asked this guest to trap later"),
        Some(left) => PIECES_LEFT.set(Some(left - 1)),
    }
}

/// Takes and touches memory until there is none.
fn take_memory() -> ! {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(vec![1; GULP_BYTES]);
        black_box(&taken);
    }
}

/// What is to be lied about the payload now; once.
pub(crate) fn lie() -> Option<Fault> {
    LIE.take()
}

/// A demand for so much payload again.
pub(crate) fn again(count: u64) -> Progress {
    Progress {
        events: Vec::new(),
        demand: Demand::Payload(count),
        then: None,
        completes: None,
    }
}

/// The end of a response.
pub(crate) fn whole() -> Progress {
    Progress {
        events: vec![Event::Complete(Completion { reusable: false })],
        demand: Demand::Nothing,
        then: None,
        completes: None,
    }
}

/// Lies about the head and demands more payload than any stream has.
fn garble(mut progress: Progress) -> Progress {
    for event in &mut progress.events {
        if let Event::Head(head) = event {
            head.status = u16::MAX;
            head.minor_version = u8::MAX;
            for part in [&b"x\r\nset-cookie"[..], b"\0\x1b[2J\r\n\r\n"] {
                head.fields.bytes.extend_from_slice(part);
                head.fields.ends.push(head.fields.bytes.len() as u32);
            }
        }
    }
    progress.demand = Demand::Payload(u64::MAX);
    progress
}
