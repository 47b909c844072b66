//! What the connections of a thread share in one turn of its loop, and the words for a connection's life.

use std::sync::Arc;

use crate::engine::Shared;
use crate::handover::Event;
use crate::stats::Counters;
use crate::tls::Outgoing;

/// The close code for a connection that ended without a close frame (RFC 6455, 7.1.5).
pub const NO_CLOSE: u16 = 1006;

const INPUT_BYTES: usize = 256 * 1024; // one read of an established connection, with what was left of the one before

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Opening,   // no byte has been understood: PROXY header, TLS or plaintext
    Handshake, // of TLS
    Head,      // of the first HTTP request
    Hello,     // upgraded, waiting for Hello
    Attaching, // Hello handed over, waiting for Welcome; not read
    Ready,
    Closing,  // close frame sent, waiting for the peer's
    Draining, // nothing more is said or understood, waiting for the peer to close
    Piped,    // to the API
}

impl Phase {
    /// The place in stats::STATES.
    pub fn state(self) -> usize {
        match self {
            Self::Opening | Self::Handshake | Self::Head => 0,
            Self::Hello => 1,
            Self::Attaching => 2,
            Self::Ready => 3,
            Self::Closing | Self::Draining => 4,
            Self::Piped => 5,
        }
    }

    pub fn is_opening(self) -> bool {
        self.state() == 0
    }
}

/// The connection has ended, with this close code.
#[derive(Debug)]
pub struct Gone(pub u16);

pub type Step = Result<(), Gone>;

/// What all connections of a thread share: buffers, and what the turn has brought.
pub struct Turn {
    pub shared: Arc<Shared>,
    pub thread: usize,
    pub now: u64, // ms of the thread's clock, which stands still while reading is paused
    pub events: Vec<Event>,
    pub logins: Vec<(u64, Event)>,
    pub received: usize, // bytes since the last hand-over
    pub input: Vec<u8>,  // one read
    pub plain: Vec<u8>,  // what it said, decrypted
    pub frame: Vec<u8>,  // a frame of the engine's own
    pub out: Outgoing,   // to be written at once
}

impl Turn {
    pub fn new(shared: Arc<Shared>, thread: usize) -> Self {
        Self {
            shared,
            thread,
            now: 0,
            events: Vec::new(),
            logins: Vec::new(),
            received: 0,
            input: vec![0; INPUT_BYTES],
            plain: Vec::new(),
            frame: Vec::new(),
            out: Outgoing::default(),
        }
    }

    pub fn counters(&self) -> &Counters {
        &self.shared.counters[self.thread]
    }

    /// After a panic in the middle of a turn: buffers that were lent out are made anew.
    pub fn repair(&mut self) {
        self.input.resize(INPUT_BYTES, 0);
        self.out.clear();
    }
}
