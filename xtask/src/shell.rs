//! Running other programs: quietly with their words kept for the failure, or with their output passed on.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A command that reads nothing. What our own programs say when they fail is for people, so without stack traces.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("RUST_LIB_BACKTRACE", "0");
    command
}

/// Runs it and keeps what it prints; its last words are in the error when it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<String> {
    let name = spelled(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    bail!("{name} ended with {}:\n{}", output.status, last_words(&output))
}

/// Runs it with its output passed on to standard error.
pub(crate) fn loud(command: &mut Command) -> Result<()> {
    let name = spelled(command);
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status().with_context(|| format!("cannot run {name}"))?;
    anyhow::ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}

/// Runs it quietly, and ends it when it takes longer.
pub(crate) fn within(limit: Duration, command: &mut Command) -> Result<()> {
    let name = spelled(command);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().with_context(|| format!("cannot run {name}"))?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            anyhow::ensure!(status.success(), "{name} ended with {status}");
            return Ok(());
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("{name} was not done within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether it runs and succeeds.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A program on the path.
pub(crate) fn on_path(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(Into::into))
        .map(|folder| folder.join(program))
        .find(|file| is_program(file))
}

pub(crate) fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// How a person would type it, without the environment.
fn spelled(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().take(6).map(|word| word.to_string_lossy().into_owned()));
    format!("`{}`", words.join(" "))
}

fn last_words(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
