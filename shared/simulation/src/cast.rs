//! Who plays in a history: which executors there are, what is asked of them, and what must be so at the end.

use std::sync::Arc;

use orrery_contracts::command::Target;
use orrery_contracts::{CommandMessage, Engine, subjects};
use orrery_queue::ServeError;
use tokio::task::JoinHandle;

use crate::engine::{Script, Toy};
use crate::people;
use crate::reference::Broken;
use crate::state::Dice;
use crate::wire::Wire;
use crate::world::World;

/// Where an executor is started.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its way to everything outside it.
    pub wire: Arc<Wire>,
    /// Whose commands it executes.
    pub engine: Engine,
    /// Its host.
    pub host: usize,
    /// Whether it is to leave out the look at what an earlier run began.
    pub blind: bool,
    /// Whether it is to make what it got no answer about once more without a look.
    pub hasty: bool,
}

/// The executors of a history.
pub trait Cast: Sync {
    /// What outlives every process of a history: engines, data folders.
    type Stage: Send;

    /// A new stage.
    fn stage(&self) -> Self::Stage;

    /// Starts an executor. Aborting the task is SIGKILL.
    fn start(&self, stage: &Self::Stage, world: &World, place: &Place) -> JoinHandle<Result<(), ServeError>>;

    /// The body of the next message.
    fn body(&self, stage: &Self::Stage, dice: &mut Dice) -> Vec<u8>;

    /// Whether everything is as it must be once every command has ended.
    fn settled(&self, stage: &Self::Stage, world: &World) -> impl Future<Output = Result<(), Broken>>;
}

/// Engines whose effects are names, and commands that say what they do.
#[derive(Clone, Copy, Debug)]
pub struct Toys;

impl Cast for Toys {
    type Stage = ();

    fn stage(&self) {}

    fn start(&self, (): &(), world: &World, place: &Place) -> JoinHandle<Result<(), ServeError>> {
        let Place { wire, engine, host, blind, hasty } = place;
        world.start(wire, *engine, *host, Toy { engine: *engine, wire: Arc::clone(wire), blind: *blind, hasty: *hasty })
    }

    fn body(&self, (): &(), dice: &mut Dice) -> Vec<u8> {
        people::body(dice)
    }

    /// What ended well has all its effects.
    async fn settled(&self, (): &(), world: &World) -> Result<(), Broken> {
        let state = world.state.lock();
        let missing = state.reference.done().find_map(|seq| {
            let command = state.streams.message(subjects::COMMANDS, seq)?;
            let text = String::from_utf8_lossy(&command.body).replacen("machine.", "stack.", 1);
            let Target::Own(name) = CommandMessage::read(text.as_bytes()).ok()?.target else { return None };
            let mut steps = Script::read(name.as_str()).steps().into_iter().flatten();
            let gone = |key: &(u64, String)| !state.shelf.there.contains_key(key) && !state.shelf.drifted.contains(key);
            let what = steps.find(|what| gone(&(seq, what.clone())))?;
            Some(format!("command {seq} ended well without {what}"))
        });
        missing.map_or(Ok(()), Err)
    }
}
