//! Heads of our own: a request's as it goes on, a response's that we make.

use fumehood_control::{ClientWay, Field};

use super::judge::Wanted;
use crate::instance::{CodecError, Fields, Request, RequestHead, ServerAnswer, ServerCodec};

/// Bytes of the fields that are added to a request: their names, and a usual
/// value of `via`.
const ROOM_FOR_OURS: usize = 64;

/// The request as the server is sent it, or the proxy that is asked in its place.
pub(super) fn head_for(
    request: &Request,
    wanted: &Wanted,
    way: &ClientWay,
    via: Option<&Field>,
) -> RequestHead {
    let host = wanted.authority.as_bytes();
    let bytes = request.fields.bytes() + host.len() + ROOM_FOR_OURS;
    let mut fields = Fields::with_room(request.fields.len() + 2, bytes);
    fields.push("host", host);
    fields.append(&request.fields);
    via.into_iter()
        .chain(&way.fields)
        .for_each(|field| fields.push(&field.name, &field.value));
    RequestHead {
        method: request.method.clone(),
        target: match way.asked() {
            Some(_) => format!("{}{}", wanted.target, wanted.path),
            None => wanted.path.clone(),
        },
        fields,
        payload: request.payload,
        upgrade: request.upgrade,
    }
}

/// The head of a response of our own, whose content needs no frame, and whether
/// another request may follow.
pub(super) fn whole_head(
    codec: &mut ServerCodec,
    answer: &ServerAnswer<'_>,
) -> Result<(Vec<u8>, bool), CodecError> {
    let head = codec.encode_head(answer)?;
    let persists = match head.persists {
        Some(persists) => persists,
        None => codec.end_payload(&Fields::default())?.persists,
    };
    Ok((head.bytes, persists))
}

/// RFC 9110 section 7.6.3.
pub(super) fn via(minor_version: u8, name: &str) -> Field {
    Field {
        name: "via".to_owned(),
        value: format!("1.{minor_version} {name}").into_bytes(),
    }
}
