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
    imports: &["fumehood:guest/panic@0.1.0"],
    exports: &["fumehood:http1/client@0.1.0"],
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

impl World {
    /// Holds a component's face against this world.
    ///
    /// # Errors
    /// One sentence that names what is too much, or missing, or of another version.
    pub(crate) fn check(&self, face: &Face) -> Result<(), String> {
        for import in &face.imports {
            if !self.imports.contains(&import.as_str()) {
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
        assert_eq!(
            HTTP1.check(&face(&[], &["fumehood:http1/client@0.1.0"])),
            Ok(())
        );
        assert_eq!(TLS.check(&face(TLS.imports, TLS.exports)), Ok(()));
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
