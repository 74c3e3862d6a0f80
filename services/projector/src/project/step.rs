//! An entry of a command's write-ahead log: its plan, and the steps of each attempt. The broker has fenced it already.

use orrery_contracts::{StackId, StepEntry, StepMessage, StepOutcome};

use super::{Projection, Verdict};
use crate::errors::ProjectError;
use crate::message::Message;
use crate::queries::commands;
use crate::queries::steps::{self, Effect, End, StepKey};

pub(super) async fn apply(to: &mut Projection<'_>, message: &Message, seq: u64) -> Result<Verdict, ProjectError> {
    let step: StepMessage = match serde_json::from_slice(&message.body) {
        Ok(step) => step,
        Err(error) => return Ok(Verdict::unreadable(&error)),
    };
    if step.seq != seq {
        return Ok(Verdict::Passed(format!("it is about command {} and lies under {seq}", step.seq)));
    }
    let Some(standing) = commands::find(to.db, seq).await? else {
        return Ok(Verdict::Passed(format!("there is no command {seq}")));
    };
    record(to, &step, standing.stack_id).await
}

async fn record(to: &mut Projection<'_>, step: &StepMessage, stack: Option<StackId>) -> Result<Verdict, ProjectError> {
    let key = StepKey { command: step.seq, attempt: step.attempt, n: step.n };
    let known = match &step.entry {
        StepEntry::Opened { .. } | StepEntry::Closed { .. } => return Ok(Verdict::Taken),
        StepEntry::Planned { plan } => {
            let present = commands::planned(to.db, step.seq, step.attempt, plan).await?;
            to.changes.command(step.seq, stack);
            present
        }
        StepEntry::Started { action, subject, plan } => {
            steps::started(to.db, key, Effect { run: step.run, action, subject, plan: *plan }, step.at).await?;
            to.changes.step(key, stack);
            true
        }
        StepEntry::Ended { outcome, detail, output: _, log } => {
            let end = End { run: step.run, status: word(*outcome), detail, log: log.as_ref() };
            let begun = steps::ended(to.db, key, end, step.at).await?;
            to.changes.step(key, stack);
            begun
        }
    };
    Ok(if known { Verdict::Taken } else { Verdict::Passed("it ends a step that never began, or is about another attempt".into()) })
}

const fn word(outcome: StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Done => "done",
        StepOutcome::FoundDone => "found_done",
        StepOutcome::Skipped => "skipped",
        StepOutcome::Failed => "failed",
    }
}
