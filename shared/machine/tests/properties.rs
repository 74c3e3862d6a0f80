//! Whatever is given: no panic, a machine exactly when there is no error, and a canonical form that reads as itself.

#![allow(clippy::unwrap_used)]

mod telling;

use std::sync::OnceLock;

use orrery_machine::schema::{WORKED, json_schema};
use orrery_machine::{Files, Outcome, applies_to, canonical, diff, load, render};
use proptest::prelude::*;
use telling::{KEY, of};

fn validator() -> &'static jsonschema::Validator {
    static VALIDATOR: OnceLock<jsonschema::Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| jsonschema::draft202012::new(&json_schema()).unwrap())
}

fn check(files: &Files) -> Outcome {
    let outcome = load(files);
    for problem in &outcome.problems {
        assert!(problem.line >= 1 && problem.column >= 1, "{problem:?}");
        assert!((problem.end_line, problem.end_column) >= (problem.line, problem.column), "{problem:?}");
        let _ = render(problem, files);
        let _ = applies_to(&problem.path);
        let _ = outcome.place(&problem.path);
    }
    assert_eq!(outcome.machine.is_some(), outcome.errors().next().is_none(), "{:?}", outcome.problems);
    if let Some(machine) = &outcome.machine {
        let form = canonical(machine);
        let mut again = files.clone();
        again.insert("machine.yaml", form.to_string());
        let read = load(&again);
        assert!(validator().is_valid(&form), "the JSON Schema refuses {form:#}");
        let machine_again = read.machine.as_ref().unwrap_or_else(|| panic!("{form:#}\n{:?}", read.problems));
        assert_eq!(canonical(machine_again), form);
        assert_eq!(machine_again, machine);
        assert_eq!(diff(machine, machine_again), vec![]);
    }
    outcome
}

/// Lines that definitions are made of, most of them right.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let key = format!("cloud_init: {{users: [{{name: anna, ssh_keys: [{KEY}], sudo: true}}], ssh_keys: [{KEY}]}}");
    let lines = [
        "description: \"a\\tb \\u00e9 \\ud83d\\ude00\"",
        "labels: {a: 0755, b: 1e3, c: true, d: 'x: y', e: 2024-01-01}",
        "cpus: 4",
        "memory: 1.5g",
        "memory: 300000KiB",
        "shares: {cpu: 512, cpu_limit: 1.25}",
        "shares: {cpu_limit: 2, memory_reservation: 64m}",
        "disks: [{size: 10GiB, bus: scsi}, {volume: data}, {name: more, size: 1g}]",
        "disks: [{name: only}]",
        "disks: []",
        "networks: []",
        "networks: [{nat: default, mac: 'AA:bb:cc:dd:ee:ff', address: 10.0.0.2}, {isolated: lab}]",
        "networks: [{user: true}, {bridge: br0, model: e1000}]",
        "ports: ['80:80', '[::1]:53:53/udp', {host: 1, guest: 2}]",
        "ports: [{host: 1, guest: 2, by: passt}]",
        "firmware: uefi",
        "cloud_init: {}",
        "cloud_init: {user_data: user.yaml, hostname: a.example, network_data: user.yaml}",
        "cloud_init: {write_files: [{path: /a, file: blob}, {path: /b, content: \"x\\ny\\n\"}], run: [reboot, [echo, ' a ', '']]}",
        key.as_str(),
        "boot: [disk, network]",
        "autostart: true",
        "console: false",
        "screen: vnc",
        "restart: on-failure",
        "init: [/bin/sh, -c, \"a\", '']",
        "init: /init",
        "environment: {A: 1, B: '', C_FILE: /x}",
        "idmap: false",
        "ready: {tcp: 22, timeout: 90s}",
        "ready: {console: \"# \"}",
        "ready: {}",
        "stop_grace_period: 0s",
        "stop_grace_period: 1h0m1.5s",
        "x-note: [1, 2]",
        "foo: bar",
        "disks: [",
    ]
    .map(str::to_owned);
    proptest::collection::vec(proptest::sample::select(lines.to_vec()), 0..12)
}

fn sources() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "kind: vm\nsource: {box: debian-12}",
        "kind: vm\nsource: {iso: live}",
        "kind: vm\nsource: {kernel: k, initramfs: i, cmdline: 'a=b'}",
        "kind: container\nsource: {archive: busybox}",
        "kind: pod",
    ])
}

fn bundle(text: &str) -> Files {
    let mut files = of(text);
    files.insert("user.yaml", "#cloud-config\npackages: [vim]\n");
    files.insert("blob", b"\x00\xff".to_vec());
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gives_an_outcome(text in any::<String>()) {
        check(&of(text));
    }

    #[test]
    fn any_bytes_give_an_outcome(bytes in any::<Vec<u8>>()) {
        let mut files = of("kind: vm\nsource: {box: a}\ncloud_init: {user_data: u, network_data: u}\n");
        files.insert("u", bytes.clone());
        check(&files);
        files.insert("machine.yaml", bytes);
        check(&files);
    }

    #[test]
    fn any_value_of_any_key_gives_an_outcome(value in "[\\[\\]{}'\", :a-z0-9.\\-\\\\u]{0,20}", at in 0_usize..30, source in sources()) {
        let keys = orrery_machine::schema::TOP.keys;
        check(&bundle(&format!("{source}\n{}: {value}\n", keys[at % keys.len()].name)));
    }

    #[test]
    fn what_is_read_is_read_again_from_its_canonical_form(source in sources(), lines in lines()) {
        let mut text = source.to_owned();
        for line in &lines {
            let longer = format!("{text}\n{line}");
            if check(&bundle(&longer)).machine.is_some() {
                text = longer;
            }
        }
        let begun = !source.starts_with("kind: pod");
        prop_assert_eq!(check(&bundle(&text)).machine.is_some(), begun, "{}", text);
    }

    #[test]
    fn a_worked_machine_cut_or_changed_anywhere_gives_an_outcome(
        which in 0_usize..5, at in 0_usize..2000, cut in 0_usize..20, insert in "[ \\n:{}\\[\\]a-z0-9'-]{0,8}",
    ) {
        let mut chars: Vec<char> = WORKED[which].text.chars().collect();
        let at = at % chars.len();
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, insert.chars());
        check(&of(chars.into_iter().collect::<String>()));
    }
}

#[test]
fn the_worked_machines_are_read_again_from_their_canonical_forms() {
    for worked in WORKED {
        assert!(check(&of(worked.text)).machine.is_some(), "{}", worked.name);
    }
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let bomb = (1..9).fold("x-0: &a0 [a, a, a, a, a, a, a, a, a]\n".to_owned(), |text, n| {
        text + &format!("x-{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))
    });
    let outcome = check(&of(bomb + "kind: vm\nsource: {box: a}\n"));
    assert!(outcome.errors().any(|problem| problem.message.contains("too large")), "{:?}", outcome.problems);
}

/// However large a file is, what is said about it stays in proportion, and so does the time.
#[test]
fn a_large_definition_is_told_in_time() {
    let begun = std::time::Instant::now();
    let keys: String = (0..30_000).map(|n| format!("key_{n}: 1\n")).collect();
    let long = format!("labels:\n  {}: [{}]\n", "k".repeat(1000), vec!["1"; 40_000].join(","));
    let disks = format!("disks: [{}]\n", vec!["{volume: a, bus: ide}"; 15_000].join(","));
    let ports = format!("ports: [{}]\n", vec!["'1:1'"; 50_000].join(","));
    let bridges = vec!["{bridge: b}"; 10_000].join(",");
    let mixed = format!("networks: [{bridges}]\n{ports}boot: [{}]\n", vec!["disk"; 10_000].join(","));
    for (text, told) in [(mixed, 50_000), (keys, 30_000), (long, 2), (disks, 15_000), (ports, 999)] {
        let outcome = load(&of(format!("kind: vm\nsource: {{box: a}}\n{text}")));
        assert!(outcome.machine.is_none());
        assert!((told..100_000).contains(&outcome.problems.len()), "{told}: {}", outcome.problems.len());
        assert!(!outcome.problems.iter().any(|problem| problem.message.contains("too large")), "the reader of YAML told it before");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(120), "{:?}", begun.elapsed());
}
