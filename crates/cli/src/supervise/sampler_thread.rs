//! The thread that polls the run's processes and takes RSS samples.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::supervise::process_tree::ProcessTree;
use crate::supervise::status_line::StatusLine;

/// Time between two polls of a young run.
const SHORTEST: Duration = Duration::from_millis(20);
/// Time between two polls of a long one.
const LONGEST: Duration = Duration::from_millis(100);
/// The interval grows with the run: after a minute it is the longest.
const GROWTH: u32 = 600;
/// A poll may take 1/20 of the time.
const SHARE: u32 = 20;

/// The thread, while it runs.
pub struct SamplerThread {
    stop: Sender<Option<i32>>,
    thread: JoinHandle<ProcessTree>,
}

impl SamplerThread {
    /// Starts to poll a tree's processes, each `interval` or as often as is cheap.
    pub fn start(
        mut tree: ProcessTree,
        start: Instant,
        interval: Option<Duration>,
        mut live: Option<StatusLine>,
    ) -> SamplerThread {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let (mut pause, mut cost) = (Duration::ZERO, Duration::ZERO);
            loop {
                match stopped.recv_timeout(pause) {
                    Err(RecvTimeoutError::Timeout) => {}
                    ended => {
                        drop(live); // it leaves the terminal as it was
                        tree.finish(ended.ok().flatten());
                        return tree;
                    }
                }
                let begin = Instant::now();
                tree.poll();
                if let Some(live) = &mut live {
                    live.show(&tree, start.elapsed());
                }
                // Of a single expensive poll, the first one for example, the others need not suffer.
                cost = (cost * 7 + begin.elapsed()) / 8;
                let usual = interval.unwrap_or_else(|| (start.elapsed() / GROWTH).clamp(SHORTEST, LONGEST));
                tree.sample_rss();
                pause = usual.saturating_sub(begin.elapsed()).max(cost * SHARE);
            }
        });
        SamplerThread { stop, thread }
    }

    /// Ends it and returns what it saw; `None` if it failed. `status` is what `wait` said of the started program.
    pub fn stop(self, status: Option<i32>) -> Option<ProcessTree> {
        let _ = self.stop.send(status); // it may have failed: join tells
        self.thread.join().ok()
    }
}
