//! What an apply would do: the very plan that the command would carry out, shown before anybody asks for it.

use async_nats::{Client, Message};
use orrery_contracts::rpc::{Answer, PlanAnswer, PlanQuestion, PlanTarget};
use orrery_contracts::{Bundle, Code, Digest, Located, Name, Plan, Problem, Role, StackHead, StackId};
use orrery_queue::JudgeError;
use orrery_queue::definitions::DefinitionError;

use crate::commands::{DockerExecutor, identity_of, read_definition, severity};
use crate::definition::Identity;
use crate::engine::{Engine, EngineError, Scope};
use crate::plan::{Circumstances, plan};

pub(super) async fn answer(executor: &DockerExecutor, client: &Client, question: Message) {
    let Some(reply) = question.reply else { return };
    let answer: PlanAnswer = match super::read(&question.payload) {
        Ok(asked) => executor.plan_for(&asked).await.map_or_else(Answer::Err, Answer::Ok),
        Err(problem) => Answer::Err(*problem),
    };
    let mut body = super::encode(&answer);
    let most = client.server_info().max_payload;
    if body.len() > most {
        let detail = format!("the plan has {} bytes, and the broker carries {most}; split the stack", body.len());
        body = super::encode(&PlanAnswer::Err(Problem::new(Code::TooLarge, detail)));
    }
    if let Err(error) = client.publish(reply, body).await {
        tracing::warn!("a plan could not be answered: {error}");
    }
}

impl<E: Engine> DockerExecutor<E> {
    /// What an apply would do.
    ///
    /// # Errors
    /// Why nothing can be planned.
    pub async fn plan_for(&self, question: &PlanQuestion) -> Result<Plan, Problem> {
        let head = match question.stack_id {
            Some(id) => self.definitions.stack_head(id).await.map_err(broker_away)?.map(|kept| kept.value),
            None => None,
        };
        let (version, bundle, digest) = self.files_of(question, head.as_ref()).await?;
        let installation = self.installation().await.map_err(judged)?;
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
        let Some(desired) = reading.desired else {
            let errors = reading.problems.into_iter().filter(|problem| problem.blocks()).map(located).collect();
            return Err(Problem::new(Code::InvalidDefinition, "the definition cannot be run").with_errors(errors));
        };
        let observed = self.engine.observe(&Scope::of(&desired)).await.map_err(engine_away)?;
        let circumstances = Circumstances {
            converged: head.as_ref().map_or(0, |head| head.converged),
            refresh: true,
            stopped: self.data.stopped(identity.stack),
            pulled: self.data.pulled(),
            machines: self.machines(&desired).await.map_err(broker_away)?,
            ..Circumstances::default()
        };
        Ok(plan(&desired, &observed, &circumstances).shown(&desired))
    }

    async fn files_of(&self, question: &PlanQuestion, head: Option<&StackHead>) -> Result<(u32, Bundle, Digest), Problem> {
        match &question.target {
            PlanTarget::Version(version) => {
                let head = head.ok_or_else(|| Problem::new(Code::NotFound, "there is no such stack"))?;
                let record = self.definitions.get_version(head.id, *version).await.map_err(broker_away)?;
                let record = record.ok_or_else(|| Problem::new(Code::NotFound, format!("{} has no version {version}", head.name)))?;
                let bundle = self.definitions.get_bundle(&record.digest).await.map_err(broker_away)?;
                let bundle = bundle.ok_or_else(|| Problem::new(Code::Internal, "the files of this version are missing"))?;
                Ok((*version, bundle, record.digest))
            }
            PlanTarget::Bundle(bundle) => Ok((next(head), bundle.clone(), bundle.digest())),
            PlanTarget::Upload(digest) => {
                let bundle = self.definitions.uploaded(digest, &self.limits).await.map_err(judged)?;
                Ok((next(head), bundle, digest.clone()))
            }
        }
    }

    async fn role_of(&self, actor: &str) -> Result<Role, Problem> {
        let Ok(name) = actor.parse::<Name>() else { return Ok(Role::User) };
        let entry = self.definitions.user_policy(name.as_str()).await.map_err(broker_away)?;
        Ok(entry.map_or(Role::User, |entry| entry.role))
    }
}

fn next(head: Option<&StackHead>) -> u32 {
    head.map_or(0, |head| head.latest).saturating_add(1)
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

fn broker_away(error: DefinitionError) -> Problem {
    let code = if error.is_transient() { Code::BrokerAway } else { Code::Internal };
    Problem::new(code, error.to_string())
}

fn engine_away(error: EngineError) -> Problem {
    Problem::new(Code::ExecutorAway, error.to_string())
}

fn judged(error: JudgeError) -> Problem {
    match error {
        JudgeError::Rejected(rejection) => Problem::new(Code::NotFound, rejection.0),
        JudgeError::Transient(why) => Problem::new(Code::BrokerAway, why),
    }
}
