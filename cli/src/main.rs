//! `orrery`: the command line client of the REST API. It knows an address and a token, and nothing else of an installation.
#![allow(clippy::print_stdout, clippy::print_stderr)] // That is what it is for.

mod api;
mod console;
mod lists;
mod secrets;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use api::Api;

#[derive(Parser)]
#[command(name = "orrery", version, about = "Orrery from the command line")]
struct Args {
    /// Where Orrery is.
    #[arg(long, env = "ORRERY_URL", default_value = "http://localhost:8080", global = true)]
    url: String,
    /// The file that holds the token; without one, ORRERY_TOKEN is the token.
    #[arg(long, env = "ORRERY_TOKEN_FILE", global = true)]
    token_file: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The stacks, and how they are.
    Stacks,
    /// The machines, and how they are.
    Machines,
    /// What the queue does, and what it does next.
    Queue,
    /// The secrets of a stack: which there are, and new values for them.
    #[command(subcommand)]
    Secrets(secrets::Secrets),
    /// The serial console of a machine; Ctrl and ] lead out.
    Console {
        /// Its name, `owner/name`, or id.
        machine: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let ended = run(Args::parse()).await;
    if let Err(error) = &ended {
        eprintln!("orrery: {error:#}");
    }
    // Whoever still reads what is typed would be waited for.
    std::process::exit(i32::from(ended.is_err()));
}

async fn run(args: Args) -> anyhow::Result<()> {
    let api = Api::new(&args.url, args.token_file.as_deref())?;
    match args.what {
        What::Stacks => lists::stacks(&api).await,
        What::Machines => lists::machines(&api).await,
        What::Queue => lists::queue(&api).await,
        What::Secrets(what) => secrets::run(&api, what).await,
        What::Console { machine } => console::carry(&api, &machine).await,
    }
}
