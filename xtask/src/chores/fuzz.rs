//! `cargo xtask fuzz`: hands bytes of the fuzzer's own to everything that reads outside input, for a while; keeps what it
//! learnt as the corpus that `cargo xtask test` replays, and writes what came of it to `docs/fuzz.md`.
//!
//! An input that finds something stays in `tests/fuzz/found`, where the replay fails until it is mended.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::{report, soak};
use crate::folders;
use crate::say;
use crate::shell;
use crate::tools::cargo_fuzz;

/// Fuzz what reads outside input, and write what came of it to docs/fuzz.md.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Only this target; the others keep what the report says of them.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
}

struct Target {
    name: &'static str,
    what: &'static str,
    /// The longest input, in bytes.
    longest: u32,
}

const TARGETS: [Target; 4] = [
    Target {
        name: "command",
        what: "The message of a command: any bytes have one owner; what is read as a command is written and read back the same.",
        longest: 16 * 1024,
    },
    Target {
        name: "bundle",
        what: "An upload as JSON, tar, gzipped tar or zip: within the limits, no path leaves it, stored and packed and read back the same.",
        longest: 64 * 1024,
    },
    Target {
        name: "compose",
        what: "A definition with its files, from the reader to the requests for the engine: every problem has a place, and the canonical form of the canonical form is itself.",
        longest: 16 * 1024,
    },
    Target {
        name: "request",
        what: "A request to the api: the extractors of every operation, and the whole service for somebody unknown, who learns nothing.",
        longest: 16 * 1024,
    },
];

const HEAD: &str = "# Fuzzing\n\nWritten by `cargo xtask fuzz`. Each target is a function of `tests/fuzz` over any bytes; `cargo xtask test` runs it \
                    over the seeds, the corpus that the fuzzer left, and every input that has found something.\n";

/// What is told of each target.
const COLUMNS: &str =
    "| minutes | executions | a second | edges reached | corpus beside the seeds | peak memory | inputs that ever found something |";

/// What libFuzzer says of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    executions: u64,
    a_second: u64,
    edges: u64,
    peak_memory_mb: u64,
}

impl Fuzz {
    pub(crate) fn run(self) -> Result<()> {
        let wanted = |target: &&Target| self.target.as_deref().is_none_or(|name| name == target.name);
        ensure!(TARGETS.iter().any(|target| wanted(&target)), "there is no such target: {}", TARGETS.map(|target| target.name).join(", "));
        let programs = build()?;
        for target in TARGETS.iter().filter(wanted) {
            let section = target.run(&programs.join(target.name), self.minutes)?;
            write_report(target, &section)?;
        }
        Ok(())
    }
}

/// Builds all targets; answers where they are.
fn build() -> Result<PathBuf> {
    let target = folders::target().join("fuzz");
    let began = Instant::now();
    let mut command = cargo_fuzz::command()?;
    command.args(["build", "--fuzz-dir", "tests/fuzz/targets", "--target-dir"]).arg(&target);
    shell::loud(&mut command).context("the targets could not be built")?;
    say::done("fuzz", "the targets are built", began);
    let built = fs::read_dir(&target)?.filter_map(Result::ok).map(|entry| entry.path().join("release"));
    built.into_iter().find(|folder| folder.join(TARGETS[0].name).is_file()).context("cargo-fuzz built no target")
}

impl Target {
    fn run(&self, program: &Path, minutes: u64) -> Result<String> {
        say::step("fuzz", &format!("{} for {minutes} minutes", self.name));
        let found = folder("found", self.name)?;
        let work = folders::target().join("fuzz-work").join(self.name);
        fs::create_dir_all(&work)?;
        let mut command = self.libfuzzer(program);
        command
            .arg(format!("-max_total_time={}", minutes.saturating_mul(60)))
            .arg(format!("-artifact_prefix={}/", found.display()))
            .arg("-print_final_stats=1")
            .args([&work, &folder("seeds", self.name)?, &folder("corpus", self.name)?, &found]);
        let log = folders::target().join("fuzz-work").join(format!("{}.log", self.name));
        let status = command.stderr(Stdio::from(fs::File::create(&log)?)).status().context("cannot run the target")?;
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        if !status.success() {
            let last: Vec<&str> = said.lines().rev().take(40).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            bail!("{} has found something; its input is in {}:\n{}", self.name, found.display(), last.join("\n"));
        }
        let figures = Figures::of(&said).context("libFuzzer does not say what it did")?;
        let kept = self.keep(program, &work)?;
        Ok(self.section(minutes, &figures, kept, fs::read_dir(found)?.count()))
    }

    fn libfuzzer(&self, program: &Path) -> Command {
        let dictionary = folders::repository().join("tests/fuzz/dictionaries").join(format!("{}.dict", self.name));
        let mut command = shell::command(program);
        command
            .arg(format!("-max_len={}", self.longest))
            .arg(format!("-dict={}", dictionary.display()))
            .args(["-timeout=60", "-report_slow_units=60", "-rss_limit_mb=2048", "-malloc_limit_mb=512"])
            .stdout(Stdio::null());
        command
    }

    /// Puts what reaches further than the seeds into the corpus, and nothing else; answers how many inputs that is.
    fn keep(&self, program: &Path, work: &Path) -> Result<usize> {
        let scratch = tempfile::tempdir()?;
        let seeds = folder("seeds", self.name)?;
        let mut known = Vec::new();
        for entry in fs::read_dir(&seeds)? {
            let entry = entry?;
            known.push(entry.file_name());
            fs::copy(entry.path(), scratch.path().join(entry.file_name()))?;
        }
        let corpus = folder("corpus", self.name)?;
        let mut command = self.libfuzzer(program);
        // One input for each edge, and not for each number of times that it is taken: the corpus is to be small.
        command.args(["-set_cover_merge=1", "-use_counters=0"]).arg(scratch.path()).args([work, &corpus]);
        shell::quiet(&mut command).context("the corpus could not be minimised")?;
        fs::remove_dir_all(&corpus)?;
        fs::create_dir_all(&corpus)?;
        let mut kept = 0;
        for entry in fs::read_dir(scratch.path())? {
            let entry = entry?;
            if !known.contains(&entry.file_name()) {
                fs::copy(entry.path(), corpus.join(entry.file_name()))?;
                kept += 1;
            }
        }
        Ok(kept)
    }

    fn section(&self, minutes: u64, figures: &Figures, kept: usize, found: usize) -> String {
        let Figures { executions, a_second, edges, peak_memory_mb } = figures;
        let mut section = String::new();
        let _ = write!(
            section,
            "\n## {}\n\n{}\n\n{COLUMNS}\n| --- | --- | --- | --- | --- | --- | --- |\n\
             | {minutes} | {executions} | {a_second} | {edges} | {kept} | {peak_memory_mb} MB | {found} |\n",
            self.name, self.what
        );
        section
    }
}

/// A folder of the target's inputs.
fn folder(kind: &str, target: &str) -> Result<PathBuf> {
    let folder = folders::repository().join("tests/fuzz").join(kind).join(target);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Puts a target's section into the report; two targets may be fuzzed side by side.
fn write_report(target: &Target, section: &str) -> Result<()> {
    let path = folders::repository().join("docs/fuzz.md");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let mut text = String::from(HEAD);
    for one in &TARGETS {
        let kept =
            || report::section_of(&before, one.name).unwrap_or_else(|| format!("\n## {}\n\n{}\n\nNot run yet.\n", one.name, one.what));
        text.push_str(&if one.name == target.name { section.to_owned() } else { kept() });
    }
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    soak::write_report(None)?;
    say::step("fuzz", &format!("{}: the report is in {}", target.name, path.display()));
    Ok(())
}

/// The figures of all targets in one table, as the report has them: a section of the report of the long sweeps.
pub(crate) fn summary() -> Result<String> {
    let path = folders::repository().join("docs/fuzz.md");
    let report = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(table(&report))
}

fn table(report: &str) -> String {
    let mut text = format!(
        "\n## fuzz\n\nEverything that reads what comes from outside, under the fuzzer's bytes: `cargo xtask fuzz`. What each target is stands in \
         [fuzz.md](fuzz.md).\n\n| target {COLUMNS}\n| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for target in &TARGETS {
        let section = report::section_of(report, target.name).unwrap_or_default();
        let figures = section.lines().filter(|line| line.starts_with('|')).nth(2);
        let _ = writeln!(text, "| {} {}", target.name, figures.unwrap_or("| not run yet | | | | | | |"));
    }
    text
}

impl Figures {
    /// Reads them from what libFuzzer prints.
    fn of(said: &str) -> Option<Self> {
        let stat = |name: &str| {
            let line = said.lines().rev().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name)?.strip_prefix(':'));
            line?.trim().parse().ok()
        };
        let edges = said.lines().rev().find_map(|line| {
            let (_, rest) = line.strip_prefix('#')?.split_once(" cov: ")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        Some(Self {
            executions: stat("number_of_executed_units")?,
            a_second: stat("average_exec_per_sec")?,
            edges: edges?,
            peak_memory_mb: stat("peak_rss_mb")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Figures, table};

    #[test]
    fn the_figures_of_all_targets_make_one_table() {
        let report =
            "# Fuzzing\n\n## bundle\n\nUploads.\n\n| minutes | executions |\n| --- | --- |\n| 60 | 7 |\n\n## compose\n\nNot run yet.\n";
        let told = table(report);
        let rows: Vec<&str> = told.lines().skip_while(|line| !line.starts_with("| ---")).skip(1).collect();
        assert_eq!(rows[1], "| bundle | 60 | 7 |");
        assert_eq!(rows[2], "| compose | not run yet | | | | | | |");
        assert_eq!(rows.len(), 4);
    }

    #[test]
    fn figures_are_read_from_the_end_of_what_is_printed() {
        let said = "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 50Mb\n#900\tDONE   cov: 345 ft: 900 corp: 9/1Kb lim: 99 exec/s: 7 rss: 60Mb\n\
                    Done 900 runs in 61 second(s)\nstat::number_of_executed_units: 900\nstat::average_exec_per_sec:     14\nstat::peak_rss_mb:              61\n";
        assert_eq!(Figures::of(said), Some(Figures { executions: 900, a_second: 14, edges: 345, peak_memory_mb: 61 }));
        assert_eq!(Figures::of("killed"), None);
    }
}
