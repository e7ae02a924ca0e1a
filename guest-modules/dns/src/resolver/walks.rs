//! The way from a trust anchor to a zone, gone once for all lookups that wait for it.
//!
//! Of those that need the same record of a zone the first asks, and the others wait
//! for what it learns. Where it ends without, one of them asks in its place.

use std::collections::BTreeMap;

use super::Resolver;
use crate::cache::{About, Key};
use crate::lookup::{Lookup, LookupId};
use crate::types::{Cause, Happening, Time};

/// Who asks for a record of a zone, and who waits for it too.
#[derive(Debug, Default)]
pub(super) struct Walks(BTreeMap<Key, Walk>);

#[derive(Debug)]
struct Walk {
    leader: LookupId,
    followers: Vec<LookupId>,
}

enum Part {
    Leads,
    Follows,
}

impl Walks {
    fn join(&mut self, question: Key, id: LookupId) -> Part {
        let Some(walk) = self.0.get_mut(&question) else {
            let followers = Vec::new();
            let leader = id;
            self.0.insert(question, Walk { leader, followers });
            return Part::Leads;
        };
        walk.followers.push(id);
        Part::Follows
    }

    /// Takes a lookup out. Who followed it is nobody's any more.
    fn leave(&mut self, question: &Key, id: LookupId) -> Vec<LookupId> {
        let Some(walk) = self.0.get_mut(question) else {
            return Vec::new();
        };
        walk.followers.retain(|it| *it != id);
        if walk.leader != id {
            return Vec::new();
        }
        let walk = self.0.remove(question);
        walk.map(|it| it.followers).unwrap_or_default()
    }
}

impl Resolver {
    /// Asks for what a lookup's reply stands on, or waits for who does.
    pub(super) fn walk(&mut self, id: LookupId, now: Time) {
        let question = self.lookups.get(&id).and_then(Lookup::zone_question);
        let Some(question) = question else {
            return;
        };
        if let Some(cause) = self.cache.failure(About::Zone, &question, now) {
            self.note(id, now, Happening::CacheHit);
            return self.end(id, Err(cause), now);
        }
        match self.walks.join(question, id) {
            Part::Leads => self.take_turn(id, now),
            Part::Follows => self.note(id, now, Happening::Joined),
        }
    }

    /// What was asked for has been learnt: all who waited for it go on.
    pub(super) fn go_on(&mut self, id: LookupId, question: &Key, now: Time) {
        let followers = self.walks.leave(question, id);
        self.prove(id, now);
        for follower in followers {
            self.prove(follower, now);
        }
    }

    /// No server says anything that is believed: it would be no better for who follows.
    pub(super) fn fail_walk(&mut self, id: LookupId, question: Key, cause: &Cause, now: Time) {
        let followers = self.walks.leave(&question, id);
        self.cache.put_failure(About::Zone, question, cause, now);
        for follower in followers {
            self.end(follower, Err(cause.clone()), now);
        }
    }

    /// A lookup ends on the way: another goes on in its place.
    pub(super) fn leave_walk(&mut self, id: LookupId, question: &Key, now: Time) {
        for follower in self.walks.leave(question, id) {
            self.prove(follower, now);
        }
    }
}
