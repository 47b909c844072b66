//! What lies between the socket and the bytes of HTTP and WebSocket: nothing, or TLS by rustls' unbuffered API.
//!
//! Buffers belong to the thread, not to the connection: a transport keeps only bytes of a record that has not come whole.

use std::mem;
use std::sync::Arc;

use ring::digest;
use rustls::crypto::ring as provider;
use rustls::server::{ProducesTickets, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{HandshakeKind, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Bytes to be written to the socket, encoded in place. Belongs to a thread and keeps its size.
#[derive(Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    used: usize,
}

impl Outgoing {
    pub fn clear(&mut self) {
        self.used = 0;
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    fn append(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.bytes[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    fn reserve(&mut self, count: usize) {
        if self.bytes.len() < self.used + count {
            self.bytes.resize(self.used + count, 0);
        }
    }

    /// Lets `encode` write at the end; it says how many bytes it wrote, or how many it needs.
    fn fill(
        &mut self,
        mut encode: impl FnMut(&mut [u8]) -> Result<usize, Need>,
    ) -> Result<(), Fault> {
        loop {
            match encode(&mut self.bytes[self.used..]) {
                Ok(count) => {
                    self.used += count;
                    return Ok(());
                }
                Err(Need::Bytes(count)) => self.reserve(count),
                Err(Need::Nothing) => return Err(Fault),
            }
        }
    }
}

enum Need {
    Bytes(usize),
    Nothing, // it cannot be done at all
}

impl From<EncodeError> for Need {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(size) => Self::Bytes(size.required_size),
            EncodeError::AlreadyEncoded => Self::Nothing,
        }
    }
}

impl From<EncryptError> for Need {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(size) => Self::Bytes(size.required_size),
            EncryptError::EncryptExhausted => Self::Nothing,
        }
    }
}

/// The connection cannot go on. What the peer should still hear (an alert) has been appended to the outgoing bytes.
#[derive(Debug)]
pub struct Fault;

/// One connection's way between ciphertext and plaintext.
pub trait Transport: Send {
    /// Received bytes that were not a whole record; the caller puts them in front of the next ones.
    fn take_partial(&mut self) -> Vec<u8>;

    /// Takes them back, when nothing new is to be received.
    fn put_back(&mut self, partial: Vec<u8>);

    /// Takes received bytes, appends what they said to `plain` and what must be answered to `out`.
    ///
    /// True when the peer ended its direction in good order; nothing more will come.
    fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Outgoing,
    ) -> Result<bool, Fault>;

    /// Appends `plain`, ready to be written, to `out`.
    fn send(&mut self, plain: &[u8], out: &mut Outgoing) -> Result<(), Fault>;

    /// Appends what tells the peer that nothing more will come.
    fn finish(&mut self, out: &mut Outgoing);

    /// Whether the handshake is over.
    fn is_open(&self) -> bool;

    /// Whether the handshake took up an earlier session.
    fn is_resumed(&self) -> bool;
}

/// No TLS: loopback only.
pub struct Plain;

impl Transport for Plain {
    fn take_partial(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn put_back(&mut self, _partial: Vec<u8>) {}

    fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        _out: &mut Outgoing,
    ) -> Result<bool, Fault> {
        plain.extend_from_slice(input);
        Ok(false)
    }

    fn send(&mut self, plain: &[u8], out: &mut Outgoing) -> Result<(), Fault> {
        out.append(plain);
        Ok(())
    }

    fn finish(&mut self, _out: &mut Outgoing) {}

    fn is_open(&self) -> bool {
        true
    }

    fn is_resumed(&self) -> bool {
        false
    }
}

/// TLS by rustls.
pub struct Tls {
    connection: UnbufferedServerConnection,
    partial: Vec<u8>,
    ended: bool, // the peer's close_notify has come
}

impl Tls {
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, Fault> {
        let connection = UnbufferedServerConnection::new(config).map_err(|_| Fault)?;
        Ok(Self {
            connection,
            partial: Vec::new(),
            ended: false,
        })
    }

    /// rustls gives out the alert for an error only in further calls.
    fn alert(&mut self, input: &mut [u8], out: &mut Outgoing) {
        const CALLS_MAX: usize = 4; // an alert takes two: encode, transmit
        for _ in 0..CALLS_MAX {
            match self.connection.process_tls_records(input).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if out
                        .fill(|space| data.encode(space).map_err(Need::from))
                        .is_err()
                    {
                        return;
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => return,
            }
        }
    }

    /// Brings the connection to where application data can be written, then lets `write` do so.
    fn with_writer(
        &mut self,
        out: &mut Outgoing,
        write: impl Fn(&mut Writer<'_>, &mut [u8]) -> Result<usize, Need>,
    ) -> Result<(), Fault> {
        // The partial record is passed although nothing new is in it: rustls remembers positions in it.
        let mut partial = mem::take(&mut self.partial);
        let mut start = 0;
        let result = loop {
            let UnbufferedStatus { discard, state } =
                self.connection.process_tls_records(&mut partial[start..]);
            match state {
                Ok(ConnectionState::WriteTraffic(mut writer)) => {
                    break out.fill(|space| write(&mut writer, space))
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if let Err(fault) = out.fill(|space| data.encode(space).map_err(Need::from)) {
                        break Err(fault);
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                _ => break Err(Fault),
            }
            start += discard;
        };
        if start > 0 {
            partial.drain(..start);
        }
        self.partial = partial;
        result
    }
}

type Writer<'a> = rustls::unbuffered::WriteTraffic<'a, rustls::server::ServerConnectionData>;

impl Transport for Tls {
    fn take_partial(&mut self) -> Vec<u8> {
        mem::take(&mut self.partial)
    }

    fn put_back(&mut self, partial: Vec<u8>) {
        self.partial = partial;
    }

    fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Outgoing,
    ) -> Result<bool, Fault> {
        let mut start = 0;
        while !self.ended {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut input[start..]);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(|_| Fault)?;
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    out.fill(|space| data.encode(space).map_err(Need::from))?
                }
                // The caller writes all of `out` in one go when this call is over.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => self.ended = true,
                Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake) => {
                    start += discard;
                    self.partial = input[start..].to_vec();
                    return Ok(false);
                }
                Ok(_) => return Err(Fault), // early data is never offered
                Err(_) => {
                    self.alert(&mut input[start + discard..], out);
                    return Err(Fault);
                }
            }
            start += discard;
        }
        Ok(true)
    }

    fn send(&mut self, plain: &[u8], out: &mut Outgoing) -> Result<(), Fault> {
        self.with_writer(out, |writer, space| {
            writer.encrypt(plain, space).map_err(Need::from)
        })
    }

    fn finish(&mut self, out: &mut Outgoing) {
        if self.is_open() {
            // A connection too broken for a close_notify is closed all the same.
            let _ = self.with_writer(out, |writer, space| {
                writer.queue_close_notify(space).map_err(Need::from)
            });
        }
    }

    fn is_open(&self) -> bool {
        !self.connection.is_handshaking()
    }

    fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// What a port shows: its certificate and key, ready for use, and the SHA-256 by which people know the certificate.
pub struct Identity {
    pub config: Arc<ServerConfig>,
    pub fingerprint: [u8; 32],
}

impl Identity {
    /// Reads a certificate chain and its key (PEM); the error says what is wrong with them.
    pub fn read(
        certificate: &[u8],
        key: &[u8],
        tls12: bool,
        tickets: Arc<dyn ProducesTickets>,
    ) -> Result<Arc<Self>, String> {
        let config = server_config(certificate, key, tls12, tickets)?;
        let first = CertificateDer::from_pem_slice(certificate)
            .map_err(|error| format!("the certificate is not PEM: {error}"))?;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, &first).as_ref());
        Ok(Arc::new(Self {
            config,
            fingerprint,
        }))
    }
}

/// The keys of session tickets; kept over a change of certificates, so that sessions can still be taken up.
pub fn tickets() -> Result<Arc<dyn ProducesTickets>, String> {
    provider::Ticketer::new().map_err(|error| error.to_string())
}

/// Reads a certificate chain and its key (PEM); the error says what is wrong with them.
pub fn server_config(
    certificate: &[u8],
    key: &[u8],
    tls12: bool,
    tickets: Arc<dyn ProducesTickets>,
) -> Result<Arc<ServerConfig>, String> {
    use provider::cipher_suite as suite;
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the certificate is not PEM: {error}"))?;
    if chain.is_empty() {
        return Err("the certificate file holds no certificate".into());
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("the private key cannot be read: {error}"))?;
    let mut crypto = provider::default_provider();
    // AES-128 first: SHA-384 makes a handshake 11 % dearer.
    crypto.cipher_suites = vec![
        suite::TLS13_AES_128_GCM_SHA256,
        suite::TLS13_CHACHA20_POLY1305_SHA256,
        suite::TLS13_AES_256_GCM_SHA384,
    ];
    let mut versions = vec![&rustls::version::TLS13];
    if tls12 {
        versions.push(&rustls::version::TLS12);
        crypto.cipher_suites.extend([
            suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ]);
    }
    let mut config = ServerConfig::builder_with_provider(Arc::new(crypto))
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and key do not fit: {error}"))?;
    config.ignore_client_order = true;
    config.ticketer = tickets;
    config.send_tls13_tickets = 1;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_128_GCM};
    use rustls::{ClientConfig, ClientConnection, ConnectionTrafficSecrets, RootCertStore};

    use super::*;
    use crate::load;

    /// Both ends of a connection after their handshake.
    fn connected() -> (Tls, ClientConnection) {
        let address: IpAddr = "127.0.0.1".parse().unwrap();
        let (certificate, key) = load::self_signed(address).unwrap();
        let mut crypto = provider::default_provider();
        crypto.cipher_suites = vec![provider::cipher_suite::TLS13_AES_128_GCM_SHA256];
        let (crypto, versions) = (Arc::new(crypto), [&rustls::version::TLS13]);
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone().into()).unwrap();
        let mut config = ClientConfig::builder_with_provider(crypto.clone())
            .with_protocol_versions(&versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_secret_extraction = true;
        let mut client = ClientConnection::new(Arc::new(config), address.into()).unwrap();
        let config = ServerConfig::builder_with_provider(crypto)
            .with_protocol_versions(&versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(key.into()))
            .unwrap();
        let mut server = Tls::new(Arc::new(config)).unwrap();
        let mut out = Outgoing::default();
        while client.wants_write() || !server.is_open() {
            let mut input = server.take_partial();
            client.write_tls(&mut input).unwrap();
            server
                .receive(&mut input, &mut Vec::new(), &mut out)
                .unwrap();
            let mut answer = out.as_slice();
            while !answer.is_empty() {
                client.read_tls(&mut answer).unwrap();
                client.process_new_packets().unwrap();
            }
            out.clear();
        }
        (server, client)
    }

    /// A record with a part of a handshake message, which no well-behaved client sends after the handshake.
    fn part_of_a_key_update(client: ClientConnection) -> Vec<u8> {
        let (number, secrets) = client.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
            panic!("another suite")
        };
        let mut nonce = [0; 12];
        nonce.copy_from_slice(iv.as_ref());
        for (byte, part) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= part;
        }
        let mut body = vec![24, 0, 0, 22]; // KeyUpdate, two of three bytes of its length; the record's true type
        let head = [23, 3, 3, 0, body.len() as u8 + 16];
        LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap())
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(head),
                &mut body,
            )
            .unwrap();
        [&head[..], &body].concat()
    }

    #[test]
    fn a_partial_message_that_was_taken_and_put_back_does_not_hinder_writing() {
        let (mut server, client) = connected();
        let mut record = part_of_a_key_update(client);
        let (mut plain, mut out) = (Vec::new(), Outgoing::default());
        assert!(!server.receive(&mut record, &mut plain, &mut out).unwrap());
        let partial = server.take_partial();
        assert!(plain.is_empty() && !partial.is_empty());
        server.put_back(partial);
        server.send(b"bye", &mut out).unwrap();
        server.finish(&mut out);
        assert!(!out.as_slice().is_empty());
    }
}
