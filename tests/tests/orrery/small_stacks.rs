//! Definitions that start in a fraction of a second, for tests that are about something else than what runs.

use std::time::Duration;

use anyhow::ensure;
use orrery_contracts::Bundle;
use orrery_tests::bundles::compose;
use orrery_tests::wait::until_equal;

/// A service that sleeps. SIGKILL, because a shell as first process does not hear anything else.
pub(crate) fn sleeper(name: &str) -> String {
    format!(
        "  {name}:\n    image: orrery/busybox:test\n    command: [\"sleep\", \"100000\"]\n    stop_signal: SIGKILL\n    labels: {{marker: \"1\"}}\n"
    )
}

/// A stack of sleeping services.
pub(crate) fn sleepers(names: &[&str]) -> Bundle {
    let services: String = names.iter().map(|name| sleeper(name)).collect();
    compose(format!("services:\n{services}"))
}

/// A web server on a port of the host that answers with a word, and a second service that has nothing to do with it.
/// `check` is the health check's command.
pub(crate) fn web(port: u16, word: &str, check: &str) -> Bundle {
    compose(format!(
        r#"services:
  web:
    image: orrery/busybox:test
    command: ["sh", "-c", "echo starting $$WORD; echo $$WORD > /www/index.html; exec httpd -f -p 80 -h /www"]
    environment:
      WORD: {word}
    ports: ["{port}:80"]
    stop_signal: SIGKILL
    healthcheck:
      test: ["CMD-SHELL", "{check}"]
      interval: 300ms
      timeout: 2s
      retries: 3
  other:
    image: orrery/busybox:test
    command: ["sleep", "100000"]
    stop_signal: SIGKILL
"#
    ))
}

/// The health check of a web server that is well.
pub(crate) const WELL: &str = "wget -q -O /dev/null http://127.0.0.1/";

/// A definition whose container the engine refuses to start: what its command names is not there.
pub(crate) fn does_not_start() -> Bundle {
    compose("services:\n  broken:\n    image: orrery/busybox:test\n    command: [\"/no/such/program\"]\n")
}

/// A port that nobody uses.
pub(crate) fn free_port() -> u16 {
    orrery_nats::port::any().expect("a free port")
}

/// Waits until a published port answers with a page that contains this.
pub(crate) async fn page_says(port: u16, word: &str) -> anyhow::Result<()> {
    until_equal(&format!("the page on port {port} to say {word:?}"), Duration::from_secs(20), &true, || async {
        Ok(page(port).await?.contains(word))
    })
    .await
}

/// What a published port answers now.
pub(crate) async fn page(port: u16) -> anyhow::Result<String> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(3)).build()?;
    let answer = http.get(format!("http://127.0.0.1:{port}/")).send().await?;
    ensure!(answer.status().is_success(), "the page answered {}", answer.status());
    Ok(answer.text().await?)
}
