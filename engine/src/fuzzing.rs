//! One connection without its thread, for the fuzz targets (feature `fuzzing`): the caller is the peer, the clock, the API
//! and Python. What worker.rs does for each of its connections is done here for the one.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::conn::Conn;
use crate::engine::{Engine, Error, Options};
use crate::handover::Event;
use crate::stats::{Totals, STATES};
use crate::sys::{Epoll, Ready};
use crate::turn::{Gone, Step, Turn};

const CONN: u64 = 0;
const API: u64 = 1;
const SOCKET_BYTES: libc::c_int = 8192; // so small that a queue forms soon

/// A connection of an engine that has no thread.
pub struct Line {
    engine: Engine,
    turn: Turn,
    epoll: Epoll,
    conn: Option<Conn>,
}

impl Line {
    /// A connection from `peer` and the client's end of its socket, which never blocks.
    pub fn open(options: Options, peer: SocketAddr) -> Result<(Self, UnixStream), Error> {
        let engine = Engine::new(options)?;
        let (ours, theirs) = UnixStream::pair()?;
        for end in [&ours, &theirs] {
            end.set_nonblocking(true)?;
            shrink(end)?;
        }
        let turn = Turn::new(engine.shared(), 0);
        let epoll = Epoll::new()?;
        epoll.add(ours.as_raw_fd(), 0, CONN)?;
        let mut conn = Conn::new(0, TcpStream::from(OwnedFd::from(ours)), peer, &turn);
        let admitted = conn.admit(&turn);
        let line = Self {
            engine,
            turn,
            epoll,
            conn: admitted.then_some(conn),
        };
        Ok((line, theirs))
    }

    /// The state of stats::STATES; `None` when the connection is gone.
    pub fn state(&self) -> Option<&'static str> {
        self.conn.as_ref().map(|conn| STATES[conn.phase.state()])
    }

    /// Serves what the sockets have, once; false when there was nothing.
    pub fn serve(&mut self) -> bool {
        let mut ready = [Ready { events: 0, u64: 0 }; 2];
        let count = self.epoll.wait(&mut ready, 0);
        for event in &ready[..count] {
            let (events, tag) = (event.events, event.u64);
            self.with(|conn, turn| match tag {
                CONN => conn.on_event(events, turn),
                _ => conn.on_api(events, turn),
            });
        }
        count > 0
    }

    /// Lets `ms` pass; what is due then happens.
    pub fn advance(&mut self, ms: u64) {
        self.turn.now += ms;
        self.with(|conn, turn| {
            if turn.now >= conn.due(&turn.shared.limits) {
                conn.on_timer(turn)
            } else {
                Ok(())
            }
        });
    }

    /// Python sends frames, each a whole WebSocket message; `welcome` says that one of them is Welcome.
    pub fn send(&mut self, frames: &[u8], welcome: bool) {
        self.with(|conn, turn| conn.send_frames(frames, welcome, turn));
    }

    /// Python closes the connection.
    pub fn close(&mut self, code: u16) {
        self.with(|conn, turn| conn.close_frames(code, turn));
    }

    /// The engine stops.
    pub fn stop(&mut self) {
        self.with(Conn::on_stop);
    }

    /// What Python was handed since the last call, in its order.
    pub fn events(&mut self) -> Vec<Event> {
        let logins = self.turn.logins.drain(..).map(|(_, event)| event);
        logins.chain(self.turn.events.drain(..)).collect()
    }

    /// Bytes that wait for the peer.
    pub fn backlog(&self) -> usize {
        self.conn.as_ref().map_or(0, Conn::backlog)
    }

    /// Bytes that were received and are not understood yet.
    pub fn kept(&self) -> usize {
        self.conn.as_ref().map_or(0, |conn| conn.plain.len())
    }

    pub fn totals(&self) -> Totals {
        self.engine.totals()
    }

    /// Whether a connection is still counted for its address.
    pub fn is_counted(&self) -> bool {
        !self.turn.shared.addresses.is_empty()
    }

    fn with(&mut self, work: impl FnOnce(&mut Conn, &mut Turn) -> Step) {
        let Some(conn) = &mut self.conn else { return };
        if let Err(Gone(code)) = work(conn, &mut self.turn) {
            self.turn.out.clear();
            conn.tell(code, &mut self.turn);
            conn.leave_stage(&self.turn);
            self.conn = None;
            return;
        }
        let gone = "an open descriptor can be watched";
        self.epoll
            .modify(conn.fd(), conn.interest(), CONN)
            .expect(gone);
        let backlog = conn.backlog();
        if let Some(pipe) = &mut conn.pipe {
            let wanted = pipe.interest(backlog);
            match pipe.armed {
                Some(_) if wanted == 0 => self.epoll.remove(pipe.fd()),
                Some(_) => self.epoll.modify(pipe.fd(), wanted, API).expect(gone),
                None if wanted == 0 => {}
                None => self.epoll.add(pipe.fd(), wanted, API).expect(gone),
            }
            pipe.armed = (wanted != 0).then_some(wanted);
        }
    }
}

/// Gives a socket a small send buffer.
fn shrink(socket: &UnixStream) -> io::Result<()> {
    let bytes = SOCKET_BYTES;
    // SAFETY: the pointer and the length are those of one live number.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
