//! The engine's limits by name, and what counts against them: the token bucket of a connection and the table of addresses.
//!
//! Names and defaults come from protocol/limits.toml (catalogue.rs).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;

use crate::catalogue::limit;

macro_rules! limits {
    ($($name:ident = $default:ident),* $(,)?) => {
        /// The limits of limits.toml that the engine keeps.
        #[derive(Clone, Debug)]
        pub struct Limits { $(pub $name: u64),* }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: limit::$default),* }
            }
        }

        impl Limits {
            /// Sets the limit of this name; an unknown name or a value below 1 is an error.
            pub fn set(&mut self, name: &str, value: i64) -> Result<(), String> {
                let place = match name {
                    $(stringify!($name) => &mut self.$name,)*
                    _ => return Err(format!("the engine has no limit {name:?}")),
                };
                *place = u64::try_from(value).ok().filter(|&value| value > 0)
                    .ok_or_else(|| format!("{name} is {value}, but must be at least 1"))?;
                Ok(())
            }
        }
    };
}

limits! {
    message_bytes_max = MESSAGE_BYTES_MAX,
    payload_bytes_max = PAYLOAD_BYTES_MAX,
    token_bytes_max = TOKEN_BYTES_MAX,
    http_head_bytes_max = HTTP_HEAD_BYTES_MAX,
    upgrade_timeout_ms = UPGRADE_TIMEOUT_MS,
    hello_timeout_ms = HELLO_TIMEOUT_MS,
    ping_interval_ms = PING_INTERVAL_MS,
    idle_timeout_ms = IDLE_TIMEOUT_MS,
    close_timeout_ms = CLOSE_TIMEOUT_MS,
    send_queue_bytes_max = SEND_QUEUE_BYTES_MAX,
    frames_per_second_max = FRAMES_PER_SECOND_MAX,
    bytes_per_second_max = BYTES_PER_SECOND_MAX,
    handshakes_max = HANDSHAKES_MAX,
    handshakes_per_address_max = HANDSHAKES_PER_ADDRESS_MAX,
    handshake_turn_us = HANDSHAKE_TURN_US,
    connections_max = CONNECTIONS_MAX,
    connections_per_address_max = CONNECTIONS_PER_ADDRESS_MAX,
    inbox_events_max = INBOX_EVENTS_MAX,
    logins_per_turn_max = LOGINS_PER_TURN_MAX,
    pipes_max = PIPES_MAX,
    pipes_per_address_max = PIPES_PER_ADDRESS_MAX,
}

impl Limits {
    /// Checks the relations between limits; the error says which one does not hold.
    pub fn check(&self) -> Result<(), String> {
        if self.idle_timeout_ms <= self.ping_interval_ms {
            return Err("idle_timeout_ms must be above ping_interval_ms: else nobody has time to answer a ping".into());
        }
        Ok(())
    }

    /// The first message of a connection can be no larger: a token, a cursor, a few features and a client name.
    pub fn hello_bytes_max(&self) -> usize {
        (self.token_bytes_max + HELLO_REST_BYTES).min(self.message_bytes_max) as usize
    }
}

const HELLO_REST_BYTES: u64 = 4096;
const BURST_SECONDS: f32 = 2.0;

/// What a connection may still send: frames and bytes, refilled all the time, full after the burst's two seconds.
pub struct Bucket {
    frames: f32,
    bytes: f32,
    filled_at: u64,
}

impl Bucket {
    /// A full bucket. Times are in ms of the engine's clock.
    pub fn full(limits: &Limits, now: u64) -> Self {
        Self {
            frames: limits.frames_per_second_max as f32 * BURST_SECONDS,
            bytes: limits.bytes_per_second_max as f32 * BURST_SECONDS,
            filled_at: now,
        }
    }

    /// Pays for received bytes; false when there were more than allowed.
    pub fn take_bytes(&mut self, count: usize, limits: &Limits, now: u64) -> bool {
        self.fill(limits, now);
        self.bytes -= count as f32;
        self.bytes >= 0.0
    }

    /// Pays for one received frame, with what `take_bytes` refilled; false when there were more than allowed.
    pub fn take_frame(&mut self) -> bool {
        self.frames -= 1.0;
        self.frames >= 0.0
    }

    fn fill(&mut self, limits: &Limits, now: u64) {
        let seconds = now.saturating_sub(self.filled_at) as f32 / 1000.0;
        self.filled_at = now;
        let (frames, bytes) = (
            limits.frames_per_second_max as f32,
            limits.bytes_per_second_max as f32,
        );
        self.frames = (self.frames + seconds * frames).min(frames * BURST_SECONDS);
        self.bytes = (self.bytes + seconds * bytes).min(bytes * BURST_SECONDS);
    }
}

/// What a connection is counted as for its client address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Opening, // from accept on, until it has become one of the others or is gone
    Session,
    Pipe,
}

/// How many connections each client address has, over all threads. An IPv6 network of 64 bits is one address: a single
/// customer has all of it.
#[derive(Default)]
pub struct Addresses(Mutex<HashMap<IpAddr, Counts>>);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    opening: u64,
    sessions: u64,
    pipes: u64,
}

impl Counts {
    fn place(&mut self, stage: Stage) -> &mut u64 {
        match stage {
            Stage::Opening => &mut self.opening,
            Stage::Session => &mut self.sessions,
            Stage::Pipe => &mut self.pipes,
        }
    }

    /// Whether there is room for one more at this stage.
    fn admits(&self, stage: Stage, limits: &Limits) -> bool {
        let is_in = self.sessions + self.pipes < limits.connections_per_address_max;
        match stage {
            Stage::Opening => self.opening < limits.handshakes_per_address_max,
            Stage::Session => is_in,
            Stage::Pipe => is_in && self.pipes < limits.pipes_per_address_max,
        }
    }
}

impl Addresses {
    /// Counts one more connection of the address at a stage, unless it has as many there as allowed.
    pub fn enter(&self, address: IpAddr, stage: Stage, limits: &Limits) -> bool {
        let mut table = self.0.lock().expect("no code panics with the table locked");
        let counts = table.entry(network_of(address)).or_default();
        let admitted = counts.admits(stage, limits);
        if admitted {
            *counts.place(stage) += 1;
        }
        admitted
    }

    /// Undoes one `enter`.
    pub fn leave(&self, address: IpAddr, stage: Stage) {
        let mut table = self.0.lock().expect("no code panics with the table locked");
        let network = network_of(address);
        if let Some(counts) = table.get_mut(&network) {
            let place = counts.place(stage);
            *place = place.saturating_sub(1);
            if *counts == Counts::default() {
                table.remove(&network);
            }
        }
    }

    /// Whether no address has a connection.
    #[cfg(feature = "fuzzing")]
    pub fn is_empty(&self) -> bool {
        let table = self.0.lock().expect("no code panics with the table locked");
        table.is_empty()
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered() -> Limits {
        let mut limits = Limits::default();
        limits.set("frames_per_second_max", 10).unwrap();
        limits.set("bytes_per_second_max", 1000).unwrap();
        limits
    }

    #[test]
    fn a_bucket_allows_a_burst_of_two_seconds_and_then_the_rate() {
        let limits = lowered();
        let mut bucket = Bucket::full(&limits, 0);
        assert!((0..20).all(|_| bucket.take_frame()));
        assert!(!bucket.take_frame());
        assert!(bucket.take_bytes(2000, &limits, 0));
        assert!(!bucket.take_bytes(1, &limits, 0));
        assert!(bucket.take_bytes(500, &limits, 1000));
        assert!((0..9).all(|_| bucket.take_frame()));
        assert!(!bucket.take_frame());
    }

    #[test]
    fn a_bucket_never_holds_more_than_the_burst() {
        let limits = lowered();
        let mut bucket = Bucket::full(&limits, 0);
        assert!(!bucket.take_bytes(2001, &limits, 1_000_000));
    }

    #[test]
    fn unknown_limits_and_values_below_one_are_refused() {
        let mut limits = Limits::default();
        assert!(limits
            .set("no_such_limit", 1)
            .unwrap_err()
            .contains("no_such_limit"));
        assert!(limits.set("pipes_max", 0).is_err());
        assert!(limits.set("pipes_max", -1).is_err());
        limits.set("ping_interval_ms", 20_000).unwrap();
        assert!(limits.check().is_err());
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_counted_up_to_the_limit_and_forgotten() {
        let mut limits = Limits::default();
        limits.set("connections_per_address_max", 2).unwrap();
        let addresses = Addresses::default();
        let enter = |text| addresses.enter(address(text), Stage::Session, &limits);
        let one = "192.0.2.1";
        assert!(enter(one) && enter(one));
        assert!(!enter(one));
        assert!(enter("192.0.2.2"));
        addresses.leave(address(one), Stage::Session);
        assert!(enter(one));
        for _ in 0..3 {
            addresses.leave(address(one), Stage::Session);
        }
        assert_eq!(addresses.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn each_stage_has_its_own_limit_and_all_that_is_in_counts_together() {
        let mut limits = Limits::default();
        limits.set("connections_per_address_max", 3).unwrap();
        limits.set("handshakes_per_address_max", 2).unwrap();
        limits.set("pipes_per_address_max", 2).unwrap();
        let addresses = Addresses::default();
        let enter = |stage| addresses.enter(address("192.0.2.1"), stage, &limits);
        assert!(enter(Stage::Opening) && enter(Stage::Opening) && !enter(Stage::Opening));
        assert!(enter(Stage::Pipe) && enter(Stage::Pipe) && !enter(Stage::Pipe));
        assert!(enter(Stage::Session) && !enter(Stage::Session));
        addresses.leave(address("192.0.2.1"), Stage::Opening);
        assert!(enter(Stage::Opening) && !enter(Stage::Opening));
        addresses.leave(address("192.0.2.1"), Stage::Pipe);
        assert!(enter(Stage::Session) && !enter(Stage::Pipe));
    }

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        let mut limits = Limits::default();
        limits.set("connections_per_address_max", 1).unwrap();
        let addresses = Addresses::default();
        let enter = |text| addresses.enter(address(text), Stage::Session, &limits);
        assert!(enter("2001:db8:0:1::1") && !enter("2001:db8:0:1:ffff::2"));
        assert!(enter("2001:db8:0:2::1"));
        assert!(enter("192.0.2.1") && enter("192.0.2.2"));
        assert!(!enter("::ffff:192.0.2.1"));
        addresses.leave(address("2001:db8:0:1:2::3"), Stage::Session);
        assert!(enter("2001:db8:0:1::1"));
    }
}
