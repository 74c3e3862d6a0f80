//! From a command at the head to a job, or to the reason why there is none. Without effects; the engine and the broker
//! are waited for as long as nobody interrupts.

use std::sync::Arc;
use std::time::Duration;

use orrery_contracts::{Digest, Failure, Rejection, Status, subjects};
use tokio_util::task::AbortOnDropHandle;

use super::arrival;
use super::turn::{Desk, Signals};
use crate::executor::{Accepted, Executor, JudgeError};
use crate::gate::Head;
use crate::history::History;
use crate::streams::Item;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two judgements while the engine is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A judgement that panics so often is no judgement.
const PANICS: u32 = 3;
const ENGINE: &str = "engine";

/// What is to be done with a command.
pub(super) enum Prepared<J> {
    /// To be carried out.
    Job(Box<Accepted>, J),
    /// To be carried out as if it were cancelled, so that what ran before is brought back; then it has failed.
    GiveUp(Box<Accepted>, J, Failure),
    Reject(Rejection),
    Fail(Failure),
    /// Nothing of it has begun.
    Cancel(Arc<str>),
}

impl<J> Prepared<J> {
    pub(super) fn deadline_seconds(&self) -> Option<u64> {
        match self {
            Self::Job(accepted, _) => accepted.message.deadline_seconds,
            Self::GiveUp(..) | Self::Reject(_) | Self::Fail(_) | Self::Cancel(_) => None,
        }
    }
}

/// Why the preparation went no further.
pub(super) enum Interruption {
    /// The process is to end.
    Stop,
    /// The command has ended meanwhile.
    Superseded,
    /// The message is not the one that the gate has seen.
    Distrusted(String),
}

impl<E: Executor> Desk<E> {
    pub(super) async fn prepare(
        &self,
        head: &Head,
        from: Status,
        history: &History,
        signals: &Signals,
    ) -> Result<Prepared<E::Job>, Interruption> {
        let begun = history.has_begun(head.attempt);
        let deadly = (from == Status::Running).then(|| history.dies_in(head.attempt, head.run)).flatten();
        let failure = deadly.as_ref().map(|(place, _)| {
            let message = format!("the executor died three times {place}; look at its log before you retry");
            Failure { code: "executor_died".into(), message, step: None }
        });
        let hopeless = !begun || deadly.is_some_and(|(_, hopeless)| hopeless);
        if let Some(failure) = failure.as_ref().filter(|_| hopeless) {
            return Ok(Prepared::Fail(failure.clone()));
        }
        // A PENDING command is cancelled by the api itself; one that has begun by its executor, which brings back what ran.
        let asked = async {
            match from {
                Status::Running if !begun => signals.cancel.asked().await,
                Status::Running | Status::Pending | Status::Done | Status::Failed | Status::Cancelled => std::future::pending().await,
            }
        };
        let resumed = from == Status::Running || head.attempt > 1;
        tokio::select! {
            biased;
            () = signals.stop.cancelled() => Err(Interruption::Stop),
            () = signals.superseded.cancelled() => Err(Interruption::Superseded),
            by = asked => Ok(Prepared::Cancel(by)),
            prepared = self.judge(head, resumed) => match (prepared?, failure) {
                (Prepared::Job(accepted, job), Some(failure)) => Ok(Prepared::GiveUp(accepted, job, failure)),
                (prepared, _) => Ok(prepared),
            },
        }
    }

    async fn judge(&self, head: &Head, resumed: bool) -> Result<Prepared<E::Job>, Interruption> {
        let item = self.fetch(head).await?;
        let accepted = self.definitions.patiently(|| arrival::accept(&*self.executor, &self.definitions, item.clone(), resumed)).await;
        let accepted = match accepted {
            Ok(Ok(accepted)) => Box::new(accepted),
            Ok(Err(rejection)) => return Ok(Prepared::Reject(rejection)),
            Err(damaged) => return Ok(Prepared::Reject(Rejection(format!("the publisher's rights cannot be read: {damaged}")))),
        };
        let mut pause = FIRST_PAUSE;
        let mut panics = 0_u32;
        let judged = loop {
            let task = tokio::spawn({
                let (executor, accepted) = (Arc::clone(&self.executor), accepted.clone());
                async move { executor.judge(&accepted).await }
            });
            let reason = match AbortOnDropHandle::new(task).await {
                Ok(Ok(job)) => break Prepared::Job(accepted, job),
                Ok(Err(JudgeError::Rejected(rejection))) => break Prepared::Reject(rejection),
                Ok(Err(JudgeError::Transient(reason))) => reason,
                Err(death) => {
                    tracing::error!(command = head.seq, "the executor died while it judged a command: {death}");
                    panics = panics.saturating_add(1);
                    if panics >= PANICS {
                        break Prepared::Reject(Rejection("the executor died three times while it judged the command; see its log".into()));
                    }
                    "the executor died while it judged".into()
                }
            };
            self.report.waits(ENGINE, format!("command {} waits: {reason}", head.seq));
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        };
        self.report.has(ENGINE);
        Ok(judged)
    }

    /// Reads the command's message again, and compares it with the one that was seen.
    async fn fetch(&self, head: &Head) -> Result<Item, Interruption> {
        let item = loop {
            self.streams.connected().await;
            match self.streams.message(subjects::COMMANDS, head.seq).await {
                Ok(Some(item)) => break item,
                Ok(None) => return Err(Interruption::Distrusted(format!("COMMANDS has no message at {} any more", head.seq))),
                Err(reason) => tracing::debug!(command = head.seq, "the command is read again: {reason}"),
            }
            tokio::time::sleep(FIRST_PAUSE).await;
        };
        if Digest::of(&item.body) != head.sha256 {
            return Err(Interruption::Distrusted(format!("COMMANDS has another message at {} than the one seen", head.seq)));
        }
        Ok(item)
    }
}
