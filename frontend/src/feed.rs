//! What the page knows of the world, kept up to date by the events of the one SSE connection. An event carries the thing
//! as it is now; what is older than what is known changes nothing, so that a repeated or late event does no harm.

use std::collections::BTreeMap;

use orrery_contracts::rest::{Command, Machine, Stack, Step};
use orrery_contracts::{MachineId, MachineStatus, StackId, Status};
use serde::Deserialize;

/// Commands that have ended are kept up to this many.
const ENDED_KEPT: usize = 200;

/// What is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Known {
    pub(crate) stacks: BTreeMap<StackId, Stack>,
    /// Each as the api told it last, in JSON: what is in it is read by the pages that show machines, and by nothing of the first
    /// screen.
    pub(crate) machines: BTreeMap<MachineId, String>,
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
    /// The boxes may have changed: no event tells of them alone.
    Boxes,
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

/// What home shows of a machine.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Glance {
    pub(crate) id: MachineId,
    pub(crate) name: String,
    pub(crate) status: MachineStatus,
    pub(crate) current_version: Option<u32>,
    pub(crate) comment: String,
}

impl About {
    /// The id, where it is one of this kind.
    fn id<T: std::str::FromStr>(&self) -> Option<T> {
        self.id.as_ref()?.as_str()?.parse().ok()
    }
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
            "machine" if about.gone => self.machine_gone(&about),
            "machine" => self.machine(&about, data),
            "container" => about.stack_id.map(Follow::Containers).into_iter().collect(),
            "version" => about.stack_id.map(Follow::Versions).into_iter().collect(),
            _ => vec![],
        }
    }

    fn machine(&mut self, about: &About, data: &str) -> Vec<Follow> {
        let Some(id) = about.id() else { return vec![] };
        self.machines.insert(id, data.to_owned());
        vec![Follow::Lists, Follow::Boxes]
    }

    /// Takes the whole list of machines, each in JSON.
    pub(crate) fn all_machines<'a>(&mut self, list: impl Iterator<Item = &'a str>) {
        let one = |data: &str| Some((serde_json::from_slice::<About>(data.as_bytes()).ok()?.id()?, data.to_owned()));
        self.machines = list.filter_map(one).collect();
    }

    fn machine_gone(&mut self, about: &About) -> Vec<Follow> {
        if let Some(id) = about.id() {
            self.machines.remove(&id);
        }
        vec![Follow::Lists, Follow::Boxes]
    }

    fn stack_gone(&mut self, about: &About) -> Vec<Follow> {
        let id = about.id().or(about.stack_id);
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
        let deleted = new.status == Status::Done && new.r#type.as_deref() == Some("machine.delete");
        if let Some(id) = new.machine_id.filter(|_| deleted) {
            self.machines.remove(&id);
        }
        let boxes = new.status.has_ended() && new.r#type.as_deref().is_some_and(|kind| kind.starts_with("box."));
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
        if boxes { vec![Follow::Lists, Follow::Boxes] } else { vec![Follow::Lists] }
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

impl Known {
    /// A machine, as it is now.
    pub(crate) fn machine_of(&self, id: MachineId) -> Option<Machine> {
        self.machines.get(&id).and_then(|data| serde_json::from_slice(data.as_bytes()).ok())
    }

    /// What home shows of the machines, by name.
    pub(crate) fn glances(&self) -> Vec<Glance> {
        let mut all: Vec<Glance> = self.machines.values().filter_map(|data| serde_json::from_slice(data.as_bytes()).ok()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Machines by name.
    pub(crate) fn machines_by_name(&self) -> Vec<Machine> {
        let mut machines: Vec<Machine> = self.machines.keys().filter_map(|id| self.machine_of(*id)).collect();
        machines.sort_by(|a, b| (&a.name, &a.owner).cmp(&(&b.name, &b.owner)));
        machines
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

    fn machine(id: &str, status: &str) -> serde_json::Value {
        serde_json::json!({"id": id, "name": "vm", "owner": "admin", "current_version": null, "latest_version": 1, "status": status,
            "summary": null, "state": null, "state_reason": null, "addresses": [], "snapshots": [], "drift": [],
            "created_at": "2026-01-01T00:00:00Z", "host": "local", "domain": "vm", "comment": "", "command": null})
    }

    #[test]
    fn a_machine_is_as_it_was_told_last_until_it_is_gone() {
        let mut known = Known::default();
        let id = "0195f0c8-1111-7000-8000-000000000001";
        assert_eq!(known.absorb("machine", &machine(id, "created").to_string()), [Follow::Lists, Follow::Boxes]);
        known.absorb("machine", &machine(id, "running").to_string());
        assert_eq!(known.machines_by_name().len(), 1);
        assert_eq!(known.machines_by_name()[0].status, MachineStatus::Running);
        assert_eq!(known.glances()[0].status, MachineStatus::Running);
        known.absorb("machine", &serde_json::json!({"id": id, "stack_id": null, "gone": true}).to_string());
        assert!(known.machines.is_empty());
    }

    #[test]
    fn the_end_of_an_import_is_news_of_the_boxes() {
        let mut known = Known::default();
        let mut import = command(1, "RUNNING", 1);
        import["type"] = "box.import".into();
        assert_eq!(known.absorb("command", &import.to_string()), [Follow::Lists]);
        import["status"] = "DONE".into();
        assert_eq!(known.absorb("command", &import.to_string()), [Follow::Lists, Follow::Boxes]);
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
