//! Relay buffers, kept per thread: a connection holds one only while bytes are in it.

use std::cell::RefCell;

/// The sizes a relay buffer may have, in bytes. A stream that fills one gets the next.
pub(crate) const SIZES: [usize; 3] = [16 * 1024, 64 * 1024, 256 * 1024];
/// Buffers of each size that a thread keeps for reuse.
const KEPT: [usize; 3] = [64, 16, 16];

thread_local! {
    static FREE: RefCell<[Vec<Box<[u8]>>; 3]> = const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

/// A buffer of the size class, used before or new.
pub(crate) fn take(class: usize) -> Box<[u8]> {
    let class = class.min(SIZES.len() - 1);
    let kept = FREE.with_borrow_mut(|free| free.get_mut(class).and_then(Vec::pop));
    kept.unwrap_or_else(|| vec![0; SIZES.get(class).copied().unwrap_or_default()].into_boxed_slice())
}

/// Gives a buffer back.
pub(crate) fn give(buffer: Box<[u8]>) {
    let Some(class) = SIZES.iter().position(|size| *size == buffer.len()) else { return };
    FREE.with_borrow_mut(|free| {
        let limit = KEPT.get(class).copied().unwrap_or_default();
        if let Some(list) = free.get_mut(class).filter(|list| list.len() < limit) {
            list.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back() {
        let mut buffer = take(1);
        assert_eq!(buffer.len(), SIZES[1]);
        buffer[0] = 7;
        give(buffer);
        assert_eq!(take(1)[0], 7);
    }

    #[test]
    fn the_store_is_bounded() {
        for _ in 0..100 {
            give(vec![0; SIZES[2]].into_boxed_slice());
        }
        FREE.with_borrow(|free| assert_eq!(free[2].len(), KEPT[2]));
    }
}
