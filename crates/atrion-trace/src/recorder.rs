//! A tape, a file, and a thread between them.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::RecordError;
use crate::record::Totals;
use crate::tape::{LARGEST_TAPE, Tape};
use crate::writer::Writer;

/// How often the thread looks at the tape. Request threads do not wake it: that would be a system
/// call of theirs.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Looks until what was recorded goes to the file even if it is little: about a second.
const LOOKS_PER_FLUSH: u32 = 200;
const LEAST_BYTES: u64 = 4096;
const MOST_BYTES: u64 = 1 << 40;

/// Bounds of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Places on the tape, 1 to [`LARGEST_TAPE`]; 65,536 by default (about 5 MB), which last for
    /// 13 million observations a second as long as the recording thread gets to run.
    pub places: usize,
    /// Bytes that the file may have, 4096 to 2^40; 256 MiB by default, some 20 million requests.
    /// What comes later is counted and left out.
    pub most_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { places: 1 << 16, most_bytes: 1 << 28 }
    }
}

/// How a recording fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Observations that were taken from the tape, whether or not they were written.
    pub taken: u64,
    /// Observations that were dropped because the tape was full.
    pub dropped: u64,
    /// Observations left out because the file has its full size or cannot be written.
    pub unwritten: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// The file could not be written, and will not be written any more.
    pub failed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    closed: AtomicBool,
    taken: AtomicU64,
    unwritten: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicBool,
}

/// Records into a file, on a thread of its own.
///
/// The file grows by whole blocks, at the latest a second after something happened: if the process
/// is killed, what was recorded up to then can be read. Dropping a recorder lets its thread write
/// what is left and end, without waiting for it; [`finish`](Self::finish) waits and says how it
/// went.
#[derive(Debug)]
pub struct Recorder {
    tape: Arc<Tape>,
    shared: Arc<Shared>,
    worker: Option<JoinHandle<Result<Totals, io::Error>>>,
}

impl Recorder {
    /// Makes the file and starts the thread. A file that exists is not overwritten.
    ///
    /// # Errors
    /// [`RecordError`] for a setting out of its range, or if the file or the thread cannot be made.
    pub fn create(path: impl AsRef<Path>, settings: Settings) -> Result<Self, RecordError> {
        let value = settings.most_bytes;
        if !(LEAST_BYTES..=MOST_BYTES).contains(&value) {
            return Err(RecordError::OutOfRange {
                field: "most_bytes",
                value,
                unit: "bytes",
                min: LEAST_BYTES,
                max: MOST_BYTES,
            });
        }
        debug_assert!(Settings::default().places <= LARGEST_TAPE, "the default is valid");
        let tape = Arc::new(Tape::new(settings.places)?);
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let writer = Writer::new(file, settings.most_bytes)?;
        let shared = Arc::new(Shared::default());
        let worker = Worker { tape: Arc::clone(&tape), shared: Arc::clone(&shared), writer };
        let worker =
            thread::Builder::new().name("atrion-trace".into()).spawn(move || worker.work())?;
        Ok(Self { tape, shared, worker: Some(worker) })
    }

    /// Where observations are to be left.
    pub const fn tape(&self) -> &Arc<Tape> {
        &self.tape
    }

    /// How the recording fares.
    pub fn health(&self) -> Health {
        Health {
            taken: self.shared.taken.load(Relaxed),
            dropped: self.tape.dropped(),
            unwritten: self.shared.unwritten.load(Relaxed),
            bytes: self.shared.bytes.load(Relaxed),
            failed: self.shared.failed.load(Relaxed),
        }
    }

    /// Writes what is on the tape, ends the file well and waits for that. Stop leaving
    /// observations before: what is left during this call may be lost.
    ///
    /// # Errors
    /// [`RecordError`] if the file could not be written; what was written before can be read.
    pub fn finish(mut self) -> Result<Totals, RecordError> {
        self.close();
        match self.worker.take().map(JoinHandle::join) {
            Some(Ok(totals)) => Ok(totals?),
            Some(Err(_)) | None => Err(RecordError::Panicked),
        }
    }

    fn close(&self) {
        self.shared.closed.store(true, Relaxed);
        if let Some(worker) = &self.worker {
            worker.thread().unpark();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close();
    }
}

struct Worker {
    tape: Arc<Tape>,
    shared: Arc<Shared>,
    writer: Writer<File>,
}

impl Worker {
    fn work(mut self) -> Result<Totals, io::Error> {
        let mut failure = None;
        let mut looks = 0;
        loop {
            // Read first: what was left before closing is on the tape by now.
            let closed = self.shared.closed.load(Relaxed);
            let drained = self.writer.drain(&self.tape);
            self.note(*drained.as_ref().unwrap_or(&0));
            looks += 1;
            let mut done = drained.map(|_| ());
            if done.is_ok() && (closed || looks >= LOOKS_PER_FLUSH) {
                looks = 0;
                done = self.writer.flush();
                self.note(0);
            }
            if let Err(error) = done {
                self.shared.failed.store(true, Relaxed);
                failure.get_or_insert(error);
                // Goes on taking, so that the tape does not fill with what nobody will read.
                continue;
            }
            if closed {
                break;
            }
            thread::park_timeout(LOOK_EVERY);
        }
        match failure {
            Some(error) => Err(error),
            None => self.writer.finish().map(|(_, totals)| totals),
        }
    }

    fn note(&self, taken: u64) {
        self.shared.taken.fetch_add(taken, Relaxed);
        self.shared.unwritten.store(self.writer.totals().unwritten, Relaxed);
        self.shared.bytes.store(self.writer.written(), Relaxed);
    }
}
