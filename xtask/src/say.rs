//! What a chore says while it works: one line a step, on standard error, so that standard output stays for answers.

use std::time::{Duration, Instant};

/// A step that is done, skipped, or worth knowing.
pub(crate) fn step(what: &str, detail: &str) {
    eprintln!("{what:>16}  {detail}");
}

/// A step that took time.
pub(crate) fn done(what: &str, detail: &str, since: Instant) {
    step(what, &format!("{detail} ({})", span(since.elapsed())));
}

/// The end of a chore that failed: what, why, and the chain of causes.
pub(crate) fn failure(error: &anyhow::Error) {
    eprintln!("\n{:>16}  {error}", "failed");
    for cause in error.chain().skip(1) {
        eprintln!("{:>16}  {cause}", "because");
    }
}

/// A time as people read it.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 60 { format!("{} min {} s", seconds / 60, seconds % 60) } else { format!("{:.1} s", time.as_secs_f64()) }
}
