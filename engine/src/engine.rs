//! The engine as a whole: what its threads share, and its life. Its callers are the Python binding, tests and benches.

use std::fmt;
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::thread::{self, JoinHandle};

use rustls::server::ProducesTickets;

use crate::codec::{self, Encoder};
use crate::handover::{Batch, Event, Inbox, Order, Outbox};
use crate::limits::{Addresses, Limits};
use crate::listener;
use crate::proxy::Network;
use crate::slab;
use crate::stats::{Counters, Totals};
use crate::sys::CpuClock;
use crate::tls::{self, Identity};
use crate::worker::Worker;

/// What an engine is built from.
pub struct Options {
    pub host: IpAddr,
    pub port: u16,
    pub threads: usize,
    /// Certificate chain and key, both PEM; without them the engine speaks plaintext, on loopback only.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    pub tls12: bool,
    /// The API's Unix socket.
    pub api: Option<PathBuf>,
    pub proxy_from: Vec<Network>,
    pub limits: Limits,
}

#[derive(Debug)]
pub enum Error {
    /// The options or the order of calls are wrong; the text says how.
    Wrong(String),
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(why) => f.write_str(why),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Mode {
    Running,
    Refusing, // no new connections
    Stopping,
}

/// What the threads share with each other and with the callers.
pub struct Shared {
    pub limits: Limits,
    pub api: Option<PathBuf>,
    pub proxy_from: Vec<Network>,
    pub tls: RwLock<Option<Arc<Identity>>>,
    pub inbox: Inbox,
    pub outboxes: Vec<Outbox>,
    pub counters: Vec<Counters>,
    pub addresses: Addresses,
    pub connections: AtomicU64,
    pub pipes: Arc<AtomicU64>,
    pub mode: AtomicU8,
    clocks: Vec<OnceLock<CpuClock>>,
}

impl Shared {
    pub fn has_tls(&self) -> bool {
        self.tls
            .read()
            .expect("no code panics with it locked")
            .is_some()
    }
}

enum Life {
    New,
    Running(Vec<JoinHandle<()>>),
    Stopped,
}

pub struct Engine {
    shared: Arc<Shared>,
    address: Mutex<SocketAddr>,
    tls12: bool,
    tickets: Arc<dyn ProducesTickets>,
    life: Mutex<Life>,
}

impl Engine {
    /// Checks the options; nothing is bound yet.
    pub fn new(options: Options) -> Result<Self, Error> {
        options.limits.check().map_err(Error::Wrong)?;
        if !(1..=slab::THREADS_MAX).contains(&options.threads) {
            return Err(Error::Wrong(format!(
                "threads is {}, but must be from 1 to {}",
                options.threads,
                slab::THREADS_MAX
            )));
        }
        if options.identity.is_none() && !options.host.to_canonical().is_loopback() {
            return Err(Error::Wrong(format!(
                "plaintext only on loopback: {} needs a certificate and a key",
                options.host
            )));
        }
        let tickets = tls::tickets().map_err(Error::Wrong)?;
        let identity = match &options.identity {
            Some((certificate, key)) => Some(
                Identity::read(certificate, key, options.tls12, tickets.clone())
                    .map_err(Error::Wrong)?,
            ),
            None => None,
        };
        let threads = options.threads;
        let shared = Shared {
            inbox: Inbox::new(options.limits.inbox_events_max)?,
            limits: options.limits,
            api: options.api,
            proxy_from: options.proxy_from,
            tls: RwLock::new(identity),
            outboxes: (0..threads)
                .map(|_| Outbox::new())
                .collect::<io::Result<_>>()?,
            counters: (0..threads).map(|_| Counters::default()).collect(),
            addresses: Addresses::default(),
            connections: AtomicU64::new(0),
            pipes: Arc::default(),
            mode: AtomicU8::new(Mode::Running as u8),
            clocks: (0..threads).map(|_| OnceLock::new()).collect(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            address: Mutex::new(SocketAddr::new(options.host, options.port)),
            tls12: options.tls12,
            tickets,
            life: Mutex::new(Life::New),
        })
    }

    /// Binds and starts the threads. An error of the system (address in use) leaves the engine as it was.
    pub fn start(&self) -> Result<(), Error> {
        let mut life = self.life.lock().expect("no code panics with it locked");
        if !matches!(*life, Life::New) {
            return Err(Error::Wrong("an engine starts only once".into()));
        }
        let mut address = self.address.lock().expect("no code panics with it locked");
        let listeners = listener::bind(*address, self.shared.outboxes.len())?;
        *address = listeners[0].local_addr()?;
        let mut threads = Vec::new();
        for (index, listener) in listeners.into_iter().enumerate() {
            threads.push(self.spawn(index, listener)?);
        }
        *life = Life::Running(threads);
        Ok(())
    }

    fn spawn(&self, index: usize, listener: TcpListener) -> io::Result<JoinHandle<()>> {
        let worker = Worker::new(self.shared.clone(), index, listener)?;
        let shared = self.shared.clone();
        thread::Builder::new()
            .name(format!("iris-io-{index}"))
            .spawn(move || {
                shared.clocks[index].get_or_init(CpuClock::of_this_thread);
                worker.run();
            })
    }

    /// The port: the one asked for before `start`, the actual one afterwards.
    pub fn port(&self) -> u16 {
        self.address
            .lock()
            .expect("no code panics with it locked")
            .port()
    }

    /// Readable when there is something to drain.
    pub fn fd(&self) -> i32 {
        self.shared.inbox.fd()
    }

    /// All frames, and at most `logins_max` Hellos.
    pub fn drain(&self, logins_max: usize) -> Vec<Event> {
        let (events, has_resumed) = self.shared.inbox.drain(logins_max);
        if has_resumed {
            self.nudge();
        }
        events
    }

    /// A batch to be filled and given to `send`.
    pub fn batch(&self) -> Frames<'_> {
        Frames {
            shared: &self.shared,
            encoder: Encoder::default(),
            batches: Vec::new(),
            kinds: Vec::new(),
        }
    }

    /// From now on connections get this certificate; those that stand keep theirs.
    pub fn reload_certificate(&self, certificate: &[u8], key: &[u8]) -> Result<(), Error> {
        if !self.shared.has_tls() {
            return Err(Error::Wrong(
                "the engine was started without a certificate".into(),
            ));
        }
        let identity = Identity::read(certificate, key, self.tls12, self.tickets.clone())
            .map_err(Error::Wrong)?;
        *self
            .shared
            .tls
            .write()
            .expect("no code panics with it locked") = Some(identity);
        Ok(())
    }

    /// Closes the listening sockets; connections stay.
    pub fn stop_accepting(&self) {
        let (running, refusing) = (Mode::Running as u8, Mode::Refusing as u8);
        let _ = self
            .shared
            .mode
            .compare_exchange(running, refusing, SeqCst, SeqCst); // stopping is more
        self.nudge();
    }

    /// Closes all connections (GOING_AWAY), waits for them up to close_timeout_ms, and ends the threads.
    pub fn stop(&self) {
        self.shared.mode.store(Mode::Stopping as u8, SeqCst);
        self.nudge();
        let life = mem::replace(
            &mut *self.life.lock().expect("no code panics with it locked"),
            Life::Stopped,
        );
        if let Life::Running(threads) = life {
            for thread in threads {
                let _ = thread.join(); // a thread that panicked has ended too
            }
        }
    }

    #[cfg(feature = "fuzzing")]
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    fn nudge(&self) {
        for outbox in &self.shared.outboxes {
            outbox.nudge();
        }
    }

    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.shared
            .counters
            .iter()
            .for_each(|counters| totals.add(counters));
        totals
            .counters
            .insert("connections", self.shared.connections.load(Relaxed));
        totals
            .counters
            .insert("pipes_open", self.shared.pipes.load(Relaxed));
        totals.counters.insert(
            "iris_logins_waiting",
            self.shared.inbox.logins_waiting() as u64,
        );
        totals
    }

    /// CPU seconds of each thread; 0 for one that does not run.
    pub fn cpu_seconds(&self) -> Vec<f64> {
        self.shared
            .clocks
            .iter()
            .map(|clock| clock.get().and_then(|clock| clock.seconds()).unwrap_or(0.0))
            .collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Frames on their way to the threads. Nothing is sent before `send`, so a wrong frame spoils only the batch.
pub struct Frames<'a> {
    shared: &'a Shared,
    pub encoder: Encoder,
    batches: Vec<Batch>,
    kinds: Vec<(usize, u8)>,
}

impl Frames<'_> {
    /// Adds the frame that stands in the encoder.
    pub fn add(&mut self, conn: u64, kind: u8) {
        let Some(thread) = self.thread(conn) else {
            return;
        };
        let batch = &mut self.batches[thread];
        let start = batch.bytes.len();
        self.encoder.finish(kind, &mut batch.bytes);
        let order = Order::Send {
            start,
            end: batch.bytes.len(),
            welcome: kind == codec::KIND_WELCOME,
        };
        batch.orders.push((conn, order));
        self.kinds.push((thread, kind));
    }

    /// Adds the closing of a connection.
    pub fn close(&mut self, conn: u64, code: u16) {
        let Some(thread) = self.thread(conn) else {
            return;
        };
        self.batches[thread]
            .orders
            .push((conn, Order::Close { code }));
    }

    fn thread(&mut self, conn: u64) -> Option<usize> {
        let threads = self.shared.outboxes.len();
        let thread = slab::thread_of(conn);
        if thread >= threads {
            self.shared.counters[0].gone_connections.up();
            return None;
        }
        if self.batches.is_empty() {
            self.batches.resize_with(threads, Batch::default);
        }
        Some(thread)
    }

    pub fn send(self) {
        for (thread, kind) in self.kinds {
            self.shared.counters[thread].frames_out[usize::from(kind)].up();
        }
        for (batch, outbox) in self.batches.into_iter().zip(&self.shared.outboxes) {
            if !batch.orders.is_empty() {
                outbox.push(batch);
            }
        }
    }
}
