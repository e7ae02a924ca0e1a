//! A tunnel by CONNECT (RFC 9110 section 9.3.6): the `http1` guest asks for it
//! and reads the answer's head.

use std::future::poll_fn;
use std::task::ready;

use fumehood_control::{
    Cause, Field, MAX_CHALLENGE_BYTES, MAX_CHALLENGES, MAX_PROXY_STATUS_BYTES, PayloadLength,
    ProxyFault, ResponseHead,
};
use tokio::io::AsyncWriteExt as _;

use super::Destination;
use crate::demand::{Collected, Collector, Delimiter};
use crate::exchange::{cause_of, socket};
use crate::hub::Hub;
use crate::instance::{Demand, Event, RequestHead};
use crate::resume::SteadyCodec;
use crate::transport::Transport;

/// Asks for a tunnel. Afterwards the transport is the tunnel.
pub(super) async fn connect(
    hub: &Hub,
    to: &Destination<'_>,
    fields: [&[Field]; 2],
    transport: &mut Transport,
) -> Result<(), ProxyFault> {
    let mut codec = SteadyCodec::new(&hub.registry)?;
    let authority = format!("{}:{}", to.host, to.port);
    let host = Field {
        name: "host".to_owned(),
        value: authority.clone().into_bytes(),
    };
    let head = codec.encode_head(RequestHead {
        method: "CONNECT".to_owned(),
        target: authority,
        fields: std::iter::once(&host)
            .chain(fields.concat().iter())
            .collect(),
        payload: PayloadLength::None,
        upgrade: false,
    });
    let head = head.map_err(cause_of)?.bytes;
    let sending = async {
        transport.write_all(&head).await?;
        transport.flush().await
    };
    sending.await.map_err(|error| socket(&error))?;
    let answer = final_head(&mut codec, transport).await?;
    if !(200..=299).contains(&answer.status) {
        return Err(refused(&mut codec, &answer));
    }
    // Both TLS and HTTP begin with what we say: this is of the proxy's making.
    match transport.has_bytes() {
        false => Ok(()),
        true => Err(Cause::HttpViolation("bytes-before-tunnel".to_owned()).into()),
    }
}

/// The final head of the answer. Content behind it is nobody's: a refusal ends
/// the connection.
async fn final_head(
    codec: &mut SteadyCodec,
    transport: &mut Transport,
) -> Result<ResponseHead, Cause> {
    loop {
        let Demand::EmptyLine(at_most) = codec.demand().map_err(cause_of)? else {
            return Err(Cause::HttpViolation("no-final-head".to_owned()));
        };
        let mut piece = Collector::new(Delimiter::EmptyLine, at_most);
        let progress = match collect(&mut piece, transport).await? {
            Collected::Piece => codec.receive(piece.bytes()),
            Collected::More => codec.end_of_stream(piece.bytes().len() as u64),
        };
        for event in progress.map_err(cause_of)?.events {
            if let Event::Head(head) = event {
                return Ok(head.into());
            }
        }
    }
}

/// Collects a piece, byte for byte; [`Collected::More`] where the stream ends
/// before it does.
async fn collect(piece: &mut Collector, transport: &mut Transport) -> Result<Collected, Cause> {
    let collecting = poll_fn(|cx| {
        loop {
            let offered = match ready!(transport.poll_bytes(cx)) {
                Ok([]) => return Ok(Collected::More).into(),
                Ok(offered) => offered,
                Err(error) => return Err(error).into(),
            };
            let (count, collected) = piece.take(offered);
            transport.consume(count);
            if collected == Collected::Piece {
                return Ok(collected).into();
            }
        }
    });
    collecting.await.map_err(|error| socket(&error))
}

/// What the embedder is told of an answer that is a no. The guest that read it
/// reads its challenges, too.
pub(crate) fn refused(codec: &mut SteadyCodec, head: &ResponseHead) -> ProxyFault {
    let named = |name: &'static str| {
        let fields = head.fields.iter();
        fields.filter(move |field| field.name.eq_ignore_ascii_case(name))
    };
    let mut challenges = Vec::new();
    let mut bytes_left = MAX_CHALLENGE_BYTES;
    'fields: for field in named("proxy-authenticate") {
        if field.value.len() > MAX_CHALLENGE_BYTES {
            break;
        }
        let more = match codec.challenges(&field.value) {
            Ok(more) => more,
            Err(error) => return cause_of(error).into(),
        };
        // What one message can tell: all of one, or nothing of it.
        for challenge in more {
            let rest = bytes_left.checked_sub(challenge.text_bytes());
            let Some(rest) = rest.filter(|_| challenges.len() < MAX_CHALLENGES) else {
                break 'fields;
            };
            bytes_left = rest;
            challenges.push(challenge);
        }
    }
    let status = named("proxy-status").next();
    let mut proxy_status = status.map(|field| field.value.clone()).unwrap_or_default();
    proxy_status.truncate(MAX_PROXY_STATUS_BYTES);
    ProxyFault::Refused {
        status: head.status,
        challenges,
        proxy_status,
    }
}
