//! Where this crate decides otherwise than Docker Compose, on purpose.

/// One difference.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// What is written.
    pub what: &'static str,
    /// What Compose does with it.
    pub compose: &'static str,
    /// What happens here.
    pub here: &'static str,
    /// Why.
    pub why: &'static str,
}

const fn row(what: &'static str, compose: &'static str, here: &'static str, why: &'static str) -> Difference {
    Difference { what, compose, here, why }
}

/// All differences.
pub static DIFFERENCES: &[Difference] = &[
    row(
        "paths that leave the bundle (`env_file`, `extends`, `include`, build contexts, files of configs and secrets)",
        "reads them",
        "refusal",
        "A version is what its bundle says, and nothing else.",
    ),
    row(
        "a missing build context or Dockerfile, a missing file of a config or secret",
        "found out at `up`",
        "refusal",
        "Found out before anything runs.",
    ),
    row("the same host port twice, replicas of a fixed port or address", "found out at `up`", "refusal", "The same."),
    row("keys that only Swarm or Docker Desktop follow", "ignored in silence", "a note with the reason", "Nobody should wonder."),
    row(
        "keys that Orrery cannot follow (`provider`, `models`, …)",
        "followed",
        "refusal with what to do instead",
        "Nothing is ignored in silence.",
    ),
    row(
        "`pre_stop`",
        "not run by `stop`, `restart`, `down` or a replacement (2.40.3)",
        "run before each stop; one that fails is told in the step, and the stop goes on",
        "It is asked for, and what has to stop must stop.",
    ),
    row(
        "`post_start` broken off by the end of the process that runs it",
        "never runs to its end",
        "all hooks of the container run again",
        "A hook that has not run is worse than one that runs twice.",
    ),
    row(
        "`external: true` of a secret",
        "error: only Swarm has them",
        "the stack's own secret of this name",
        "A password belongs into no version.",
    ),
    row("`secret://name` as the value of a variable", "these very letters", "the stack's own secret of this name", "The same."),
    row("unknown keys of `include` and `gpus`", "ignored", "error", "A misspelt key is a mistake."),
    row(
        "`%YAML 1.2`, `\\/` in double quotes, dots in names of anchors, keys in braces of more than 1024 letters",
        "error",
        "accepted",
        "It is YAML and harms nobody.",
    ),
    row("a file in UTF-16", "accepted", "error", "Bundles are kept as UTF-8; the error says how to save it."),
    row("`.inf` and `.nan` under `x-*`", "error when it prints JSON", "accepted", "Nothing reads them."),
    row("`!!binary`", "decoded", "kept as it is written", "Nothing in a definition is binary."),
    row("the sign U+0085 in quotes", "a line break", "kept", "YAML 1.2 says it is none."),
    row(
        "an env file that ends with a name alone, without a line end",
        "a variable without a name",
        "nothing",
        "No process can have such a variable.",
    ),
    row("required keys that only an override file leaves out (`provider.type`)", "accepted", "error", "The file reads better alone."),
    row(
        "rare values of a wrong kind (`group_add: [1.5]`, `pid: null`, `gpus: [all]`, a weight of `blkio_config` in quotes)",
        "error while decoding, or a panic",
        "accepted",
        "What is meant is plain, or nothing is; the engine has the last word.",
    ),
    row("`\\0` without digits in double quotes of an env file", "a backslash", "kept", "It is no escape."),
    row(
        "whole numbers with a fraction (`cpu_shares: 1.5`), negative times",
        "cut, or passed to the engine",
        "refusal",
        "Nobody means them.",
    ),
    row("`~` in paths", "the home folder of whoever runs Compose", "refusal, unless the caller gives `HOME`", "There is no such person."),
    row("`name:`", "names the project", "a note", "The stack names it."),
];
