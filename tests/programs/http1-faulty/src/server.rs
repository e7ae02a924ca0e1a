//! The server's role, where a request's `x-fumehood-fault` can ask for `trap`, `hang`
//! and `memory`.

use fumehood_guest_http1::component::Http1;
use fumehood_guest_http1::component::bindings::exports::fumehood::http1::server::{
    Answer, Demand, Ending, Error, Event, Fields, Guest, Opening, PayloadFrame, Progress,
};

use crate::Faulty;
use crate::fault::Fault;

impl Guest for Faulty {
    fn current_demand() -> Demand {
        Http1::current_demand()
    }

    fn receive(data: Vec<u8>) -> Result<Progress, Error> {
        let progress = Http1::receive(data)?;
        for event in &progress.events {
            if let Event::Request(request) = event
                && let Some(fault) = Fault::asked_for(&request.fields)
            {
                fault.end();
            }
        }
        Ok(progress)
    }

    fn payload_moved(count: u64) -> Result<Progress, Error> {
        Http1::payload_moved(count)
    }

    fn end_of_stream(pending: u64) -> Result<Progress, Error> {
        Http1::end_of_stream(pending)
    }

    fn encode_head(head: Answer) -> Result<Opening, Error> {
        Http1::encode_head(head)
    }

    fn frame_payload(length: u64) -> Result<PayloadFrame, Error> {
        Http1::frame_payload(length)
    }

    fn end_payload(trailers: Fields) -> Result<Ending, Error> {
        Http1::end_payload(trailers)
    }
}
