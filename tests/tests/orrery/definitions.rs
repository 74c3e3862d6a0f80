//! A definition with errors gets them with file, line and column, from every door that a definition comes in by.

use anyhow::{Context as _, ensure};
use orrery_contracts::rest::CheckReport;
use orrery_contracts::{Bundle, Located};
use orrery_tests::Installation;
use orrery_tests::bundles::{compose, example};
use serde_json::json;

/// A definition, the line that its error is on, and a word of the message or its hint.
const BAD: [(&str, u32, &str); 6] = [
    ("services:\n  web:\n    imgae: nginx\n", 3, "image"),
    ("services:\n  web:\n    image: nginx\n    ports: [\"eighty:80\"]\n", 4, "eighty"),
    ("services:\n  web:\n    image: nginx\n    depends_on: [db]\n", 4, "db"),
    ("services:\n  web:\n    image: nginx\n    volumes: [data:/data]\n", 4, "data"),
    ("services:\n  web: [image\n", 3, ""),
    ("services:\n  web:\n    image: ${IMAGE:?say which}\n", 3, "say which"),
];

#[tokio::test]
async fn errors_of_a_definition_have_their_place() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    for (text, line, word) in BAD {
        let report = check(&orrery, &compose(text)).await?;
        ensure!(!report.valid && report.normalized.is_none(), "{text}: {report:#?}");
        let found = report.errors.iter().any(|error| points_at(error, line, word));
        ensure!(found, "{text}: no error at line {line} with {word:?}: {:#?}", report.errors);
    }
    for name in ["static-site", "web-app", "pipeline"] {
        let report = check(&orrery, &example(name)?).await?;
        ensure!(report.valid && report.refusals.is_empty(), "{name}: {report:#?}");
    }
    orrery.end().await
}

#[tokio::test]
async fn a_bad_definition_is_refused_with_the_same_places_before_anything_happens() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("bad");
    for (text, line, word) in BAD {
        let problem =
            orrery.api.post("/stacks", json!({"name": name, "bundle": compose(text)})).await?.problem(422, "invalid_definition")?;
        let errors: Vec<Located> = serde_json::from_value(problem.get("errors").cloned().context("no errors")?)?;
        ensure!(errors.iter().any(|error| points_at(error, line, word)), "{text}: {errors:#?}");
    }
    for outside in ["../outside", "/etc/passwd", "a//b"] {
        let bundle = json!({"files": {"compose.yaml": "services: {}\n", outside: "x"}});
        let answer = orrery.api.post("/stacks", json!({"name": name, "bundle": bundle})).await?;
        ensure!(answer.status == 422 && answer.body.to_string().contains("path"), "{outside}: {} {}", answer.status, answer.body);
    }
    orrery.api.get(&format!("/stacks/{name}")).await?.problem(404, "not_found")?;
    orrery.end().await
}

#[tokio::test]
async fn malformed_json_and_unknown_fields_are_problems_too() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let raw = orrery.api.request(reqwest::Method::POST, "/stacks").header("content-type", "application/json").body("{\"name\": ");
    orrery.api.send(raw).await?.problem(400, "malformed_request")?;
    let unknown = orrery.api.post("/stacks", json!({"name": "a", "bundle": {"files": {}}, "colour": "red"})).await?;
    ensure!(matches!(unknown.status, 400 | 422) && unknown.body.to_string().contains("colour"), "{} {}", unknown.status, unknown.body);
    orrery.api.get("/no/such/thing").await?.problem(404, "no_such_route")?;
    let name = orrery.api.post("/stacks", json!({"name": "Not A Name", "bundle": compose("services: {}\n")})).await?;
    ensure!(matches!(name.status, 400 | 422), "{} {}", name.status, name.body);
    orrery.end().await
}

async fn check(orrery: &Installation, bundle: &Bundle) -> anyhow::Result<CheckReport> {
    orrery.api.post("/compose/check", json!({"bundle": bundle})).await?.read(200)
}

fn points_at(error: &Located, line: u32, word: &str) -> bool {
    let words = format!("{} {}", error.message, error.hint.as_deref().unwrap_or_default());
    error.file.as_deref() == Some("compose.yaml") && error.line == Some(line) && error.column.is_some() && words.contains(word)
}
