//! The evaluator as a component: the world `fumehood:pac/pac-evaluator`.
//!
//! An instance has one [`Evaluator`], which is its state.

pub mod bindings;
mod convert;

use std::cell::RefCell;
use std::net::IpAddr;

use bindings::exports::fumehood::pac::evaluator as wit;
use bindings::fumehood::pac::names;
use fumehood_guest_sdk::panic;

use crate::bounds::MAX_ADDRESSES;
use crate::{Evaluator, Resolve, Target, Unresolved};

/// Serves one script.
#[derive(Debug)]
pub struct PacEvaluator;

/// Names by the component's import.
struct Imported;

impl Resolve for Imported {
    fn resolve(&mut self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        match names::resolve(name) {
            Ok(found) => Ok(found
                .iter()
                .take(MAX_ADDRESSES)
                .filter_map(|text| text.parse().ok())
                .collect()),
            Err(names::Unresolved::NotFound) => Err(Unresolved::NotFound),
            Err(names::Unresolved::Later) => Err(Unresolved::Later),
        }
    }
}

impl wit::Guest for PacEvaluator {
    fn surround(place: wit::Surroundings) {
        with_evaluator(|evaluator| evaluator.surround(place.into()));
    }

    fn load(script: Vec<u8>, at: wit::Moment) -> Result<(), wit::LoadError> {
        with_evaluator(|evaluator| Ok(evaluator.load(&script, at.into())?))
    }

    fn find(target: wit::Target, at: wit::Moment) -> Result<wit::Finding, wit::CallError> {
        let target = Target {
            scheme: &target.scheme,
            host: &target.host,
            port: target.port,
            path: &target.path,
        };
        with_evaluator(|evaluator| Ok(evaluator.find(&target, at.into())?.into()))
    }

    fn explain(target: wit::Target, at: wit::Moment) -> wit::Explained {
        let target = Target {
            scheme: &target.scheme,
            host: &target.host,
            port: target.port,
            path: &target.path,
        };
        with_evaluator(|evaluator| evaluator.explain(&target, at.into()).into())
    }

    fn lint(script: Vec<u8>) -> Vec<wit::Remark> {
        panic::install();
        crate::lint(&script)
            .into_iter()
            .map(wit::Remark::from)
            .collect()
    }
}

/// Gives an export the instance's evaluator, with last words prepared.
fn with_evaluator<T>(call: impl FnOnce(&mut Evaluator) -> T) -> T {
    thread_local! {
        static EVALUATOR: RefCell<Evaluator> = RefCell::new(Evaluator::new(Imported));
    }
    panic::install();
    EVALUATOR.with_borrow_mut(call)
}
