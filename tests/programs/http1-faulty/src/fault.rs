//! The faults, and how a response asks for one.

use std::cell::Cell;
use std::hint::black_box;

use fumehood_guest_http1::component::bindings::exports::fumehood::http1::client::{
    Demand, Event, Field, Progress, ResponseHead,
};

/// How much memory is taken at a time.
const GULP_BYTES: usize = 1024 * 1024;

/// Pieces of a chunked body's framing that go well after a head that asks for
/// a trap later.
const PIECES_BEFORE_TRAP: u32 = 3;

thread_local! {
    /// The next piece of request payload is to end it.
    static IN_UPLOAD: Cell<bool> = const { Cell::new(false) };
    /// Pieces until the trap that was asked for.
    static PIECES_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// What can go wrong.
pub(crate) enum Fault {
    Trap,
    Hang,
    Memory,
    Garbage,
    /// A trap, but not yet.
    Later,
}

impl Fault {
    /// The fault that the head asks for.
    pub(crate) fn asked_for(head: &ResponseHead) -> Option<Self> {
        let field = head
            .fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case("x-fumehood-fault"))?;
        match field.value.as_slice() {
            b"trap" => Some(Self::Trap),
            b"hang" => Some(Self::Hang),
            b"memory" => Some(Self::Memory),
            b"garbage" => Some(Self::Garbage),
            b"later" => Some(Self::Later),
            _ => None,
        }
    }

    /// Does the damage. Garbage is returned from, and what comes later.
    pub(crate) fn strike(self, progress: Progress) -> Progress {
        match self {
            Self::Trap => panic!("the response asked this guest to trap"),
            Self::Hang => loop {
                black_box(());
            },
            Self::Memory => take_memory(),
            Self::Garbage => garble(progress),
            Self::Later => {
                PIECES_LEFT.set(Some(PIECES_BEFORE_TRAP));
                progress
            }
        }
    }
}

/// Takes what an informational response asks for.
pub(crate) fn arm(head: &ResponseHead) {
    let asks = |field: &Field| {
        field.name.eq_ignore_ascii_case("x-fumehood-fault") && field.value == b"upload"
    };
    if head.fields.iter().any(asks) {
        IN_UPLOAD.set(true);
    }
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

/// Lies about the head and demands more payload than any stream has.
fn garble(mut progress: Progress) -> Progress {
    for event in &mut progress.events {
        if let Event::Head(head) = event {
            head.status = u16::MAX;
            head.minor_version = u8::MAX;
            head.fields.push(Field {
                name: "x\r\nset-cookie".to_owned(),
                value: b"\0\x1b[2J\r\n\r\n".to_vec(),
            });
        }
    }
    progress.demand = Demand::Payload(u64::MAX);
    progress
}
