//! The guests as the build left them.

use std::fs;

use fumehood_control::ModuleHeader;
use fumehood_engine::measure::{Code, Guests};
use fumehood_tests::{artifacts, certs::TestCa};

use crate::text;

/// The shipped guests, trusting a throw-away authority.
pub(crate) fn load(ca: &TestCa) -> Result<Guests, String> {
    let anchors = [ca.certificate().to_vec()];
    Guests::load(&code("http1")?, &code("tls")?, &code("x509")?, &anchors)
}

fn code(name: &str) -> Result<Code, String> {
    let native = fs::read(artifacts::native_code(name)).map_err(text)?;
    let header = ModuleHeader {
        name: name.to_owned(),
        version: "0.0.0".to_owned(),
        digest: [0; 32],
    };
    Ok(Code { header, native })
}
