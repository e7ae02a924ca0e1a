//! Functions that say of each call what they were given and what they gave back.

use boa_engine::native_function::NativeFunctionPointer;
use boa_engine::{Context, JsValue, NativeFunction};

use super::shared;
use crate::bounds::MAX_STEP_BYTES;
use crate::call::Step;
use crate::text::bounded;

/// The function, and a note of each call that comes back.
pub(super) fn noting(name: &'static str, function: NativeFunctionPointer) -> NativeFunction {
    NativeFunction::from_copy_closure(move |this, args, context: &mut Context| {
        let outcome = function(this, args, context);
        let answer = match &outcome {
            Ok(value) => shown(value),
            // It waits for a name, or the script's own `toString` threw.
            Err(_) => "no answer".to_owned(),
        };
        let given: Vec<String> = args.iter().map(shown).collect();
        shared(context).step(Step {
            function: name,
            arguments: bounded(&given.join(", "), MAX_STEP_BYTES),
            answer,
        });
        outcome
    })
}

/// A value as it stands in source text, without running any of the script's.
fn shown(value: &JsValue) -> String {
    let text = match value.as_string() {
        Some(text) => format!("{:?}", text.to_std_string_lossy()),
        None if value.is_object() => value.type_of().to_owned(),
        None => value.display().to_string(),
    };
    bounded(&text, MAX_STEP_BYTES)
}
