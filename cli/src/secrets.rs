//! Secrets of a stack: a value comes from a file or from what is piped in, never from the arguments, which everybody on the host can read.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use orrery_contracts::rest::{Command, Empty};
use orrery_contracts::{NewSecret, Secret, Status};

use crate::api::{Api, encode};
use crate::lists;

/// What can be done with secrets.
#[derive(Subcommand)]
pub(crate) enum Secrets {
    /// The secrets of a stack; never their values.
    List {
        /// The stack's name, `owner/name`, or id.
        stack: String,
    },
    /// Keeps a value, from a file or from what is piped in; the next apply uses it.
    Set {
        /// The stack's name, `owner/name`, or id.
        stack: String,
        /// The secret's name.
        name: String,
        /// The file that holds the value; without one it is piped in. The bytes are taken as they are.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Forgets one.
    Forget {
        /// The stack's name, `owner/name`, or id.
        stack: String,
        /// The secret's name.
        name: String,
    },
}

/// Carries one of them out.
pub(crate) async fn run(api: &Api, what: Secrets) -> anyhow::Result<()> {
    match what {
        Secrets::List { stack } => {
            let row = |one: Secret| vec![one.name.to_string(), format!("v{}", one.version), one.author, one.set_at.to_string()];
            let all = api.list::<Secret>(&format!("/secrets/{}", encode(&stack))).await?;
            lists::print(&["SECRET", "VERSION", "SET BY", "AT"], all.into_iter().map(row));
            Ok(())
        }
        Secrets::Set { stack, name, file } => {
            let value = value(file.as_deref())?;
            let new = NewSecret { value: None, base64: Some(STANDARD.encode(value)) };
            let command = api.send(reqwest::Method::PUT, &format!("/secrets/{}/{}", encode(&stack), encode(&name)), &new).await?;
            told(api, command).await
        }
        Secrets::Forget { stack, name } => {
            let path = format!("/secrets/{}/{}/remove", encode(&stack), encode(&name));
            let command = api.send(reqwest::Method::POST, &path, &Empty {}).await?;
            told(api, command).await
        }
    }
}

fn value(file: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    let Some(path) = file else {
        let mut stdin = std::io::stdin().lock();
        ensure!(!stdin.is_terminal(), "pipe the value in, or name a file with --file: what is typed here would be seen");
        let mut bytes = Vec::new();
        stdin.read_to_end(&mut bytes).context("the value cannot be read")?;
        return Ok(bytes);
    };
    std::fs::read(path).with_context(|| format!("the value cannot be read from {}", path.display()))
}

/// Waits for the end of a command, and says how it ended.
async fn told(api: &Api, mut command: Command) -> anyhow::Result<()> {
    while matches!(command.status, Status::Pending | Status::Running) {
        command = api.read(&format!("/commands/{}?wait=30s", command.seq)).await?;
    }
    let words = command.error.map(|error| error.message).or(command.reason).unwrap_or_default();
    if command.status != Status::Done {
        bail!(words);
    }
    println!("{words}");
    Ok(())
}
