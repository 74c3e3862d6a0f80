//! Whatever is given: no panic, bounded time, and problems whose places exist.

#![allow(clippy::unwrap_used)]

use orrery_compose::{Files, LoadOptions, Outcome, load, render};
use proptest::prelude::*;

fn check(files: &Files) -> Outcome {
    let outcome = load(files, &LoadOptions::default());
    for problem in &outcome.problems {
        assert!(problem.line >= 1 && problem.column >= 1, "{problem:?}");
        assert!((problem.end_line, problem.end_column) >= (problem.line, problem.column), "{problem:?}");
        let _ = render(problem, files);
    }
    assert_eq!(outcome.project.is_some(), outcome.normalized.is_some());
    assert_eq!(outcome.is_valid(), outcome.project.is_some());
    outcome
}

/// Fragments that a definition is made of, so that random texts get past the first line.
fn fragments() -> impl Strategy<Value = String> {
    let words = [
        "services:",
        "\n",
        "\n  ",
        "\n    ",
        "\n      - ",
        "web:",
        "image: x",
        "ports:",
        "\"80:80\"",
        "volumes:",
        "./a:/b",
        "environment:",
        "A=1",
        "A: ${B:-c}",
        "&a ",
        "*a",
        "<<: *a",
        "{",
        "}",
        "[",
        "]",
        ",",
        ": ",
        "- ",
        "|",
        ">",
        "'",
        "\"",
        "#",
        "!reset ",
        "!override ",
        "\t",
        "${",
        "}",
        "$",
        "depends_on:",
        "build:",
        "networks:",
        "null",
        "1e3",
        "0755",
        "x-a:",
        "extends:",
        "deploy:",
        "include:",
        "---\n",
        "\r\n",
        "é",
        "\u{0}",
        "healthcheck:",
        "test:",
        "command:",
        "configs:",
        "secrets:",
        "file:",
        "env_file:",
        "2024-01-01",
        "%YAML 1.2\n",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gives_an_outcome(text in any::<String>()) {
        check(&Files::of_compose(&text));
    }

    #[test]
    fn any_bytes_give_an_outcome(bytes in any::<Vec<u8>>()) {
        let mut files = Files::new();
        files.insert("compose.yaml", bytes.clone());
        files.insert(".env", bytes);
        check(&files);
    }

    #[test]
    fn anything_made_of_fragments_gives_an_outcome(text in fragments()) {
        check(&Files::of_compose(&text));
    }

    #[test]
    fn a_definition_cut_or_changed_anywhere_gives_an_outcome(at in 0_usize..4000, insert in fragments(), cut in 0_usize..40) {
        let whole = include_str!("definitions/all-service/compose.yaml");
        let mut chars: Vec<char> = whole.chars().collect();
        let at = at % chars.len();
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, insert.chars());
        let text: String = chars.into_iter().collect();
        check(&Files::of_compose(&text));
    }

    #[test]
    fn any_short_form_gives_an_outcome(port in "[0-9a-z:./\\-\\[\\]]{0,24}", volume in "[a-z:./~\\\\,]{0,24}", env in ".{0,24}") {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let text = format!(
            "services: {{web: {{image: x, ports: [{}], volumes: [{}], environment: [{}], command: {}, stop_grace_period: {}, mem_limit: {}}}}}",
            quoted(&port), quoted(&volume), quoted(&env), quoted(&env), quoted(&port), quoted(&port)
        );
        check(&Files::of_compose(&text));
    }

    #[test]
    fn any_env_file_gives_an_outcome(text in "[A-Z=:#'\"\\\\$\\{\\}\n a-z.]{0,200}") {
        let mut files = Files::of_compose("services: {web: {image: x, env_file: [a.env], label_file: a.env}}");
        files.insert("a.env", text.clone());
        files.insert(".env", text);
        check(&files);
    }
}

fn told(text: &str) -> String {
    let outcome = check(&Files::of_compose(text));
    assert!(!outcome.is_valid(), "it was accepted");
    outcome.errors().next().unwrap().message.clone()
}

#[test]
fn an_alias_bomb_is_refused_in_time() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let before = level - 1;
        let items = vec![format!("*a{before}"); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(told(&text).contains("too large"));
}

#[test]
fn a_text_bomb_is_refused_in_time() {
    let mut text = format!("a: &a {}\nx-b:\n", "y".repeat(100_000));
    text.push_str(&"- *a\n".repeat(1000));
    assert!(told(&text).contains("too large"));
}

#[test]
fn a_deep_definition_is_refused() {
    for text in ["[".repeat(5000), "{a: ".repeat(5000), "- ".repeat(5000)] {
        let message = told(&format!("x-a: {text}"));
        assert!(message.contains("nested") || message.contains("YAML"), "{message}");
    }
}

#[test]
fn growing_variables_are_refused() {
    let mut env = "A0=xxxxxxxxxxxxxxxx\n".to_owned();
    for level in 1..40 {
        let before = level - 1;
        env.push_str(&format!("A{level}=$A{before}$A{before}\n"));
    }
    let mut files = Files::of_compose("services: {web: {image: x, environment: {A: $A39}}}");
    files.insert(".env", env);
    let outcome = check(&files);
    assert!(outcome.errors().any(|error| error.file == ".env" && error.message.contains("too long")), "{:?}", outcome.problems);
}

#[test]
fn a_large_file_is_refused() {
    assert!(told(&"#".repeat(2 << 20)).contains("bytes"));
}

#[test]
fn circles_of_includes_and_extends_end() {
    let files: Files = [
        ("compose.yaml", "include: [a.yaml]\nservices: {web: {extends: {file: a.yaml, service: a}}}"),
        ("a.yaml", "include: [b.yaml]\nservices: {a: {extends: {file: b.yaml, service: b}}}"),
        ("b.yaml", "include: [a.yaml]\nservices: {b: {extends: {file: a.yaml, service: a}}}"),
    ]
    .into_iter()
    .collect();
    let outcome = check(&files);
    assert!(outcome.errors().any(|error| error.message.contains("circle")), "{:?}", outcome.problems);
    assert!(outcome.errors().any(|error| error.message.contains("includes itself")), "{:?}", outcome.problems);
}

#[test]
fn ten_thousand_services_are_read_in_time() {
    let mut text = "services:\n".to_owned();
    for index in 0..10_000 {
        text.push_str(&format!("  s{index}: {{image: x, depends_on: [s{}]}}\n", (index + 1) % 10_000));
    }
    assert!(told(&text).contains("circle"));
}
