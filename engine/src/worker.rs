//! One engine thread: its epoll loop over the connections it accepted.
//!
//! Two epolls, the second nested in the first: established connections, and those before Welcome or on their way to the API.
//! Established ones are served first; the others get a share of time per turn (handshake_turn_us), so that a storm of
//! handshakes delays nobody who is connected. A thread never waits for Python, and holds no lock while it works.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::conn::Conn;
use crate::engine::{Mode, Shared};
use crate::handover::{Batch, Order};
use crate::slab::Slab;
use crate::stats::Counters;
use crate::sys::{self, Epoll, Ready};
use crate::timers::Wheel;
use crate::turn::{Gone, Phase, Step, Turn, NO_CLOSE};

const LISTENER: u64 = u64::MAX;
const EARLY: u64 = u64::MAX - 1;
const WAKE: u64 = u64::MAX - 2;
const API: u64 = 1 << 63; // with a connection's id: the API's side of its pipe

const EVENTS_PER_TURN: usize = 1024;
const EARLY_EVENTS_PER_TURN: usize = 64;
const ACCEPTS_PER_TURN: usize = 16;
const ACCEPT_RETRY_MS: u64 = 100; // after the process ran out of descriptors or memory
const PAUSE: Duration = Duration::from_millis(100); // at most, before a full inbox is looked at again

/// Milliseconds that stand still while reading is paused, so that nobody is thought silent whom nobody read.
struct Clock {
    start: Instant,
    paused: Duration,
}

impl Clock {
    fn now(&self) -> u64 {
        (self.start.elapsed() - self.paused).as_millis() as u64
    }
}

pub struct Worker {
    shared: Arc<Shared>,
    turn: Turn,
    slab: Slab,
    wheel: Wheel,
    clock: Clock,
    main: Epoll,
    early: Epoll,
    early_ready: VecDeque<Ready>, // taken from the nested epoll, not served yet
    early_runs: bool,             // the nested epoll is being watched
    listener: Option<TcpListener>,
    accepts: bool,        // the listener is being watched
    accept_after: u64,    // not before this time
    opening: u64,         // connections before their upgrade
    gather: Vec<u8>,      // frames of one connection that do not lie side by side
    stop_at: Option<u64>, // set when all have been told that the engine stops
}

impl Worker {
    pub fn new(shared: Arc<Shared>, thread: usize, listener: TcpListener) -> io::Result<Self> {
        let (main, early) = (Epoll::new()?, Epoll::new()?);
        main.add(listener.as_raw_fd(), sys::IN, LISTENER)?;
        main.add(early.fd(), sys::IN, EARLY)?;
        main.add(shared.outboxes[thread].wake.fd(), sys::IN, WAKE)?;
        let clock = Clock {
            start: Instant::now(),
            paused: Duration::ZERO,
        };
        Ok(Self {
            turn: Turn::new(shared.clone(), thread),
            slab: Slab::new(thread),
            wheel: Wheel::new(clock.now()),
            clock,
            main,
            early,
            early_ready: VecDeque::new(),
            early_runs: true,
            listener: Some(listener),
            accepts: true,
            accept_after: 0,
            opening: 0,
            gather: Vec::new(),
            stop_at: None,
            shared,
        })
    }

    pub fn run(mut self) {
        let mut ready = vec![Ready { events: 0, u64: 0 }; EVENTS_PER_TURN];
        let mut fired = Vec::new();
        while !self.has_stopped() {
            let count = self.wait(&mut ready);
            self.turn.now = self.clock.now();
            self.counters().turns.up();
            let (mut accept, mut early) = (false, !self.early_ready.is_empty());
            for event in &ready[..count] {
                match event.u64 {
                    LISTENER => accept = true,
                    EARLY => early = true,
                    WAKE => {
                        self.counters().wakes.up();
                        self.shared.outboxes[self.turn.thread].wake.clear();
                    }
                    tag => self.serve(tag, event.events),
                }
            }
            self.hand_over();
            self.flush_outbox();
            if accept {
                self.accept();
            }
            if early && self.early_runs {
                self.serve_early();
            }
            self.wheel.expire(self.turn.now, &mut fired);
            for id in fired.drain(..) {
                self.fire(id);
            }
            self.hand_over();
            self.regulate();
        }
        for id in self.slab.ids() {
            self.with(id, |_, _| Err(Gone(NO_CLOSE)));
        }
        self.hand_over();
    }

    fn counters(&self) -> &Counters {
        self.turn.counters()
    }

    /// Sleeps until there is work; returns how many events there are.
    fn wait(&mut self, ready: &mut [Ready]) -> usize {
        let outbox = &self.shared.outboxes[self.turn.thread];
        if self.shared.inbox.is_full() && self.stop_at.is_none() {
            self.counters().inbox_paused.up();
            let began = Instant::now();
            if outbox.park() && self.shared.inbox.is_full() {
                outbox.wake.wait(PAUSE);
            }
            outbox.unpark();
            outbox.wake.clear();
            self.clock.paused += began.elapsed();
            return 0;
        }
        let is_busy = self.early_runs && !self.early_ready.is_empty();
        let timeout_ms = if is_busy || !outbox.park() {
            0
        } else {
            self.sleep_ms()
        };
        let count = self.main.wait(ready, timeout_ms);
        outbox.unpark();
        count
    }

    fn sleep_ms(&self) -> i32 {
        let now = self.clock.now();
        let retry = (!self.accepts && self.accept_after > now).then(|| self.accept_after - now);
        let stop = self.stop_at.map(|at| at.saturating_sub(now));
        let next = [self.wheel.next_in(now), retry, stop]
            .into_iter()
            .flatten()
            .min();
        // One more: the time left is rounded down, and waking too early would spin.
        next.map_or(-1, |ms| i32::try_from(ms + 1).unwrap_or(i32::MAX))
    }

    fn serve(&mut self, tag: u64, events: u32) {
        if tag & API == 0 {
            self.with(tag, |conn, turn| conn.on_event(events, turn));
        } else {
            self.with(tag & !API, |conn, turn| conn.on_api(events, turn));
        }
    }

    /// Serves connections that are not established, for as long as the others can wait.
    fn serve_early(&mut self) {
        let budget = Duration::from_micros(self.shared.limits.handshake_turn_us);
        let began = Instant::now();
        if self.early_ready.is_empty() {
            let mut ready = [Ready { events: 0, u64: 0 }; EARLY_EVENTS_PER_TURN];
            let count = self.early.wait(&mut ready, 0);
            self.early_ready.extend(&ready[..count]);
        }
        // What is not served now comes first in the next turn, else the same few would be served for ever.
        while let Some(event) = self.early_ready.pop_front() {
            self.serve(event.u64, event.events);
            if began.elapsed() >= budget && !self.early_ready.is_empty() {
                self.counters().handshake_turns_cut.up();
                return;
            }
        }
    }

    /// Works on one connection and does what follows from it. A panic ends this connection and no other.
    fn with(&mut self, id: u64, work: impl FnOnce(&mut Conn, &mut Turn) -> Step) -> bool {
        let Some(mut conn) = self.slab.take(id) else {
            return false;
        };
        let before = conn.phase;
        let turn = &mut self.turn;
        let step = catch_unwind(AssertUnwindSafe(|| work(&mut conn, turn))).unwrap_or_else(|_| {
            turn.repair();
            turn.counters().panics.up();
            Err(Gone(NO_CLOSE))
        });
        let step = step.and_then(|()| self.watch(&mut conn));
        match step {
            Ok(()) => {
                self.move_state(before, Some(conn.phase));
                self.set_timer(&mut conn);
                self.slab.put_back(conn);
            }
            Err(Gone(code)) => {
                self.turn.out.clear(); // what could not be written is for nobody else
                conn.tell(code, &mut self.turn);
                self.move_state(before, None);
                self.forget(&conn);
            }
        }
        true
    }

    fn forget(&mut self, conn: &Conn) {
        if conn.has_entered {
            self.shared.addresses.leave(conn.peer.ip());
        }
        self.shared.connections.fetch_sub(1, Relaxed);
        self.slab.remove(conn.id);
    }

    fn move_state(&mut self, before: Phase, after: Option<Phase>) {
        if Some(before.state()) == after.map(Phase::state) {
            return;
        }
        self.counters().states[before.state()].down();
        if let Some(after) = after {
            self.counters().states[after.state()].up();
        }
        if before.is_opening() {
            self.opening -= 1;
        }
    }

    fn set_timer(&mut self, conn: &mut Conn) {
        let due = conn.due(&self.shared.limits);
        if due < conn.fires_at {
            conn.fires_at = self.wheel.enter(conn.id, due);
        }
    }

    /// Watches the connection's sockets for what it wants now.
    fn watch(&mut self, conn: &mut Conn) -> Step {
        let broken = |_: io::Error| Gone(NO_CLOSE);
        let wanted = conn.interest();
        if conn.phase == Phase::Ready && !conn.in_main {
            self.early.remove(conn.fd());
            self.main.add(conn.fd(), wanted, conn.id).map_err(broken)?;
            conn.in_main = true;
        } else if wanted != conn.armed {
            let epoll = if conn.in_main {
                &self.main
            } else {
                &self.early
            };
            epoll.modify(conn.fd(), wanted, conn.id).map_err(broken)?;
        }
        conn.armed = wanted;
        let backlog = conn.backlog();
        let Some(pipe) = &mut conn.pipe else {
            return Ok(());
        };
        let wanted = pipe.interest(backlog);
        match pipe.armed {
            // Removed rather than watched for nothing: a broken socket would be reported all the time.
            Some(_) if wanted == 0 => self.early.remove(pipe.fd()),
            Some(armed) if armed != wanted => self
                .early
                .modify(pipe.fd(), wanted, conn.id | API)
                .map_err(broken)?,
            None if wanted != 0 => self
                .early
                .add(pipe.fd(), wanted, conn.id | API)
                .map_err(broken)?,
            _ => {}
        }
        pipe.armed = (wanted != 0).then_some(wanted);
        Ok(())
    }

    fn fire(&mut self, id: u64) {
        let limits = self.shared.clone();
        self.with(id, |conn, turn| {
            if turn.now < conn.fires_at {
                return Ok(()); // another entry of the same connection
            }
            conn.fires_at = u64::MAX;
            if turn.now >= conn.due(&limits.limits) {
                conn.on_timer(turn)
            } else {
                Ok(())
            }
        });
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = &self.listener else {
                return;
            };
            if self.opening >= self.shared.limits.handshakes_max {
                self.counters().handshakes_paused.up();
                return;
            }
            let (socket, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock) => return,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionAborted | ErrorKind::Interrupted
                    ) =>
                {
                    continue
                }
                Err(_) => {
                    self.counters().accept_errors.up();
                    self.accept_after = self.turn.now + ACCEPT_RETRY_MS;
                    return;
                }
            };
            self.counters().accepted.up();
            let is_over =
                self.shared.connections.fetch_add(1, Relaxed) >= self.shared.limits.connections_max;
            let prepared = socket
                .set_nonblocking(true)
                .and_then(|()| socket.set_nodelay(true));
            let id = if is_over || prepared.is_err() {
                None
            } else {
                self.slab.reserve()
            };
            let Some(id) = id else {
                self.shared.connections.fetch_sub(1, Relaxed);
                self.counters().connections_refused.up();
                continue;
            };
            let mut conn = Box::new(Conn::new(id, socket, peer, &self.turn));
            conn.armed = conn.interest();
            let added = self.early.add(conn.fd(), conn.armed, id);
            self.opening += 1;
            self.counters().states[conn.phase.state()].up();
            self.set_timer(&mut conn);
            self.slab.insert(conn);
            if added.is_err() {
                self.with(id, |_, _| Err(Gone(NO_CLOSE)));
            }
        }
    }

    /// Sends what Python gave: all frames of a connection at once.
    fn flush_outbox(&mut self) {
        let Batch { bytes, mut orders } = self.shared.outboxes[self.turn.thread].take();
        if orders.is_empty() {
            return;
        }
        orders.sort_by_key(|(conn, _)| *conn); // stable: the frames of one connection stay in order
        let mut gather = std::mem::take(&mut self.gather);
        for orders in orders.chunk_by(|(one, _), (other, _)| one == other) {
            let known = self.with(orders[0].0, |conn, turn| {
                send_orders(conn, turn, orders, &bytes, &mut gather)
            });
            if !known {
                self.counters().gone_connections.add(orders.len() as u64);
            }
        }
        gather.clear();
        self.gather = gather;
        self.hand_over();
    }

    fn hand_over(&mut self) {
        let turn = &mut self.turn;
        if (turn.events.is_empty() && turn.logins.is_empty())
            || !self.shared.inbox.push(&mut turn.events, &mut turn.logins)
        {
            return;
        }
        self.counters().handovers.up();
    }

    /// Starts and stops accepting and the serving of log-ins, as the limits say.
    fn regulate(&mut self) {
        if let Some(listener) = &self.listener {
            let accepts = self.opening < self.shared.limits.handshakes_max
                && self.turn.now >= self.accept_after;
            if accepts != self.accepts {
                let events = if accepts { sys::IN } else { 0 };
                if self
                    .main
                    .modify(listener.as_raw_fd(), events, LISTENER)
                    .is_ok()
                {
                    self.accepts = accepts;
                }
            }
        }
        let early_runs = !self.shared.inbox.logins_full() || self.stop_at.is_some();
        if early_runs != self.early_runs {
            let events = if early_runs { sys::IN } else { 0 };
            if self.main.modify(self.early.fd(), events, EARLY).is_ok() {
                self.early_runs = early_runs;
                if !early_runs {
                    self.counters().logins_paused.up();
                }
            }
        }
    }

    /// Follows the engine's orders to stop; true when this thread is done.
    fn has_stopped(&mut self) -> bool {
        match self.shared.mode.load(SeqCst) {
            mode if mode == Mode::Running as u8 => return false,
            mode if mode == Mode::Refusing as u8 => {
                self.listener = None;
                return false;
            }
            _ => {}
        }
        self.turn.now = self.clock.now();
        let Some(stop_at) = self.stop_at else {
            self.stop_at = Some(self.turn.now + self.shared.limits.close_timeout_ms);
            self.listener = None;
            self.flush_outbox();
            for id in self.slab.ids() {
                self.with(id, |conn, turn| conn.on_stop(turn));
            }
            self.hand_over();
            return self.slab.len() == 0;
        };
        self.slab.len() == 0 || self.turn.now >= stop_at
    }
}

fn send_orders(
    conn: &mut Conn,
    turn: &mut Turn,
    orders: &[(u64, Order)],
    bytes: &[u8],
    gather: &mut Vec<u8>,
) -> Step {
    if let [(
        _,
        Order::Send {
            start,
            end,
            welcome,
        },
    )] = orders
    {
        return conn.send_frames(&bytes[*start..*end], *welcome, turn);
    }
    gather.clear();
    let mut has_welcome = false;
    for (_, order) in orders {
        match *order {
            Order::Send {
                start,
                end,
                welcome,
            } => {
                gather.extend_from_slice(&bytes[start..end]);
                has_welcome |= welcome;
            }
            Order::Close { code } => {
                if !gather.is_empty() {
                    conn.send_frames(gather, has_welcome, turn)?;
                    gather.clear();
                }
                conn.close_frames(code, turn)?;
            }
        }
    }
    if gather.is_empty() {
        Ok(())
    } else {
        conn.send_frames(gather, has_welcome, turn)
    }
}
