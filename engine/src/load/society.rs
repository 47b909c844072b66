//! Users with any number of devices, and the messages between them. It says what a scene asks it to say and judges all that is
//! answered (judge.rs); who talks to whom, and when, is the scene's business.

mod judge;
mod speech;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use super::crowd::Crowd;
use super::MS;
use crate::codec::pb;

const STREAM: u64 = 1;
const WAIT_MS_MAX: u64 = 50;
const NUMBER_BITS: u32 = 40; // of a message's name; the rest is its stream

#[derive(Clone, Copy, PartialEq)]
pub enum Phase {
    Warm,
    Measure,
    Drain,
}

/// What a scene may want to act on.
pub enum News {
    Came(usize),     // a device (its connection) has its Welcome
    Accepted(usize), // a message of this stream
    Delivered {
        link: usize,
        stream: usize,
        seq: u64,
    },
}

pub struct User {
    pub links: Range<usize>,    // its devices, by connection
    acked: u64,                 // of its mailbox, by the most advanced device
    reads: HashMap<usize, u64>, // by the other user: how far it wants to have read
}

#[derive(Default)]
pub struct Device {
    pub user: usize,
    pub acks: bool, // whether it acks what it takes
    pub came_at: u64,
    cursor: pb::Cursor,
    acked: pb::Cursor,
    taken: HashMap<usize, u64>, // by stream: the last message
    told: HashMap<usize, Told>, // by the other user
}

#[derive(Clone, Copy, Default)]
struct Told {
    delivered: u64,
    read: u64,
    own_read: u64,
}

/// What one device sends to one user.
pub struct Stream {
    pub link: usize,
    pub from: usize,
    pub to: usize,
    conversation: Vec<u8>,
    flights: Vec<Flight>, // all messages
    answered: u64,
    receipted: u64,
    after: u64,
    due: VecDeque<u64>, // messages that wait for the window
    paused_until: u64,  // a refusal asked for patience; 0: none did
    refused: bool,      // once, for a while
}

struct Flight {
    sent_at: u64, // when it was due
    seq: u64,     // of its row in the receiver's mailbox; 0: nobody has told
}

impl Stream {
    fn sent(&self) -> u64 {
        self.flights.len() as u64
    }
}

pub struct Society<'c, 'a> {
    pub crowd: &'c mut Crowd<'a>,
    pub users: Vec<User>,
    pub devices: Vec<Device>,
    pub streams: Vec<Stream>,
    pub news: Vec<News>,
    pub phase: Phase,
    pub awaited: u64,   // answers, rows and receipts that must still come
    watches: Vec<bool>, // by connection: whether presence may be told
    routes: HashMap<(usize, usize), usize>, // (connection, user) to stream
    peers: HashMap<Vec<u8>, (usize, usize)>, // by conversation
    acks: VecDeque<(u64, usize)>, // when, by which connection; registers are to be acked
    measured_from: u64,
    stopped_at: u64,
}

impl<'c, 'a> Society<'c, 'a> {
    /// Connections that follow each other and name the same user are that user's devices.
    pub fn new(crowd: &'c mut Crowd<'a>) -> Self {
        let mut users: Vec<User> = Vec::new();
        let mut devices = Vec::new();
        let ids = &crowd.plan.users;
        for link in 0..crowd.part.len() {
            match users.last_mut() {
                Some(user) if ids[user.links.start] == ids[link] => user.links.end = link + 1,
                _ => users.push(User {
                    links: link..link + 1,
                    acked: 0,
                    reads: HashMap::new(),
                }),
            }
            devices.push(Device {
                user: users.len() - 1,
                acks: true,
                ..Device::default()
            });
        }
        Self {
            users,
            watches: vec![false; devices.len()],
            devices,
            streams: Vec::new(),
            news: Vec::new(),
            phase: Phase::Warm,
            awaited: 0,
            routes: HashMap::new(),
            peers: HashMap::new(),
            acks: VecDeque::new(),
            measured_from: 0,
            stopped_at: u64::MAX,
            crowd,
        }
    }

    pub fn now(&self) -> u64 {
        self.crowd.shared.now()
    }

    pub fn id(&self, user: usize) -> &'a [u8] {
        &self.crowd.plan.users[self.users[user].links.start]
    }

    /// From here on things are counted and timed.
    pub fn measure(&mut self) {
        self.crowd.tell("measure");
        self.measured_from = self.now();
        self.phase = Phase::Measure;
    }

    /// Up to here.
    pub fn stop(&mut self) {
        self.stopped_at = self.now();
        self.phase = Phase::Drain;
        self.crowd.tell("stop");
        let measured = self.stopped_at - self.measured_from;
        self.crowd.report.time("measured", measured);
    }

    /// The stream from a device to a user.
    pub fn stream(&mut self, link: usize, to: usize) -> usize {
        if let Some(&stream) = self.routes.get(&(link, to)) {
            return stream;
        }
        let from = self.devices[link].user;
        let conversation = self.conversation(from, to);
        self.routes.insert((link, to), self.streams.len());
        self.streams.push(Stream {
            link,
            from,
            to,
            conversation,
            flights: Vec::new(),
            answered: 0,
            receipted: 0,
            after: 0,
            due: VecDeque::new(),
            paused_until: 0,
            refused: false,
        });
        self.streams.len() - 1
    }

    /// Whether a device waits for no answer, so that it may leave.
    pub fn is_answered(&self, link: usize) -> bool {
        let mut streams = self.streams.iter().filter(|stream| stream.link == link);
        streams.all(|stream| stream.answered == stream.sent() && stream.due.is_empty())
    }

    /// A device comes, with what its own store holds.
    pub fn come_back(&mut self, link: usize) {
        let device = &mut self.devices[link];
        device.acked = device.cursor; // its Hello says so
        self.crowd.cursors[link] = device.cursor;
        let user = &mut self.users[device.user];
        user.acked = user.acked.max(device.cursor.seq);
        self.crowd.open(link);
    }

    /// Whether a device has every message to its user.
    pub fn has_all(&self, link: usize) -> bool {
        let device = &self.devices[link];
        let taken = |stream: &usize| device.taken.get(stream).copied().unwrap_or(0);
        let mut streams = (0..).zip(&self.streams);
        streams.all(|(index, stream)| stream.to != device.user || taken(&index) == stream.sent())
    }

    /// A device goes.
    pub fn leave(&mut self, link: usize) {
        self.ack(link);
        self.crowd.close(link);
    }

    /// Waits until something happens, or `until`, and takes it.
    pub fn step(&mut self, until: u64) {
        let now = self.now();
        self.resume(now);
        while self.acks.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, link)) = self.acks.pop_front() {
                self.ack(link);
                self.crowd.flush(link);
            }
        }
        let ack = self.acks.front().map_or(u64::MAX, |(at, _)| *at);
        let until = until.min(now + WAIT_MS_MAX * MS).min(ack);
        let timeout = until.saturating_sub(now).div_ceil(MS) as i32;
        for link in self.crowd.wait(timeout) {
            self.turn(link);
        }
    }

    /// Counts what happens in the measured time, and times the messages that were sent in it.
    fn happened(&mut self, what: &'static str, sent_at: u64, now: u64) {
        if self.phase == Phase::Measure {
            self.crowd.report.count(what, 1);
        }
        if self.phase != Phase::Warm && sent_at >= self.measured_from && sent_at < self.stopped_at {
            self.crowd.report.time(what, now.saturating_sub(sent_at));
        }
    }

    /// Counts what happens in the measured time.
    pub fn count(&mut self, what: &'static str) {
        if self.phase == Phase::Measure {
            self.crowd.report.count(what, 1);
        }
    }

    /// Goes on until everything has come, or the time of the plan is over; then says what has not.
    pub fn drain(&mut self) {
        let until = self.now() + self.crowd.plan.numbers.drain_ms * MS;
        while !self.is_done() && self.now() < until && !self.crowd.shared.ended.load(Relaxed) {
            self.step(until);
        }
        self.conclude();
    }
}

/// 16 bytes that name stream and number, and look like chance to whoever hashes them.
fn message_id(stream: usize, number: u64) -> Vec<u8> {
    let name = (stream as u64) << NUMBER_BITS | number;
    let mixed = name.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [name.to_be_bytes(), mixed.to_be_bytes()].concat()
}

/// Stream and number of the message with this id.
fn named(message_id: &[u8]) -> Option<(usize, u64)> {
    let name = u64::from_be_bytes(*message_id.first_chunk()?);
    let (stream, number) = (name >> NUMBER_BITS, name & ((1 << NUMBER_BITS) - 1));
    (message_id == self::message_id(stream as usize, number)).then_some((stream as usize, number))
}
