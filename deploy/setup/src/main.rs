//! `orrery-setup`: what an installation in containers needs beside its services. It makes the secrets at the first start and
//! hands each service its own, says whether a service is healthy, and shows a person what the first start made.
//!
//! It knows no service's code: it writes files and starts `orrery-nats`.

#![allow(clippy::print_stdout)] // A tool for a terminal and for scripts: what it answers goes to standard output.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod authority;
mod broker;
mod database;
mod door;
mod handed;
mod health;
mod members;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use handed::Shelf;
use members::Member;

#[derive(Parser)]
#[command(name = "orrery-setup", version, about)]
struct Arguments {
    /// The data folder.
    #[arg(long, env = "ORRERY_DATA_DIR", default_value = "/var/lib/orrery")]
    data_dir: PathBuf,
    /// The folder in which each service finds its secrets.
    #[arg(long, env = "ORRERY_SECRETS_DIR", default_value = "/secrets")]
    secrets_dir: PathBuf,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes whatever is missing of the installation's secrets, and hands them out.
    Make,
    /// Makes a publisher, and has the broker take him up.
    AddPublisher {
        /// Lower-case letters, digits, `-` and `_`.
        name: String,
    },
    /// Shows a publisher's credentials.
    Publisher {
        /// His name.
        #[arg(default_value = "ci")]
        name: String,
    },
    /// Shows who signed the broker's certificate: what a publisher's client must trust.
    Authority,
    /// Shows what the first start made for the administrator.
    Show {
        /// Which of the two.
        what: First,
    },
    /// Carries connections from its own port to the broker's, for the one service that lives outside the broker's network.
    Door,
    /// Fails unless a service is ready, and says what it waits for.
    Healthy {
        /// The service.
        member: Member,
    },
}

/// What the first start makes for the administrator.
#[derive(Clone, Copy, clap::ValueEnum)]
enum First {
    Password,
    Token,
}

fn main() -> Result<()> {
    let Arguments { data_dir, secrets_dir, task } = Arguments::parse();
    let shelf = Shelf::new(secrets_dir);
    match task {
        Task::Make => make(&data_dir, &shelf),
        Task::AddPublisher { name } => broker::add_publisher(&data_dir, &shelf, &name),
        Task::Publisher { name } => broker::show_publisher(&data_dir, &name),
        Task::Authority => {
            print!("{}", handed::read(&data_dir.join("tls/authority.pem"))?);
            Ok(())
        }
        Task::Show { what } => show(&data_dir, what),
        Task::Door => door::keep(),
        Task::Healthy { member } => health::check(member, &data_dir),
    }
}

fn make(data_dir: &Path, shelf: &Shelf) -> Result<()> {
    authority::make(data_dir)?;
    broker::render(data_dir, shelf)?;
    database::make(data_dir)?;
    handed::hand_out(data_dir, shelf)?;
    println!("every service has its secrets");
    Ok(())
}

fn show(data_dir: &Path, what: First) -> Result<()> {
    let (file, gone) = match what {
        First::Password => ("admin.password", "the first password is shown until it is changed"),
        First::Token => ("admin.token", "the api makes it at its first start"),
    };
    let path = data_dir.join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} is not there: {gone}", path.display()))?;
    println!("{}", text.trim());
    Ok(())
}
