//! Trust anchors: where they come from and how they are handed to the engine.

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::LaunchError;

/// Most trust anchors passed on. System stores have about 150.
const MAX_ANCHORS: usize = 4096;

/// Where distributions keep all system anchors in one file. Read instead of
/// the directory beside it, which holds the same ones, a file each.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Which certificates a server's chain may end at.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Anchors {
    /// The system's: `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured.
    #[default]
    System,
    /// None: every https request fails, unless it is sent unverified.
    Nothing,
    /// These alone, in DER.
    Der(Vec<CertificateDer<'static>>),
    /// Those in this PEM file alone.
    PemFile(PathBuf),
}

impl Anchors {
    /// Reads and encodes them as [`fumehood_control::ToEngine::Anchors`] wants them.
    /// Blocks on files.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, LaunchError> {
        match self {
            Anchors::Nothing => Ok(Vec::new()),
            Anchors::Der(certificates) => encode(certificates),
            Anchors::PemFile(path) => encode(&pem_file(path)?),
            Anchors::System => encode(&system()?),
        }
    }
}

fn system() -> Result<Vec<CertificateDer<'static>>, LaunchError> {
    let overridden = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .iter()
        .any(|v| std::env::var_os(v).is_some());
    let bundle = SYSTEM_BUNDLES
        .iter()
        .map(Path::new)
        .find(|path| path.exists());
    let found = match bundle {
        Some(bundle) if !overridden => {
            rustls_native_certs::load_certs_from_paths(Some(bundle), None)
        }
        _ => rustls_native_certs::load_native_certs(),
    };
    match (found.certs.is_empty(), found.errors.first()) {
        (true, Some(error)) => Err(LaunchError::Anchors(error.to_string())),
        // A store without a certificate is a store: whatever is asked of it is refused.
        _ => Ok(found.certs),
    }
}

fn pem_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, LaunchError> {
    let wrong = |why: String| LaunchError::Anchors(format!("{}: {why}", path.display()));
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|e| wrong(e.to_string()))?
        .collect();
    let certificates = certificates.map_err(|e| wrong(e.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("there is no certificate in PEM in it".to_owned()));
    }
    Ok(certificates)
}

fn encode(certificates: &[CertificateDer<'static>]) -> Result<Vec<u8>, LaunchError> {
    if certificates.len() > MAX_ANCHORS {
        return Err(LaunchError::Anchors(format!(
            "there are {}, and at most {MAX_ANCHORS} are taken",
            certificates.len()
        )));
    }
    let mut bytes = Vec::with_capacity(certificates.iter().map(|c| c.len() + 4).sum());
    for certificate in certificates {
        let length = u32::try_from(certificate.len())
            .map_err(|_| LaunchError::Anchors("one is over 4 GiB".to_owned()))?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(certificate);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn each_anchor_has_its_length_before_it() {
        let anchors = Anchors::Der(vec![vec![1, 2, 3].into(), vec![9].into()]);
        assert_eq!(
            anchors.encode().unwrap(),
            [3, 0, 0, 0, 1, 2, 3, 1, 0, 0, 0, 9]
        );
        assert!(Anchors::Nothing.encode().unwrap().is_empty());
    }

    #[test]
    fn a_file_without_certificates_is_named_in_the_error() {
        let error = Anchors::PemFile("/dev/null".into())
            .encode()
            .unwrap_err()
            .to_string();
        assert!(error.contains("/dev/null"), "{error}");
    }

    #[test]
    fn too_many_anchors_are_refused() {
        let many = vec![CertificateDer::from(vec![0]); MAX_ANCHORS + 1];
        assert!(Anchors::Der(many).encode().is_err());
    }
}
