//! Publishing a transition, and judging a lost race: what is read back says whether to decide again or to leave.

use std::sync::Arc;

use bytes::Bytes;
use orrery_contracts::{Change, Status, Time, TransitionMessage, subjects};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::compare_and_set::{Draft, EventsWriter, Outcome};
use crate::gate::Head;

/// The most of a text that goes into an event: the whole of it is in the log.
const LONGEST_TEXT: usize = 16 * 1024;

/// What became of a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// It stands, at this sequence of EVENTS.
    Stored(u64),
    /// Another one came first, at this sequence: decide again once it is known.
    Again(u64),
    /// Another executor works on the command.
    Stale,
    /// The streams are not those that were seen, for this reason.
    Regressed(String),
    /// The broker did not answer before the caller gave up.
    GaveUp,
}

/// Publishes the transitions of one executor.
#[derive(Clone, Debug)]
pub(crate) struct Transitions {
    writer: EventsWriter,
    by: Arc<str>,
}

impl Transitions {
    pub(crate) fn new(writer: EventsWriter, by: &str) -> Self {
        Self { writer, by: by.into() }
    }

    /// Who writes: `docker@local`.
    pub(crate) fn by(&self) -> &Arc<str> {
        &self.by
    }

    /// Publishes a change of the command at the head, whose state was read as `from`.
    pub(crate) async fn publish(
        &self,
        head: &Head,
        from: Status,
        run: u32,
        change: Change,
        give_up: impl Future<Output = ()>,
    ) -> Published {
        let message = TransitionMessage {
            event_id: Uuid::now_v7(),
            seq: head.seq,
            command_sha256: head.sha256.clone(),
            attempt: head.attempt,
            run,
            at: Time::new(OffsetDateTime::now_utc()),
            by: self.by.to_string(),
            change: shortened(change),
        };
        let to = message.change.status();
        let draft = Draft {
            subject: subjects::transition(head.seq),
            event_id: message.event_id,
            body: Bytes::from(serde_json::to_vec(&message).unwrap_or_default()),
        };
        let published = match self.writer.publish(&draft, head.last, give_up).await {
            Outcome::Stored(sequence) => Published::Stored(sequence),
            Outcome::Refused(last) => {
                let found = last.as_ref().and_then(|last| serde_json::from_slice(&last.body).ok());
                lost(from, head, found.as_ref(), last.map_or(0, |last| last.seq))
            }
            Outcome::Regressed(why) => Published::Regressed(why),
            Outcome::GaveUp => Published::GaveUp,
        };
        tracing::info!(command = head.seq, attempt = head.attempt, run, ?published, "{} → {}", from.as_str(), to.as_str());
        published
    }
}

/// What a lost race means, by what won it. While this executor holds the command RUNNING nobody but an executor may end
/// that, so whatever came instead is another executor's work, also where the api has moved the command on since. A person
/// makes an attempt only of one that has failed: what was waiting, and is a later attempt now, was another executor's in between.
fn lost(from: Status, head: &Head, found: Option<&TransitionMessage>, sequence: u64) -> Published {
    let Some(found) = found else { return Published::Again(sequence) };
    match from {
        Status::Running if (found.attempt, found.run) != (head.attempt, head.run) => Published::Stale,
        Status::Pending if found.attempt > head.attempt => Published::Stale,
        Status::Pending if found.attempt == head.attempt && found.run > head.run => Published::Stale,
        Status::Failed if found.run > 0 && found.attempt > head.attempt => Published::Stale,
        Status::Running | Status::Pending | Status::Failed | Status::Done | Status::Cancelled => Published::Again(sequence),
    }
}

fn shortened(change: Change) -> Change {
    match change {
        Change::Done { summary } => Change::Done { summary: cut(summary) },
        Change::Failed { mut failure } => {
            failure.message = cut(failure.message);
            Change::Failed { failure }
        }
        Change::Cancelled { reason } => Change::Cancelled { reason: cut(reason) },
        Change::Pending {} | Change::Running { .. } => change,
    }
}

/// At most so much of a text, ending where a character ends.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > LONGEST_TEXT {
        let end = (0..=LONGEST_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use orrery_contracts::{Digest, Failure, OnFailure};

    use super::*;

    fn head(attempt: u32, run: u32) -> Head {
        Head { seq: 5, sha256: Digest::of(b"x"), attempt, run, last: 7, on_failure: OnFailure::Hold }
    }

    fn found(attempt: u32, run: u32, change: Change) -> TransitionMessage {
        TransitionMessage {
            event_id: Uuid::nil(),
            seq: 5,
            command_sha256: Digest::of(b"x"),
            attempt,
            run,
            at: Time::new(OffsetDateTime::UNIX_EPOCH),
            by: "somebody".into(),
            change,
        }
    }

    #[test]
    fn a_cancel_or_retry_of_the_api_that_came_first_means_decide_again() {
        let cancelled = found(1, 0, Change::Cancelled { reason: "by anna".into() });
        assert_eq!(lost(Status::Pending, &head(1, 0), Some(&cancelled), 8), Published::Again(8));
        let retried = found(2, 0, Change::Pending {});
        assert_eq!(lost(Status::Failed, &head(1, 3), Some(&retried), 9), Published::Again(9));
    }

    #[test]
    fn a_greater_run_or_attempt_of_another_executor_means_leave() {
        let running = found(1, 2, Change::Running { deadline_seconds: None });
        assert_eq!(lost(Status::Running, &head(1, 1), Some(&running), 8), Published::Stale);
        assert_eq!(lost(Status::Pending, &head(1, 0), Some(&running), 8), Published::Stale);
        let retried_since = found(2, 0, Change::Pending {});
        assert_eq!(lost(Status::Running, &head(1, 1), Some(&retried_since), 8), Published::Stale);
        assert_eq!(lost(Status::Pending, &head(1, 0), Some(&retried_since), 8), Published::Stale);
        let failed_since = found(1, 2, Change::Failed { failure: Failure { code: "x".into(), message: "y".into(), step: None } });
        assert_eq!(lost(Status::Running, &head(1, 1), Some(&failed_since), 8), Published::Stale);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        assert_eq!(lost(Status::Pending, &head(1, 0), None, 8), Published::Again(8));
    }

    #[test]
    fn a_long_text_is_cut_where_a_character_ends() {
        let long = "ü".repeat(LONGEST_TEXT);
        let short = cut(long);
        assert!(short.ends_with("ü…"));
        assert!(short.len() <= LONGEST_TEXT + '…'.len_utf8());
    }
}
