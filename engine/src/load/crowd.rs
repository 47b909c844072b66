//! The connections of one thread: they arrive, stay, leave. What is said meanwhile is pairs.rs's business.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use super::link::{Link, Target};
use super::{source, Observer, Plan, Report, Shared, MS};
use crate::codec::pb::{self, server_frame::Body};
use crate::codec::ClientFrame;
use crate::sys::{Epoll, Ready, IN, OUT};

const EVENTS_PER_TURN: usize = 1024;
const ARRIVAL_NS: u64 = 30_000 * MS; // without any progress
const TICK_NS: u64 = 200 * MS;

pub struct Crowd<'a> {
    pub plan: &'a Plan,
    pub shared: &'a Shared,
    pub part: Range<usize>, // of the plan's connections
    pub report: Report,
    pub round: u64,
    pub send_window: u64,         // the smallest that a Welcome named
    pub cursors: Vec<pb::Cursor>, // what each device's own store holds, for its Hello
    pub fragile: BTreeSet<usize>, // connections that the server may close: that is no fault
    pub broken: Vec<usize>,       // those of them that it has closed
    target: &'a Target,
    epoll: Epoll,
    links: Vec<Option<Link>>,
    ready: Vec<Ready>,
    observer: Option<Observer<'a>>,
    ticked_at: u64,
}

impl<'a> Crowd<'a> {
    pub fn new(
        plan: &'a Plan,
        target: &'a Target,
        shared: &'a Shared,
        part: Range<usize>,
        observer: Option<Observer<'a>>,
    ) -> io::Result<Self> {
        Ok(Self {
            plan,
            shared,
            report: Report::default(),
            round: 0,
            send_window: u64::MAX,
            cursors: vec![pb::Cursor::default(); part.len()],
            fragile: BTreeSet::new(),
            broken: Vec::new(),
            target,
            epoll: Epoll::new()?,
            links: part.clone().map(|_| None).collect(),
            ready: vec![Ready { events: 0, u64: 0 }; EVENTS_PER_TURN],
            observer,
            ticked_at: 0,
            part,
        })
    }

    /// Tells the observer, in the one thread that has it.
    pub fn tell(&mut self, moment: &'static str) {
        let done = self.shared.done.load(Relaxed);
        if let Some(observer) = &mut self.observer {
            if !observer(moment, done) {
                self.shared.ended.store(true, Relaxed);
            }
        }
    }

    /// Something that must not happen, after which going on makes no sense.
    pub fn give_up(&mut self, what: String) {
        self.report.fault(what);
        self.shared.ended.store(true, Relaxed);
    }

    /// Opens these connections and waits for the Welcome of each. What comes behind it stays to be taken.
    pub fn arrive(&mut self, who: &[usize]) {
        let (total, mut opened, mut welcomed) = (who.len(), 0, 0);
        let mut progress_at = self.shared.now();
        while welcomed < total && !self.shared.ended.load(Relaxed) {
            while opened < total && opened - welcomed < self.plan.numbers.concurrency as usize {
                self.open(who[opened]);
                opened += 1;
            }
            let before = welcomed;
            for index in self.wait(100) {
                if self.is_welcomed(index) {
                    self.answer_pings(index);
                } else if let Some(body) = self.next(index) {
                    welcomed += usize::from(self.welcome(index, &body));
                }
                self.flush(index);
            }
            let now = self.shared.now();
            if welcomed > before {
                self.shared
                    .done
                    .fetch_add((welcomed - before) as u64, Relaxed);
                progress_at = now;
            } else if now - progress_at > ARRIVAL_NS {
                self.give_up(format!("{welcomed} of {total} connections, then silence"));
            }
        }
        self.report.count("arrived", welcomed as u64);
    }

    /// Whether the load goes on, with the last progress at this time.
    pub fn goes_on(&mut self, progress_at: u64) -> bool {
        if self.shared.now() - progress_at > ARRIVAL_NS {
            self.give_up("silence".into());
        }
        !self.shared.ended.load(Relaxed)
    }

    /// When a connection was opened.
    pub fn opened_at(&self, index: usize) -> u64 {
        self.links[index].as_ref().map_or(0, |link| link.opened_at)
    }

    /// Whether a connection has had its Welcome, and still stands.
    pub fn is_welcomed(&self, index: usize) -> bool {
        self.links[index].as_ref().is_some_and(|link| link.welcomed)
    }

    /// Whether there is a connection, with or without a Welcome.
    pub fn is_open(&self, index: usize) -> bool {
        self.links[index].is_some()
    }

    /// Begins a connection; its first frame is for `welcome`.
    pub fn open(&mut self, index: usize) {
        let hello = pb::Hello {
            token: self.plan.tokens[self.part.start + index].clone(),
            cursor: Some(self.cursors[index]).filter(|cursor| *cursor != pb::Cursor::default()),
            features: Vec::new(),
            client: "iris-bench".into(),
        };
        let (number, now) = (self.part.start + index, self.shared.now());
        let socket = source::connect(self.plan.address, number, self.plan.numbers.per_source);
        let socket = socket.map_err(|error| error.to_string());
        let opened = socket.and_then(|socket| Link::open(self.target, socket, number, hello, now));
        let opened = opened.and_then(|link| {
            self.epoll
                .add(link.fd(), IN, index as u64)
                .map_err(|error| error.to_string())?;
            Ok(link)
        });
        match opened {
            Ok(link) => {
                self.links[index] = Some(link);
                self.flush(index);
            }
            Err(error) => self.give_up(format!("connection {index}: {error}")),
        }
    }

    /// Takes the first frame of a connection; whether it is the Welcome of the right user.
    pub fn welcome(&mut self, index: usize, body: &Body) -> bool {
        match body {
            Body::Welcome(welcome) if welcome.user == self.plan.users[self.part.start + index] => {
                let took = self.shared.now() - self.opened_at(index);
                if let Some(link) = &mut self.links[index] {
                    link.welcomed = true;
                    self.report.time("round_trips", link.round_trips); // a number, no time
                }
                let is_full = self.plan.numbers.resume != 0 && self.round == 0;
                self.report
                    .time(if is_full { "full_login" } else { "login" }, took);
                let window = welcome
                    .limits
                    .as_ref()
                    .map_or(0, |limits| limits.send_window);
                self.send_window = self.send_window.min(u64::from(window));
                true
            }
            other => {
                self.give_up(format!(
                    "connection {index}: instead of a Welcome {other:?}"
                ));
                false
            }
        }
    }

    /// Keeps all connections open for a while; nothing but pings is to be said.
    pub fn hold(&mut self) {
        let end = self.shared.now() + self.plan.numbers.hold_ms * MS;
        let mut indexes: Vec<usize> = (0..self.links.len()).collect(); // what came behind a Welcome
        while self.shared.now() < end && !self.shared.ended.load(Relaxed) {
            for index in indexes {
                while let Some(body) = self.next(index) {
                    self.report
                        .fault(format!("an idle connection is told {body:?}"));
                }
                self.flush(index);
            }
            indexes = self.wait(100);
        }
    }

    /// Closes every connection.
    pub fn leave(&mut self) {
        for index in 0..self.links.len() {
            self.close(index);
        }
    }

    /// Closes a connection.
    pub fn close(&mut self, index: usize) {
        if let Some(link) = &mut self.links[index] {
            link.say_goodbye();
            self.flush(index);
        }
        self.links[index] = None;
    }

    /// Leaves a connection's socket unread, or reads it again.
    pub fn heed(&mut self, index: usize, on: bool) {
        let Some(link) = &self.links[index] else {
            return;
        };
        if on {
            let added = self.epoll.add(link.fd(), IN, index as u64);
            if let Err(error) = added {
                self.give_up(format!("connection {index}: {error}"));
            }
        } else {
            self.epoll.remove(link.fd());
        }
    }

    /// A connection has failed, which only a fragile one may.
    fn broke(&mut self, index: usize, error: &str) {
        self.links[index] = None;
        if self.fragile.contains(&index) {
            self.broken.push(index);
        } else {
            self.give_up(format!("connection {index}: {error}"));
        }
    }

    /// Waits for readable connections and reads them. A broken one ends the load.
    pub fn wait(&mut self, timeout_ms: i32) -> Vec<usize> {
        let count = self.epoll.wait(&mut self.ready, timeout_ms);
        let ready = self.ready[..count].iter();
        let indexes: Vec<usize> = ready.map(|event| event.u64 as usize).collect();
        for &index in &indexes {
            if let Some(Err(error)) = self.links[index].as_mut().map(Link::receive) {
                self.broke(index, &error);
            }
        }
        let now = self.shared.now();
        if now - self.ticked_at >= TICK_NS {
            self.ticked_at = now;
            self.tell("tick");
        }
        indexes
    }

    /// The next frame of a connection.
    pub fn next(&mut self, index: usize) -> Option<Body> {
        match self.links[index].as_mut()?.next() {
            Ok(body) => body,
            Err(error) => {
                self.broke(index, &error);
                None
            }
        }
    }

    /// Answers the pings that come before the next frame, which stays to be taken: arriving may take longer than silence is borne.
    fn answer_pings(&mut self, index: usize) {
        if let Some(Err(error)) = self.links[index].as_mut().map(Link::answer_pings) {
            self.broke(index, &error);
        }
    }

    /// Queues a frame.
    pub fn send(&mut self, index: usize, frame: ClientFrame) {
        if let Some(link) = &mut self.links[index] {
            link.send(frame);
        }
    }

    /// Sends what is queued.
    pub fn flush(&mut self, index: usize) {
        let Some(link) = &mut self.links[index] else {
            return;
        };
        let outcome = link.flush().and_then(|blocked| {
            if blocked != link.blocked {
                link.blocked = blocked;
                let events = if blocked { IN | OUT } else { IN };
                let changed = self.epoll.modify(link.fd(), events, index as u64);
                return changed.map_err(|error| error.to_string());
            }
            Ok(())
        });
        if let Err(error) = outcome {
            self.broke(index, &error);
        }
    }
}
