//! Questions over the broker that change nothing. Nothing here is a command, and nothing is stored.

mod plan;

use orrery_contracts::rpc::MachinePlanQuestion;
use orrery_contracts::{Engine, subjects};
use orrery_queue::{Broker, questions};
use tokio_util::sync::CancellationToken;

use crate::commands::LibvirtExecutor;
use crate::engine::Hypervisor;

/// Answers questions until told to stop.
pub(crate) async fn answer<E: Hypervisor>(executor: LibvirtExecutor<E>, broker: Broker, shutdown: CancellationToken) {
    let plan = subjects::rpc(Engine::Libvirt, &executor.host, "plan");
    let plan_for = move |asked: MachinePlanQuestion| {
        let executor = executor.clone();
        async move { executor.plan_for(&asked).await }
    };
    questions::answer(&broker, &plan, &shutdown, plan_for).await;
}
