//! One installation in containers, as a project of Compose of its own, beside whatever else runs on the engine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::images::VERSION;
use crate::folders;
use crate::free_port::free_port;
use crate::say;
use crate::shell;
use crate::tools::compose;

/// Where the engine's socket is when nobody says otherwise.
const SOCKET: &str = "/var/run/docker.sock";

pub(super) struct Site {
    project: String,
    port: u16,
    program: std::path::PathBuf,
    settings: Vec<(&'static str, String)>,
}

impl Site {
    /// Chooses a name and a port; nothing is started.
    pub(super) fn choose() -> Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| format!("unix://{SOCKET}"));
        let socket = host.strip_prefix("unix://").context("the executor needs the engine's socket: DOCKER_HOST must be one")?;
        let group = std::fs::metadata(Path::new(socket)).with_context(|| format!("{socket} is no socket"))?.gid();
        let root = shell::quiet(shell::command("docker").args(["info", "--format", "{{.DockerRootDir}}"]))?;
        let port = free_port();
        let settings = vec![
            ("ORRERY_VERSION", VERSION.to_owned()),
            ("ORRERY_PAGE", format!("127.0.0.1:{port}")),
            ("ORRERY_DOCKER_GID", group.to_string()),
            ("ORRERY_DOCKER_SOCKET", socket.to_owned()),
            ("ORRERY_DOCKER_ROOT", root.trim().to_owned()),
            // Room for what a test says, and no more of the disk than that.
            ("ORRERY_NATS_MAX_FILE_STORE", (4_u64 << 30).to_string()),
        ];
        let project = format!("orrery-test-{}", std::process::id());
        Ok(Self { project, port, program: compose::find_or_install()?, settings })
    }

    pub(super) fn project(&self) -> &str {
        &self.project
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Other settings from now on.
    pub(super) fn add(&mut self, settings: &[(&'static str, String)]) {
        self.settings.extend_from_slice(settings);
    }

    /// Goes over to the tag of another release, with the same programs behind it: there is no other release yet.
    pub(super) fn next_release(&mut self) -> Result<()> {
        let next = format!("{VERSION}-next");
        for image in ["orrery", "postgres"] {
            shell::quiet(shell::command("docker").args(["tag", &format!("orrery/{image}:{VERSION}"), &format!("orrery/{image}:{next}")]))?;
        }
        self.add(&[("ORRERY_VERSION", next)]);
        Ok(())
    }

    /// The name of something that Orrery makes here, which nobody else on this engine has.
    pub(super) fn thing(&self, kind: &str) -> String {
        format!("{kind}-{}", std::process::id())
    }

    /// Compose on this project, with the file of the repository as it is.
    fn compose(&self) -> Command {
        let mut command = shell::command(&self.program);
        command.current_dir(folders::repository());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.args(["--project-name", &self.project, "--env-file", "/dev/null", "--file", "docker-compose.yml"]);
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Result<String> {
        shell::quiet(self.compose().args(arguments))
    }

    /// Brings everything up, and waits until all of it is healthy.
    pub(super) fn up(&self) -> Result<()> {
        self.run(&["up", "--detach", "--wait", "--wait-timeout", "120", "--no-build", "--pull", "never", "--quiet-pull"]).map(drop)
    }

    /// What a service's first start made, asked from inside, as the manual says.
    pub(super) fn shown(&self, what: &str) -> Result<String> {
        let text = self.run(&["exec", "--no-TTY", "api", "/usr/bin/orrery-setup", "show", what])?;
        Ok(text.trim().to_owned())
    }

    /// What the setup answers to a person, as the manual says.
    pub(super) fn setup(&self, arguments: &[&str]) -> Result<String> {
        let all = [&["run", "--rm", "--no-TTY", "--no-deps", "setup"], arguments].concat();
        self.run(&all)
    }

    /// The names of the containers that match.
    pub(super) fn containers(filters: &[&str]) -> Result<Vec<String>> {
        let mut command = shell::command("docker");
        command.args(["ps", "--format", "{{.Names}}"]);
        for filter in filters {
            command.args(["--filter", filter]);
        }
        Ok(shell::quiet(&mut command)?.lines().map(str::to_owned).collect())
    }

    /// One service's address in the network of the containers.
    pub(super) fn inner_address(&self, service: &str) -> Result<String> {
        let id = self.run(&["ps", "--quiet", service])?;
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let text = shell::quiet(shell::command("docker").args(["inspect", "--format", format, id.trim()]))?;
        text.split_whitespace().next().map(str::to_owned).with_context(|| format!("{service} has no address"))
    }

    /// How each container of the services is confined; complains of the first that is not.
    pub(super) fn check_confinement(&self) -> Result<()> {
        for id in self.run(&["ps", "--quiet"])?.lines() {
            let text = shell::quiet(shell::command("docker").args(["inspect", id]))?;
            let all: Vec<serde_json::Value> = serde_json::from_str(&text)?;
            let one = all.first().context("the engine shows nothing")?;
            let name = one["Config"]["Labels"]["com.docker.compose.service"].as_str().unwrap_or_default().to_owned();
            let host = &one["HostConfig"];
            ensure!(host["ReadonlyRootfs"] == true, "{name} may write to its files");
            ensure!(host["CapDrop"].as_array().is_some_and(|dropped| dropped.iter().any(|one| one == "ALL")), "{name} has capabilities");
            ensure!(host["Privileged"] == false && host["CapAdd"].is_null(), "{name} has more than it needs");
            ensure!(one["Config"]["User"].as_str().is_some_and(|user| user.starts_with("100")), "{name} runs as root");
            ensure!(one["Config"]["Healthcheck"].is_object(), "{name} has no health check");
            let ports = host["PortBindings"].as_object().map_or(0, serde_json::Map::len);
            ensure!(ports == usize::from(name == "api"), "{name} publishes {ports} ports");
            let mounts = one["Mounts"].to_string();
            ensure!(mounts.contains("docker.sock") == (name == "docker-executor"), "{name}: {mounts}");
            let secrets = one["Config"]["Env"].to_string().to_lowercase();
            ensure!(!secrets.contains("password=") && !secrets.contains("postgres://"), "{name} has a secret in its environment");
        }
        Ok(())
    }

    /// The end of every log, for whoever must find out what went wrong.
    pub(super) fn last_words(&self) {
        for arguments in [["ps", "--all", "--no-trunc"].as_slice(), &["logs", "--no-color", "--tail", "25"]] {
            match self.run(arguments) {
                Ok(text) => eprintln!("{text}"),
                Err(error) => say::failure(&error),
            }
        }
    }

    /// Takes everything away, the volumes too, and what a test that failed left of its stacks.
    pub(super) fn leave(&self) -> Result<()> {
        self.run(&["--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20"])?;
        for stack in ["hello", "beacon"] {
            let of_it = format!("label=com.docker.compose.project={}", self.thing(stack));
            for (list, remove) in [(["ps", "--all"], ["rm", "--force"]), (["network", "ls"], ["network", "rm"])] {
                let left = shell::quiet(shell::command("docker").args(list).args(["--quiet", "--filter", &of_it]))?;
                for one in left.lines() {
                    shell::quiet(shell::command("docker").args(remove).arg(one))?;
                }
            }
        }
        Ok(())
    }
}
