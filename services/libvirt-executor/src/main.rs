//! The libvirt-executor's process.

use clap::Parser;
use orrery_libvirt_executor::service;

#[derive(Debug, Parser)]
#[command(name = "orrery-libvirt-executor", version, about = "Converges libvirt to machines, in the queue's order")]
struct Arguments {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments {} = Arguments::parse();
    service::run().await
}
