//! The sliding window of packet numbers of one session (as in RFC 6479): each number once, old ones not at all.

/// Words of the ring; one of them is always being cleared.
const WORDS: usize = 64;
/// How far behind the highest number a packet may be, in packets.
pub(crate) const WINDOW_PACKETS: u64 = (WORDS as u64 - 1) * 64;

/// Which packet numbers came.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    highest: u64,
    ring: Box<[u64; WORDS]>,
}

impl Default for Window {
    fn default() -> Self {
        Self { highest: 0, ring: Box::new([0; WORDS]) }
    }
}

impl Window {
    /// Whether the number is new. Ask before the packet is opened, to save the work.
    pub(crate) fn admits(&self, number: u64) -> bool {
        if number > self.highest {
            return true;
        }
        self.highest - number < WINDOW_PACKETS
            && self.ring.get(word(number)).is_some_and(|bits| bits & bit(number) == 0)
    }

    /// Notes the number of a packet that verified; false when it came before or is too old.
    pub(crate) fn accept(&mut self, number: u64) -> bool {
        if !self.admits(number) {
            return false;
        }
        if number > self.highest {
            let steps = (number / 64 - self.highest / 64).min(WORDS as u64);
            for step in 1..=steps {
                if let Some(bits) = self.ring.get_mut(word(self.highest.wrapping_add(step * 64))) {
                    *bits = 0;
                }
            }
            self.highest = number;
        }
        if let Some(bits) = self.ring.get_mut(word(number)) {
            *bits |= bit(number);
        }
        true
    }
}

const fn word(number: u64) -> usize {
    // The remainder is below 64 and fits everywhere.
    ((number / 64) % (WORDS as u64)) as usize
}

const fn bit(number: u64) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_set(start in prop_oneof![Just(0u64), any::<u32>().prop_map(u64::from)],
                                jumps in prop::collection::vec(-6000i64..6000, 1..400)) {
            let (mut window, mut seen, mut highest, mut at) = (Window::default(), HashSet::new(), 0u64, start);
            for jump in jumps {
                at = at.saturating_add_signed(jump);
                let fresh = !seen.contains(&at) && (at > highest || highest - at < WINDOW_PACKETS);
                prop_assert_eq!(window.admits(at), fresh);
                prop_assert_eq!(window.accept(at), fresh);
                if fresh {
                    seen.insert(at);
                    highest = highest.max(at);
                }
            }
        }
    }

    #[test]
    fn the_ends_of_the_range_work() {
        let mut window = Window::default();
        assert!(window.accept(0) && !window.accept(0));
        assert!(window.accept(u64::MAX) && !window.accept(u64::MAX));
        assert!(window.accept(u64::MAX - 1) && !window.accept(1));
    }
}
