//! Stories made up by chance, legal and not, told in two orders and in batches of any size: the rows are the same.

use anyhow::{Result, ensure};
use orrery_contracts::{Change, Desired, StackChange, StepOutcome};
use orrery_projector::message::{Message, Stream};
use orrery_projector::project::needs_command;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::json;

use crate::support::{Database, Story};

/// One decision: what happens, to which of the commands so far, and a number besides.
type Decision = (u8, prop::sample::Index, u32);

const NAMES: [&str; 2] = ["shop", "blog"];

fn tell(decisions: &[Decision]) -> Story {
    let mut story = Story::new();
    let mut commands = vec![story.create("shop")];
    for (what, which, number) in decisions {
        let seq = *which.get(&commands);
        let name = NAMES[*number as usize % 2];
        let (attempt, run) = (1 + number % 2, 1 + number / 2 % 2);
        match what % 16 {
            0 => commands.push(story.create(name)),
            1 => commands.push(story.ann("stack.apply", name, json!({"version": 1}))),
            2 => commands.push(story.ann("stack.delete", name, json!({}))),
            3 => commands.push(story.command("ci", &json!({"type": "stack.start", "target": format!("ann/{name}")}))),
            4 => commands.push(story.command("ci", &json!({"type": number, "target": name}))),
            5 | 6 => drop(story.running(seq, attempt, run)),
            7 => drop(story.done(seq, attempt, run, "done")),
            8 => drop(story.failed(seq, attempt, run)),
            9 => drop(story.cancelled(seq, attempt, run, "rejected: by chance")),
            10 => drop(story.transition(seq, attempt + 1, 0, Change::Pending {})),
            11 => drop(story.started(seq, attempt, run, "image.pull")),
            12 => drop(story.ended(seq, attempt, run, StepOutcome::Done)),
            13 => drop(story.cancel_request(seq, attempt)),
            14 => became(&mut story, seq, *number),
            _ => drop(story.planned(seq, attempt)),
        }
    }
    story
}

fn became(story: &mut Story, seq: u64, number: u32) {
    let id = story.stack(seq);
    // A stack is called as its create calls it.
    let command = story.said.iter().find(|it| it.stream == Stream::Commands && it.seq == seq);
    let body: serde_json::Value = serde_json::from_slice(&command.unwrap().body).unwrap();
    let name = body["target"].as_str().filter(|name| NAMES.contains(name)).unwrap_or("shop");
    let (project, host) = (name.to_owned(), "local".to_owned());
    let change = match number % 5 {
        0 | 1 => StackChange::Created { name: name.parse().unwrap(), owner: "ann".parse().unwrap(), project, host },
        2 => StackChange::HeadMoved { current: Some(number), services: Vec::new(), lock: None },
        3 => StackChange::DesiredChanged { desired: Desired::Stopped },
        _ => StackChange::Deleted { volumes: false },
    };
    story.became(id, seq, change);
}

/// Another order in which the streams may come: each in its own, no event before its command.
fn mixed(story: &Story, turns: &[bool]) -> Vec<Message> {
    let (commands, events): (Vec<_>, Vec<_>) = story.said.iter().cloned().partition(|it| it.stream == Stream::Commands);
    let (mut commands, mut events) = (std::collections::VecDeque::from(commands), std::collections::VecDeque::from(events));
    let mut order: Vec<Message> = Vec::new();
    let mut there = 0;
    for turn in turns.iter().cycle() {
        let may = events.front().is_some_and(|event| needs_command(event).unwrap_or_default() <= there);
        match (may && (*turn || commands.is_empty()), commands.is_empty()) {
            (true, _) => order.extend(events.pop_front()),
            (false, false) => {
                there += 1;
                order.extend(commands.pop_front());
            }
            (false, true) => break,
        }
    }
    order
}

async fn same_rows(db: &Database, story: &Story, turns: &[bool], size: usize) -> Result<()> {
    let mut dumps = Vec::new();
    for (order, size) in [(story.said.clone(), 1), (mixed(story, turns), size)] {
        ensure!(order.len() == story.said.len(), "the order has it all");
        db.forget_everything().await?;
        db.take(&order, size).await?;
        dumps.push(db.dump().await?);
    }
    ensure!(dumps[0] == dumps[1], "as it was said:\n{}\nmixed:\n{}", dumps[0], dumps[1]);
    Ok(())
}

#[test]
fn any_story_in_any_order_gives_the_same_rows() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let db = runtime.block_on(Database::new())?;
    let decision = (any::<u8>(), any::<prop::sample::Index>(), 0_u32..8);
    let strategy = (prop::collection::vec(decision, 1..40), prop::collection::vec(any::<bool>(), 1..20), 1_usize..40);
    let config = Config { cases: 30, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let outcome = TestRunner::new(config).run(&strategy, |(decisions, mut turns, size)| {
        turns.push(true);
        let story = tell(&decisions);
        let same = runtime.block_on(same_rows(&db, &story, &turns, size));
        same.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    outcome.map_err(|error| anyhow::anyhow!("{error}"))
}
