//! Where a connection comes from. One address has some 28,000 ports for one target (ip_local_port_range), of which many may be
//! in TIME_WAIT for a minute; with few left the kernel looks for one so long (5 ms) that a thread has no time for those it
//! has. So a larger load spreads its connections over 127.0.0.1, 127.0.0.2 and so on, all of which are loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use crate::sys;

const SOURCES_MAX: usize = 254; // 127.0.0.1 to 127.0.0.254

/// Connects as the connection of this number, with `per_source` of them from one address.
pub fn connect(target: SocketAddr, number: usize, per_source: u64) -> io::Result<TcpStream> {
    match source(target, number, per_source)? {
        Some(address) => sys::connect_from(address, target),
        None => TcpStream::connect(target),
    }
}

/// The address to come from; `None`: the kernel's choice, which is right for the first address and off 127.0.0.0/8.
fn source(target: SocketAddr, number: usize, per_source: u64) -> io::Result<Option<Ipv4Addr>> {
    let which = number / per_source.max(1) as usize;
    if which == 0 || !target.is_ipv4() || !target.ip().is_loopback() {
        return Ok(None);
    }
    if which >= SOURCES_MAX {
        return Err(io::Error::other(
            "more connections than source addresses have ports",
        ));
    }
    Ok(Some(Ipv4Addr::new(127, 0, 0, 1 + which as u8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn connections_come_from_as_many_addresses_as_they_need() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let mut seen = Vec::new();
        for number in 0..6 {
            let _client = connect(target, number, 2).unwrap();
            seen.push(listener.accept().unwrap().1.ip().to_string());
        }
        let [one, two, three] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
        assert_eq!(seen, [one, one, two, two, three, three]);
    }

    #[test]
    fn other_targets_are_left_to_the_kernel_and_too_many_are_refused() {
        let loopback = "127.0.0.1:1".parse().unwrap();
        for target in ["[::1]:1", "192.0.2.1:1"] {
            assert_eq!(source(target.parse().unwrap(), 99, 2).unwrap(), None);
        }
        assert_eq!(source(loopback, 507, 2).unwrap().unwrap().octets()[3], 254);
        assert!(source(loopback, 508, 2).is_err());
    }
}
