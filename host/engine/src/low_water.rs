//! Fewer wake-ups in a bulk transfer: the kernel collects bytes before it tells of them.
//!
//! A reader that is faster than its peer is woken for every few packets, and both pay for
//! it. So once a whole buffer was there at a time, and many more bytes are certain to
//! come, the socket is ready only when a good part of a buffer is (`SO_RCVLOWAT`,
//! socket(7)). A peer that then pauses leaves fewer bytes than that behind: they are
//! fetched when they have lain there for [`PATIENCE`], and all is as before.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use fumehood_sandbox::set_low_water;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that are waited for: half of what is read at a time, so that the peer sends the
/// other half meanwhile.
const MARK: u32 = 128 * 1024;

/// Least bytes to come that are worth it. They must be more than the mark, as some of
/// them may have come already, inside a record that is not whole.
const WORTHWHILE: u64 = 4 * MARK as u64;

/// How long fewer bytes than the mark may lie unread.
const PATIENCE: Duration = Duration::from_millis(5);

/// What a socket is asked to wait for.
#[derive(Default)]
pub(crate) struct LowWater {
    /// Bytes that are certain to come, unless the connection ends.
    expected: u64,
    raised: Option<Raised>,
}

struct Raised {
    /// Nothing was there when it was looked last; the time runs since.
    waiting: bool,
    patience: Pin<Box<Sleep>>,
}

impl LowWater {
    /// So many bytes are certain to come, unless the connection ends.
    pub(crate) fn expect(&mut self, tcp: &TcpStream, bytes: u64) {
        self.expected = bytes;
        self.lower_at_the_end(tcp);
    }

    /// So many bytes came, and filled the buffer or not.
    pub(crate) fn note(&mut self, tcp: &TcpStream, count: usize, filled: bool) {
        self.expected = self.expected.saturating_sub(count as u64);
        self.lower_at_the_end(tcp);
        match &mut self.raised {
            Some(raised) => raised.waiting = false,
            // Where the kernel will not, nothing is lost but time.
            None if filled && self.expected >= WORTHWHILE && set_low_water(tcp, MARK).is_ok() => {
                self.raised = Some(Raised {
                    waiting: false,
                    patience: Box::pin(sleep(PATIENCE)),
                });
            }
            None => {}
        }
    }

    /// Nothing is there. Ready when the socket is ready for less from now on, so that it is
    /// to be looked at again.
    pub(crate) fn poll_lowered(&mut self, cx: &mut Context<'_>, tcp: &TcpStream) -> Poll<()> {
        let Some(raised) = &mut self.raised else {
            return Poll::Pending;
        };
        if !raised.waiting {
            raised.waiting = true;
            raised.patience.as_mut().reset(Instant::now() + PATIENCE);
        }
        let over = raised.patience.as_mut().poll(cx);
        if over.is_ready() {
            self.lower(tcp);
        }
        over
    }

    fn lower_at_the_end(&mut self, tcp: &TcpStream) {
        if self.raised.is_some() && self.expected < WORTHWHILE {
            self.lower(tcp);
        }
    }

    fn lower(&mut self, tcp: &TcpStream) {
        self.raised = None;
        // It was raised, so it can be lowered.
        let _ = set_low_water(tcp, 1);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Shutdown, TcpListener, TcpStream as Peer};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    const AT_ONCE: i64 = 0;

    /// After which a test that waits has failed, in seconds.
    const IN_THE_END: i64 = 30;

    fn pair() -> (TcpStream, Peer) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("its address");
        let ours = Peer::connect(address).expect("a connection");
        ours.set_nonblocking(true).expect("non-blocking");
        let (peer, _) = listener.accept().expect("its other end");
        (TcpStream::from_std(ours).expect("a stream"), peer)
    }

    /// Where a buffer was filled and so many bytes are still to come.
    fn after_a_buffer(tcp: &TcpStream, expected: u64) -> LowWater {
        let mut low_water = LowWater::default();
        low_water.expect(tcp, expected + 1);
        low_water.note(tcp, 1, true);
        low_water
    }

    fn is_ready(tcp: &TcpStream, within: i64) -> bool {
        let limit = Timespec {
            tv_sec: within,
            tv_nsec: 0,
        };
        let mut polled = [PollFd::new(tcp, PollFlags::IN)];
        poll(&mut polled, Some(&limit)).expect("a look") > 0
    }

    #[tokio::test]
    async fn a_few_bytes_are_told_of_late_and_many_at_once() {
        let (tcp, mut peer) = pair();
        let mut low_water = after_a_buffer(&tcp, WORTHWHILE);
        peer.write_all(b"few").expect("sent");
        assert!(!is_ready(&tcp, AT_ONCE));
        std::future::poll_fn(|cx| low_water.poll_lowered(cx, &tcp)).await;
        assert!(is_ready(&tcp, IN_THE_END));

        let (tcp, mut peer) = pair();
        let _low_water = after_a_buffer(&tcp, WORTHWHILE);
        peer.write_all(&vec![0; MARK as usize]).expect("sent");
        assert!(is_ready(&tcp, IN_THE_END));
    }

    #[tokio::test]
    async fn the_end_is_told_of_at_once() {
        let (tcp, mut peer) = pair();
        let _low_water = after_a_buffer(&tcp, u64::MAX - 1);
        peer.write_all(b"few").expect("sent");
        peer.shutdown(Shutdown::Write).expect("ended");
        assert!(is_ready(&tcp, IN_THE_END));
    }

    #[tokio::test]
    async fn what_ends_soon_or_comes_slowly_is_told_of_as_it_comes() {
        let (tcp, mut peer) = pair();
        peer.write_all(b"few").expect("sent");
        let slow = |low_water: &mut LowWater| {
            low_water.expect(&tcp, u64::MAX);
            low_water.note(&tcp, 1, false);
        };
        let nearly_over = |low_water: &mut LowWater| {
            low_water.note(&tcp, 1, true);
        };
        let another = |low_water: &mut LowWater| low_water.expect(&tcp, 0);
        let mut fresh = LowWater::default();
        slow(&mut fresh);
        assert!(is_ready(&tcp, IN_THE_END));
        for change in [&nearly_over as &dyn Fn(&mut LowWater), &another] {
            let mut low_water = after_a_buffer(&tcp, WORTHWHILE);
            assert!(!is_ready(&tcp, AT_ONCE));
            change(&mut low_water);
            assert!(is_ready(&tcp, IN_THE_END));
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(low_water.poll_lowered(&mut cx, &tcp).is_pending());
        }
    }
}
