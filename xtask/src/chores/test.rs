//! `cargo xtask test`: sets up what an installation needs, then formatting, lints, the repository's own rules, what is
//! generated, every test, and the page in a browser. The last line says how many passed and failed.
//!
//! A check that fails does not keep the others from running: one run tells everything.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{images, schemas, sqlx, tidy, web};
use crate::chores::browser;
use crate::say;
use crate::shell;
use crate::tools::{Tools, cargo, debian, libvirt, test_programs};

/// Set up the same and run every check and test.
#[derive(Args)]
pub(crate) struct Test {
    /// Only the tests whose name contains this; no checks, no browser.
    filter: Option<String>,
    /// Leave the tests of the page in a browser out.
    #[arg(long)]
    no_browser: bool,
}

/// How many passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// What the guests of the tests boot.
struct Guests {
    /// The folder of a kernel and a few modules.
    kernel: PathBuf,
    /// A disk with a whole Debian.
    disk: PathBuf,
    /// The root filesystem of another.
    root: PathBuf,
}

/// A check that is not a test, by name.
type Check = (&'static str, fn() -> Result<()>);

const CHECKS: [Check; 6] = [
    ("formatting", || shell::loud(cargo::cargo().args(["fmt", "--all", "--check"]))),
    ("tidy", tidy::run),
    ("queries", sqlx::check),
    ("lints", lints),
    ("build", || cargo::build(&["--all-targets"])),
    ("generated files", schemas::check),
];

impl Test {
    pub(crate) fn run(self) -> Result<()> {
        let began = Instant::now();
        let docker_host = std::env::var("DOCKER_HOST").ok();
        let tools = Tools::find_or_install(docker_host.as_deref())?;
        let nextest = cargo::nextest()?;
        test_programs::find_or_install()?;
        let guests = Guests { kernel: libvirt::find_or_install()?, disk: debian::disk()?, root: debian::root()? };
        let mut tally = Tally::default();
        let mut failures = Vec::new();
        if self.filter.is_none() {
            images::base()?;
            for (name, check) in CHECKS {
                one(name, check, &mut tally, &mut failures);
            }
        }
        let tests = rust_tests(&nextest, &tools, &guests, self.filter.as_deref())?;
        if tests.failed > 0 {
            failures.push(format!("{} Rust tests", tests.failed));
        }
        tally.add(tests);
        if self.filter.is_none() && !self.no_browser {
            match in_a_browser() {
                Ok(pages) => {
                    if pages.failed > 0 {
                        failures.push(format!("{} browser tests", pages.failed));
                    }
                    tally.add(pages);
                }
                Err(error) => failed("browser tests", &error, &mut tally, &mut failures),
            }
        }
        say::done("test", "everything has run", began);
        println!("{} passed, {} failed", tally.passed, tally.failed);
        if tally.failed > 0 {
            bail!("{}", failures.join(", "));
        }
        Ok(())
    }
}

fn one(name: &str, check: fn() -> Result<()>, tally: &mut Tally, failures: &mut Vec<String>) {
    let began = Instant::now();
    say::step("check", name);
    match check() {
        Ok(()) => {
            tally.passed += 1;
            say::done("passed", name, began);
        }
        Err(error) => failed(name, &error, tally, failures),
    }
}

fn failed(name: &str, error: &anyhow::Error, tally: &mut Tally, failures: &mut Vec<String>) {
    tally.failed += 1;
    failures.push(name.to_owned());
    say::failure(error);
}

fn lints() -> Result<()> {
    shell::loud(cargo::cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    web::lints()
}

/// The end-to-end tests run the programs, so everything is built first.
fn rust_tests(nextest: &Path, tools: &Tools, guests: &Guests, filter: Option<&str>) -> Result<Tally> {
    say::step("tests", "building");
    cargo::build(&["--all-targets"])?;
    // The same sample for the same tree: what is new is for the soak to find.
    let seed = std::env::var("ORRERY_SEED").unwrap_or_else(|_| "1".to_owned());
    say::step("tests", &format!("what they draw by chance comes from ORRERY_SEED={seed}"));
    let mut command = Command::new(nextest);
    command
        .env("ORRERY_SEED", seed)
        .args(["nextest", "run", "--workspace", "--no-fail-fast", "--color=never"])
        .args(filter)
        .current_dir(crate::folders::repository())
        .env("ORRERY_NATS_SERVER", &tools.nats_server)
        .env("ORRERY_TEST_GUEST_KERNEL", &guests.kernel)
        .env("ORRERY_TEST_DEBIAN_DISK", &guests.disk)
        .env("ORRERY_TEST_DEBIAN_ROOT", &guests.root)
        .env("RUST_BACKTRACE", "0");
    tallied(&mut command, nextest_tally)
}

fn in_a_browser() -> Result<Tally> {
    say::step("tests", "the page in a browser");
    web::build()?;
    browser::run()
}

/// Runs tests with their output passed on, and reads the tally from it.
pub(crate) fn tallied(command: &mut Command, read: fn(&str) -> Option<Tally>) -> Result<Tally> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (reader, writer) = std::io::pipe()?;
    let mut child =
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).spawn().with_context(|| format!("cannot run {name}"))?;
    // The command holds the pipe's other end open as long as it lives.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut tally = None;
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        if let Some(found) = read(&line) {
            tally.get_or_insert_with(Tally::default).add(found);
        }
    }
    let status = child.wait()?;
    let tally = tally.with_context(|| format!("{name} ended with {status} and ran no test"))?;
    anyhow::ensure!(status.success() || tally.failed > 0, "{name} ended with {status}");
    Ok(tally)
}

/// The line in which nextest sums up: `Summary [  1.6s] 16 tests run: 15 passed (1 slow), 1 failed, 0 skipped`.
fn nextest_tally(line: &str) -> Option<Tally> {
    let (_, counts) = line.trim_start().strip_prefix("Summary [")?.split_once(" run: ")?;
    let mut tally = Tally::default();
    for count in counts.split(", ") {
        let mut words = count.split(' ');
        let number: u64 = words.next()?.parse().ok()?;
        match words.next()? {
            "passed" => tally.passed += number,
            "failed" | "timed" | "exec" => tally.failed += number,
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_nextest_is_understood() {
        for (line, expected) in [
            ("     Summary [   0.246s] 7/16 tests run: 6 passed, 1 failed, 0 skipped", Some((6, 1))),
            ("     Summary [   1.6s] 16 tests run: 16 passed (2 slow), 0 skipped", Some((16, 0))),
            ("     Summary [   9s] 3 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped", Some((1, 2))),
            ("        PASS [   0.1s] (1/2) x y", None),
        ] {
            let expected = expected.map(|(passed, failed)| Tally { passed, failed });
            assert_eq!(nextest_tally(line), expected, "{line}");
        }
    }

    #[test]
    fn output_is_tallied_and_a_program_that_ran_nothing_is_an_error() {
        let mut tests = Command::new("sh");
        tests.args(["-c", "echo 'Summary [ 1s] 2 tests run: 1 passed, 1 failed, 0 skipped'; exit 100"]);
        assert_eq!(tallied(&mut tests, nextest_tally).unwrap(), Tally { passed: 1, failed: 1 });
        assert!(tallied(Command::new("sh").args(["-c", "exit 3"]), nextest_tally).is_err());
    }
}
