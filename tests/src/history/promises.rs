//! The promises that a whole history is held against: the queue's own, one creation for each container of an attempt and none
//! outside of it, and an api that says nothing of a command that is not so.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use orrery_contracts::subjects::EventSubject;
use orrery_contracts::{Status, Time, TransitionMessage, subjects};

use super::History;

/// Where a command stood, from when on, in which attempt.
type Life = Vec<(Time, Status, u32)>;

impl History {
    /// Checks every promise.
    ///
    /// # Errors
    /// The first that was broken.
    pub fn check(&self) -> anyhow::Result<()> {
        orrery_simulation::audit(&self.commands, &self.events).map_err(|broken| anyhow::anyhow!("a promise is broken: {broken}"))?;
        let lives = self.lives()?;
        self.made_once(&lives).context("a promise is broken")?;
        self.told_the_truth(&lives).context("a promise is broken")
    }

    fn lives(&self) -> anyhow::Result<BTreeMap<u64, Life>> {
        let mut lives: BTreeMap<u64, Life> = BTreeMap::new();
        for item in &self.events {
            if let Some(EventSubject::Transition(seq)) = subjects::parse_event(&item.subject) {
                let message: TransitionMessage = serde_json::from_slice(&item.body).with_context(|| format!("EVENTS, {}", item.seq))?;
                lives.entry(seq).or_default().push((self.when(item.at, message.at), message.change.status(), message.attempt));
            }
        }
        Ok(lives)
    }

    /// When something was said: by the broker's clock, or by its speaker's where a recovery has put it back.
    fn when(&self, stored: Time, said: Time) -> Time {
        let put_back = self.recoveries.iter().any(|recovery| recovery.began <= stored && stored <= recovery.ended);
        if put_back { said } else { stored }
    }

    /// A container is created while its command runs, and once in an attempt.
    fn made_once(&self, lives: &BTreeMap<u64, Life>) -> anyhow::Result<()> {
        let mut made: BTreeMap<(u64, u32, &str), u32> = BTreeMap::new();
        for event in self.engine.iter().filter(|event| event.action == "create") {
            let (name, command) = (event.name.split(".orrery-").next().unwrap_or(&event.name), event.command);
            let life =
                lives.get(&command).with_context(|| format!("{name} was created for command {command}, of which nothing is known"))?;
            let before = life.iter().take_while(|(at, ..)| *at <= event.at());
            let Some((_, Status::Running, attempt)) = before.last() else {
                bail!("{name} was created at {:?}, and command {command} did not run then: {life:?}", event.at());
            };
            let times = made.entry((command, *attempt, name)).or_default();
            *times += 1;
            ensure!(*times == 1, "{name} was created {times} times by attempt {attempt} of command {command}");
        }
        Ok(())
    }

    /// A 202 names a command that is on COMMANDS; an end that was told is the end, and nothing else is told after it.
    fn told_the_truth(&self, lives: &BTreeMap<u64, Life>) -> anyhow::Result<()> {
        let mut ends: BTreeMap<u64, (Time, Status)> = BTreeMap::new();
        let mut told: Vec<_> = self.told.iter().collect();
        told.sort_by_key(|told| told.answered);
        for told in told {
            let seq = told.seq;
            if told.http == 202 {
                let there = self
                    .commands
                    .iter()
                    .find(|item| item.seq == seq)
                    .with_context(|| format!("202 for {seq}, which is not on COMMANDS"))?;
                let id = subjects::parse_command(&there.subject).map(|(_, id)| id);
                ensure!(id == Some(told.id.as_str()), "202 for command {seq} as {}, and COMMANDS has {}", told.id, there.subject);
            }
            if let Some((at, end)) = ends.get(&seq)
                && told.asked > *at
            {
                ensure!(told.status == *end, "command {seq} was told as {end:?}, and afterwards as {:?}", told.status);
            }
            if matches!(told.status, Status::Done | Status::Cancelled) {
                let last = lives.get(&seq).and_then(|life| life.last()).map(|(_, status, _)| *status);
                ensure!(last == Some(told.status), "command {seq} was told as {:?}, and EVENTS ends with {last:?}", told.status);
                ends.entry(seq).or_insert((told.answered, told.status));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use orrery_contracts::{Change, Digest};
    use orrery_queue::streams::Item;
    use uuid::Uuid;

    use super::*;
    use crate::api::Told;
    use crate::history::{EngineEvent, Recovery};

    fn at(second: i64) -> Time {
        Time::new(time::OffsetDateTime::from_unix_timestamp(1_000_000 + second).unwrap())
    }

    fn item(seq: u64, second: i64, subject: String, body: Vec<u8>) -> Item {
        Item { seq, subject, headers: async_nats::HeaderMap::new(), body: body.into(), at: at(second) }
    }

    fn transition(seq: u64, second: i64, run: u32, change: Change) -> Item {
        let message = TransitionMessage {
            event_id: Uuid::now_v7(),
            seq: 1,
            command_sha256: Digest::of(b"{}"),
            attempt: 1,
            run,
            at: at(second),
            by: "docker@local".into(),
            change,
        };
        item(seq, second, subjects::transition(1), serde_json::to_vec(&message).unwrap())
    }

    /// One command that ran from second 1 to second 9 and made one container.
    fn good() -> History {
        let done = Change::Done { summary: "containers: 1 created".into() };
        History {
            commands: vec![item(1, 0, "orrery.commands.api.the-id".into(), b"{}".to_vec())],
            events: vec![transition(1, 1, 1, Change::Running { deadline_seconds: None }), transition(2, 9, 1, done)],
            engine: vec![created(5, "web-1")],
            told: vec![told(202, 0, 1, Status::Pending), told(200, 9, 10, Status::Done)],
            recoveries: Vec::new(),
        }
    }

    fn created(second: i64, name: &str) -> EngineEvent {
        let nanoseconds = (1_000_000 + second) * 1_000_000_000;
        EngineEvent { nanoseconds, action: "create".into(), project: "shop".into(), name: name.into(), id: second.to_string(), command: 1 }
    }

    fn told(http: u16, asked: i64, answered: i64, status: Status) -> Told {
        Told { asked: at(asked), answered: at(answered), http, id: "the-id".into(), seq: 1, status }
    }

    #[track_caller]
    fn broken(change: impl FnOnce(&mut History), words: &str) {
        let mut history = good();
        change(&mut history);
        let error = format!("{:#}", history.check().unwrap_err());
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn a_history_that_keeps_them_all_is_fine_also_as_a_file() {
        good().check().unwrap();
        good().audited("unit").unwrap();
    }

    #[test]
    fn each_promise_is_seen_broken() {
        broken(|history| history.engine.push(created(6, "web-1.orrery-new")), "created 2 times");
        broken(|history| history.engine.push(created(11, "db-1")), "did not run then");
        broken(|history| history.engine.push(EngineEvent { command: 7, ..created(5, "db-1") }), "nothing is known");
        broken(|history| history.told.push(told(200, 11, 12, Status::Running)), "afterwards as Running");
        broken(|history| history.told.push(told(200, 3, 4, Status::Cancelled)), "EVENTS ends with");
        broken(|history| history.commands[0].subject = "orrery.commands.api.another".into(), "202 for command 1");
        broken(|history| history.events.swap(0, 1), "goes from");
    }

    #[test]
    fn what_a_recovery_has_put_back_was_said_when_its_speaker_said_it() {
        let mut history = good();
        history.events.iter_mut().for_each(|item| item.at = at(50));
        assert!(format!("{:#}", history.check().unwrap_err()).contains("did not run then"));
        history.recoveries.push(Recovery { began: at(49), ended: at(51) });
        history.audited("unit").unwrap();
        history.engine.push(created(12, "db-1"));
        assert!(format!("{:#}", history.check().unwrap_err()).contains("did not run then"));
    }

    #[test]
    fn an_answer_that_was_asked_for_before_the_end_was_known_may_come_after_it() {
        let mut history = good();
        history.told.push(told(200, 8, 11, Status::Running));
        history.check().unwrap();
    }
}
