//! Content that can be checked at any place without keeping it.
//!
//! Byte `n` of the pattern is a function of `n`, without a short period: a lost, doubled or moved
//! block shows at its first byte.

/// The byte at `position`.
pub(crate) fn byte(position: u64) -> u8 {
    let mixed = (position / 8)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = mixed ^ (mixed >> 29);
    mixed.to_le_bytes()[usize::try_from(position % 8).unwrap_or_default()]
}

/// `length` bytes from `position` on.
pub(crate) fn bytes(position: u64, length: usize) -> Vec<u8> {
    (position..).take(length).map(byte).collect()
}

/// The first position at which `found`, which starts at `position`, is not the pattern.
pub(crate) fn mismatch(position: u64, found: &[u8]) -> Option<u64> {
    (position..)
        .zip(found)
        .find(|&(at, &value)| byte(at) != value)
        .map(|(at, _)| at)
}

mod tests {
    use super::{bytes, mismatch};

    #[test]
    fn a_moved_block_is_found() {
        let mut content = bytes(0, 100_000);
        assert_eq!(mismatch(0, &content), None);
        content.drain(70_000..70_016);
        assert!(mismatch(0, &content).is_some_and(|at| (70_000..70_016).contains(&at)));
    }
}
