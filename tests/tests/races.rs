//! Two people who write to one thing at once, on a whole installation: two savers who saw the same version, two creations
//! of one name, an apply against a delete. One of them gets what he asked for, the other is told why he does not, and what
//! both were told explains what is there in the end.
//!
//! A bounded sample by default; `ORRERY_SOAK_RACES` says how many races of each kind. Definitions alone but for one apply in
//! fifty, which has a container to run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use anyhow::{Context as _, bail, ensure};
use orrery_contracts::rest::{Command, Version};
use orrery_contracts::{Bundle, Status};
use orrery_tests::bundles::compose;
use orrery_tests::history::{History, Watch};
use orrery_tests::race::{Races, Side};
use orrery_tests::{Answer, Installation};
use reqwest::Method;
use serde_json::{Value, json};

/// How many versions are saved to one stack, before the next one gets its turn.
const SAVES_EACH: u32 = 100;
/// One apply in so many has a container to run.
const RUNNING_EACH: u32 = 50;

/// What one of the two was told in the end.
enum Told {
    /// It was accepted, and done.
    Done(Box<Command>),
    /// It was accepted, and rejected when its turn came.
    Rejected(String),
    /// It was refused at once.
    Refused(Value),
}

impl Told {
    /// Follows an answer to its command's end.
    async fn of(orrery: &Installation, answer: Answer) -> anyhow::Result<Self> {
        if answer.status != 202 {
            return Ok(Self::Refused(answer.body));
        }
        let command: Command = answer.read(202)?;
        let command = orrery.api.settled(&command.id).await?;
        match (command.status, command.reason.as_deref()) {
            (Status::Done, _) => Ok(Self::Done(Box::new(command))),
            (Status::Cancelled, Some(reason)) if reason.starts_with("rejected: ") => Ok(Self::Rejected(reason.to_owned())),
            _ => bail!("neither done nor rejected: {command:#?}"),
        }
    }
}

/// A definition that no other is like.
fn definition(word: &str) -> Bundle {
    compose(format!("# {word}\nservices: {{}}\n"))
}

async fn save(orrery: &Installation, stack: &str, seen: u32, word: &str) -> anyhow::Result<Answer> {
    let request = orrery.api.request(Method::POST, &format!("/stacks/{stack}/versions")).header("If-Match", format!("\"{seen}\""));
    orrery.api.send(request.json(&json!({"bundle": definition(word), "comment": word}))).await
}

/// Exactly one is done; the other's words are those of the one reason there can be. Answers the winner with his command.
fn one_of_two(told: [Told; 2], refusal: &str, rejection: &str) -> anyhow::Result<(Side, Box<Command>, bool)> {
    let (side, command, other) = match told {
        [Told::Done(command), other @ (Told::Rejected(_) | Told::Refused(_))] => (Side::First, command, other),
        [other @ (Told::Rejected(_) | Told::Refused(_)), Told::Done(command)] => (Side::Second, command, other),
        [Told::Done(_), Told::Done(_)] => bail!("both were told that it is done"),
        [_, _] => bail!("nobody was told that it is done"),
    };
    match other {
        Told::Refused(problem) => {
            ensure!(problem["code"] == refusal, "refused for another reason: {problem}");
            Ok((side, command, true))
        }
        Told::Rejected(reason) => {
            ensure!(reason.contains(rejection), "rejected for another reason: {reason}");
            Ok((side, command, false))
        }
        Told::Done(_) => unreachable!("there is one winner"),
    }
}

async fn two_savers(orrery: &Installation) -> anyhow::Result<()> {
    let mut races = Races::of("two savers of one version");
    let (prefix, mut at_once) = (orrery.name("saved"), 0_u32);
    let (mut stack, mut seen) = (String::new(), SAVES_EACH);
    while races.go_on() {
        if seen >= SAVES_EACH {
            stack = format!("{prefix}-{}", races.count());
            orrery.api.create(&stack, &definition("the first")).await?;
            seen = 1;
        }
        let words = [format!("anna {seen}"), format!("bert {seen}")];
        let (one, two) = races.run(save(orrery, &stack, seen, &words[0]), save(orrery, &stack, seen, &words[1])).await;
        let told = [Told::of(orrery, one?).await?, Told::of(orrery, two?).await?];
        let (side, _, refused) =
            one_of_two(told, "edit_conflict", "somebody else saved first").with_context(|| format!("{stack} at version {seen}"))?;
        at_once += u32::from(refused);
        seen += 1;
        let versions: Vec<Version> = orrery.api.list(&format!("/stacks/{stack}/versions?limit=2")).await?;
        let word = &words[usize::from(side == Side::Second)];
        let kept = versions.first().context("no version")?;
        ensure!(kept.version == seen && kept.comment == *word, "the winner said {word:?}: {kept:#?}");
        ensure!(kept.digest == definition(word).digest(), "{word:?} has other files: {kept:#?}");
        races.won_by(side);
    }
    races.end("writers", "the first saved", "the second saved")?;
    println!("writers: two savers: {at_once} losers were refused at once (412), the others when their turn came");
    Ok(())
}

async fn two_creations(orrery: &Installation) -> anyhow::Result<()> {
    let mut races = Races::of("two creations of one name");
    let (prefix, mut at_once) = (orrery.name("twin"), 0_u32);
    while races.go_on() {
        let name = format!("{prefix}-{}", races.count());
        let create = |word: &'static str| {
            let body = json!({"name": name, "bundle": definition(word), "comment": word});
            let request = orrery.api.request(Method::POST, "/stacks").json(&body);
            async move { orrery.api.send(request).await }
        };
        let (one, two) = races.run(create("anna"), create("bert")).await;
        let told = [Told::of(orrery, one?).await?, Told::of(orrery, two?).await?];
        let (side, command, refused) = one_of_two(told, "name_taken", "has a stack").with_context(|| name.clone())?;
        at_once += u32::from(refused);
        let stack = orrery.api.stack(&name).await?;
        ensure!(Some(stack.id) == command.stack_id, "the stack of this name is the winner's: {stack:#?} {command:#?}");
        let versions = orrery.api.versions(&name).await?;
        let word = if side == Side::First { "anna" } else { "bert" };
        ensure!(versions.len() == 1 && versions[0].comment == word, "{versions:#?}");
        races.won_by(side);
    }
    races.end("writers", "the first created it", "the second created it")?;
    println!("writers: two creations: {at_once} losers were refused at once (409), the others when their turn came");
    Ok(())
}

async fn apply_against_delete(orrery: &Installation) -> anyhow::Result<()> {
    let mut races = Races::of("apply against delete");
    let (prefix, mut at_once, mut running) = (orrery.name("gone"), 0_u32, 0_u32);
    while races.go_on() {
        let runs = races.count().is_multiple_of(RUNNING_EACH);
        running += u32::from(runs);
        let bundle = if runs {
            compose("services:\n  a:\n    image: orrery/busybox:test\n    command: [sleep, '1000']\n    stop_signal: SIGKILL\n")
        } else {
            definition("nothing")
        };
        let name = if runs { orrery.name("ran") } else { format!("{prefix}-{}", races.count()) };
        let id = orrery.api.create(&name, &bundle).await?.id;
        let (apply, delete) = (format!("/stacks/{id}/apply/1"), format!("/stacks/{id}/delete"));
        let (applied, deleted) = races.run(orrery.api.post(&apply, json!({})), orrery.api.post(&delete, json!({}))).await;
        let deleted = match Told::of(orrery, deleted?).await? {
            Told::Done(command) => command,
            Told::Rejected(why) => bail!("{name}: the delete was rejected: {why}"),
            Told::Refused(problem) => bail!("{name}: the delete was refused: {problem}"),
        };
        let side = match Told::of(orrery, applied?).await? {
            Told::Done(command) => {
                ensure!(command.seq < deleted.seq, "{name}: an apply was done behind the delete: {command:#?}");
                Side::First
            }
            Told::Rejected(why) => {
                ensure!(why.contains("there is no stack"), "{name}: rejected for another reason: {why}");
                Side::Second
            }
            Told::Refused(problem) => {
                ensure!(problem["code"] == "not_found" || problem["code"] == "conflict", "{name}: {problem}");
                at_once += 1;
                Side::Second
            }
        };
        orrery.api.get(&format!("/stacks/{id}")).await?.problem(404, "not_found").with_context(|| format!("{name} is still there"))?;
        if runs {
            let left = orrery.engine.of_project(&name).await?;
            ensure!(left.is_empty(), "{name} is deleted and runs: {left:#?}");
        }
        races.won_by(side);
    }
    races.end("writers", "applied before it was deleted", "deleted first")?;
    println!("writers: apply against delete: {at_once} applies were refused at once, {running} stacks had a container to run");
    Ok(())
}

#[tokio::test]
async fn of_two_who_write_at_once_one_wins_and_both_are_told() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let watch = Watch::begin(&orrery.engine, &orrery.reading().await?).await?;
    two_savers(&orrery).await?;
    two_creations(&orrery).await?;
    apply_against_delete(&orrery).await?;
    let history = History::of(&orrery, &watch).await?;
    history.audited("races")?;
    println!("writers: every promise holds over {} commands and {} events", history.commands.len(), history.events.len());
    orrery.end().await
}
