//! Dependencies point one way, and each outside world has one door: these are the rules, each with its reason.

use super::Complaint;
use super::manifest::Crate;

/// A crate of the outside world, and who alone may know it.
struct Door {
    outside: &'static [&'static str],
    only: &'static [&'static str],
    why: &'static str,
}

const DOORS: [Door; 7] = [
    Door { outside: &["bollard"], only: &["orrery-docker-executor"], why: "only the docker-executor touches the Docker Engine" },
    Door { outside: &["virt"], only: &["orrery-libvirt-executor"], why: "only the libvirt-executor touches libvirt" },
    Door { outside: &["axum-extra", "aide", "tower-http"], only: &["orrery-api"], why: "only the api serves HTTP to people" },
    Door {
        outside: &["axum"],
        only: &["orrery-api", "orrery-instruments"],
        why: "HTTP is served by the api, and by the instruments on a socket",
    },
    Door { outside: &["sqlx"], only: &["orrery-api", "orrery-projector"], why: "executors work without a database" },
    Door {
        outside: &["async-nats"],
        only: &["orrery-api", "orrery-projector", "orrery-docker-executor", "orrery-libvirt-executor", "orrery-queue", "orrery-nats"],
        why: "the page and the contracts know no broker",
    },
    Door { outside: &["leptos", "web-sys", "wasm-bindgen"], only: &["orrery-frontend"], why: "only the page runs in a browser" },
];

/// Crates that no shared crate may use unless it is one of the two that do input and output.
const INPUT_AND_OUTPUT: [&str; 10] = ["tokio", "async-nats", "sqlx", "bollard", "virt", "axum", "reqwest", "hyper", "rustix", "tokio-util"];

const WITH_INPUT_AND_OUTPUT: [&str; 2] = ["orrery-queue", "orrery-instruments"];

/// Crates that exist for their program: nobody builds on them.
const PROGRAMS: [&str; 8] = [
    "orrery-api",
    "orrery-projector",
    "orrery-docker-executor",
    "orrery-libvirt-executor",
    "orrery-frontend",
    "orrery-cli",
    "orrery-setup",
    "xtask",
];

/// What the page shares with the services.
const OF_THE_PAGE: [&str; 3] = ["orrery-contracts", "orrery-compose", "orrery-machine"];

/// The end-to-end tests and the fuzzer stand outside and may look at everything; so does the simulation, which serves only tests.
const TESTS: [&str; 4] = ["orrery-tests", "orrery-test-libvirt", "orrery-fuzz", SIMULATION];

const SIMULATION: &str = "orrery-simulation";

pub(super) fn check(crates: &[Crate]) -> Vec<Complaint> {
    crates.iter().filter(|one| !TESTS.contains(&one.name.as_str())).flat_map(check_one).collect()
}

fn check_one(one: &Crate) -> Vec<Complaint> {
    let mut complaints = doors(one);
    let mut complain = |what: String| complaints.push(format!("{}: {what}", one.name));
    for used in &one.uses {
        if PROGRAMS.contains(&used.as_str()) {
            complain(format!("uses {used}; nobody depends on a program's crate"));
        }
        if is_shared(one) && !WITH_INPUT_AND_OUTPUT.contains(&one.name.as_str()) && INPUT_AND_OUTPUT.contains(&used.as_str()) {
            complain(format!("uses {used}; shared crates do no input and output, but {}", WITH_INPUT_AND_OUTPUT.join(" and ")));
        }
        if used == SIMULATION {
            complain(format!("uses {SIMULATION}; only tests simulate"));
        }
        if used == "orrery-nats" {
            complain("uses orrery-nats; services know the broker by address, only their tests start one".to_owned());
        }
        if one.name == "xtask" && used.starts_with("orrery-") && !TESTS.contains(&used.as_str()) {
            complain(format!("uses {used}; the door to every chore builds in seconds and knows no product code"));
        }
        if one.name == "orrery-frontend" && used.starts_with("orrery-") && !OF_THE_PAGE.contains(&used.as_str()) {
            complain(format!("uses {used}; the page shares contracts and the two definitions, and nothing else"));
        }
    }
    for used in &one.tests_use {
        if PROGRAMS.contains(&used.as_str()) && *used != one.name {
            complain(format!("its tests use {used}; nobody depends on a program's crate"));
        }
    }
    complaints
}

fn doors(one: &Crate) -> Vec<Complaint> {
    DOORS
        .iter()
        .filter(|door| !door.only.contains(&one.name.as_str()))
        .flat_map(|door| {
            one.uses
                .iter()
                .filter(|used| door.outside.contains(&used.as_str()))
                .map(|used| format!("{}: uses {used}; {}", one.name, door.why))
        })
        .collect()
}

fn is_shared(one: &Crate) -> bool {
    one.folder.starts_with("shared")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, folder: &str, uses: &[&str]) -> Crate {
        Crate {
            name: name.to_owned(),
            folder: folder.into(),
            uses: uses.iter().map(|name| (*name).to_owned()).collect(),
            tests_use: Vec::new(),
        }
    }

    #[test]
    fn each_rule_finds_who_breaks_it() {
        for (name, folder, used, rule) in [
            ("orrery-api", "services/api", "bollard", "Docker Engine"),
            ("orrery-docker-executor", "services/docker-executor", "sqlx", "database"),
            ("orrery-projector", "services/projector", "axum", "HTTP"),
            ("orrery-contracts", "shared/contracts", "tokio", "input and output"),
            ("orrery-compose", "shared/compose", "async-nats", "no broker"),
            ("orrery-api", "services/api", "orrery-projector", "program's crate"),
            ("orrery-api", "services/api", "orrery-nats", "only their tests"),
            ("orrery-frontend", "frontend", "orrery-queue", "contracts and the two definitions"),
            ("xtask", "xtask", "orrery-contracts", "no product code"),
        ] {
            let complaints = check(&[named(name, folder, &[used])]);
            assert!(complaints.iter().any(|complaint| complaint.contains(rule)), "{name} {used}: {complaints:?}");
        }
    }

    #[test]
    fn what_the_rules_allow_is_left_alone() {
        let fine = [
            named("orrery-api", "services/api", &["axum", "sqlx", "async-nats", "orrery-contracts"]),
            named("orrery-queue", "shared/queue", &["tokio", "async-nats", "orrery-contracts"]),
            named("orrery-tests", "tests", &["bollard", "orrery-nats"]),
        ];
        assert_eq!(check(&fine), Vec::<String>::new());
    }
}
