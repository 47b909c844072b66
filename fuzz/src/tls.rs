//! The TLS front: a real client handshakes and sends while the fuzzer cuts the records anywhere and changes bytes.
//!
//! An unchanged stream arrives whole whatever the pieces are; a changed one ends in a fault or in a prefix of what was sent.
//! Keys are random, so a run is repeated exactly only in what it does, not in its bytes.
//!
//! Input: one byte of choices, then (size of piece, change) pairs.

use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use _engine::load::self_signed;
use _engine::tls::{server_config, tickets, Outgoing, Tls, Transport};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, SignatureScheme,
};

use crate::input::Input;

const TURNS_MAX: usize = 400;
const RECORD_BYTES_MAX: usize = 18 * 1024; // 2^14 and what TLS 1.2 adds at most, with its header
const HANDSHAKE_BYTES_MAX: usize = 128 * 1024; // a handshake message in parts: what rustls allows

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let choices = input.byte();
    let (server, client) = configs();
    let mut tls = Tls::new(server.clone()).expect("a connection");
    if choices & 1 != 0 {
        raw(&mut tls, &mut input);
        return;
    }
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let mut peer = ClientConnection::new(client[usize::from(choices >> 1 & 1)].clone(), name)
        .expect("a client");
    let message: Vec<u8> = (0..usize::from(choices >> 2) * 700)
        .map(|byte| byte as u8)
        .collect();
    talk(&mut tls, &mut peer, &message, &mut input);
}

/// Bytes of the fuzzer's own, in pieces.
fn raw(tls: &mut Tls, input: &mut Input<'_>) {
    let (mut plain, mut out) = (Vec::new(), Outgoing::default());
    while !input.is_empty() {
        let size = usize::from(input.byte()) + 1;
        match receive(tls, input.bytes(size), &mut plain, &mut out) {
            Some(false) => {}
            _ => break,
        }
        assert!(out.as_slice().len() < HANDSHAKE_BYTES_MAX);
    }
    assert!(plain.is_empty(), "nobody has agreed on a key");
    one_alert(out.as_slice());
}

/// Whole records, and after an alert none. (What is encrypted is not told apart.)
fn one_alert(mut records: &[u8]) {
    const ALERT: u8 = 21;
    while let [kind, _, _, high, low, rest @ ..] = records {
        let length = usize::from(*high) << 8 | usize::from(*low);
        assert!(rest.len() >= length, "a record is cut");
        records = &rest[length..];
        assert!(*kind != ALERT || records.is_empty(), "more after an alert");
    }
}

/// As conn.rs does it: what was left of the last time in front. `None` for a fault, true for the end.
fn receive(tls: &mut Tls, piece: &[u8], plain: &mut Vec<u8>, out: &mut Outgoing) -> Option<bool> {
    let mut received = tls.take_partial();
    received.extend_from_slice(piece);
    let ended = tls.receive(&mut received, plain, out).ok()?;
    let partial = tls.take_partial();
    let max = if tls.is_open() {
        RECORD_BYTES_MAX
    } else {
        HANDSHAKE_BYTES_MAX
    };
    assert!(partial.len() <= max, "{} bytes are kept", partial.len());
    tls.put_back(partial);
    Some(ended)
}

fn talk(tls: &mut Tls, peer: &mut ClientConnection, message: &[u8], input: &mut Input<'_>) {
    let (mut plain, mut out, mut echoed) = (Vec::new(), Outgoing::default(), Vec::new());
    let (mut wire, mut is_changed, mut is_sent) = (Vec::new(), false, false);
    peer.writer().write_all(message).expect("it is buffered");
    for _ in 0..TURNS_MAX {
        while peer.wants_write() {
            peer.write_tls(&mut wire).expect("memory takes all");
        }
        if wire.is_empty() && is_sent {
            break;
        }
        if wire.is_empty() && !peer.is_handshaking() {
            is_sent = true;
            peer.send_close_notify();
            continue;
        }
        // Without more input, all in one piece.
        let size = if input.is_empty() {
            wire.len()
        } else {
            1 + usize::from(input.byte()) * 8
        };
        let mut piece: Vec<u8> = wire.drain(..size.min(wire.len())).collect();
        let change = input.byte();
        if change >= 0xf0 && !piece.is_empty() {
            let place = usize::from(input.byte()) % piece.len();
            piece[place] ^= 1 << (change & 7);
            is_changed = true;
        }
        let before = plain.len();
        let ended = receive(tls, &piece, &mut plain, &mut out);
        assert!(message.starts_with(&plain), "other bytes than were sent");
        if ended.is_some() && tls.is_open() && plain.len() > before {
            tls.send(&plain[before..], &mut out)
                .expect("an open connection takes bytes");
        }
        let mut answer = out.as_slice();
        while !answer.is_empty() && peer.read_tls(&mut answer).is_ok_and(|count| count > 0) {
            if peer.process_new_packets().is_err() {
                assert!(is_changed, "the client does not understand");
                return;
            }
            let mut space = [0; 4096];
            while let Ok(count @ 1..) = peer.reader().read(&mut space) {
                echoed.extend_from_slice(&space[..count]);
            }
        }
        out.clear();
        match ended {
            None => {
                assert!(is_changed, "a fault without cause");
                return;
            }
            Some(true) => break,
            Some(false) => {}
        }
    }
    if !is_changed {
        assert!(
            plain == message && echoed == message,
            "{} of {}",
            plain.len(),
            message.len()
        );
    }
}

type Configs = (Arc<ServerConfig>, [Arc<ClientConfig>; 2]);

/// Of the server, and of clients of TLS 1.3 and 1.2.
fn configs() -> &'static Configs {
    static CONFIGS: OnceLock<Configs> = OnceLock::new();
    CONFIGS.get_or_init(|| {
        let (certificate, key) =
            self_signed("127.0.0.1".parse().expect("an address")).expect("a certificate");
        let server = server_config(
            pem("CERTIFICATE", &certificate).as_bytes(),
            pem("PRIVATE KEY", &key).as_bytes(),
            true,
            tickets().expect("a ticketer"),
        );
        let client = |version| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[version])
                .expect("a version")
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody))
                .with_no_client_auth();
            Arc::new(config)
        };
        (
            server.expect("a good certificate"),
            [
                client(&rustls::version::TLS13),
                client(&rustls::version::TLS12),
            ],
        )
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in der.chunks(3) {
        let group = (0..3).fold(0, |sum, at| {
            sum << 8 | usize::from(chunk.get(at).copied().unwrap_or(0))
        });
        for place in 0..4 {
            let letter = LETTERS[group >> (18 - 6 * place) & 63] as char;
            text.push(if place > chunk.len() { '=' } else { letter });
        }
    }
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// Trusts every server: the certificate is not what is tested here, and its signature is dear.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
