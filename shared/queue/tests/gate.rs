//! The gate against a reference model that is small enough to be believed: a list of commands, each with one word.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use orrery_contracts::{Change, Digest, Engine, Failure, OnFailure, QueueMark, Rejection, Time, TransitionMessage};
use orrery_queue::gate::{Decision, Facts, Table};
use proptest::prelude::*;
use uuid::Uuid;

/// The model's word for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Pending,
    Running,
    Failed,
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Command {
    owner: Engine,
    faulty: bool,
    release: bool,
    word: Word,
    attempt: u32,
    run: u32,
}

/// What happens to the queue: a new command, or a change that somebody publishes for one of them.
#[derive(Clone, Copy, Debug)]
enum Event {
    Command { libvirt: bool, faulty: bool, release: bool },
    Change { which: usize, to: u8, attempt_off: u8, run_off: u8 },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let command =
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(libvirt, faulty, release)| Event::Command { libvirt, faulty, release });
    let change =
        (any::<prop::sample::Index>(), 0..5_u8, prop::sample::select(vec![0, 0, 0, 0, 1, 2]), prop::sample::select(vec![0, 0, 0, 0, 1, 2]));
    let change = change.prop_map(|(which, to, attempt_off, run_off)| Event::Change { which: which.index(64), to, attempt_off, run_off });
    prop::collection::vec(prop_oneof![1 => command, 3 => change], 1..60)
}

fn sha(seq: u64) -> Digest {
    Digest::of(&seq.to_be_bytes())
}

fn facts(seq: u64, command: &Command) -> Facts {
    Facts {
        owner: command.owner,
        sha256: sha(seq),
        bytes: 10,
        principal: "publisher.ci".into(),
        fault: command.faulty.then(|| Rejection("faulty".into())),
        on_failure: if command.release { OnFailure::Release } else { OnFailure::Hold },
    }
}

fn message(seq: u64, attempt: u32, run: u32, change: Change) -> TransitionMessage {
    let at = Time::parse("2026-01-01T00:00:00Z").unwrap();
    TransitionMessage { event_id: Uuid::nil(), seq, command_sha256: sha(seq), attempt, run, at, by: "x".into(), change }
}

/// What the model does with a change: exactly the arrows of the picture, for the attempt and run that they are about.
fn apply(command: &mut Command, to: u8, attempt: u32, run: u32) {
    let same = attempt == command.attempt;
    let next = match (command.word, to) {
        (Word::Pending, 1) if same && run == 1 => Some((Word::Running, run)),
        (Word::Running, 1) if same && run > command.run => Some((Word::Running, run)),
        (Word::Running, 2 | 4) if same && run == command.run => Some((Word::Ended, 0)),
        (Word::Running, 3) if same && run == command.run => Some((Word::Failed, run)),
        (Word::Pending | Word::Failed, 4) if same => Some((Word::Ended, 0)),
        (Word::Failed, 0) if attempt == command.attempt + 1 => Some((Word::Pending, 0)),
        _ => None,
    };
    if let Some((word, run)) = next {
        (command.word, command.run, command.attempt) = (word, run, attempt);
    }
}

fn change(to: u8) -> Change {
    match to {
        0 => Change::Pending {},
        1 => Change::Running { deadline_seconds: None },
        2 => Change::Done { summary: String::new() },
        3 => Change::Failed { failure: Failure { code: "x".into(), message: "y".into(), step: None } },
        _ => Change::Cancelled { reason: "z".into() },
    }
}

/// A word for what the model wants an executor to do.
fn wanted(commands: &[Command], engine: Engine) -> String {
    let Some((index, head)) = commands.iter().enumerate().find(|(_, command)| command.word != Word::Ended) else { return "nothing".into() };
    let (seq, mine) = (index + 1, head.owner == engine);
    match head.word {
        Word::Failed if !head.release => format!("held by {seq}"),
        _ if !mine => format!("waits for the owner of {seq}"),
        Word::Failed => format!("releases {seq}"),
        Word::Running => format!("resumes {seq} after {}.{}", head.attempt, head.run),
        Word::Pending if head.faulty => format!("rejects {seq}"),
        Word::Pending => format!("starts {seq} as {}", head.attempt),
        Word::Ended => unreachable!(),
    }
}

fn found(decision: &Decision) -> String {
    match decision {
        Decision::Nothing => "nothing".into(),
        Decision::WaitForOwner { seq, .. } => format!("waits for the owner of {seq}"),
        Decision::Held { seq, .. } => format!("held by {seq}"),
        Decision::Reject { head, .. } => format!("rejects {}", head.seq),
        Decision::Start(head) => format!("starts {} as {}", head.seq, head.attempt),
        Decision::Resume(head) => format!("resumes {} after {}.{}", head.seq, head.attempt, head.run),
        Decision::Release { head, .. } => format!("releases {}", head.seq),
    }
}

/// What was published, to be read again by a table that begins behind a mark.
#[derive(Clone, Debug, Default)]
struct Log {
    commands: Vec<Facts>,
    events: Vec<TransitionMessage>,
}

impl Log {
    /// A table that starts at the mark and reads what lies behind it; the events first, so that they run ahead.
    fn read_behind(&self, mark: QueueMark) -> Table {
        let mut table = Table::behind(mark);
        for (event, message) in self.events.iter().enumerate().skip(usize::try_from(mark.events).unwrap()) {
            table.transition(event as u64 + 1, message.seq, Some(message)).unwrap();
        }
        for (index, facts) in self.commands.iter().enumerate().skip(usize::try_from(mark.commands).unwrap()) {
            table.command(index as u64 + 1, facts.clone()).unwrap();
        }
        table
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn both_executors_decide_as_the_model_does_also_after_a_start_at_any_mark(events in events()) {
        let mut model: Vec<Command> = Vec::new();
        let mut table = Table::behind(QueueMark::default());
        let mut log = Log::default();
        for event in events {
            match event {
                Event::Command { libvirt, faulty, release } => {
                    let owner = if libvirt { Engine::Libvirt } else { Engine::Docker };
                    let command = Command { owner, faulty, release, word: Word::Pending, attempt: 1, run: 0 };
                    model.push(command);
                    let seq = model.len() as u64;
                    log.commands.push(facts(seq, &command));
                    table.command(seq, facts(seq, &command)).unwrap();
                }
                Event::Change { which, to, attempt_off, run_off } => {
                    let Some(count) = (!model.is_empty()).then_some(model.len()) else { continue };
                    let command = &mut model[which % count];
                    let seq = (which % count) as u64 + 1;
                    let attempt = command.attempt + u32::from(to == 0) + u32::from(attempt_off) - u32::from(attempt_off == 2) * 2;
                    let run = command.run + u32::from(to == 1) + u32::from(run_off);
                    apply(command, to, attempt, run);
                    let message = message(seq, attempt, run, change(to));
                    log.events.push(message.clone());
                    table.transition(log.events.len() as u64, seq, Some(&message)).unwrap();
                }
            }
            for engine in [Engine::Docker, Engine::Libvirt] {
                prop_assert_eq!(found(&table.decide(engine)), wanted(&model, engine));
                let again = log.read_behind(table.mark());
                prop_assert_eq!(again.decide(engine), table.decide(engine));
                prop_assert_eq!(again.mark(), table.mark());
            }
        }
        let unended = model.iter().filter(|command| command.word != Word::Ended).count();
        prop_assert_eq!(table.backlog(), unended);
    }

    #[test]
    fn the_mark_only_grows_and_never_passes_a_command_that_has_not_ended(events in events()) {
        let mut model: Vec<Command> = Vec::new();
        let mut table = Table::behind(QueueMark::default());
        let mut last = QueueMark::default();
        let mut sequence = 0;
        for event in events {
            match event {
                Event::Command { faulty, release, .. } => {
                    let command = Command { owner: Engine::Docker, faulty, release, word: Word::Pending, attempt: 1, run: 0 };
                    model.push(command);
                    table.command(model.len() as u64, facts(model.len() as u64, &command)).unwrap();
                }
                Event::Change { which, to, .. } if !model.is_empty() => {
                    let index = which % model.len();
                    let (attempt, run) = (model[index].attempt + u32::from(to == 0), model[index].run + u32::from(to == 1));
                    apply(&mut model[index], to, attempt, run);
                    sequence += 1;
                    table.transition(sequence, index as u64 + 1, Some(&message(index as u64 + 1, attempt, run, change(to)))).unwrap();
                }
                Event::Change { .. } => {}
            }
            let mark = table.mark();
            prop_assert!(mark.commands >= last.commands && mark.events >= last.events, "{mark:?} after {last:?}");
            let ended = model.iter().take_while(|command| command.word == Word::Ended).count() as u64;
            prop_assert_eq!(mark.commands, ended);
            last = mark;
        }
    }
}

#[test]
fn a_transition_of_another_message_is_a_contradiction_in_either_order() {
    let command = Command { owner: Engine::Docker, faulty: false, release: false, word: Word::Pending, attempt: 1, run: 0 };
    let forged = TransitionMessage { command_sha256: sha(99), ..message(1, 1, 1, change(1)) };
    let mut table = Table::behind(QueueMark::default());
    table.command(1, facts(1, &command)).unwrap();
    assert!(table.transition(1, 1, Some(&forged)).is_err());
    let mut table = Table::behind(QueueMark::default());
    table.transition(1, 1, Some(&forged)).unwrap();
    assert_eq!(table.stray(), Some(1));
    assert!(table.command(1, facts(1, &command)).is_err());
}

#[test]
fn what_waits_is_counted_for_each_principal_up_to_the_command() {
    let command = Command { owner: Engine::Docker, faulty: false, release: false, word: Word::Pending, attempt: 1, run: 0 };
    let mut table = Table::behind(QueueMark::default());
    for seq in 1..=4 {
        let principal = if seq == 2 { "user.anna" } else { "publisher.ci" };
        table.command(seq, Facts { principal: principal.into(), ..facts(seq, &command) }).unwrap();
    }
    let waiting = |table: &Table, seq| (table.waiting_up_to(seq).commands, table.waiting_up_to(seq).bytes);
    assert_eq!(waiting(&table, 3), (2, 20));
    assert_eq!(waiting(&table, 4), (3, 30));
    table.transition(1, 1, Some(&message(1, 1, 0, change(4)))).unwrap();
    assert_eq!(waiting(&table, 4), (2, 20));
}
