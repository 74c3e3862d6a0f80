//! The transitions that this service owns: PENDING to CANCELLED, FAILED to CANCELLED, FAILED to PENDING; and the request
//! to a RUNNING command. The broker's compare-and-set decides every race; a refused or unanswered publish is read back.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use bytes::Bytes;
use orrery_contracts::{CancelRequest, Change, Code, CommandState, Digest, TransitionMessage, subjects};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{Broker, EXCHANGE, PATIENCE, away};
use crate::problems::{Answer, Refusal};

/// A command as the transitions need it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its sequence in COMMANDS.
    pub seq: u64,
    /// SHA-256 of its body.
    pub sha256: Digest,
}

/// What became of an attempt to move a command.
#[derive(Clone, Debug)]
pub enum Moved {
    /// The transition stands, at this sequence of EVENTS.
    Made(u64),
    /// A RUNNING command was asked to stop, at this sequence of EVENTS.
    Asked(u64),
    /// The command is in a state from which it cannot be moved so.
    Impossible(CommandState),
}

impl Broker {
    /// Cancels a command: at once when it waits or has failed, between two steps when it runs.
    ///
    /// # Errors
    /// 503 when the broker is away.
    pub async fn cancel(&self, command: &Standing, by: &str) -> Answer<Moved> {
        let reason = format!("cancelled by {by}");
        self.decide(command, by, |state| match state {
            CommandState::Pending { attempt } | CommandState::Failed { attempt, .. } => {
                Step::Move { attempt: *attempt, run: state.run(), change: Change::Cancelled { reason: reason.clone() } }
            }
            CommandState::Running { attempt, .. } => Step::Ask { attempt: *attempt },
            CommandState::Done { .. } | CommandState::Cancelled { .. } => Step::Impossible,
        })
        .await
    }

    /// Puts a FAILED command back to PENDING, for its next attempt.
    ///
    /// # Errors
    /// 503 when the broker is away.
    pub async fn retry(&self, command: &Standing, by: &str) -> Answer<Moved> {
        self.decide(command, by, |state| match state {
            CommandState::Failed { attempt, .. } => Step::Move { attempt: attempt.saturating_add(1), run: 0, change: Change::Pending {} },
            CommandState::Pending { .. } | CommandState::Running { .. } | CommandState::Done { .. } | CommandState::Cancelled { .. } => {
                Step::Impossible
            }
        })
        .await
    }

    async fn decide(&self, command: &Standing, by: &str, next: impl Fn(&CommandState) -> Step) -> Answer<Moved> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.connected(deadline).await?;
            match self.try_to_decide(command, by, &next).await {
                Ok(Some(moved)) => return Ok(moved),
                Ok(None) if Instant::now() >= deadline => return Err(away("others changed the command again and again")),
                Ok(None) => {}
                Err(refusal) if refusal.code() != Code::BrokerAway || Instant::now() >= deadline => return Err(refusal),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// One look and one publish; none when somebody else was faster and it must be decided again.
    async fn try_to_decide(&self, command: &Standing, by: &str, next: &impl Fn(&CommandState) -> Step) -> Answer<Option<Moved>> {
        let (state, last) = self.state_of(command).await?;
        let event_id = Uuid::now_v7();
        let at = OffsetDateTime::now_utc().into();
        match next(&state) {
            Step::Impossible => Ok(Some(Moved::Impossible(state))),
            Step::Ask { attempt } => {
                let request = CancelRequest { event_id, seq: command.seq, attempt, at, by: by.to_owned() };
                self.ask_to_stop(&request).await.map(|seq| Some(Moved::Asked(seq)))
            }
            Step::Move { attempt, run, change } => {
                let command_sha256 = command.sha256.clone();
                let message = TransitionMessage { event_id, seq: command.seq, command_sha256, attempt, run, at, by: by.to_owned(), change };
                let legal = state.apply(&message).is_ok();
                debug_assert!(legal, "the decision follows the state machine");
                self.transition(&message, last).await.map(|made| made.map(Moved::Made))
            }
        }
    }

    /// Where the command stands, and the sequence of the transition that says so.
    async fn state_of(&self, command: &Standing) -> Answer<(CommandState, u64)> {
        let Some(last) = self.last_on(subjects::EVENTS, &subjects::transition(command.seq)).await? else {
            return Ok((CommandState::new(), 0));
        };
        let message: TransitionMessage =
            serde_json::from_slice(&last.payload).map_err(|error| Refusal::internal("reading a transition", &error))?;
        if message.command_sha256 != command.sha256 {
            return Err(Refusal::new(
                Code::Conflict,
                "the last transition is about another message at this number: the streams do not belong together",
            ));
        }
        Ok((state_after(&message), last.sequence))
    }

    async fn transition(&self, message: &TransitionMessage, last: u64) -> Answer<Option<u64>> {
        let subject = subjects::transition(message.seq);
        let body = encoded(message)?;
        if let Some(seq) = self.compare_and_set(&subject, body, last).await {
            return Ok(Some(seq));
        }
        let found = self.last_on(subjects::EVENTS, &subject).await?;
        let mine = found.filter(|found| {
            serde_json::from_slice::<TransitionMessage>(&found.payload).is_ok_and(|found| found.event_id == message.event_id)
        });
        Ok(mine.map(|found| found.sequence))
    }

    /// Asks a RUNNING command to stop. One request an attempt is enough.
    async fn ask_to_stop(&self, request: &CancelRequest) -> Answer<u64> {
        let subject = subjects::cancel(request.seq);
        let found = self.last_on(subjects::EVENTS, &subject).await?;
        let last = found.as_ref().map_or(0, |found| found.sequence);
        let asked = found.and_then(|found| serde_json::from_slice::<CancelRequest>(&found.payload).ok());
        if asked.is_some_and(|asked| asked.attempt == request.attempt) {
            return Ok(last);
        }
        match self.compare_and_set(&subject, encoded(request)?, last).await {
            Some(seq) => Ok(seq),
            None => Err(away("the request to stop was not acknowledged")),
        }
    }

    /// Publishes when the subject's last message is still the one at `last`; none when refused or not answered.
    async fn compare_and_set(&self, subject: &str, body: Bytes, last: u64) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string());
        let publish = async { self.link.jetstream().publish_with_headers(subject.to_owned(), headers, body).await?.await };
        match timeout(EXCHANGE, publish).await {
            Ok(Ok(acknowledged)) => Some(acknowledged.sequence),
            Ok(Err(error)) => {
                tracing::debug!(subject, "the broker did not take a transition: {error}");
                None
            }
            Err(_) => None,
        }
    }
}

/// What is to be done about a command in a state.
enum Step {
    Move { attempt: u32, run: u32, change: Change },
    Ask { attempt: u32 },
    Impossible,
}

fn encoded<T: serde::Serialize>(message: &T) -> Answer<Bytes> {
    serde_json::to_vec(message).map(Bytes::from).map_err(|error| Refusal::internal("writing a transition", &error))
}

/// The state that a transition leaves behind.
fn state_after(message: &TransitionMessage) -> CommandState {
    let (attempt, run) = (message.attempt, message.run);
    match &message.change {
        Change::Pending {} => CommandState::Pending { attempt },
        Change::Running { .. } => CommandState::Running { attempt, run },
        Change::Done { .. } => CommandState::Done { attempt, run },
        Change::Failed { failure } => CommandState::Failed { attempt, run, failure: failure.clone() },
        Change::Cancelled { reason } => CommandState::Cancelled { attempt, reason: reason.clone(), failure: None },
    }
}
