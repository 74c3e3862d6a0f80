//! Those who use the queue: publishers, among them careless ones, and people who cancel and retry. Each act takes its
//! time, so that it races with everything else.

use std::sync::Arc;

use orrery_contracts::{CancelRequest, Change, Digest, Time, TransitionMessage, subjects};
use orrery_queue::streams::{Port, expecting};
use serde_json::json;
use uuid::Uuid;

use crate::state::Dice;
use crate::wire::Wire;

/// What a person wants of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Cancel,
    Retry,
}

/// Looks at a command, and asks for what is wanted where that is possible; as the api does.
pub(crate) async fn wish(wire: Arc<Wire>, seq: u64, wish: Wish) {
    let subject = subjects::transition(seq);
    let Ok(Some(command)) = wire.message(subjects::COMMANDS, seq).await else { return };
    let Ok(last) = wire.last(subjects::EVENTS, &subject).await else { return };
    let expected = last.as_ref().map_or(0, |last| last.seq);
    let found = last.and_then(|last| serde_json::from_slice::<TransitionMessage>(&last.body).ok());
    let (attempt, run) = found.as_ref().map_or((1, 0), |found| (found.attempt, found.run));
    let at = Time::new(time::OffsetDateTime::UNIX_EPOCH);
    let next = match (found.map(|found| found.change), wish) {
        (None | Some(Change::Pending {} | Change::Failed { .. }), Wish::Cancel) => {
            (attempt, run, Change::Cancelled { reason: "cancelled by ada".to_owned() })
        }
        (Some(Change::Failed { .. }), Wish::Retry) => (attempt.saturating_add(1), 0, Change::Pending {}),
        (Some(Change::Running { .. }), Wish::Cancel) => {
            let request = CancelRequest { event_id: Uuid::nil(), seq, attempt, at, by: "ada".to_owned() };
            let body = serde_json::to_vec(&request).unwrap_or_default();
            let _ = wire.store(&subjects::cancel(seq), async_nats::HeaderMap::new(), body.into()).await;
            return;
        }
        (Some(Change::Done { .. } | Change::Cancelled { .. }), _)
        | (None | Some(Change::Pending {} | Change::Running { .. }), Wish::Retry) => {
            return;
        }
    };
    let (attempt, run, change) = next;
    let command_sha256 = Digest::of(&command.body);
    let message = TransitionMessage { event_id: Uuid::nil(), seq, command_sha256, attempt, run, at, by: "ada".to_owned(), change };
    let body = serde_json::to_vec(&message).unwrap_or_default();
    let _ = wire.store(&subject, expecting(expected), body.into()).await;
}

/// The subject of a message for COMMANDS.
pub(crate) fn subject(dice: &mut Dice, number: u64) -> String {
    let publisher = if dice.chance(100) { "greedy" } else { "ci" };
    // Now and then an id that was used before: the broker refuses it.
    let id = if number > 3 && dice.chance(50) { number.saturating_sub(1 + dice.below(3)) } else { number };
    let id = Uuid::from_u128(0x0199_7f2e_6f0a_7c3e_9a51_0000_0000_0000 | u128::from(id));
    format!("orrery.commands.{publisher}.{id}")
}

/// The body of a command for engines in memory; now and then one that is no command.
pub(crate) fn body(dice: &mut Dice) -> Vec<u8> {
    if dice.chance(60) {
        return match dice.below(5) {
            0 => b"+ACK".to_vec(),
            1 => br#"{"type":"stack.start"}"#.to_vec(),
            2 => br#"{"type":"machine.fly","target":"a"}"#.to_vec(),
            3 => br#"{"type":"stack.start","target":"1","schema":99}"#.to_vec(),
            _ => vec![0xff, 0x00, 0xfe],
        };
    }
    let kind = if dice.chance(250) { "machine.start" } else { "stack.start" };
    let mut message = json!({ "type": kind, "target": script(dice) });
    if dice.chance(150) {
        message["on_failure"] = "release".into();
    }
    if dice.chance(100) {
        message["deadline_seconds"] = (1 + dice.below(60)).into();
    }
    message.to_string().into_bytes()
}

fn script(dice: &mut Dice) -> String {
    let groups = 1 + dice.below(3);
    let mut words: Vec<String> = (0..groups).map(|_| (1 + dice.below(3)).to_string()).collect();
    if dice.chance(150) {
        words.push(format!("f{}", 1 + dice.below(3)));
    }
    if dice.chance(150) {
        words.push("u".to_owned());
    }
    if dice.chance(50) {
        words.push("x".to_owned());
    }
    if dice.chance(30) {
        words.push(format!("p{}", 1 + dice.below(4)));
    }
    if dice.chance(100) {
        words.push("s".to_owned());
    }
    words.join("-")
}
