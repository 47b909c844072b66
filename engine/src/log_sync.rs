//! The thread that waits for the disk: it makes durable what was written to RocksDB's log.
//!
//! RocksDB could do it itself, but its call has to come from a Python thread, which needs the interpreter before the sync and
//! after it, while the event loop is busy with the next turn. This thread never needs it.
//!
//! Which files: a commit is one write, so it lies in one log file, and commits are synced one after the other. Either the
//! newest file that we know has grown, and it holds the commit. Or RocksDB has begun another one, and what is newer may hold
//! it: all those are synced, and the folder that names them. A file that has vanished holds nothing that matters, since
//! RocksDB deletes a log when all of it lies in synced tables. If none has grown and none is newer, the commit cannot be
//! found, and that is an error: nothing is called durable by mistake.

use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::sys::Signal;

/// How one sync went.
pub struct Outcome {
    pub result: io::Result<()>,
    pub seconds: f64,
}

/// Where the one sync stands.
enum State {
    Idle,
    Busy,
    Done(Outcome),
}

/// What both threads see.
struct Shared {
    state: Mutex<State>,
    signal: Signal,
}

/// Syncs one database's log, one commit at a time.
pub struct LogSync {
    jobs: Mutex<Option<SyncSender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

impl LogSync {
    /// `folder`: the database's. Nothing is opened before the first sync.
    pub fn new(folder: PathBuf) -> io::Result<Self> {
        let (jobs, asked) = sync_channel(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State::Idle),
            signal: Signal::new()?,
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("iris-log-sync".into())
            .spawn(move || run(Log::new(folder), &asked, &theirs))?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
            shared,
        })
    }

    /// Readable when an outcome can be taken.
    pub fn fd(&self) -> RawFd {
        self.shared.signal.fd()
    }

    /// Begins to sync what has been written. False when it cannot: the last outcome was not taken, or `stop` was called.
    pub fn sync(&self) -> bool {
        let mut state = lock(&self.shared.state);
        let jobs = lock(&self.jobs);
        let begun = matches!(*state, State::Idle)
            && jobs.as_ref().is_some_and(|jobs| jobs.try_send(()).is_ok());
        if begun {
            *state = State::Busy;
        }
        begun
    }

    /// The outcome of the last sync, once; `None` while there is none.
    pub fn take(&self) -> Option<Outcome> {
        self.shared.signal.clear();
        let mut state = lock(&self.shared.state);
        match mem::replace(&mut *state, State::Idle) {
            State::Done(outcome) => Some(outcome),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Finishes what was begun and ends the thread. Its outcome can still be taken.
    pub fn stop(&self) {
        lock(&self.jobs).take();
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(mut log: Log, asked: &Receiver<()>, shared: &Shared) {
    while asked.recv().is_ok() {
        let started = Instant::now();
        let result = log.sync();
        let seconds = started.elapsed().as_secs_f64();
        *lock(&shared.state) = State::Done(Outcome { result, seconds });
        shared.signal.set();
    }
}

/// The log files of a database, as far as they matter for the next sync.
struct Log {
    folder: PathBuf,
    newest: Option<Known>,
}

/// The newest log file that was synced, and how long it was.
struct Known {
    number: u64,
    file: File,
    synced: u64,
}

impl Log {
    fn new(folder: PathBuf) -> Self {
        let newest = None;
        Self { folder, newest }
    }

    /// Makes the last write durable, if all before it are.
    fn sync(&mut self) -> io::Result<()> {
        if let Some(known) = &mut self.newest {
            let size = known.file.metadata()?.len();
            if size > known.synced {
                known.file.sync_data()?;
                known.synced = size;
                return Ok(());
            }
        }
        self.sync_newer()
    }

    fn sync_newer(&mut self) -> io::Result<()> {
        let above = self.newest.as_ref().map(|known| known.number);
        let newer = logs_above(&self.folder, above)?;
        if newer.is_empty() {
            let folder = self.folder.display();
            let why = format!("no log file in {folder} holds what was just written");
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        for number in newer {
            let file = match File::open(self.folder.join(format!("{number:06}.log"))) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            let synced = file.metadata()?.len();
            file.sync_data()?;
            self.newest = Some(Known {
                number,
                file,
                synced,
            });
        }
        File::open(&self.folder)?.sync_all()
    }
}

/// Numbers of the log files above one, rising. RocksDB pads them with zeroes to six digits, and longer ones sort badly as text.
fn logs_above(folder: &Path, above: Option<u64>) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".log"));
        let number = digits.and_then(|digits| digits.parse::<u64>().ok());
        numbers.extend(number.filter(|number| above.is_none_or(|above| *number > above)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    const DEADLINE: Duration = Duration::from_secs(30);

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("iris-log-sync-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str) {
            let path = self.0.join(name);
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.unwrap().write_all(b"a commit").unwrap();
        }

        fn log(&self) -> Log {
            Log::new(self.0.clone())
        }

        /// The log after a first commit, in a file of this name, was synced.
        fn synced(&self, name: &str) -> Log {
            self.write(name);
            let mut log = self.log();
            log.sync().unwrap();
            log
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn newest(log: &Log) -> (u64, u64) {
        let known = log.newest.as_ref().unwrap();
        (known.number, known.synced)
    }

    #[test]
    fn the_file_that_grew_is_synced() {
        let folder = Folder::new("grew");
        let mut log = folder.synced("000004.log");
        assert_eq!(newest(&log), (4, 8));
        folder.write("000004.log");
        log.sync().unwrap();
        assert_eq!(newest(&log), (4, 16));
    }

    #[test]
    fn what_is_newer_is_looked_for_when_the_known_file_has_not_grown() {
        let folder = Folder::new("newer");
        let mut log = folder.synced("999999.log");
        folder.write("1000000.log"); // as text it would be the smaller one
        folder.write("1000001.log");
        log.sync().unwrap();
        assert_eq!(newest(&log), (1_000_001, 8));
    }

    #[test]
    fn a_file_that_grew_before_the_next_one_began_comes_first() {
        let folder = Folder::new("both");
        let mut log = folder.synced("000004.log");
        folder.write("000004.log");
        File::create(folder.0.join("000009.log")).unwrap();
        log.sync().unwrap();
        assert_eq!(newest(&log), (4, 16));
        folder.write("000009.log");
        log.sync().unwrap();
        assert_eq!(newest(&log), (9, 8));
    }

    #[test]
    fn a_deleted_file_is_synced_all_the_same() {
        let folder = Folder::new("deleted");
        let mut log = folder.synced("000004.log");
        folder.write("000004.log");
        fs::remove_file(folder.0.join("000004.log")).unwrap();
        log.sync().unwrap();
        assert_eq!(newest(&log), (4, 16));
    }

    #[test]
    fn a_file_that_vanishes_before_it_is_opened_is_passed_over() {
        let folder = Folder::new("vanished");
        let mut log = folder.synced("000004.log");
        symlink("nowhere", folder.0.join("000005.log")).unwrap(); // named by the folder, not there
        folder.write("000006.log");
        log.sync().unwrap();
        assert_eq!(newest(&log), (6, 8));
    }

    #[test]
    fn a_write_that_is_nowhere_is_an_error() {
        let folder = Folder::new("nowhere");
        assert_eq!(
            folder.log().sync().unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        fs::write(folder.0.join("LOG"), "not a log of commits").unwrap();
        fs::write(folder.0.join("000005.sst"), "nor this").unwrap();
        let mut log = folder.synced("000004.log");
        let error = log.sync().unwrap_err();
        assert!(
            error.to_string().contains("what was just written"),
            "{error}"
        );
        assert_eq!(newest(&log), (4, 8));
    }

    #[test]
    fn outcomes_are_told_one_by_one_and_the_last_one_outlives_the_thread() {
        let folder = Folder::new("thread");
        let syncer = LogSync::new(folder.0.clone()).unwrap();
        assert!(syncer.take().is_none());
        assert!(syncer.sync());
        syncer.shared.signal.wait(DEADLINE);
        assert!(!syncer.sync(), "the outcome was not taken");
        assert!(syncer.take().unwrap().result.is_err());
        folder.write("000004.log");
        assert!(syncer.sync());
        syncer.stop();
        let outcome = syncer.take().unwrap();
        assert!(outcome.result.is_ok() && outcome.seconds > 0.0);
        assert!(!syncer.sync(), "stopped");
        syncer.stop();
    }
}
