//! What inspections said of containers, kept as long as it still holds: until the engine tells an event of the container, or
//! its listing shows something else. So a look at a stack in which nothing happens costs one listing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::observed::Seen;

/// How many containers are remembered; beyond it everything is forgotten, and asked again.
const MOST: usize = 4096;

/// The memory of one engine. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    /// Whether the engine's events arrive. Without them nothing holds.
    told: bool,
    /// The events so far.
    events: u64,
    /// How many of them there were when everything was forgotten.
    forgotten: u64,
    /// The last event of a container.
    touched: HashMap<String, u64>,
    seen: HashMap<String, Kept>,
}

impl Memory {
    fn anew(told: bool, events: u64) -> Self {
        let events = events.saturating_add(1);
        Self { told, events, forgotten: events, ..Self::default() }
    }
}

#[derive(Debug)]
struct Kept {
    /// What the listing said at the time.
    listed: Seen,
    inspected: Seen,
}

/// The moment before an inspection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(u64);

impl Known {
    /// Whether events arrive from now on; whatever was known before is forgotten.
    pub(super) fn told(&self, told: bool) {
        let mut memory = self.lock();
        *memory = Memory::anew(told, memory.events);
    }

    /// Something happened to this container, or is about to be done to it.
    pub(super) fn touch(&self, id: &str) {
        let mut memory = self.lock();
        if memory.touched.len() > MOST {
            *memory = Memory::anew(memory.told, memory.events);
        }
        memory.events = memory.events.saturating_add(1);
        let now = memory.events;
        memory.seen.remove(id);
        memory.touched.insert(id.to_owned(), now);
    }

    /// What was inspected before, where it still holds for what is listed now.
    pub(super) fn still(&self, listed: &Seen) -> Option<Seen> {
        let memory = self.lock();
        memory.seen.get(&listed.id).filter(|kept| kept.listed == *listed).map(|kept| kept.inspected.clone())
    }

    /// The moment before an inspection; what happens behind it makes the inspection old.
    pub(super) fn moment(&self) -> Moment {
        Moment(self.lock().events)
    }

    /// Keeps what an inspection said, unless something has happened to the container since.
    pub(super) fn keep(&self, since: Moment, listed: Seen, inspected: Seen) {
        let mut memory = self.lock();
        let happened = memory.touched.get(&inspected.id).is_some_and(|event| *event > since.0);
        if memory.told && since.0 >= memory.forgotten && !happened && memory.seen.len() < MOST {
            memory.seen.insert(inspected.id.clone(), Kept { listed, inspected });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use orrery_contracts::Health;

    use super::*;
    use crate::definition::Facts;
    use crate::engine::State;

    fn seen(state: State, restarts: i64) -> Seen {
        Seen {
            id: "1".into(),
            name: "web-1".into(),
            service: "web".into(),
            number: 1,
            command: 1,
            version: 1,
            facts: Facts::default(),
            lacks: Vec::new(),
            state,
            health: Health::None,
            exit_code: 0,
            restarts,
            oom_killed: false,
            ports: vec![],
            anonymous: vec![],
            joins: vec![],
            depends_on: String::new(),
        }
    }

    #[test]
    fn what_was_inspected_holds_until_something_happens() {
        let known = Known::default();
        let (listed, inspected) = (seen(State::Running, 0), seen(State::Running, 3));
        known.keep(known.moment(), listed.clone(), inspected.clone());
        assert_eq!(known.still(&listed), None, "nobody tells events yet");
        known.told(true);
        known.keep(known.moment(), listed.clone(), inspected.clone());
        assert_eq!(known.still(&listed), Some(inspected.clone()));
        assert_eq!(known.still(&seen(State::Exited, 0)), None, "the listing knows better");
        known.touch("2");
        assert_eq!(known.still(&listed), Some(inspected.clone()), "another container");
        known.touch("1");
        assert_eq!(known.still(&listed), None);
        known.keep(known.moment(), listed.clone(), inspected);
        known.told(false);
        assert_eq!(known.still(&listed), None, "events may have been missed");
    }

    #[test]
    fn an_inspection_that_something_overtook_is_not_kept() {
        let known = Known::default();
        known.told(true);
        let before = known.moment();
        known.touch("1");
        known.keep(before, seen(State::Running, 0), seen(State::Running, 0));
        assert_eq!(known.still(&seen(State::Running, 0)), None);
        let before = known.moment();
        known.told(true);
        known.keep(before, seen(State::Running, 0), seen(State::Running, 0));
        assert_eq!(known.still(&seen(State::Running, 0)), None, "the connection was another");
    }
}
