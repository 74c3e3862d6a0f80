//! Bringing an installation up, in order: database, broker, streams, migrations, services. What runs already is left alone.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::database::{self, Cluster};
use super::members::Member;
use super::record::Record;
use super::services::{self, Built};
use super::state::{self, State};
use super::{broker, down, record, up};
use crate::folders::Data;
use crate::interrupt;
use crate::say;
use crate::tools::Tools;

/// How long a process may take to become ready. Generous: the first start on a slow disk recovers a database.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Starts whatever does not run.
pub(crate) fn everything(data: &Data, record: &mut Record, tools: &Tools, built: &Built) -> Result<()> {
    member(data, record, tools, built, Member::Postgres)?;
    member(data, record, tools, built, Member::Nats)?;
    wait(data, record, &[Member::Postgres, Member::Nats])?;
    prepare_stores(data, record, tools, built)?;
    for service in Member::SERVICES {
        member(data, record, tools, built, service)?;
    }
    wait(data, record, &Member::SERVICES)?;
    wait_for_token(data)
}

/// At the first start the api makes the administrator and a token soon after it can; they are part of what `up` prints.
fn wait_for_token(data: &Data) -> Result<()> {
    let began = Instant::now();
    while up::first_password(data).is_some() && !data.file("admin.token").exists() {
        interrupt::check()?;
        if began.elapsed() > READY_WITHIN {
            bail!("the api made no token; the end of its log:\n{}", last_lines(data, Member::Api));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Streams, roles and migrations: each is checked, and made where it is missing.
pub(crate) fn prepare_stores(data: &Data, record: &Record, tools: &Tools, built: &Built) -> Result<()> {
    let began = Instant::now();
    broker::provision(data, record, &built.program("orrery-nats"))?;
    Cluster::new(data, &tools.postgres).provision()?;
    database::migrate(data, &built.program("orrery-projector"))?;
    say::done("stores", "streams, roles and tables are as they should be", began);
    Ok(())
}

/// Starts one, unless it runs, and writes it down at once.
pub(crate) fn member(data: &Data, record: &mut Record, tools: &Tools, built: &Built, member: Member) -> Result<()> {
    if record.is_alive(member) {
        return Ok(());
    }
    let (identity, address) = match member {
        Member::Postgres => {
            let cluster = Cluster::new(data, &tools.postgres);
            cluster.create()?;
            (cluster.start()?, database::address(data))
        }
        Member::Nats => broker::start(data, &built.program("orrery-nats"), &tools.nats_server)?,
        Member::Api | Member::Projector | Member::DockerExecutor | Member::LibvirtExecutor => {
            (services::start(data, record, built, member)?, services::address(data, record, member))
        }
    };
    let moved = member == Member::Nats && record.of(member).is_some_and(|before| before.address != address);
    record.note(member, identity, address);
    record.save(data)?;
    if moved {
        say::step("nats", "another program has its port, so it moved; the services follow");
        for service in Member::SERVICES {
            down::end(record, service)?;
        }
    }
    Ok(())
}

/// Waits until all of these are ready; one that dies or takes too long ends the wait with its last words.
pub(crate) fn wait(data: &Data, record: &record::Record, members: &[Member]) -> Result<()> {
    let began = Instant::now();
    let mut told = Vec::new();
    let mut said = Instant::now();
    loop {
        let waiting = not_ready(data, record, members)?;
        for member in members {
            if !told.contains(member) && !waiting.iter().any(|(other, _)| other == member) {
                say::done(member.name(), "ready", began);
                told.push(*member);
            }
        }
        let Some((member, waits_for)) = waiting.first() else { return Ok(()) };
        if began.elapsed() > READY_WITHIN {
            bail!(
                "{} is not ready after {}; it waits for: {}; the end of {}:\n{}",
                member.name(),
                say::span(READY_WITHIN),
                or_nothing(waits_for),
                data.log(member.name()).display(),
                last_lines(data, *member)
            );
        }
        if said.elapsed() > Duration::from_secs(10) {
            say::step(member.name(), &format!("waits for {}", or_nothing(waits_for)));
            said = Instant::now();
        }
        interrupt::check()?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Those that are not ready, each with what it waits for. When all seem ready they are asked once more: a service that has
/// just started may not yet know what it will wait for.
fn not_ready(data: &Data, record: &Record, members: &[Member]) -> Result<Vec<(Member, Vec<String>)>> {
    let once = || -> Result<Vec<(Member, Vec<String>)>> {
        let mut waiting = Vec::new();
        for member in members {
            let look = state::look(data, record, *member);
            match look.state {
                State::Ready => {}
                State::Starting => waiting.push((*member, look.waits_for)),
                State::Dead | State::Stopped => bail!(
                    "{} ended while it started; the end of {}:\n{}",
                    member.name(),
                    data.log(member.name()).display(),
                    last_lines(data, *member)
                ),
            }
        }
        Ok(waiting)
    };
    let waiting = once()?;
    if !waiting.is_empty() {
        return Ok(waiting);
    }
    std::thread::sleep(Duration::from_millis(100));
    once()
}

fn or_nothing(waits_for: &[String]) -> String {
    if waits_for.is_empty() { "nothing that it names".to_owned() } else { waits_for.join(", ") }
}

fn last_lines(data: &Data, member: Member) -> String {
    let text = std::fs::read_to_string(data.log(member.name())).context("no log").unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
