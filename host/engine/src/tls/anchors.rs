//! Trust anchors as the embedder hands them over.

/// Certificates in DER.
#[derive(Debug, Default)]
pub(crate) struct Anchors(Vec<Vec<u8>>);

impl Anchors {
    /// Parses four bytes of length (little-endian) and so many of certificate,
    /// again and again. `None` if the last is not whole.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Anchors> {
        let mut anchors = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (anchor, rest) = rest.split_at_checked(length)?;
            anchors.push(anchor.to_vec());
            bytes = rest;
        }
        Some(Anchors(anchors))
    }

    /// Certificates in DER.
    pub(crate) fn of(certificates: &[Vec<u8>]) -> Anchors {
        Anchors(certificates.to_vec())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }
}
