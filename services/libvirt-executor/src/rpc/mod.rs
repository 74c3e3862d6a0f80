//! Questions over the broker: what an apply would do, what a machine shows on its console or its screen, and
//! the pieces of an upload. Nothing here is a command; who may ask, and that he asked, is the api's.

mod console;
mod plan;
mod screen;
mod uploads;
mod views;

use async_nats::{Client, Message};
use orrery_contracts::rpc::MachinePlanQuestion;
use orrery_contracts::{Engine, subjects};
use orrery_queue::{Broker, questions};
use tokio_util::sync::CancellationToken;

use crate::commands::LibvirtExecutor;
use crate::engine::Hypervisor;
use views::View;

/// Answers questions until told to stop.
pub(crate) async fn answer<E: Hypervisor>(executor: LibvirtExecutor<E>, broker: Broker, shutdown: CancellationToken) {
    let plan = subjects::rpc(Engine::Libvirt, &executor.host, "plan");
    let planner = executor.clone();
    let plan_for = move |asked: MachinePlanQuestion| {
        let executor = planner.clone();
        async move { executor.plan_for(&asked).await }
    };
    tokio::join!(
        questions::answer(&broker, &plan, &shutdown, plan_for),
        show(&executor, &broker, &shutdown, View::Console),
        show(&executor, &broker, &shutdown, View::Screen),
        show(&executor, &broker, &shutdown, View::Screenshot),
        uploads::answer(&executor, &broker, &shutdown),
    );
}

async fn show<E: Hypervisor>(executor: &LibvirtExecutor<E>, broker: &Broker, shutdown: &CancellationToken, view: View) {
    let subject = subjects::rpc(Engine::Libvirt, &executor.host, view.verb());
    let show = |client: Client, question: Message| {
        let executor = executor.clone();
        async move { views::show(&executor, &client, question, view).await }
    };
    questions::each(broker, &subject, shutdown, show).await;
}
