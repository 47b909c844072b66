//! Who comes in and when: a thread accepts, pauses and stops as the limits and the engine's orders say.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;

use crate::conn::Conn;
use crate::engine::Mode;
use crate::sys;
use crate::turn::{Gone, NO_CLOSE};
use crate::worker::{Worker, EARLY, LISTENER};

const ACCEPTS_PER_TURN: usize = 16;
const ACCEPT_RETRY_MS: u64 = 100; // after the process ran out of descriptors or memory
const TRIM_CONNECTIONS_MIN: usize = 1024;

impl Worker {
    pub(crate) fn accept(&mut self) {
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
            let is_admitted = conn.admit(&self.turn);
            conn.armed = conn.interest();
            let added = self.early.add(conn.fd(), conn.armed, id);
            self.opening += 1;
            self.counters().states[conn.phase.state()].up();
            self.set_timer(&mut conn);
            self.slab.insert(conn);
            if !is_admitted {
                self.counters().connections_refused.up();
            }
            if added.is_err() || !is_admitted {
                self.with(id, |_, _| Err(Gone(NO_CLOSE)));
            }
        }
    }

    /// Starts and stops accepting and the serving of log-ins, as the limits say.
    pub(crate) fn regulate(&mut self) {
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

    /// After every second connection of many has gone: by itself the allocator would keep what a storm took.
    pub(crate) fn give_memory_back(&mut self) {
        self.peak = self.peak.max(self.slab.len());
        if self.peak >= TRIM_CONNECTIONS_MIN && self.slab.len() < self.peak / 2 {
            self.peak = self.slab.len();
            // Elsewhere, because it takes a while; without another thread it is left for the next time.
            let _ = thread::Builder::new()
                .name("iris-trim".into())
                .spawn(sys::trim_memory);
        }
    }

    /// Follows the engine's orders to stop; true when this thread is done.
    pub(crate) fn has_stopped(&mut self) -> bool {
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
