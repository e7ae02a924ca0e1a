//! Inputs that are lists: byte strings, each behind its length.
//!
//! What a fuzzer changes in one string then stays in it, which a mutation of
//! the whole input seldom achieves.

/// Bytes of a length: 16 bits, the lower first.
const LENGTH: usize = 2;

/// The seed's first byte for a mutation that knows nothing of lists.
const PLAINLY: u8 = 0xff;

/// Cuts an input into its strings. Any input has some: a length beyond the
/// input's end stands for all that is left.
pub fn split(mut input: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk::<LENGTH>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (piece, behind) = rest.split_at(length);
        pieces.push(piece);
        input = behind;
    }
    pieces
}

/// Makes an input of strings; of each at most 64 KiB.
#[must_use]
pub fn join<P: AsRef<[u8]>>(pieces: &[P]) -> Vec<u8> {
    let mut input = Vec::new();
    for piece in pieces {
        let piece = piece.as_ref();
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        input.extend_from_slice(&length.to_le_bytes());
        input.extend_from_slice(&piece[..usize::from(length)]);
    }
    input
}

/// Changes one string of the list, or the list: what `seed` says. `mutate`
/// changes the bytes that the slice begins with, may use all of it, and returns
/// how many it left. Returns the new length of the input.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    seed: u32,
    mutate: impl Fn(&mut [u8], usize) -> usize,
) -> usize {
    let size = size.min(data.len());
    let [how, which, other, _] = seed.to_le_bytes();
    if how == PLAINLY || split(&data[..size]).is_empty() {
        return mutate(data, size);
    }
    edit(data, size, |pieces| {
        let which = usize::from(which) % pieces.len();
        let other = usize::from(other) % pieces.len();
        match how % 16 {
            0 => {
                pieces.remove(which);
            }
            1 => pieces.insert(other, pieces[which].clone()),
            2 => pieces.swap(which, other),
            _ => {
                let piece = &mut pieces[which];
                let length = piece.len();
                // Room to grow, and at least a byte of it.
                piece.resize(length * 2 + 16, 0);
                let left = mutate(piece, length);
                piece.truncate(left);
            }
        }
    })
}

/// Changes the list that the slice begins with, as far as the slice has room for it.
/// Returns the new length of the input.
pub fn edit(data: &mut [u8], size: usize, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> usize {
    let mut pieces: Vec<Vec<u8>> = split(&data[..size]).iter().map(|p| p.to_vec()).collect();
    change(&mut pieces);
    let changed = join(&pieces);
    let length = changed.len().min(data.len());
    data[..length].copy_from_slice(&changed[..length]);
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_is_split_again() {
        let pieces: [&[u8]; 3] = [b"one", b"", b"three"];
        assert_eq!(split(&join(&pieces)), pieces);
        assert_eq!(split(&[9, 0, 1, 2]), [&[1, 2][..]]);
        assert_eq!(split(&[1]), Vec::<&[u8]>::new());
    }

    #[test]
    fn a_mutation_stays_in_its_piece() {
        let mut data = [0; 64];
        let input = join(&[b"one", b"two"]);
        data[..input.len()].copy_from_slice(&input);
        // Seed: change piece 1 of what is there.
        let seed = u32::from_le_bytes([3, 1, 0, 0]);
        let grow = |bytes: &mut [u8], size: usize| {
            bytes[size] = b'!';
            size + 1
        };
        let length = mutate(&mut data, input.len(), seed, grow);
        assert_eq!(split(&data[..length]), [&b"one"[..], b"two!"]);
    }

    #[test]
    fn no_mutation_outgrows_its_space() {
        let input = join(&[[7; 20], [8; 20]]);
        for seed in 0..0xfff {
            let mut data = input.clone();
            let length = mutate(&mut data, input.len(), seed * 0x1001, |_, size| size);
            assert!(length <= data.len());
        }
    }
}
