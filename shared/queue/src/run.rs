//! One run of one command, as its executor sees it: the only door to an effect.
//!
//! A step is written ahead, then made, then written as ended. Before each one the run asks whether to go on: is a
//! cancel asked for, is the process to end, has the deadline passed, has another executor taken over.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use orrery_contracts::{CancelRequest, Failure, Plan, ProgressLine, ProgressMessage, StepEntry, StepOutcome, Time, subjects};
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::compare_and_set::EventsWriter;
use crate::definitions::{Definitions, KEPT_LOG_BYTES};
use crate::executor::{Accepted, RunError, StepDone, StepFailure, StepHandle, StepRecord, StepSpec};
use crate::steps::{LogError, RunId, StepLog, abandoned};
use crate::streams::Streams;
use crate::transitions::cut;

/// How long, after the deadline or a shutdown, what had begun may still be written or brought back.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// How long a shutdown waits for a broker that is away.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// Reports progress of a run, best effort.
#[derive(Clone, Debug)]
pub struct Progress {
    pub(crate) streams: Streams,
    pub(crate) run: RunId,
}

impl Progress {
    pub(crate) async fn report(&self, step: Option<u32>, line: ProgressLine) {
        let RunId { seq, attempt, run } = self.run;
        let line = ProgressLine { text: cut(line.text), ..line };
        let message = ProgressMessage { seq, attempt, run, step, at: Time::new(OffsetDateTime::now_utc()), line };
        let body = serde_json::to_vec(&message).unwrap_or_default();
        self.streams.tell(subjects::progress(seq), body).await;
    }
}

/// A cancel that was asked for, or not yet. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<(OnceLock<Arc<str>>, CancellationToken)>);

impl Asked {
    /// Somebody asks; the first one is who is named.
    pub(crate) fn ask(&self, by: Arc<str>) {
        let (who, asked) = &*self.0;
        who.get_or_init(|| by);
        asked.cancel();
    }

    /// Who has asked.
    pub(crate) fn by(&self) -> Option<Arc<str>> {
        self.0.0.get().cloned()
    }

    /// Resolves when somebody has asked.
    pub(crate) async fn asked(&self) -> Arc<str> {
        self.0.1.cancelled().await;
        match self.by() {
            Some(by) => by,
            None => std::future::pending().await,
        }
    }
}

/// How a run is told to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stops {
    /// The process is to end.
    pub(crate) shutdown: CancellationToken,
    /// A cancel request for this attempt was seen, by whom.
    pub(crate) cancel: Asked,
    /// When this run must have ended, by the monotonic clock.
    pub(crate) deadline: Option<Instant>,
}

/// A run: what it is about, and how it has an effect.
#[derive(Debug)]
pub struct Run {
    pub(crate) accepted: Accepted,
    pub(crate) earlier: Vec<StepRecord>,
    pub(crate) log: Arc<StepLog>,
    pub(crate) progress: Progress,
    pub(crate) definitions: Definitions,
    pub(crate) writer: EventsWriter,
    pub(crate) stops: Stops,
}

/// Whether a step goes on, or brings back what was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Back,
}

impl Run {
    /// The command.
    #[must_use]
    pub fn command(&self) -> &Accepted {
        &self.accepted
    }

    /// The attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.log.run().attempt
    }

    /// The run within the attempt, from 1.
    #[must_use]
    pub fn run(&self) -> u32 {
        self.log.run().run
    }

    /// The steps of this attempt that earlier runs wrote.
    #[must_use]
    pub fn earlier(&self) -> &[StepRecord] {
        &self.earlier
    }

    /// Records the plan that this run carries out.
    ///
    /// # Errors
    /// As for [`Run::step`].
    pub async fn planned(&self, plan: &Plan) -> Result<(), RunError> {
        self.check(Direction::Forward).await?;
        let note = self.log.note(StepEntry::Planned { plan: plan.clone() }, self.give_up(Direction::Forward)).await;
        note.map_err(|error| self.not_written(error))
    }

    /// Writes a step ahead, makes its effect, and records how it ended. Steps may run side by side.
    ///
    /// # Errors
    /// [`RunError::Cancelled`], [`RunError::ShuttingDown`], [`RunError::Stale`] or a passed deadline before the effect;
    /// [`RunError::Failed`] when the effect failed, or was still going on at the deadline.
    pub async fn step<F>(&self, what: StepSpec, effect: impl FnOnce(StepHandle) -> F) -> Result<StepDone, RunError>
    where
        F: Future<Output = Result<StepDone, StepFailure>>,
    {
        self.go(Direction::Forward, what, effect).await
    }

    /// A step on the way back: made although a cancel was asked for or the deadline has passed, so that what ran before
    /// can be brought back. Still refused to a stale executor, and bounded by half a minute after the deadline.
    ///
    /// # Errors
    /// As for [`Run::step`], without [`RunError::Cancelled`].
    pub async fn step_back<F>(&self, what: StepSpec, effect: impl FnOnce(StepHandle) -> F) -> Result<StepDone, RunError>
    where
        F: Future<Output = Result<StepDone, StepFailure>>,
    {
        self.go(Direction::Back, what, effect).await
    }

    /// Ends a step that an earlier run left open: found done, skipped (also where it is done again as a new step), failed.
    /// What is not settled by the end of the run is recorded as skipped; what has been settled stays as it is.
    ///
    /// # Errors
    /// As for [`Run::step`].
    pub async fn settle(&self, n: u32, outcome: StepOutcome, detail: &str) -> Result<(), RunError> {
        let ended = self.log.settle(n, abandoned(outcome, detail), self.give_up(Direction::Back)).await;
        ended.map_err(|error| self.not_written(error))
    }

    /// Reports progress; best effort.
    pub async fn progress(&self, step: Option<u32>, line: ProgressLine) {
        self.progress.report(step, line).await;
    }

    /// Whether to go on: a cancel asked for, a shutdown, a passed deadline.
    ///
    /// # Errors
    /// The reason to stop.
    pub async fn checkpoint(&self) -> Result<(), RunError> {
        self.check(Direction::Forward).await
    }

    /// Resolves when there is a reason to stop; for effects that only wait (a health check) and may end early.
    pub async fn interrupted(&self) -> RunError {
        tokio::select! {
            biased;
            () = self.stops.shutdown.cancelled() => RunError::ShuttingDown,
            () = deadline(self.stops.deadline) => self.too_late(None),
            _ = self.stops.cancel.asked() => RunError::Cancelled,
        }
    }

    async fn go<F>(&self, direction: Direction, what: StepSpec, effect: impl FnOnce(StepHandle) -> F) -> Result<StepDone, RunError>
    where
        F: Future<Output = Result<StepDone, StepFailure>>,
    {
        self.check(direction).await?;
        let started = self.log.start(what, self.give_up(direction)).await;
        let n = started.map_err(|error| self.not_written(error))?;
        let handle = StepHandle { n, progress: self.progress.clone() };
        let ended = tokio::select! {
            biased;
            // A step side by side has found out: what is in hand here is dropped with it.
            () = self.log.lost() => return Err(RunError::Stale),
            ended = effect(handle) => ended,
            () = deadline(self.end_of(direction)) => Err(StepFailure { failure: self.too_late_failure(Some(n)), log: None }),
        };
        metrics::counter!("orrery_steps_total", "outcome" => if ended.is_ok() { "done" } else { "failed" }).increment(1);
        match ended {
            Ok(mut done) => {
                let log = self.keep(done.log.take()).await;
                let entry = StepEntry::Ended { outcome: done.outcome, detail: cut(done.detail.clone()), output: done.output.clone(), log };
                self.ended(n, entry).await?;
                Ok(done)
            }
            Err(failure) => {
                let log = self.keep(failure.log).await;
                let detail = cut(failure.failure.message.clone());
                self.ended(n, StepEntry::Ended { outcome: StepOutcome::Failed, detail, output: None, log }).await?;
                Err(RunError::Failed(Failure { step: Some(n), ..failure.failure }))
            }
        }
    }

    async fn ended(&self, n: u32, entry: StepEntry) -> Result<(), RunError> {
        let written = self.log.end(n, entry, self.give_up(Direction::Back)).await;
        written.map_err(|error| self.not_written(error))
    }

    /// Keeps the end of a step's log in BUNDLES; a log that cannot be kept fails nothing.
    async fn keep(&self, log: Option<Vec<u8>>) -> Option<orrery_contracts::Digest> {
        let log = log.filter(|log| !log.is_empty())?;
        let end = log.get(log.len().saturating_sub(KEPT_LOG_BYTES)..).unwrap_or(&log);
        let kept = tokio::select! {
            biased;
            kept = self.definitions.patiently(|| self.definitions.put_bytes(end)) => kept,
            () = self.give_up(Direction::Back) => return None,
        };
        kept.inspect_err(|error| tracing::warn!(command = self.accepted.seq, "a step's log is not kept: {error}")).ok()
    }

    /// Whether a step in this direction may begin.
    async fn check(&self, direction: Direction) -> Result<(), RunError> {
        if self.stops.shutdown.is_cancelled() {
            return Err(RunError::ShuttingDown);
        }
        if self.end_of(direction).is_some_and(|end| end <= Instant::now()) {
            return Err(self.too_late(None));
        }
        if direction == Direction::Forward && self.cancel_is_asked().await? {
            return Err(RunError::Cancelled);
        }
        Ok(())
    }

    /// Reads whether a cancel of this attempt was asked for; waits for the broker as long as a step would.
    async fn cancel_is_asked(&self) -> Result<bool, RunError> {
        if self.cancelled_by().is_some() {
            return Ok(true);
        }
        let subject = subjects::cancel(self.accepted.seq);
        let read = async {
            loop {
                self.progress.streams.connected().await;
                match self.writer.last(&subject).await {
                    Ok(last) => return last,
                    Err(reason) => tracing::debug!(command = self.accepted.seq, "the cancel request is read again: {reason}"),
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let last = tokio::select! {
            biased;
            last = read => last,
            () = self.give_up(Direction::Forward) => return Err(self.not_written(LogError::GaveUp)),
        };
        let request = last.and_then(|last| serde_json::from_slice::<CancelRequest>(&last.body).ok());
        let Some(request) = request.filter(|request| request.attempt == self.attempt()) else { return Ok(false) };
        self.stops.cancel.ask(request.by.into());
        Ok(true)
    }

    /// Resolves when the broker is no longer to be waited for.
    async fn give_up(&self, direction: Direction) {
        let shutdown = async {
            self.stops.shutdown.cancelled().await;
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        tokio::select! {
            biased;
            () = shutdown => {}
            () = deadline(self.end_of(direction)) => {}
        }
    }

    /// When a step in this direction must have ended.
    fn end_of(&self, direction: Direction) -> Option<Instant> {
        match direction {
            Direction::Forward => self.stops.deadline,
            Direction::Back => self.stops.deadline.and_then(|deadline| deadline.checked_add(GRACE)),
        }
    }

    fn not_written(&self, error: LogError) -> RunError {
        match error {
            // Where the marks cannot be written, or the streams cannot be trusted, the turn finds out why.
            LogError::Stale | LogError::Unwritable | LogError::Regressed => RunError::Stale,
            LogError::GaveUp if self.stops.shutdown.is_cancelled() => RunError::ShuttingDown,
            LogError::GaveUp => RunError::BrokerAway,
        }
    }

    fn too_late(&self, step: Option<u32>) -> RunError {
        RunError::Failed(self.too_late_failure(step))
    }

    fn too_late_failure(&self, step: Option<u32>) -> Failure {
        let seconds = self.accepted.message.deadline_seconds.unwrap_or_default();
        Failure { code: "deadline".into(), message: format!("the command's deadline of {seconds} s has passed"), step }
    }

    /// Who asked for a cancel.
    pub(crate) fn cancelled_by(&self) -> Option<Arc<str>> {
        self.stops.cancel.by()
    }
}

async fn deadline(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
