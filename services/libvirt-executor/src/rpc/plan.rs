//! What an apply would do: the very plan that the command would carry out, shown before anybody asks for it.

use orrery_contracts::rpc::MachinePlanQuestion;
use orrery_contracts::{Code, Located, MachineHead, MachineId, Plan, Problem, Severity};
use orrery_queue::questions::{Line, away, refused};

use crate::commands::{LibvirtExecutor, definition};
use crate::definition::{Desired, Fault, Identity, Pool, compile};
use crate::engine::{EngineError, Hypervisor, Scope};
use crate::plan::{Circumstances, plan};

impl<E: Hypervisor> LibvirtExecutor<E> {
    /// What an apply would do.
    ///
    /// # Errors
    /// Why nothing can be planned.
    pub(crate) async fn plan_for(&self, question: &MachinePlanQuestion) -> Result<Plan, Problem> {
        let head = match question.machine_id {
            Some(id) => self.definitions.machine_head(id).await.map_err(away)?.map(|kept| kept.value),
            None => None,
        };
        let line = head.as_ref().map(|head| Line { of: head.id.into(), name: head.name.as_str(), latest: head.latest });
        let (version, bundle, _) = self.definitions.files_of(&question.target, line, &self.limits).await?;
        let machine = definition(&bundle).map_err(refused)?;
        let identity = self.identity_for(question, head.as_ref(), version).await?;
        let (host, boxes) = (self.host_now().await.map_err(refused)?, self.boxes().await.map_err(refused)?);
        let desired = compile(&machine, &identity, &host, &boxes).map_err(faulty)?;
        let old = self.made_for(head.as_ref()).await?;
        let observed = self.engine.observe(&Scope::all(Pool::NAME)).await.map_err(engine_away)?;
        let held = self.in_the_way(&desired, old.as_ref()).await.map_err(away)?;
        Ok(plan(&desired, &observed, &Circumstances { old: old.as_ref().map(|old| &old.machine), held: &held }).shown(&desired))
    }

    async fn identity_for(&self, question: &MachinePlanQuestion, head: Option<&MachineHead>, version: u32) -> Result<Identity, Problem> {
        if let Some(head) = head {
            return self.identity(head, version, 0).await.map_err(refused);
        }
        // One that is not made yet, or whose making still waits in the queue.
        Ok(Identity {
            installation: self.installation().await.map_err(refused)?,
            machine: question.machine_id.unwrap_or(MachineId::new(uuid::Uuid::nil())),
            owner: question.actor.clone(),
            domain: question.domain.clone(),
            version,
            command: 0,
        })
    }

    async fn made_for(&self, head: Option<&MachineHead>) -> Result<Option<Desired>, Problem> {
        let Some(head) = head else { return Ok(None) };
        let (host, boxes) = (self.host_now().await.map_err(refused)?, self.boxes().await.map_err(refused)?);
        self.old(head, &host, &boxes).await.map_err(refused)
    }
}

/// What this host cannot give: at a path, in no line.
fn faulty(faults: Vec<Fault>) -> Problem {
    let located = |fault: Fault| Located {
        file: None,
        line: None,
        column: None,
        path: fault.path,
        message: fault.message,
        hint: None,
        severity: Severity::Error,
    };
    Problem::new(Code::InvalidDefinition, "this host cannot run it").with_errors(faults.into_iter().map(located).collect())
}

fn engine_away(error: EngineError) -> Problem {
    Problem::new(Code::ExecutorAway, error.to_string())
}
