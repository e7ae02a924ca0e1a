//! Replies that are believed only when DNSSEC holds.

use hickory_proto::op::Message;

use super::Resolver;
use crate::dnssec::{self, Flaw, Proof, Step, Tools};
use crate::exchange::Exchange;
use crate::lookup::{LookupId, Proving};
use crate::types::{Cause, Happening, Time};

impl Resolver {
    /// A reply that says something, to what was asked for or to what another
    /// reply stands on.
    pub(super) fn said_signed(
        &mut self,
        exchange: &Exchange,
        reply: &Message,
        bytes: &[u8],
        now: Time,
    ) {
        let id = exchange.lookup;
        let sets = match dnssec::read(bytes) {
            Ok(sets) => sets,
            Err(why) => return self.next_turn(id, Cause::Malformed(why), now),
        };
        let Some(lookup) = self.lookups.get_mut(&id) else {
            return;
        };
        if let Some(question) = lookup.zone_question() {
            let learnt = self.learn(id, &sets, now);
            return match learnt {
                Ok(()) => self.go_on(id, &question, now),
                Err(flaw) => self.disbelieve(id, &flaw, now),
            };
        }
        let before = lookup.chain.clone();
        let verdict = match lookup.follow(reply, self.settings.trust_authentic, now) {
            Ok(verdict) => verdict,
            Err(cause) => return self.end(id, Err(cause), now),
        };
        let names = lookup.chain.names_from(before.aliases().len());
        match Proof::new(sets, names, lookup.key.kind, &verdict, &self.zones) {
            Ok(proof) => {
                lookup.proving = Some(Box::new(Proving {
                    proof,
                    verdict,
                    server: exchange.server,
                    before,
                    held: None,
                }));
                self.prove(id, now);
            }
            Err(flaw) => {
                lookup.chain = before;
                self.disbelieve(id, &flaw, now);
            }
        }
    }

    /// Takes what a reply says of a zone.
    fn learn(&mut self, id: LookupId, sets: &dnssec::Sets, now: Time) -> Result<(), Flaw> {
        let Some(lookup) = self.lookups.get_mut(&id) else {
            return Ok(());
        };
        let mut tools = Tools {
            oracle: self.oracle.as_ref(),
            now,
            work: &mut lookup.work,
        };
        match &mut lookup.proving {
            Some(proving) => proving.proof.hear(sets, &mut self.zones, &mut tools),
            None => Ok(()),
        }
    }

    /// Asks for what the last reply stands on, or believes it, or does not.
    pub(super) fn prove(&mut self, id: LookupId, now: Time) {
        let Some(lookup) = self.lookups.get_mut(&id) else {
            return;
        };
        let Some(mut proving) = lookup.proving.take() else {
            return;
        };
        let mut tools = Tools {
            oracle: self.oracle.as_ref(),
            now,
            work: &mut lookup.work,
        };
        match proving.proof.advance(&mut self.zones, &mut tools) {
            Ok(Step::Ask) => match proving.hold(&self.room) {
                Ok(()) => {
                    lookup.proving = Some(proving);
                    lookup.turn = 0;
                    self.walk(id, now);
                }
                Err(cause) => self.end(id, Err(cause), now),
            },
            Ok(Step::Done(security, ttl)) => {
                lookup.security = lookup.security.max(security);
                lookup.chain.holds_for(ttl);
                let security = lookup.security;
                let Proving {
                    verdict, server, ..
                } = *proving;
                self.settle(id, verdict, server, Some(security), now);
            }
            Err(flaw) => {
                lookup.chain = proving.before;
                self.disbelieve(id, &flaw, now);
            }
        }
    }

    /// Asks again, as another server may know better; but no more where it has
    /// cost too much already.
    fn disbelieve(&mut self, id: LookupId, flaw: &Flaw, now: Time) {
        self.note(id, now, Happening::Bogus(flaw.to_string()));
        let cause = Cause::Bogus(flaw.to_string());
        match flaw {
            Flaw::TooMuchWork => self.end(id, Err(cause), now),
            _ => self.next_turn(id, cause, now),
        }
    }
}
