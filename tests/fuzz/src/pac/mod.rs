//! The `pac` guest: what a script answers, what it may call, and scripts as a whole.
//!
//! An input is a list ([`crate::pieces`]). The first string is [`kind`], the time in
//! seconds (four bytes), and the local clock's offset in quarters of an hour. Then
//! come, by kind: an answer; calls, each a byte for the function and its arguments
//! behind it, cut at NUL; or the lines of a script.

mod answer;
mod calls;
mod grammar;
mod script;
mod tame;
mod twin;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use fumehood_engine::fuzz::pac::{self as wire, PacInstance};
use fumehood_pac::{
    Evaluator, Moment, Resolve, Surroundings, Target, Transition, Unresolved, Zone,
};

use crate::glass::{Guests, Shadow, with_stack};
use crate::pieces;

pub use grammar::mutate;
pub use tame::FUNCTIONS;

/// What the first byte says an input is, by its rest.
pub mod kind {
    /// What a script answered.
    pub const ANSWER: u8 = 0;
    /// Calls of built-in functions, whose answers are known.
    pub const CALLS: u8 = 1;
    /// A script.
    pub const SCRIPT: u8 = 2;
    /// How many there are.
    pub const COUNT: u8 = 3;
}

/// Native stack for the parser, in bytes: it goes down some twenty functions for each
/// bracket, and a sanitizer makes their frames large. WebAssembly has less, and a trap
/// where that ends.
const STACK_BYTES: usize = 1 << 30;

/// The quarter of an hour in which zones are told, in seconds.
const QUARTER: i32 = 15 * 60;

/// Most brackets of a script that is looked at behind glass too. Some 500 of them, each
/// in the other, are too deep for the guest's stack, and a trap; a native one goes on.
const MAX_BRACKETS: usize = 256;

/// The guest survives, keeps its bounds, and its functions say what others do.
pub fn run(data: &[u8]) {
    with_stack(STACK_BYTES, || drive(data, None));
}

/// The guest says the same natively and behind glass.
pub fn run_beside_glass(data: &[u8]) {
    run_beside(data, Guests::get(), MAX_BRACKETS);
}

/// The same with these guests, for scripts of at most so many brackets.
pub fn run_beside(data: &[u8], guests: &Guests, most_brackets: usize) {
    with_stack(STACK_BYTES, || drive(data, Some((guests, most_brackets))));
}

/// Whether an input is a script that is run, and not only looked over.
#[must_use]
pub fn is_run(data: &[u8]) -> bool {
    let pieces = pieces::split(data);
    let Some(([kind, ..], lines)) = pieces.split_first() else {
        return false;
    };
    kind % kind::COUNT == kind::SCRIPT && script::is_run(&lines.join(&b'\n'))
}

fn drive(data: &[u8], glass: Option<(&Guests, usize)>) {
    let pieces = pieces::split(data);
    let Some((options, rest)) = pieces.split_first() else {
        return;
    };
    let byte = |at: usize| options.get(at).copied().unwrap_or_default();
    let place = Place {
        seconds: u32::from_le_bytes([byte(1), byte(2), byte(3), byte(4)]).into(),
        offset: i32::from(i8::from_le_bytes([byte(5)])).clamp(-95, 95) * QUARTER,
    };
    let shadow = || match glass {
        Some((guests, _)) => guests.pac(addresses),
        None => Shadow::none(),
    };
    match byte(0) % kind::COUNT {
        kind::ANSWER => answer::run(rest, place, glass.map(|_| shadow())),
        kind::CALLS => calls::run(rest, place, shadow),
        _ => {
            let script = rest.join(&b'\n');
            let brackets = script.iter().filter(|it| b"([{".contains(it)).count();
            match glass {
                Some((_, most)) if brackets > most => script::run(&script, place, Shadow::none()),
                _ => script::run(&script, place, shadow()),
            }
        }
    }
}

/// When and where a script runs.
#[derive(Clone, Copy)]
struct Place {
    /// Since the Unix epoch.
    seconds: i64,
    /// Local time less UTC, in seconds.
    offset: i32,
}

impl Place {
    fn moment(self) -> Moment {
        Moment {
            now: self.seconds * 1000,
            seed: 7,
        }
    }

    /// The same behind glass.
    fn wire_moment(self) -> wire::Moment {
        let Moment { now, seed } = self.moment();
        wire::Moment { now, seed }
    }

    fn evaluator(self) -> Evaluator {
        self.counting(&Rc::default())
    }

    /// One that counts the names it has asked for.
    fn counting(self, asked: &Rc<Cell<usize>>) -> Evaluator {
        let mut evaluator = Evaluator::new(Names {
            asked: Rc::clone(asked),
        });
        let zone = Zone::new(vec![Transition {
            from: 0,
            offset: self.offset,
        }]);
        evaluator.surround(Surroundings::new(OWN.to_vec(), zone));
        evaluator
    }

    /// Says it behind glass.
    fn surround(self, shadow: &mut Shadow<PacInstance>) {
        shadow.ask(|it| it.surround(&OWN, self.offset));
        shadow.compare(|| "()".to_owned());
    }
}

/// The machine's own addresses.
const OWN: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5)),
    IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)),
];

fn wire_target(target: &Target<'_>) -> wire::Target {
    wire::Target {
        scheme: target.scheme.to_owned(),
        host: target.host.to_owned(),
        port: target.port,
        path: target.path.to_owned(),
    }
}

/// The names of all runs.
struct Names {
    asked: Rc<Cell<usize>>,
}

impl Resolve for Names {
    fn resolve(&mut self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        self.asked.set(self.asked.get() + 1);
        match addresses(name) {
            Some(found) if found.is_empty() => Err(Unresolved::NotFound),
            Some(found) => Ok(found),
            None => Err(Unresolved::Later),
        }
    }
}

/// What a name begins with says what there is of it.
fn addresses(name: &str) -> Option<Vec<IpAddr>> {
    let number = name.len().to_le_bytes()[0];
    let four = IpAddr::from([10, 1, 2, number]);
    let six = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()]);
    match name.as_bytes().first() {
        Some(b'l') => None,
        Some(b'n') => Some(Vec::new()),
        Some(b's') => Some(vec![six]),
        Some(b'b') => Some(vec![six, four]),
        _ => Some(vec![four]),
    }
}
