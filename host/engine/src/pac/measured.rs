//! A script's loads and calls by themselves, for benches.

use std::sync::Arc;

use fumehood_control::{PacMoment, PacSurroundings, PacTarget};

use super::convert;
use super::module::PacModule;
use super::script::Script;
use super::state::Known;
use crate::registry::Version;

/// Loads a script.
///
/// # Errors
/// Why it is not taken.
pub(crate) fn load(
    version: &Arc<Version<PacModule>>,
    source: &[u8],
    place: &PacSurroundings,
    at: PacMoment,
) -> Result<Script, String> {
    let mut script = Script::new(source.to_vec(), convert::surroundings(place));
    let known = Arc::<Known>::default();
    let loaded = script.load(version, convert::moment(at), &known);
    loaded
        .map_err(|fault| fault.to_string())?
        .map_err(|error| format!("{error:?}"))?;
    Ok(script)
}

/// Makes a call, all that is done to its answer included.
///
/// # Errors
/// Why there is no answer.
pub(crate) fn find(
    script: &mut Script,
    version: &Arc<Version<PacModule>>,
    target: &PacTarget,
    at: PacMoment,
) -> Result<String, String> {
    let (target, at) = (convert::target(target.clone()), convert::moment(at));
    let told = script.find(version, &target, at, &Arc::<Known>::default());
    let told = told.map_err(|fault| fault.to_string())?;
    let found = told.map_err(|error| format!("{error:?}"))?;
    let found = convert::finding(found).map_err(|why| why.to_string())?;
    found
        .routes
        .first()
        .map(ToString::to_string)
        .ok_or_else(|| "no answer".to_owned())
}
