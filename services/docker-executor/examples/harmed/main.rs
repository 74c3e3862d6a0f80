//! The docker-executor for tests that kill it or take a promise from it: the same service, with something that breaks between
//! it and the outside. It is built beside the tests and never released; the program that is released holds none of this.
//!
//! `ORRERY_HARM` names a folder. There it says which points a command has passed (`points`), and dies at the one whose number
//! lies in `trap` when the command begins. `ORRERY_CONTROL` takes a promise from it: `unchecked` or `blind`.

mod engine;
mod points;
mod port;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use orrery_docker_executor::engine::Connection;
use orrery_docker_executor::service;
use orrery_queue::Streams;
use points::Points;
use port::{Control, Harmed};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = std::env::var_os("ORRERY_HARM").map(PathBuf::from).context("ORRERY_HARM must name a folder")?;
    let control = Control::from_env()?;
    let points = Arc::new(Points::in_folder(folder.clone()));
    let engine = engine::before(Connection::from_env().host(), &folder, Arc::clone(&points))?;
    service::run(Connection::new(engine), move |streams| Streams::new(Arc::new(Harmed { port: streams.port(), points, control }))).await
}
