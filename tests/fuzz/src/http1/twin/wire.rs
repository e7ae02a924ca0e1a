//! A stream in memory, and whatever runs over it until it stands still.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use hyper::body::{Body as _, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};

use super::End;

/// Polls without anything happening, after which nothing will.
const STILL: u32 = 3;

/// hyper's end of a stream.
#[derive(Clone)]
pub(super) struct Wire(Rc<RefCell<State>>);

struct State {
    input: Vec<u8>,
    at: usize,
    /// The other side says nothing before it was spoken to.
    quiet: bool,
    /// It closes after its last byte.
    closes: bool,
    /// Counts reads and writes.
    moves: u64,
}

impl Wire {
    pub(super) fn new(input: &[u8], quiet: bool, closes: bool) -> Wire {
        Wire(Rc::new(RefCell::new(State {
            input: input.to_vec(),
            at: 0,
            quiet,
            closes,
            moves: 0,
        })))
    }

    /// Polls until nothing happens any more.
    pub(super) fn drive(&self, mut poll: impl FnMut(&mut Context<'_>)) {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut still = 0;
        while still < STILL {
            let before = self.0.borrow().moves;
            poll(&mut Context::from_waker(&waker));
            let moved = self.0.borrow().moves != before;
            let happens = woken.0.swap(false, Ordering::Relaxed) || moved;
            still = if happens { 0 } else { still + 1 };
        }
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        let left = state.input.len() - state.at;
        if state.quiet || (left == 0 && !state.closes) {
            return Poll::Pending;
        }
        let count = left.min(buffer.remaining());
        buffer.put_slice(&state.input[state.at..state.at + count]);
        state.at += count;
        state.moves += u64::from(count > 0);
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        state.quiet = false;
        state.moves += 1;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Content as hyper reads it.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) trailers: Option<hyper::HeaderMap>,
    pub(super) end: End<String>,
}

impl Content {
    pub(super) fn new() -> Content {
        Content {
            bytes: Vec::new(),
            trailers: None,
            end: End::Waiting,
        }
    }

    /// Takes what there is; ready when there will be no more.
    pub(super) fn poll(&mut self, body: &mut Incoming, cx: &mut Context<'_>) -> Poll<()> {
        while self.end == End::Waiting {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.end = End::Whole,
                Poll::Ready(Some(Err(error))) => self.end = End::Refused(told(&error)),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => self.bytes.extend_from_slice(&bytes),
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
            }
        }
        Poll::Ready(())
    }
}

/// An error with all that caused it.
pub(super) fn told(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        text = format!("{text}: {why}");
        cause = why.source();
    }
    text
}
