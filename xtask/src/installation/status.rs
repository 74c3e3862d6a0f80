//! `cargo xtask status`: every process with its pid, address and state, for people or as JSON for scripts.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::members::Member;
use super::record::Record;
use super::state::{self, State};
use crate::folders::Data;

/// What runs, and how it is.
#[derive(Args)]
pub(crate) struct Status {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    processes: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    pid: Option<u32>,
    address: Option<String>,
    state: State,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waits_for: Vec<String>,
}

impl Status {
    pub(crate) fn run(self) -> Result<()> {
        let data = Data::chosen()?;
        let record = Record::load(&data)?;
        let processes: Vec<Row> = Member::ALL.into_iter().map(|member| row(&data, &record, member)).collect();
        if self.json {
            println!("{}", serde_json::to_string(&Answer { processes })?);
            return Ok(());
        }
        for row in processes {
            let pid = row.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            let address = row.address.unwrap_or_default();
            let waits_for = if row.waits_for.is_empty() { String::new() } else { format!("  waits for {}", row.waits_for.join(", ")) };
            println!("{:<17} {pid:>8}  {:<9} {address}{waits_for}", row.name, row.state.word());
        }
        Ok(())
    }
}

fn row(data: &Data, record: &Record, member: Member) -> Row {
    let look = state::look(data, record, member);
    let alive = match look.state {
        State::Starting | State::Ready => record.of(member),
        State::Dead | State::Stopped => None,
    };
    Row {
        name: member.name(),
        pid: alive.map(|started| started.identity.pid),
        address: record.of(member).map(|started| started.address.clone()),
        state: look.state,
        waits_for: look.waits_for,
    }
}
