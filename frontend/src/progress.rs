//! A plan and the steps that carry it out, as one list: each action with how far it is and what was done for it. The
//! same list shows a plan before it runs, while it runs and after it has ended.

use orrery_contracts::rest::{Command, Step};
use orrery_contracts::{Plan, PlanAction, PlanKept, Status, Time};

/// How far an action of a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing runs yet: this is a plan and no more.
    Planned,
    /// Waits for its turn, or for these actions.
    Waits,
    Runs,
    Done,
    Failed,
    /// The command ended before its turn came.
    NotReached,
}

/// An action with its steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) action: PlanAction,
    pub(crate) stage: Stage,
    pub(crate) steps: Vec<Step>,
    /// The subjects that it waits for.
    pub(crate) waits_for: Vec<String>,
    /// From the first step's beginning to the last one's end.
    pub(crate) seconds: Option<f64>,
    pub(crate) since: Option<Time>,
}

/// Everything that a command does, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    pub(crate) rows: Vec<Row>,
    /// What stays as it is.
    pub(crate) kept: Vec<PlanKept>,
    /// Steps that belong to no action of the plan.
    pub(crate) others: Vec<Step>,
    pub(crate) done: usize,
    pub(crate) total: usize,
}

impl Progress {
    /// A plan that nobody has applied.
    pub(crate) fn of_plan(plan: &Plan) -> Self {
        let rows = plan.actions.iter().map(|action| Row {
            action: action.clone(),
            stage: Stage::Planned,
            steps: vec![],
            waits_for: vec![],
            seconds: None,
            since: None,
        });
        Self { rows: rows.collect(), kept: plan.kept.clone(), ..Self::default() }
    }

    /// What a command has done, does, and is going to do.
    pub(crate) fn of_command(command: &Command) -> Self {
        let Some(plan) = &command.plan else {
            let done = command.steps.iter().filter(|step| step.ended_at.is_some()).count();
            return Self { others: command.steps.clone(), done, total: command.steps.len(), ..Self::default() };
        };
        let mut rows: Vec<Row> = plan.actions.iter().map(|action| row(action, command)).collect();
        let waiting: Vec<Vec<String>> = rows.iter().map(|row| open_before(row, &rows)).collect();
        for (row, waits_for) in rows.iter_mut().zip(waiting) {
            row.waits_for = waits_for;
        }
        let known = |n: u32| plan.actions.iter().any(|action| action.n == n);
        let others = command.steps.iter().filter(|step| !step.plan.is_some_and(known)).cloned().collect();
        let done = rows.iter().filter(|row| row.stage == Stage::Done).count();
        Self { total: rows.len(), rows, kept: plan.kept.clone(), others, done }
    }
}

fn row(action: &PlanAction, command: &Command) -> Row {
    let steps: Vec<Step> = command.steps.iter().filter(|step| step.plan == Some(action.n)).cloned().collect();
    let since = steps.iter().map(|step| step.started_at).min();
    let until = steps.iter().filter_map(|step| step.ended_at).max();
    let stage = stage(action, &steps, command);
    let finished = matches!(stage, Stage::Done | Stage::Failed);
    let seconds = since.zip(until).filter(|_| finished).map(|(since, until)| until.seconds_since(since));
    Row { action: action.clone(), stage, steps, waits_for: vec![], seconds, since }
}

fn stage(action: &PlanAction, steps: &[Step], command: &Command) -> Stage {
    if steps.iter().any(|step| step.status == "failed") {
        return Stage::Failed;
    }
    let open = steps.iter().any(|step| step.ended_at.is_none());
    match command.status {
        Status::Done => Stage::Done,
        Status::Running if open => Stage::Runs,
        Status::Pending | Status::Running if steps.is_empty() => Stage::Waits,
        Status::Running if finished(action, steps) => Stage::Done,
        // Between two steps nothing is open: a container that was made waits for others until it is started.
        Status::Running | Status::Pending => Stage::Waits,
        Status::Failed | Status::Cancelled if steps.is_empty() || open => Stage::NotReached,
        Status::Failed | Status::Cancelled => Stage::Done,
    }
}

/// Whether the steps that have ended are all that an action has. A container that is to run has several: it is not there
/// before it was started. Everything else is one step.
fn finished(action: &PlanAction, steps: &[Step]) -> bool {
    let to_run = matches!(action.action.as_str(), "container.create" | "container.replace" | "container.start" | "container.restart");
    let started = |step: &Step| matches!(step.action.rsplit('.').next(), Some("start" | "wait" | "rename"));
    !to_run || steps.iter().any(started)
}

fn open_before(row: &Row, rows: &[Row]) -> Vec<String> {
    if row.stage != Stage::Waits {
        return vec![];
    }
    let open = |n: &&u32| rows.iter().any(|other| other.action.n == **n && matches!(other.stage, Stage::Waits | Stage::Runs));
    let subject = |n: &u32| {
        rows.iter()
            .find(|other| other.action.n == *n)
            .map(|other| other.action.service.clone().unwrap_or_else(|| other.action.subject.clone()))
    };
    row.action.after.iter().filter(open).filter_map(subject).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(n: u32, plan: u32, status: &str) -> serde_json::Value {
        let ended = (status != "running").then(|| format!("2026-01-01T00:00:{:02}Z", n + 2));
        serde_json::json!({"n": n, "action": "container.start", "subject": "web", "plan": plan, "status": status, "detail": "",
            "started_at": format!("2026-01-01T00:00:{n:02}Z"), "ended_at": ended, "log": null})
    }

    fn command(status: &str, steps: &[serde_json::Value]) -> Command {
        let action = |n: u32, action: &str, after: &[u32]| serde_json::json!({"n": n, "action": action, "subject": format!("s{n}"), "service": null, "reason": "", "changes": [], "after": after});
        serde_json::from_value(serde_json::json!({
            "id": "x", "seq": 7, "type": "stack.apply", "target": "shop", "stack_id": null, "stack_name": "shop", "version": 1, "status": status,
            "reason": null, "error": null, "publisher": "api", "actor": "alice", "on_failure": "hold", "attempt": 1, "run": 1,
            "cancel_requested": false, "created_at": "2026-01-01T00:00:00Z", "started_at": null, "ended_at": null, "steps": steps,
            "plan": {"empty": false, "notes": [], "actions": [
                action(2, "image.build", &[]), action(3, "container.replace", &[2]), action(4, "container.remove", &[3])
            ], "kept": [{"subject": "s1", "service": "s1", "reason": ""}]},
        }))
        .unwrap()
    }

    fn stages(command: &Command) -> Vec<Stage> {
        Progress::of_command(command).rows.iter().map(|row| row.stage).collect()
    }

    #[test]
    fn a_plan_turns_live_action_by_action() {
        assert_eq!(stages(&command("PENDING", &[])), [Stage::Waits, Stage::Waits, Stage::Waits]);
        let running = command("RUNNING", &[step(1, 2, "done"), step(2, 3, "running")]);
        assert_eq!(stages(&running), [Stage::Done, Stage::Runs, Stage::Waits]);
        let progress = Progress::of_command(&running);
        assert_eq!((progress.done, progress.total, progress.kept.len()), (1, 3, 1));
        assert_eq!(progress.rows[2].waits_for, ["s3"]);
        assert_eq!(progress.rows[0].seconds, Some(2.0));
    }

    #[test]
    fn a_container_that_was_made_and_not_started_waits() {
        let mut made = step(2, 3, "done");
        made["action"] = "container.create".into();
        assert_eq!(stages(&command("RUNNING", &[step(1, 2, "done"), made.clone()]))[1], Stage::Waits);
        let running = command("RUNNING", &[step(1, 2, "done"), made, step(3, 3, "done"), step(4, 4, "running")]);
        assert_eq!(stages(&running)[1..], [Stage::Done, Stage::Runs]);
    }

    #[test]
    fn what_was_not_reached_is_told_apart_from_what_failed() {
        let failed = command("FAILED", &[step(1, 2, "done"), step(2, 3, "failed")]);
        assert_eq!(stages(&failed), [Stage::Done, Stage::Failed, Stage::NotReached]);
        let done = command("DONE", &[step(1, 2, "done"), step(2, 3, "found_done"), step(3, 4, "skipped")]);
        assert_eq!(stages(&done), [Stage::Done, Stage::Done, Stage::Done]);
    }

    #[test]
    fn steps_outside_the_plan_are_not_lost() {
        let running = command("RUNNING", &[step(1, 9, "done")]);
        assert_eq!(Progress::of_command(&running).others.len(), 1);
    }
}
