//! Components: wrapping a core module, listing imports, making native code.

use fumehood_control::{MAX_INTERFACE_BYTES, MAX_INTERFACES};
use wasmparser::{Encoding, Parser, Payload};
use wasmtime::Engine;
use wit_component::ComponentEncoder;

use crate::heap;

/// What byte 4 of a binary is in a component (a core module has 1 there).
const COMPONENT_LAYER: u8 = 0x0d;

/// Why a guest did not become native code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("not a component and not a module with its world inside: {0}")]
    Wrap(String),
    #[error("wasmtime refuses it: {0}")]
    Compile(String),
    #[error("it does not parse: {0}")]
    Parse(#[from] wasmparser::BinaryReaderError),
    #[error(
        "it has more than {MAX_INTERFACES} imports or exports, or one with a name over {MAX_INTERFACE_BYTES} bytes"
    )]
    Interfaces,
}

/// The component around a core module, which gets its heap; a component is
/// returned as it is.
pub(crate) fn wrap(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if bytes.get(4) == Some(&COMPONENT_LAYER) {
        return Ok(bytes.to_vec());
    }
    let roomy = heap::with_heap(bytes).map_err(|error| Error::Wrap(error.to_string()))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&roomy)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| Error::Wrap(format!("{error:#}")))
}

/// Native code for [`fumehood_wasm::CODE_TARGET`].
pub(crate) fn precompile(component: &[u8]) -> Result<Vec<u8>, Error> {
    let refused = |error: wasmtime::Error| Error::Compile(format!("{error:#}"));
    let mut config = fumehood_wasm::code_config();
    config.target(fumehood_wasm::CODE_TARGET).map_err(refused)?;
    let engine = Engine::new(&config).map_err(refused)?;
    engine.precompile_component(component).map_err(refused)
}

/// What a component takes from and gives to its host, by name, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Interfaces {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// The interfaces of a component, those of what is nested in it aside.
pub(crate) fn interfaces(component: &[u8]) -> Result<Interfaces, Error> {
    let mut found = Interfaces::default();
    // Sections of nested modules and components come between; they are no
    // business of the host's.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => {
                return Err(Error::Wrap("it is a core module".to_owned()));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    note(&mut found.imports, import?.name.name)?;
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    note(&mut found.exports, export?.name.name)?;
                }
            }
            _ => {}
        }
    }
    found.imports.sort();
    found.exports.sort();
    Ok(found)
}

fn note(names: &mut Vec<String>, name: &str) -> Result<(), Error> {
    if names.len() == MAX_INTERFACES || name.len() > MAX_INTERFACE_BYTES {
        return Err(Error::Interfaces);
    }
    names.push(name.to_owned());
    Ok(())
}
