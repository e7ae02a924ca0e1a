//! The WASI interfaces of drivers, for whatever world they are part of.

use wasmtime::Result;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi_io::IoView;

use super::access::Access;
use super::bindings::wasi::{clocks, random, sockets};
use super::errors::SocketError;
use sockets::network::ErrorCode;

/// Store data of a driver, of any world.
pub(crate) trait DriverView: IoView + Send {
    /// Its resources, and its way out.
    fn view(&mut self) -> View<'_>;
}

/// What the interfaces are implemented on.
pub(crate) struct View<'a> {
    pub table: &'a mut ResourceTable,
    pub access: &'a mut Access,
}

/// `wasi:sockets/network.network`. Having one says nothing: what may be reached
/// is in the grant.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Network;

struct Drivers;

impl HasData for Drivers {
    type Data<'a> = View<'a>;
}

/// Links `wasi:io`, `wasi:clocks`, `wasi:random` and `wasi:sockets`, as the world
/// `fumehood:driver/driver` lists them, and nothing else.
///
/// # Errors
/// When the linker has one of them already.
pub(crate) fn interfaces<T: DriverView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    wasmtime_wasi_io::add_to_linker_async(linker)?;
    clocks::monotonic_clock::add_to_linker::<T, Drivers>(linker, T::view)?;
    clocks::wall_clock::add_to_linker::<T, Drivers>(linker, T::view)?;
    random::random::add_to_linker::<T, Drivers>(linker, T::view)?;
    random::insecure::add_to_linker::<T, Drivers>(linker, T::view)?;
    random::insecure_seed::add_to_linker::<T, Drivers>(linker, T::view)?;
    let stable = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<T, Drivers>(linker, &stable, T::view)?;
    sockets::instance_network::add_to_linker::<T, Drivers>(linker, T::view)?;
    sockets::ip_name_lookup::add_to_linker::<T, Drivers>(linker, T::view)?;
    sockets::tcp::add_to_linker::<T, Drivers>(linker, T::view)?;
    sockets::tcp_create_socket::add_to_linker::<T, Drivers>(linker, T::view)?;
    sockets::udp::add_to_linker::<T, Drivers>(linker, T::view)?;
    sockets::udp_create_socket::add_to_linker::<T, Drivers>(linker, T::view)
}

impl sockets::network::Host for View<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> Result<ErrorCode> {
        error.into_code()
    }

    fn network_error_code(
        &mut self,
        _error: Resource<wasmtime_wasi_io::streams::Error>,
    ) -> Result<Option<ErrorCode>> {
        // Not stable, so it is not linked.
        Ok(None)
    }
}

impl sockets::network::HostNetwork for View<'_> {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

impl sockets::instance_network::Host for View<'_> {
    fn instance_network(&mut self) -> Result<Resource<Network>> {
        Ok(self.table.push(Network)?)
    }
}
