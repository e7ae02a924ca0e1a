//! `wasi:sockets/ip-name-lookup`: names, through the broker.

use std::future::poll_fn;
use std::net::IpAddr;

use fumehood_policy::Host;
use wasmtime::Result;
use wasmtime::component::Resource;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use super::access::{Counted, LookingUp};
use super::bindings::wasi::sockets::ip_name_lookup::{self, HostResolveAddressStream};
use super::bindings::wasi::sockets::network::{ErrorCode, IpAddress};
use super::errors::SocketError;
use super::link::{Network, View};

/// A lookup under way, then its answer, taken one by one.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Addresses {
    work: LookingUp,
    taken: usize,
    _counted: Counted,
}

#[async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {
        poll_fn(|cx| self.work.poll(cx)).await;
    }
}

impl ip_name_lookup::Host for View<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> std::result::Result<Resource<Addresses>, SocketError> {
        self.table.get(&network)?;
        // As in a URL: what is asked of the broker is no string any more.
        let host = Host::parse(&name).map_err(|_| ErrorCode::InvalidArgument)?;
        let counted = self.access.lookup()?;
        let mut work = self.access.look_up(host);
        if let Some(Err(code)) = work.now() {
            return Err((*code).into());
        }
        Ok(self.table.push(Addresses {
            work,
            taken: 0,
            _counted: counted,
        })?)
    }
}

impl HostResolveAddressStream for View<'_> {
    fn resolve_next_address(
        &mut self,
        this: Resource<Addresses>,
    ) -> std::result::Result<Option<IpAddress>, SocketError> {
        let lookup = self.table.get_mut(&this)?;
        match lookup.work.now() {
            None => Err(ErrorCode::WouldBlock.into()),
            Some(Err(code)) => Err((*code).into()),
            Some(Ok(addresses)) => {
                let next = addresses.get(lookup.taken).copied();
                lookup.taken += usize::from(next.is_some());
                Ok(next.map(to_wasi))
            }
        }
    }

    fn subscribe(&mut self, this: Resource<Addresses>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<Addresses>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

fn to_wasi(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(it) => {
            let [a, b, c, d] = it.octets();
            IpAddress::Ipv4((a, b, c, d))
        }
        IpAddr::V6(it) => {
            let [a, b, c, d, e, f, g, h] = it.segments();
            IpAddress::Ipv6((a, b, c, d, e, f, g, h))
        }
    }
}
