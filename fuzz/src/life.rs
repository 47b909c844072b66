//! The whole life of one connection, plaintext: hostile bytes and good ones, Python's orders in any order, a client that does
//! not read, an API that does not answer, time-outs. Checked all along: what is kept stays within limits, Python hears of
//! Hello first and of the end last and once, every byte of a pipe arrives in order; and in the end nothing is left over.
//!
//! Input: one byte of choices, then operations, each a byte and what it takes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::OnceLock;

use _engine::codec::{pb, ClientFrame};
use _engine::engine::Options;
use _engine::fuzzing::Line;
use _engine::handover::Event;
use _engine::limits::Limits;
use _engine::proxy::{self, Front, Network};
use _engine::ws;
use prost::Message;

use crate::input::Input;

const QUEUE_BYTES: usize = 16 * 1024;
const PIPE_BYTES: usize = 65_536;
const KEPT_BYTES_MAX: usize = 40 * 1024; // two reads before Welcome, and what the sockets hold
const BACKLOG_BYTES_MAX: usize = QUEUE_BYTES + 64 * 1024 + 4096; // a chunk goes in before the limit is looked at again
const UPGRADE: &str = "GET /v1/connect HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: iris.v1.pb\r\n\r\n";
const REQUEST: &str = "POST /v1/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let Some(mut life) = Life::new(input.byte()) else {
        return;
    };
    while !input.is_empty() {
        life.step(&mut input);
        life.check();
    }
    life.end(input.byte());
}

struct Life {
    line: Line,
    client: Option<UnixStream>,
    front: usize, // bytes of the PROXY header that the client sent first
    sent: Vec<u8>,
    got: Vec<u8>,
    api: Option<UnixStream>,
    api_got: Vec<u8>,
    api_sent: Vec<u8>,
    is_pure: bool, // the client sent no bytes of the fuzzer's own
    acks_sent: u64,
    acks_seen: u64,
    hellos: u32,
    ends: u32,
}

impl Life {
    fn new(choices: u8) -> Option<Self> {
        let needs_proxy = choices & 1 != 0;
        let options = Options {
            host: "127.0.0.1".parse().expect("an address"),
            port: 0,
            threads: 1,
            identity: None,
            tls12: true,
            api: (choices & 2 == 0).then(|| api().0.clone()),
            proxy_from: needs_proxy
                .then(|| Network::read("192.0.2.0/24").expect("a network"))
                .into_iter()
                .collect(),
            limits: limits(),
        };
        while api().1.accept().is_ok() {} // of runs before
        let peer: SocketAddr = "192.0.2.7:1234".parse().expect("an address");
        let (line, client) = Line::open(options, peer).expect("a connection");
        let mut life = Self {
            line,
            client: Some(client),
            front: 0,
            sent: Vec::new(),
            got: Vec::new(),
            api: None,
            api_got: Vec::new(),
            api_sent: Vec::new(),
            is_pure: true,
            acks_sent: 0,
            acks_seen: 0,
            hellos: 0,
            ends: 0,
        };
        if needs_proxy && choices & 4 != 0 {
            let mut header = Vec::new();
            proxy::write(&mut header, "198.51.100.9:80".parse().ok()?, peer, false);
            life.front = header.len();
            life.say(&header);
        }
        Some(life)
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 20 {
            0 => {
                let count = usize::from(input.byte());
                self.is_pure = false;
                self.say(input.bytes(count));
            }
            1 => self.say(UPGRADE.as_bytes()),
            2 => self.say(REQUEST.as_bytes()),
            3 => {
                self.is_pure = false;
                let (first, count) = (input.byte(), usize::from(input.byte()) * 20);
                let mut payload = input.bytes(count).to_vec();
                payload.resize(count, 0);
                self.say(&masked(first, &payload));
            }
            4 => self.say_frame(ClientFrame::Hello(pb::Hello {
                token: "t".into(),
                ..Default::default()
            })),
            5 => {
                self.acks_sent += 1;
                self.say_frame(ClientFrame::Ack(pb::Ack {
                    seq: self.acks_sent,
                    rev: 0,
                }));
            }
            6 => self.say(&masked(0x89, input.bytes(20))),
            7 => self.say(&masked(0x88, &[0x03, 0xe8])),
            8 => drop(
                self.client
                    .as_ref()
                    .map(|client| client.shutdown(Shutdown::Write)),
            ),
            9 => self.client = None,
            10 => self.read_client(1 + usize::from(input.byte()) * 100),
            11 => self.line.send(&server_frame(40), true),
            12 => {
                let (count, size) = (input.byte() % 64, usize::from(input.byte()) * 16);
                let frames: Vec<u8> = (0..count).flat_map(|_| server_frame(size)).collect();
                self.line.send(&frames, false);
            }
            13 => self.line.close(4000 + u16::from(input.byte())),
            14 => self.line.advance(1 << (input.byte() % 18)),
            15 => self.line.stop(),
            16 => self.accept(),
            17 => self.answer(usize::from(input.byte()) * 300),
            18 => self.api = None,
            _ => self.serve(1 + usize::from(input.byte() % 4)),
        }
    }

    fn say_frame(&mut self, body: ClientFrame) {
        let message = pb::ClientFrame { body: Some(body) }.encode_to_vec();
        self.say(&masked(0x82, &message));
    }

    /// The client writes what its socket takes; of a piece that was cut, the rest never comes.
    fn say(&mut self, bytes: &[u8]) {
        let Some(client) = &mut self.client else {
            return;
        };
        if let Ok(count) = client.write(bytes) {
            self.is_pure &= count == bytes.len();
            self.sent.extend_from_slice(&bytes[..count]);
        }
        self.serve(1);
    }

    fn serve(&mut self, times: usize) {
        for _ in 0..times {
            self.line.serve();
        }
    }

    fn read_client(&mut self, max: usize) {
        let Some(client) = &mut self.client else {
            return;
        };
        let mut space = vec![0; max];
        if let Ok(count) = client.read(&mut space) {
            self.got.extend_from_slice(&space[..count]);
        }
    }

    fn accept(&mut self) {
        if let Ok((stream, _)) = api().1.accept() {
            stream
                .set_nonblocking(true)
                .expect("a socket can be told so");
            self.api = Some(stream);
        }
    }

    fn answer(&mut self, count: usize) {
        let Some(api) = &mut self.api else { return };
        let mut space = vec![0; 4096];
        if let Ok(count) = api.read(&mut space) {
            self.api_got.extend_from_slice(&space[..count]);
        }
        let from = self.api_sent.len();
        let answer: Vec<u8> = (from..from + count).map(|at| (at / 7) as u8).collect();
        if let Ok(count) = api.write(&answer) {
            self.api_sent.extend_from_slice(&answer[..count]);
        }
    }

    fn check(&mut self) {
        assert!(
            self.line.kept() <= KEPT_BYTES_MAX,
            "{} bytes are kept",
            self.line.kept()
        );
        let max = if self.line.state() == Some("piped") {
            2 * PIPE_BYTES
        } else {
            BACKLOG_BYTES_MAX
        };
        assert!(
            self.line.backlog() <= max,
            "{} bytes wait",
            self.line.backlog()
        );
        for event in self.line.events() {
            assert_eq!(self.ends, 0, "{event:?} after the end");
            match event {
                Event::Hello { .. } => self.hellos += 1,
                Event::Frame { frame, .. } => {
                    assert_eq!(self.hellos, 1, "{frame:?} without Hello");
                    if let (ClientFrame::Ack(ack), true) = (&frame, self.is_pure) {
                        assert!(ack.seq > self.acks_seen, "out of order");
                        self.acks_seen = ack.seq;
                    }
                }
                Event::Closed { .. } => self.ends += 1,
            }
            assert_eq!(self.hellos, 1, "an end without a Hello, or two of them");
        }
        if !self.api_got.is_empty() {
            self.check_pipe();
        } else if self.got.starts_with(b"HTTP/1.1 101") {
            check_frames(&self.got);
        }
    }

    /// The API was named the client, then got what the client sent, in order, and the client gets its answer.
    fn check_pipe(&self) {
        let length = match proxy::read(&self.api_got) {
            Front::Header { length, client } => {
                let named = if self.front > 0 {
                    "198.51.100.9:80"
                } else {
                    "192.0.2.7:1234"
                };
                assert!(!self.is_pure || client == named.parse().ok(), "{client:?}");
                length
            }
            Front::Incomplete => self.api_got.len(),
            Front::Wrong => panic!("the API is told something else first"),
        };
        // Where the fuzzer wrote a PROXY header itself, its length is not known here.
        let piped = &self.api_got[length..];
        assert!(
            !self.is_pure || self.sent[self.front.min(self.sent.len())..].starts_with(piped),
            "other bytes than were sent"
        );
        assert!(
            self.api_sent.starts_with(&self.got),
            "another answer than was given"
        );
    }

    /// All take what there is for them, until nothing more comes.
    fn settle(&mut self) {
        // Ends are reported for ever, as epoll does it: only bytes count.
        for _ in 0..1000 {
            let before = (self.got.len(), self.api_got.len());
            self.serve(4);
            self.accept();
            self.answer(0);
            self.read_client(1 << 16);
            self.check();
            if before == (self.got.len(), self.api_got.len()) {
                return;
            }
        }
    }

    /// Whatever state it is in, a connection of which nothing more is heard is gone when its times are over.
    fn end(mut self, choice: u8) {
        const TURNS_MAX: usize = 8;
        if self.client.is_some() && choice & 1 == 0 {
            self.settle();
        }
        let is_whole = self.line.state() == Some("piped") && self.api.is_some() && self.is_pure;
        if is_whole && self.client.is_some() && choice & 1 == 0 && self.line.backlog() == 0 {
            let piped = proxy_free(&self.api_got);
            assert_eq!(piped, self.sent.len() - self.front, "bytes are missing");
            assert_eq!(
                self.got.len(),
                self.api_sent.len(),
                "the answer is not whole"
            );
        }
        if choice & 2 == 0 {
            self.client = None;
        }
        for _ in 0..TURNS_MAX {
            self.line.close(1001); // the edge's attach_timeout_ms, or its drain
            self.serve(2);
            self.line.advance(120_000);
            self.check();
        }
        assert_eq!(self.line.state(), None, "it never ends");
        assert_eq!(self.hellos, self.ends, "Python never hears of the end");
        let totals = self.line.totals();
        assert_eq!(
            totals.closed.values().sum::<u64>(),
            totals.counters["upgrades_total"]
        );
        assert_eq!(totals.counters["pipes_open"], 0);
        assert!(
            !self.line.is_counted(),
            "it is still counted for its address"
        );
    }
}

/// How many bytes follow the PROXY header.
fn proxy_free(bytes: &[u8]) -> usize {
    match proxy::read(bytes) {
        Front::Header { length, .. } => bytes.len() - length,
        _ => 0,
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    for (name, value) in [
        ("message_bytes_max", 4096),
        ("payload_bytes_max", 2048),
        ("token_bytes_max", 512),
        ("http_head_bytes_max", 1024),
        ("send_queue_bytes_max", QUEUE_BYTES as i64),
        ("frames_per_second_max", 50),
        ("bytes_per_second_max", 20_000),
        ("pipes_max", 1),
    ] {
        limits.set(name, value).expect("a limit");
    }
    limits
}

/// The API's socket: its path, and the listener, which never blocks.
fn api() -> &'static (PathBuf, UnixListener) {
    static API: OnceLock<(PathBuf, UnixListener)> = OnceLock::new();
    API.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("iris-fuzz-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path); // of an earlier process of the same number
        let listener = UnixListener::bind(&path).expect("a socket in the temporary folder");
        listener
            .set_nonblocking(true)
            .expect("a socket can be told so");
        (path, listener)
    })
}

/// A client's frame: first byte, payload.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [7, 11, 13, 17];
    let mut frame = Vec::new();
    ws::write_header(&mut frame, 0, payload.len());
    frame[0] = first;
    frame[1] |= 0x80;
    frame.extend_from_slice(&MASK);
    let start = frame.len();
    frame.extend_from_slice(payload);
    ws::unmask(&mut frame[start..], MASK);
    frame
}

fn server_frame(size: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    ws::write_header(&mut frame, ws::BINARY, size);
    frame.resize(frame.len() + size, 7);
    frame
}

/// After the answer to the upgrade come whole frames without a mask; only Pongs follow a close.
fn check_frames(got: &[u8]) {
    let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else {
        return;
    };
    let mut rest = &got[end + 4..];
    let mut is_closed = false;
    while let [first, second, ..] = rest {
        // A Pong may still answer a Ping that came before the peer's close frame (RFC 6455, 5.5.2).
        assert!(
            !is_closed || *first == 0x8a,
            "after the close frame: {:?}",
            &rest[..rest.len().min(20)]
        );
        assert!(
            matches!(first, 0x82 | 0x88 | 0x89 | 0x8a),
            "first byte {first:#x}"
        );
        assert_eq!(second & 0x80, 0, "masked");
        let (header, length) = match second {
            126 if rest.len() >= 4 => (4, usize::from(rest[2]) << 8 | usize::from(rest[3])),
            126 => return,
            127 => panic!("nothing so long was sent"),
            short => (2, usize::from(*short)),
        };
        if rest.len() < header + length {
            return; // the rest is on its way
        }
        is_closed |= *first == 0x88;
        rest = &rest[header + length..];
    }
}
