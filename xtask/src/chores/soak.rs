//! `cargo xtask soak`: the long sweeps, whole. `cargo xtask test` runs a bounded sample of each of them; what the whole
//! came to is written to `docs/soak.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::{fuzz, report};
use crate::folders;
use crate::say;
use crate::shell;
use crate::tools::{Tools, cargo, test_programs};

/// Run the long sweeps whole, and write what came of them to docs/soak.md.
#[derive(Args)]
pub(crate) struct Soak {
    /// Only the sweep of this name; the others keep what the report says of them.
    sweep: Option<String>,
    /// Where all chance comes from; drawn from the clock where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// With the services as they are released: for sweeps that say how fast something is.
    #[arg(long)]
    release: bool,
}

/// A test that does more when it is told to, and says in lines that begin with its name what it did.
struct Sweep {
    name: &'static str,
    what: &'static str,
    package: &'static str,
    test: &'static str,
    /// What it is told.
    settings: &'static [(&'static str, &'static str)],
}

const SWEEPS: [Sweep; 16] = [
    Sweep {
        name: "histories",
        what: "Simulated histories of two executors of an engine in memory: kills, freezes, cuts, lost answers, rivals. A hundred million steps.",
        package: "orrery-simulation",
        test: "no_promise_is_broken_in_a_million_steps",
        settings: &[("ORRERY_SOAK_STEPS", "100000000")],
    },
    Sweep {
        name: "stacks",
        what: "The same with the whole docker-executor: reader, planner and convergence on the engine in memory. Ten million steps.",
        package: "orrery-docker-executor",
        test: "stacks_come_to_what_their_heads_say",
        settings: &[("ORRERY_SOAK_STEPS", "10000000")],
    },
    Sweep {
        name: "campaign",
        what: "SIGKILL of each process at twenty moments of an apply of ten services, on the real broker, database and engine.",
        package: "orrery-tests",
        test: "whoever_dies_whenever_an_apply_ends_well",
        settings: &[("ORRERY_SOAK_KILLS", "20")],
    },
    Sweep {
        name: "long-life",
        what: "An executor that starts behind a hundred thousand ended commands, and a backlog of ten thousand.",
        package: "orrery-queue",
        test: "long_life",
        settings: &[("ORRERY_SOAK_COMMANDS", "100000")],
    },
    Sweep {
        name: "starts",
        what: "How long each service takes until it is ready, behind a hundred ended commands and behind a hundred thousand.",
        package: "orrery-tests",
        test: "a_start_of_each_service_costs_what_waits",
        settings: &[("ORRERY_SOAK_COMMANDS", "100000")],
    },
    Sweep {
        name: "slow-disk",
        what: "The broker held up whenever it waits for its disk, by 0.3 s, by a second, and by 6 s, which is longer than anybody waits for an \
               answer; then the disk is as quick as before.",
        package: "orrery-queue",
        test: "a_slow_disk_holds_everything_up",
        settings: &[("ORRERY_SOAK_SLOW", "10")],
    },
    Sweep {
        name: "applies",
        what: "Two thousand applies, and what each process holds in each fifth of them.",
        package: "orrery-tests",
        test: "applies_without_end_let_no_process_grow",
        settings: &[("ORRERY_SOAK_APPLIES", "2000")],
    },
    Sweep {
        name: "publishers",
        what: "A hundred thousand messages of garbage; bursts over the quota, the queue held and not; two publishers at full speed; late duplicates.",
        package: "orrery-tests",
        test: "faulty_publisher",
        settings: &[("ORRERY_SOAK_GARBAGE", "100000"), ("ORRERY_SOAK_HELD", "20000"), ("ORRERY_SOAK_BURST", "10000")],
    },
    Sweep {
        name: "transitions",
        what: "Two that move one command: cancel against start, cancel against end, retry against cancel. Ten thousand races of each, the api \
               and the executor's loop on the real broker.",
        package: "orrery-api",
        test: "of_two_that_move_one_command_one_wins_and_both_are_told",
        settings: &[("ORRERY_SOAK_RACES", "10000")],
    },
    Sweep {
        name: "writers",
        what: "Two who write at once: savers with If-Match, creations of one name, an apply against a delete. Ten thousand races of each by \
               REST on a whole installation; one apply in fifty has a container to run.",
        package: "orrery-tests",
        test: "of_two_who_write_at_once_one_wins_and_both_are_told",
        settings: &[("ORRERY_SOAK_RACES", "10000")],
    },
    Sweep {
        name: "readers",
        what: "A thousand who listen to what changes, half of them without ever reading, while stacks are made; the deaf are dropped, come back, and \
               miss nothing.",
        package: "orrery-tests",
        test: "many_readers_half_of_them_deaf",
        settings: &[("ORRERY_SOAK_READERS", "1000")],
    },
    Sweep {
        name: "database",
        what: "PostgreSQL away for ten minutes, with publishers at work meanwhile.",
        package: "orrery-tests",
        test: "without_the_database_publishers_go_on",
        settings: &[("ORRERY_SOAK_AWAY_SECONDS", "600")],
    },
    Sweep {
        name: "frozen",
        what: "SIGSTOP of the executor in the middle of an apply, with a second one started meanwhile, then SIGCONT: five times for a minute, five \
               times until the second has begun.",
        package: "orrery-tests",
        test: "a_frozen_executor_makes_nothing_once_another_has_taken_over",
        settings: &[("ORRERY_SOAK_FREEZES", "10"), ("ORRERY_SOAK_FREEZE_SECONDS", "60")],
    },
    Sweep {
        name: "engine",
        what: "The engine restarts in the middle of a pull, a build, a create and a start, by the step log; each apply waits for it and ends \
               well.",
        package: "orrery-tests",
        test: "an_engine_that_restarts_in_the_middle",
        settings: &[],
    },
    Sweep {
        name: "controls",
        what: "Two executors that have a promise taken from them: one stores without compare-and-set, the other does not look at what was \
               begun. The campaign has to find both.",
        package: "orrery-tests",
        test: "the_campaign_fails",
        settings: &[],
    },
    Sweep {
        name: "points",
        what: "The executor killed before and after each message and each call of applies, a rollback and a delete on the real engine.",
        package: "orrery-docker-executor",
        test: "killed_at_any_point_a_command_ends_as_unharmed",
        settings: &[("ORRERY_SOAK_POINTS", "all")],
    },
];

/// A seed that is new each time: the number of seconds since 1970.
fn fresh_seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_secs())
}

impl Soak {
    pub(crate) fn run(self) -> Result<()> {
        let docker_host = std::env::var("DOCKER_HOST").ok();
        let tools = Tools::find_or_install(docker_host.as_deref())?;
        let nextest = cargo::nextest()?;
        test_programs::find_or_install()?;
        cargo::build(&["--all-targets"])?;
        let programs = if self.release { Some(cargo::build_released()?) } else { None };
        let seed = self.seed.unwrap_or_else(fresh_seed);
        let wanted = |sweep: &&Sweep| self.sweep.as_deref().is_none_or(|name| name == sweep.name);
        ensure!(SWEEPS.iter().any(|sweep| wanted(&sweep)), "there is no such sweep: {}", SWEEPS.map(|sweep| sweep.name).join(", "));
        for sweep in SWEEPS.iter().filter(wanted) {
            let section = sweep.run(&nextest, &tools, seed, programs.as_deref())?;
            write_report(Some((sweep.name, &section)))?;
            say::step("soak", &format!("{}: the report is in docs/soak.md", sweep.name));
        }
        Ok(())
    }
}

/// Writes the report anew, with this section in it where there is a new one, after each sweep: what had come to its end is kept when
/// the next finds something. What was fuzzed follows, as the report of that says.
pub(crate) fn write_report(section: Option<(&str, &str)>) -> Result<()> {
    let path = folders::repository().join("docs/soak.md");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let mut text = String::from(
        "# The long sweeps\n\nWritten by `cargo xtask soak`. Each sweep is a test that `cargo xtask test` runs in a bounded sample. At the end stands what `cargo xtask fuzz` came to.\n",
    );
    for sweep in &SWEEPS {
        let kept = || report::section_of(&before, sweep.name).unwrap_or_else(|| sweep.section("Not run yet."));
        let new = section.filter(|(name, _)| *name == sweep.name).map(|(_, section)| section.to_owned());
        text.push_str(&new.unwrap_or_else(kept));
    }
    text.push_str(&fuzz::summary()?);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

impl Sweep {
    fn run(&self, nextest: &Path, tools: &Tools, seed: u64, programs: Option<&Path>) -> Result<String> {
        say::step("soak", &format!("{}, from seed {seed}", self.name));
        let began = Instant::now();
        let mut command = shell::command(nextest);
        command
            // Out of the whole workspace, as the tests are built: of one package alone the dependencies would be others.
            .args(["nextest", "run", "--profile", "soak", "--workspace", "--no-capture", "--color=never", "-E"])
            .arg(format!("package({}) and test({})", self.package, self.test))
            .current_dir(folders::repository())
            .envs(self.settings.iter().copied())
            .env("ORRERY_SEED", seed.to_string())
            .env("ORRERY_NATS_SERVER", &tools.nats_server)
            .stderr(Stdio::inherit());
        if let Some(programs) = programs {
            command.env("ORRERY_PROGRAMS", programs);
        }
        let output = command.output().with_context(|| format!("cannot run {}", nextest.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        print!("{text}");
        if !output.status.success() {
            bail!("the sweep {} has found something; its seed is {seed}", self.name);
        }
        let mark = format!("{}: ", self.name);
        let said: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(mark.as_str())).collect();
        ensure!(!said.is_empty(), "the sweep {} says nothing", self.name);
        say::done("soak", self.name, began);
        let profile = if programs.is_some() { " The services were built with the release profile." } else { "" };
        Ok(self.section(&format!("Seeds from {seed} on.{profile}\n\n```\n{}\n```", said.join("\n"))))
    }

    fn section(&self, said: &str) -> String {
        let mut section = String::new();
        let _ = write!(section, "\n## {}\n\n{}\n\n{said}\n", self.name, self.what);
        section
    }
}
