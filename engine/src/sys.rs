//! The system calls that the standard library does not offer, each wrapped once. All `unsafe` of the engine is here.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub use libc::epoll_event as Ready;

pub const IN: u32 = libc::EPOLLIN as u32;
pub const OUT: u32 = libc::EPOLLOUT as u32;
pub const PEER_ENDED: u32 = libc::EPOLLRDHUP as u32;
pub const BROKEN: u32 = (libc::EPOLLHUP | libc::EPOLLERR) as u32;

const BACKLOG: i32 = 4096;

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn own(result: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call just returned this descriptor and nobody else has it.
    check(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A counter that makes a descriptor readable: wakes whoever waits for it.
pub struct Signal(OwnedFd);

impl Signal {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        own(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) }).map(Self)
    }

    pub fn set(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight bytes of a live array. A full counter (EAGAIN) is as good as set.
        unsafe { libc::write(self.fd(), one.as_ptr().cast(), one.len()) };
    }

    pub fn clear(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: eight bytes of a live array.
        unsafe { libc::read(self.fd(), count.as_mut_ptr().cast(), count.len()) };
    }

    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Waits until the signal is set or the time is over.
    pub fn wait(&self, timeout: Duration) {
        let mut poll = libc::pollfd {
            fd: self.fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one live pollfd.
        unsafe { libc::poll(&mut poll, 1, timeout.as_millis() as i32) };
    }
}

/// Takes some bytes from a readable descriptor; false when it has ended.
pub fn has_input(fd: RawFd) -> bool {
    let mut bytes = [0_u8; 64];
    // SAFETY: a live array of the size given.
    unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len()) > 0 }
}

pub struct Epoll(OwnedFd);

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        own(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(Self)
    }

    pub fn add(&self, fd: RawFd, events: u32, tag: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, tag)
    }

    pub fn modify(&self, fd: RawFd, events: u32, tag: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, tag)
    }

    pub fn remove(&self, fd: RawFd) {
        // It may have gone already: a closed descriptor leaves by itself.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    fn control(&self, operation: i32, fd: RawFd, events: u32, tag: u64) -> io::Result<()> {
        let mut event = Ready { events, u64: tag };
        // SAFETY: one live event.
        check(unsafe { libc::epoll_ctl(self.fd(), operation, fd, &mut event) }).map(drop)
    }

    /// Fills `events` from the front and returns how many; `timeout_ms` -1 waits for ever. An interrupted call returns 0.
    pub fn wait(&self, events: &mut [Ready], timeout_ms: i32) -> usize {
        // SAFETY: the pointer and the length are those of one slice.
        let count = unsafe {
            libc::epoll_wait(
                self.fd(),
                events.as_mut_ptr(),
                events.len() as i32,
                timeout_ms,
            )
        };
        count.max(0) as usize
    }

    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A listening socket, not yet shared with other threads.
pub fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    let flags = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let socket = own(unsafe { libc::socket(family, flags, 0) })?;
    option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    if address.is_ipv6() {
        option(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
    }
    if shared {
        share(&socket)?;
    }
    let (storage, length) = socket_address(address);
    // SAFETY: a live address of the length given.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const storage).cast(), length) })?;
    // SAFETY: no pointers.
    check(unsafe { libc::listen(socket.as_raw_fd(), BACKLOG) })?;
    Ok(TcpListener::from(socket))
}

/// Lets further sockets that ask for it listen at the same address (SO_REUSEPORT).
pub fn share(socket: &impl AsRawFd) -> io::Result<()> {
    option(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
}

fn option(socket: &impl AsRawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let size = mem::size_of::<i32>() as libc::socklen_t;
    // SAFETY: a live integer of the size given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size,
        )
    })
    .map(drop)
}

/// Connects from a given address. The port is chosen with the target in view, so that each source has all ports.
pub fn connect_from(source: Ipv4Addr, target: SocketAddr) -> io::Result<TcpStream> {
    // SAFETY: no pointers.
    let socket =
        own(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    option(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    let (from, from_length) = socket_address(SocketAddr::from((source, 0)));
    // SAFETY: a live address of the length given.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const from).cast(), from_length) })?;
    let (to, to_length) = socket_address(target);
    // SAFETY: as above.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const to).cast(), to_length) })?;
    Ok(TcpStream::from(socket))
}

fn socket_address(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeroes is a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let length = match address {
        SocketAddr::V4(v4) => {
            let target = (&raw mut storage).cast::<libc::sockaddr_in>();
            // SAFETY: sockaddr_storage is large enough and aligned for every family.
            unsafe {
                (*target).sin_family = libc::AF_INET as libc::sa_family_t;
                (*target).sin_port = v4.port().to_be();
                (*target).sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            }
            mem::size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let target = (&raw mut storage).cast::<libc::sockaddr_in6>();
            // SAFETY: as above.
            unsafe {
                (*target).sin6_family = libc::AF_INET6 as libc::sa_family_t;
                (*target).sin6_port = v6.port().to_be();
                (*target).sin6_addr.s6_addr = v6.ip().octets();
                (*target).sin6_scope_id = v6.scope_id();
            }
            mem::size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, length as libc::socklen_t)
}

/// Connects to a Unix socket without ever waiting: a listener with a full backlog is an error (EAGAIN).
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: all zeroes is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    if bytes.len() >= address.sun_path.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    let flags = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let socket = own(unsafe { libc::socket(libc::AF_UNIX, flags, 0) })?;
    let size = mem::size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: a live address of the size given.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size) })?;
    Ok(UnixStream::from(socket))
}

/// Gives memory that is free, but still held, back to the system.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no pointers.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The CPU clock of the calling thread, readable from any thread while that one lives.
#[derive(Clone, Copy)]
pub struct CpuClock(libc::clockid_t);

impl CpuClock {
    pub fn of_this_thread() -> Self {
        let mut clock = libc::CLOCK_THREAD_CPUTIME_ID;
        // SAFETY: pthread_self is always valid, and the clock id is live.
        unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        Self(clock)
    }

    /// Seconds of CPU used; `None` when the thread has ended.
    pub fn seconds(self) -> Option<f64> {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: a live timespec.
        let result = unsafe { libc::clock_gettime(self.0, &mut time) };
        (result == 0).then(|| time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
    }
}
