//! A load generator: many clients that speak the real protocol over TLS, in few threads, and check every answer.
//!
//! It knows what the protocol asks of a client and nothing of the server's inside. `run` blocks; what happens is told to an
//! observer in the calling thread, at moments at which it may take its time (to read the server's CPU clock, say).

mod catch_up;
mod certificate;
mod chance;
mod crowd;
mod day;
mod devices;
mod histogram;
mod link;
mod pairs;
mod presence;
mod slow;
mod society;
mod source;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

pub use certificate::self_signed;
use crowd::Crowd;
use histogram::Histogram;
use link::Target;

const FAULTS_TOLD_MAX: usize = 20;
const MS: u64 = 1_000_000; // in ns

macro_rules! numbers {
    ($($name:ident = $default:literal,)*) => {
        /// What can be chosen; rates are per second of the whole load.
        pub struct Numbers { $(pub $name: u64),* }

        impl Default for Numbers {
            fn default() -> Self {
                Self { $($name: $default),* }
            }
        }

        impl Numbers {
            /// Sets the number of this name; an unknown name is an error.
            pub fn set(&mut self, name: &str, value: u64) -> Result<(), String> {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => return Err(format!("the load has no number {name:?}")),
                }
                Ok(())
            }
        }
    };
}

numbers! {
    threads = 1,
    plain = 0,          // 1: TCP without TLS
    concurrency = 64,   // connections of a thread that are being opened
    rounds = 1,         // how often all connect
    per_source = 5000,  // connections from one loopback address: see source.rs
    resume = 0,         // 1: from the second round on they take up their TLS sessions
    hold_ms = 0,        // how long they stay, where no messages are sent
    pairs = 0,          // 1: connections 2n and 2n + 1 exchange messages; 0: they only connect
    backlog = 0,        // messages that wait for the second of each pair when it comes; 0: both come at once
    window = 1,         // messages a sender has unanswered
    rate = 0,           // messages per second; 0: each sender sends as soon as its window allows
    payload_bytes = 128,
    warm_ms = 1000,
    measure_ms = 5000,
    drain_ms = 15000,   // how long the last answers may take
    ack_delay_ms = 20,  // how long an Ack of receipts waits for a Send to travel with
    watches = 0,        // not 0: a presence storm, in which each user watches so many
    away_every = 4,     // one user in so many goes away and comes back
    devices = 0,        // 1: users with several devices each, who follow each other, exchange messages in pairs
    stall_ms = 0,       // not 0: the second of each pair takes nothing for this time
    compression = 0,    // not 0: a mixed day, which passes so many times faster. All times of the model are those of its users
    online_per_mille = 100,
    session_ms = 300000,
    messages_per_user_day = 50,
    peak_per_mille = 1000,   // of the average rate
    chat_messages = 4,
    chat_gap_ms = 15000,     // from one message of a chat to the next
    typing_ms = 3000,        // from the beginning to the message
    read_after_ms = 4000,
    contacts = 20,
    online_partner_percent = 50,  // of chats, begun with a contact who is online
    second_device_percent = 50,   // of sessions, for those who have one
    seed = 1,
}

impl Numbers {
    /// Scenes in which everybody may speak with everybody: one thread plays them.
    fn is_one_thread(&self) -> bool {
        self.watches + self.devices + self.stall_ms + self.compression > 0
    }
}

/// A whole load: connection n belongs to the device of `tokens[n]`, a device of `users[n]`.
pub struct Plan {
    pub address: SocketAddr,
    pub root: Vec<u8>,
    pub tokens: Vec<String>,
    pub users: Vec<Vec<u8>>,
    pub numbers: Numbers,
}

/// What came of it. Histograms are in ns.
#[derive(Default)]
pub struct Report {
    pub counts: BTreeMap<&'static str, u64>,
    pub histograms: BTreeMap<&'static str, Histogram>,
    pub faults: Vec<String>,
}

impl Report {
    fn count(&mut self, name: &'static str, by: u64) {
        *self.counts.entry(name).or_insert(0) += by;
    }

    fn time(&mut self, name: &'static str, nanoseconds: u64) {
        self.histograms.entry(name).or_default().add(nanoseconds);
    }

    /// Something that must not happen.
    fn fault(&mut self, what: String) {
        self.count("faults", 1);
        if self.faults.len() < FAULTS_TOLD_MAX {
            self.faults.push(what);
        }
    }

    fn merge(&mut self, other: Self) {
        for (name, count) in other.counts {
            self.count(name, count);
        }
        for (name, histogram) in other.histograms {
            self.histograms.entry(name).or_default().merge(&histogram);
        }
        for fault in other.faults {
            if self.faults.len() < FAULTS_TOLD_MAX {
                self.faults.push(fault);
            }
        }
    }
}

/// Hears of a moment (`round`, `arrived`, `measure`, `stop`, `held`, or `tick` in between) and of how far things are; false
/// ends the load.
pub type Observer<'a> = &'a mut dyn FnMut(&'static str, u64) -> bool;

/// What the threads share.
struct Shared {
    clock: Instant,
    barrier: Barrier,
    ended: AtomicBool, // by the observer, or because a thread cannot go on
    done: AtomicU64,   // connections or messages: for whoever watches
    started: AtomicU64,
}

impl Shared {
    fn new(threads: usize) -> Self {
        Self {
            clock: Instant::now(),
            barrier: Barrier::new(threads),
            ended: AtomicBool::new(false),
            done: AtomicU64::new(0),
            started: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// All threads meet here; whether they go on. The second meeting keeps a quick thread from ending the load while a slow
    /// one still asks whether it has ended.
    fn meet(&self) -> bool {
        self.barrier.wait();
        let on = !self.ended.load(Relaxed);
        self.barrier.wait();
        on
    }
}

/// Runs the load. The error is a plan that makes no sense.
pub fn run(plan: &Plan, observer: Observer<'_>) -> Result<Report, String> {
    let total = plan.tokens.len();
    if total == 0 || plan.users.len() != total || plan.users.iter().any(|user| user.len() != 16) {
        return Err("a load needs a token and a user id of 16 bytes for every connection".into());
    }
    if (plan.numbers.pairs != 0 || plan.numbers.backlog != 0) && total % 2 == 1 {
        return Err("pairs need an even number of connections".into());
    }
    if plan.numbers.watches >= total as u64 {
        return Err("nobody can watch more users than there are others".into());
    }
    let threads = match plan.numbers.is_one_thread() {
        true => 1,
        false => plan.numbers.threads.clamp(1, (total as u64).div_ceil(2)) as usize,
    };
    let resuming = total * usize::from(plan.numbers.resume != 0);
    let target = match plan.numbers.plain {
        0 => Target::new(plan.address, &plan.root, resuming)?,
        _ => Target::plain(plan.address),
    };
    let shared = Shared::new(threads);
    let (target, shared) = (&target, &shared);
    // An even number each, so that a pair stays in one thread.
    let bound = |thread: usize| total * thread / threads / 2 * 2;
    let part = |thread: usize| match thread + 1 == threads {
        true => bound(thread)..total,
        false => bound(thread)..bound(thread + 1),
    };
    Ok(thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map(|thread| scope.spawn(move || play(plan, target, shared, part(thread), None)))
            .collect();
        let mut report = play(plan, target, shared, part(0), Some(&mut *observer));
        for other in others {
            match other.join() {
                Ok(played) => report.merge(played),
                Err(_) => report.fault("a thread of the load panicked".into()),
            }
        }
        report
    }))
}

/// One thread's part. Only the first thread has the observer.
fn play<'a>(
    plan: &'a Plan,
    target: &'a Target,
    shared: &'a Shared,
    part: Range<usize>,
    observer: Option<Observer<'a>>,
) -> Report {
    let mut crowd = match Crowd::new(plan, target, shared, part, observer) {
        Ok(crowd) => crowd,
        Err(error) => panic!("no epoll: {error}"), // no descriptors left: nothing can be measured
    };
    // Where a backlog is made, the second of each pair comes later.
    let step = 1 + usize::from(plan.numbers.backlog != 0);
    let who: Vec<usize> = match plan.numbers.compression {
        0 => (0..crowd.part.len()).step_by(step).collect(),
        _ => Vec::new(), // they come when their day says so
    };
    for round in 0..plan.numbers.rounds {
        crowd.round = round;
        crowd.tell("round");
        if !shared.meet() {
            break;
        }
        crowd.arrive(&who);
        if !shared.meet() {
            break;
        }
        crowd.tell("arrived");
        shared.started.store(shared.now(), Relaxed);
        if !shared.meet() {
            break;
        }
        if plan.numbers.backlog != 0 {
            catch_up::play(&mut crowd);
        } else if plan.numbers.watches != 0 {
            presence::play(&mut crowd);
        } else if plan.numbers.devices != 0 {
            devices::play(&mut crowd);
        } else if plan.numbers.stall_ms != 0 {
            slow::play(&mut crowd);
        } else if plan.numbers.compression != 0 {
            day::play(&mut crowd);
        } else if plan.numbers.pairs != 0 {
            pairs::exchange(&mut crowd);
        } else {
            crowd.hold();
        }
        if !shared.meet() {
            break;
        }
        crowd.tell("held");
        crowd.leave();
    }
    crowd.report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_that_make_no_sense_are_refused() {
        let plan = |count: usize, pairs| Plan {
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            root: Vec::new(),
            tokens: vec![String::new(); count],
            users: vec![vec![0; 16]; count],
            numbers: Numbers {
                pairs,
                ..Numbers::default()
            },
        };
        let refusal = |plan| run(&plan, &mut |_, _| true).err().unwrap();
        assert!(refusal(plan(0, 0)).contains("every connection"));
        assert!(refusal(plan(3, 1)).contains("even"));
        assert!(refusal(plan(2, 1)).contains("certificate"));
        assert!(Numbers::default().set("windows", 1).is_err());
    }

    #[test]
    fn nobody_listening_is_a_fault_and_not_a_hang() {
        let (root, _) = self_signed("127.0.0.1".parse().unwrap()).unwrap();
        let mut numbers = Numbers::default();
        numbers.set("threads", 2).unwrap();
        let plan = Plan {
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            root,
            tokens: vec![String::new(); 4],
            users: vec![vec![0; 16]; 4],
            numbers,
        };
        let report = run(&plan, &mut |_, _| true).unwrap();
        assert!(!report.faults.is_empty());
    }
}
