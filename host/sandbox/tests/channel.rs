//! Channels against a peer that breaks every rule.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{IoSlice, PipeReader, PipeWriter, Read, Write, pipe};
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use fumehood_control::{CodecError, MAX_PACKET_BYTES, Message, encode};
use fumehood_sandbox::{Channel, ChannelError, MAX_FDS, body_pair};
use proptest::prelude::*;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use serde::{Deserialize, Serialize};

/// A message with any text and the number of descriptors that it claims.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
    fds: usize,
}

impl Message for Note {
    fn fd_count(&self) -> usize {
        self.fds
    }
}

type NoteChannel = Channel<Note, Note>;

fn note(text: &str, fds: usize) -> Note {
    Note {
        text: text.to_owned(),
        fds,
    }
}

/// Sends bytes and descriptors as a hostile peer would: as it likes.
fn send_raw(peer: &NoteChannel, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS + 1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    sendmsg(
        peer,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .unwrap();
}

/// Proves that no copy of the writing end is left: the reading end ends.
fn assert_closed(mut reader: PipeReader, writer: PipeWriter) {
    drop(writer);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_message_arrives_with_its_descriptors() {
    let (a, b) = NoteChannel::pair().unwrap();
    let (mut reader, writer) = pipe().unwrap();
    a.send(&note("take this", 1), &[writer.as_fd()]).unwrap();
    drop(writer);
    let (message, fds) = b.recv().unwrap();
    assert_eq!(message, note("take this", 1));
    let [fd] = <[OwnedFd; 1]>::try_from(fds).unwrap();
    assert!(
        rustix::io::fcntl_getfd(&fd)
            .unwrap()
            .contains(rustix::io::FdFlags::CLOEXEC)
    );
    PipeWriter::from(fd).write_all(b"x").unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "x");
}

#[test]
fn a_sender_cannot_send_another_number_of_descriptors() {
    let (a, b) = NoteChannel::pair().unwrap();
    let (_, writer) = pipe().unwrap();
    let sent = a.send(&note("none", 0), &[writer.as_fd()]);
    let wrong = CodecError::WrongFdCount { got: 1, want: 0 };
    assert!(matches!(sent, Err(ChannelError::Codec(e)) if e == wrong));
    let many = [writer.as_fd(); MAX_FDS + 1];
    let sent = a.send(&note("more than travel", MAX_FDS + 1), &many);
    assert!(matches!(
        sent,
        Err(ChannelError::Codec(CodecError::WrongFdCount { .. }))
    ));
    drop(a);
    assert!(matches!(b.recv(), Err(ChannelError::Closed))); // nothing was sent
}

#[test]
fn a_wrong_number_of_descriptors_is_refused_and_they_are_closed() {
    let (a, b) = NoteChannel::pair().unwrap();
    for (claimed, sent) in [(0, 1), (1, 2), (2, 1)] {
        let (reader, writer) = pipe().unwrap();
        let bytes = encode(&note("", claimed)).unwrap();
        send_raw(&a, &bytes, &vec![writer.as_fd(); sent]);
        let wrong = CodecError::WrongFdCount {
            got: sent,
            want: claimed,
        };
        assert!(matches!(b.recv(), Err(ChannelError::Codec(e)) if e == wrong));
        assert_closed(reader, writer);
    }
}

#[test]
fn too_many_descriptors_are_refused_and_they_are_closed() {
    let (a, b) = NoteChannel::pair().unwrap();
    let (reader, writer) = pipe().unwrap();
    let bytes = encode(&note("", MAX_FDS + 1)).unwrap();
    send_raw(&a, &bytes, &[writer.as_fd(); MAX_FDS + 1]);
    assert!(matches!(b.recv(), Err(ChannelError::Truncated)));
    assert_closed(reader, writer);
}

#[test]
fn a_packet_over_the_bound_is_refused_and_the_next_one_is_whole() {
    let (a, b) = NoteChannel::pair().unwrap();
    let (reader, writer) = pipe().unwrap();
    send_raw(&a, &vec![0; MAX_PACKET_BYTES + 1], &[writer.as_fd()]);
    a.send(&note("next", 0), &[]).unwrap();
    assert!(matches!(b.recv(), Err(ChannelError::Truncated)));
    assert_closed(reader, writer);
    assert_eq!(b.recv().unwrap().0, note("next", 0));
}

#[test]
fn a_message_over_the_bound_is_not_sent() {
    let (a, _b) = NoteChannel::pair().unwrap();
    let sent = a.send(&note(&"x".repeat(MAX_PACKET_BYTES), 0), &[]);
    assert!(matches!(
        sent,
        Err(ChannelError::Codec(CodecError::TooLarge { .. }))
    ));
}

#[test]
fn the_largest_packet_passes() {
    let (a, b) = NoteChannel::pair().unwrap();
    let overhead = encode(&note(&"x".repeat(MAX_PACKET_BYTES / 2), 0))
        .unwrap()
        .len()
        - MAX_PACKET_BYTES / 2;
    let largest = note(&"x".repeat(MAX_PACKET_BYTES - overhead), 0);
    assert_eq!(encode(&largest).unwrap().len(), MAX_PACKET_BYTES);
    a.send(&largest, &[]).unwrap();
    assert_eq!(b.recv().unwrap().0, largest);
}

#[test]
fn an_empty_packet_ends_the_channel_and_its_descriptors() {
    let (a, b) = NoteChannel::pair().unwrap();
    let (reader, writer) = pipe().unwrap();
    send_raw(&a, &[], &[writer.as_fd()]);
    assert!(matches!(b.recv(), Err(ChannelError::Closed)));
    assert_closed(reader, writer);
}

#[test]
fn a_peer_that_is_gone_is_an_end_in_both_directions() {
    let (a, b) = NoteChannel::pair().unwrap();
    a.send(&note("unread", 0), &[]).unwrap();
    b.send(&note("unread", 0), &[]).unwrap();
    drop(b);
    assert!(matches!(
        a.send(&note("", 0), &[]),
        Err(ChannelError::Closed)
    ));
    while let Ok(unread) = a.recv() {
        assert_eq!(unread.0, note("unread", 0));
    }
    assert!(matches!(a.recv(), Err(ChannelError::Closed)));
}

#[test]
fn what_is_not_a_channel_is_refused() {
    let (reader, _) = pipe().unwrap();
    let (stream, _) = UnixStream::pair().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for fd in [OwnedFd::from(reader), stream.into(), udp.into()] {
        assert!(matches!(
            NoteChannel::from_fd(fd),
            Err(ChannelError::NotAChannel)
        ));
    }
    let (a, _b) = NoteChannel::pair().unwrap();
    NoteChannel::from_fd(a.into_fd()).unwrap();
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 1..64)) {
        let (a, b) = NoteChannel::pair().unwrap();
        send(&a, &bytes, SendFlags::NOSIGNAL).unwrap();
        match b.recv() {
            Ok((_, fds)) => prop_assert!(fds.is_empty()),
            Err(error) => prop_assert!(matches!(error, ChannelError::Codec(_))),
        }
    }
}

#[tokio::test]
async fn the_asynchronous_kind_waits_for_room_and_keeps_order() {
    const MESSAGES: usize = 500; // several times what the socket holds
    let (a, b) = NoteChannel::pair().unwrap();
    let (a, b) = (a.into_async().unwrap(), b.into_async().unwrap());
    let text = "x".repeat(MAX_PACKET_BYTES / 2);
    let sending = async {
        for i in 0..MESSAGES {
            a.send(&note(&format!("{i} {text}"), 0), &[]).await.unwrap();
        }
    };
    let receiving = async {
        for i in 0..MESSAGES {
            let (message, _) = b.recv().await.unwrap();
            assert_eq!(message.text.split_once(' ').unwrap().0, i.to_string());
        }
    };
    tokio::join!(sending, receiving);
    drop(b);
    assert!(matches!(
        a.send(&note("", 0), &[]).await,
        Err(ChannelError::Closed)
    ));
    assert!(matches!(a.recv().await, Err(ChannelError::Closed)));
}

#[tokio::test]
async fn the_asynchronous_kind_passes_and_refuses_descriptors() {
    let (a, b) = NoteChannel::pair().unwrap();
    let (reader, writer) = pipe().unwrap();
    send_raw(&a, &encode(&note("", 0)).unwrap(), &[writer.as_fd()]);
    let b = b.into_async().unwrap();
    let refused = b.recv().await;
    assert!(matches!(
        refused,
        Err(ChannelError::Codec(CodecError::WrongFdCount { .. }))
    ));
    let a = a.into_async().unwrap();
    a.send(&note("two", 2), &[writer.as_fd(), reader.as_fd()])
        .await
        .unwrap();
    let (_, fds) = b.recv().await.unwrap();
    assert_eq!(fds.len(), 2);
    drop(fds);
    assert_closed(reader, writer);
}

#[tokio::test]
async fn a_receive_that_is_given_up_loses_nothing() {
    let (a, b) = NoteChannel::pair().unwrap();
    let (a, b) = (a.into_async().unwrap(), b.into_async().unwrap());
    tokio::select! {
        biased;
        _ = b.recv() => panic!("nothing was sent"),
        () = std::future::ready(()) => {}
    }
    a.send(&note("later", 0), &[]).await.unwrap();
    assert_eq!(b.recv().await.unwrap().0, note("later", 0));
}

#[test]
fn both_ends_of_a_body_are_non_blocking_and_end() {
    let (a, b) = body_pair().unwrap();
    let (mut a, mut b) = (UnixStream::from(a), UnixStream::from(b));
    for end in [&mut a, &mut b] {
        let error = end.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
    a.write_all(b"payload").unwrap();
    drop(a);
    let mut text = String::new();
    b.read_to_string(&mut text).unwrap();
    assert_eq!(text, "payload");
}
