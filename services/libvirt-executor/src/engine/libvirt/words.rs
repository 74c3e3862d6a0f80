//! libvirt's numbers for what a domain does and why, as words.

use crate::engine::observed::State;

/// Why a domain runs (`virDomainRunningReason`).
const RUNNING: [&str; 12] = [
    "unknown",
    "booted",
    "migrated",
    "restored",
    "from snapshot",
    "unpaused",
    "migration canceled",
    "save canceled",
    "wakeup",
    "crashed",
    "post-copy",
    "post-copy failed",
];
/// Why it stands still (`virDomainPausedReason`).
const PAUSED: [&str; 15] = [
    "unknown",
    "user",
    "migration",
    "save",
    "dump",
    "input/output error",
    "watchdog",
    "from snapshot",
    "shutting down",
    "snapshot",
    "crashed",
    "starting up",
    "post-copy",
    "post-copy failed",
    "api error",
];
/// Why it is ending (`virDomainShutdownReason`).
const ENDING: [&str; 2] = ["unknown", "user"];
/// Why it does not run (`virDomainShutoffReason`).
const OFF: [&str; 9] = ["unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from snapshot", "daemon"];
/// Why it is crashed (`virDomainCrashedReason`).
const CRASHED: [&str; 2] = ["unknown", "panicked"];

/// What a domain does (`virDomainState`), and why.
pub(in crate::engine) fn state_words(state: i32, reason: i32) -> (State, &'static str) {
    let (state, reasons): (State, &[&'static str]) = match state {
        // Blocked is a state of other hypervisors: it runs, and waits for its disk.
        1 | 2 => (State::Running, &RUNNING),
        3 => (State::Paused, &PAUSED),
        4 => (State::ShuttingDown, &ENDING),
        5 => (State::Off, &OFF),
        6 => (State::Crashed, &CRASHED),
        7 => (State::Asleep, &[]),
        _ => (State::Unknown, &[]),
    };
    let reason = usize::try_from(reason).ok().and_then(|at| reasons.get(at)).copied();
    (state, reason.unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_reasons_have_the_words_of_virsh() {
        for (state, reason, words) in [
            (1, 1, (State::Running, "booted")),
            (1, 4, (State::Running, "from snapshot")),
            (3, 1, (State::Paused, "user")),
            (3, 11, (State::Paused, "starting up")),
            (5, 1, (State::Off, "shutdown")),
            (5, 2, (State::Off, "destroyed")),
            (6, 1, (State::Crashed, "panicked")),
            (5, 99, (State::Off, "unknown")),
            (0, 0, (State::Unknown, "unknown")),
            (42, -1, (State::Unknown, "unknown")),
        ] {
            assert_eq!(state_words(state, reason), words, "{state} {reason}");
        }
    }
}
