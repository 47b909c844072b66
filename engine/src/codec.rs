//! The protocol's frames: protobuf in, flat records out, and back. Pure.
//!
//! Decoding is prost's. Encoding is done field by field from whatever the binding holds, by the tables below, so that nothing
//! is copied into a message first; the tests check them against prost.

use prost::encoding::{encode_varint, WireType};
use prost::Message;

use crate::catalogue::{close, error};
use crate::limits::Limits;
use crate::ws;

pub mod pb {
    #![allow(missing_docs, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/iris.v1.rs"));
}

pub use pb::client_frame::Body as ClientFrame;

const ID_BYTES: usize = 16;
const CONVERSATION_BYTES_MAX: usize = 64;
const WATCH_USERS_MAX: usize = 4096; // far above watches_max, which the edge answers

/// What a message from a client was.
#[derive(Debug, PartialEq)]
pub enum Decoded {
    Frame(ClientFrame),
    /// A frame that this server does not know, by its field number; 0 when there was none.
    Unknown(u32),
}

/// Decodes one message. The error is the close code for what is wrong with it.
pub fn decode(message: &[u8], limits: &Limits) -> Result<Decoded, u16> {
    let frame = pb::ClientFrame::decode(message).map_err(|_| close::BAD_FRAME)?;
    match frame.body {
        Some(body) => check(&body, limits).map(|()| Decoded::Frame(body)),
        None => Ok(Decoded::Unknown(first_field(message))),
    }
}

fn check(frame: &ClientFrame, limits: &Limits) -> Result<(), u16> {
    let good = match frame {
        ClientFrame::Hello(hello) => hello.token.len() as u64 <= limits.token_bytes_max,
        ClientFrame::Refresh(refresh) => refresh.token.len() as u64 <= limits.token_bytes_max,
        ClientFrame::Send(send) => {
            if send.payload.len() as u64 > limits.payload_bytes_max {
                return Err(close::PAYLOAD_TOO_LARGE);
            }
            let enums = send.content_type >= 0 && send.alg >= 0;
            enums
                && send.message_id.len() == ID_BYTES
                && send.conversation.len() <= CONVERSATION_BYTES_MAX
        }
        ClientFrame::Read(read) => read.conversation.len() <= CONVERSATION_BYTES_MAX,
        ClientFrame::Typing(typing) => typing.conversation.len() <= CONVERSATION_BYTES_MAX,
        ClientFrame::Watch(watch) => {
            watch.users.len() <= WATCH_USERS_MAX
                && watch.users.iter().all(|user| user.len() == ID_BYTES)
        }
        ClientFrame::Ack(_) => true,
    };
    good.then_some(()).ok_or(close::BAD_FRAME)
}

/// The field number at the front of a well-formed message.
fn first_field(mut message: &[u8]) -> u32 {
    prost::encoding::decode_varint(&mut message).map_or(0, |key| (key >> 3) as u32)
}

/// The field number of a client's frame in ClientFrame, which is also its kind for Python.
pub fn kind(frame: &ClientFrame) -> u8 {
    match frame {
        ClientFrame::Hello(_) => 1,
        ClientFrame::Send(_) => 2,
        ClientFrame::Ack(_) => 3,
        ClientFrame::Read(_) => 4,
        ClientFrame::Typing(_) => 5,
        ClientFrame::Watch(_) => 6,
        ClientFrame::Refresh(_) => 7,
    }
}

/// How an item of a tuple stands in its protobuf field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    U64,
    U32,
    Flag,
    Bytes,
    Text,
    Texts,
    Limits, // six numbers, in the order of iris.v1.Limits
}

/// The items of a server frame's tuple after kind and connection: field number and form.
pub type Shape = &'static [(u32, Form)];

use Form::{Bytes, Flag, Limits as LimitNumbers, Text, Texts, U32, U64};

const WELCOME: Shape = &[
    (1, Bytes),
    (3, U64),
    (4, U64),
    (5, U64),
    (6, U64),
    (7, Flag),
    (8, Bytes),
    (9, U32),
    (10, Texts),
    (11, U64),
    (2, LimitNumbers),
];
const ACCEPTED: Shape = &[
    (1, Bytes),
    (2, U64),
    (3, U64),
    (4, Bytes),
    (5, U64),
    (6, U64),
];
const REJECTED: Shape = &[
    (1, Bytes),
    (2, U64),
    (3, U64),
    (4, Bytes),
    (5, U32),
    (6, U32),
    (7, U64),
    (8, U64),
    (9, U32),
];
const DELIVER: Shape = &[
    (1, U64),
    (2, U64),
    (3, U32),
    (4, Bytes),
    (5, Bytes),
    (6, U32),
    (7, Bytes),
    (8, U64),
    (9, U64),
    (10, Bytes),
    (11, U32),
    (12, U32),
];
const RECEIPT: Shape = &[(1, U64), (2, U64), (3, Bytes), (4, U64), (5, U64)];
const READ_SYNC: Shape = &[(1, U64), (2, U64), (3, Bytes), (4, U64)];
const PRESENCE: Shape = &[(1, Bytes), (2, U32), (3, U64)];
const TYPING: Shape = &[(1, Bytes), (2, Bytes), (3, Flag)];
const GO_AWAY: Shape = &[(1, U32)];
const REFRESHED: Shape = &[(1, U64)];
const PROBLEM: Shape = &[(1, U32), (2, U32), (3, U32), (4, U32), (5, Text)];

pub const KIND_WELCOME: u8 = 1;
const KIND_PROBLEM: u8 = 11;
/// Not a frame: the order to close a connection, and the news that one is gone.
pub const KIND_CLOSE: u8 = 15;

/// The shape of a server frame's tuple by its kind, which is its field number in ServerFrame.
pub fn shape(kind: u8) -> Option<Shape> {
    const SHAPES: [Shape; 11] = [
        WELCOME, ACCEPTED, REJECTED, DELIVER, RECEIPT, READ_SYNC, PRESENCE, TYPING, GO_AWAY,
        REFRESHED, PROBLEM,
    ];
    SHAPES.get(usize::from(kind).wrapping_sub(1)).copied()
}

/// Builds the body of one frame at a time; reused, so that it allocates only until it has grown.
#[derive(Default)]
pub struct Encoder {
    body: Vec<u8>,
}

impl Encoder {
    pub fn start(&mut self) {
        self.body.clear();
    }

    /// A number, flag or enum; zero is left out.
    pub fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.key(field, WireType::Varint);
            encode_varint(value, &mut self.body);
        }
    }

    /// Bytes or text; empty ones are left out.
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.item(field, value);
        }
    }

    /// One item of a repeated field, or a message; written even when it is empty.
    pub fn item(&mut self, field: u32, value: &[u8]) {
        self.key(field, WireType::LengthDelimited);
        encode_varint(value.len() as u64, &mut self.body);
        self.body.extend_from_slice(value);
    }

    /// iris.v1.Limits from its numbers in order.
    pub fn limits(&mut self, field: u32, numbers: &[u32]) {
        let mut inner = Self::default();
        for (number, value) in (1..).zip(numbers) {
            inner.number(number, u64::from(*value));
        }
        self.item(field, &inner.body);
    }

    /// Appends the frame, as one WebSocket message, to `out`.
    pub fn finish(&self, kind: u8, out: &mut Vec<u8>) {
        let mut front = Self::default();
        front.key(u32::from(kind), WireType::LengthDelimited);
        encode_varint(self.body.len() as u64, &mut front.body);
        ws::write_header(out, ws::BINARY, front.body.len() + self.body.len());
        out.extend_from_slice(&front.body);
        out.extend_from_slice(&self.body);
    }

    fn key(&mut self, field: u32, wire: WireType) {
        encode_varint(u64::from(field << 3 | wire as u32), &mut self.body);
    }
}

/// Appends the answer to a frame that is not known, as one WebSocket message.
pub fn write_unsupported(frame: u32, out: &mut Vec<u8>) {
    let mut encoder = Encoder::default();
    encoder.number(1, u64::from(error::UNSUPPORTED));
    encoder.number(2, u64::from(frame));
    encoder.number(3, pb::Retry::Never as u64);
    encoder.finish(KIND_PROBLEM, out);
}

#[cfg(test)]
mod tests {
    use super::pb::server_frame::Body;
    use super::*;

    fn message(body: ClientFrame) -> Vec<u8> {
        pb::ClientFrame { body: Some(body) }.encode_to_vec()
    }

    fn send() -> pb::Send {
        pb::Send {
            conversation: vec![1; 32],
            stream: 1,
            client_seq: 2,
            answered: 1,
            message_id: vec![2; 16],
            after: 3,
            payload: b"hi".to_vec(),
            content_type: 1,
            alg: 0,
        }
    }

    fn small() -> Limits {
        let mut limits = Limits::default();
        limits.set("token_bytes_max", 10).unwrap();
        limits.set("payload_bytes_max", 10).unwrap();
        limits
    }

    #[test]
    fn good_frames_come_out_as_they_went_in() {
        let hello = pb::Hello {
            token: "t".repeat(10),
            cursor: Some(pb::Cursor { seq: 1, rev: 2 }),
            features: vec!["x".into()],
            client: "c".into(),
        };
        let frames = [
            ClientFrame::Hello(hello),
            ClientFrame::Send(pb::Send {
                payload: vec![0; 10],
                content_type: 99,
                ..send()
            }),
            ClientFrame::Ack(pb::Ack {
                seq: u64::MAX,
                rev: 0,
            }),
            ClientFrame::Read(pb::Read {
                conversation: vec![1; 64],
                seq: 1,
            }),
            ClientFrame::Typing(pb::SetTyping {
                conversation: vec![1; 32],
                active: true,
            }),
            ClientFrame::Watch(pb::Watch {
                users: vec![vec![1; 16]; 4096],
            }),
            ClientFrame::Refresh(pb::Refresh { token: "t".into() }),
        ];
        for (number, frame) in (1..).zip(frames) {
            assert_eq!(kind(&frame), number);
            assert_eq!(
                decode(&message(frame.clone()), &small()),
                Ok(Decoded::Frame(frame))
            );
        }
    }

    #[test]
    fn malformed_fields_are_bad_frames() {
        let bad = [
            ClientFrame::Hello(pb::Hello {
                token: "t".repeat(11),
                ..Default::default()
            }),
            ClientFrame::Refresh(pb::Refresh {
                token: "t".repeat(11),
            }),
            ClientFrame::Send(pb::Send {
                message_id: vec![2; 15],
                ..send()
            }),
            ClientFrame::Send(pb::Send {
                message_id: vec![2; 17],
                ..send()
            }),
            ClientFrame::Send(pb::Send {
                message_id: vec![],
                ..send()
            }),
            ClientFrame::Send(pb::Send {
                conversation: vec![1; 65],
                ..send()
            }),
            ClientFrame::Send(pb::Send {
                content_type: -1,
                ..send()
            }),
            ClientFrame::Send(pb::Send { alg: -1, ..send() }),
            ClientFrame::Read(pb::Read {
                conversation: vec![1; 65],
                seq: 1,
            }),
            ClientFrame::Typing(pb::SetTyping {
                conversation: vec![1; 65],
                active: true,
            }),
            ClientFrame::Watch(pb::Watch {
                users: vec![vec![1; 16]; 4097],
            }),
            ClientFrame::Watch(pb::Watch {
                users: vec![vec![1; 15]],
            }),
        ];
        for frame in bad {
            assert_eq!(
                decode(&message(frame.clone()), &small()),
                Err(close::BAD_FRAME),
                "{frame:?}"
            );
        }
        let large = ClientFrame::Send(pb::Send {
            payload: vec![0; 11],
            ..send()
        });
        assert_eq!(
            decode(&message(large), &small()),
            Err(close::PAYLOAD_TOO_LARGE)
        );
    }

    #[test]
    fn a_cut_message_is_a_bad_frame_or_a_shorter_frame_never_a_panic() {
        let whole = message(ClientFrame::Send(send()));
        for end in 1..whole.len() {
            assert_eq!(
                decode(&whole[..end], &Limits::default()),
                Err(close::BAD_FRAME),
                "{end}"
            );
        }
        for bytes in [
            &b"\xff\xff\xff\xff"[..],
            b"hello world",
            b"\x0a\xff\xff\xff\xff\x0f",
            b"\x0b",
            b"\x00",
        ] {
            assert_eq!(
                decode(bytes, &Limits::default()),
                Err(close::BAD_FRAME),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn unknown_frames_are_named_and_unknown_fields_ignored() {
        let limits = Limits::default();
        assert_eq!(decode(b"", &limits), Ok(Decoded::Unknown(0)));
        assert_eq!(
            decode(
                &[99 << 3 & 0x7f | 2 | 0x80, (99 << 3 >> 7) as u8, 1, 7],
                &limits
            ),
            Ok(Decoded::Unknown(99))
        );
        let mut newer = message(ClientFrame::Ack(pb::Ack { seq: 1, rev: 2 }));
        newer.extend_from_slice(&[15 << 3, 7]); // a second, unknown field beside the frame
        assert_eq!(
            decode(&newer, &limits),
            Ok(Decoded::Frame(ClientFrame::Ack(pb::Ack { seq: 1, rev: 2 })))
        );
    }

    /// Encodes a frame whose every number is its field number, and every text a letter.
    fn sample(kind: u8) -> Vec<u8> {
        let mut encoder = Encoder::default();
        encoder.start();
        for &(field, form) in shape(kind).unwrap() {
            match form {
                U64 => encoder.number(field, u64::MAX - u64::from(field)),
                U32 => encoder.number(field, u64::from(field)),
                Flag => encoder.number(field, 1),
                Bytes => encoder.bytes(field, &[field as u8; 3]),
                Text => encoder.bytes(field, b"x"),
                Texts => ["", "y"]
                    .iter()
                    .for_each(|text| encoder.item(field, text.as_bytes())),
                LimitNumbers => encoder.limits(field, &[1, 2, 3, 4, 5, 6]),
            }
        }
        let mut out = Vec::new();
        encoder.finish(kind, &mut out);
        assert_eq!((out[0], usize::from(out[1])), (0x82, out.len() - 2));
        out.split_off(2)
    }

    #[test]
    fn what_is_encoded_is_what_prost_would_write() {
        for kind in 1..=11 {
            let bytes = sample(kind);
            let frame = pb::ServerFrame::decode(&bytes[..]).unwrap();
            // Fields are in the order of the tuple, prost's in that of their numbers: compare what they mean.
            assert_eq!(frame.encode_to_vec().len(), bytes.len(), "{frame:?}");
        }
        assert!(shape(0).is_none() && shape(12).is_none() && shape(KIND_CLOSE).is_none());
        let Some(Body::Deliver(deliver)) = pb::ServerFrame::decode(&sample(4)[..]).unwrap().body
        else {
            panic!()
        };
        assert_eq!(
            (deliver.seq, deliver.prev, deliver.kind),
            (u64::MAX - 1, u64::MAX - 2, 3)
        );
        assert_eq!(
            (deliver.conversation, deliver.message_id),
            (vec![4; 3], vec![7; 3])
        );
        let Some(Body::Welcome(welcome)) = pb::ServerFrame::decode(&sample(1)[..]).unwrap().body
        else {
            panic!()
        };
        assert_eq!(
            (
                welcome.features.len(),
                welcome.limits.unwrap().send_repeat_ms,
                welcome.reset
            ),
            (2, 6, true)
        );
    }

    #[test]
    fn an_unknown_frame_is_answered_unsupported() {
        let mut out = Vec::new();
        write_unsupported(99, &mut out);
        let Some(Body::Problem(problem)) = pb::ServerFrame::decode(&out[2..]).unwrap().body else {
            panic!()
        };
        assert_eq!(
            (problem.code, problem.frame, problem.retry),
            (error::UNSUPPORTED, 99, 1)
        );
    }
}
