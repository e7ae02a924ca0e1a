//! What a module may import and must export, checked before it is linked.

use wasmtime::Engine;
use wasmtime::component::Component;

/// A module's world.
#[derive(Debug)]
pub(crate) struct World {
    /// The module's name.
    pub name: &'static str,
    imports: &'static [&'static str],
    exports: &'static [&'static str],
}

pub(crate) static HTTP1: World = World {
    name: "http1",
    imports: &[
        "fumehood:guest/panic@0.1.0",
        "fumehood:http1/preferences@0.1.0",
    ],
    exports: &["fumehood:http1/client@0.1.0", "fumehood:http1/server@0.1.0"],
};

pub(crate) static TLS: World = World {
    name: "tls",
    imports: &[
        "fumehood:guest/panic@0.1.0",
        "fumehood:crypto/keys@0.1.0",
        "fumehood:tls/verify@0.1.0",
    ],
    exports: &["fumehood:tls/client@0.1.0"],
};

pub(crate) static X509: World = World {
    name: "x509",
    imports: &[
        "fumehood:guest/panic@0.1.0",
        "fumehood:crypto/signatures@0.1.0",
    ],
    exports: &["fumehood:x509/verifier@0.1.0"],
};

pub(crate) static PAC: World = World {
    name: "pac",
    imports: &["fumehood:guest/panic@0.1.0", "fumehood:pac/names@0.1.0"],
    exports: &["fumehood:pac/evaluator@0.1.0"],
};

pub(crate) static DNS: World = World {
    name: "dns",
    imports: &[
        "fumehood:guest/panic@0.1.0",
        "fumehood:dns/inbox@0.1.0",
        "fumehood:dns/preferences@0.1.0",
        "fumehood:dns/secure@0.1.0",
        "fumehood:dns/signatures@0.1.0",
        "fumehood:dns/types@0.1.0",
        "wasi:clocks/monotonic-clock@0.2.12",
        "wasi:clocks/wall-clock@0.2.12",
        "wasi:io/error@0.2.12",
        "wasi:io/poll@0.2.12",
        "wasi:io/streams@0.2.12",
        "wasi:random/random@0.2.12",
        "wasi:sockets/instance-network@0.2.12",
        "wasi:sockets/network@0.2.12",
        "wasi:sockets/tcp-create-socket@0.2.12",
        "wasi:sockets/tcp@0.2.12",
        "wasi:sockets/udp-create-socket@0.2.12",
        "wasi:sockets/udp@0.2.12",
    ],
    exports: &[
        "fumehood:dns/questions@0.1.0",
        "fumehood:dns/resolver@0.1.0",
    ],
};

/// Not every engine needs it: without one, no SOCKS proxy is gone through.
pub(crate) static SOCKS: World = World {
    name: "socks",
    imports: &["fumehood:guest/panic@0.1.0"],
    exports: &[
        "fumehood:socks/client@0.1.0",
        "fumehood:socks/datagrams@0.1.0",
        "fumehood:socks/server@0.1.0",
    ],
};

/// Any module that is none of the above is a driver.
pub(crate) static DRIVER: World = World {
    name: "driver",
    imports: &[
        "fumehood:guest/panic@0.1.0",
        "wasi:clocks/monotonic-clock@0.2.12",
        "wasi:clocks/wall-clock@0.2.12",
        "wasi:io/error@0.2.12",
        "wasi:io/poll@0.2.12",
        "wasi:io/streams@0.2.12",
        "wasi:random/insecure-seed@0.2.12",
        "wasi:random/insecure@0.2.12",
        "wasi:random/random@0.2.12",
        "wasi:sockets/instance-network@0.2.12",
        "wasi:sockets/ip-name-lookup@0.2.12",
        "wasi:sockets/network@0.2.12",
        "wasi:sockets/tcp-create-socket@0.2.12",
        "wasi:sockets/tcp@0.2.12",
        "wasi:sockets/udp-create-socket@0.2.12",
        "wasi:sockets/udp@0.2.12",
    ],
    exports: &["fumehood:driver/client@0.1.0"],
};

/// What a component imports and exports, each sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Face {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

impl Face {
    pub(crate) fn of(engine: &Engine, component: &Component) -> Face {
        let ty = component.component_type();
        let mut face = Face {
            imports: ty
                .imports(engine)
                .map(|(name, _)| name.to_owned())
                .collect(),
            exports: ty
                .exports(engine)
                .map(|(name, _)| name.to_owned())
                .collect(),
        };
        face.imports.sort();
        face.exports.sort();
        face
    }
}

/// Whether an interface of ours is what a guest imports. WASI's patch versions
/// only add: a guest that knows fewer functions finds those it knows, and one
/// that wants more fails to link by the function's name.
fn satisfies(ours: &str, import: &str) -> bool {
    let minor = |name: &str| {
        let (interface, version) = name.rsplit_once('@')?;
        let (minor, patch) = version.rsplit_once('.')?;
        let is_patch = !patch.is_empty() && patch.bytes().all(|it| it.is_ascii_digit());
        is_patch.then(|| (interface.to_owned(), minor.to_owned()))
    };
    ours == import || ours.starts_with("wasi:") && minor(ours) == minor(import)
}

impl World {
    /// Holds a component's face against this world.
    ///
    /// # Errors
    /// One sentence that names what is too much, or missing, or of another version.
    pub(crate) fn check(&self, face: &Face) -> Result<(), String> {
        for import in &face.imports {
            if !self.imports.iter().any(|ours| satisfies(ours, import)) {
                return Err(match other_version(import, self.imports) {
                    Some(ours) => format!("it imports {import}, and this engine has {ours}"),
                    None => format!("it imports {import}, which no {} guest may have", self.name),
                });
            }
        }
        for export in self.exports {
            if !face.exports.iter().any(|theirs| theirs == export) {
                let theirs: Vec<&str> = face.exports.iter().map(String::as_str).collect();
                return Err(match other_version(export, &theirs) {
                    Some(theirs) => format!("it exports {theirs}, and this engine needs {export}"),
                    None => format!(
                        "it does not export {export}, so it is no {} guest",
                        self.name
                    ),
                });
            }
        }
        Ok(())
    }
}

/// The interface of the same name but another version.
fn other_version<'a>(name: &str, among: &[&'a str]) -> Option<&'a str> {
    let without_version = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    among
        .iter()
        .copied()
        .find(|other| without_version(other) == without_version(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(imports: &[&str], exports: &[&str]) -> Face {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Face {
            imports: owned(imports),
            exports: owned(exports),
        }
    }

    #[test]
    fn less_than_all_imports_will_do() {
        assert_eq!(HTTP1.check(&face(&[], HTTP1.exports)), Ok(()));
        assert_eq!(TLS.check(&face(TLS.imports, TLS.exports)), Ok(()));
    }

    #[test]
    fn any_patch_version_of_wasi_will_do_and_no_other_version() {
        let takes = |import: &str| {
            let face = face(&[import], DRIVER.exports);
            DRIVER.check(&face).is_ok()
        };
        for version in ["0.2.0", "0.2.6", "0.2.12", "0.2.99"] {
            assert!(takes(&format!("wasi:sockets/tcp@{version}")), "{version}");
        }
        for version in [
            "0.1.0", "0.3.0", "1.2.0", "0.2", "0.2.", "0.2.x", "0.2.0-rc",
        ] {
            assert!(!takes(&format!("wasi:sockets/tcp@{version}")), "{version}");
        }
        assert!(!takes("fumehood:guest/panic@0.1.1"));
    }

    #[test]
    fn a_driver_gets_no_file_no_environment_and_no_listener() {
        for import in [
            "wasi:filesystem/types@0.2.12",
            "wasi:filesystem/preopens@0.2.12",
            "wasi:cli/environment@0.2.12",
            "wasi:cli/stdout@0.2.12",
            "wasi:http/outgoing-handler@0.2.12",
            "fumehood:crypto/keys@0.1.0",
        ] {
            assert_eq!(
                DRIVER.check(&face(&[import], DRIVER.exports)),
                Err(format!(
                    "it imports {import}, which no driver guest may have"
                )),
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (face, why) in [
            (
                face(&["wasi:filesystem/types@0.2.0"], HTTP1.exports),
                "it imports wasi:filesystem/types@0.2.0, which no http1 guest may have",
            ),
            (
                face(&["fumehood:crypto/keys@0.1.0"], HTTP1.exports),
                "it imports fumehood:crypto/keys@0.1.0, which no http1 guest may have",
            ),
            (
                face(&["fumehood:dns/preferences@0.1.0"], HTTP1.exports),
                "it imports fumehood:dns/preferences@0.1.0, which no http1 guest may have",
            ),
            (
                face(&["fumehood:guest/panic@0.2.0"], HTTP1.exports),
                "it imports fumehood:guest/panic@0.2.0, and this engine has \
                 fumehood:guest/panic@0.1.0",
            ),
            (
                face(&[], TLS.exports),
                "it does not export fumehood:http1/client@0.1.0, so it is no http1 guest",
            ),
            (
                face(&[], &["fumehood:http1/client@1.0.0"]),
                "it exports fumehood:http1/client@1.0.0, and this engine needs \
                 fumehood:http1/client@0.1.0",
            ),
        ] {
            assert_eq!(HTTP1.check(&face), Err(why.to_owned()));
        }
    }
}
