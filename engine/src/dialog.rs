//! What a connection's plaintext means: first an HTTP head, then WebSocket frames that carry the protocol's frames.
//!
//! Rules kept here: Hello first and only once; no frame is taken between Hello and Welcome; the limits of size and rate; a
//! frame that is not known is answered, not punished.

use std::mem;

use crate::catalogue::close;
use crate::codec::{self, ClientFrame, Decoded};
use crate::conn::Conn;
use crate::handover::Event;
use crate::http::early::EARLY;
use crate::http::{self, Head, Refusal, SUBPROTOCOL};
use crate::limits::Stage;
use crate::pipe::{Pipe, Place};
use crate::turn::{Gone, Phase, Step, Turn, NO_CLOSE};
use crate::ws::{self, Item, Violation};

impl Conn {
    /// Takes as much plaintext as it can; returns how many bytes.
    pub(crate) fn feed(&mut self, plain: &mut [u8], turn: &mut Turn) -> Result<usize, Gone> {
        let mut used = 0;
        loop {
            let rest = &mut plain[used..];
            match self.phase {
                Phase::Head => {
                    match http::read_head(rest, turn.shared.limits.http_head_bytes_max as usize) {
                        Head::Incomplete => return Ok(used),
                        Head::Upgrade {
                            length,
                            accept,
                            hello,
                        } => {
                            used += length;
                            self.upgrade(&accept, hello, turn)?;
                        }
                        Head::Refused(refusal) => self.refuse(refusal, turn)?,
                        Head::Foreign => self.pipe_to_api(rest, turn)?,
                    }
                }
                Phase::Hello | Phase::Ready | Phase::Closing => {
                    let limits = &turn.shared.limits;
                    let max = if self.phase == Phase::Hello {
                        limits.hello_bytes_max()
                    } else {
                        limits.message_bytes_max as usize
                    };
                    match self.reader.next(rest, max) {
                        Ok(None) => return Ok(used),
                        Ok(Some((length, item))) => {
                            used += length;
                            self.take(item, turn)?;
                        }
                        Err(violation) => {
                            let code = self.violation_code(violation, rest, turn);
                            self.violate(code, turn)?;
                        }
                    }
                }
                Phase::Attaching | Phase::Opening | Phase::Handshake => return Ok(used),
                Phase::Piped => {
                    if let Some(pipe) = &mut self.pipe {
                        pipe.push(rest);
                        pipe.write();
                    }
                    return Ok(plain.len());
                }
                Phase::Draining => return Ok(plain.len()),
            }
            if self.phase == Phase::Piped {
                return Ok(plain.len());
            }
        }
    }

    /// A first message that only a Hello may not be as large as is a bad frame, not a broken rule of WebSocket.
    fn violation_code(&mut self, violation: Violation, input: &mut [u8], turn: &Turn) -> u16 {
        let max = turn.shared.limits.message_bytes_max as usize;
        // (Only of a size may it be asked again: for another violation the payload may be unmasked already.)
        let is_size = self.phase == Phase::Hello && violation == Violation::TooBig;
        if is_size && self.reader.next(input, max).is_ok() {
            return close::BAD_FRAME;
        }
        violation.code()
    }

    /// Answers an upgrade, and takes the Hello that came with it, which then is the first message.
    fn upgrade(&mut self, accept: &str, hello: Option<Vec<u8>>, turn: &mut Turn) -> Step {
        if !self.enter(Stage::Session, turn) {
            return self.refuse(Refusal::TooManyConnections, turn);
        }
        let hello = hello.filter(|hello| hello.len() <= turn.shared.limits.hello_bytes_max());
        let subprotocol = hello.as_ref().map_or(SUBPROTOCOL, |_| EARLY);
        self.transmit(http::switching(accept, subprotocol).as_bytes(), turn)?;
        turn.counters().upgrades.up();
        self.phase = Phase::Hello;
        self.owes_end = true;
        self.since = turn.now;
        let Some(hello) = hello else {
            return Ok(());
        };
        turn.counters().early_hellos.up();
        self.take(Item::Message(&hello), turn)
    }

    fn pipe_to_api(&mut self, received: &[u8], turn: &mut Turn) -> Step {
        if !self.enter(Stage::Pipe, turn) {
            return self.refuse(Refusal::TooManyConnections, turn);
        }
        let Some(place) = Place::take(&turn.shared.pipes, turn.shared.limits.pipes_max) else {
            return self.refuse(Refusal::TooManyPipes, turn);
        };
        let (server, is_tls) = (self.local_address(), turn.shared.has_tls());
        let api = turn.shared.api.as_ref();
        let pipe = api.and_then(|path| Pipe::open(path, self.peer, server, is_tls, place).ok());
        let Some(mut pipe) = pipe else {
            return self.refuse(Refusal::ApiUnreachable, turn);
        };
        turn.counters().pipes.up();
        pipe.push(received);
        pipe.write();
        self.pipe = Some(Box::new(pipe));
        self.phase = Phase::Piped;
        self.mark_heard(turn.now);
        Ok(())
    }

    fn take(&mut self, item: Item<'_>, turn: &mut Turn) -> Step {
        if !self.bucket.take_frame() {
            turn.counters().flooding.up();
            return self.violate(close::FLOODING, turn);
        }
        match item {
            Item::Message(message) => self.on_message(message, turn),
            Item::Joined(message) => self.on_message(&message, turn),
            Item::Part | Item::Pong => Ok(()),
            // Also after our close frame: only theirs ends this duty (RFC 6455, 5.5.2).
            Item::Ping(payload) => self.say(ws::PONG, payload, turn),
            Item::Close(code) => self.on_close(code, turn),
        }
    }

    fn on_message(&mut self, message: &[u8], turn: &mut Turn) -> Step {
        if self.phase == Phase::Closing {
            return Ok(());
        }
        let is_first = self.phase == Phase::Hello;
        match codec::decode(message, &turn.shared.limits) {
            Err(code) => self.close(code, turn),
            Ok(Decoded::Frame(ClientFrame::Hello(hello))) if is_first => {
                self.count_frame(1, turn);
                self.has_logged_in = true;
                self.phase = Phase::Attaching;
                let address = self.peer.ip().to_string();
                turn.logins.push((
                    self.id,
                    Event::Hello {
                        conn: self.id,
                        hello,
                        address,
                    },
                ));
                Ok(())
            }
            Ok(_) if is_first => self.close(close::HELLO_FIRST, turn),
            Ok(Decoded::Frame(ClientFrame::Hello(_))) => self.close(close::SECOND_HELLO, turn),
            Ok(Decoded::Frame(frame)) => {
                self.count_frame(codec::kind(&frame), turn);
                turn.events.push(Event::Frame {
                    conn: self.id,
                    frame,
                });
                Ok(())
            }
            Ok(Decoded::Unknown(number)) => self.answer_unknown(number, turn),
        }
    }

    fn count_frame(&self, kind: u8, turn: &Turn) {
        turn.counters().frames_in[usize::from(kind)].up();
    }

    fn answer_unknown(&mut self, number: u32, turn: &mut Turn) -> Step {
        turn.counters().unknown_frames.up();
        let mut frame = mem::take(&mut turn.frame);
        frame.clear();
        codec::write_unsupported(number, &mut frame);
        let step = self.send_queued(&frame, turn);
        turn.frame = frame;
        step
    }

    /// Sends what Python gave for this connection in one turn.
    pub fn send_frames(&mut self, frames: &[u8], welcome: bool, turn: &mut Turn) -> Step {
        if !matches!(self.phase, Phase::Attaching | Phase::Ready) {
            turn.counters().gone_connections.up();
            return Ok(());
        }
        self.send_queued(frames, turn)?;
        if welcome && self.phase == Phase::Attaching {
            self.phase = Phase::Ready;
            self.mark_heard(turn.now);
            self.resume(turn)?;
        }
        Ok(())
    }

    /// Python ends the connection.
    pub fn close_frames(&mut self, code: u16, turn: &mut Turn) -> Step {
        if !matches!(self.phase, Phase::Attaching | Phase::Ready) {
            turn.counters().gone_connections.up();
            return Ok(());
        }
        self.close(code, turn)
    }

    /// The engine stops: whoever is connected hears it, the others go.
    pub fn on_stop(&mut self, turn: &mut Turn) -> Step {
        match self.phase {
            Phase::Hello | Phase::Attaching | Phase::Ready => self.close(close::GOING_AWAY, turn),
            // All is said and sent; an idle keep-alive client would hold the stop up for nothing.
            Phase::Draining if self.unsent.is_empty() => Err(Gone(NO_CLOSE)),
            Phase::Closing | Phase::Draining => Ok(()),
            Phase::Piped | Phase::Opening | Phase::Handshake | Phase::Head => Err(Gone(NO_CLOSE)),
        }
    }
}
