//! Secrets: sealed where they arrive, opened in their containers, and nowhere else; and what registries want to know of a stack.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::query_parameters::RemoveImageOptions;
use orrery_contracts::rest::Command;
use orrery_contracts::{Bundle, Secret};
use orrery_tests::bundles::{compose, replacing};
use orrery_tests::private_registry::PrivateRegistry;
use orrery_tests::{Installation, images};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;
use uuid::Uuid;

/// Two secrets, one as a file and one in a variable; what it has of them it says as digests.
fn app() -> Bundle {
    compose(format!(
        r#"services:
  app:
    image: {image}
    environment:
      TOKEN: secret://token
    secrets:
      - source: database
        target: db-password
    command:
      - sh
      - -c
      - echo "file $$(busybox sha256sum < /run/secrets/db-password) variable $$(busybox printf %s "$$TOKEN" | busybox sha256sum)"; exec sleep 100000
    stop_grace_period: 0s
secrets:
  database:
    external: true
"#,
        image = images::BUSYBOX
    ))
}

fn canary() -> String {
    format!("canary-{}", Uuid::new_v4().simple())
}

async fn put(orrery: &Installation, stack: &str, name: &str, body: &Value) -> anyhow::Result<Command> {
    let request = orrery.api.request(Method::PUT, &format!("/secrets/{stack}/{name}")).json(body);
    let command: Command = orrery.api.send(request).await?.read(202)?;
    orrery.api.must_be_done(&command.id).await
}

fn digest(value: &str) -> String {
    orrery_contracts::Digest::of(value.as_bytes()).to_string()
}

#[tokio::test]
async fn a_secret_reaches_its_container_and_nothing_else() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("sealed");
    orrery.api.create(&name, &app()).await?;

    // Without its secrets nothing can be planned or applied, and it is said which, and where.
    let refused = orrery.api.post(&format!("/stacks/{name}/plan/1"), json!({})).await?.problem(422, "invalid_definition")?;
    let told = refused.to_string();
    for secret in ["token", "database"] {
        ensure!(told.contains(&format!("the stack has no secret \\\"{secret}\\\"")), "{told}");
    }
    ensure!(told.contains("\"line\":5"), "not located: {told}");

    let (first, token, second) = (canary(), canary(), canary());
    put(&orrery, &name, "database", &json!({ "value": first })).await?;
    put(&orrery, &name, "token", &json!({ "base64": STANDARD.encode(&token) })).await?;
    orrery.api.apply(&name, 1).await?;
    ensure!(said(&orrery, &name).await? == (digest(&first), digest(&token)), "the container has other values");
    ensure!(orrery.api.plan(&name, 1).await?.empty, "a second apply would change something");

    // Another value is another version, which the next apply takes.
    put(&orrery, &name, "database", &json!({ "value": second })).await?;
    let plan = serde_json::to_string(&orrery.api.plan(&name, 1).await?)?;
    ensure!(plan.contains("\"version\":1") && plan.contains("\"version\":2"), "the plan does not say what changes: {plan}");
    orrery.api.apply(&name, 1).await?;
    ensure!(said(&orrery, &name).await? == (digest(&second), digest(&token)), "the container has the old values");
    let files = secret_files(&orrery)?;
    ensure!(files.len() == 1 && std::fs::read_to_string(&files[0])? == second, "files of earlier values stay: {files:?}");

    let listed: Vec<Secret> = orrery.api.list(&format!("/secrets/{name}")).await?;
    let short: Vec<_> = listed.iter().map(|one| (one.name.as_str(), one.version, one.author.as_str())).collect();
    ensure!(short == [("database", 2, "admin"), ("token", 1, "admin")], "{short:?}");

    for value in [&first, &token, &second] {
        nowhere(&orrery, value).await?;
    }
    let labels = orrery.engine.of_project(&name).await?.pop().context("no container")?.labels;
    ensure!(!format!("{labels:?}").contains("canary"), "{labels:#?}");

    orrery.api.done(&format!("/secrets/{name}/token/remove"), json!({})).await?;
    let refused = orrery.api.post(&format!("/stacks/{name}/plan/1"), json!({})).await?.problem(422, "invalid_definition")?;
    ensure!(refused.to_string().contains("no secret \\\"token\\\""), "{refused}");
    orrery.api.done(&format!("/stacks/{name}/delete"), json!({})).await?;
    ensure!(secret_files(&orrery)?.is_empty(), "a value outlives its stack");
    orrery.end().await
}

/// The digests of the file and of the variable, as the container says them.
async fn said(orrery: &Installation, stack: &str) -> anyhow::Result<(String, String)> {
    let container = orrery.engine.of_project(stack).await?.pop().context("no container")?;
    let log = orrery_tests::eventually("the container to speak", std::time::Duration::from_secs(20), || async {
        let log = orrery.engine.logs(&container.id).await?;
        Ok(log.contains("variable").then_some(log))
    })
    .await?;
    let words: Vec<&str> = log.split_whitespace().filter(|word| word.len() == 64).collect();
    let [file, variable] = words.as_slice() else { anyhow::bail!("it says {log:?}") };
    Ok(((*file).to_owned(), (*variable).to_owned()))
}

/// The files by which secrets get into containers.
fn secret_files(orrery: &Installation) -> anyhow::Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(orrery.data().join("inline")) else { return Ok(Vec::new()) };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("secret-"))).collect())
}

/// No stream, table, log, event or file has it, but the one that is mounted.
async fn nowhere(orrery: &Installation, canary: &str) -> anyhow::Result<()> {
    let forms = [canary.to_owned(), STANDARD.encode(canary).trim_end_matches('=').to_owned()];
    // The broker's streams as they lie on its disk, logs, credentials, bundles.
    let found = files_with(orrery.data(), &forms)?;
    let elsewhere: Vec<_> = found.into_iter().filter(|path| path.parent() != Some(&orrery.data().join("inline"))).collect();
    ensure!(elsewhere.is_empty(), "{canary} lies in {elsewhere:?}");
    let mut database = sqlx::PgConnection::connect(&orrery.postgres.url("postgres")).await?;
    let tables: Vec<(String,)> = sqlx::query_as(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut database)
    .await?;
    ensure!(tables.len() > 10, "these are not all tables: {tables:?}");
    for (table,) in tables {
        for form in &forms {
            let question =
                format!("SELECT count(*) FROM {table} AS it WHERE it::text LIKE '%' || $1 || '%' OR it::text LIKE '%' || $2 || '%'");
            // What is kept as bytes is shown in hexadecimal.
            let hex: String = form.bytes().map(|byte| format!("{byte:02x}")).collect();
            let (count,): (i64,) = sqlx::query_as(sqlx::AssertSqlSafe(question)).bind(form).bind(hex).fetch_one(&mut database).await?;
            ensure!(count == 0, "{canary} lies in {table}");
        }
    }
    Ok(())
}

fn files_with(folder: &Path, forms: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type()))?;
        let kind = kind?;
        if kind.is_dir() {
            found.extend(files_with(&path, forms)?);
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let holds = |form: &String| bytes.windows(form.len()).any(|window| window == form.as_bytes());
            if forms.iter().any(holds) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn what_cannot_be_a_secret_is_told_and_nothing_is_put_on_the_queue() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("refused");
    orrery.api.create(&name, &compose(format!("services:\n  a:\n    image: {}\n", images::BUSYBOX))).await?;
    for (secret, body, path) in [
        ("a%20b", json!({ "value": "x" }), "name"),
        ("a%2Fb", json!({ "value": "x" }), "name"),
        ("a", json!({ "value": "" }), "value"),
        ("a", json!({}), "value"),
        ("a", json!({ "base64": "?" }), "base64"),
        ("a", json!({ "value": "x", "base64": "eA==" }), "base64"),
        ("a", json!({ "value": "x".repeat(512_001) }), "value"),
    ] {
        let request = orrery.api.request(Method::PUT, &format!("/secrets/{name}/{secret}")).json(&body);
        let problem = orrery.api.send(request).await?.expect(422)?;
        ensure!(problem.to_string().contains(&format!("\"path\":\"{path}\"")), "{secret}: {problem}");
    }
    // A name that is none of a registry's configuration, and one that is, without being one.
    let request = orrery.api.request(Method::PUT, &format!("/secrets/{name}/docker-config")).json(&json!({ "value": "hunter2" }));
    let command: Command = orrery.api.send(request).await?.read(202)?;
    let ended = orrery.api.settled(&command.id).await?;
    ensure!(
        ended.reason.as_deref() == Some("rejected: secret docker-config: it is no config.json of Docker: line 1, column 1"),
        "{ended:?}"
    );
    ensure!(orrery.api.list::<Secret>(&format!("/secrets/{name}")).await?.is_empty());
    // The same request twice is one command.
    let again = || {
        let request = orrery.api.request(Method::PUT, &format!("/secrets/{name}/a")).header("Idempotency-Key", "once");
        request.json(&json!({ "value": "x" }))
    };
    let one: Command = orrery.api.send(again()).await?.read(202)?;
    let two: Command = orrery.api.send(again()).await?.read(202)?;
    ensure!(one.id == two.id, "{one:?} {two:?}");
    orrery.api.must_be_done(&one.id).await?;
    orrery.end().await
}

#[tokio::test]
async fn a_private_registry_lets_the_stack_in_that_knows_its_password_and_a_rollback_finds_its_image_there() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("private");
    let password = canary();
    let registry = PrivateRegistry::start("builder", &password).await?;
    let image = registry.name(&format!("team/{name}:stable"));
    registry.give(&orrery.engine, &image, "one").await?;
    let digest = registry.digest(&format!("team/{name}"), "stable").await?;

    let one = compose(format!(
        "services:\n  web:\n    image: {image}\n    pull_policy: always\n    command: [sleep, '100000']\n    stop_grace_period: 0s\n    environment: {{MARK: one}}\n"
    ));
    orrery.api.create(&name, &one).await?;
    let failed = orrery.api.fails(&format!("/stacks/{name}/apply/1"), json!({})).await?;
    let error = failed.error.clone().context("no error")?;
    ensure!(error.code == "registry_denied" && error.message.contains("secret docker-config"), "{error:?}");

    let known = json!({ "auths": { registry.host(): { "auth": STANDARD.encode(format!("builder:{password}")) } } });
    let request = orrery.api.request(Method::PUT, &format!("/secrets/{name}/docker-config")).json(&json!({ "value": known.to_string() }));
    let waits: Command = orrery.api.send(request).await?.read(202)?;
    orrery.api.cancel(&failed.id).await?;
    orrery.api.must_be_done(&waits.id).await?;
    orrery.api.apply(&name, 1).await?;
    ensure!(orrery.api.plan(&name, 1).await?.actions.iter().all(|action| action.subject == image), "something else would change");

    // The name moves on, the image goes from the host, and the rollback asks the registry for the very one.
    registry.give(&orrery.engine, &image, "two").await?;
    ensure!(registry.digest(&format!("team/{name}"), "stable").await? != digest, "the name means the same image still");
    orrery.api.save(&name, &replacing(one, "compose.yaml", "MARK: one", "MARK: two")?).await?;
    orrery.api.apply(&name, 2).await?;
    let by_digest = format!("{}@{digest}", registry.name(&format!("team/{name}")));
    orrery.engine.docker().remove_image(&by_digest, None::<RemoveImageOptions>, None).await?;
    let back = orrery.api.done(&format!("/stacks/{name}/rollback/1"), json!({})).await?;
    let pulled = back.steps.iter().any(|step| step.action == "image.pull" && step.subject == by_digest);
    ensure!(pulled, "it was not pulled by its digest {by_digest}: {:#?}", back.steps);
    let runs = orrery.engine.of_project(&name).await?.pop().context("no container")?;
    let made_of = orrery.engine.docker().inspect_container(&runs.id, None).await?.config.and_then(|config| config.image);
    ensure!(made_of.as_deref() == Some(by_digest.as_str()), "it runs {made_of:?}");
    ensure!(orrery.api.plan(&name, 1).await?.empty, "a rollback that is done would change something");

    nowhere(&orrery, &password).await?;
    nowhere(&orrery, STANDARD.encode(format!("builder:{password}")).trim_end_matches('=')).await?;
    orrery.end().await
}
