//! What a batch changed, for the feed: each thing once, in the order in which it changed last. Pure.

use orrery_contracts::StackId;
use uuid::Uuid;

use crate::queries::containers::Gone;
use crate::queries::stacks::StackName;
use crate::queries::steps::StepKey;

/// What kind of thing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command.
    Command,
    /// A step of a command.
    Step,
    /// A stack, or what its status follows from.
    Stack,
    /// A version.
    Version,
    /// A container.
    Container,
    /// An engine's listing.
    Engine,
}

impl Kind {
    /// The word in the feed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Step => "step",
            Self::Stack => "stack",
            Self::Version => "version",
            Self::Container => "container",
            Self::Engine => "engine",
        }
    }
}

/// A reference to something that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The command.
    pub command: Option<u64>,
    /// Attempt and number of the step.
    pub step: Option<(u32, u32)>,
    /// The stack.
    pub stack: Option<Uuid>,
    /// The version.
    pub version: Option<u32>,
    /// The host.
    pub host: Option<String>,
    /// The container.
    pub container: Option<String>,
    /// Whose it was, where that can no longer be looked up.
    pub owner: Option<String>,
    /// Whether it is gone.
    pub gone: bool,
}

impl Entry {
    const fn of(kind: Kind) -> Self {
        Self { kind, command: None, step: None, stack: None, version: None, host: None, container: None, owner: None, gone: false }
    }
}

/// The changes of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(Vec<Entry>);

impl Changes {
    /// A command changed, and with it its stack.
    pub fn command(&mut self, seq: u64, stack: Option<StackId>) {
        self.add(Entry { command: Some(seq), stack: stack.map(StackId::uuid), ..Entry::of(Kind::Command) });
        if let Some(stack) = stack {
            self.stack(stack);
        }
    }

    /// A step changed.
    pub fn step(&mut self, key: StepKey, stack: Option<StackId>) {
        let step = Some((key.attempt, key.n));
        self.add(Entry { command: Some(key.command), step, stack: stack.map(StackId::uuid), ..Entry::of(Kind::Step) });
    }

    /// A stack changed.
    pub fn stack(&mut self, id: StackId) {
        self.add(Entry { stack: Some(id.uuid()), ..Entry::of(Kind::Stack) });
    }

    /// A stack went.
    pub fn stack_gone(&mut self, it: &StackName) {
        self.add(Entry { stack: Some(it.id.uuid()), owner: Some(it.owner.clone()), gone: true, ..Entry::of(Kind::Stack) });
    }

    /// A version came.
    pub fn version(&mut self, id: StackId, version: u32) {
        self.add(Entry { stack: Some(id.uuid()), version: Some(version), ..Entry::of(Kind::Version) });
    }

    /// A container changed, and with it its stack.
    pub fn container(&mut self, host: &str, id: &str, stack: Option<StackId>) {
        let entry = Entry { host: Some(host.into()), container: Some(id.into()), ..Entry::of(Kind::Container) };
        self.add(Entry { stack: stack.map(StackId::uuid), ..entry });
        if let Some(stack) = stack {
            self.stack(stack);
        }
    }

    /// A container went, and its stack changed with it.
    pub fn container_gone(&mut self, it: &Gone) {
        let (host, container) = (Some(it.key.host.clone()), Some(it.key.id.clone()));
        self.add(Entry { host, container, stack: it.stack_id, gone: true, ..Entry::of(Kind::Container) });
        if let Some(stack) = it.stack_id {
            self.stack(StackId::new(stack));
        }
    }

    /// A listing of an engine ended.
    pub fn engine(&mut self, host: &str) {
        self.add(Entry { host: Some(host.into()), ..Entry::of(Kind::Engine) });
    }

    /// How much there is, for [`Self::forget_after`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what was added after [`Self::len`] was `len`.
    pub fn forget_after(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// The entries, each thing once, where it changed last.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(self.0.len());
        let mut seen = std::collections::HashSet::new();
        for entry in self.0.into_iter().rev() {
            let key =
                (entry.kind.word(), entry.command, entry.step, entry.stack, entry.version, entry.host.clone(), entry.container.clone());
            if seen.insert(key) {
                entries.push(entry);
            }
        }
        entries.reverse();
        entries
    }

    fn add(&mut self, entry: Entry) {
        self.0.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_twice_is_told_once_where_it_changed_last() {
        let stack = StackId::new(Uuid::nil());
        let mut changes = Changes::default();
        changes.command(1, Some(stack));
        changes.command(2, None);
        changes.command(1, Some(stack));
        let told: Vec<_> = changes.into_entries().into_iter().map(|entry| (entry.kind.word(), entry.command)).collect();
        assert_eq!(told, [("command", Some(2)), ("command", Some(1)), ("stack", None)]);
    }

    #[test]
    fn a_thing_that_went_and_came_back_is_there() {
        let mut changes = Changes::default();
        let key = crate::queries::containers::ContainerKey { host: "local".into(), id: "c".into() };
        changes.container_gone(&Gone { key, stack_id: None });
        changes.container("local", "c", None);
        let entries = changes.into_entries();
        assert_eq!(entries.len(), 1);
        assert!(!entries[0].gone);
    }
}
