//! The JavaScript context: boa, with limits, without a clock or chance of its own.

use std::rc::Rc;

use boa_engine::context::time::JsInstant;
use boa_engine::context::{ContextBuilder, HostHooks};
use boa_engine::job::IdleJobExecutor;
use boa_engine::module::IdleModuleLoader;
use boa_engine::{Context, JsError, JsObject, JsResult, JsValue, Source, js_string};

use crate::Thrown;
use crate::bounds::{MAX_BUFFER_BYTES, MAX_CALL_DEPTH, MAX_ERROR_BYTES, MAX_LOOP_PASSES};
use crate::builtins::{self, Noted};
use crate::call::Shared;
use crate::text::{bounded, position_in_words};

/// How a context's data find the way to the call.
pub(crate) struct Handle(pub(crate) Rc<Shared>);

struct Hooks(Rc<Shared>);

impl HostHooks for Hooks {
    fn local_timezone_offset_seconds(&self, unix_time_seconds: i64) -> i32 {
        let surroundings = self.0.surroundings.borrow();
        surroundings.zone.offset_at(unix_time_seconds)
    }

    fn max_buffer_size(&self, _: &mut Context) -> u64 {
        MAX_BUFFER_BYTES
    }
}

/// The call's time, which stands still.
struct Clock(Rc<Shared>);

impl boa_engine::context::time::Clock for Clock {
    fn now(&self) -> JsInstant {
        JsInstant::new(0, 0)
    }

    fn system_time_millis(&self) -> i64 {
        self.0.now.get()
    }
}

/// A script's world, with the built-in functions and nothing else of ours.
pub(crate) struct Engine {
    context: Context,
}

/// Why JavaScript ended without a value.
pub(crate) enum Ended {
    Threw(Thrown),
    /// By a limit of the engine, or because we stopped it.
    Stopped(String),
}

impl Engine {
    pub(crate) fn new(shared: &Rc<Shared>, noted: Noted) -> Result<Self, Ended> {
        let made = ContextBuilder::new()
            .host_hooks(Rc::new(Hooks(Rc::clone(shared))))
            .clock(Rc::new(Clock(Rc::clone(shared))))
            // Promises never settle: nothing may outlive its call.
            .job_executor(Rc::new(IdleJobExecutor))
            .module_loader(Rc::new(IdleModuleLoader))
            .build()
            .and_then(|mut context| {
                let limits = context.runtime_limits_mut();
                limits.set_loop_iteration_limit(MAX_LOOP_PASSES);
                limits.set_recursion_limit(MAX_CALL_DEPTH);
                context.insert_data(Handle(Rc::clone(shared)));
                builtins::register(&mut context, noted)?;
                Ok(context)
            });
        match made {
            Ok(context) => Ok(Self { context }),
            Err(error) => Err(ended(&error)),
        }
    }

    /// Runs a script's top level.
    pub(crate) fn run(&mut self, script: &str) -> Result<(), Ended> {
        self.context
            .eval(Source::from_bytes(script))
            .map(|_value| ())
            .map_err(|error| ended(&error))
    }

    /// A global function, the first of `names` there is.
    pub(crate) fn function(&mut self, names: &[&'static str]) -> Result<Option<JsObject>, Ended> {
        let global = self.context.global_object();
        for name in names {
            let value = global.get(js_string!(*name), &mut self.context);
            if let Some(function) = value.map_err(|error| ended(&error))?.as_callable() {
                return Ok(Some(function));
            }
        }
        Ok(None)
    }

    /// Calls a function with strings.
    pub(crate) fn call(&mut self, function: &JsObject, args: [&str; 2]) -> Result<JsValue, Ended> {
        let args = args.map(|arg| JsValue::from(js_string!(arg)));
        let called: JsResult<JsValue> =
            function.call(&JsValue::undefined(), &args, &mut self.context);
        called.map_err(|error| ended(&error))
    }
}

/// Reads an error without running any code of the script's.
fn ended(error: &JsError) -> Ended {
    if let Some(limit) = error.as_engine() {
        return Ended::Stopped(bounded(&limit.to_string(), MAX_ERROR_BYTES));
    }
    let whole = error.to_string();
    let (shown, trace) = whole.split_once("\n    at ").unwrap_or((&whole, ""));
    let message = match (error.as_native(), error.as_opaque()) {
        (Some(native), _) => format!("{}: {}", native.kind(), native.message()),
        (None, Some(value)) => message_of(value).unwrap_or_else(|| shown.to_owned()),
        (None, None) => shown.to_owned(),
    };
    Ended::Threw(Thrown {
        position: position_in_words(&message).or_else(|| position(trace)),
        message: bounded(&message, MAX_ERROR_BYTES),
    })
}

/// Of a thrown error object: its name and message, where they are plain data.
fn message_of(value: &JsValue) -> Option<String> {
    if let Some(text) = value.as_string() {
        return Some(text.to_std_string_lossy());
    }
    let object = value.as_object()?;
    let message = data_property(&object, "message")?;
    let name = object
        .prototype()
        .and_then(|kind| data_property(&kind, "name"));
    Some(match name {
        Some(name) => format!("{name}: {message}"),
        None => message,
    })
}

fn data_property(object: &JsObject, name: &'static str) -> Option<String> {
    let property = object.borrow().properties().get(&js_string!(name).into())?;
    Some(property.value()?.as_string()?.to_std_string_lossy())
}

/// `f (unknown at :3:5)` of a backtrace: the first place in the script.
fn position(trace: &str) -> Option<(u32, u32)> {
    trace.lines().find_map(|line| {
        let mut parts = line.trim_end().strip_suffix(')')?.rsplit(':');
        let column = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        Some((line, column))
    })
}
