//! A whole installation through the door that people use: `up --detach`, `status`, `restart`, `down`, as a script would,
//! with the programs that were built before.
//!
//! It stands outside: only what is printed, what `/proc` says and what is on disk counts.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

#[path = "../src/free_port.rs"]
mod free_port;

use free_port::free_port;

const NAMES: [&str; 6] = ["postgres", "nats", "projector", "docker-executor", "libvirt-executor", "api"];

/// A data folder and an address of its own; whatever still runs at the end is stopped.
struct Installation {
    folder: tempfile::TempDir,
    listen: String,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("orrery-xtask-").tempdir_in("/var/tmp").unwrap();
        Self { folder, listen: format!("127.0.0.1:{}", free_port()) }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).env("ORRERY_DATA_DIR", self.folder.path()).env("ORRERY_LISTEN", &self.listen).stdin(Stdio::null());
        command
    }

    /// Reads both pipes to their ends: this hangs, and fails, when a child was left on one of them.
    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    fn up(&self) -> String {
        let output = self.run(&["up", "--detach", "--no-build"]);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Name to pid and state.
    fn status(&self) -> BTreeMap<String, (Option<u64>, String)> {
        let output = self.run(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = status["processes"].as_array().unwrap();
        rows.iter()
            .map(|row| {
                let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
                let state = match row["waits_for"].as_array() {
                    Some(waits_for) => format!("{} waits for {waits_for:?}", text("state")),
                    None => text("state"),
                };
                (text("name"), (row["pid"].as_u64(), state))
            })
            .collect()
    }

    fn states(&self) -> BTreeMap<String, String> {
        self.status().into_iter().map(|(name, (_, state))| (name, state)).collect()
    }

    fn pid(&self, name: &str) -> u64 {
        self.status()[name].0.unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn all(state: &str) -> BTreeMap<String, String> {
    NAMES.iter().map(|name| ((*name).to_owned(), state.to_owned())).collect()
}

fn kill(pid: u64) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    eventually(|| !runs(pid));
}

/// Whether this process still runs: it is there, and not a zombie of one thread that waits for somebody to take note of
/// its end. With more threads it still has its sockets.
fn runs(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| {
        let fields: Vec<&str> = fields.split(' ').collect();
        fields[0] != "X" && (fields[0] != "Z" || fields[17] != "1")
    })
}

fn eventually(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_script_brings_an_installation_up_and_down_and_up_again() {
    let installation = Installation::new();

    let said = installation.up();
    assert_eq!(installation.states(), all("ready"));
    assert!(said.contains(&format!("http://{}", installation.listen)), "{said}");
    let password = fs::read_to_string(installation.file("admin.password")).unwrap();
    let token = fs::read_to_string(installation.file("admin.token")).unwrap();
    assert!(said.contains(password.trim()) && said.contains(token.trim()), "{said}");

    // The pid is that of the process itself, in a session of its own, with nothing of ours on its standard streams.
    for name in NAMES {
        let pid = installation.pid(name);
        let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
        let expected: String = match name {
            "postgres" => "postgres".to_owned(),
            "nats" => "nats-server".to_owned(),
            service => format!("orrery-{service}").chars().take(15).collect(),
        };
        assert_eq!(program.trim(), expected);
        for stream in 0..3 {
            let open = fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap();
            let open = open.display().to_string();
            assert!(open == "/dev/null" || open.starts_with(installation.folder.path().to_str().unwrap()), "{name}: {open}");
        }
    }

    // Once more says so and changes nothing.
    let before = installation.status();
    let again = installation.up();
    assert!(again.contains(&installation.listen), "{again}");
    assert_eq!(installation.status(), before);

    installation.run(&["down"]);
    assert_eq!(installation.states(), all("stopped"));
    for (name, (pid, _)) in before {
        assert!(!runs(pid.unwrap()), "{name} still runs");
    }
    installation.run(&["down"]);

    installation.up();
    assert_eq!(installation.states(), all("ready"));
    assert_eq!(fs::read_to_string(installation.file("admin.password")).unwrap(), password);
    assert_eq!(fs::read_to_string(installation.file("admin.token")).unwrap(), token);
}

#[test]
fn what_dies_is_seen_and_started_again() {
    let installation = Installation::new();
    installation.up();
    for name in ["projector", "nats", "postgres"] {
        let before = installation.pid(name);
        kill(before);
        assert_eq!(installation.states()[name], "dead", "{name}");
        installation.run(&["restart", name]);
        assert_ne!(installation.pid(name), before, "{name}");
        assert_eq!(installation.states(), all("ready"), "{name}");
    }
    // `up` starts what is missing, too.
    kill(installation.pid("api"));
    installation.up();
    assert_eq!(installation.states(), all("ready"));
}

#[test]
fn two_installations_run_side_by_side() {
    let (first, second) = (Installation::new(), Installation::new());
    first.up();
    second.up();
    assert_eq!(first.states(), all("ready"));
    assert_eq!(second.states(), all("ready"));
    first.run(&["down"]);
    assert_eq!(first.states(), all("stopped"));
    assert_eq!(second.states(), all("ready"));
}

#[test]
fn in_the_foreground_an_interrupt_stops_everything() {
    let installation = Installation::new();
    let up = installation.command(&["up", "--no-build"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually(|| installation.states() == all("ready"));
    assert!(Command::new("kill").args(["-INT", &up.id().to_string()]).status().unwrap().success());
    let ended = up.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(installation.states(), all("stopped"));
}

/// A request to the api, and its answer.
fn api(installation: &Installation, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = asks(installation, method, path, body);
    assert!((200..300).contains(&status), "{method} {path}: {answer}");
    answer
}

/// The same, whatever the answer is; the simplest that HTTP has, since this crate knows no client.
fn asks(installation: &Installation, method: &str, path: &str, body: &Value) -> (u16, Value) {
    use std::io::{Read as _, Write as _};
    let token = fs::read_to_string(installation.file("admin.token")).unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = std::net::TcpStream::connect(&installation.listen).unwrap();
    let head = format!("{method} /api/v1{path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {}\r\n", installation.listen, token.trim());
    let rest = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(format!("{head}{rest}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(text).unwrap())
}

/// Makes a stack, and answers its command once that is done.
fn make(installation: &Installation, name: &str) -> u64 {
    let made = serde_json::json!({"name": name, "bundle": {"files": {"compose.yaml": "services: {web: {image: nothing}}\n"}}});
    let seq = api(installation, "POST", "/stacks", &made)["seq"].as_u64().unwrap();
    eventually(|| api(installation, "GET", &format!("/commands/{seq}?wait=5s"), &Value::Null)["status"] == "DONE");
    seq
}

/// The names of all stacks, and the statuses of all commands.
fn everything(installation: &Installation) -> (Vec<String>, Vec<(u64, String)>) {
    let items = |path: &str| api(installation, "GET", path, &Value::Null)["items"].as_array().unwrap().clone();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let stacks = items("/stacks").iter().map(|stack| text(stack, "name")).collect();
    let mut commands: Vec<_> = items("/commands").iter().map(|row| (row["seq"].as_u64().unwrap(), text(row, "status"))).collect();
    commands.sort();
    (stacks, commands)
}

/// Everything that its broker has stored keeps the promises.
fn is_audited(installation: &Installation) {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("orrery-audit");
    let output = Command::new(&program).arg(installation.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_broker_with_an_old_store_is_recovered_by_one_command() {
    let installation = Installation::new();
    installation.up();
    make(&installation, "first");
    installation.run(&["down"]);
    let (store, old) = (installation.file("nats/store"), installation.file("old-store"));
    let copied = |from: &PathBuf, to: &PathBuf| assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    copied(&store, &old);
    let old_store_is_back = || {
        kill(installation.pid("nats"));
        fs::remove_dir_all(&store).unwrap();
        copied(&old, &store);
    };
    installation.up();
    let second = make(&installation, "second");
    let before = everything(&installation);

    // Everything that was lost had been copied: nothing is to be seen of the loss.
    old_store_is_back();
    let said = String::from_utf8(installation.run(&["recover"]).stdout).unwrap();
    assert!(said.contains("COMMANDS had lost everything behind 1"), "{said}");
    assert_eq!(installation.states(), all("ready"));
    assert_eq!(everything(&installation), before);
    assert!(!installation.file("nats/recovery.password").exists() && !installation.file("nats/recovery.conf").exists());
    assert_eq!(make(&installation, "third"), second + 1, "stacks are made as ever");

    // With the projector dead, what comes then is copied by nobody: its number is filled, and the command said to be lost.
    kill(installation.pid("projector"));
    let lost = api(
        &installation,
        "POST",
        "/stacks",
        &serde_json::json!({"name": "lost", "bundle": {"files": {"compose.yaml": "services: {web: {image: nothing}}\n"}}}),
    );
    let lost = lost["seq"].as_u64().unwrap();
    let marked = || {
        let marks: Value = serde_json::from_slice(&fs::read(installation.file("marks/docker-executor.json")).unwrap()).unwrap_or_default();
        marks["commands"]["seq"].as_u64() >= Some(lost)
    };
    eventually(marked);
    old_store_is_back();
    let said = String::from_utf8(installation.run(&["recover"]).stdout).unwrap();
    assert!(said.contains(&format!("cancelled, because nobody knows what became of them: {lost}")), "{said}");
    assert_eq!(installation.states(), all("ready"));
    let (stacks, commands) = everything(&installation);
    assert_eq!(stacks, ["first", "second", "third"]);
    assert_eq!(commands.last(), Some(&(lost, "CANCELLED".to_owned())));
    assert_eq!(make(&installation, "lost"), lost + 1);
    assert!(String::from_utf8(installation.run(&["recover"]).stdout).unwrap().contains("nothing to recover"));

    // The whole store is gone, and a start has made it anew, for an installation that nobody knows.
    let before = everything(&installation);
    for name in NAMES.iter().filter(|name| **name != "postgres") {
        kill(installation.pid(name));
    }
    fs::remove_dir_all(&store).unwrap();
    installation.run(&["restart", "nats"]);
    installation.run(&["recover"]);
    assert_eq!(installation.states(), all("ready"));
    assert_eq!(everything(&installation), before);
    assert_eq!(make(&installation, "behind"), lost + 2);
    is_audited(&installation);
}

#[test]
fn a_store_that_is_too_small_is_made_larger_by_one_command() {
    let installation = Installation::new();
    let with_store = |mebibytes: u64, arguments: &[&str]| {
        let mut command = installation.command(arguments);
        let output = command.env("ORRERY_NATS_MAX_FILE_STORE", (mebibytes << 20).to_string()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    with_store(8, &["up", "--detach", "--no-build"]);
    let create = |n: usize| {
        let files = serde_json::json!({"compose.yaml": "services: {web: {image: nothing}}\n", "large.txt": "x".repeat(200_000)});
        asks(&installation, "POST", "/stacks", &serde_json::json!({"name": format!("large-{n}"), "bundle": {"files": files}}))
    };
    let mut accepted = Vec::new();
    let refused = loop {
        match create(accepted.len()) {
            (202, command) => accepted.push(command["seq"].as_u64().unwrap()),
            refused => break refused,
        }
        assert!(accepted.len() < 20, "a fifth of eight mebibytes holds no twenty commands of this size");
    };
    assert_eq!((refused.0, &refused.1["code"]), (507, &Value::from("storage_full")), "{}", refused.1);
    assert!(accepted.len() > 5, "only {accepted:?} had been accepted");

    with_store(64, &["restart", "nats"]);
    assert_eq!(installation.states(), all("ready"));
    // The api looks how full the stream is every two seconds.
    eventually(|| create(accepted.len()).0 == 202);
    let made = make(&installation, "at-last");
    let (stacks, commands) = everything(&installation);
    assert_eq!(stacks.len(), accepted.len() + 2);
    assert!(commands.iter().all(|(_, status)| status == "DONE"), "{commands:?}");
    assert_eq!(Some(made), accepted.last().map(|last| last + 2), "who was refused has no number");
    is_audited(&installation);
}

#[test]
fn a_taken_address_is_said_before_anything_starts() {
    let installation = Installation::new();
    let _taken = TcpListener::bind(&installation.listen).unwrap();
    let output = installation.command(&["up", "--detach", "--no-build"]).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("ORRERY_LISTEN"), "{said}");
    assert_eq!(installation.states(), all("stopped"));
}
