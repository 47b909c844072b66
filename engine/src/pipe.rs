//! The byte pipe between a connection and the API's Unix socket. It never looks at the bytes.
//!
//! Both directions have bounded buffers: a side that does not take its bytes stops the reading of the other side.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

use crate::proxy;
use crate::sys;

/// Bytes on their way, per direction, above which the side that sends them is not read.
pub const PIPE_BYTES: usize = 65_536;

/// Bytes that a socket has not taken yet.
#[derive(Default)]
pub struct Unsent {
    bytes: Vec<u8>,
    start: usize,
}

impl Unsent {
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn push(&mut self, bytes: &[u8]) {
        // Else a queue that never gets empty would keep all that ever went through it. To move what is left costs less than
        // it cost to write what went.
        if self.start > self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        if !bytes.is_empty() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Writes as much as the socket takes in one call; the memory is given back with the last byte.
    pub fn write_to(&mut self, socket: &mut impl Write) -> io::Result<usize> {
        let count = write_some(socket, &self.bytes[self.start..])?;
        self.start += count;
        if self.is_empty() {
            *self = Self::default();
        }
        Ok(count)
    }
}

/// One write; 0 when the socket takes nothing now.
pub fn write_some(socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match socket.write(bytes) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(0)
        }
        other => other,
    }
}

/// Keeps the number of open pipes below its limit.
pub struct Place(Arc<AtomicU64>);

impl Place {
    /// A place for one pipe; `None` when `max` are taken.
    pub fn take(taken: &Arc<AtomicU64>, max: u64) -> Option<Self> {
        let place = Self(taken.clone());
        (taken.fetch_add(1, Relaxed) < max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The API's side of a piped connection.
pub struct Pipe {
    api: UnixStream,
    to_api: Unsent,
    api_is_deaf: bool, // it takes no more; what it has said may still be on its way
    client_ended: bool,
    /// What epoll watches the API's socket for; `None` when it is not registered.
    pub armed: Option<u32>,
    _place: Place,
}

impl Pipe {
    /// Connects to the API and queues the PROXY v2 header that names the client.
    pub fn open(
        api: &Path,
        client: SocketAddr,
        server: SocketAddr,
        is_tls: bool,
        place: Place,
    ) -> io::Result<Self> {
        let api = sys::connect(api)?;
        let mut header = Vec::new();
        proxy::write(&mut header, client, server, is_tls);
        let mut to_api = Unsent::default();
        to_api.push(&header);
        Ok(Self {
            api,
            to_api,
            api_is_deaf: false,
            client_ended: false,
            armed: None,
            _place: place,
        })
    }

    pub fn fd(&self) -> RawFd {
        self.api.as_raw_fd()
    }

    /// Queues bytes from the client.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.api_is_deaf {
            self.to_api.push(bytes);
        }
    }

    /// The client will send no more; the API hears of it after the last byte.
    pub fn end_client(&mut self) {
        self.client_ended = true;
    }

    /// Whether the client may be read.
    pub fn wants_client(&self) -> bool {
        !self.client_ended && self.to_api.len() < PIPE_BYTES
    }

    /// Writes to the API what it takes now. An API that has closed may have answered first: it is read to its end, and what
    /// the client still sends is thrown away.
    pub fn write(&mut self) {
        if self.to_api.write_to(&mut self.api).is_err() {
            self.api_is_deaf = true;
            self.to_api = Unsent::default();
        }
        if self.client_ended && self.to_api.is_empty() {
            // Not connected any more: then reading says so.
            let _ = self.api.shutdown(Shutdown::Write);
        }
    }

    /// Reads from the API: how many bytes, 0 at its end, `None` when there are none now.
    pub fn read(&mut self, space: &mut [u8]) -> io::Result<Option<usize>> {
        match self.api.read(space) {
            Ok(count) => Ok(Some(count)),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What epoll should watch for, when `backlog` bytes wait for the client.
    pub fn interest(&self, backlog: usize) -> u32 {
        let read = if backlog < PIPE_BYTES { sys::IN } else { 0 };
        let write = if self.to_api.is_empty() { 0 } else { sys::OUT };
        read | write
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let taken = Arc::new(AtomicU64::new(0));
        let one = Place::take(&taken, 1);
        assert!(one.is_some());
        assert!(Place::take(&taken, 1).is_none());
        drop(one);
        assert!(Place::take(&taken, 1).is_some());
    }

    #[test]
    fn unsent_bytes_leave_in_order() {
        struct Narrow(Vec<u8>);
        impl Write for Narrow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let count = bytes.len().min(3);
                self.0.extend_from_slice(&bytes[..count]);
                Ok(count)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut unsent, mut socket) = (Unsent::default(), Narrow(Vec::new()));
        unsent.push(b"abcd");
        assert_eq!(unsent.write_to(&mut socket).unwrap(), 3);
        unsent.push(b"ef");
        assert_eq!(unsent.len(), 3);
        assert_eq!(unsent.write_to(&mut socket).unwrap(), 3);
        assert!(unsent.is_empty());
        assert_eq!(socket.0, b"abcdef");
    }

    #[test]
    fn a_queue_that_is_never_empty_takes_no_more_memory_than_it_holds() {
        struct Half;
        impl Write for Half {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len().div_ceil(2))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut unsent = Unsent::default();
        for _ in 0..1000 {
            unsent.push(&[0; 1000]);
            unsent.write_to(&mut Half).unwrap();
            unsent.push(&[0; 10]);
        }
        assert!(unsent.len() < 3000);
        assert!(unsent.bytes.capacity() < 10_000);
    }
}
