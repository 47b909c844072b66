//! Fixed work for the codec, for counting instructions (bench/guard): `codec_trace decode|encode ROUNDS`.
//!
//! A round is what the engine does with the bytes of one message: `decode` unmasks and decodes a Send and two Acks, `encode`
//! writes Accepted, Deliver and Receipt. ROUNDS 0 does all but that, so that the start can be subtracted.

use std::hint::black_box;

use _engine::codec::{self, pb, ClientFrame, Decoded, Encoder, Form};
use _engine::limits::Limits;
use _engine::ws;
use prost::Message;

const SEQ: u64 = (4097 << 32) | 1000;
const AT: u64 = 1_764_000_000_000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const PAYLOAD: [u8; 128] = [b'p'; 128];
const ACCEPTED: u8 = 2;
const DELIVER: u8 = 4;
const RECEIPT: u8 = 5;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, what, rounds] = &arguments[..] else {
        return Err("usage: codec_trace decode|encode ROUNDS".into());
    };
    let rounds: usize = rounds.parse().map_err(|_| "ROUNDS is a number")?;
    match what.as_str() {
        "decode" => decode(rounds),
        "encode" => encode(rounds),
        _ => Err(format!("there is no work named {what:?}")),
    }
}

/// The frames of a client, each in its WebSocket frame.
fn input() -> Vec<u8> {
    let send = ClientFrame::Send(pb::Send {
        conversation: vec![1; 32],
        stream: 1,
        client_seq: 1000,
        answered: 999,
        message_id: vec![2; 16],
        after: AT,
        payload: PAYLOAD.to_vec(),
        content_type: 1,
        alg: 0,
    });
    let ack = ClientFrame::Ack(pb::Ack {
        seq: SEQ,
        rev: 1000,
    });
    let mut out = Vec::new();
    for body in [send, ack.clone(), ack] {
        let bytes = pb::ClientFrame { body: Some(body) }.encode_to_vec();
        let start = out.len();
        ws::write_header(&mut out, ws::BINARY, bytes.len());
        out[start + 1] |= 0x80;
        out.extend_from_slice(&MASK);
        let start = out.len();
        out.extend_from_slice(&bytes);
        ws::unmask(&mut out[start..], MASK);
    }
    out
}

fn decode(rounds: usize) -> Result<(), String> {
    let limits = Limits::default();
    let masked = input();
    let mut frames = 0;
    for _ in 0..rounds {
        let mut bytes = masked.clone(); // what the kernel would have written there
        let (mut reader, mut taken) = (ws::Reader::default(), 0);
        while taken < bytes.len() {
            let found = reader.next(&mut bytes[taken..], 100_000);
            let Ok(Some((length, ws::Item::Message(message)))) = found else {
                return Err("a frame was not read".into());
            };
            match codec::decode(black_box(message), &limits) {
                Ok(Decoded::Frame(frame)) => {
                    frames += usize::from(codec::kind(black_box(&frame)) > 0)
                }
                other => return Err(format!("a frame was not decoded: {other:?}")),
            }
            taken += length;
        }
    }
    (frames == 3 * rounds)
        .then_some(())
        .ok_or("frames were lost".into())
}

fn encode(rounds: usize) -> Result<(), String> {
    let mut encoder = Encoder::default();
    let mut out = Vec::new();
    for _ in 0..rounds {
        out.clear();
        for kind in [ACCEPTED, DELIVER, RECEIPT] {
            encoder.start();
            for &(field, form) in codec::shape(black_box(kind)).ok_or("an unknown kind")? {
                match form {
                    Form::U64 => encoder.number(field, black_box(SEQ)),
                    Form::U32 | Form::Flag => encoder.number(field, black_box(1)),
                    // Ids and the conversation are short, the payload is the tenth field.
                    _ => encoder.bytes(
                        field,
                        black_box(&PAYLOAD[..if field == 10 { 128 } else { 16 }]),
                    ),
                }
            }
            encoder.finish(kind, &mut out);
        }
        black_box(&out);
    }
    (rounds == 0 || out.len() > 300)
        .then_some(())
        .ok_or("frames were not written".into())
}
