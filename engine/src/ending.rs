//! How a connection ends: the close handshake, broken rules, refusals.
//!
//! A peer that broke a rule, or was refused, hears why, then this side's direction is shut and what still comes is thrown
//! away until the peer closes or close_timeout_ms is over: closing at once would reset the answer away.

use std::mem;
use std::net::Shutdown;

use crate::conn::Conn;
use crate::handover::Event;
use crate::http::{plaintext, Refusal};
use crate::turn::{Gone, Phase, Step, Turn, NO_CLOSE};
use crate::ws;

impl Conn {
    fn say_close(&mut self, code: Option<u16>, turn: &mut Turn) -> Step {
        let mut frame = Vec::new();
        ws::write_close(&mut frame, code);
        self.transmit(&frame, turn)
    }

    /// Begins the close handshake.
    pub fn close(&mut self, code: u16, turn: &mut Turn) -> Step {
        if matches!(self.phase, Phase::Closing | Phase::Draining) {
            return Ok(());
        }
        self.tell(code, turn);
        self.say_close(Some(code), turn)?;
        self.since = turn.now;
        self.phase = Phase::Closing;
        self.resume(turn)
    }

    /// Closes without waiting for an answer: the peer can no longer be understood.
    pub(crate) fn violate(&mut self, code: u16, turn: &mut Turn) -> Step {
        if !matches!(self.phase, Phase::Closing | Phase::Draining) {
            self.tell(code, turn);
            self.say_close(Some(code), turn)?;
            self.since = turn.now;
        }
        self.finish(turn)
    }

    /// The peer's close frame: answered, unless it is the answer.
    pub(crate) fn on_close(&mut self, code: Option<u16>, turn: &mut Turn) -> Step {
        if self.phase != Phase::Closing {
            const NO_CODE: u16 = 1005; // RFC 6455, 7.1.5: a close frame without a code
            self.tell(code.unwrap_or(NO_CODE), turn);
            self.say_close(code, turn)?;
            self.since = turn.now;
        }
        self.finish(turn)
    }

    /// Says that the port speaks TLS, when the head of a plaintext request has come, and ends.
    pub(crate) fn explain(&mut self, received: &[u8], fingerprint: &[u8], turn: &mut Turn) -> Step {
        let max = turn.shared.limits.http_head_bytes_max as usize;
        let Some(answer) = plaintext::answer(received, max, fingerprint) else {
            self.plain = received.to_vec(); // opening still: upgrade_timeout_ms ends it
            return Ok(());
        };
        turn.counters().refused(Refusal::SpeaksTls.name());
        self.since = turn.now;
        self.transmit(answer.as_bytes(), turn)?;
        self.finish(turn)
    }

    /// Answers with an HTTP refusal and ends.
    pub(crate) fn refuse(&mut self, refusal: Refusal, turn: &mut Turn) -> Step {
        turn.counters().refused(refusal.name());
        if matches!(refusal, Refusal::TooManyConnections | Refusal::TooManyPipes) {
            turn.counters().connections_refused.up();
        }
        self.since = turn.now;
        self.transmit(refusal.answer().as_bytes(), turn)?;
        self.finish(turn)
    }

    /// Ends this side's direction after the last byte; from now on nothing is understood.
    pub(crate) fn finish(&mut self, turn: &mut Turn) -> Step {
        self.transport.finish(&mut turn.out);
        self.write_out(turn)?;
        self.phase = Phase::Draining;
        self.plain = Vec::new();
        self.shut_later = true;
        if self.peer_ended && self.unsent.is_empty() {
            return Err(Gone(NO_CLOSE));
        }
        self.shut_when_sent();
        Ok(())
    }

    pub(crate) fn shut_when_sent(&mut self) {
        if self.shut_later && self.unsent.is_empty() {
            self.shut_later = false;
            let _ = self.socket.shutdown(Shutdown::Write); // gone already: reading will say so
        }
    }

    /// Counts the end of an upgraded connection and hands it over, once.
    pub fn tell(&mut self, code: u16, turn: &mut Turn) {
        if !mem::replace(&mut self.owes_end, false) {
            return;
        }
        turn.counters().closed(code);
        if self.has_logged_in {
            turn.events.push(Event::Closed {
                conn: self.id,
                code,
            });
        }
    }
}
