//! Listening sockets: one per thread at the same address, so that the kernel spreads connections over the threads.

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::sys;

/// Binds `count` sockets at one address; port 0 takes a free one. An address in use is an error, also when its user would
/// share it: two servers on one port would each get half of the connections.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    // The first one is exclusive when it binds, and shared only from then on.
    let first = sys::listen(address, false)?;
    sys::share(&first)?;
    let actual = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(sys::listen(actual, true)?);
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_a_port_and_nobody_else_does() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listeners) = bind(host.parse().unwrap(), 3) else {
                assert!(host.starts_with('['), "a machine may lack IPv6, not IPv4");
                continue;
            };
            let address = listeners[0].local_addr().unwrap();
            assert!(listeners
                .iter()
                .all(|listener| listener.local_addr().unwrap() == address));
            let error = bind(address, 1).map(drop).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }
}
