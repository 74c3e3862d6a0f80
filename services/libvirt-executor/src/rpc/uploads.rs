//! Uploads, piece by piece. What waits for the disk waits on threads of its own.

use std::sync::Arc;

use orrery_contracts::rpc::UploadsQuestion;
use orrery_contracts::{Code, Engine, Problem, subjects};
use orrery_queue::{Broker, questions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::commands::LibvirtExecutor;
use crate::engine::Hypervisor;
use crate::uploads::{Refusal, Uploads};

/// Answers until told to stop.
pub(super) async fn answer<E: Hypervisor>(executor: &LibvirtExecutor<E>, broker: &Broker, shutdown: &CancellationToken) {
    let at = At { executor, broker, shutdown };
    tokio::join!(
        at.verb("uploads", |uploads, asked: UploadsQuestion| uploads.list(asked.id)),
        at.verb("upload.begin", |uploads, of| uploads.begin(of)),
        at.verb("upload.put", |uploads, piece| uploads.put(&piece)),
        at.verb("upload.remove", |uploads, asked: UploadsQuestion| asked.id.map_or(Ok(()), |id| uploads.remove(id))),
    );
}

/// Where questions come from.
struct At<'a, E> {
    executor: &'a LibvirtExecutor<E>,
    broker: &'a Broker,
    shutdown: &'a CancellationToken,
}

impl<E: Hypervisor> At<'_, E> {
    async fn verb<Q, A>(&self, verb: &str, work: fn(&Uploads, Q) -> Result<A, Refusal>)
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
    {
        let subject = subjects::rpc(Engine::Libvirt, &self.executor.host, verb);
        let uploads = Arc::clone(&self.executor.uploads);
        let answer = move |asked: Q| {
            let uploads = Arc::clone(&uploads);
            async move {
                match tokio::task::spawn_blocking(move || work(&uploads, asked)).await {
                    Ok(done) => done.map_err(|refusal| *refusal),
                    Err(error) => Err(Problem::new(Code::Internal, format!("the upload's work broke: {error}"))),
                }
            }
        };
        questions::answer(self.broker, &subject, self.shutdown, answer).await;
    }
}
