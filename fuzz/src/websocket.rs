//! Our WebSocket reader against tungstenite's, on the same bytes in the same pieces: same messages, same kind of error.
//!
//! tungstenite, because it reads from a plain `Read` (so that the pieces are ours to choose), needs no runtime, shares no
//! code with us and passes the Autobahn suite. `differs_rightly` argues every difference that is allowed.
//!
//! Input: one byte for the largest message, one that seeds the sizes of the pieces, then the stream.

use std::io::{self, Read, Write};

use _engine::ws::{Item, Reader, Violation};
use tungstenite::error::Error;
use tungstenite::protocol::{frame::coding::CloseCode, Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use crate::input::Input;

/// What a reader found; both are brought to this.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Protocol,
    Text,
    Utf8,
    TooBig,
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let max = 125 + usize::from(input.byte()) * 300; // a control frame always fits
    let mut seed = u32::from(input.byte());
    let stream = input.0;
    let whole = ours(&[stream], max);
    let pieces = cut(stream, &mut seed);
    let dripped = ours(&pieces, max);
    assert_eq!(whole.0, dripped.0, "the pieces change what is understood");
    assert_eq!(whole.1, dripped.1, "the pieces change the end");
    compare(&dripped, &theirs(&pieces, max), stream, max);
}

fn cut<'a>(mut stream: &'a [u8], seed: &mut u32) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while !stream.is_empty() {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let most = [1, 3, 16, 200, 5000][(*seed >> 13) as usize % 5];
        let count = (1 + (*seed >> 16) as usize % most).min(stream.len());
        let (piece, rest) = stream.split_at(count);
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

/// What was found, how it ended, where the frame begins at which it ended, and whether that is within a message in parts.
type Outcome = (Vec<Found>, Option<End>, usize, bool);

fn ours(pieces: &[&[u8]], max: usize) -> Outcome {
    let (mut reader, mut waiting, mut found) = (Reader::default(), Vec::new(), Vec::new());
    let (mut at, mut is_within) = (0, false);
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            let (used, item) = match reader.next(&mut waiting, max) {
                Ok(Some((used, item))) => (used, item),
                Ok(None) => break,
                Err(violation) => {
                    let end = match violation {
                        Violation::Protocol => End::Protocol,
                        Violation::Text => End::Text,
                        Violation::Utf8 => End::Utf8,
                        Violation::TooBig => End::TooBig,
                    };
                    return (found, Some(end), at, is_within);
                }
            };
            let item = match item {
                Item::Message(message) => Some(Found::Message(message.to_vec())),
                Item::Joined(message) => Some(Found::Message(message)),
                Item::Part => {
                    is_within = true;
                    None
                }
                Item::Ping(payload) => Some(Found::Ping(payload.to_vec())),
                Item::Pong => Some(Found::Pong),
                Item::Close(code) => Some(Found::Close(code)),
            };
            if let Some(Found::Message(message)) = &item {
                is_within = false;
                assert!(message.len() <= max, "larger than the limit");
            }
            let is_close = matches!(item, Some(Found::Close(_)));
            found.extend(item);
            at += used;
            waiting.drain(..used);
            if is_close {
                return (found, None, at, is_within); // nothing after it is looked at
            }
        }
        assert!(
            waiting.len() < max + 14 + piece.len(),
            "a frame above the limit is waited for"
        );
    }
    (found, None, at, is_within)
}

/// Gives one piece for each read, and "not now" between them.
struct Pieces<'a> {
    pieces: std::slice::Iter<'a, &'a [u8]>,
    rest: &'a [u8],
}

impl Read for Pieces<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.rest.len().min(space.len());
        space[..count].copy_from_slice(&self.rest[..count]);
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(pieces: &[&[u8]], max: usize) -> (Vec<Found>, Option<End>) {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(max))
        .max_frame_size(Some(max));
    let source = Pieces {
        pieces: pieces.iter(),
        rest: &[],
    };
    let mut socket = WebSocket::from_raw_socket(source, Role::Server, Some(config));
    let mut found = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Binary(bytes)) => found.push(Found::Message(bytes.to_vec())),
            Ok(Message::Text(_)) => return (found, Some(End::Text)), // we take no text
            Ok(Message::Ping(payload)) => found.push(Found::Ping(payload.to_vec())),
            Ok(Message::Pong(_)) => found.push(Found::Pong),
            Ok(Message::Close(frame)) => {
                let code = frame.map(|frame| frame.code);
                // It answers a code that may not be sent with PROTOCOL_ERROR, and hides which one it was.
                found.push(Found::Close(code.map(CloseCode::into)));
                return (found, None);
            }
            Ok(Message::Frame(_)) => unreachable!("only written, never read"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                let source = socket.get_mut();
                match source.pieces.next() {
                    Some(piece) => source.rest = piece,
                    None => return (found, None),
                }
            }
            Err(Error::Protocol(_)) => return (found, Some(End::Protocol)),
            Err(Error::Capacity(_)) => return (found, Some(End::TooBig)),
            Err(Error::Utf8(_)) => return (found, Some(End::Utf8)),
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn compare(ours: &Outcome, theirs: &(Vec<Found>, Option<End>), stream: &[u8], max: usize) {
    let (our_found, our_end, at, is_within) = ours;
    let (their_found, their_end) = theirs;
    if our_found == their_found && our_end == their_end {
        return;
    }
    let Some(our_end) = our_end else {
        // 1014 (bad gateway, registered with IANA after RFC 6455) is a code that tungstenite does not know.
        let (last, rest) = our_found.split_last().expect("else both found nothing");
        let is_1014 = *last == Found::Close(Some(1014))
            && their_found.last() == Some(&Found::Close(Some(1002)))
            && their_found.len() == our_found.len()
            && their_found.starts_with(rest);
        assert!(is_1014, "we take what they do not: {ours:?}, {theirs:?}");
        return;
    };
    // We stop. Up to there both must have found the same; they may have gone on only for the reasons below.
    assert!(
        their_found.starts_with(our_found),
        "{ours:?}, {theirs:?}: different before the mistake"
    );
    let went_on = &their_found[our_found.len()..];
    assert!(
        differs_rightly(
            *our_end,
            *their_end,
            went_on,
            &Front::read(&stream[*at..], *is_within),
            max
        ),
        "{ours:?}, {theirs:?}"
    );
}

/// Whether the two may differ about this frame, which is the one that we refuse.
fn differs_rightly(
    ours: End,
    theirs: Option<End>,
    went_on: &[Found],
    frame: &Front,
    max: usize,
) -> bool {
    // We refuse a frame by its header, they wait for the whole of it.
    if frame.is_incomplete && went_on.is_empty() && theirs.is_none() {
        return true;
    }
    match ours {
        // Text is no part of our protocol: refused by its first byte. They take it, also in parts with others between
        // them, or find it too big, not masked, not UTF-8, or with reserved bits.
        End::Text => frame.opcode == 1 && !frame.is_misplaced && frame.first & 0x70 == 0,
        // RFC 6455, 5.2: "the minimal number of bytes MUST be used". They do not insist, and go on to whatever follows.
        End::Protocol if frame.is_padded => true,
        // A header with several mistakes: they look at the length first, we at the first byte and the mask.
        End::Protocol if theirs == Some(End::TooBig) => {
            went_on.is_empty() && frame.is_wrong() && frame.length > max as u64
        }
        // A close code that must not be sent: they take the frame and answer PROTOCOL_ERROR. When its reason is not UTF-8
        // either, they say that.
        End::Protocol if frame.opcode == 8 => {
            theirs == Some(End::Utf8) || (theirs.is_none() && went_on == [Found::Close(Some(1002))])
        }
        End::Protocol | End::Utf8 | End::TooBig => false,
    }
}

/// A frame's header, read once more without any judgement.
struct Front {
    first: u8,
    opcode: u8,
    is_masked: bool,
    length: u64,
    is_padded: bool,
    is_incomplete: bool,
    is_misplaced: bool, // a continuation of nothing, or a message within another
}

impl Front {
    fn read(stream: &[u8], is_within: bool) -> Self {
        let byte = |at: usize| stream.get(at).copied().unwrap_or(0);
        let (first, second) = (byte(0), byte(1));
        let opcode = first & 0x0f;
        let (wide, least) = match second & 0x7f {
            126 => (2, 126),
            127 => (8, 1 << 16),
            _ => (0, 0),
        };
        let long = (2..2 + wide).fold(0, |sum, at| sum << 8 | u64::from(byte(at)));
        let length = if wide == 0 {
            u64::from(second & 0x7f)
        } else {
            long
        };
        let is_masked = second & 0x80 != 0;
        let header = 2 + wide + if is_masked { 4 } else { 0 };
        let has_length = stream.len() >= 2 + wide;
        Self {
            first,
            opcode,
            is_misplaced: opcode < 8 && is_within != (opcode == 0),
            is_masked,
            length,
            is_padded: has_length && length < least,
            is_incomplete: (stream.len() as u64) < (header as u64).saturating_add(length),
        }
    }

    /// Wrong, however long it may be.
    fn is_wrong(&self) -> bool {
        let is_control = self.opcode >= 8;
        self.first & 0x70 != 0
            || !self.is_masked
            || !matches!(self.opcode, 0..=2 | 8..=10)
            || (is_control && (self.first & 0x80 == 0 || self.length > 125))
            || self.is_misplaced
            || self.is_padded
            || self.length >> 63 != 0
    }
}
