//! A histogram of times with a bounded relative error (1/128), whatever their size.

const BITS: u32 = 7;
const HALF: u64 = 1 << BITS;

/// Counts values in buckets that grow with them. Values below 128 are exact.
#[derive(Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    max: u64,
}

impl Histogram {
    pub fn add(&mut self, value: u64) {
        let index = index(value);
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        self.buckets[index] += 1;
        self.max = self.max.max(value);
    }

    pub fn merge(&mut self, other: &Self) {
        let size = self.buckets.len().max(other.buckets.len());
        self.buckets.resize(size, 0);
        for (to, from) in self.buckets.iter_mut().zip(&other.buckets) {
            *to += from;
        }
        self.max = self.max.max(other.max);
    }

    /// (highest value, count) of each bucket that is not empty, in order. The last one's value is the maximum itself.
    pub fn rows(&self) -> Vec<(u64, u64)> {
        let mut rows: Vec<_> = (0..)
            .zip(&self.buckets)
            .filter(|(_, count)| **count > 0)
            .map(|(index, count)| (highest(index), *count))
            .collect();
        if let Some(last) = rows.last_mut() {
            last.0 = self.max;
        }
        rows
    }
}

fn index(value: u64) -> usize {
    let shift = (64 - BITS - 1).saturating_sub(value.leading_zeros());
    (u64::from(shift) * HALF + (value >> shift)) as usize
}

fn highest(index: u64) -> u64 {
    let shift = (index / HALF).saturating_sub(1);
    let top = index - shift * HALF;
    ((top + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_the_bucket_that_ends_at_or_just_above_it() {
        let mut values: Vec<u64> = (0..5000).collect();
        values.extend((12..40).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]));
        for value in values {
            let top = highest(index(value) as u64);
            assert!(top >= value && top - value <= value / HALF, "{value} {top}");
            assert!(index(top) == index(value) && index(top + 1) == index(value) + 1);
        }
    }

    #[test]
    fn rows_hold_every_count_and_the_exact_maximum() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        for value in [1, 1, 1000] {
            one.add(value);
        }
        other.add(1_000_000);
        one.merge(&other);
        let rows = one.rows();
        assert_eq!(rows.iter().map(|row| row.1).sum::<u64>(), 4);
        assert_eq!((rows[0], rows.last()), ((1, 2), Some(&(1_000_000, 1))));
        assert!(Histogram::default().rows().is_empty());
    }
}
