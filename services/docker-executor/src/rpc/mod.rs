//! Questions over the broker that change nothing: what an apply would do, and what containers write. Nothing here is a
//! command, and nothing is stored.

mod logs;
mod plan;

use async_nats::{Client, Message};
use orrery_contracts::rest::Empty;
use orrery_contracts::rpc::PlanQuestion;
use orrery_contracts::{Engine, subjects};
use orrery_queue::{Broker, questions};
use tokio_util::sync::CancellationToken;

use crate::commands::DockerExecutor;

/// Answers questions until told to stop.
pub async fn answer(executor: DockerExecutor, broker: Broker, shutdown: CancellationToken) {
    let subject = |verb: &str| subjects::rpc(Engine::Docker, executor.host(), verb);
    let (plan, logs, sealing) = (subject("plan"), subject("logs"), subject("sealing"));
    let planner = executor.clone();
    let plan_for = move |asked: PlanQuestion| {
        let executor = planner.clone();
        async move { executor.plan_for(&asked).await }
    };
    let sealer = executor.clone();
    let sealing_key = move |Empty {}: Empty| {
        let executor = sealer.clone();
        async move { executor.sealing_key().await }
    };
    let tell_logs = |client: Client, question: Message| {
        let executor = executor.clone();
        async move { logs::answer(&executor, &client, question).await }
    };
    tokio::join!(
        questions::answer(&broker, &plan, &shutdown, plan_for),
        questions::answer(&broker, &sealing, &shutdown, sealing_key),
        questions::each(&broker, &logs, &shutdown, tell_logs)
    );
}
