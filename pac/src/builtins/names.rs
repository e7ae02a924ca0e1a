//! Functions that may resolve a name, and those that tell our own addresses.

use std::net::IpAddr;

use boa_engine::error::{EngineError, PanicError};
use boa_engine::{Context, JsError, JsResult, JsString, JsValue, js_string};

use super::addresses::{ipv4, is_in_net_v4};
use super::{ascii, shared};

/// What addresses a function wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    /// The functions whose names end in `Ex`.
    Any,
}

/// What own addresses are where none is known.
const LOOPBACK: &str = "127.0.0.1";

/// True where the name has an IPv4 address.
pub(super) fn is_resolvable(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    Ok((!lookup(args, Family::V4, context)?.is_empty()).into())
}

/// The first IPv4 address of the name, or null. A literal is its own address.
pub(super) fn dns_resolve(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let found = lookup(args, Family::V4, context)?;
    Ok(found
        .first()
        .map_or_else(JsValue::null, |address| string(&address.to_string()).into()))
}

/// True where the host, or its first IPv4 address, is in a network that is
/// given by address and mask.
pub(super) fn is_in_net(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let network = ascii(args, 1).as_deref().and_then(ipv4);
    let mask = ascii(args, 2).as_deref().and_then(ipv4);
    // A network that is none contains nothing: no name need be resolved.
    let (Some(network), Some(mask)) = (network, mask) else {
        return Ok(false.into());
    };
    let found = lookup(args, Family::V4, context)?;
    let inside = match found.first() {
        Some(IpAddr::V4(address)) => is_in_net_v4(*address, network, mask),
        _ => false,
    };
    Ok(inside.into())
}

/// Our first IPv4 address, or loopback.
pub(super) fn my_ip_address(
    _: &JsValue,
    _: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let shared = shared(context);
    let surroundings = shared.surroundings.borrow();
    let own = surroundings.addresses.iter().find(|a| a.is_ipv4());
    Ok(match own {
        Some(address) => string(&address.to_string()).into(),
        None => js_string!(LOOPBACK).into(),
    })
}

/// True where the name has any address.
pub(super) fn is_resolvable_ex(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    Ok((!lookup(args, Family::Any, context)?.is_empty()).into())
}

/// All addresses of the name, semicolons between; empty where there is none.
pub(super) fn dns_resolve_ex(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    Ok(list(&lookup(args, Family::Any, context)?))
}

/// All our addresses, semicolons between; empty where none is known.
pub(super) fn my_ip_address_ex(
    _: &JsValue,
    _: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    Ok(list(&shared(context).surroundings.borrow().addresses))
}

/// The addresses of the first argument: its own, where it is a literal.
/// Nothing for what is not a string.
fn lookup(args: &[JsValue], family: Family, context: &mut Context) -> JsResult<Vec<IpAddr>> {
    let Some(host) = ascii(args, 0) else {
        return Ok(Vec::new());
    };
    let literal = ipv4(&host).map(IpAddr::V4).or_else(|| host.parse().ok());
    let mut found = match literal {
        Some(address) => vec![address],
        None => shared(context).resolve(&host).map_err(|_stopped| {
            // Of the engine's own kind, so that no `catch` can hold it.
            JsError::from(EngineError::from(PanicError::new(
                "a name is not known yet",
            )))
        })?,
    };
    if family == Family::V4 {
        found.retain(IpAddr::is_ipv4);
    }
    Ok(found)
}

fn list(addresses: &[IpAddr]) -> JsValue {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    string(&texts.join(";")).into()
}

fn string(text: &str) -> JsString {
    js_string!(text)
}
