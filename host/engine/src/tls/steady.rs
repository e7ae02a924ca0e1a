//! The `tls` guest of a connection behind its handshake, which outlives its instances.
//!
//! A message behind the handshake depends on nothing but the keys in use, and
//! those are in the host. So when an instance ends over one, another adopts the
//! connection and is shown the same message; and when another version became
//! current, one of its instances adopts what is idle. The peer notices nothing.

use std::sync::Arc;

use fumehood_control::{Aftermath, Cause, Instance};

use super::TlsModule;
use super::guest::{Ask, Established, Guest, HandshakeError, NewKeys, NotAdopted};
use super::state::TlsState;
use crate::connection::Meter;
use crate::instance::{Fault, Faults};
use crate::registry::{Registry, Version};

/// Most takeovers on one connection. A peer that found a bug in every version
/// ends its own connection, and does not keep the engine busy.
const MAX_TAKEOVERS: u32 = 4;

/// A connection's guest.
pub(super) struct SteadyGuest {
    registry: Arc<Registry>,
    version: Arc<Version<TlsModule>>,
    guest: Guest,
    established: Established,
    /// Instances that took over, not yet told of.
    taken_over: Vec<Instance>,
    takeovers_left: u32,
    /// Work of instances before this one.
    before: Meter,
}

/// What came of it.
pub(super) enum Asked {
    /// The guest, this or another, says what changes.
    Keys(Box<SteadyGuest>, NewKeys),
    /// The guest says that the peer broke the protocol.
    Refused(Cause),
    /// No instance survived it. The work of all of them.
    Lost(Cause, Meter),
}

impl SteadyGuest {
    pub(super) fn new(
        registry: &Arc<Registry>,
        version: &Arc<Version<TlsModule>>,
        guest: Guest,
        established: Established,
    ) -> SteadyGuest {
        SteadyGuest {
            registry: Arc::clone(registry),
            version: Arc::clone(version),
            guest,
            established,
            taken_over: Vec::new(),
            takeovers_left: MAX_TAKEOVERS,
            before: Meter::default(),
        }
    }

    /// All instances' work so far.
    pub(super) fn meter(&self) -> Meter {
        let now = self.guest.meter();
        Meter {
            bytes_through_guests: self.before.bytes_through_guests + now.bytes_through_guests,
            calls: self.before.calls + now.calls,
            memory_bytes: now.memory_bytes,
        }
    }

    /// Whether it is of the version that new connections take.
    pub(super) fn is_current(&self) -> bool {
        let current = self.registry.tls.current();
        current.is_ok_and(|current| Arc::ptr_eq(&current, &self.version))
    }

    /// Has an instance of the current version adopt the connection, where this
    /// one's is another; to be called between two exchanges only. Returns the
    /// new instance. There is no guest any more where that fails.
    ///
    /// # Errors
    /// [`Cause::Guest`] when there is none to be had or it ended, and what it
    /// said when it would not take the connection: no fault of its.
    pub(super) fn refresh(mut self: Box<Self>) -> Result<(Box<Self>, Option<Instance>), Cause> {
        let current = self.registry.tls.current()?;
        if Arc::ptr_eq(&current, &self.version) {
            return Ok((self, None));
        }
        self.before = self.meter();
        let SteadyGuest {
            guest, established, ..
        } = *self;
        match adopt(&current.module, guest.into_state(), &established) {
            Ok(guest) => {
                let made = guest.describe();
                let moved = SteadyGuest {
                    version: current,
                    guest,
                    established,
                    ..*self
                };
                Ok((Box::new(moved), Some(made)))
            }
            Err(NotAdopted::Refused(why, _guest)) => Err(why),
            Err(NotAdopted::Ended(fault, _state)) => {
                fault.settle(Aftermath::Failed);
                self.registry.enforce();
                Err(fault.into())
            }
        }
    }

    /// Instances that took over since the last time.
    pub(super) fn taken_over(&mut self) -> Vec<Instance> {
        std::mem::take(&mut self.taken_over)
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> (u64, u64) {
        (self.established.outbound, self.established.inbound)
    }

    /// Asks this instance, and where it ends the others.
    pub(super) fn ask(mut self: Box<Self>, ask: Ask<'_>) -> Asked {
        match self.guest.ask(ask) {
            Ok(keys) => Asked::Keys(self, keys),
            Err(HandshakeError::Other(cause)) => Asked::Refused(cause),
            Err(HandshakeError::Guest(fault)) => self.take_over(ask, fault.into()),
        }
    }

    /// The same version once, then the good one before it.
    fn take_over(mut self: Box<Self>, ask: Ask<'_>, mut faults: Faults) -> Asked {
        self.before = self.meter();
        let again = Some(&self.version)
            .filter(|version| !version.about.is_condemned())
            .cloned();
        let before = self.registry.tls.previous(self.version.digest());
        let SteadyGuest {
            guest, established, ..
        } = *self;
        // Ends the instance: its place in the pool may be needed.
        let mut state = guest.into_state();
        for version in [again, before].into_iter().flatten() {
            if self.takeovers_left == 0 {
                break;
            }
            self.takeovers_left -= 1;
            match adopt_and_ask(&version.module, state, &established, ask) {
                Ok((guest, answer)) => {
                    faults.settle(Aftermath::Resumed);
                    self.registry.enforce();
                    self.taken_over.push(guest.describe());
                    let steady = SteadyGuest {
                        version,
                        guest,
                        established,
                        ..*self
                    };
                    return match answer {
                        Ok(keys) => Asked::Keys(Box::new(steady), keys),
                        Err(cause) => Asked::Refused(cause),
                    };
                }
                Err((fault, returned)) => {
                    faults.push(fault);
                    state = *returned;
                }
            }
        }
        let cause = faults.first();
        faults.settle(Aftermath::WentOn);
        self.registry.enforce();
        Asked::Lost(cause, self.before)
    }
}

/// An instance that took over, and its answer: keys, or what the peer did wrong.
type Answered = (Guest, Result<NewKeys, Cause>);

/// Has an instance adopt a connection and answer. What the connection is about
/// is given back where it ends.
fn adopt_and_ask(
    module: &TlsModule,
    state: TlsState,
    established: &Established,
    ask: Ask<'_>,
) -> Result<Answered, (Fault, Box<TlsState>)> {
    let mut guest = adopt(module, state, established).map_err(|it| match it {
        NotAdopted::Ended(fault, state) => (fault, state),
        NotAdopted::Refused(_, mut guest) => {
            let fault = guest.nonsense("it refused to take a connection over".to_owned());
            (fault, Box::new(guest.into_state()))
        }
    })?;
    match guest.ask(ask) {
        Ok(keys) => Ok((guest, Ok(keys))),
        Err(HandshakeError::Other(cause)) => Ok((guest, Err(cause))),
        Err(HandshakeError::Guest(fault)) => Err((fault, Box::new(guest.into_state()))),
    }
}

/// Has an instance adopt a connection, under the keys that are in use by now.
fn adopt(
    module: &TlsModule,
    mut state: TlsState,
    established: &Established,
) -> Result<Guest, NotAdopted> {
    let mut established = established.clone();
    if let Some((outbound, inbound)) = state.keys.in_use() {
        (established.outbound, established.inbound) = (outbound.0, inbound.0);
    }
    module.adopt(state, &established)
}
