//! What a person can have done: each is one request that ends as a command on the queue, and a word about it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::{BundleInfo, Command, DeleteStack, Empty, NewStack, NewVersion};
use orrery_contracts::{Bundle, Digest, MachineId, StackId, Status};

use super::http::{self, Fault};
use super::live::Live;
use super::toasts::{Toasts, toasts};
use crate::route::Of;

/// Above this a bundle is uploaded first and named by its digest.
const INLINE: usize = 256 * 1024;

/// The means to act: taken once by a component, used in its handlers.
#[derive(Clone, Copy)]
pub(crate) struct Act {
    live: Live,
    toasts: Toasts,
    /// True while a request is under way.
    pub(crate) busy: RwSignal<bool>,
}

pub(crate) fn act() -> Act {
    Act { live: super::live::live(), toasts: toasts(), busy: RwSignal::new(false) }
}

impl Act {
    /// Sends a request that becomes a command, and calls `then` with it.
    pub(crate) fn send(self, path: String, body: impl serde::Serialize + 'static, then: impl FnOnce(Command) + 'static) {
        self.ask(async move { http::post::<Command>(&path, &body, None).await }, then);
    }

    /// The same for what takes the place of something.
    pub(crate) fn put(self, path: String, body: impl serde::Serialize + 'static, then: impl FnOnce(Command) + 'static) {
        self.ask(async move { http::replace::<Command>(&path, &body).await }, then);
    }

    fn ask(self, request: impl Future<Output = Result<Command, Fault>> + 'static, then: impl FnOnce(Command) + 'static) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        spawn_local(async move {
            let answer = request.await;
            let _ = self.busy.try_set(false);
            match answer {
                Ok(command) => {
                    self.toasts.accepted(&command);
                    self.live.learn(command.clone());
                    then(command);
                }
                Err(fault) => self.toasts.fault(&fault),
            }
        });
    }

    /// `start`, `stop`, `restart`.
    pub(crate) fn stack(self, id: StackId, verb: &str) {
        self.send(format!("/stacks/{id}/{verb}"), Empty {}, |_| {});
    }

    /// `apply` or `rollback` to a version.
    pub(crate) fn converge(self, of: Of, id: &str, verb: &str, version: u32, then: impl FnOnce(Command) + 'static) {
        self.send(format!("/{}/{id}/{verb}/{version}", of.folder()), Empty {}, then);
    }

    /// `start`, `shutdown`, `stop`, `reboot`, `suspend`, `resume`.
    pub(crate) fn machine(self, id: MachineId, verb: &str) {
        self.send(format!("/machines/{id}/{verb}"), Empty {}, |_| {});
    }

    pub(crate) fn delete(self, id: StackId, volumes: bool, then: impl FnOnce(Command) + 'static) {
        self.send(format!("/stacks/{id}/delete"), DeleteStack { volumes }, then);
    }

    /// `cancel` or `retry`.
    pub(crate) fn command(self, seq: u64, verb: &'static str) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        spawn_local(async move {
            let answer = http::post::<Command>(&format!("/commands/{seq}/{verb}"), &Empty {}, None).await;
            let _ = self.busy.try_set(false);
            match answer {
                Ok(command) => {
                    self.toasts.good(match (verb, command.status) {
                        ("cancel", Status::Running) => format!("{} is asked to stop after the step in hand.", crate::words::count(seq)),
                        ("cancel", _) => format!("{} is cancelled.", crate::words::count(seq)),
                        (_, _) => format!("{} waits for another attempt.", crate::words::count(seq)),
                    });
                    self.live.learn(command);
                }
                Err(fault) => self.toasts.fault(&fault),
            }
        });
    }
}

/// Brings the files to the api: small ones within the request, large ones before it.
async fn place(bundle: Bundle) -> Result<(Option<Bundle>, Option<Digest>), Fault> {
    let bytes = bundle.canonical_bytes();
    if bytes.len() <= INLINE {
        return Ok((Some(bundle), None));
    }
    let info: BundleInfo = http::upload("/bundles", "application/json", &bytes).await?;
    Ok((None, Some(info.digest)))
}

/// Makes a stack or machine.
pub(crate) async fn create(of: Of, name: String, bundle: Bundle, comment: String) -> Result<Command, Fault> {
    let (bundle, digest) = place(bundle).await?;
    let comment = Some(comment).filter(|comment| !comment.is_empty());
    http::post(&format!("/{}", of.folder()), &NewStack { name, bundle, digest, comment }, None).await
}

/// Saves a version over the one that the person saw.
pub(crate) async fn save_version(of: Of, id: &str, seen: u32, bundle: Bundle, comment: String) -> Result<Command, Fault> {
    let (bundle, digest) = place(bundle).await?;
    let comment = Some(comment).filter(|comment| !comment.is_empty());
    http::post(&format!("/{}/{id}/versions", of.folder()), &NewVersion { bundle, digest, comment }, Some(seen)).await
}

/// Waits until a command has ended or failed; whoever has seen its end sees its effects in every list.
pub(crate) async fn ended(live: Live, command: Command) -> Result<Command, Fault> {
    let mut command = command;
    while matches!(command.status, Status::Pending | Status::Running) {
        command = http::get(&format!("/commands/{}?wait=20s", command.seq), None).await?;
        live.learn(command.clone());
    }
    Ok(command)
}

/// The files of a version.
pub(crate) async fn bundle(digest: &Digest) -> Result<Bundle, Fault> {
    http::get(&format!("/bundles/{digest}"), None).await
}

/// Reads an archive that was dropped: the api unpacks it, and gives its files back.
pub(crate) async fn unpack(name: &str, bytes: &[u8]) -> Result<Bundle, Fault> {
    let kind = match name.rsplit('.').next() {
        Some("zip") => "application/zip",
        Some("gz" | "tgz") => "application/gzip",
        _ => "application/x-tar",
    };
    let info: BundleInfo = http::upload("/bundles", kind, bytes).await?;
    bundle(&info.digest).await
}

/// Whether a name is that of an archive.
pub(crate) fn is_archive(name: &str) -> bool {
    [".tar", ".tar.gz", ".tgz", ".zip"].iter().any(|end| name.ends_with(end))
}
