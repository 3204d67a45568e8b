//! What is made of files that others renew.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// Files that are not sound are read again after so long, and no sooner, whoever asks: they may have been written since in the
/// same tick of the file system's clock.
const AGAIN: Duration = Duration::from_secs(5);

/// Something made of files, and made anew when they have been written since.
pub(crate) struct Renewed<T, E> {
    files: Vec<PathBuf>,
    make: Make<T, E>,
    kept: Mutex<Kept<T>>,
}

type Make<T, E> = Box<dyn Fn() -> Result<T, E> + Send + Sync>;

/// What was made last.
struct Kept<T> {
    value: T,
    /// The files at the last try.
    written: Vec<Option<Written>>,
    /// When that was, if nothing came of it.
    failed: Option<Instant>,
}

/// A file as it was written last.
#[derive(PartialEq, Eq)]
struct Written {
    at: SystemTime,
    bytes: u64,
}

impl<T: Clone, E: Error> Renewed<T, E> {
    /// Makes it for the first time. `make` reads the files itself.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn new(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let kept = Kept {
            // Before they are read: what is written meanwhile is read again.
            written: written(&files),
            value: make()?,
            failed: None,
        };
        Ok(Self {
            files,
            make: Box::new(make),
            kept: Mutex::new(kept),
        })
    }

    /// What the files say now; where that is nothing sound, as while they are being written, what they said before.
    pub(crate) fn get(&self) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let written = written(&self.files);
        let again = kept.failed.is_some_and(|at| at.elapsed() >= AGAIN);
        if written != kept.written || again {
            kept.written = written;
            match (self.make)() {
                Ok(value) => (kept.value, kept.failed) = (value, None),
                Err(error) => {
                    kept.failed = Some(Instant::now());
                    tracing::warn!(
                        cause = error.source().map(ToString::to_string),
                        "a renewed certificate is not used yet: {error}"
                    );
                }
            }
        }
        kept.value.clone()
    }
}

fn written(files: &[PathBuf]) -> Vec<Option<Written>> {
    files.iter().map(|path| Written::of(path).ok()).collect()
}

impl Written {
    fn of(path: &Path) -> io::Result<Self> {
        let file = std::fs::metadata(path)?;
        Ok(Self {
            at: file.modified()?,
            bytes: file.len(),
        })
    }
}

impl<T, E> fmt::Debug for Renewed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Renewed").field(&self.files).finish()
    }
}
