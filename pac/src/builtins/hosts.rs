//! Functions that look at a host name and at nothing else.

use boa_engine::{Context, JsResult, JsString, JsValue};

use super::text;

/// True for a name without a dot that is no IPv6 address either.
pub(super) fn is_plain_host_name(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let host = text(args, 0, context)?;
    Ok((!host.contains(b'.') && !host.contains(b':')).into())
}

/// True where the host ends in the domain, letter by letter: without a
/// leading dot, `badexample.test` is in `example.test` too.
pub(super) fn dns_domain_is(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let (host, domain) = (text(args, 0, context)?, text(args, 1, context)?);
    Ok(ends_with(&host, &domain).into())
}

/// True for the name itself, and for its first part alone.
pub(super) fn local_host_or_domain_is(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let (host, full) = (text(args, 0, context)?, text(args, 1, context)?);
    let is_prefix = full.code_unit_at(host.len()) == Some(u16::from(b'.'))
        && full.as_str().starts_with(host.as_str());
    Ok((host == full || is_prefix).into())
}

/// How many dots the name has.
pub(super) fn dns_domain_levels(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let host = text(args, 0, context)?;
    let dots = host.iter().filter(|unit| *unit == u16::from(b'.')).count();
    Ok(dots.into())
}

fn ends_with(text: &JsString, end: &JsString) -> bool {
    text.as_str().ends_with(end.as_str())
}
