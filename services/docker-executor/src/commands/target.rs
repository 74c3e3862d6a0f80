//! Which stack a command means, and whether its actor may touch it.

use orrery_contracts::command::Target;
use orrery_contracts::{Name, Role, StackHead};
use orrery_queue::{Accepted, JudgeError};

use super::{DockerExecutor, judged, reject};
use crate::engine::Engine;

impl<E: Engine> DockerExecutor<E> {
    /// The head of the stack that a command is about. One that this very command deleted still counts.
    pub(super) async fn head_of(&self, command: &Accepted) -> Result<StackHead, JudgeError> {
        let here = |head: &StackHead| !head.deleted || head.command == command.seq;
        let found = match &command.message.target {
            Target::Id(id) => self.definitions.stack_head(*id).await.map_err(judged)?.map(|kept| kept.value).filter(here),
            Target::Own(name) => self.named(&command.actor, name, here).await?,
            Target::Of(owner, name) => self.named(owner, name, here).await?,
        };
        match found {
            Some(head) if head.owner == command.actor || command.role == Role::Admin => Ok(head),
            // What is somebody else's is not even said to exist.
            Some(_) | None => Err(reject(format!("there is no stack {} of {}", words(&command.message.target), command.actor))),
        }
    }

    async fn named(&self, owner: &Name, name: &Name, here: impl Fn(&StackHead) -> bool) -> Result<Option<StackHead>, JudgeError> {
        let heads = self.definitions.stack_heads().await.map_err(judged)?;
        Ok(heads.into_iter().map(|kept| kept.value).find(|head| head.owner == *owner && head.name == *name && here(head)))
    }

    /// Owner and name of the stack that a create makes.
    pub(super) fn new_name(command: &Accepted) -> Result<(Name, Name), JudgeError> {
        match &command.message.target {
            Target::Own(name) => Ok((command.actor.clone(), name.clone())),
            Target::Of(owner, name) if *owner == command.actor || command.role == Role::Admin => Ok((owner.clone(), name.clone())),
            Target::Of(owner, _) => Err(reject(format!("{} may not make a stack of {owner}", command.actor))),
            Target::Id(_) => Err(reject("the target of stack.create is the new stack's name, not an id")),
        }
    }
}

fn words(target: &Target) -> String {
    match target {
        Target::Id(id) => id.to_string(),
        Target::Own(name) => format!("{name:?}", name = name.as_str()),
        Target::Of(owner, name) => format!("\"{owner}/{name}\""),
    }
}
