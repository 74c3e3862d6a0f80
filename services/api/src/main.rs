//! `orrery-api`: reads its configuration, starts the background work, and serves until SIGTERM.
//!
//! It must not decide anything: what the service does lies in the library, so that tests run the very same.

use std::io::Write as _;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use orrery_api::config::Config;

#[derive(Parser)]
#[command(name = "orrery-api", version, about = "The query and command service: REST, SSE and the page")]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Serves the page and the REST API (the default).
    Serve,
    /// Prints the OpenAPI document.
    Openapi,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task.unwrap_or(Task::Serve) {
        Task::Serve => serve(),
        Task::Openapi => {
            let text = orrery_api::openapi::text()?;
            std::io::stdout().write_all(text.as_bytes()).context("cannot print the document")
        }
    }
}

fn serve() -> anyhow::Result<()> {
    orrery_instruments::init_logs();
    let config = Config::from_environment()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(orrery_api::serve(config)).context("the api stopped")
}
