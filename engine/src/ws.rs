//! RFC 6455, the server's side: finds frames in received bytes and writes frame headers. No I/O, no clock.
//!
//! Only binary messages are understood. A reader keeps nothing but the fragments of an unfinished message; an incomplete frame
//! stays with the caller, who passes it again with what follows.

use crate::catalogue::close;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const CONTROL_BYTES_MAX: usize = 125;

/// A rule that the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    Protocol,
    Text,
    Utf8,
    TooBig,
}

impl Violation {
    /// The close code that answers it.
    pub fn code(self) -> u16 {
        match self {
            Self::Protocol => close::PROTOCOL_ERROR,
            Self::Text => close::TEXT_FRAME,
            Self::Utf8 => close::INVALID_UTF8,
            Self::TooBig => close::TOO_BIG,
        }
    }
}

/// What one frame was.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A message of one frame.
    Message(&'a [u8]),
    /// A message of several frames.
    Joined(Vec<u8>),
    /// A part of a message; more will follow.
    Part,
    Ping(&'a [u8]),
    Pong,
    /// The code is missing when the frame had none.
    Close(Option<u16>),
}

struct Header {
    last: bool,
    opcode: u8,
    mask: [u8; 4],
    start: usize,  // of the payload
    length: usize, // of the payload
}

/// Reads the frames of one connection.
#[derive(Default)]
pub struct Reader {
    parts: Option<Vec<u8>>, // of an unfinished message
}

impl Reader {
    /// The first frame of `input` (unmasked in place) and how many bytes it took; `None` while it is incomplete.
    ///
    /// `max` is the largest message in bytes, all fragments together.
    pub fn next<'a>(
        &mut self,
        input: &'a mut [u8],
        max: usize,
    ) -> Result<Option<(usize, Item<'a>)>, Violation> {
        let Some(header) = self.header(input, max)? else {
            return Ok(None);
        };
        let end = header.start + header.length;
        if input.len() < end {
            return Ok(None);
        }
        let payload = &mut input[header.start..end];
        unmask(payload, header.mask);
        let item = match header.opcode {
            CLOSE => Item::Close(close_code(payload)?),
            PING => Item::Ping(payload),
            PONG => Item::Pong,
            _ => self.data(header.last, payload),
        };
        Ok(Some((end, item)))
    }

    fn header(&self, input: &[u8], max: usize) -> Result<Option<Header>, Violation> {
        let [first, second, rest @ ..] = input else {
            // One byte is enough to refuse a wrong one.
            return input
                .first()
                .map_or(Ok(None), |&first| self.check_first(first).map(|()| None));
        };
        self.check_first(*first)?;
        let (last, opcode) = (first & FINAL != 0, first & 0x0f);
        if second & MASKED == 0 {
            return Err(Violation::Protocol);
        }
        let short = usize::from(second & 0x7f);
        if opcode >= CLOSE && (short > CONTROL_BYTES_MAX || !last) {
            return Err(Violation::Protocol);
        }
        let Some((length, taken)) = length(short, rest)? else {
            return Ok(None);
        };
        let before = self.parts.as_ref().map_or(0, Vec::len);
        if opcode < CLOSE && length > (max.saturating_sub(before)) as u64 {
            return Err(Violation::TooBig);
        }
        let Some(mask) = rest.get(taken..taken + 4) else {
            return Ok(None);
        };
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        Ok(Some(Header {
            last,
            opcode,
            mask,
            start: 2 + taken + 4,
            length: length as usize,
        }))
    }

    fn check_first(&self, first: u8) -> Result<(), Violation> {
        if first & RESERVED != 0 {
            return Err(Violation::Protocol);
        }
        match (first & 0x0f, self.parts.is_some()) {
            (CONTINUATION, true) | (BINARY, false) | (CLOSE | PING | PONG, _) => Ok(()),
            (TEXT, false) => Err(Violation::Text),
            _ => Err(Violation::Protocol),
        }
    }

    fn data<'a>(&mut self, last: bool, payload: &'a [u8]) -> Item<'a> {
        match (self.parts.take(), last) {
            (None, true) => Item::Message(payload),
            (Some(mut parts), true) => {
                parts.extend_from_slice(payload);
                Item::Joined(parts)
            }
            (parts, false) => {
                let mut parts = parts.unwrap_or_default();
                parts.extend_from_slice(payload);
                self.parts = Some(parts);
                Item::Part
            }
        }
    }
}

/// The payload's length and how many bytes said it; `None` while they are incomplete. It must be in the shortest form.
fn length(short: usize, rest: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let (length, taken, least) = match short {
        126 => match rest.first_chunk::<2>() {
            Some(&bytes) => (u64::from(u16::from_be_bytes(bytes)), 2, 126),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(&bytes) => (u64::from_be_bytes(bytes), 8, 1 << 16),
            None => return Ok(None),
        },
        _ => (short as u64, 0, 0),
    };
    if length < least || length >> 63 != 0 {
        return Err(Violation::Protocol);
    }
    Ok(Some((length, taken)))
}

pub fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(eight) ^ wide).to_ne_bytes());
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let [high, low, reason @ ..] = payload else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(Violation::Protocol)
        };
    };
    let code = u16::from_be_bytes([*high, *low]);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::Protocol);
    }
    std::str::from_utf8(reason).map_err(|_| Violation::Utf8)?;
    Ok(Some(code))
}

/// Writes the header of an unmasked final frame.
pub fn write_header(out: &mut Vec<u8>, opcode: u8, length: usize) {
    out.push(FINAL | opcode);
    if length <= CONTROL_BYTES_MAX {
        out.push(length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(126);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// The length of the whole frames, written by `write_header`, at the front of `frames` that fit into `max`; at least one.
pub fn whole_frames(frames: &[u8], max: usize) -> usize {
    let mut end = 0;
    while let [_, short, rest @ ..] = &frames[end..] {
        let Ok(Some((length, taken))) = length(usize::from(*short), rest) else {
            break;
        };
        let next = end + 2 + taken + length as usize;
        if end > 0 && next > max {
            return end;
        }
        end = next;
    }
    frames.len()
}

/// Writes a close frame; without a code its payload is empty.
pub fn write_close(out: &mut Vec<u8>, code: Option<u16>) {
    let code = code.map(u16::to_be_bytes);
    let payload = code.as_ref().map_or(&[][..], |code| &code[..]);
    write_header(out, CLOSE, payload.len());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1000;
    const MASK: [u8; 4] = [1, 2, 3, 4];

    /// A masked client frame: first byte, payload.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_header(&mut bytes, 0, payload.len());
        bytes[0] = first;
        bytes[1] |= MASKED;
        bytes.extend_from_slice(&MASK);
        bytes.extend(
            payload
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        bytes
    }

    /// Feeds all frames in one piece and byte by byte; both must come to the same end.
    fn outcome(frames: &[Vec<u8>]) -> Result<Vec<String>, Violation> {
        let whole = read(frames.concat());
        let mut reader = Reader::default();
        let (mut waiting, mut items) = (Vec::new(), Vec::new());
        let mut dripped = Ok(());
        for byte in frames.concat() {
            waiting.push(byte);
            match reader.next(&mut waiting, MAX) {
                Ok(Some((used, item))) => {
                    items.push(format!("{item:?}"));
                    assert_eq!(used, waiting.len());
                    waiting.clear();
                }
                Ok(None) => {}
                Err(violation) => {
                    dripped = Err(violation);
                    break;
                }
            }
        }
        assert_eq!(whole, dripped.map(|()| items));
        whole
    }

    fn read(mut bytes: Vec<u8>) -> Result<Vec<String>, Violation> {
        let (mut reader, mut at, mut items) = (Reader::default(), 0, Vec::new());
        while let Some((used, item)) = reader.next(&mut bytes[at..], MAX)? {
            items.push(format!("{item:?}"));
            at += used;
        }
        Ok(items)
    }

    #[test]
    fn whole_messages_of_every_length_form() {
        for size in [0, 1, 7, 8, 9, 125, 126, 127, 1000] {
            let payload: Vec<u8> = (0..size).map(|i| i as u8).collect();
            assert_eq!(
                outcome(&[frame(0x82, &payload)]).unwrap(),
                [format!("{:?}", Item::Message(&payload))]
            );
        }
    }

    #[test]
    fn a_length_of_64_bits() {
        let payload = vec![7; 70_000];
        let mut bytes = frame(0x82, &payload);
        let (used, item) = Reader::default().next(&mut bytes, 70_000).unwrap().unwrap();
        assert_eq!((used, item), (14 + 70_000, Item::Message(&payload)));
        assert_eq!(
            Reader::default().next(&mut frame(0x82, &payload), 69_999),
            Err(Violation::TooBig)
        );
    }

    #[test]
    fn fragments_are_joined_and_control_frames_may_come_between() {
        let got = outcome(&[
            frame(0x02, b"ab"),
            frame(0x89, b"?"),
            frame(0x00, b""),
            frame(0x8a, b"!"),
            frame(0x80, b"c"),
        ]);
        let want = [
            Item::Part,
            Item::Ping(b"?"),
            Item::Part,
            Item::Pong,
            Item::Joined(b"abc".to_vec()),
        ];
        assert_eq!(got.unwrap(), want.map(|item| format!("{item:?}")));
    }

    #[test]
    fn closes_carry_their_code() {
        let codes = [1000, 1001, 1003, 1007, 1011, 3000, 4999];
        for code in codes {
            let payload = [&u16::to_be_bytes(code)[..], "bye ✓".as_bytes()].concat();
            assert_eq!(
                outcome(&[frame(0x88, &payload)]).unwrap(),
                [format!("{:?}", Item::Close(Some(code)))]
            );
        }
        assert_eq!(outcome(&[frame(0x88, b"")]).unwrap(), ["Close(None)"]);
    }

    #[test]
    fn broken_rules() {
        let unmasked = vec![0x82, 0x01, b'x'];
        let long_control = {
            let mut bytes = frame(0x82, &[0; 126]);
            bytes[0] = 0x89;
            bytes
        };
        let padded16 = vec![0x82, 0xfe, 0, 125, 1, 2, 3, 4];
        let padded64 = vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4];
        let top_bit = vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        let start = || frame(0x02, b"a");
        let protocol = Violation::Protocol;
        let cases: Vec<(&str, Vec<Vec<u8>>, Violation)> = vec![
            ("reserved bit 1", vec![frame(0xc2, b"")], protocol),
            ("reserved bit 2", vec![frame(0xa2, b"")], protocol),
            ("reserved bit 3", vec![frame(0x92, b"")], protocol),
            ("opcode 3", vec![frame(0x83, b"")], protocol),
            ("opcode 7", vec![frame(0x87, b"")], protocol),
            ("opcode 11", vec![frame(0x8b, b"")], protocol),
            ("opcode 15", vec![frame(0x8f, b"")], protocol),
            ("no mask", vec![unmasked], protocol),
            ("long ping", vec![long_control], protocol),
            ("ping in parts", vec![frame(0x09, b"")], protocol),
            ("close in parts", vec![frame(0x08, b"")], protocol),
            ("16 bits for 125", vec![padded16], protocol),
            ("64 bits for 65535", vec![padded64], protocol),
            ("length with top bit", vec![top_bit], protocol),
            ("continuation of nothing", vec![frame(0x80, b"")], protocol),
            (
                "message within a message",
                vec![start(), frame(0x82, b"")],
                protocol,
            ),
            (
                "text within a message",
                vec![start(), frame(0x81, b"")],
                protocol,
            ),
            (
                "continuation after the end",
                vec![start(), frame(0x80, b""), frame(0x80, b"")],
                protocol,
            ),
            ("close of one byte", vec![frame(0x88, b"\x03")], protocol),
            ("close code 999", vec![frame(0x88, &[0x03, 0xe7])], protocol),
            (
                "close code 1004",
                vec![frame(0x88, &[0x03, 0xec])],
                protocol,
            ),
            (
                "close code 1005",
                vec![frame(0x88, &[0x03, 0xed])],
                protocol,
            ),
            (
                "close code 1006",
                vec![frame(0x88, &[0x03, 0xee])],
                protocol,
            ),
            (
                "close code 1015",
                vec![frame(0x88, &[0x03, 0xf7])],
                protocol,
            ),
            (
                "close code 2999",
                vec![frame(0x88, &[0x0b, 0xb7])],
                protocol,
            ),
            (
                "close code 5000",
                vec![frame(0x88, &[0x13, 0x88])],
                protocol,
            ),
            (
                "close reason",
                vec![frame(0x88, b"\x03\xe8\xff")],
                Violation::Utf8,
            ),
            ("text", vec![frame(0x81, b"hello")], Violation::Text),
            (
                "text in parts",
                vec![frame(0x01, b"hello")],
                Violation::Text,
            ),
            (
                "too big",
                vec![frame(0x82, &[0; MAX + 1])],
                Violation::TooBig,
            ),
            (
                "too big in parts",
                vec![frame(0x02, &[0; MAX]), frame(0x80, b"x")],
                Violation::TooBig,
            ),
        ];
        for (name, frames, violation) in cases {
            assert_eq!(outcome(&frames), Err(violation), "{name}");
        }
    }

    #[test]
    fn a_huge_length_is_refused_before_its_bytes_come() {
        let mut header = vec![0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(
            Reader::default().next(&mut header, MAX),
            Err(Violation::TooBig)
        );
    }

    #[test]
    fn frames_are_cut_only_between_frames() {
        let mut frames = Vec::new();
        for size in [10, 200, 70_000, 0] {
            write_header(&mut frames, BINARY, size);
            frames.resize(frames.len() + size, 0);
        }
        let ends = [12, 12 + 204, 12 + 204 + 70_010, 12 + 204 + 70_010 + 2];
        assert_eq!(whole_frames(&frames, 1), ends[0]);
        assert_eq!(whole_frames(&frames, ends[1]), ends[1]);
        assert_eq!(whole_frames(&frames, ends[2] - 1), ends[1]);
        assert_eq!(whole_frames(&frames[ends[1]..], 100), 70_010);
        assert_eq!(whole_frames(&frames, 100_000), ends[3]);
        assert_eq!(whole_frames(&[], 100), 0);
    }

    #[test]
    fn a_close_frame_is_written_with_and_without_a_code() {
        let mut out = Vec::new();
        write_close(&mut out, Some(1000));
        write_close(&mut out, None);
        assert_eq!(out, [0x88, 2, 0x03, 0xe8, 0x88, 0]);
    }
}
