//! One command's turn: judged, taken up, carried out and ended. Whatever can be waited out is waited out here; every
//! other way out is a [`TurnEnd`].

use std::sync::Arc;
use std::time::Duration;

use orrery_contracts::{Change, Engine, Failure, Rejection, Status};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::judgement::{Interruption, Prepared};
use crate::compare_and_set::EventsWriter;
use crate::definitions::Definitions;
use crate::executor::{Accepted, Executor, RunError};
use crate::gate::Head;
use crate::history::History;
use crate::marks::Marks;
use crate::report::Report;
use crate::run::{Asked, GRACE, Progress, Run, Stops};
use crate::steps::{self, LogError, RunId, StepLog};
use crate::streams::Streams;
use crate::transitions::{Published, Transitions};

/// How long a broker that is away is waited for once the process is to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What every turn of one executor shares.
#[derive(Debug)]
pub(super) struct Desk<E> {
    pub(super) executor: Arc<E>,
    pub(super) engine: Engine,
    pub(super) streams: Streams,
    pub(super) report: Report,
    pub(super) definitions: Definitions,
    pub(super) writer: EventsWriter,
    pub(super) transitions: Transitions,
    pub(super) marks: Arc<Marks>,
}

/// What may happen to a turn from outside.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    /// The process is to end, or execution is to stop.
    pub(super) stop: CancellationToken,
    /// The command has ended meanwhile, by somebody else's transition.
    pub(super) superseded: CancellationToken,
    /// A cancel request for the present attempt was seen, by whom.
    pub(super) cancel: Asked,
}

impl Signals {
    /// Resolves when the broker is no longer to be waited for.
    pub(super) async fn give_up(&self) {
        last_words(&self.stop).await;
    }
}

/// Resolves a moment after the process is asked to end.
pub(super) async fn last_words(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

/// How a turn ended.
#[derive(Debug)]
pub(super) enum TurnEnd {
    /// Decide again, once this sequence of EVENTS is known.
    Over(u64),
    /// Another executor works on the command.
    Stale,
    /// The process is to end, and the command is left as it stands.
    Stopped,
    /// The streams, or the command's message, are not those that were seen.
    Distrusted(String),
    /// The marks cannot be written.
    Unwritable(std::io::Error),
}

impl From<Published> for TurnEnd {
    fn from(published: Published) -> Self {
        match published {
            Published::Stored(sequence) | Published::Again(sequence) => Self::Over(sequence),
            Published::Stale => Self::Stale,
            Published::Regressed(why) => Self::Distrusted(why),
            Published::GaveUp => Self::Stopped,
        }
    }
}

impl TurnEnd {
    fn unwritten(log: &StepLog, error: LogError) -> Self {
        match error {
            LogError::Stale | LogError::Unwritable | LogError::Regressed => match log.regressed() {
                Some(why) => Self::Distrusted(why),
                None => log.unwritable().map_or(Self::Stale, Self::Unwritable),
            },
            LogError::GaveUp => Self::Stopped,
        }
    }
}

/// What came of a run.
enum Outcome {
    End(Change),
    /// The executor panicked: the command is left RUNNING, and taken up again.
    Died,
    Stale,
    Stopped,
}

impl<E: Executor> Desk<E> {
    /// PENDING to CANCELLED, with the reason.
    pub(super) async fn reject(&self, head: &Head, rejection: &Rejection, stop: &CancellationToken) -> TurnEnd {
        let change = Change::Cancelled { reason: format!("rejected: {rejection}") };
        self.count("rejected");
        self.transitions.publish(head, Status::Pending, 0, change, last_words(stop)).await.into()
    }

    /// FAILED to CANCELLED, for a command that does not want to hold the queue.
    pub(super) async fn release(&self, head: &Head, failure: &Failure, stop: &CancellationToken) -> TurnEnd {
        let change = Change::Cancelled { reason: format!("released after it failed: {}", failure.message) };
        self.transitions.publish(head, Status::Failed, head.run, change, last_words(stop)).await.into()
    }

    /// Takes up the command at the head, whose state is `from`: PENDING, or RUNNING where an earlier run has ended in the
    /// middle.
    pub(super) async fn take(&self, head: Head, from: Status, signals: Signals) -> TurnEnd {
        let fresh = from == Status::Pending && head.attempt == 1;
        let history = if fresh { Some(History::default()) } else { self.history(head.seq, &signals).await };
        let Some(mut history) = history else { return TurnEnd::Stopped };
        let prepared = match self.prepare(&head, from, &history, &signals).await {
            Ok(prepared) => prepared,
            Err(Interruption::Stop) => return TurnEnd::Stopped,
            Err(Interruption::Superseded) => return TurnEnd::Over(0),
            Err(Interruption::Distrusted(why)) => return TurnEnd::Distrusted(why),
        };
        if let (Status::Pending, Prepared::Reject(rejection)) = (from, &prepared) {
            return self.reject(&head, rejection, &signals.stop).await;
        }
        let (head, deadline) = match self.take_up(&head, from, prepared.deadline_seconds(), &signals).await {
            Ok(taken) => taken,
            Err(end) => return end,
        };
        let begun = history.has_begun(head.attempt);
        let log = match self.log(&head, fresh, &mut history, &signals).await {
            Ok(log) => log,
            Err(end) => return end,
        };
        let outcome = match prepared {
            Prepared::Job(accepted, job) => {
                let stops = Stops { shutdown: signals.stop.clone(), cancel: signals.cancel.clone(), deadline };
                let run = self.run(*accepted, &history, Arc::clone(&log), stops);
                self.execute(run, job).await
            }
            Prepared::GiveUp(accepted, job, failure) => {
                let cancel = Asked::default();
                cancel.ask(Arc::clone(self.transitions.by()));
                let run = self.run(*accepted, &history, Arc::clone(&log), Stops { shutdown: signals.stop.clone(), cancel, deadline: None });
                match self.execute(run, job).await {
                    Outcome::End(_) => Outcome::End(Change::Failed { failure }),
                    outcome @ (Outcome::Died | Outcome::Stale | Outcome::Stopped) => outcome,
                }
            }
            Prepared::Fail(failure) => Outcome::End(Change::Failed { failure }),
            Prepared::Cancel(by) => Outcome::End(Change::Cancelled { reason: format!("cancelled by {by}") }),
            Prepared::Reject(Rejection(why)) if begun => {
                Outcome::End(Change::Failed { failure: Failure { code: "rejected".into(), message: why, step: None } })
            }
            Prepared::Reject(rejection) => Outcome::End(Change::Cancelled { reason: format!("rejected: {rejection}") }),
        };
        self.end(&head, &log, outcome, &signals).await
    }

    /// What earlier runs wrote; none when the process is to end before the broker has answered.
    async fn history(&self, seq: u64, signals: &Signals) -> Option<History> {
        loop {
            let reason = tokio::select! {
                biased;
                read = steps::read(&self.writer, seq) => match read {
                    Ok(history) => return Some(history),
                    Err(reason) => reason,
                },
                () = signals.give_up() => return None,
            };
            tracing::debug!(command = seq, "the step log is read again: {reason}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Publishes RUNNING, and answers the head as it then stands, and when the run must have ended.
    async fn take_up(
        &self,
        head: &Head,
        from: Status,
        deadline_seconds: Option<u64>,
        signals: &Signals,
    ) -> Result<(Head, Option<Instant>), TurnEnd> {
        let run = head.run.saturating_add(1);
        let change = Change::Running { deadline_seconds };
        match self.transitions.publish(head, from, run, change, signals.give_up()).await {
            Published::Stored(last) => {
                let deadline = deadline_seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
                Ok((Head { run, last, ..head.clone() }, deadline))
            }
            published @ (Published::Again(_) | Published::Stale | Published::Regressed(_) | Published::GaveUp) => Err(published.into()),
        }
    }

    /// The step log of a run. Where runs were before, it is opened at once, which shuts them out before anybody looks at the
    /// engine; a command's first run opens it when it has something to write.
    async fn log(&self, head: &Head, fresh: bool, history: &mut History, signals: &Signals) -> Result<Arc<StepLog>, TurnEnd> {
        let run = RunId { seq: head.seq, attempt: head.attempt, run: head.run };
        let log = StepLog::fresh(&self.writer, run, self.transitions.by(), &self.marks);
        if !fresh {
            log.open(history, signals.give_up()).await.map_err(|error| TurnEnd::unwritten(&log, error))?;
        }
        Ok(Arc::new(log))
    }

    fn run(&self, accepted: Accepted, history: &History, log: Arc<StepLog>, stops: Stops) -> Run {
        let run = log.run();
        Run {
            earlier: history.steps(run.attempt),
            progress: Progress { streams: self.streams.clone(), run },
            definitions: self.definitions.clone(),
            writer: self.writer.clone(),
            accepted,
            log,
            stops,
        }
    }

    /// Has the executor carry it out, in a task of its own: a panic is caught, and a deadline that is ignored is ended.
    async fn execute(&self, run: Run, job: E::Job) -> Outcome {
        let run = Arc::new(run);
        let began = Instant::now();
        let last = run.stops.deadline.and_then(|deadline| deadline.checked_add(GRACE.saturating_mul(2)));
        let task = tokio::spawn({
            let (executor, run) = (Arc::clone(&self.executor), Arc::clone(&run));
            async move { executor.execute(job, &run).await }
        });
        let mut task = AbortOnDropHandle::new(task);
        let ended = tokio::select! {
            biased;
            ended = &mut task => ended,
            () = until(last) => return Outcome::End(deadline_passed(&run)),
        };
        metrics::histogram!("orrery_command_duration_seconds").record(began.elapsed().as_secs_f64());
        match ended {
            Ok(Ok(summary)) => Outcome::End(Change::Done { summary }),
            Ok(Err(error)) => outcome_of(error, &run),
            Err(death) => {
                tracing::error!(command = run.accepted.seq, "the executor died in the middle of a command: {death}");
                Outcome::Died
            }
        }
    }

    /// Publishes how the attempt ended; steps that are open are ended before.
    async fn end(&self, head: &Head, log: &StepLog, outcome: Outcome, signals: &Signals) -> TurnEnd {
        let change = match outcome {
            Outcome::End(change) => change,
            Outcome::Died => return TurnEnd::Over(head.last),
            Outcome::Stale => return TurnEnd::unwritten(log, LogError::Stale),
            Outcome::Stopped => {
                log.close("shutdown", signals.give_up()).await;
                return TurnEnd::Stopped;
            }
        };
        if let Err(error) = log.close_steps(signals.give_up()).await {
            return TurnEnd::unwritten(log, error);
        }
        self.count(match &change {
            Change::Done { .. } => "done",
            Change::Failed { .. } => "failed",
            Change::Cancelled { .. } | Change::Pending {} | Change::Running { .. } => "cancelled",
        });
        self.transitions.publish(head, Status::Running, head.run, change, signals.give_up()).await.into()
    }

    fn count(&self, outcome: &'static str) {
        metrics::counter!("orrery_commands_total", "engine" => self.engine.as_str(), "outcome" => outcome).increment(1);
    }
}

fn outcome_of(error: RunError, run: &Run) -> Outcome {
    match error {
        RunError::Failed(failure) => Outcome::End(Change::Failed { failure }),
        RunError::Cancelled => {
            let by = run.cancelled_by();
            let reason = by.map_or_else(|| "cancelled".to_owned(), |by| format!("cancelled by {by}"));
            Outcome::End(Change::Cancelled { reason })
        }
        RunError::Stale => Outcome::Stale,
        RunError::ShuttingDown => Outcome::Stopped,
        RunError::BrokerAway => Outcome::End(deadline_passed(run)),
    }
}

fn deadline_passed(run: &Run) -> Change {
    let seconds = run.accepted.message.deadline_seconds.unwrap_or_default();
    let message = format!("the command's deadline of {seconds} s has passed");
    Change::Failed { failure: Failure { code: "deadline".into(), message, step: None } }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
