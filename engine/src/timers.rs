//! A timer wheel with one entry per connection.
//!
//! Deadlines move later all the time (whatever is heard moves them), so the wheel is told of it only when an entry fires: the
//! connection then says whether it is really due, and is entered again. A deadline that moves earlier gets a second entry.

const TICK_MS: u64 = 16;
const SLOTS: usize = 2048;
const WORD_BITS: usize = 64;

/// Wheel of about 32 s; later deadlines fire early once or twice and are entered again.
pub struct Wheel {
    slots: Vec<Vec<u64>>,
    filled: [u64; SLOTS / WORD_BITS], // one bit per slot that has entries
    next: u64,                        // first tick that has not been looked at
}

impl Wheel {
    pub fn new(now_ms: u64) -> Self {
        Self {
            slots: vec![Vec::new(); SLOTS],
            filled: [0; SLOTS / WORD_BITS],
            next: now_ms / TICK_MS + 1,
        }
    }

    /// Enters a connection; returns the time in ms at which the entry fires.
    pub fn enter(&mut self, id: u64, due_ms: u64) -> u64 {
        let last = self.next + SLOTS as u64 - 1;
        let tick = due_ms.div_ceil(TICK_MS).clamp(self.next, last);
        let slot = tick as usize % SLOTS;
        self.slots[slot].push(id);
        self.filled[slot / WORD_BITS] |= 1 << (slot % WORD_BITS);
        tick * TICK_MS
    }

    /// Takes out every entry that has fired by now.
    pub fn expire(&mut self, now_ms: u64, fired: &mut Vec<u64>) {
        let now = now_ms / TICK_MS;
        // After a long stop every slot is looked at once, not once per lost turn of the wheel.
        let first = self.next.max((now + 1).saturating_sub(SLOTS as u64));
        for tick in first..=now {
            let slot = tick as usize % SLOTS;
            let (word, bit) = (slot / WORD_BITS, 1 << (slot % WORD_BITS));
            if self.filled[word] & bit != 0 {
                self.filled[word] &= !bit;
                fired.append(&mut std::mem::take(&mut self.slots[slot]));
            }
        }
        self.next = self.next.max(now + 1);
    }

    /// Time in ms from now until the next entry fires.
    pub fn next_in(&self, now_ms: u64) -> Option<u64> {
        let start = self.next as usize % SLOTS;
        let words = self.filled.len();
        for step in 0..=words {
            let index = (start / WORD_BITS + step) % words;
            let mut word = self.filled[index];
            let low = (1_u64 << (start % WORD_BITS)) - 1; // slots of the first word that lie before the start
            if step == 0 {
                word &= !low;
            } else if step == words {
                word &= low;
            }
            if word != 0 {
                let slot = index * WORD_BITS + word.trailing_zeros() as usize;
                let ticks = (slot + SLOTS - start) % SLOTS;
                return Some(((self.next + ticks as u64) * TICK_MS).saturating_sub(now_ms));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expired(wheel: &mut Wheel, now: u64) -> Vec<u64> {
        let mut fired = Vec::new();
        wheel.expire(now, &mut fired);
        fired
    }

    #[test]
    fn entries_fire_after_their_time_and_never_before() {
        let mut wheel = Wheel::new(1000);
        let at = wheel.enter(7, 1500);
        assert!((1500..1500 + TICK_MS).contains(&at));
        assert_eq!(wheel.next_in(1000), Some(at - 1000));
        assert!(expired(&mut wheel, at - 1).is_empty());
        assert_eq!(expired(&mut wheel, at), [7]);
        assert_eq!(wheel.next_in(at), None);
        assert!(expired(&mut wheel, at + 100_000).is_empty());
    }

    #[test]
    fn a_far_deadline_fires_within_one_turn_of_the_wheel() {
        let mut wheel = Wheel::new(0);
        let at = wheel.enter(1, 1_000_000);
        assert!(at <= SLOTS as u64 * TICK_MS);
        assert_eq!(wheel.next_in(0), Some(at));
        assert_eq!(expired(&mut wheel, 40_000), [1]);
    }

    #[test]
    fn a_deadline_in_the_past_fires_on_the_next_tick() {
        let mut wheel = Wheel::new(500);
        let at = wheel.enter(1, 3);
        assert!(at > 500 && at <= 500 + 2 * TICK_MS);
    }

    #[test]
    fn the_nearest_entry_is_found_wherever_the_wheel_stands() {
        for start in [0, 1000, 32_000, 32_767, 40_000, 1_000_000] {
            for delay in [1, 100, 1000, 20_000, 32_000] {
                let mut wheel = Wheel::new(start);
                let near = wheel.enter(1, start + delay);
                wheel.enter(2, start + delay + 300);
                assert_eq!(wheel.next_in(start), Some(near - start), "{start} {delay}");
            }
        }
    }
}
