//! What an engine gone rogue may say, and what comes of it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use fumehood_control::{Blame, Cause, ExchangeId, Failure, GrantId, fragments};
use fumehood_policy::RequestUrl;
use tokio::sync::Semaphore;

use super::*;

const ID: ExchangeId = ExchangeId(7);

struct Setting {
    routes: Routes,
    inbox: Inbox,
    permits: Arc<Semaphore>,
    over: mpsc::UnboundedSender<GrantId>,
    ended: mpsc::UnboundedReceiver<GrantId>,
}

const GRANT: GrantId = GrantId(70);

fn setting() -> Setting {
    let permits = Arc::new(Semaphore::new(1));
    let permit = permits.clone().try_acquire_owned().unwrap();
    let routes = Routes::new(Arc::default());
    let target = RequestUrl::parse("http://a.example/").unwrap().target;
    let (over, ended) = mpsc::unbounded_channel();
    let leave = Leave::new(GRANT, &over);
    let inbox = routes.open(ID, target, permit, leave).unwrap();
    Setting {
        routes,
        inbox,
        permits,
        over,
        ended,
    }
}

fn head(status: u16) -> Vec<u8> {
    let head = ResponseHead {
        minor_version: 1,
        status,
        reason: Vec::new(),
        fields: Vec::new(),
    };
    fragments(&head).unwrap().concat()
}

fn finished(outcome: Result<Summary, Failure>) -> ToEmbedder {
    ToEmbedder::Finished { id: ID, outcome }
}

#[test]
fn a_head_in_fragments_is_put_together() {
    let mut it = setting();
    let bytes = head(204);
    let (first, last) = bytes.split_at(2);
    let fragment = ToEmbedder::HeadFragment {
        id: ID,
        bytes: first.to_vec(),
    };
    it.routes.take(fragment).unwrap();
    let last = ToEmbedder::Head {
        id: ID,
        bytes: last.to_vec(),
    };
    it.routes.take(last).unwrap();
    it.routes.take(finished(Ok(Summary::default()))).unwrap();
    assert!(matches!(it.inbox.events.try_recv(), Ok(Event::Head(head)) if head.status == 204));
    assert!(matches!(
        it.inbox.events.try_recv(),
        Ok(Event::Finished(Ok(_)))
    ));
    assert_eq!(it.permits.available_permits(), 1, "the next may begin");
}

#[test]
fn strangers_and_the_finished_have_no_say() {
    let it = setting();
    let other = ExchangeId(8);
    let event = JourneyEvent::Sent;
    let stranger = ToEmbedder::Journey { id: other, event };
    assert!(it.routes.take(stranger).is_err());
    let failure = Failure {
        blame: Blame::Peer,
        cause: Cause::Cancelled,
        retry: RetrySafety::NotSent,
    };
    it.routes.take(finished(Err(failure.clone()))).unwrap();
    assert!(it.routes.take(finished(Err(failure))).is_err());
}

#[test]
fn success_without_a_head_and_two_heads_are_lies() {
    let it = setting();
    assert!(it.routes.take(finished(Ok(Summary::default()))).is_err());
    let it = setting();
    let message = || ToEmbedder::Head {
        id: ID,
        bytes: head(200),
    };
    it.routes.take(message()).unwrap();
    assert!(it.routes.take(message()).is_err());
}

#[test]
fn neither_events_nor_fragments_pile_up() {
    let it = setting();
    let step = || ToEmbedder::Journey {
        id: ID,
        event: JourneyEvent::Sent,
    };
    for _ in 0..MAX_EVENTS {
        it.routes.take(step()).unwrap();
    }
    assert!(it.routes.take(step()).is_err());
    let it = setting();
    let fragment = || ToEmbedder::HeadFragment {
        id: ID,
        bytes: vec![0; 15 * 1024],
    };
    let taken = (0..100)
        .take_while(|_| it.routes.take(fragment()).is_ok())
        .count();
    assert!(taken < 30, "{taken}");
}

#[test]
fn garbage_for_a_head_is_refused() {
    let it = setting();
    let bytes = vec![0xff; 40];
    assert!(it.routes.take(ToEmbedder::Head { id: ID, bytes }).is_err());
}

#[test]
fn an_engines_death_ends_what_was_under_way_and_nothing_new_begins() {
    let mut it = setting();
    it.routes.close();
    let Ok(Event::Finished(Err(error))) = it.inbox.events.try_recv() else {
        panic!("not finished")
    };
    assert_eq!(error.blame(), Blame::Engine);
    assert_eq!(error.retry_safety(), RetrySafety::MaybeProcessed);
    assert!(!error.is_retryable());
    let permit = it.permits.clone().try_acquire_owned().unwrap();
    let target = RequestUrl::parse("http://a.example/").unwrap().target;
    let leave = Leave::new(GRANT, &it.over);
    let id = ExchangeId(9);
    assert!(it.routes.open(id, target, permit, leave).is_none());
}

#[test]
fn however_an_exchange_ends_its_grant_is_taken_back() {
    let failure = || Failure {
        blame: Blame::Network,
        cause: Cause::Socket { errno: 104 },
        retry: RetrySafety::NotSent,
    };
    let ends: [fn(&Routes, Failure); 3] = [
        |routes, failure| routes.take(finished(Err(failure))).unwrap(),
        |routes, _| routes.forget(ID),
        |routes, _| routes.close(),
    ];
    for end in ends {
        let mut it = setting();
        assert!(
            it.ended.try_recv().is_err(),
            "it holds while it is under way"
        );
        end(&it.routes, failure());
        assert_eq!(it.ended.try_recv(), Ok(GRANT));
    }
}

#[tokio::test]
async fn the_broker_is_told_of_every_grant_that_is_over() {
    use fumehood_control::{FromBroker, ToBroker};
    let (ours, theirs) = fumehood_sandbox::Channel::<ToBroker, FromBroker>::pair().unwrap();
    let ours = ours.into_async().unwrap();
    let it = setting();
    it.routes.close();
    // Nobody is left who could end another exchange.
    drop(it.over);
    crate::live::revoke_all(&ours, it.ended).await.unwrap();
    let (told, _none) = theirs.recv().unwrap();
    assert_eq!(told, ToBroker::Revoke(GRANT));
}

#[test]
fn progress_keeps_only_the_latest() {
    let mut it = setting();
    for received in 1..1000 {
        let progress = ToEmbedder::Progress {
            id: ID,
            received,
            sent: 0,
        };
        it.routes.take(progress).unwrap();
    }
    assert!(it.inbox.events.try_recv().is_err());
    assert_eq!(it.inbox.progress.borrow().received, 999);
}
