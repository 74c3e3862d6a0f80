//! `orrery`, the command line client, against a whole Orrery.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use orrery_tests::machines::{import, with_libvirt};
use orrery_tests::service::test_program;
use orrery_tests::{Installation, wait};
use serde_json::json;

use crate::small_stacks::sleepers;

/// The client as the administrator runs it.
fn client(orrery: &Installation, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(test_program("orrery")?);
    command.args(arguments).env("ORRERY_URL", orrery.api.origin()).env("ORRERY_TOKEN_FILE", orrery.data().join("admin.token"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn lists_are_read_and_what_is_wrong_is_said() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("listed");
    orrery.api.create(&name, &sleepers(&["a"])).await?;
    let stacks = client(&orrery, &["stacks"])?.output()?;
    ensure!(
        stacks.status.success() && said(&stacks).contains(&format!("admin/{name}")) && said(&stacks).contains("- (1)"),
        "{}",
        said(&stacks)
    );
    let queue = client(&orrery, &["queue"])?.output()?;
    ensure!(queue.status.success() && said(&queue) == "idle\n", "{}", said(&queue));
    let machines = client(&orrery, &["machines"])?.output()?;
    ensure!(machines.status.success() && said(&machines).starts_with("MACHINE"), "{}", said(&machines));

    let mut set = client(&orrery, &["secrets", "set", &name, "token"])?.stdin(Stdio::piped()).spawn()?;
    set.stdin.take().context("no pipe")?.write_all(b"hunter2")?;
    let set = set.wait_with_output()?;
    ensure!(said(&set) == "version 1 of secret token kept; the next apply uses it\n", "{}", said(&set));
    let secrets = client(&orrery, &["secrets", "list", &name])?.output()?;
    ensure!(said(&secrets).contains("token") && said(&secrets).contains("v1") && !said(&secrets).contains("hunter2"), "{}", said(&secrets));
    let forgotten = client(&orrery, &["secrets", "forget", &name, "token"])?.output()?;
    ensure!(said(&forgotten) == "secret token forgotten\n", "{}", said(&forgotten));
    let again = client(&orrery, &["secrets", "forget", &name, "token"])?.output()?;
    ensure!(!again.status.success() && said(&again).contains("has no secret token"), "{}", said(&again));

    let stranger = client(&orrery, &["stacks"])?.env_remove("ORRERY_TOKEN_FILE").env("ORRERY_TOKEN", "nobody's").output()?;
    ensure!(!stranger.status.success() && said(&stranger).starts_with("orrery: "), "{}", said(&stranger));
    let nowhere = client(&orrery, &["stacks"])?.env("ORRERY_URL", "http://127.0.0.1:1").output()?;
    ensure!(!nowhere.status.success() && said(&nowhere).contains("cannot be reached at http://127.0.0.1:1"), "{}", said(&nowhere));
    let missing = client(&orrery, &["console", "no-such"])?.output()?;
    ensure!(!missing.status.success() && said(&missing).contains("no-such"), "{}", said(&missing));
    orrery.end().await
}

#[tokio::test]
async fn a_console_is_seen_in_a_terminal_and_left_again() -> anyhow::Result<()> {
    let (orrery, _libvirt) = with_libvirt().await?;
    let ci = orrery.ci().await?;
    import(&ci).await?;
    let definition = "kind: vm\nsource: {box: boots}\nmemory: 32MiB\nnetworks: []\nstop_grace_period: 1s\nready: {console: that is all}\n";
    ci.done(&json!({"type": "machine.create", "target": "web", "payload": {"bundle": {"files": {"machine.yaml": definition}}}})).await?;
    let off = client(&orrery, &["console", "ci/web"])?.output()?;
    ensure!(!off.status.success() && said(&off).contains("apply a version first"), "{}", said(&off));
    ci.done(&json!({"type": "machine.apply", "target": "web", "payload": {"version": 1}})).await?;

    // Without a terminal, as a script has it: what the guest has said is heard until somebody ends it.
    let mut piped = client(&orrery, &["console", "ci/web"])?.spawn()?;
    let heard = until_said(piped.stdout.take().context("no output")?).await?;
    piped.kill()?;
    piped.wait()?;
    ensure!(heard.contains("that is all"), "{heard}");

    // In a terminal, Ctrl and ] lead out.
    let program = test_program("orrery")?.display().to_string();
    let mut typed = Command::new("script")
        .args(["--quiet", "--return", "--command", &format!("{program} console ci/web"), "/dev/null"])
        .env("ORRERY_URL", orrery.api.origin())
        .env("ORRERY_TOKEN_FILE", orrery.data().join("admin.token"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut keys = typed.stdin.take().context("no keys")?;
    let heard = until_said(typed.stdout.take().context("no output")?).await?;
    let stayed = typed.try_wait()?.is_none();
    keys.write_all(b"\x1d")?;
    keys.flush()?;
    let ended = wait::eventually("the console to be left", Duration::from_secs(60), || {
        let ended = typed.try_wait();
        async move { Ok(ended?) }
    });
    let ended = ended.await;
    let _ = typed.kill();
    ensure!(heard.contains("that is all") && stayed && ended?.success(), "the client did not stay, or did not end well: {heard}");
    orrery.end().await
}

/// What is said until the guest has said all that it has to say.
async fn until_said(mut out: impl std::io::Read + Send + 'static) -> anyhow::Result<String> {
    let heard = tokio::task::spawn_blocking(move || {
        let (mut heard, mut bytes) = (String::new(), [0; 256]);
        while !heard.contains("that is all") {
            match out.read(&mut bytes) {
                Ok(count) if count > 0 => heard.push_str(&String::from_utf8_lossy(bytes.get(..count).unwrap_or_default())),
                _ => break,
            }
        }
        // What is said further is read too: whoever says it would stumble over a pipe that nobody reads.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        heard
    });
    Ok(tokio::time::timeout(Duration::from_secs(60), heard).await??)
}
