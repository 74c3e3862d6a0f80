//! A transition of a command: judged by the one state machine, and passed when that does not have it.

use orrery_contracts::{Change, CommandState, Status, TransitionMessage};

use super::{Projection, Verdict};
use crate::errors::{ProjectError, Regression};
use crate::message::Message;
use crate::queries::commands::{self, Standing};
use crate::queries::stacks;
use crate::queries::steps::{self, StepKey};

pub(super) async fn apply(to: &mut Projection<'_>, message: &Message, seq: u64) -> Result<Verdict, ProjectError> {
    let transition: TransitionMessage = match serde_json::from_slice(&message.body) {
        Ok(transition) => transition,
        Err(error) => return Ok(Verdict::unreadable(&error)),
    };
    if transition.seq != seq {
        return Ok(Verdict::Passed(format!("it is about command {} and lies under {seq}", transition.seq)));
    }
    let Some(before) = commands::find(to.db, seq).await? else {
        return Err(Regression::UnknownCommand { event: message.seq, command: seq }.into());
    };
    if transition.command_sha256.as_str() != before.sha256 {
        return Err(Regression::AnotherCommand { event: message.seq, command: seq }.into());
    }
    match before.state.clone().apply(&transition) {
        Ok(next) => moved(to, seq, &before, &next, &transition).await.map(|()| Verdict::Taken),
        Err(illegal) => Ok(Verdict::Passed(format!("illegal transition: {illegal}"))),
    }
}

async fn moved(
    to: &mut Projection<'_>,
    seq: u64,
    before: &Standing,
    state: &CommandState,
    transition: &TransitionMessage,
) -> Result<(), ProjectError> {
    let summary = match &transition.change {
        Change::Done { summary } => Some(summary.as_str()),
        Change::Pending {} | Change::Running { .. } | Change::Failed { .. } | Change::Cancelled { .. } => None,
    };
    let waited = before.state.status() == Status::Pending;
    // What a name means is settled when its command leaves the queue.
    let resolved = if waited { commands::resolve(to.db, seq).await? } else { None };
    let stack = resolved.unwrap_or(before.stack_id);
    commands::moved(to.db, seq, state, summary, transition.at).await?;
    match state.status() {
        Status::Pending | Status::Running => {}
        // An attempt that never ran has no steps.
        Status::Done | Status::Failed | Status::Cancelled if waited => {}
        Status::Done | Status::Failed | Status::Cancelled => {
            for n in steps::left_open(to.db, seq, state.attempt(), transition.at).await? {
                to.changes.step(StepKey { command: seq, attempt: state.attempt(), n }, stack);
            }
        }
    }
    to.changes.command(seq, stack);
    if state.status().has_ended() && before.announces {
        withdraw(to, seq).await?;
    }
    Ok(())
}

/// A stack whose create has ended without making it is no more.
async fn withdraw(to: &mut Projection<'_>, seq: u64) -> Result<(), ProjectError> {
    let Some(gone) = stacks::withdrawn(to.db, seq).await? else { return Ok(()) };
    to.changes.stack_gone(&gone);
    for command in commands::resolve_waiting(to.db, &gone.owner, &gone.name).await? {
        to.changes.command(command, None);
    }
    Ok(())
}
