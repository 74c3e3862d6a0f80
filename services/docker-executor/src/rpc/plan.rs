//! What an apply would do: the very plan that the command would carry out, shown before anybody asks for it.

use orrery_contracts::rpc::{PlanQuestion, PlanTarget};
use orrery_contracts::{Code, Located, Name, Plan, Problem, Role, StackId};
use orrery_queue::questions::{Line, away, refused};

use crate::commands::{DockerExecutor, identity_of, read_definition, severity};
use crate::definition::Identity;
use crate::engine::{Engine, EngineError, Scope};
use crate::plan::{Circumstances, plan};

impl<E: Engine> DockerExecutor<E> {
    /// What an apply would do.
    ///
    /// # Errors
    /// Why nothing can be planned.
    pub async fn plan_for(&self, question: &PlanQuestion) -> Result<Plan, Problem> {
        let head = match question.stack_id {
            Some(id) => self.definitions.stack_head(id).await.map_err(away)?.map(|kept| kept.value),
            None => None,
        };
        let line = head.as_ref().map(|head| Line { of: head.id.into(), name: head.name.as_str(), latest: head.latest });
        let (version, bundle, digest) = self.definitions.files_of(&question.target, line, &self.limits).await?;
        let installation = self.installation().await.map_err(refused)?;
        let identity = match &head {
            Some(head) => Identity { installation, ..identity_of(head, version, 0) },
            // One that is not made yet, or whose making still waits in the queue.
            None => Identity {
                installation,
                owner: question.actor.clone(),
                stack: question.stack_id.unwrap_or(StackId::new(uuid::Uuid::nil())),
                project: question.project.clone(),
                version,
                ..Identity::default()
            },
        };
        let reading = read_definition(&self.data, &identity, &bundle, &digest, self.role_of(&question.actor).await?);
        let Some(mut desired) = reading.desired else {
            let errors = reading.problems.into_iter().filter(|problem| problem.blocks()).map(located).collect();
            return Err(Problem::new(Code::InvalidDefinition, "the definition cannot be run").with_errors(errors));
        };
        let back = matches!(question.target, PlanTarget::Rollback(_));
        if let Some(head) = head.as_ref().filter(|head| back || (head.pinned && head.current == Some(version))) {
            self.keep_to_lock(&mut desired, head, version).await.map_err(away)?;
        }
        let observed = self.engine.observe(&Scope::of(&desired)).await.map_err(engine_away)?;
        let circumstances = Circumstances {
            converged: head.as_ref().map_or(0, |head| head.converged),
            refresh: true,
            stopped: self.data.stopped(identity.stack),
            pulled: self.data.pulled(),
            machines: self.machines(&desired).await.map_err(away)?,
            ..Circumstances::default()
        };
        Ok(plan(&desired, &observed, &circumstances).shown(&desired))
    }

    async fn role_of(&self, actor: &str) -> Result<Role, Problem> {
        let Ok(name) = actor.parse::<Name>() else { return Ok(Role::User) };
        let entry = self.definitions.user_policy(name.as_str()).await.map_err(away)?;
        Ok(entry.map_or(Role::User, |entry| entry.role))
    }
}

fn located(problem: orrery_compose::Problem) -> Located {
    Located {
        file: (!problem.file.is_empty()).then_some(problem.file),
        line: Some(problem.line),
        column: Some(problem.column),
        path: problem.path,
        message: problem.message,
        hint: problem.hint,
        severity: severity(problem.severity),
    }
}

fn engine_away(error: EngineError) -> Problem {
    Problem::new(Code::ExecutorAway, error.to_string())
}
