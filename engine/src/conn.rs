//! One connection: its socket, its transport, its time-outs. What its bytes mean is dialog.rs's matter, its end ending.rs's.

use std::io::{ErrorKind, Read};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

use crate::catalogue::close;
use crate::limits::{Bucket, Limits, Stage};
use crate::pipe::{write_some, Pipe, Unsent, PIPE_BYTES};
use crate::proxy::{self, Front};
use crate::sys;
use crate::tls::{Plain, Tls, Transport};
use crate::turn::{Gone, Phase, Step, Turn, NO_CLOSE};
use crate::ws;

const EARLY_READ_BYTES: usize = 16 * 1024; // one read before Welcome
const SEND_CHUNK_BYTES: usize = 4 * 16 * 1024; // four full TLS records: what is encrypted before the queue's limit is looked at

pub struct Conn {
    pub id: u64,
    pub phase: Phase,
    pub armed: u32,    // what epoll watches the socket for
    pub in_main: bool, // in the epoll of established connections
    pub fires_at: u64, // when its first entry in the timer wheel fires
    pub pipe: Option<Box<Pipe>>,
    pub(crate) peer: SocketAddr,
    pub(crate) reader: ws::Reader,
    pub(crate) bucket: Bucket,
    pub(crate) stage: Option<Stage>, // as what it is counted for its address
    pub(crate) has_logged_in: bool,  // Hello handed over: Python must hear of the end
    pub(crate) since: u64,           // begin of the phase
    pub(crate) plain: Vec<u8>, // received, but not yet a whole HTTP head or WebSocket frame (or PROXY header)
    pub(crate) socket: TcpStream,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) unsent: Unsent,
    pub(crate) owes_end: bool, // upgraded, and its end has not been counted and handed over yet
    pub(crate) shut_later: bool, // shut this side's direction when all is sent
    pub(crate) peer_ended: bool, // nothing more will come
    heard: u64,                // when the peer was last heard
    was_pinged: bool,
    needs_proxy: bool,
}

impl Conn {
    pub fn new(id: u64, socket: TcpStream, peer: SocketAddr, turn: &Turn) -> Self {
        let address = peer.ip().to_canonical();
        Self {
            id,
            phase: Phase::Opening,
            armed: 0,
            in_main: false,
            fires_at: u64::MAX,
            pipe: None,
            peer: SocketAddr::new(address, peer.port()),
            reader: ws::Reader::default(),
            bucket: Bucket::full(&turn.shared.limits, turn.now),
            stage: None,
            has_logged_in: false,
            since: turn.now,
            plain: Vec::new(),
            socket,
            transport: Box::new(Plain),
            unsent: Unsent::default(),
            heard: turn.now,
            was_pinged: false,
            needs_proxy: turn
                .shared
                .proxy_from
                .iter()
                .any(|network| network.contains(address)),
            owes_end: false,
            shut_later: false,
            peer_ended: false,
        }
    }

    /// Counts the connection for its address, as one that is opening. A load balancer's waits until it has named the client.
    pub fn admit(&mut self, turn: &Turn) -> bool {
        self.needs_proxy || self.enter(Stage::Opening, turn)
    }

    /// Counts the connection for its address at another stage; false when there is no room, and then nothing changes.
    pub(crate) fn enter(&mut self, stage: Stage, turn: &Turn) -> bool {
        let (addresses, address) = (&turn.shared.addresses, self.peer.ip());
        let admitted = addresses.enter(address, stage, &turn.shared.limits);
        if admitted {
            self.leave_stage(turn);
            self.stage = Some(stage);
        }
        admitted
    }

    /// The address has one connection less.
    pub fn leave_stage(&mut self, turn: &Turn) {
        if let Some(stage) = self.stage.take() {
            turn.shared.addresses.leave(self.peer.ip(), stage);
        }
    }

    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// What epoll should watch the socket for.
    pub fn interest(&self) -> u32 {
        let read = match (self.phase, &self.pipe) {
            _ if self.peer_ended => 0,
            (Phase::Attaching, _) => sys::PEER_ENDED,
            (Phase::Piped, Some(pipe)) if !pipe.wants_client() => 0,
            _ => sys::IN,
        };
        read | if self.unsent.is_empty() { 0 } else { sys::OUT }
    }

    /// When the phase's time is over.
    pub fn due(&self, limits: &Limits) -> u64 {
        match self.phase {
            Phase::Opening | Phase::Handshake | Phase::Head => {
                self.since + limits.upgrade_timeout_ms
            }
            Phase::Hello => self.since + limits.hello_timeout_ms,
            Phase::Attaching => u64::MAX, // the edge's attach_timeout_ms
            Phase::Ready if self.was_pinged => self.heard + limits.idle_timeout_ms,
            Phase::Ready => self.heard + limits.ping_interval_ms,
            Phase::Closing | Phase::Draining => self.since + limits.close_timeout_ms,
            Phase::Piped => self.heard + limits.idle_timeout_ms,
        }
    }

    pub fn on_timer(&mut self, turn: &mut Turn) -> Step {
        match self.phase {
            Phase::Opening | Phase::Handshake | Phase::Head => {
                turn.counters().upgrade_timeouts.up();
                Err(Gone(NO_CLOSE))
            }
            Phase::Hello => self.close(close::HELLO_TIMEOUT, turn),
            Phase::Ready if self.was_pinged => self.close(close::IDLE_TIMEOUT, turn),
            Phase::Ready => {
                self.was_pinged = true;
                turn.counters().pings.up();
                self.say(ws::PING, &[], turn)
            }
            Phase::Attaching => Ok(()),
            Phase::Closing | Phase::Draining | Phase::Piped => Err(Gone(NO_CLOSE)),
        }
    }

    pub fn on_event(&mut self, events: u32, turn: &mut Turn) -> Step {
        if events & sys::OUT != 0 {
            self.on_writable(turn)?;
        }
        if self.peer_ended || self.phase == Phase::Attaching {
            // Not read now. Only the end of the connection can be news.
            return if events & (sys::PEER_ENDED | sys::BROKEN) != 0 {
                Err(Gone(NO_CLOSE))
            } else {
                Ok(())
            };
        }
        if events & (sys::IN | sys::BROKEN) == 0 {
            return Ok(());
        }
        if self.interest() & sys::IN == 0 {
            return if events & sys::BROKEN != 0 {
                Err(Gone(NO_CLOSE))
            } else {
                Ok(())
            };
        }
        let mut input = mem::take(&mut turn.input);
        let result = self.on_readable(&mut input, turn);
        turn.input = input;
        result
    }

    fn on_writable(&mut self, turn: &mut Turn) -> Step {
        turn.counters().writes.up();
        let count = self
            .unsent
            .write_to(&mut self.socket)
            .map_err(|_| Gone(NO_CLOSE))?;
        turn.counters().bytes_out.add(count as u64);
        if self.phase == Phase::Piped {
            self.heard = turn.now;
        }
        self.shut_when_sent();
        Ok(())
    }

    fn on_readable(&mut self, input: &mut [u8], turn: &mut Turn) -> Step {
        let partial = if self.phase == Phase::Opening {
            mem::take(&mut self.plain)
        } else {
            self.transport.take_partial()
        };
        let kept = partial.len();
        let room = match self.phase {
            Phase::Ready | Phase::Draining => input.len(),
            Phase::Piped => kept + PIPE_BYTES,
            _ => kept + EARLY_READ_BYTES,
        };
        let Some(space) = input
            .get_mut(..room.min(input.len()))
            .filter(|space| space.len() > kept)
        else {
            return Err(Gone(NO_CLOSE)); // rustls takes no record or handshake message of this size
        };
        space[..kept].copy_from_slice(&partial);
        turn.counters().reads.up();
        let count = match self.socket.read(&mut space[kept..]) {
            Ok(0) => return self.on_end(false, turn),
            Ok(count) => count,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                0
            }
            Err(_) => return Err(Gone(NO_CLOSE)),
        };
        if self.phase == Phase::Draining {
            return Ok(());
        }
        turn.counters().bytes_in.add(count as u64);
        turn.received += count;
        if count > 0 {
            self.heard = turn.now;
            self.was_pinged = false;
        }
        let limits = &turn.shared.limits;
        if !matches!(self.phase, Phase::Piped)
            && !self.bucket.take_bytes(count, limits, turn.now)
            && !self.phase.is_opening()
        {
            turn.counters().flooding.up();
            self.transport.put_back(partial); // where it stands in a record, it needs for writing too
            return self.violate(close::FLOODING, turn);
        }
        let received = &mut space[..kept + count];
        if self.phase == Phase::Opening {
            return self.open(received, turn);
        }
        self.receive(received, turn)
    }

    /// The first bytes: perhaps a PROXY header, then TLS or not.
    fn open(&mut self, mut received: &mut [u8], turn: &mut Turn) -> Step {
        if self.needs_proxy {
            match proxy::read(received) {
                Front::Incomplete => {
                    self.plain = received.to_vec();
                    return Ok(());
                }
                Front::Wrong => {
                    turn.counters().proxy_faults.up();
                    return Err(Gone(NO_CLOSE));
                }
                Front::Header { length, client } => {
                    self.needs_proxy = false;
                    if let Some(client) = client {
                        self.peer = SocketAddr::new(client.ip().to_canonical(), client.port());
                    }
                    if !self.admit(turn) {
                        turn.counters().connections_refused.up();
                        return Err(Gone(NO_CLOSE));
                    }
                    received = &mut received[length..];
                }
            }
        }
        let Some(first) = received.first() else {
            return Ok(());
        };
        let identity = turn
            .shared
            .tls
            .read()
            .expect("no code panics with it locked")
            .clone();
        match identity {
            None => self.phase = Phase::Head,
            // A TLS record never begins with a letter, a plaintext request always does.
            Some(identity) if first.is_ascii_alphabetic() => {
                return self.explain(received, &identity.fingerprint, turn)
            }
            Some(identity) => {
                self.transport =
                    Box::new(Tls::new(identity.config.clone()).map_err(|_| Gone(NO_CLOSE))?);
                self.phase = Phase::Handshake;
            }
        }
        self.receive(received, turn)
    }

    fn receive(&mut self, received: &mut [u8], turn: &mut Turn) -> Step {
        // Plaintext goes to the thread's buffer, or to the connection's own behind what is incomplete there.
        let has_own = !self.plain.is_empty();
        let mut plain = mem::take(if has_own {
            &mut self.plain
        } else {
            &mut turn.plain
        });
        let was_open = self.transport.is_open();
        let result = self.transport.receive(received, &mut plain, &mut turn.out);
        if !was_open && self.transport.is_open() {
            self.phase = Phase::Head;
            turn.counters().handshakes.up();
            if self.transport.is_resumed() {
                turn.counters().resumed.up();
            }
        }
        let step = match result {
            Ok(has_ended) => self.write_out(turn).and_then(|()| {
                let step = self.feed_all(&mut plain, has_own, turn);
                if has_ended {
                    step.and_then(|()| self.on_end(true, turn))
                } else {
                    step
                }
            }),
            Err(_) => {
                turn.counters().tls_faults.up();
                let _ = self.write_out(turn); // an alert, if it still goes out
                Err(Gone(NO_CLOSE))
            }
        };
        if !has_own {
            plain.clear();
            turn.plain = plain;
        }
        step
    }

    /// Feeds plaintext to the dialog and keeps what it does not take.
    fn feed_all(&mut self, plain: &mut Vec<u8>, is_own: bool, turn: &mut Turn) -> Step {
        let used = self.feed(plain, turn)?;
        if is_own && used == 0 {
            self.plain = mem::take(plain); // it will grow further: no copy
        } else if used < plain.len() {
            self.plain = plain[used..].to_vec();
        }
        Ok(())
    }

    /// Goes on with what was received while nothing was taken.
    pub(crate) fn resume(&mut self, turn: &mut Turn) -> Step {
        let mut plain = mem::take(&mut self.plain);
        if plain.is_empty() {
            return Ok(());
        }
        self.feed_all(&mut plain, true, turn)
    }

    /// The peer's direction has ended, in good order or not.
    fn on_end(&mut self, is_orderly: bool, turn: &mut Turn) -> Step {
        match &mut self.pipe {
            // Without TLS the end of the stream is an orderly one; with TLS it may be somebody else's doing.
            Some(pipe) if self.phase == Phase::Piped && (is_orderly || !turn.shared.has_tls()) => {
                self.peer_ended = true;
                pipe.end_client();
                pipe.write();
                Ok(())
            }
            _ => {
                if is_orderly {
                    self.transport.finish(&mut turn.out);
                    let _ = self.write_out(turn); // the peer may be gone for good
                }
                Err(Gone(NO_CLOSE))
            }
        }
    }

    /// The API's socket is ready.
    pub fn on_api(&mut self, events: u32, turn: &mut Turn) -> Step {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        if events & sys::OUT != 0 {
            pipe.write();
        }
        if events & (sys::IN | sys::BROKEN) == 0 || self.unsent.len() >= PIPE_BYTES {
            return Ok(());
        }
        let mut space = mem::take(&mut turn.input);
        let read = pipe.read(&mut space[..PIPE_BYTES]);
        self.heard = turn.now;
        let step = match read {
            Ok(Some(count)) if count > 0 => self.transmit(&space[..count], turn),
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => {
                self.pipe = None;
                self.since = turn.now;
                self.finish(turn)
            }
        };
        turn.input = space;
        step
    }

    /// Sends bytes that are ready for the transport.
    pub(crate) fn transmit(&mut self, plain: &[u8], turn: &mut Turn) -> Step {
        self.transport
            .send(plain, &mut turn.out)
            .map_err(|_| Gone(NO_CLOSE))?;
        turn.counters().sends.up();
        self.write_out(turn)
    }

    pub(crate) fn write_out(&mut self, turn: &mut Turn) -> Step {
        let bytes = turn.out.as_slice();
        let mut count = 0;
        if !bytes.is_empty() && self.unsent.is_empty() {
            turn.counters().writes.up();
            count = write_some(&mut self.socket, bytes).map_err(|_| Gone(NO_CLOSE))?;
            turn.counters().bytes_out.add(count as u64);
        }
        self.unsent.push(&bytes[count..]);
        turn.out.clear();
        Ok(())
    }

    /// Sends frames of one turn; too many for the queue end the connection.
    pub(crate) fn send_queued(&mut self, mut frames: &[u8], turn: &mut Turn) -> Step {
        let max = turn.shared.limits.send_queue_bytes_max as usize;
        while !frames.is_empty() {
            // Whole frames, so that a close frame may follow any of them.
            let (chunk, rest) = frames.split_at(ws::whole_frames(frames, SEND_CHUNK_BYTES));
            frames = rest;
            if !self.unsent.is_empty() && self.unsent.len() + chunk.len() > max {
                return self.violate(close::SLOW_CONSUMER, turn);
            }
            self.transmit(chunk, turn)?;
            if self.unsent.len() > max {
                return self.violate(close::SLOW_CONSUMER, turn);
            }
        }
        Ok(())
    }

    /// Sends one small frame of the engine itself.
    pub(crate) fn say(&mut self, opcode: u8, payload: &[u8], turn: &mut Turn) -> Step {
        let mut frame = mem::take(&mut turn.frame);
        frame.clear();
        ws::write_header(&mut frame, opcode, payload.len());
        frame.extend_from_slice(payload);
        let step = self.send_queued(&frame, turn);
        turn.frame = frame;
        step
    }

    /// Bytes that the peer has not taken yet.
    pub fn backlog(&self) -> usize {
        self.unsent.len()
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap_or(self.peer)
    }

    pub(crate) fn mark_heard(&mut self, now: u64) {
        self.heard = now;
        self.was_pinged = false;
    }
}
