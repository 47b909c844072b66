//! The PROXY v2 header: no panic, the same end for every way of cutting it, within its limit, and what is written is read.
//!
//! Input: a byte that says which half follows: a stream to read, or addresses to write.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use _engine::proxy::{read, write, Front, Network};

use crate::input::Input;

const FIXED_BYTES: usize = 16;
const BODY_BYTES_MAX: usize = 1024;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() % 4 {
        0 => check(input.0),
        1 => check(&[SIGNATURE, input.0].concat()),
        2 => round_trip(&mut input),
        _ => network(&mut input),
    }
}

fn check(stream: &[u8]) {
    let whole = read(stream);
    let decided = (0..=stream.len()).find(|&end| read(&stream[..end]) != Front::Incomplete);
    match decided {
        Some(end) => {
            assert!(
                end <= FIXED_BYTES + BODY_BYTES_MAX,
                "waits for more than the limit"
            );
            assert_eq!(
                read(&stream[..end]),
                whole,
                "decided otherwise with more bytes"
            );
        }
        None => assert_eq!(whole, Front::Incomplete),
    }
    if let Front::Header { length, client } = whole {
        // By the text of the specification (2.2), once more.
        assert_eq!(&stream[..12], SIGNATURE);
        let size = usize::from(stream[14]) << 8 | usize::from(stream[15]);
        assert_eq!(length, FIXED_BYTES + size);
        let expected = match (stream[12], stream[13]) {
            (0x20, _) => None,
            (0x21, 0x11) => Some(address::<4>(&stream[16..]).into()),
            (0x21, 0x21) => Some(address::<16>(&stream[16..]).into()),
            other => panic!("{other:?} was taken"),
        };
        assert_eq!(client, expected);
    }
}

/// The source's address and port, of N bytes each for source and destination.
fn address<const N: usize>(body: &[u8]) -> (IpAddr, u16)
where
    [u8; N]: Into<IpAddr>,
{
    let source: [u8; N] = body[..N].try_into().expect("the size is right");
    (
        source.into(),
        u16::from_be_bytes([body[2 * N], body[2 * N + 1]]),
    )
}

fn socket(input: &mut Input<'_>) -> SocketAddr {
    let mut octets = [0; 16];
    let is_v4 = input.byte() % 2 == 0;
    octets.fill_with(|| input.byte());
    let ip = if is_v4 {
        IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]))
    } else {
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    SocketAddr::new(ip, u16::from_be_bytes([input.byte(), input.byte()]))
}

fn round_trip(input: &mut Input<'_>) {
    let (client, server, is_tls) = (socket(input), socket(input), input.byte() % 2 == 0);
    let mut header = Vec::new();
    write(&mut header, client, server, is_tls);
    let length = header.len();
    header.extend_from_slice(input.0);
    let Front::Header {
        length: got,
        client: Some(named),
    } = read(&header)
    else {
        panic!("what was written cannot be read")
    };
    assert_eq!(got, length);
    assert_eq!(
        (named.ip().to_canonical(), named.port()),
        (client.ip().to_canonical(), client.port())
    );
}

fn network(input: &mut Input<'_>) {
    let (base, other, bits) = (
        socket(input).ip(),
        socket(input).ip(),
        u32::from(input.byte()),
    );
    let width = if base.is_ipv4() { 32 } else { 128 };
    let read = Network::read(&format!("{base}/{bits}"));
    let Ok(network) = read else {
        assert!(bits > width);
        return;
    };
    let digits = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => format!("{:032b}", v4.to_bits()),
        IpAddr::V6(v6) => format!("{:0128b}", v6.to_bits()),
    };
    let bits = bits as usize;
    let is_in = base.is_ipv4() == other.is_ipv4() && digits(base)[..bits] == digits(other)[..bits];
    assert_eq!(network.contains(other), is_in, "{other} in {base}/{bits}");
    let _ = Network::read(&String::from_utf8_lossy(input.0));
}
