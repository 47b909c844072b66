//! One engine thread: its epoll loop over the connections it accepted.
//!
//! Two epolls, the second nested in the first: established connections, and those before Welcome or on their way to the API.
//! Established ones are served first; the others get a share of time per turn (handshake_turn_us), so that a storm of
//! handshakes delays nobody who is connected. A thread never waits for Python, and holds no lock while it works.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::conn::Conn;
use crate::engine::Shared;
use crate::handover::{Batch, Order};
use crate::slab::Slab;
use crate::stats::Counters;
use crate::sys::{self, Epoll, Ready};
use crate::timers::Wheel;
use crate::turn::{Gone, Phase, Step, Turn, NO_CLOSE};

pub(crate) const LISTENER: u64 = u64::MAX;
pub(crate) const EARLY: u64 = u64::MAX - 1;
const WAKE: u64 = u64::MAX - 2;
const API: u64 = 1 << 63; // with a connection's id: the API's side of its pipe

const HAND_OVER_BYTES: usize = 1 << 20; // received in one turn, before the inbox is looked at again
const EVENTS_PER_TURN: usize = 1024;
const EARLY_EVENTS_PER_TURN: usize = 64;
const PAUSE: Duration = Duration::from_millis(100); // at most, before a full inbox is looked at again

pub struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) turn: Turn,
    pub(crate) slab: Slab,
    pub(crate) wheel: Wheel,
    pub(crate) clock: Clock,
    pub(crate) main: Epoll,
    pub(crate) early: Epoll,
    pub(crate) early_ready: VecDeque<Ready>, // taken from the nested epoll, not served yet
    pub(crate) early_runs: bool,             // the nested epoll is being watched
    pub(crate) listener: Option<TcpListener>,
    pub(crate) accepts: bool,        // the listener is being watched
    pub(crate) accept_after: u64,    // not before this time
    pub(crate) opening: u64,         // connections before their upgrade
    pub(crate) gather: Vec<u8>,      // frames of one connection that do not lie side by side
    pub(crate) peak: usize,          // connections since memory was last given back
    pub(crate) stop_at: Option<u64>, // set when all have been told that the engine stops
}

impl Worker {
    pub fn new(shared: Arc<Shared>, thread: usize, listener: TcpListener) -> io::Result<Self> {
        let (main, early) = (Epoll::new()?, Epoll::new()?);
        main.add(listener.as_raw_fd(), sys::IN, LISTENER)?;
        main.add(early.fd(), sys::IN, EARLY)?;
        main.add(shared.outboxes[thread].wake.fd(), sys::IN, WAKE)?;
        let clock = Clock::start();
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
            peak: 0,
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
                if self.turn.received >= HAND_OVER_BYTES {
                    self.hand_over();
                    if self.shared.inbox.is_full() {
                        break; // what was not served is reported again
                    }
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
            self.give_memory_back();
        }
        for id in self.slab.ids() {
            self.with(id, |_, _| Err(Gone(NO_CLOSE)));
        }
        self.hand_over();
    }

    pub(crate) fn counters(&self) -> &Counters {
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
            self.clock.skip_since(began);
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
    pub(crate) fn with(
        &mut self,
        id: u64,
        work: impl FnOnce(&mut Conn, &mut Turn) -> Step,
    ) -> bool {
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
                self.forget(&mut conn);
            }
        }
        true
    }

    fn forget(&mut self, conn: &mut Conn) {
        conn.leave_stage(&self.turn);
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

    pub(crate) fn set_timer(&mut self, conn: &mut Conn) {
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

    /// Sends what Python gave: all frames of a connection at once.
    pub(crate) fn flush_outbox(&mut self) {
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

    pub(crate) fn hand_over(&mut self) {
        let turn = &mut self.turn;
        turn.received = 0;
        if (turn.events.is_empty() && turn.logins.is_empty())
            || !self.shared.inbox.push(&mut turn.events, &mut turn.logins)
        {
            return;
        }
        self.counters().handovers.up();
    }
}

/// A connection hears nothing before its Welcome: what comes earlier is for an attempt to attach that is over.
fn since_welcome<'o>(phase: Phase, orders: &'o [(u64, Order)], turn: &Turn) -> &'o [(u64, Order)] {
    if phase != Phase::Attaching {
        return orders;
    }
    let is_early = |order: &Order| matches!(order, Order::Send { welcome: false, .. });
    let early = orders
        .iter()
        .take_while(|(_, order)| is_early(order))
        .count();
    turn.counters().gone_connections.add(early as u64);
    &orders[early..]
}

fn send_orders(
    conn: &mut Conn,
    turn: &mut Turn,
    orders: &[(u64, Order)],
    bytes: &[u8],
    gather: &mut Vec<u8>,
) -> Step {
    let orders = since_welcome(conn.phase, orders, turn);
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
