//! Watches the run's processes from a thread of its own.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::tree::Tree;

/// Time between two polls of a young run.
const SHORTEST: Duration = Duration::from_millis(20);
/// Time between two polls of a long one.
const LONGEST: Duration = Duration::from_millis(100);
/// The interval grows with the run: after a minute it is the longest.
const GROWTH: u32 = 600;
/// A poll may take at most one part in so many of the time.
const SHARE: u32 = 20;

/// A running watch.
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Tree>,
}

impl Watch {
    /// Starts to watch the process `root` and those that come from it.
    pub fn start(root: u32, capture: &Path, start: Instant) -> Watch {
        let (stop, stopped) = mpsc::channel();
        let mut tree = Tree::new(root, capture, start);
        let thread = thread::spawn(move || {
            let mut pause = Duration::ZERO;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
                let begin = Instant::now();
                tree.poll();
                pause = (start.elapsed() / GROWTH)
                    .clamp(SHORTEST, LONGEST)
                    .max(begin.elapsed() * SHARE);
            }
            tree.read_folder();
            tree
        });
        Watch { stop, thread }
    }

    /// Ends the watch and returns what it saw; `None` if it failed.
    pub fn stop(self) -> Option<Tree> {
        let _ = self.stop.send(()); // it may have failed: join tells
        self.thread.join().ok()
    }
}
