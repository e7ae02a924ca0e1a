//! What a driver's store holds.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store};
use wasmtime_wasi_io::IoView;

use super::access::Access;
use super::bindings::fumehood::guest::panic;
use super::budget::Budget;
use super::link::{DriverView, View};
use crate::instance::{GuestState, new_store};

/// Most resources a driver has at once: for each of its 64 sockets the socket,
/// two streams and a pollable of each, and some for lookups and clocks.
const MAX_RESOURCES: usize = 512;

/// A driver's store data.
pub(crate) struct DriverState {
    pub guest: GuestState,
    pub access: Access,
    pub budget: Budget,
    table: ResourceTable,
}

impl DriverState {
    /// A store for a new instance.
    pub(super) fn store(engine: &Engine, guest: GuestState, access: Access) -> Store<DriverState> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let state = DriverState {
            guest,
            access,
            budget: Budget::default(),
            table,
        };
        let mut store = new_store(engine, state, |state| &mut state.guest);
        store.epoch_deadline_callback(|context| context.data().budget.tick());
        store.set_max_component_handles(MAX_RESOURCES);
        store
    }
}

impl IoView for DriverState {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl DriverView for DriverState {
    fn view(&mut self) -> View<'_> {
        View {
            table: &mut self.table,
            access: &mut self.access,
        }
    }
}

struct LastWords;

impl HasData for LastWords {
    type Data<'a> = &'a mut GuestState;
}

impl panic::Host for &mut GuestState {
    fn panicked(&mut self, message: String, location: String) -> Result<()> {
        self.note_panic(&message, &location);
        Ok(())
    }
}

/// Links last words, which every guest has.
pub(super) fn link_last_words(linker: &mut Linker<DriverState>) -> Result<()> {
    panic::add_to_linker::<DriverState, LastWords>(linker, |state| &mut state.guest)
}
