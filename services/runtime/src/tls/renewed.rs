//! What is made of files that others renew.

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// Something made of files, and made anew when they have been written since.
pub(crate) struct Renewed<T, E> {
    files: Vec<PathBuf>,
    make: Make<T, E>,
    kept: Mutex<Kept<T>>,
}

type Make<T, E> = Box<dyn Fn() -> Result<T, E> + Send + Sync>;

/// What was made last, and when each of the files had been written by then.
struct Kept<T> {
    written: Vec<Option<SystemTime>>,
    value: T,
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
        if written != kept.written {
            match (self.make)() {
                Ok(value) => *kept = Kept { written, value },
                Err(error) => tracing::warn!(
                    cause = error.source().map(ToString::to_string),
                    "a renewed certificate is not used yet: {error}"
                ),
            }
        }
        kept.value.clone()
    }
}

fn written(files: &[PathBuf]) -> Vec<Option<SystemTime>> {
    let written = |path: &PathBuf| time_of(path);
    files.iter().map(written).collect()
}

fn time_of(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

impl<T, E> fmt::Debug for Renewed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Renewed").field(&self.files).finish()
    }
}
