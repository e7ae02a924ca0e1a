//! The guests as the build left them.

use std::fs;

use fumehood_control::ModuleHeader;
use fumehood_engine::measure::{Code, Guests};
use fumehood_tests::{artifacts, certs::TestCa};

use crate::text;

/// The shipped guests, trusting a throw-away authority.
pub(crate) fn load(ca: &TestCa) -> Result<Guests, String> {
    let anchors = [ca.certificate().to_vec()];
    Guests::load(
        &code("http1", 0)?,
        &code("tls", 0)?,
        &code("x509", 0)?,
        &anchors,
    )
}

/// A guest as if it were the version of this number.
pub(crate) fn code(name: &str, number: u8) -> Result<Code, String> {
    named_code(name, name, number)
}

/// The guest of this file as a version of the module `name`.
pub(crate) fn named_code(name: &str, file: &str, number: u8) -> Result<Code, String> {
    let native = fs::read(artifacts::native_code(file)).map_err(text)?;
    let header = ModuleHeader {
        name: name.to_owned(),
        version: format!("0.0.{number}"),
        digest: [number; 32],
    };
    Ok(Code { header, native })
}
