//! The floor: a relay that does the transfers of a 1:1 message with its receipt and nothing else. What a message costs here,
//! the kernel (and TLS) takes from any server that sends the same frames in the same way.
//!
//! Send in; Accepted out, Deliver out; Ack in; Receipt out. No store, no rules, no checks, one thread. Input is read once per
//! connection and turn; what a turn has for a connection goes out in one write (one TLS record) at its end, as in worker.rs.

mod frames;

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use rustls::ServerConfig;

use crate::http::early::EARLY;
use crate::http::{self, Head};
use crate::sys::{self, Epoll, Ready, IN, OUT};
use crate::tls::{Outgoing, Plain, Tls, Transport};
use crate::ws::{Item, Reader};
use frames::{Asked, Writer};

const CONNECTIONS_MAX: usize = 100_000;
const EVENTS_PER_TURN: usize = 1024;
const INPUT_BYTES: usize = 256 * 1024; // one read
const MESSAGE_BYTES_MAX: usize = 128 * 1024;
const UNSENT_BYTES_MAX: usize = 8 << 20; // of one connection
const LISTENER: u64 = u64::MAX;
const CONTROL: u64 = u64::MAX - 1;
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// What the relay has done so far.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Done {
    pub messages: u64,
    pub receipts: u64,
    pub reads: u64,
    pub writes: u64,
    pub turns: u64,
    pub open: u64, // connections now
}

impl Done {
    pub fn counts(self) -> [(&'static str, u64); 6] {
        [
            ("messages", self.messages),
            ("receipts", self.receipts),
            ("reads", self.reads),
            ("writes", self.writes),
            ("turns", self.turns),
            ("open", self.open),
        ]
    }
}

struct Conn {
    socket: TcpStream,
    transport: Box<dyn Transport>,
    upgraded: bool,
    reader: Reader,
    plain: Vec<u8>,   // not parsed yet
    answers: Vec<u8>, // frames of this turn
    unsent: Vec<u8>,  // bytes that the kernel did not take
    user: [u8; 16],
    peer: usize,           // connections 2n and 2n + 1 are a pair
    conversation: Vec<u8>, // of the last Send
    seq: u64,              // of the last Deliver
    rev: u64,              // of the last Receipt
}

pub struct Relay {
    listener: TcpListener,
    config: Option<Arc<ServerConfig>>,
    epoll: Epoll,
    conns: Vec<Option<Conn>>,
    places: Vec<usize>, // of connection n of the load, in `conns`
    dirty: Vec<usize>,
    input: Vec<u8>,
    out: Outgoing,
    writer: Writer,
    at: u64,
    done: Done,
}

impl Relay {
    /// Without a configuration it speaks plain TCP.
    pub fn new(listener: TcpListener, config: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        listener.set_nonblocking(true)?;
        epoll.add(listener.as_raw_fd(), IN, LISTENER)?;
        Ok(Self {
            listener,
            config,
            epoll,
            conns: Vec::new(),
            places: Vec::new(),
            dirty: Vec::new(),
            input: vec![0; INPUT_BYTES],
            out: Outgoing::default(),
            writer: Writer::default(),
            at: 1_700_000_000_000, // ms since 1970, so that it takes as many bytes as a real time
            done: Done::default(),
        })
    }

    /// Relays until `control` ends; calls `asked` for whatever comes from it.
    pub fn run(mut self, control: RawFd, mut asked: impl FnMut(Done)) -> io::Result<()> {
        self.epoll.add(control, IN, CONTROL)?;
        let mut ready = vec![Ready { events: 0, u64: 0 }; EVENTS_PER_TURN];
        loop {
            let count = self.epoll.wait(&mut ready, -1);
            self.done.turns += 1;
            for event in &ready[..count] {
                match event.u64 {
                    LISTENER => self.accept()?,
                    CONTROL if !sys::has_input(control) => return Ok(()),
                    CONTROL => {
                        self.done.open = self.conns.iter().flatten().count() as u64;
                        asked(self.done);
                    }
                    place => self.serve(place as usize, event.events),
                }
            }
            for place in mem::take(&mut self.dirty) {
                self.flush(place);
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if self.conns.len() == CONNECTIONS_MAX {
                continue; // it is closed
            }
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let transport: Box<dyn Transport> = match &self.config {
                None => Box::new(Plain),
                Some(config) => match Tls::new(config.clone()) {
                    Ok(tls) => Box::new(tls),
                    Err(_) => continue,
                },
            };
            self.epoll
                .add(socket.as_raw_fd(), IN, self.conns.len() as u64)?;
            self.conns.push(Some(Conn {
                socket,
                transport,
                upgraded: false,
                reader: Reader::default(),
                plain: Vec::new(),
                answers: Vec::new(),
                unsent: Vec::new(),
                user: [0; 16],
                peer: usize::MAX,
                conversation: Vec::new(),
                seq: 0,
                rev: 0,
            }));
        }
    }

    /// Reads what a connection has and answers it. Whatever goes wrong ends the connection.
    fn serve(&mut self, place: usize, events: u32) {
        if events & OUT != 0 {
            self.dirty.push(place);
        }
        let Some(conn) = &mut self.conns[place] else {
            return;
        };
        let partial = conn.transport.take_partial();
        let kept = partial.len();
        self.input[..kept].copy_from_slice(&partial);
        self.done.reads += 1;
        let count = match conn.socket.read(&mut self.input[kept..]) {
            Ok(0) => return self.conns[place] = None,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return conn.transport.put_back(partial)
            }
            Err(_) => return self.conns[place] = None,
        };
        let received = &mut self.input[..kept + count];
        let mut plain = mem::take(&mut conn.plain);
        let outcome = conn
            .transport
            .receive(received, &mut plain, &mut self.out)
            .map_err(drop)
            .and_then(|ended| if ended { Err(()) } else { Ok(()) })
            .and_then(|()| self.write_out(place)) // the handshake's
            .and_then(|()| self.answer(place, &mut plain));
        match (outcome, &mut self.conns[place]) {
            (Ok(used), Some(conn)) => {
                plain.drain(..used);
                conn.plain = plain;
            }
            (_, conn) => *conn = None,
        }
        self.out.clear();
    }

    /// Answers all frames of `plain`; how many bytes they were.
    fn answer(&mut self, place: usize, plain: &mut [u8]) -> Result<usize, ()> {
        let mut used = 0;
        let conn = self.conns[place].as_mut().ok_or(())?;
        if !conn.upgraded {
            let (length, accept, hello) = match http::read_head(plain, HEAD_BYTES_MAX) {
                Head::Incomplete => return Ok(0),
                Head::Upgrade {
                    length,
                    accept,
                    hello,
                } => (length, accept, hello.ok_or(())?),
                _ => return Err(()),
            };
            used = length;
            conn.upgraded = true;
            conn.answers
                .extend_from_slice(http::switching(&accept, EARLY).as_bytes());
            self.take(place, &hello)?;
        }
        let mut reader = mem::take(&mut self.conns[place].as_mut().ok_or(())?.reader);
        while let Some((length, item)) = reader
            .next(&mut plain[used..], MESSAGE_BYTES_MAX)
            .map_err(drop)?
        {
            used += length;
            match item {
                Item::Message(message) => self.take(place, message)?,
                Item::Pong => {}
                _ => return Err(()), // a close above all
            }
        }
        self.conns[place].as_mut().ok_or(())?.reader = reader;
        Ok(used)
    }

    fn take(&mut self, place: usize, message: &[u8]) -> Result<(), ()> {
        let asked = frames::read(message).ok_or(())?;
        let conn = self.conns[place].as_mut().ok_or(())?;
        match asked {
            Asked::Hello { number, user } => {
                if number >= CONNECTIONS_MAX {
                    return Err(());
                }
                if self.places.len() <= number {
                    self.places.resize(number + 1, usize::MAX);
                }
                self.places[number] = place;
                (conn.user, conn.peer) = (user, number ^ 1);
                self.writer.welcome(&user, &mut conn.answers);
                self.dirty.push(place);
            }
            Asked::Send(send) => {
                let (sender, peer) = (conn.user, conn.peer);
                if conn.conversation != send.conversation {
                    conn.conversation = send.conversation.to_vec();
                }
                let other = *self.places.get(peer).ok_or(())?;
                let receiver = self.conns.get_mut(other).and_then(Option::as_mut);
                let receiver = receiver.ok_or(())?;
                receiver.seq += 1;
                let seq = receiver.seq;
                self.at += 1;
                self.writer
                    .deliver(&send, seq, self.at, &sender, &mut receiver.answers);
                let conn = self.conns[place].as_mut().ok_or(())?;
                self.writer.accepted(&send, seq, self.at, &mut conn.answers);
                self.dirty.extend([other, place]);
                self.done.messages += 1;
            }
            Asked::Ack { seq: 0 } => {} // of receipts
            Asked::Ack { seq } => {
                let other = *self.places.get(conn.peer).ok_or(())?;
                let sender = self.conns.get_mut(other).and_then(Option::as_mut);
                let sender = sender.ok_or(())?;
                sender.rev += 1;
                let (rev, conversation) = (sender.rev, &sender.conversation);
                self.writer
                    .receipt(conversation, rev, seq, &mut sender.answers);
                self.dirty.push(other);
                self.done.receipts += 1;
            }
        }
        Ok(())
    }

    /// Sends what this turn, and perhaps an earlier one, has for a connection.
    fn flush(&mut self, place: usize) {
        let Some(conn) = &mut self.conns[place] else {
            return;
        };
        if conn.answers.is_empty() && conn.unsent.is_empty() {
            return; // it was named twice
        }
        let sealed =
            conn.answers.is_empty() || conn.transport.send(&conn.answers, &mut self.out).is_ok();
        conn.answers.clear();
        if !sealed || self.write_out(place).is_err() {
            self.conns[place] = None;
        }
        self.out.clear();
    }

    fn write_out(&mut self, place: usize) -> Result<(), ()> {
        let conn = self.conns[place].as_mut().ok_or(())?;
        let was_blocked = !conn.unsent.is_empty();
        let mut bytes = self.out.as_slice();
        if was_blocked {
            conn.unsent.extend_from_slice(bytes);
            bytes = &conn.unsent;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.done.writes += 1;
        let count = match conn.socket.write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => return Err(()),
        };
        conn.unsent = bytes[count..].to_vec();
        if conn.unsent.len() > UNSENT_BYTES_MAX {
            return Err(());
        }
        self.out.clear();
        if was_blocked == conn.unsent.is_empty() {
            let events = if was_blocked { IN } else { IN | OUT };
            let fd = conn.socket.as_raw_fd();
            return self.epoll.modify(fd, events, place as u64).map_err(drop);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
