//! Chance that comes out the same for the same seed (SplitMix64).

pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 or more, and below 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.part() * count as f64) as usize
    }

    /// Whether something happens that does so in this share of all cases.
    pub fn happens(&mut self, share: f64) -> bool {
        self.part() < share
    }

    /// A time until something that happens at any moment alike: exponential, of this mean.
    pub fn wait(&mut self, mean: f64) -> u64 {
        (-(1.0 - self.part()).ln() * mean) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_repeatable_and_fair() {
        let (mut one, mut other) = (Chance::new(7), Chance::new(7));
        let count = 20_000;
        let (mut sum, mut hits, mut lows) = (0, 0, 0);
        for _ in 0..count {
            let wait = one.wait(1000.0);
            assert_eq!(wait, other.wait(1000.0));
            sum += wait;
            hits += u32::from(one.happens(0.3));
            other.happens(0.3);
            let below = one.below(10);
            assert!(below < 10 && below == other.below(10));
            lows += u32::from(below < 5);
        }
        let near = |value: f64, wanted: f64| (value / wanted - 1.0).abs() < 0.05;
        assert!(near(sum as f64 / f64::from(count), 1000.0));
        assert!(near(f64::from(hits) / f64::from(count), 0.3));
        assert!(near(f64::from(lows) / f64::from(count), 0.5));
    }
}
