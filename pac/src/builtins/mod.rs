//! The functions that PAC scripts may call, in Rust: no script can change them
//! by overwriting what they are made of, and they cost a fraction.
//!
//! Arguments become strings as in JavaScript, which may run a script's own
//! `toString`; nothing else of the script's runs within a function of ours.

mod addresses;
mod hosts;
mod names;
mod shexp;
mod times;
mod traced;

use std::rc::Rc;

use boa_engine::native_function::NativeFunctionPointer;
use boa_engine::object::FunctionObjectBuilder;
use boa_engine::property::PropertyDescriptor;
use boa_engine::{Context, JsResult, JsString, JsValue, NativeFunction, js_string};

use crate::call::Shared;
use crate::engine::Handle;
pub(crate) use shexp::Patterns;

/// Name, number of arguments, function.
type Builtin = (&'static str, usize, NativeFunctionPointer);

const BUILTINS: [Builtin; 20] = [
    ("isPlainHostName", 1, hosts::is_plain_host_name),
    ("dnsDomainIs", 2, hosts::dns_domain_is),
    ("localHostOrDomainIs", 2, hosts::local_host_or_domain_is),
    ("dnsDomainLevels", 1, hosts::dns_domain_levels),
    ("shExpMatch", 2, shexp::sh_exp_match),
    ("isResolvable", 1, names::is_resolvable),
    ("dnsResolve", 1, names::dns_resolve),
    ("isInNet", 3, names::is_in_net),
    ("myIpAddress", 0, names::my_ip_address),
    ("isResolvableEx", 1, names::is_resolvable_ex),
    ("dnsResolveEx", 1, names::dns_resolve_ex),
    ("myIpAddressEx", 0, names::my_ip_address_ex),
    ("isInNetEx", 2, addresses::is_in_net_ex),
    ("sortIpAddressList", 1, addresses::sort_ip_address_list),
    ("convert_addr", 1, addresses::convert_addr),
    ("getClientVersion", 0, addresses::get_client_version),
    ("weekdayRange", 1, times::weekday_range),
    ("dateRange", 1, times::date_range),
    ("timeRange", 1, times::time_range),
    ("alert", 1, alert),
];

/// The names of all, for whoever looks for misspelt ones.
pub(crate) fn all_names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|(name, _, _)| *name)
}

/// Whether calls of them are noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// No: calls cost as little as they can.
    Nothing,
    /// Each as a step.
    Calls,
}

/// Defines them in a fresh context, and gives `Math.random` the call's luck.
pub(crate) fn register(context: &mut Context, noted: Noted) -> JsResult<()> {
    for (name, length, function) in BUILTINS {
        let function = match noted {
            Noted::Nothing => NativeFunction::from_fn_ptr(function),
            Noted::Calls => traced::noting(name, function),
        };
        context.register_global_builtin_callable(js_string!(name), length, function)?;
    }
    let math = context.global_object().get(js_string!("Math"), context)?;
    let math = math.to_object(context)?;
    let random = NativeFunction::from_fn_ptr(random);
    let random = FunctionObjectBuilder::new(context.realm(), random)
        .name(js_string!("random"))
        .build();
    math.define_property_or_throw(
        js_string!("random"),
        PropertyDescriptor::builder()
            .value(random)
            .writable(true)
            .enumerable(false)
            .configurable(true),
        context,
    )?;
    Ok(())
}

fn random(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    Ok(shared(context).random().into())
}

fn alert(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let text = text(args, 0, context)?;
    shared(context).alert(&text.to_std_string_lossy());
    Ok(JsValue::undefined())
}

/// What the call knows.
fn shared(context: &Context) -> Rc<Shared> {
    let handle = context.get_data::<Handle>();
    let handle = handle.expect("the engine puts it there before any function can be called");
    Rc::clone(&handle.0)
}

/// An argument as a string. One that is missing is `undefined`.
fn text(args: &[JsValue], index: usize, context: &mut Context) -> JsResult<JsString> {
    match args.get(index) {
        Some(value) => match value.as_string() {
            Some(text) => Ok(text),
            None => value.to_string(context),
        },
        None => Ok(js_string!("undefined")),
    }
}

/// An argument that is a string already and ASCII, as names and addresses are.
fn ascii(args: &[JsValue], index: usize) -> Option<String> {
    let text = args.get(index)?.as_string()?.to_std_string().ok()?;
    text.is_ascii().then_some(text)
}
