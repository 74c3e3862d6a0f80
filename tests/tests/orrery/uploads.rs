//! Bundles that come as files: archives, large ones, and what may not come in.

use anyhow::{Context as _, ensure};
use orrery_contracts::Bundle;
use orrery_contracts::rest::{BundleInfo, Command};
use orrery_tests::Installation;
use orrery_tests::bundles::{example, with};
use serde_json::{Value, json};

use crate::small_stacks::sleepers;

fn tarball(bundle: &Bundle) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, file) in &bundle.files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, file.bytes.as_slice())?;
    }
    Ok(archive.into_inner()?)
}

async fn upload(orrery: &Installation, kind: &str, body: Vec<u8>) -> anyhow::Result<BundleInfo> {
    let request = orrery.api.request(reqwest::Method::POST, "/bundles").header("content-type", kind).body(body);
    let answer = orrery.api.send(request).await?;
    ensure!((200..300).contains(&answer.status), "the upload answered {}: {}", answer.status, answer.body);
    Ok(serde_json::from_value(answer.body)?)
}

#[tokio::test]
async fn an_archive_becomes_the_same_bundle_as_its_files() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let bundle = example("static-site")?;
    let by_tar = upload(&orrery, "application/x-tar", tarball(&bundle)?).await?;
    let by_json = upload(&orrery, "application/json", serde_json::to_vec(&bundle)?).await?;
    ensure!(by_tar == by_json && by_tar.digest == bundle.digest(), "{by_tar:#?}\n{by_json:#?}");

    let name = orrery.name("upload");
    orrery.api.done("/stacks", json!({"name": name, "digest": by_tar.digest})).await?;
    let version = orrery.api.versions(&name).await?.pop().context("no version")?;
    ensure!(version.digest == by_tar.digest && version.files == by_tar.files, "{version:#?}");
    let page = orrery.api.get(&format!("/bundles/{}?path=site/index.html", version.digest)).await?;
    ensure!(page.status == 200 && page.body.as_str().is_some_and(|text| text.contains("A constellation of two")), "{page:?}");
    orrery.api.get(&format!("/bundles/{}?path=not/there", version.digest)).await?.problem(404, "not_found")?;
    orrery.end().await
}

#[tokio::test]
async fn a_bundle_too_large_for_a_message_goes_by_its_digest_and_comes_back_whole() -> anyhow::Result<()> {
    let orrery = Installation::start().await?;
    let name = orrery.name("large");
    // Three megabytes that do not compress to nothing.
    let noise: String = (0_u64..200_000).map(|n| format!("{:015x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 4)).collect();
    let bundle = with(sleepers(&["a"]), "noise.txt", noise.clone());
    let command: Command = orrery.api.done("/stacks", json!({"name": name, "bundle": bundle})).await?;
    ensure!(command.r#type.as_deref() == Some("stack.create"));
    let version = orrery.api.versions(&name).await?.pop().context("no version")?;
    ensure!(version.digest == bundle.digest(), "another bundle was stored");
    let back = orrery.api.get(&format!("/bundles/{}?path=noise.txt", version.digest)).await?;
    ensure!(back.body == Value::String(noise), "the file came back changed");
    orrery.api.apply(&name, 1).await?;
    orrery.end().await
}

#[tokio::test]
async fn a_bundle_over_the_limits_is_refused_and_says_which() -> anyhow::Result<()> {
    let limits = [("ORRERY_BUNDLE_MAX_BYTES", "4096"), ("ORRERY_BUNDLE_MAX_FILES", "3"), ("ORRERY_BUNDLE_MAX_FILE_BYTES", "2048")];
    let orrery = Installation::start_with(&limits).await?;
    let small = sleepers(&["a"]);
    let many = (0..4).fold(small.clone(), |bundle, n| with(bundle, &format!("file{n}"), "x"));
    let long = with(small.clone(), "long", "x".repeat(3000));
    let heavy = with(with(small.clone(), "one", "x".repeat(2000)), "two", "x".repeat(2000));
    for (bundle, setting) in [(many, "ORRERY_BUNDLE_MAX_FILES"), (long, "ORRERY_BUNDLE_MAX_FILE_BYTES"), (heavy, "ORRERY_BUNDLE_MAX_BYTES")]
    {
        let answer = orrery.api.post("/stacks", json!({"name": orrery.name("limit"), "bundle": bundle})).await?;
        let refused = matches!(answer.status, 413 | 422);
        ensure!(refused && answer.body.to_string().contains(setting), "{setting}: {} {}", answer.status, answer.body);
    }
    // The executor does not take the api's word for it.
    let ci = orrery.ci().await?;
    let heavy = with(with(small.clone(), "one", "x".repeat(2000)), "two", "x".repeat(2000));
    let body = json!({"type": "stack.create", "target": orrery.name("limit"), "payload": {"bundle": heavy}}).to_string();
    let reason = ci.rejected(body.as_bytes()).await?;
    ensure!(reason.contains("ORRERY_BUNDLE_MAX_BYTES"), "{reason}");
    orrery.api.create(&orrery.name("fits"), &small).await?;
    orrery.end().await
}
