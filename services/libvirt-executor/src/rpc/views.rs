//! What a machine shows: its serial console or its screen, both ways, or a picture of the screen.

use std::time::Duration;

use async_nats::{Client, Message};
use bytes::Bytes;
use orrery_contracts::rpc::{MachineQuestion, Raw, StreamFrame};
use orrery_contracts::{Code, Engine, MachineId, Problem};
use orrery_queue::frames::{Closed, Frames, refuse};
use orrery_queue::questions;
use tokio::net::UnixStream;

use super::{console, screen};
use crate::commands::LibvirtExecutor;
use crate::console::Viewer;
use crate::engine::error::{NO_CONSOLE, NO_SCREEN};
use crate::engine::{Class, DomainRef, EngineError, Hypervisor, Kind, Scope};
use crate::picture;

/// How much travels in one frame: as base64 in JSON it still is far from what a message may have.
pub(super) const PIECE: usize = 128 * 1024;
/// How often the asker hears that somebody is there, while there is nothing to say.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    Console,
    Screen,
    Screenshot,
}

impl View {
    /// How it is called in the subject of a question.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Screen => "screen",
            Self::Screenshot => "screenshot",
        }
    }
}

/// What is told, once it is there.
enum Prepared {
    Console(Viewer),
    Screen(UnixStream),
    Picture(Bytes),
}

/// One question. What cannot be is said before a stream begins.
pub(super) async fn show<E: Hypervisor>(executor: &LibvirtExecutor<E>, client: &Client, question: Message, view: View) {
    let Some(reply) = question.reply else { return };
    let prepared = match questions::read(&question.payload) {
        Ok(asked) => executor.prepare(&asked, view).await,
        Err(problem) => Err(*problem),
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(problem) => return refuse(client, reply, problem).await,
    };
    let Ok(mut frames) = Frames::open(client, reply, Engine::Libvirt, &executor.host).await else { return };
    let told = match prepared {
        Prepared::Console(viewer) => console::tell(viewer, &mut frames).await,
        Prepared::Screen(screen) => screen::tell(screen, &mut frames).await,
        Prepared::Picture(png) => send(&mut frames, &png).await,
    };
    // Where the asker has gone there is nobody to tell the end to.
    if told.is_ok() {
        frames.end(None).await;
    }
}

impl<E: Hypervisor> LibvirtExecutor<E> {
    async fn prepare(&self, asked: &MachineQuestion, view: View) -> Result<Prepared, Problem> {
        let domain = self.domain_of(asked.machine_id).await?;
        let refused = |error: EngineError| match (error.code, domain.kind) {
            (NO_CONSOLE, _) => Problem::new(Code::Conflict, "the machine has no console: its definition says `console: false`"),
            (NO_SCREEN, Kind::Vm) => Problem::new(Code::Conflict, "the machine has no screen: its definition must say `screen: vnc`"),
            _ => problem(&error),
        };
        match view {
            View::Console => self.consoles.join(self.engine.as_ref(), domain).await.map(Prepared::Console).map_err(refused),
            View::Screen => {
                let socket = self.engine.graphics(domain).await.map_err(refused)?;
                let unusable = |error| Problem::new(Code::Internal, format!("the screen's socket cannot be used: {error}"));
                screen::stream(socket).map(Prepared::Screen).map_err(unusable)
            }
            View::Screenshot => {
                let taken = self.engine.screenshot(domain).await.map_err(refused)?;
                let made = tokio::task::spawn_blocking(move || picture::png(&taken)).await;
                let broken = |error| Problem::new(Code::Internal, format!("the picture could not be made: {error}"));
                made.map_err(broken)?.map(Prepared::Picture).map_err(refused)
            }
        }
    }

    /// The domain of a machine, when it is there and runs.
    async fn domain_of(&self, id: MachineId) -> Result<DomainRef, Problem> {
        let scope = Scope { in_short: true, ..Scope::default() };
        let observed = self.engine.observe(&scope).await.map_err(|error| problem(&error))?;
        match observed.domain(id.uuid()) {
            Some(seen) if seen.state.is_up() => Ok(seen.domain),
            Some(seen) => Err(Problem::new(Code::Conflict, format!("{} is {}: start it first", seen.name, seen.state.word()))),
            None => Err(Problem::new(Code::Conflict, "the machine has no domain: apply a version first")),
        }
    }
}

fn problem(error: &EngineError) -> Problem {
    let code = match error.class {
        Class::Wait | Class::Retry => Code::ExecutorAway,
        Class::Replan | Class::Refuse => Code::Conflict,
    };
    Problem::new(code, error.to_string())
}

/// Sends bytes in pieces that fit.
pub(super) async fn send(frames: &mut Frames, bytes: &[u8]) -> Result<(), Closed> {
    for piece in bytes.chunks(PIECE) {
        frames.send(&StreamFrame::Bytes(Raw(piece.to_vec()))).await?;
    }
    Ok(())
}

/// Says that somebody is there.
pub(super) async fn breathe(frames: &mut Frames) -> Result<(), Closed> {
    frames.send(&StreamFrame::Bytes(Raw(Vec::new()))).await
}
