//! The same work by Orrery, by Compose and by bare calls: a first apply, one of nothing, and one of a version in which one service
//! is another.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use orrery_contracts::Time;
use orrery_contracts::rest::Command;
use orrery_tests::Installation;
use orrery_tests::bundles;
use serde_json::json;

use crate::bare::Bare;
use crate::compose::Compose;
use crate::figures::{Times, verdict};
use crate::shapes::Shape;

/// What was measured of one piece of work.
#[derive(Debug, Default)]
struct Work {
    /// From RUNNING to the last effect on the engine; to the end where there is none.
    converge: Times,
    /// From sending the request to the answer that says DONE.
    whole: Times,
    compose: Times,
    bare: Times,
}

/// What was measured of one stack.
pub(crate) struct Contest {
    shape: Shape,
    first: Work,
    nothing: Work,
    change: Work,
}

impl Contest {
    pub(crate) async fn of(orrery: &Installation, peer: &Path, shape: Shape, rounds: usize) -> anyhow::Result<Self> {
        let mut contest = Self { shape, first: Work::default(), nothing: Work::default(), change: Work::default() };
        for round in 0..rounds {
            eprintln!("{}, round {} of {rounds}", shape.words(), round.saturating_add(1));
            for turn in 0..3 {
                match (round.saturating_add(turn)) % 3 {
                    0 => contest.by_orrery(orrery).await?,
                    1 => contest.by_compose(orrery, peer)?,
                    _ => contest.by_bare_calls(orrery).await?,
                }
            }
        }
        Ok(contest)
    }

    async fn by_orrery(&mut self, orrery: &Installation) -> anyhow::Result<()> {
        let name = orrery.name("bench");
        orrery.api.create(&name, &bundles::compose(self.shape.definition(1))).await?;
        applied(orrery, &name, 1, &mut self.first).await?;
        applied(orrery, &name, 1, &mut self.nothing).await?;
        orrery.api.save(&name, &bundles::compose(self.shape.definition(2))).await?;
        applied(orrery, &name, 2, &mut self.change).await?;
        orrery.api.done(&format!("/stacks/{name}/delete"), json!({"volumes": true})).await?;
        Ok(())
    }

    fn by_compose(&mut self, orrery: &Installation, peer: &Path) -> anyhow::Result<()> {
        let compose = Compose::new(peer, &orrery.name("peer"))?;
        self.first.compose.push(compose.up(&self.shape.definition(1))?);
        self.nothing.compose.push(compose.up(&self.shape.definition(1))?);
        self.change.compose.push(compose.up(&self.shape.definition(2))?);
        compose.down()
    }

    async fn by_bare_calls(&mut self, orrery: &Installation) -> anyhow::Result<()> {
        let bare = Bare::new(orrery.engine.docker(), &orrery.name("bare"), self.shape).await?;
        self.first.bare.push(bare.first().await?);
        self.change.bare.push(bare.change().await?);
        bare.away().await
    }

    pub(crate) fn report(&self) -> String {
        let mut text = format!(
            "\n### {}\n\n| | Orrery, RUNNING to the last effect | Orrery, POST to DONE | Compose | bare calls |\n| --- | --- | --- | --- | --- |\n",
            self.shape.words()
        );
        for (what, work) in [("first apply", &self.first), ("nothing has changed", &self.nothing), ("one has changed", &self.change)] {
            let Work { converge, whole, compose, bare } = work;
            let _ = writeln!(text, "| {what} | {} | {} | {} | {} |", converge.spread(), whole.spread(), compose.spread(), bare.spread());
        }
        let times = if self.shape.chained { 100.0 } else { 15.0 };
        let faster = self.nothing.compose.over(&self.nothing.converge);
        let _ = writeln!(
            text,
            "\nNothing to do: Compose takes {faster:.1} times as long ({:.1} times as long as from POST to DONE); aim: {times:.0}: {}.  ",
            self.nothing.compose.over(&self.nothing.whole),
            verdict(faster >= times)
        );
        let slower = self.first.converge.over(&self.first.bare);
        let _ = writeln!(
            text,
            "First apply: {slower:.2} times the bare calls; aim: 1.05: {}. Compose takes {:.2} times the bare calls.  ",
            verdict(slower <= 1.05),
            self.first.compose.over(&self.first.bare)
        );
        let _ = writeln!(
            text,
            "One has changed: {:.2} times the bare calls; Compose {:.2} times.",
            self.change.converge.over(&self.change.bare),
            self.change.compose.over(&self.change.bare)
        );
        text
    }
}

/// Applies a version, and takes both times of it.
async fn applied(orrery: &Installation, name: &str, version: u32, work: &mut Work) -> anyhow::Result<()> {
    let start = Instant::now();
    let command = orrery.api.apply(name, version).await?;
    work.whole.push(start.elapsed());
    work.converge.push(converge(&command)?);
    Ok(())
}

/// From RUNNING to the end of the last step that changed something.
fn converge(command: &Command) -> anyhow::Result<Duration> {
    let begun = command.started_at.context("a command that never ran")?;
    let changes = |action: &str| !matches!(action, "container.wait" | "stack.before");
    let last = command.steps.iter().filter(|step| changes(&step.action)).filter_map(|step| step.ended_at).max();
    let end = last.or(command.ended_at).context("a command without an end")?;
    Ok(between(begun, end))
}

pub(crate) fn between(from: Time, to: Time) -> Duration {
    Duration::try_from(to.inner() - from.inner()).unwrap_or_default()
}
