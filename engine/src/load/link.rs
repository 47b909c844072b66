//! One client's connection: TCP, TLS, the upgrade, Hello, then frames both ways. Never waits, except to connect.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use prost::Message;
use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};

use crate::codec::pb::{self, server_frame::Body};
use crate::codec::ClientFrame;
use crate::http::early::{self, EARLY};
use crate::ws;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ=="; // RFC 6455, 1.3
const KEY_ANSWER: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d]; // not zero: the server has real work with it
const READ_BYTES: usize = 4096; // what rustls takes in one read

/// Where all links lead, and what they trust.
pub struct Target {
    address: SocketAddr,
    name: ServerName<'static>,
    configs: Vec<Arc<ClientConfig>>, // none: plain TCP; one; or one for each connection, with its session
}

impl Target {
    /// Without TLS: for the floor (floor.rs) only.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            name: ServerName::from(address.ip()),
            configs: Vec::new(),
        }
    }

    /// `root` is the certificate to trust, in DER. So many connections take up their earlier TLS session when they come again.
    pub fn new(address: SocketAddr, root: &[u8], resuming: usize) -> Result<Self, String> {
        let wrong = |error: rustls::Error| format!("the certificate cannot be trusted: {error}");
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(root.to_vec()))
            .map_err(wrong)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(wrong)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled(); // every handshake is a full one
        let mut configs = vec![config; resuming.max(1)];
        if resuming > 0 {
            for config in &mut configs {
                config.resumption = Resumption::in_memory_sessions(1);
            }
        }
        Ok(Self {
            address,
            name: ServerName::from(address.ip()),
            configs: configs.into_iter().map(Arc::new).collect(),
        })
    }
}

enum Stage {
    Upgrade, // TLS handshake, then HTTP; Hello goes with it
    Frames,
}

pub struct Link {
    socket: TcpStream,
    tls: Option<ClientConnection>,
    stage: Stage,
    input: Vec<u8>,
    taken: usize, // of the input
    output: Vec<u8>,
    pub blocked: bool, // the kernel takes no more: epoll is asked to tell
    pub opened_at: u64,
    pub welcomed: bool,
    pub round_trips: u64, // how often it has spoken and then heard, the connect of TCP included
    has_spoken: bool,     // since it heard last
}

impl Link {
    /// Begins the handshake on a socket to the target; `flush` sends what is due.
    pub fn open(
        target: &Target,
        socket: TcpStream,
        index: usize,
        hello: pb::Hello,
        now: u64,
    ) -> Result<Self, String> {
        socket.set_nonblocking(true).map_err(told)?;
        socket.set_nodelay(true).map_err(told)?;
        let configs = &target.configs;
        let config = configs.get(index).or(configs.first());
        let tls = config
            .cloned()
            .map(|config| ClientConnection::new(config, target.name.clone()))
            .transpose()
            .map_err(|error| error.to_string())?;
        let hello = pb::ClientFrame {
            body: Some(ClientFrame::Hello(hello)),
        };
        let request = format!(
            "GET /v1/connect HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
            target.address,
            early::offer(&hello.encode_to_vec())
        );
        Ok(Self {
            socket,
            tls,
            stage: Stage::Upgrade,
            input: Vec::new(),
            taken: 0,
            output: request.into_bytes(),
            blocked: false,
            opened_at: now,
            welcomed: false,
            round_trips: 1,
            has_spoken: false,
        })
    }

    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Takes what the socket has; `next` then gives the frames.
    pub fn receive(&mut self) -> Result<(), String> {
        if self.taken == self.input.len() {
            self.input.clear();
        } else {
            self.input.drain(..self.taken);
        }
        self.taken = 0;
        self.round_trips += u64::from(self.has_spoken && !self.welcomed);
        self.has_spoken = false;
        match &mut self.tls {
            Some(tls) => read_tls(tls, &mut self.socket, &mut self.input)?,
            None => read_plain(&mut self.socket, &mut self.input)?,
        }
        if matches!(self.stage, Stage::Upgrade) {
            self.upgrade()?;
        }
        Ok(())
    }

    fn upgrade(&mut self) -> Result<(), String> {
        let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(());
        };
        let head = String::from_utf8_lossy(&self.input[..end]);
        if !head.starts_with("HTTP/1.1 101")
            || !head.contains(KEY_ANSWER)
            || !head.contains(&format!("Sec-WebSocket-Protocol: {EARLY}"))
        {
            return Err(format!("no upgrade: {head:.200}"));
        }
        self.taken = end + 4;
        self.stage = Stage::Frames;
        Ok(())
    }

    /// The next frame that has come whole. Pings are answered on the way.
    pub fn next(&mut self) -> Result<Option<Body>, String> {
        if matches!(self.stage, Stage::Upgrade) {
            return Ok(None);
        }
        while let Some((opcode, place)) = frame(&self.input[self.taken..])? {
            let payload = &self.input[self.taken + place.start..self.taken + place.end];
            self.taken += place.end;
            match opcode {
                ws::BINARY => {
                    let frame =
                        pb::ServerFrame::decode(payload).map_err(|error| error.to_string())?;
                    return frame.body.map(Some).ok_or("a frame without a body".into());
                }
                ws::PING => write(&mut self.output, ws::PONG, payload),
                ws::CLOSE => {
                    let code = payload
                        .first_chunk()
                        .map_or(0, |code| u16::from_be_bytes(*code));
                    return Err(format!("the server has closed with {code}"));
                }
                _ => return Err(format!("WebSocket opcode {opcode}")),
            }
        }
        Ok(None)
    }

    /// Answers the pings at the front of what has come.
    pub fn answer_pings(&mut self) -> Result<(), String> {
        while let Some((ws::PING, place)) = frame(&self.input[self.taken..])? {
            let payload = &self.input[self.taken + place.start..self.taken + place.end];
            self.taken += place.end;
            write(&mut self.output, ws::PONG, payload);
        }
        Ok(())
    }

    /// Queues a frame; `flush` sends all of them as one TLS record.
    pub fn send(&mut self, frame: ClientFrame) {
        let message = pb::ClientFrame { body: Some(frame) };
        write(&mut self.output, ws::BINARY, &message.encode_to_vec());
    }

    /// Queues a close frame.
    pub fn say_goodbye(&mut self) {
        write(&mut self.output, ws::CLOSE, &1000_u16.to_be_bytes());
    }

    /// Gives the kernel what it takes; whether something is left.
    pub fn flush(&mut self) -> Result<bool, String> {
        let Some(tls) = &mut self.tls else {
            return self.flush_plain();
        };
        if !self.output.is_empty() && !tls.is_handshaking() {
            tls.writer().write_all(&self.output).map_err(told)?;
            self.output.clear();
        }
        while tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Ok(_) => self.has_spoken = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(told(error)),
            }
        }
        Ok(false)
    }

    fn flush_plain(&mut self) -> Result<bool, String> {
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(count) => {
                    self.output.drain(..count);
                    self.has_spoken = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(told(error)),
            }
        }
        Ok(false)
    }
}

const CLOSED: &str = "the server has closed the connection";

/// Appends what the socket has, decrypted.
fn read_tls(
    tls: &mut ClientConnection,
    socket: &mut TcpStream,
    input: &mut Vec<u8>,
) -> Result<(), String> {
    loop {
        let count = match tls.read_tls(socket) {
            Ok(0) => return Err(CLOSED.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(told(error)),
        };
        let state = tls
            .process_new_packets()
            .map_err(|error| error.to_string())?;
        let (plain, length) = (state.plaintext_bytes_to_read(), input.len());
        input.resize(length + plain, 0);
        tls.reader()
            .read_exact(&mut input[length..])
            .map_err(told)?;
        if count < READ_BYTES {
            return Ok(());
        }
    }
}

/// Appends what the socket has.
fn read_plain(socket: &mut TcpStream, input: &mut Vec<u8>) -> Result<(), String> {
    loop {
        let length = input.len();
        input.resize(length + READ_BYTES, 0);
        let outcome = socket.read(&mut input[length..]);
        input.truncate(length + *outcome.as_ref().unwrap_or(&0));
        match outcome {
            Ok(0) => return Err(CLOSED.into()),
            Ok(count) if count < READ_BYTES => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(told(error)),
        }
    }
}

fn told(error: io::Error) -> String {
    error.to_string()
}

/// Appends a masked final frame.
fn write(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    let start = out.len();
    ws::write_header(out, opcode, payload.len());
    out[start + 1] |= 0x80;
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    ws::unmask(&mut out[start..], MASK);
}

/// Opcode of the first frame of `input` and where its payload is; `None` while it is incomplete.
fn frame(input: &[u8]) -> Result<Option<(u8, Range<usize>)>, String> {
    let [first, second, rest @ ..] = input else {
        return Ok(None);
    };
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        return Err(format!(
            "a WebSocket frame that begins with {first:02x} {second:02x}"
        ));
    }
    let (start, length) = match second {
        126 => match rest.first_chunk::<2>() {
            Some(bytes) => (4, usize::from(u16::from_be_bytes(*bytes))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (10, u64::from_be_bytes(*bytes) as usize),
            None => return Ok(None),
        },
        length => (2, usize::from(*length)),
    };
    let end = start + length;
    Ok((input.len() >= end).then_some((first & 0x0f, start..end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_the_server_reads() {
        for size in [0, 5, 125, 126, 70_000] {
            let payload = vec![7; size];
            let mut bytes = Vec::new();
            write(&mut bytes, ws::BINARY, &payload);
            let end = bytes.len();
            let read = ws::Reader::default().next(&mut bytes, 100_000);
            assert_eq!(read, Ok(Some((end, ws::Item::Message(&payload)))));
        }
    }

    #[test]
    fn frames_of_the_server_are_found_once_they_are_whole() {
        for size in [0, 125, 126, 65_536] {
            let mut bytes = Vec::new();
            ws::write_header(&mut bytes, ws::BINARY, size);
            let start = bytes.len();
            bytes.resize(start + size, 1);
            assert_eq!(frame(&bytes), Ok(Some((ws::BINARY, start..start + size))));
            assert_eq!(frame(&bytes[..bytes.len() - 1]), Ok(None));
        }
        assert!(frame(&[0x02, 0]).is_err() && frame(&[0x82, 0x80]).is_err());
    }
}
