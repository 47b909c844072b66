//! Counters. Each thread has its own, so that counting costs no shared cache line; reading adds them up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;

pub const KINDS: usize = 16;

#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub fn up(&self) {
        self.add(1);
    }

    pub fn down(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($name:ident = $shown:literal),* $(,)?) => {
        /// One thread's counters.
        #[derive(Default)]
        pub struct Counters {
            $(pub $name: Counter,)*
            pub frames_in: [Counter; KINDS],
            pub frames_out: [Counter; KINDS],
            pub states: [Counter; STATES.len()],
            closed: Mutex<BTreeMap<u16, u64>>,
            refused: Mutex<BTreeMap<&'static str, u64>>,
        }

        impl Counters {
            fn plain(&self) -> Vec<(&'static str, u64)> {
                vec![$(($shown, self.$name.get())),*]
            }
        }
    };
}

// Names that begin with iris_ are metrics of limits.toml; the others get the engine's prefix from whoever shows them.
counters! {
    accepted = "accepted_total",
    accept_errors = "accept_errors_total",
    connections_refused = "iris_connections_refused_total",
    handshakes = "handshakes_total",
    resumed = "resumed_total",
    tls_faults = "tls_faults_total",
    proxy_faults = "proxy_faults_total",
    upgrades = "upgrades_total",
    early_hellos = "early_hellos_total",
    upgrades_refused = "iris_upgrades_refused_total",
    upgrade_timeouts = "upgrade_timeouts_total",
    bytes_in = "bytes_in_total",
    bytes_out = "bytes_out_total",
    sends = "sends_total",
    reads = "reads_total",
    writes = "writes_total",
    turns = "turns_total",
    wakes = "wakes_total",
    handovers = "handovers_total",
    pings = "iris_pings_total",
    inbox_paused = "iris_inbox_paused_total",
    logins_paused = "logins_paused_total",
    handshakes_paused = "iris_handshakes_paused_total",
    handshake_turns_cut = "iris_handshake_turns_cut_total",
    flooding = "flooding_total",
    pipes = "pipes_total",
    unknown_frames = "unknown_frames_total",
    gone_connections = "gone_connections_total",
    panics = "panics_total",
}

/// The states of a connection, in the order of `Counters::states`.
pub const STATES: [&str; 6] = ["opening", "hello", "attaching", "ready", "closing", "piped"];

impl Counters {
    /// An upgraded connection ended with this close code.
    pub fn closed(&self, code: u16) {
        *self
            .closed
            .lock()
            .expect("no code panics with it locked")
            .entry(code)
            .or_insert(0) += 1;
    }

    /// A connection was refused before it was upgraded.
    pub fn refused(&self, reason: &'static str) {
        self.upgrades_refused.up();
        *self
            .refused
            .lock()
            .expect("no code panics with it locked")
            .entry(reason)
            .or_insert(0) += 1;
    }
}

/// The counters of all threads, added up.
#[derive(Default)]
pub struct Totals {
    pub counters: BTreeMap<&'static str, u64>,
    pub frames_in: [u64; KINDS],
    pub frames_out: [u64; KINDS],
    pub states: [u64; STATES.len()],
    pub closed: BTreeMap<u16, u64>,
    pub refused: BTreeMap<&'static str, u64>,
}

impl Totals {
    pub fn add(&mut self, counters: &Counters) {
        for (name, count) in counters.plain() {
            *self.counters.entry(name).or_insert(0) += count;
        }
        add_up(&mut self.frames_in, &counters.frames_in);
        add_up(&mut self.frames_out, &counters.frames_out);
        add_up(&mut self.states, &counters.states);
        for (code, count) in counters
            .closed
            .lock()
            .expect("no code panics with it locked")
            .iter()
        {
            *self.closed.entry(*code).or_insert(0) += count;
        }
        for (reason, count) in counters
            .refused
            .lock()
            .expect("no code panics with it locked")
            .iter()
        {
            *self.refused.entry(reason).or_insert(0) += count;
        }
    }
}

fn add_up(totals: &mut [u64], counters: &[Counter]) {
    for (total, counter) in totals.iter_mut().zip(counters) {
        // A gauge that is read while it moves from one state to another may be one below zero for a moment.
        *total = total.wrapping_add(counter.get());
    }
}
