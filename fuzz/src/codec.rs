//! The codec of frames. A client's frame that is taken keeps its limits and, encoded and decoded again, is the same; a
//! server's frame that our encoder writes is what prost would write, in one whole WebSocket message.
//!
//! Input: a byte that says which; then a message to decode, or the fields of a frame to encode.

use _engine::codec::{self, pb, ClientFrame, Decoded, Encoder, Form};
use _engine::limits::Limits;
use _engine::ws;
use prost::Message;

use crate::input::Input;

const KINDS: u8 = 11;
const BAD_FRAME: u16 = _engine::catalogue::close::BAD_FRAME;
const PAYLOAD_TOO_LARGE: u16 = _engine::catalogue::close::PAYLOAD_TOO_LARGE;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() % 3 {
        0 => decode(input.0),
        1 => decode(&client_frame(&mut input).encode_to_vec()),
        _ => encode(&mut input),
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.set("token_bytes_max", 40).expect("a limit");
    limits.set("payload_bytes_max", 60).expect("a limit");
    limits
}

fn decode(message: &[u8]) {
    let frame = match codec::decode(message, &limits()) {
        Err(code) => {
            assert!(matches!(code, BAD_FRAME | PAYLOAD_TOO_LARGE), "{code}");
            return;
        }
        Ok(Decoded::Unknown(_)) => {
            let frame = pb::ClientFrame::decode(message).expect("it was decoded once");
            assert!(frame.body.is_none());
            return;
        }
        Ok(Decoded::Frame(frame)) => frame,
    };
    assert!((1..=7).contains(&codec::kind(&frame)));
    keeps_limits(&frame);
    let again = pb::ClientFrame {
        body: Some(frame.clone()),
    }
    .encode_to_vec();
    assert_eq!(codec::decode(&again, &limits()), Ok(Decoded::Frame(frame)));
}

/// What Python may rely on (core/frames.py).
fn keeps_limits(frame: &ClientFrame) {
    match frame {
        ClientFrame::Hello(hello) => assert!(hello.token.len() <= 40),
        ClientFrame::Refresh(refresh) => assert!(refresh.token.len() <= 40),
        ClientFrame::Send(send) => {
            assert!(send.payload.len() <= 60 && send.conversation.len() <= 64);
            assert!(send.message_id.len() == 16 && send.alg >= 0 && send.content_type >= 0);
        }
        ClientFrame::Read(read) => assert!(read.conversation.len() <= 64),
        ClientFrame::Typing(typing) => assert!(typing.conversation.len() <= 64),
        ClientFrame::Watch(watch) => {
            assert!(watch.users.len() <= 4096 && watch.users.iter().all(|user| user.len() == 16));
        }
        ClientFrame::Ack(_) => {}
    }
}

fn some(input: &mut Input<'_>) -> Vec<u8> {
    // Around the lengths that matter: ids, conversations, and the lowered limits.
    const LENGTHS: [usize; 12] = [0, 1, 15, 16, 17, 32, 40, 41, 60, 61, 64, 65];
    let length = LENGTHS[usize::from(input.byte()) % LENGTHS.len()];
    let mut bytes = input.bytes(length).to_vec();
    bytes.resize(length, b'x');
    bytes
}

fn text(input: &mut Input<'_>) -> String {
    String::from_utf8_lossy(&some(input)).into_owned()
}

fn client_frame(input: &mut Input<'_>) -> pb::ClientFrame {
    let body = match input.byte() % 8 {
        0 => return pb::ClientFrame { body: None },
        1 => ClientFrame::Hello(pb::Hello {
            token: text(input),
            cursor: (input.byte() % 2 == 0).then(|| pb::Cursor {
                seq: input.number(),
                rev: input.number(),
            }),
            features: (0..input.byte() % 4).map(|_| text(input)).collect(),
            client: text(input),
        }),
        2 => ClientFrame::Send(pb::Send {
            conversation: some(input),
            stream: input.number(),
            client_seq: input.number(),
            answered: input.number(),
            message_id: some(input),
            after: input.number(),
            payload: some(input),
            content_type: input.number() as i32,
            alg: input.number() as i32,
        }),
        3 => ClientFrame::Ack(pb::Ack {
            seq: input.number(),
            rev: input.number(),
        }),
        4 => ClientFrame::Read(pb::Read {
            conversation: some(input),
            seq: input.number(),
        }),
        5 => ClientFrame::Typing(pb::SetTyping {
            conversation: some(input),
            active: input.byte() % 2 == 0,
        }),
        6 => ClientFrame::Watch(pb::Watch {
            users: (0..input.byte() % 4).map(|_| some(input)).collect(),
        }),
        _ => ClientFrame::Refresh(pb::Refresh { token: text(input) }),
    };
    pb::ClientFrame { body: Some(body) }
}

fn encode(input: &mut Input<'_>) {
    let kind = 1 + input.byte() % KINDS;
    let shape = codec::shape(kind).expect("every kind has a shape");
    let mut encoder = Encoder::default();
    encoder.start();
    for &(field, form) in shape {
        match form {
            Form::U64 => encoder.number(field, input.number()),
            Form::U32 => encoder.number(field, u64::from(input.number() as u32)),
            Form::Flag => encoder.number(field, u64::from(input.byte() % 2)),
            Form::Bytes => encoder.bytes(field, &some(input)),
            Form::Text => encoder.bytes(field, text(input).as_bytes()),
            Form::Texts => {
                (0..input.byte() % 4).for_each(|_| encoder.item(field, text(input).as_bytes()))
            }
            Form::Limits => encoder.limits(
                field,
                &std::array::from_fn::<u32, 6, _>(|_| input.number() as u32),
            ),
        }
    }
    let mut out = Vec::new();
    encoder.finish(kind, &mut out);
    assert_eq!(ws::whole_frames(&out, 1), out.len(), "one whole message");
    let start = match out[1] {
        0..=125 => 2,
        126 => 4,
        other => panic!("{other}: masked, or too long"),
    };
    let frame = pb::ServerFrame::decode(&out[start..]).expect("what is written can be read");
    assert!(frame.body.is_some());
    // The order of fields may differ from prost's; an enum above 2^31 takes it ten bytes, for the sign.
    let again = frame.encode_to_vec();
    assert!(again.len() >= out.len() - start, "{frame:?}");
    assert_eq!(pb::ServerFrame::decode(&again[..]), Ok(frame));
}
