//! Once more, what each target's inputs are: written by hand (`seeds`), left behind by the fuzzer because they reach further
//! (`corpus`), and every one that has ever found something (`found`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use orrery_fuzz::TARGETS;

/// Shows that an input blows up, and not that a machine is slow.
const LONGEST: Duration = Duration::from_secs(60);

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    found.sort();
    found
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inputs: Vec<PathBuf> = ["seeds", "corpus", "found"].iter().flat_map(|kind| inputs(&here.join(kind).join(name))).collect();
    assert!(inputs.len() >= 10, "{name} has {} inputs", inputs.len());
    for path in inputs {
        println!("{}", path.display());
        let bytes = std::fs::read(&path).unwrap();
        let began = Instant::now();
        (target.run)(&bytes);
        assert!(began.elapsed() < LONGEST, "{} took {:?}", path.display(), began.elapsed());
    }
}

#[test]
fn every_message_of_the_corpus_is_read_as_a_command_must_be() {
    replay("command");
}

#[test]
fn every_upload_of_the_corpus_is_kept_as_it_is_or_refused() {
    replay("bundle");
}

#[test]
fn every_definition_of_the_corpus_has_one_canonical_form() {
    replay("compose");
}

#[test]
fn every_request_of_the_corpus_is_answered() {
    replay("request");
}
