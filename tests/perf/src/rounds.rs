//! The order of the visits: every round walks the products there and back (A B C C B A).
//!
//! A machine drifts: it warms up, a neighbour wakes, a cache fills. When every product is visited once on the way there and once on the
//! way back, a drift that is linear in time adds the same to all of them and falls out of every ratio.

/// One visit: which product, and whether on the way there (0) or back (1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Visit {
    /// Index of the product.
    pub product: usize,
    /// 0 on the way there, 1 on the way back.
    pub pass: u32,
}

/// The visits of one round for `products` products. The round's number turns the starting product, so that nobody always goes first.
#[must_use]
pub fn palindrome(products: usize, round: u32) -> Vec<Visit> {
    let turn = usize::try_from(round).unwrap_or(0).checked_rem(products).unwrap_or(0);
    let there = (0..products).map(|i| (i + turn) % products);
    let mut visits: Vec<_> = there.map(|product| Visit { product, pass: 0 }).collect();
    let back: Vec<_> = visits.iter().rev().map(|visit| Visit { product: visit.product, pass: 1 }).collect();
    visits.extend(back);
    visits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(products: usize, round: u32) -> Vec<usize> {
        palindrome(products, round).into_iter().map(|visit| visit.product).collect()
    }

    #[test]
    fn two_products_make_abba() {
        assert_eq!(order(2, 0), [0, 1, 1, 0]);
        assert_eq!(order(2, 1), [1, 0, 0, 1]);
        assert_eq!(order(3, 0), [0, 1, 2, 2, 1, 0]);
        assert!(order(0, 5).is_empty());
    }

    #[test]
    fn a_linear_drift_is_the_same_for_everybody() {
        for products in 1..6 {
            for round in 0..7 {
                let mut sum = vec![0; products];
                for (time, visit) in palindrome(products, round).into_iter().enumerate() {
                    sum[visit.product] += time;
                }
                assert!(sum.windows(2).all(|pair| pair[0] == pair[1]), "{sum:?}");
            }
        }
    }

    #[test]
    fn passes_are_marked() {
        let visits = palindrome(2, 0);
        assert_eq!(visits.iter().map(|visit| visit.pass).collect::<Vec<_>>(), [0, 0, 1, 1]);
    }
}
