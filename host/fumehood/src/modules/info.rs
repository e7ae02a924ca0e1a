//! What is told of modules: to the command, over the admin socket, in JSON.

use std::path::Path;

use fumehood_control::{ModuleState, ModuleStatus};
use fumehood_policy::{ServedScheme, Transport};
use serde::{Deserialize, Serialize};

use super::Module;
use super::registry::{Known, Lot, Origin, RefusedFile};
use crate::hex;

/// One version of a module: what this side knows of it, and what the engine does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleInfo {
    /// `http1`, `tls`, `x509`, `dns`, `socks`, `pac`, or a
    /// driver's.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// `embedded`, `given`, `directory` or `file`.
    pub origin: String,
    /// The file, for the latter two.
    pub file: Option<String>,
    /// `built-in`, `unsigned`, `unchecked` or `signed-by:KEY`.
    pub signature: String,
    /// `candidate`, `current`, `draining` or `quarantined`; none without an engine.
    pub state: Option<String>,
    /// What a driver serves: `gopher (tcp 70)`. Each transfer of it may reach
    /// the host and port of its URL, over one connection.
    #[serde(default)]
    pub schemes: Vec<String>,
    /// Interfaces it imports: its capabilities.
    pub imports: Vec<String>,
    /// Interfaces it exports.
    pub exports: Vec<String>,
    /// Size of the component, in bytes; 0 where only its code is here.
    pub component_bytes: u64,
    /// Size of its native code, in bytes.
    pub native_bytes: u64,
    /// How it fares in the engine; none without one.
    #[serde(rename = "use")]
    pub in_use: Option<ModuleUse>,
}

/// How a version fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleUse {
    /// Instances alive now.
    pub live: u64,
    /// Instances made since it was loaded.
    pub made: u64,
    /// Linear memory of the live ones together, in bytes.
    pub memory_bytes: u64,
    /// Instances that ended by a trap, a hang or for want of memory.
    pub faults: u64,
    /// Exchanges that went on in another instance after one of these.
    pub resumed: u64,
}

/// Versions, and files that were not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// By name, in the order in which they were current.
    pub modules: Vec<ModuleInfo>,
    /// Files of the module directory that were refused.
    pub refused: Vec<Refusal>,
}

/// A file that was not taken, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its path.
    pub file: String,
    /// One sentence.
    pub why: String,
}

impl Listing {
    pub(crate) fn new(known: &[Known], statuses: &[ModuleStatus], refused: &[RefusedFile]) -> Self {
        let mut modules: Vec<ModuleInfo> = known.iter().map(ModuleInfo::of_known).collect();
        for status in statuses {
            let digest = hex::encode(&status.header.digest);
            let same =
                |info: &&mut ModuleInfo| info.digest == digest && info.name == status.header.name;
            // One that is not known here is on its way in, or withdrawn and on
            // its way out.
            if let Some(info) = modules.iter_mut().find(same) {
                info.add(status);
            }
        }
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        let refused = refused.iter().map(|it| Refusal {
            file: it.path.display().to_string(),
            why: it.why.clone(),
        });
        Listing {
            modules,
            refused: refused.collect(),
        }
    }
}

impl ModuleInfo {
    pub(crate) fn of_known(known: &Known) -> Self {
        let (origin, file) = match &known.origin {
            Origin::Embedded => ("embedded", None),
            Origin::Given => ("given", None),
            Origin::Directory(path) => ("directory", Some(path)),
            Origin::File(path) => ("file", Some(path)),
        };
        let Module {
            name,
            version,
            digest,
            code,
        } = &known.module;
        ModuleInfo {
            name: name.to_string(),
            version: version.to_string(),
            digest: hex::encode(digest),
            origin: origin.to_owned(),
            file: file.map(|path: &std::path::PathBuf| Path::display(path).to_string()),
            signature: known.signature.text(),
            schemes: known.schemes.iter().map(scheme_text).collect(),
            imports: known.imports.clone(),
            exports: known.exports.clone(),
            component_bytes: known.component_bytes,
            native_bytes: code.len() as u64,
            // What the engine says of it comes on top.
            state: (known.lot == Lot::Quarantined)
                .then(|| state_name(ModuleState::Quarantined).to_owned()),
            ..ModuleInfo::default()
        }
    }

    fn add(&mut self, status: &ModuleStatus) {
        self.state = Some(state_name(status.state).to_owned());
        self.imports.clone_from(&status.imports);
        self.exports.clone_from(&status.exports);
        self.native_bytes = status.native_bytes;
        self.in_use = Some(ModuleUse {
            live: status.live,
            made: status.made,
            memory_bytes: status.memory_bytes,
            faults: status.faults,
            resumed: status.resumed,
        });
    }
}

fn scheme_text(scheme: &ServedScheme) -> String {
    let transport = match scheme.transport() {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    format!("{} ({transport} {})", scheme.name(), scheme.default_port())
}

fn state_name(state: ModuleState) -> &'static str {
    match state {
        ModuleState::Candidate => "candidate",
        ModuleState::Current => "current",
        ModuleState::Draining => "draining",
        ModuleState::Quarantined => "quarantined",
    }
}

#[cfg(test)]
mod tests {
    use fumehood_control::ModuleHeader;

    use super::*;

    fn status(digest: u8) -> ModuleStatus {
        ModuleStatus {
            header: ModuleHeader {
                name: "m".to_owned(),
                version: "1.0.0".to_owned(),
                digest: [digest; 32],
            },
            state: ModuleState::Candidate,
            imports: Vec::new(),
            exports: Vec::new(),
            native_bytes: 1,
            live: 0,
            made: 0,
            memory_bytes: 0,
            faults: 0,
            resumed: 0,
        }
    }

    #[test]
    fn a_version_is_listed_when_its_origin_is_known() {
        let known = Known {
            module: Module {
                name: "m".into(),
                version: "1.0.0".into(),
                digest: [1; 32],
                code: Vec::new().into(),
            },
            origin: Origin::File("m@1.0.0.wasm".into()),
            signature: crate::SignatureState::Unsigned,
            component_bytes: 0,
            imports: Vec::new(),
            exports: Vec::new(),
            lot: Lot::Sound,
            schemes: Vec::new(),
        };
        // The engine holds another: it is told of that one first.
        let both = Listing::new(&[known], &[status(1), status(2)], &[]);
        let listed: Vec<_> = both.modules.iter().map(|it| it.origin.as_str()).collect();
        assert_eq!(listed, ["file"]);
    }
}
