//! The one door for every chore: `cargo xtask up | test | web | …`, called by people and by continuous integration alike.
//!
//! This crate knows no product code: it starts programs, waits for them, and reads the repository. It must stay quick
//! to build, so it has no runtime and no client of the broker or the database.

#![allow(clippy::print_stdout, clippy::print_stderr)] // A tool for the terminal.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod chores;
mod folders;
mod free_port;
mod installation;
mod interrupt;
mod processes;
mod readiness;
mod say;
mod shell;
mod tools;

use clap::{Parser, Subcommand};

use installation::{down, logs, recover, restart, status, up};

#[derive(Parser)]
#[command(name = "cargo xtask", version, about = "Every chore of the project")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what is missing, start everything, and stay until Ctrl-C.
    Up(up::Up),
    /// Stop what `up` started, and nothing else.
    Down,
    /// What runs, and how it is.
    Status(status::Status),
    /// Start one process again; it may be dead.
    Restart(restart::Restart),
    /// Put back what the broker lost, and start again; what runs is stopped meanwhile.
    Recover,
    /// Show the log of one process, or of all.
    Logs(logs::Logs),
    /// Set up the same and run every check and test.
    Test(chores::test::Test),
    /// The same as `test`.
    Ci(chores::test::Test),
    /// Check the rules of the repository that no compiler knows.
    Tidy,
    /// Build the page.
    Web,
    /// Renew the pictures of the documentation.
    Screenshots,
    /// Make the base image of the examples.
    Images(chores::images::Images),
    /// Run all of Orrery in containers, and an end-to-end job against it.
    ComposeTest(chores::compose_test::ComposeTest),
    /// Renew what is generated: schemas, AsyncAPI, OpenAPI, the permissions table.
    Schemas(chores::schemas::Schemas),
    /// Renew what the compiler needs to know of each database query.
    Sqlx(chores::sqlx::Sqlx),
    /// Measure.
    Bench(chores::bench::Bench),
    /// Run the long sweeps whole.
    Soak(chores::soak::Soak),
    /// Fuzz what reads outside input.
    Fuzz(chores::fuzz::Fuzz),
    /// Hold the history in a file against the promises.
    Audit(chores::audit::Audit),
}

fn main() -> std::process::ExitCode {
    let Arguments { chore } = Arguments::parse();
    let done = match chore {
        Chore::Up(up) => up.run(),
        Chore::Down => down::run(),
        Chore::Status(status) => status.run(),
        Chore::Restart(restart) => restart.run(),
        Chore::Recover => recover::run(),
        Chore::Logs(logs) => logs.run(),
        Chore::Test(test) | Chore::Ci(test) => test.run(),
        Chore::Tidy => chores::tidy::run(),
        Chore::Web => chores::web::run(),
        Chore::Screenshots => chores::screenshots::run(),
        Chore::Images(images) => images.run(),
        Chore::ComposeTest(test) => test.run(),
        Chore::Schemas(schemas) => schemas.run(),
        Chore::Sqlx(sqlx) => sqlx.run(),
        Chore::Bench(bench) => bench.run(),
        Chore::Soak(soak) => soak.run(),
        Chore::Fuzz(fuzz) => fuzz.run(),
        Chore::Audit(audit) => audit.run(),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            say::failure(&error);
            std::process::ExitCode::FAILURE
        }
    }
}
