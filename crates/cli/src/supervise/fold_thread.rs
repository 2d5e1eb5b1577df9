//! Keeps the capture small while the program runs.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use deadweight_analysis::Folder;

const PAUSE: Duration = Duration::from_secs(1);

/// A running thread that folds what is finished.
pub struct FoldThread {
    stop: Sender<()>,
    thread: JoinHandle<Vec<String>>,
}

impl FoldThread {
    /// Starts to keep the capture below the size.
    pub fn start(capture: &Path, max_size_bytes: u64) -> FoldThread {
        let (stop, stopped) = mpsc::channel();
        let mut folder = Folder::new(capture, max_size_bytes);
        let thread = thread::spawn(move || {
            let mut warnings = Vec::new();
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(PAUSE) {
                let new = match folder.poll() {
                    Ok(folded) => folded.map(|folded| folded.warnings).unwrap_or_default(),
                    Err(error) => vec![format!("the capture could not be made smaller during the run: {error}")],
                };
                for warning in new {
                    // The same thing is likely to go wrong every second.
                    if !warnings.contains(&warning) {
                        warnings.push(warning);
                    }
                }
            }
            warnings
        });
        FoldThread { stop, thread }
    }

    /// Ends the thread and returns what the report should say.
    pub fn stop(self) -> Vec<String> {
        let _ = self.stop.send(()); // it may have failed: join tells
        let failed =
            |_| vec!["the capture could not be made smaller during the run: an error in deadweight".to_string()];
        self.thread.join().unwrap_or_else(failed)
    }
}
