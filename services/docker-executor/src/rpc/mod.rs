//! Questions over the broker that change nothing: what an apply would do, and what containers write. Nothing here is a
//! command, and nothing is stored.

mod logs;
mod plan;
mod stream;

use std::time::Duration;

use futures::StreamExt;
use orrery_contracts::rpc::PlanQuestion;
use orrery_contracts::{Engine, subjects};
use orrery_queue::{Broker, questions};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commands::DockerExecutor;

/// Answers questions until told to stop.
pub async fn answer(executor: DockerExecutor, broker: Broker, shutdown: CancellationToken) {
    let plan = subjects::rpc(Engine::Docker, executor.host(), "plan");
    let planner = executor.clone();
    let plan_for = move |asked: PlanQuestion| {
        let executor = planner.clone();
        async move { executor.plan_for(&asked).await }
    };
    tokio::join!(questions::answer(&broker, &plan, &shutdown, plan_for), logs(&executor, &broker, &shutdown));
}

async fn logs(executor: &DockerExecutor, broker: &Broker, shutdown: &CancellationToken) {
    let tracker = TaskTracker::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = log_questions(executor, broker, &tracker) => {}
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn log_questions(executor: &DockerExecutor, broker: &Broker, tracker: &TaskTracker) {
    broker.connected().await;
    let client = broker.client().clone();
    let Ok(mut streams) = client.subscribe(subjects::rpc(Engine::Docker, executor.host(), "logs")).await else { return };
    while let Some(question) = streams.next().await {
        let (executor, client) = (executor.clone(), client.clone());
        tracker.spawn(async move { logs::answer(&executor, &client, question).await });
    }
}
