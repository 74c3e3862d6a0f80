//! Lists for a person: a line for each thing, in columns.

use orrery_contracts::rest::{Command, Machine, QueueState, Stack};

use crate::api::Api;

/// `GET /stacks`.
pub(crate) async fn stacks(api: &Api) -> anyhow::Result<()> {
    let rows = api.list::<Stack>("/stacks").await?.into_iter().map(|stack| {
        let services = format!("{}/{}", stack.services.running, stack.services.total);
        vec![
            format!("{}/{}", stack.owner, stack.name),
            word(&stack.status),
            version(stack.current_version, stack.latest_version),
            services,
            stack.host,
        ]
    });
    print(&["STACK", "STATUS", "VERSION", "SERVICES", "HOST"], rows);
    Ok(())
}

/// `GET /machines`.
pub(crate) async fn machines(api: &Api) -> anyhow::Result<()> {
    let rows = api.list::<Machine>("/machines").await?.into_iter().map(|machine| {
        let name = format!("{}/{}", machine.owner, machine.name);
        vec![
            name,
            word(&machine.status),
            version(machine.current_version, machine.latest_version),
            machine.addresses.join(" "),
            machine.host,
        ]
    });
    print(&["MACHINE", "STATUS", "VERSION", "ADDRESSES", "HOST"], rows);
    Ok(())
}

/// `GET /queue`, and the commands that have not ended.
pub(crate) async fn queue(api: &Api) -> anyhow::Result<()> {
    let queue: QueueState = api.read("/queue").await?;
    let mut open: Vec<Command> = api.list("/commands?status=PENDING,RUNNING,FAILED").await?;
    let state = match (&queue.head, queue.held, &queue.executor_away) {
        (None, ..) => "idle".to_owned(),
        (Some(head), true, _) => {
            format!("held by command {}: {}", head.seq, head.error.as_ref().map_or("it failed", |error| &error.message))
        }
        (Some(_), false, Some(engine)) => format!("waits for the executor of {engine}, which is away"),
        (Some(head), false, None) => format!("at work on command {}", head.seq),
    };
    println!("{state}");
    if !open.is_empty() {
        open.sort_by_key(|command| command.seq);
        let rows = open.into_iter().map(|command| {
            let name = |name: Option<String>| name.unwrap_or_default();
            vec![command.seq.to_string(), name(command.r#type), name(command.target), word(&command.status), name(command.actor)]
        });
        print(&["COMMAND", "TYPE", "TARGET", "STATUS", "BY"], rows);
    }
    Ok(())
}

/// A status as the api writes it.
fn word(status: &impl serde::Serialize) -> String {
    serde_json::to_value(status).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// `3`, `3 (4)` where a newer one is not applied, `- (1)` where none is.
fn version(current: Option<u32>, latest: u32) -> String {
    match current {
        Some(current) if current == latest => current.to_string(),
        Some(current) => format!("{current} ({latest})"),
        None => format!("- ({latest})"),
    }
}

pub(crate) fn print(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    for line in columns(&all) {
        println!("{line}");
    }
}

/// Rows as lines whose columns stand under each other.
fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or_default();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(at, cell)| format!("{cell:width$}", width = width(at)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let lines = columns(&[row(["STACK", "STATUS", "HOST"]), row(["ada/web", "up", ""])]);
        assert_eq!(lines, ["STACK    STATUS  HOST", "ada/web  up"]);
    }

    #[test]
    fn a_version_that_waits_is_shown() {
        assert_eq!([version(Some(3), 3), version(Some(3), 4), version(None, 1)], ["3", "3 (4)", "- (1)"]);
    }
}
