//! The docker-executor's process.

use clap::Parser;
use orrery_docker_executor::engine::Connection;
use orrery_docker_executor::service;

#[derive(Parser)]
#[command(name = "orrery-docker-executor", version, about = "Converges the Docker Engine to stacks, in the queue's order")]
struct Arguments {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments {} = Arguments::parse();
    service::run(Connection::from_env(), Clone::clone).await
}
