//! Transient trouble, retried inside the attempt with growing pauses, and only so often: a command must not wait for
//! ever where a person could be told. What counts as transient is the executor's to say.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use orrery_contracts::ProgressLine;

use crate::executor::StepHandle;

/// How often, and with which pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How many calls at most.
    pub tries: u32,
    /// The first pause; each further one is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Retry {
    /// Six calls within about half a minute.
    fn default() -> Self {
        Self { tries: 6, first: Duration::from_secs(1), longest: Duration::from_secs(15) }
    }
}

impl Retry {
    /// Calls until it works, until the error is not transient, or until it was tried often enough. Each pause is said as
    /// progress of the step.
    ///
    /// # Errors
    /// The last error.
    pub async fn run<T, E, F>(&self, step: &StepHandle, mut call: impl FnMut() -> F, is_transient: impl Fn(&E) -> bool) -> Result<T, E>
    where
        E: Display,
        F: Future<Output = Result<T, E>>,
    {
        self.run_telling(&mut call, &is_transient, |text| step.progress(ProgressLine::text(text))).await
    }

    async fn run_telling<T, E, F, P>(
        &self,
        call: &mut impl FnMut() -> F,
        is_transient: &impl Fn(&E) -> bool,
        tell: impl Fn(String) -> P,
    ) -> Result<T, E>
    where
        E: Display,
        F: Future<Output = Result<T, E>>,
        P: Future<Output = ()>,
    {
        let mut pause = self.first;
        let mut tried = 1;
        loop {
            match call().await {
                Err(error) if tried < self.tries && is_transient(&error) => {
                    tell(format!("{error}; tried again in {} s ({tried} of {})", pause.as_secs_f32(), self.tries)).await;
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(self.longest);
                    tried = tried.saturating_add(1);
                }
                ended => return ended,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const QUICK: Retry = Retry { tries: 3, first: Duration::from_millis(1), longest: Duration::from_millis(2) };

    async fn tried(errors: u32, transient: bool) -> (Result<(), &'static str>, u32, usize) {
        let (calls, told) = (AtomicU32::new(0), Mutex::new(Vec::new()));
        let mut call = || {
            let number = calls.fetch_add(1, Ordering::Relaxed);
            async move { if number < errors { Err("registry answers 503") } else { Ok(()) } }
        };
        let ended = QUICK
            .run_telling(&mut call, &|_| transient, |text| {
                told.lock().unwrap().push(text);
                async {}
            })
            .await;
        let told = told.lock().unwrap().len();
        (ended, calls.load(Ordering::Relaxed), told)
    }

    #[tokio::test]
    async fn transient_trouble_is_retried_so_often_and_told() {
        assert_eq!(tried(2, true).await, (Ok(()), 3, 2));
        assert_eq!(tried(9, true).await, (Err("registry answers 503"), 3, 2));
    }

    #[tokio::test]
    async fn an_error_that_is_not_transient_is_final() {
        assert_eq!(tried(1, false).await, (Err("registry answers 503"), 1, 0));
    }
}
