//! What the page knows of the world, kept up to date by the events of the one SSE connection. An event carries the thing
//! as it is now; what is older than what is known changes nothing, so that a repeated or late event does no harm.

use std::collections::BTreeMap;

use orrery_contracts::rest::{Command, Stack, Step};
use orrery_contracts::{StackId, Status};
use serde::Deserialize;

/// Commands that have ended are kept up to this many.
const ENDED_KEPT: usize = 200;

/// What is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Known {
    pub(crate) stacks: BTreeMap<StackId, Stack>,
    pub(crate) commands: BTreeMap<u64, Command>,
}

/// What an event asks the page to do beyond what [`Known::absorb`] has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// The lists have changed.
    Lists,
    /// This stack's containers have changed.
    Containers(StackId),
    /// This stack has another version.
    Versions(StackId),
    /// Too much was missed: load everything again.
    Reset,
}

/// The part of an event that says what it is about; each kind has some of these.
#[derive(Default, Deserialize)]
struct About {
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default)]
    command: Option<u64>,
    #[serde(default)]
    command_seq: Option<u64>,
    #[serde(default)]
    attempt: Option<u32>,
    #[serde(default)]
    stack_id: Option<StackId>,
    #[serde(default)]
    id: Option<serde_json::Value>,
    #[serde(default)]
    gone: bool,
}

impl Known {
    /// Takes one event in. What it cannot read it passes over.
    pub(crate) fn absorb(&mut self, kind: &str, data: &str) -> Vec<Follow> {
        let about: About = serde_json::from_slice(data.as_bytes()).unwrap_or_default();
        match kind {
            "reset" => vec![Follow::Reset],
            "command" => serde_json::from_slice(data.as_bytes()).map_or_else(|_| vec![], |command| self.command(command)),
            "step" => serde_json::from_slice(data.as_bytes()).map_or_else(|_| vec![], |step| self.step(&about, step)),
            "stack" if about.gone => self.stack_gone(&about),
            "stack" => serde_json::from_slice(data.as_bytes()).map_or_else(
                |_| vec![],
                |stack: Stack| {
                    self.stacks.insert(stack.id, stack);
                    vec![Follow::Lists]
                },
            ),
            "container" => about.stack_id.map(Follow::Containers).into_iter().collect(),
            "version" => about.stack_id.map(Follow::Versions).into_iter().collect(),
            _ => vec![],
        }
    }

    fn stack_gone(&mut self, about: &About) -> Vec<Follow> {
        let id = about.id.as_ref().and_then(|id| id.as_str()).and_then(|id| id.parse().ok()).or(about.stack_id);
        if let Some(id) = id {
            self.stacks.remove(&id);
        }
        vec![Follow::Lists]
    }

    /// Takes a command as the api tells it.
    pub(crate) fn command(&mut self, mut new: Command) -> Vec<Follow> {
        let deleted = new.status == Status::Done && new.r#type.as_deref() == Some("stack.delete");
        if let Some(id) = new.stack_id.filter(|_| deleted) {
            self.stacks.remove(&id);
        }
        if let Some(old) = self.commands.get(&new.seq) {
            if age(old) > age(&new) {
                return vec![];
            }
            let same_attempt = old.attempt == new.attempt;
            if same_attempt && new.steps.len() < old.steps.len() {
                new.steps.clone_from(&old.steps);
            }
            if same_attempt && new.plan.is_none() {
                new.plan.clone_from(&old.plan);
            }
        }
        self.commands.insert(new.seq, new);
        self.forget();
        vec![Follow::Lists]
    }

    fn step(&mut self, about: &About, step: Step) -> Vec<Follow> {
        let Some(command) = about.command.or(about.command_seq).or(about.seq).and_then(|seq| self.commands.get_mut(&seq)) else {
            return vec![];
        };
        if about.attempt.is_some_and(|attempt| attempt != command.attempt) {
            return vec![];
        }
        match command.steps.iter_mut().find(|known| known.n == step.n) {
            Some(known) if known.ended_at.is_some() && step.ended_at.is_none() => {}
            Some(known) => *known = step,
            None => {
                command.steps.push(step);
                command.steps.sort_by_key(|step| step.n);
            }
        }
        vec![Follow::Lists]
    }

    fn forget(&mut self) {
        let ended: Vec<u64> = self.commands.values().filter(|command| command.status.has_ended()).map(|command| command.seq).collect();
        for seq in ended.iter().take(ended.len().saturating_sub(ENDED_KEPT)) {
            self.commands.remove(seq);
        }
    }

    /// What has not ended, in the order in which it is executed.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Command> {
        self.commands.values().filter(|command| !command.status.has_ended())
    }

    /// What has ended, newest first.
    pub(crate) fn ended(&self) -> impl Iterator<Item = &Command> {
        self.commands.values().rev().filter(|command| command.status.has_ended())
    }

    /// Stacks by name.
    pub(crate) fn by_name(&self) -> Vec<Stack> {
        let mut stacks: Vec<Stack> = self.stacks.values().cloned().collect();
        stacks.sort_by(|a, b| (&a.name, &a.owner).cmp(&(&b.name, &b.owner)));
        stacks
    }
}

/// Orders two tellings of one command: a later attempt, a later run, a later status.
fn age(command: &Command) -> (u32, u8, u32, bool) {
    let rank = match command.status {
        Status::Pending => 0,
        Status::Running => 1,
        Status::Failed => 2,
        Status::Done | Status::Cancelled => 3,
    };
    (command.attempt, rank, command.run, command.cancel_requested)
}

/// How the SSE connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Connecting,
    Live,
    /// Lost; so many attempts since.
    Lost(u32),
}

impl Link {
    /// After a failure: how it is now, and how many milliseconds to wait before the next attempt.
    pub(crate) const fn failed(self) -> (Self, i32) {
        let attempts = match self {
            Self::Connecting | Self::Live => 1,
            Self::Lost(n) => n.saturating_add(1),
        };
        let wait = match attempts {
            1 => 250,
            2 => 500,
            3 => 1000,
            _ => 2000,
        };
        (Self::Lost(attempts), wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(seq: u64, status: &str, attempt: u32) -> serde_json::Value {
        serde_json::json!({"id": format!("{seq}"), "seq": seq, "type": "stack.apply", "target": "shop", "stack_id": null, "stack_name": "shop",
            "version": 1, "status": status, "reason": null, "error": null, "publisher": "api", "actor": null, "on_failure": "hold",
            "attempt": attempt, "run": 1, "cancel_requested": false, "created_at": "2026-01-01T00:00:00Z", "started_at": null,
            "ended_at": null, "plan": null, "steps": []})
    }

    fn step(command: u64, attempt: u32, n: u32, ended: bool) -> String {
        serde_json::json!({"command": command, "attempt": attempt, "n": n, "action": "container.start", "subject": "web", "plan": null,
            "status": if ended { "done" } else { "running" }, "detail": "", "started_at": "2026-01-01T00:00:00Z",
            "ended_at": ended.then_some("2026-01-01T00:00:01Z"), "log": null})
        .to_string()
    }

    #[test]
    fn a_late_event_does_not_turn_the_clock_back() {
        let mut known = Known::default();
        known.absorb("command", &command(1, "DONE", 1).to_string());
        known.absorb("command", &command(1, "RUNNING", 1).to_string());
        assert_eq!(known.commands[&1].status, Status::Done);
        known.absorb("command", &command(2, "FAILED", 1).to_string());
        known.absorb("command", &command(2, "PENDING", 2).to_string());
        assert_eq!(known.commands[&2].status, Status::Pending);
    }

    #[test]
    fn steps_are_merged_by_number_and_belong_to_their_attempt() {
        let mut known = Known::default();
        known.absorb("command", &command(1, "RUNNING", 1).to_string());
        known.absorb("step", &step(1, 1, 2, false));
        known.absorb("step", &step(1, 1, 1, true));
        known.absorb("step", &step(1, 1, 2, true));
        known.absorb("step", &step(1, 1, 2, false));
        known.absorb("step", &step(1, 2, 3, false));
        let steps: Vec<_> = known.commands[&1].steps.iter().map(|step| (step.n, step.ended_at.is_some())).collect();
        assert_eq!(steps, [(1, true), (2, true)]);
        known.absorb("command", &command(1, "DONE", 1).to_string());
        assert_eq!(known.commands[&1].steps.len(), 2, "an event without steps does not take the known ones away");
    }

    #[test]
    fn what_is_open_keeps_its_order_and_what_has_ended_is_bounded() {
        let mut known = Known::default();
        for seq in 1..=300 {
            known.absorb("command", &command(seq, if seq > 297 { "PENDING" } else { "DONE" }, 1).to_string());
        }
        assert_eq!(known.open().map(|command| command.seq).collect::<Vec<_>>(), [298, 299, 300]);
        assert_eq!(known.ended().count(), ENDED_KEPT);
        assert_eq!(known.ended().next().unwrap().seq, 297);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let mut known = Known::default();
        assert_eq!(known.absorb("command", "{"), []);
        assert_eq!(known.absorb("something", "{}"), []);
        assert_eq!(known.absorb("reset", ""), [Follow::Reset]);
    }

    #[test]
    fn reconnects_back_off_to_two_seconds() {
        let mut link = Link::Live;
        let mut waits = vec![];
        for _ in 0..6 {
            let (next, wait) = link.failed();
            waits.push(wait);
            link = next;
        }
        assert_eq!(waits, [250, 500, 1000, 2000, 2000, 2000]);
        assert_eq!(link, Link::Lost(6));
    }
}
