//! The frames of the relay, read where they lie and written as the server writes them.

use prost::encoding::decode_varint;

use crate::codec::{pb, Encoder};

/// What the relay understands of what a client sends.
#[derive(Debug, PartialEq)]
pub enum Asked<'a> {
    Hello { number: usize, user: [u8; 16] },
    Send(Send<'a>),
    Ack { seq: u64 },
}

/// The parts of a Send that come back in Accepted and Deliver.
#[derive(Debug, Default, PartialEq)]
pub struct Send<'a> {
    pub conversation: &'a [u8],
    pub stream: u64,
    pub client_seq: u64,
    pub message_id: &'a [u8],
    pub payload: &'a [u8],
    pub content_type: u64,
}

/// The fields of a message in order: number, and the number or the bytes that it holds.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let key = decode_varint(&mut self.0).ok()?;
        let number = decode_varint(&mut self.0).ok()?;
        match key & 7 {
            0 => Some((key >> 3, number, &[])),
            2 => {
                let (bytes, rest) = self.0.split_at_checked(number as usize)?;
                self.0 = rest;
                Some((key >> 3, 0, bytes))
            }
            _ => None,
        }
    }
}

/// Reads a frame; `None` for one that the load never sends.
pub fn read(message: &[u8]) -> Option<Asked<'_>> {
    let (kind, _, body) = Fields(message).next()?;
    let fields = Fields(body);
    match kind {
        1 => {
            // The token is the number of the connection in 16 digits, which is the user's id too.
            let token = fields.into_iter().find(|field| field.0 == 1)?.2;
            let number = std::str::from_utf8(token).ok()?.parse().ok()?;
            let user = token.try_into().ok()?;
            Some(Asked::Hello { number, user })
        }
        2 => {
            let mut send = Send::default();
            for (field, number, bytes) in fields {
                match field {
                    1 => send.conversation = bytes,
                    2 => send.stream = number,
                    3 => send.client_seq = number,
                    5 => send.message_id = bytes,
                    7 => send.payload = bytes,
                    8 => send.content_type = number,
                    _ => {}
                }
            }
            Some(Asked::Send(send))
        }
        3 => {
            let seq = fields.into_iter().find(|field| field.0 == 1);
            let seq = seq.map_or(0, |field| field.1);
            Some(Asked::Ack { seq })
        }
        _ => None,
    }
}

/// Writes frames with the server's encoder.
#[derive(Default)]
pub struct Writer(Encoder);

const SEND_WINDOW: u32 = 128;

impl Writer {
    pub fn welcome(&mut self, user: &[u8], out: &mut Vec<u8>) {
        self.0.start();
        self.0.bytes(8, user);
        self.0.number(9, 1);
        self.0.limits(2, &[0, SEND_WINDOW]);
        self.0.finish(1, out);
    }

    pub fn accepted(&mut self, send: &Send<'_>, seq: u64, at: u64, out: &mut Vec<u8>) {
        self.0.start();
        self.0.bytes(1, send.conversation);
        self.0.number(2, send.stream);
        self.0.number(3, send.client_seq);
        self.0.bytes(4, send.message_id);
        self.0.number(5, seq);
        self.0.number(6, at);
        self.0.finish(2, out);
    }

    pub fn deliver(
        &mut self,
        send: &Send<'_>,
        seq: u64,
        at: u64,
        sender: &[u8],
        out: &mut Vec<u8>,
    ) {
        self.0.start();
        self.0.number(1, seq);
        self.0.number(2, seq - 1);
        self.0.number(3, pb::Kind::Message as u64);
        self.0.bytes(4, send.conversation);
        self.0.bytes(5, sender);
        self.0.number(6, 1);
        self.0.bytes(7, send.message_id);
        self.0.number(8, at);
        self.0.bytes(10, send.payload);
        self.0.number(11, send.content_type);
        self.0.finish(4, out);
    }

    pub fn receipt(&mut self, conversation: &[u8], rev: u64, delivered: u64, out: &mut Vec<u8>) {
        self.0.start();
        self.0.number(1, rev);
        self.0.number(2, rev - 1);
        self.0.bytes(3, conversation);
        self.0.number(4, delivered);
        self.0.finish(5, out);
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::codec::ClientFrame;

    fn message(body: ClientFrame) -> Vec<u8> {
        pb::ClientFrame { body: Some(body) }.encode_to_vec()
    }

    #[test]
    fn what_the_load_sends_is_read() {
        let hello = message(ClientFrame::Hello(pb::Hello {
            token: "0000000000000017".into(),
            cursor: None,
            features: Vec::new(),
            client: "iris-bench".into(),
        }));
        let user = *b"0000000000000017";
        assert_eq!(read(&hello), Some(Asked::Hello { number: 17, user }));
        let ack = |seq, rev| message(ClientFrame::Ack(pb::Ack { seq, rev }));
        assert_eq!(read(&ack(300, 0)), Some(Asked::Ack { seq: 300 }));
        assert_eq!(read(&ack(0, 7)), Some(Asked::Ack { seq: 0 }));
        let send = message(ClientFrame::Send(pb::Send {
            conversation: vec![1; 32],
            stream: 1,
            client_seq: 200,
            answered: 199,
            message_id: vec![2; 16],
            after: 3,
            payload: vec![5; 128],
            content_type: 1,
            alg: 0,
        }));
        let expected = Send {
            conversation: &[1; 32],
            stream: 1,
            client_seq: 200,
            message_id: &[2; 16],
            payload: &[5; 128],
            content_type: 1,
        };
        assert_eq!(read(&send), Some(Asked::Send(expected)));
        for end in 1..send.len() {
            assert_ne!(read(&send[..end]), read(&send)); // and no panic
        }
    }
}
