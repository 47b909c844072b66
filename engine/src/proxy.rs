//! PROXY protocol, version 2: read from configured load balancers, written in front of what goes to the API.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
/// PP2_TYPE_SSL, 5 bytes: the client came over TLS and showed no certificate.
const TLS_EXTENSION: [u8; 8] = [0x20, 0, 5, 1, 0, 0, 0, 1];
const FIXED_BYTES: usize = 16;
const BODY_BYTES_MAX: usize = 1024; // addresses and a few extensions; a load balancer needs no more

/// What stands at the front of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Front {
    Incomplete,
    /// Not a header of version 2.
    Wrong,
    /// The header's length and the client it names; `None` when the load balancer speaks for itself (a health check).
    Header {
        length: usize,
        client: Option<SocketAddr>,
    },
}

/// Reads the header at the front of `input`.
pub fn read(input: &[u8]) -> Front {
    let seen = input.len().min(SIGNATURE.len());
    if input[..seen] != SIGNATURE[..seen] {
        return Front::Wrong;
    }
    let Some(fixed) = input.first_chunk::<FIXED_BYTES>() else {
        return Front::Incomplete;
    };
    let (command, family) = (fixed[12], fixed[13]);
    let size = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if size > BODY_BYTES_MAX || !matches!(command, LOCAL | PROXY) {
        return Front::Wrong;
    }
    let length = FIXED_BYTES + size;
    let Some(body) = input.get(FIXED_BYTES..length) else {
        return Front::Incomplete;
    };
    let client = match (command, family) {
        (LOCAL, _) => None,
        (_, TCP4) => match body.first_chunk::<12>() {
            Some(b) => Some(SocketAddr::from((
                [b[0], b[1], b[2], b[3]],
                u16::from_be_bytes([b[8], b[9]]),
            ))),
            None => return Front::Wrong,
        },
        (_, TCP6) => match body.first_chunk::<36>() {
            Some(b) => {
                let mut address = [0; 16];
                address.copy_from_slice(&b[..16]);
                Some(SocketAddr::from((
                    address,
                    u16::from_be_bytes([b[32], b[33]]),
                )))
            }
            None => return Front::Wrong,
        },
        _ => return Front::Wrong,
    };
    Front::Header { length, client }
}

/// Writes a header for a connection from `client` to `server`; `is_tls` says that the client came over TLS.
pub fn write(out: &mut Vec<u8>, client: SocketAddr, server: SocketAddr, is_tls: bool) {
    let mut body = Vec::new();
    let family = if let (IpAddr::V4(from), IpAddr::V4(to)) = (client.ip(), server.ip()) {
        body.extend_from_slice(&from.octets());
        body.extend_from_slice(&to.octets());
        TCP4
    } else {
        body.extend_from_slice(&wide(client.ip()).octets());
        body.extend_from_slice(&wide(server.ip()).octets());
        TCP6
    };
    body.extend_from_slice(&client.port().to_be_bytes());
    body.extend_from_slice(&server.port().to_be_bytes());
    if is_tls {
        body.extend_from_slice(&TLS_EXTENSION);
    }
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[PROXY, family]);
    out.extend_from_slice(&(body.len() as u16).to_be_bytes());
    out.extend_from_slice(&body);
}

fn wide(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// An address range such as 10.0.0.0/8, or a single address.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads an address or CIDR; the error says what is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is neither an IP address nor a CIDR range");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() {
            Ipv4Addr::BITS
        } else {
            Ipv6Addr::BITS
        };
        let bits = bits.unwrap_or(width);
        if bits > width {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }

    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(one), IpAddr::V4(two)) => {
                let differ = one.to_bits() ^ two.to_bits();
                differ.checked_shr(Ipv4Addr::BITS - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(one), IpAddr::V6(two)) => {
                let differ = one.to_bits() ^ two.to_bits();
                differ.checked_shr(Ipv6Addr::BITS - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(client: &str, server: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write(
            &mut out,
            client.parse().unwrap(),
            server.parse().unwrap(),
            false,
        );
        out
    }

    #[test]
    fn what_is_written_is_read_again() {
        for client in ["192.0.2.7:1234", "[2001:db8::7]:65535"] {
            let server = if client.starts_with('[') {
                "[::1]:443"
            } else {
                "127.0.0.1:443"
            };
            let mut bytes = written(client, server);
            let length = bytes.len();
            for end in 0..length {
                assert_eq!(read(&bytes[..end]), Front::Incomplete, "{end}");
            }
            bytes.extend_from_slice(b"rest");
            assert_eq!(
                read(&bytes),
                Front::Header {
                    length,
                    client: Some(client.parse().unwrap())
                }
            );
        }
        let mixed = written("192.0.2.7:1", "[::1]:2");
        assert_eq!(
            read(&mixed),
            Front::Header {
                length: mixed.len(),
                client: Some("[::ffff:192.0.2.7]:1".parse().unwrap())
            }
        );
    }

    #[test]
    fn tls_is_told_in_an_extension() {
        let mut out = Vec::new();
        let (client, server) = (
            "192.0.2.7:1".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
        );
        write(&mut out, client, server, true);
        assert_eq!(
            out[..28],
            [
                &SIGNATURE[..],
                &[0x21, 0x11, 0, 20, 192, 0, 2, 7, 127, 0, 0, 1, 0, 1, 0, 2]
            ]
            .concat()
        );
        assert_eq!(out[28..], TLS_EXTENSION);
        assert_eq!(
            read(&out),
            Front::Header {
                length: 36,
                client: Some(client)
            }
        );
    }

    #[test]
    fn a_load_balancer_may_speak_for_itself_and_add_extensions() {
        let mut local = SIGNATURE.to_vec();
        local.extend_from_slice(&[LOCAL, 0, 0, 0]);
        assert_eq!(
            read(&local),
            Front::Header {
                length: 16,
                client: None
            }
        );
        let mut extended = written("192.0.2.7:1", "127.0.0.1:2");
        extended[15] += 3;
        extended.extend_from_slice(&[4, 0, 0]);
        assert!(matches!(
            read(&extended),
            Front::Header {
                length: 31,
                client: Some(_)
            }
        ));
    }

    #[test]
    fn anything_else_is_wrong() {
        let good = written("192.0.2.7:1", "127.0.0.1:2");
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        let cases = [
            b"GET / HTTP/1.1".to_vec(),
            b"PROXY TCP4 1.2.3.4".to_vec(),
            changed(12, 0x11),
            changed(13, 0x12),
            changed(14, 0xff),
            changed(15, 11),
        ];
        for bytes in cases {
            assert_eq!(read(&bytes), Front::Wrong, "{bytes:?}");
        }
    }

    #[test]
    fn networks() {
        let within = |network: &str, address: &str| {
            Network::read(network)
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(within("10.0.0.0/8", "10.255.1.2") && !within("10.0.0.0/8", "11.0.0.0"));
        assert!(within("127.0.0.1", "127.0.0.1") && !within("127.0.0.1", "127.0.0.2"));
        assert!(within("0.0.0.0/0", "192.0.2.1") && !within("0.0.0.0/0", "::1"));
        assert!(
            within("2001:db8::/32", "2001:db8:1::1") && !within("2001:db8::/32", "2001:db9::1")
        );
        assert!(within("::/0", "::1"));
        for wrong in ["", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/x", "host"] {
            assert!(Network::read(wrong).is_err(), "{wrong}");
        }
    }
}
