//! The native resolver, driven as the guest drives itself.

use std::collections::VecDeque;
use std::rc::Rc;

use fumehood_engine::fuzz::resolver::{Deed, Step};
use fumehood_guest_dns::{Config, MAX_TASKS, Query, QueryId, Resolver, Time, drive};

use super::network::Model;
use super::words;
use crate::dns::{Notary, numbers};

/// A resolver and its network.
pub(super) struct Native {
    pub(super) resolver: Resolver,
    pub(super) network: Model,
    inbox: VecDeque<Task>,
}

enum Task {
    Configure(Config),
    Resolve(Query),
    Cancel(QueryId),
}

impl Native {
    pub(super) fn new(now: Time) -> Native {
        let notary = Box::new(Notary::default());
        Native {
            resolver: Resolver::new(numbers(), notary),
            network: Model::new(now),
            inbox: VecDeque::new(),
        }
    }

    pub(super) fn configure(&mut self, config: &Config) {
        self.inbox.push_back(Task::Configure(config.clone()));
    }

    pub(super) fn resolve(&mut self, query: Query) {
        self.inbox.push_back(Task::Resolve(query));
    }

    pub(super) fn cancel(&mut self, id: QueryId) {
        self.inbox.push_back(Task::Cancel(id));
    }

    /// Goes on until there is nothing more to do at this time.
    pub(super) fn go_on(&mut self) -> Step {
        // What woke it comes first.
        self.network.look();
        loop {
            let now = self.network.now;
            self.drive(now);
            self.take_tasks(now);
            self.drive(now);
            let late = self.resolver.next_timeout().is_some_and(|at| at <= now);
            let heard = self.network.look();
            if !heard && !late && self.inbox.is_empty() {
                return Step {
                    deeds: self.network.deeds.take(),
                    open: self.network.open(),
                    alarm: self.resolver.next_timeout(),
                };
            }
        }
    }

    fn drive(&mut self, now: Time) {
        let deeds = Rc::clone(&self.network.deeds);
        drive(&mut self.resolver, &mut self.network, now, |id, outcome| {
            let answered = Deed::Answered(id, words::outcome(outcome));
            deeds.borrow_mut().push(answered);
        });
    }

    fn take_tasks(&mut self, now: Time) {
        let count = self.inbox.len().min(MAX_TASKS);
        for task in self.inbox.drain(..count) {
            match task {
                Task::Configure(config) => self.resolver.configure(&config, now),
                Task::Resolve(query) => self.resolver.resolve(query, now),
                Task::Cancel(id) => self.resolver.cancel(id, now),
            }
        }
    }
}
