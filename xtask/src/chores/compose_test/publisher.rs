//! A publisher in the network of the containers. TLS is not this program's business: the conversation is Python's, which the
//! project needs anyway.

use anyhow::{Context as _, Result};

use super::site::Site;
use crate::shell;

/// Signs in, publishes a command, waits for its end, and prints what the broker and the api said.
const CONVERSATION: &str = include_str!("publish.py");

/// Publishes a command as `ci`, and answers what became of it.
pub(super) fn publish(site: &Site, id: &str, command: &serde_json::Value) -> Result<serde_json::Value> {
    let credentials = site.setup(&["publisher", "ci"])?;
    let authority = tempfile::NamedTempFile::new()?;
    std::fs::write(authority.path(), site.setup(&["authority"])?)?;
    let value = |name: &str| {
        let line = credentials.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.with_context(|| format!("the credentials have no {name}"))
    };
    let mut python = shell::command("python3");
    python.args(["-c", CONVERSATION, &site.inner_address("nats")?]).arg(authority.path());
    python.args([value("NATS_USER")?, value("NATS_PASSWORD")?, id, &command.to_string()]);
    let answer = shell::quiet(&mut python)?;
    serde_json::from_str(answer.trim()).with_context(|| format!("no answer: {answer}"))
}
