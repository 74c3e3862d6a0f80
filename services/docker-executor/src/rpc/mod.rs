//! Questions over the broker that change nothing: what an apply would do, and what containers write. Nothing here is a
//! command, and nothing is stored.

mod logs;
mod plan;
mod stream;

use std::time::Duration;

use futures::StreamExt;
use orrery_contracts::rpc::Answer;
use orrery_contracts::{Code, Engine, Problem, subjects};
use orrery_queue::Broker;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commands::DockerExecutor;

/// Answers questions until told to stop.
pub async fn answer(executor: DockerExecutor, broker: Broker, shutdown: CancellationToken) {
    let tracker = TaskTracker::new();
    loop {
        let round = questions(&executor, &broker, &tracker);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = round => {}
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn questions(executor: &DockerExecutor, broker: &Broker, tracker: &TaskTracker) {
    broker.connected().await;
    let host = executor.host();
    let plan = subjects::rpc(Engine::Docker, host, "plan");
    let logs = subjects::rpc(Engine::Docker, host, "logs");
    let client = broker.client().clone();
    let (Ok(mut plans), Ok(mut streams)) = (client.subscribe(plan).await, client.subscribe(logs).await) else { return };
    loop {
        tokio::select! {
            question = plans.next() => {
                let Some(question) = question else { return };
                let (executor, client) = (executor.clone(), client.clone());
                tracker.spawn(async move { plan::answer(&executor, &client, question).await });
            }
            question = streams.next() => {
                let Some(question) = question else { return };
                let (executor, client) = (executor.clone(), client.clone());
                tracker.spawn(async move { logs::answer(&executor, &client, question).await });
            }
        }
    }
}

/// Reads a question; what cannot be read is answered with a problem.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Box<Problem>> {
    serde_json::from_slice(body)
        .map_err(|error| Box::new(Problem::new(Code::MalformedRequest, format!("the question cannot be read: {error}"))))
}

fn encode<T: Serialize>(answer: &Answer<T>) -> bytes::Bytes {
    serde_json::to_vec(answer).unwrap_or_default().into()
}
