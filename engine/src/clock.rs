//! The clock of an engine thread.

use std::time::{Duration, Instant};

/// Milliseconds that stand still while reading is paused, so that nobody is thought silent whom nobody read.
pub struct Clock {
    start: Instant,
    paused: Duration,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
            paused: Duration::ZERO,
        }
    }

    /// The time in ms.
    pub fn now(&self) -> u64 {
        (self.start.elapsed() - self.paused).as_millis() as u64
    }

    /// Takes out the time since `began`.
    pub fn skip_since(&mut self, began: Instant) {
        self.paused += began.elapsed();
    }
}
