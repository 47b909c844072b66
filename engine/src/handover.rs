//! Between the engine's threads and Python: the inbox of decoded frames and each thread's outbox of encoded ones.
//!
//! Invariants: frames of one connection stay in order; a Hello is handed over before its connection's Closed; the signal is
//! set only when the inbox goes from empty to non-empty. Hellos wait apart, so that a storm of log-ins delays nobody else: a
//! connection is not read between its Hello and its Welcome, so only its Closed can overtake it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::Mutex;

use crate::codec::{pb, ClientFrame};
use crate::sys::Signal;

/// What Python hears of a connection.
#[derive(Debug)]
pub enum Event {
    /// A log-in, with the client's address.
    Hello {
        conn: u64,
        hello: pb::Hello,
        address: String,
    },
    Frame {
        conn: u64,
        frame: ClientFrame,
    },
    Closed {
        conn: u64,
        code: u16,
    },
}

impl Event {
    /// What it counts for: one, and one more for each 1,024 bytes that it holds, so that the limit bounds the memory too.
    fn weight(&self) -> u64 {
        const WEIGHT_BYTES: usize = 1024;
        const WATCHED_BYTES: usize = mem::size_of::<Vec<u8>>() + 32; // and what the allocator gives for a user's id
        let bytes = match self {
            Self::Hello { hello, .. } => {
                // An empty feature takes two bytes on the wire.
                let features = hello.features.iter();
                hello.token.len()
                    + hello.client.len()
                    + features
                        .map(|feature| mem::size_of::<String>() + feature.len())
                        .sum::<usize>()
            }
            Self::Frame { frame, .. } => match frame {
                ClientFrame::Send(send) => send.payload.len(),
                ClientFrame::Watch(watch) => watch.users.len() * WATCHED_BYTES,
                ClientFrame::Refresh(refresh) => refresh.token.len(),
                _ => 0,
            },
            Self::Closed { .. } => 0,
        };
        1 + (bytes / WEIGHT_BYTES) as u64
    }
}

#[derive(Default)]
struct Waiting {
    hot: Vec<Event>,
    weight: u64, // of hot
    logins: VecDeque<(u64, Event)>,
    logins_weight: u64,
    queued: HashMap<u64, Option<u16>>, // connections of logins, with the code of those that are gone already
    signalled: bool,
}

/// Decoded frames that Python has not taken.
pub struct Inbox {
    waiting: Mutex<Waiting>,
    signal: Signal,
    events_max: u64,
    is_full: AtomicBool,
    logins_full: AtomicBool,
}

impl Inbox {
    pub fn new(events_max: u64) -> io::Result<Self> {
        Ok(Self {
            waiting: Mutex::default(),
            signal: Signal::new()?,
            events_max,
            is_full: AtomicBool::new(false),
            logins_full: AtomicBool::new(false),
        })
    }

    /// Becomes readable when there is something to drain.
    pub fn fd(&self) -> i32 {
        self.signal.fd()
    }

    /// Whether threads must stop reading.
    pub fn is_full(&self) -> bool {
        self.is_full.load(SeqCst)
    }

    /// Whether threads must stop taking log-ins.
    pub fn logins_full(&self) -> bool {
        self.logins_full.load(SeqCst)
    }

    /// Adds what a thread has decoded in one turn; both lists are empty afterwards. True when Python was signalled.
    pub fn push(&self, events: &mut Vec<Event>, logins: &mut Vec<(u64, Event)>) -> bool {
        let mut waiting = self
            .waiting
            .lock()
            .expect("no code panics with the inbox locked");
        for (conn, login) in logins.drain(..) {
            waiting.queued.insert(conn, None);
            waiting.logins_weight += login.weight();
            waiting.logins.push_back((conn, login));
        }
        for event in events.drain(..) {
            if let Event::Closed { conn, code } = event {
                if let Some(gone) = waiting.queued.get_mut(&conn) {
                    *gone = Some(code);
                    continue;
                }
            }
            waiting.weight += event.weight();
            waiting.hot.push(event);
        }
        self.is_full
            .store(waiting.weight >= self.events_max, SeqCst);
        self.logins_full
            .store(waiting.logins_weight >= self.events_max, SeqCst);
        let first = !mem::replace(&mut waiting.signalled, true);
        if first {
            self.signal.set();
        }
        first
    }

    /// Takes all frames and at most `logins_max` Hellos; the second value says whether threads that paused may go on.
    pub fn drain(&self, logins_max: usize) -> (Vec<Event>, bool) {
        let mut waiting = self
            .waiting
            .lock()
            .expect("no code panics with the inbox locked");
        self.signal.clear();
        let mut events = mem::take(&mut waiting.hot);
        waiting.weight = 0;
        let count = waiting.logins.len().min(logins_max);
        for _ in 0..count {
            let Some((conn, login)) = waiting.logins.pop_front() else {
                break;
            };
            waiting.logins_weight -= login.weight();
            events.push(login);
            if let Some(code) = waiting.queued.remove(&conn).flatten() {
                events.push(Event::Closed { conn, code });
            }
        }
        waiting.signalled = !waiting.logins.is_empty();
        if waiting.signalled {
            self.signal.set();
        }
        let logins_full = waiting.logins_weight >= self.events_max;
        let resumed = self.is_full.swap(false, SeqCst)
            | (self.logins_full.swap(logins_full, SeqCst) && !logins_full);
        (events, resumed)
    }

    /// Hellos that wait.
    pub fn logins_waiting(&self) -> usize {
        self.waiting
            .lock()
            .expect("no code panics with the inbox locked")
            .logins
            .len()
    }
}

/// What is to be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Send this part of the batch's bytes.
    Send {
        start: usize,
        end: usize,
        welcome: bool,
    },
    Close {
        code: u16,
    },
}

/// Encoded frames for the connections of one thread, in the order in which they were given.
#[derive(Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub orders: Vec<(u64, Order)>,
}

impl Batch {
    fn append(&mut self, other: Self) {
        if self.orders.is_empty() {
            *self = other;
            return;
        }
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.orders
            .extend(other.orders.into_iter().map(|(conn, order)| match order {
                Order::Send {
                    start,
                    end,
                    welcome,
                } => (
                    conn,
                    Order::Send {
                        start: start + base,
                        end: end + base,
                        welcome,
                    },
                ),
                Order::Close { code } => (conn, Order::Close { code }),
            }));
    }
}

/// What one thread has to send.
pub struct Outbox {
    batch: Mutex<Batch>,
    pub wake: Signal,
    parked: AtomicBool,
    nudged: AtomicBool, // something else than frames has changed since the thread last looked
}

impl Outbox {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            batch: Mutex::default(),
            wake: Signal::new()?,
            parked: AtomicBool::new(false),
            nudged: AtomicBool::new(false),
        })
    }

    /// Adds a batch and wakes the thread if it sleeps; true when it did.
    pub fn push(&self, batch: Batch) -> bool {
        self.batch
            .lock()
            .expect("no code panics with the outbox locked")
            .append(batch);
        self.wake_up()
    }

    /// Makes the thread look at what has changed, at once if it sleeps.
    pub fn nudge(&self) {
        self.nudged.store(true, SeqCst);
        self.wake_up();
    }

    fn wake_up(&self) -> bool {
        let parked = self.parked.swap(false, SeqCst);
        if parked {
            self.wake.set();
        }
        parked
    }

    pub fn take(&self) -> Batch {
        mem::take(
            &mut *self
                .batch
                .lock()
                .expect("no code panics with the outbox locked"),
        )
    }

    /// Announces that the thread is about to sleep; false when there is work or news, and then it must not.
    pub fn park(&self) -> bool {
        self.parked.store(true, SeqCst);
        let idle = self
            .batch
            .lock()
            .expect("no code panics with the outbox locked")
            .orders
            .is_empty();
        let is_parked = idle && !self.nudged.swap(false, SeqCst);
        if !is_parked {
            self.unpark();
        }
        is_parked
    }

    pub fn unpark(&self) {
        self.parked.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(conn: u64) -> Event {
        Event::Frame {
            conn,
            frame: ClientFrame::Ack(pb::Ack { seq: 1, rev: 0 }),
        }
    }

    fn login(conn: u64) -> (u64, Event) {
        (
            conn,
            Event::Hello {
                conn,
                hello: pb::Hello::default(),
                address: String::new(),
            },
        )
    }

    fn names(events: &[Event]) -> Vec<(char, u64)> {
        let name = |event: &Event| match event {
            Event::Hello { conn, .. } => ('h', *conn),
            Event::Frame { conn, .. } => ('f', *conn),
            Event::Closed { conn, .. } => ('c', *conn),
        };
        events.iter().map(name).collect()
    }

    #[test]
    fn a_closed_waits_for_its_hello() {
        let inbox = Inbox::new(100).unwrap();
        let mut logins = vec![login(1), login(2)];
        assert!(inbox.push(&mut vec![ack(9)], &mut logins));
        assert!(!inbox.push(
            &mut vec![
                Event::Closed {
                    conn: 2,
                    code: 1006
                },
                ack(9)
            ],
            &mut Vec::new()
        ));
        assert_eq!(names(&inbox.drain(1).0), [('f', 9), ('f', 9), ('h', 1)]);
        assert_eq!(names(&inbox.drain(1).0), [('h', 2), ('c', 2)]);
        assert!(inbox.push(
            &mut vec![Event::Closed {
                conn: 1,
                code: 1000
            }],
            &mut Vec::new()
        ));
        assert_eq!(names(&inbox.drain(0).0), [('c', 1)]);
    }

    #[test]
    fn payload_counts_towards_the_limit() {
        let inbox = Inbox::new(10).unwrap();
        inbox.push(&mut vec![ack(1)], &mut Vec::new());
        assert!(!inbox.is_full());
        let send = pb::Send {
            payload: vec![0; 9 * 1024],
            ..Default::default()
        };
        inbox.push(
            &mut vec![Event::Frame {
                conn: 1,
                frame: ClientFrame::Send(send),
            }],
            &mut Vec::new(),
        );
        assert!(inbox.is_full());
        assert!(inbox.drain(0).1);
        assert!(!inbox.is_full());
    }

    #[test]
    fn everything_that_takes_memory_counts_towards_the_limit() {
        let frame = |frame| Event::Frame { conn: 1, frame };
        let weight_of = |hello| {
            Event::Hello {
                conn: 1,
                hello,
                address: String::new(),
            }
            .weight()
        };
        let long = || "x".repeat(4096);
        assert!(
            weight_of(pb::Hello {
                token: long(),
                client: long(),
                ..Default::default()
            }) >= 9
        );
        assert!(
            weight_of(pb::Hello {
                features: vec![String::new(); 4000],
                ..Default::default()
            }) >= 90,
            "each takes two bytes on the wire, and 24 here"
        );
        let watch = pb::Watch {
            users: vec![vec![0; 16]; 4096],
        };
        assert!(frame(ClientFrame::Watch(watch)).weight() >= 160);
        let refresh = pb::Refresh { token: long() };
        assert_eq!(frame(ClientFrame::Refresh(refresh)).weight(), 5);
    }

    #[test]
    fn a_storm_of_logins_does_not_stop_the_others() {
        let inbox = Inbox::new(2).unwrap();
        inbox.push(&mut Vec::new(), &mut vec![login(1), login(2), login(3)]);
        assert!(inbox.logins_full() && !inbox.is_full());
        assert!(!inbox.drain(1).1, "two still wait");
        assert!(inbox.drain(1).1);
        assert!(!inbox.logins_full());
        assert_eq!(inbox.logins_waiting(), 1);
    }

    #[test]
    fn batches_are_joined_in_order() {
        let outbox = Outbox::new().unwrap();
        let batch = |byte: u8| Batch {
            bytes: vec![byte; 2],
            orders: vec![(
                1,
                Order::Send {
                    start: 0,
                    end: 2,
                    welcome: false,
                },
            )],
        };
        assert!(outbox.park());
        assert!(outbox.push(batch(1)), "a sleeping thread is woken");
        assert!(!outbox.push(batch(2)), "and only once");
        assert!(!outbox.park(), "with work there is no sleep");
        let other = Outbox::new().unwrap();
        other.nudge();
        assert!(
            !other.park() && other.park(),
            "news that came before are not slept over"
        );
        let joined = outbox.take();
        assert_eq!(joined.bytes, [1, 1, 2, 2]);
        assert_eq!(
            joined.orders[1].1,
            Order::Send {
                start: 2,
                end: 4,
                welcome: false
            }
        );
    }
}
