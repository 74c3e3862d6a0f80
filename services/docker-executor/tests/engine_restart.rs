//! The engine's daemon ends in the middle of an apply and comes back: the apply waits for it, finds its containers
//! stopped, and goes on. The daemon is the test's own, with folders, a socket and addresses of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "support/engine.rs"]
mod real;
mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use orrery_compose::Service;
use orrery_compose::model::{Condition, Healthcheck};
use orrery_docker_executor::converge::{Memory, Script, Site, lifecycle};
use orrery_docker_executor::engine::{Connection, DockerEngine, Engine, Scope, State};
use rustix::process::{Pid, Signal, kill_process};
use support::{after, apply, desired, identity, service};

/// A daemon of one's own, in a network of its own: one that has no default bridge removes the host's `docker0` by its name.
struct Daemon {
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Daemon {
    /// A test that cannot have one fails, and says what it needs.
    async fn start() -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test starts a daemon of its own, which only root may: run it as root");
        for (program, package) in [("dockerd", "docker.io"), ("unshare", "util-linux")] {
            let found = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
            assert!(found, "this test starts a daemon of its own, and there is no {program} on the PATH: install {package}");
        }
        let mut daemon = Self { folder: tempfile::tempdir().unwrap(), process: None };
        daemon.spawn().await;
        daemon
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock"))
    }

    async fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        // It becomes the daemon, under the same process id.
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "dockerd"]);
        for (option, value) in [
            ("--host", self.host()),
            ("--data-root", self.path("data")),
            ("--exec-root", self.path("exec")),
            ("--pidfile", self.path("pid")),
            ("--bridge", "none".to_owned()),
            ("--default-address-pool", "base=10.219.0.0/16,size=24".to_owned()),
        ] {
            command.arg(option).arg(value);
        }
        command.args(["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--userland-proxy=false"]);
        self.process = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let connection = Connection::new(self.host());
        let until = tokio::time::Instant::now() + Duration::from_secs(60);
        while let Err(error) = connection.docker().await {
            let said = std::fs::read_to_string(Path::new(&self.path("log"))).unwrap_or_default();
            assert!(tokio::time::Instant::now() < until, "{error}: {said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn end(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let _ = kill_process(Pid::from_child(&process), Signal::TERM);
        tokio::task::spawn_blocking(move || process.wait()).await.unwrap().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = kill_process(Pid::from_child(&process), Signal::TERM);
            let _ = process.wait();
        }
    }
}

fn slow(name: &str) -> Service {
    let check = Healthcheck {
        test: Some(vec!["CMD".into(), "true".into()]),
        interval: Some(Duration::from_secs(2)),
        timeout: Some(Duration::from_secs(5)),
        retries: Some(20),
        ..Healthcheck::default()
    };
    Service { healthcheck: Some(check), ..service(name) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_goes_on_when_the_engine_ends_in_the_middle_and_comes_back() {
    let others = bridge_of_the_host();
    let mut daemon = Daemon::start().await;
    let engine = DockerEngine::new(Connection::new(daemon.host()));
    real::make_image(&engine).await;
    let identity = identity("restarted");
    let services = vec![slow("a"), after(slow("b"), "a", Condition::ServiceHealthy), after(slow("c"), "b", Condition::ServiceHealthy)];
    let stack = desired(&identity, services);
    let applying = tokio::spawn({
        let (engine, stack) = (engine.clone(), stack.clone());
        async move {
            let ledger = Memory::new(Script::Smooth);
            let result = apply(&engine, &ledger, &stack, 0).await;
            (result, ledger.steps())
        }
    });
    until_up(&engine, &stack, 2).await;
    assert!(!applying.is_finished());
    daemon.end().await;
    daemon.spawn().await;
    let (result, steps) = applying.await.unwrap();
    assert_eq!(result.as_deref(), Ok("containers: 3 created"), "{steps:#?}");
    until_up(&engine, &stack, 3).await;
    let again = apply(&engine, &Memory::new(Script::Smooth), &stack, 1).await;
    assert_eq!(again.as_deref(), Ok("nothing to do"));
    // Or its containers would outlive the daemon.
    lifecycle::delete(&Site::new(&engine, &Memory::new(Script::Smooth)).await, &identity, &BTreeSet::new(), false).await.unwrap();
    daemon.end().await;
    assert_eq!(bridge_of_the_host(), others, "a daemon of one's own has touched the bridge of another");
}

/// The number of the bridge of the host's own daemon, which another one gets when it is made anew; none where there is none.
fn bridge_of_the_host() -> Option<String> {
    std::fs::read_to_string("/sys/class/net/docker0/ifindex").ok()
}

async fn until_up(engine: &DockerEngine, stack: &orrery_docker_executor::definition::Desired, wanted: usize) {
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let observed = engine.observe(&Scope::of(stack)).await.unwrap();
        let up = observed.containers.iter().filter(|seen| seen.state == State::Running).count();
        if up >= wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "{up} of {wanted} run");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
