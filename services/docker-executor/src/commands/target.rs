//! Which stack a command means, and whether its actor may touch it.

use orrery_contracts::command::Target;
use orrery_contracts::{Name, Role, StackHead, StackId};
use orrery_queue::{Accepted, JudgeError};

use super::{DockerExecutor, judged, reject};
use crate::engine::Engine;

impl<E: Engine> DockerExecutor<E> {
    /// The head of the stack that a command is about. One that this very command deleted still counts.
    pub(super) async fn head_of(&self, command: &Accepted) -> Result<StackHead, JudgeError> {
        let here = |head: &StackHead| !head.deleted || head.command == command.seq;
        let found = match &command.message.target {
            Target::Id(id) => self.definitions.stack_head(StackId::new(*id)).await.map_err(judged)?.map(|kept| kept.value).filter(here),
            Target::Own(name) => self.named(&command.actor, name, here).await?,
            Target::Of(owner, name) => self.named(owner, name, here).await?,
        };
        match found {
            Some(head) if head.owner == command.actor || command.role == Role::Admin => Ok(head),
            // What is somebody else's is not even said to exist.
            Some(_) | None => Err(reject(format!("there is no stack {:?} of {}", command.message.target.to_string(), command.actor))),
        }
    }

    async fn named(&self, owner: &Name, name: &Name, here: impl Fn(&StackHead) -> bool) -> Result<Option<StackHead>, JudgeError> {
        let heads = self.definitions.stack_heads().await.map_err(judged)?;
        Ok(heads.into_iter().map(|kept| kept.value).find(|head| head.owner == *owner && head.name == *name && here(head)))
    }
}
