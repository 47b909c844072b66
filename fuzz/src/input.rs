//! Reads choices from the fuzzer's bytes. Where they are used up, it gives zeros.

/// The bytes that are not used yet.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    pub fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte());
        // Small numbers, powers of two and their neighbours are where mistakes are.
        match bytes[0] {
            0..=99 => u64::from(bytes[1]),
            100..=149 => 1u64
                .checked_shl(u32::from(bytes[1] % 65))
                .map_or(u64::MAX, |power| {
                    power.wrapping_add(u64::from(bytes[2] % 3)) - 1
                }),
            _ => u64::from_be_bytes(bytes),
        }
    }

    /// At most `count` bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
