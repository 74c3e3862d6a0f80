//! Numbers of actions over all plans of one attempt: what a step was made for keeps its number, whatever plan is shown after it,
//! by this run or by the next. Without that a step would be shown below another container's action.

use std::collections::{BTreeSet, HashMap};

use orrery_contracts::{Plan, PlanAction};
use orrery_queue::StepRecord;

use crate::definition::identity::settled_name;

/// Who has which number.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// By the whole word of the action and its subject.
    of_action: HashMap<(String, String), u32>,
    /// By the kind of thing and its name: a container's steps have words of their own.
    of_thing: HashMap<(String, String), u32>,
    last: u32,
}

impl Numbers {
    /// The numbers that the steps of earlier runs were given.
    pub(super) fn after(earlier: &[StepRecord]) -> Self {
        let mut numbers = Self::default();
        for step in earlier {
            if let Some(n) = step.plan {
                numbers.remember(&step.action, settled_name(&step.subject), n);
            }
        }
        numbers
    }

    /// Gives the actions of a plan their numbers: the known keep theirs.
    pub(super) fn give(&mut self, plan: &Plan) -> Plan {
        let mut taken = BTreeSet::new();
        let given: HashMap<u32, u32> = plan.actions.iter().map(|action| (action.n, self.number(action, &mut taken))).collect();
        let new = |n: &u32| given.get(n).copied().unwrap_or(*n);
        let actions = plan.actions.iter().map(|action| PlanAction {
            n: new(&action.n),
            after: action.after.iter().map(new).collect(),
            ..action.clone()
        });
        Plan { actions: actions.collect(), ..plan.clone() }
    }

    fn number(&mut self, action: &PlanAction, taken: &mut BTreeSet<u32>) -> u32 {
        let known = self.find(&action.action, &action.subject).filter(|n| !taken.contains(n));
        let n = known.unwrap_or_else(|| self.last.saturating_add(1));
        taken.insert(n);
        self.remember(&action.action, &action.subject, n);
        n
    }

    fn remember(&mut self, action: &str, subject: &str, n: u32) {
        self.of_action.insert((action.to_owned(), subject.to_owned()), n);
        self.of_thing.insert((kind(action).to_owned(), subject.to_owned()), n);
        self.last = self.last.max(n);
    }

    /// The number of the action that a step belongs to.
    pub(super) fn find(&self, action: &str, subject: &str) -> Option<u32> {
        let subject = settled_name(subject);
        let exactly = self.of_action.get(&(action.to_owned(), subject.to_owned()));
        exactly.or_else(|| self.of_thing.get(&(kind(action).to_owned(), subject.to_owned()))).copied()
    }
}

fn kind(action: &str) -> &str {
    action.split('.').next().unwrap_or(action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_queue::StepState;

    fn plan(actions: &[(u32, &str, &str, &[u32])]) -> Plan {
        let action = |(n, action, subject, after): &(u32, &str, &str, &[u32])| PlanAction {
            n: *n,
            action: (*action).to_owned(),
            subject: (*subject).to_owned(),
            service: None,
            reason: String::new(),
            changes: vec![],
            after: after.to_vec(),
        };
        Plan { empty: actions.is_empty(), actions: actions.iter().map(action).collect(), kept: vec![], notes: vec![] }
    }

    fn numbers(plan: &Plan) -> Vec<(u32, &str, Vec<u32>)> {
        plan.actions.iter().map(|action| (action.n, action.subject.as_str(), action.after.clone())).collect()
    }

    #[test]
    fn a_container_keeps_its_number_from_the_stop_to_the_start() {
        let mut all = Numbers::default();
        let stop = all.give(&plan(&[(1, "container.stop", "proxy", &[]), (2, "container.stop", "site", &[1])]));
        assert_eq!(numbers(&stop), [(1, "proxy", vec![]), (2, "site", vec![1])]);
        let start =
            all.give(&plan(&[(1, "container.start", "site", &[]), (2, "container.start", "proxy", &[1]), (3, "network.create", "n", &[])]));
        assert_eq!(numbers(&start), [(2, "site", vec![]), (1, "proxy", vec![2]), (3, "n", vec![])]);
    }

    #[test]
    fn two_actions_on_one_thing_have_two_numbers_and_a_name_of_two_things_too() {
        let mut all = Numbers::default();
        let actions: &[(u32, &str, &str, &[u32])] =
            &[(1, "network.remove", "data", &[]), (2, "network.create", "data", &[1]), (3, "volume.create", "data", &[])];
        let shown = plan(actions);
        assert_eq!(all.give(&shown), shown);
        assert_eq!(all.give(&shown), shown, "shown again");
        let find = |action: &str| all.find(action, "data");
        assert_eq!([find("network.remove"), find("network.create"), find("volume.create")], [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_new_run_goes_on_with_the_numbers_of_the_steps_before() {
        let step = |n, action: &str, subject: &str, plan| StepRecord {
            n,
            run: 1,
            action: action.into(),
            subject: subject.into(),
            plan: Some(plan),
            state: StepState::Open,
        };
        let mut all = Numbers::after(&[step(1, "network.create", "n", 1), step(2, "container.create", "web-1.orrery-new", 4)]);
        let rest = all.give(&plan(&[(1, "container.create", "db-1", &[]), (2, "container.start", "web-1", &[1])]));
        assert_eq!(numbers(&rest), [(5, "db-1", vec![]), (4, "web-1", vec![5])]);
        assert_eq!(all.find("container.wait", "db-1"), Some(5));
        assert_eq!(all.find("stack.before", "shop"), None);
    }
}
