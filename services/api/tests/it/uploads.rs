//! Uploads of boxes: bytes on their way to the executor, interrupted and gone on with, and who may.

use orrery_api::uploads::sweep::sweep;
use orrery_contracts::{Digest, Engine, Time};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Answer, Caller, SOON, World};

/// A file of a few pieces, no two of which are alike.
fn file() -> Vec<u8> {
    (0..1_500_000_u32).map(|n| u8::try_from((n / 7 + n / 5000) % 251).unwrap()).collect()
}

async fn begin(caller: &Caller, more: Value) -> Answer {
    let mut new = json!({"name": "debian", "size": file().len(), "file": "debian.img"});
    new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    caller.post("/api/v1/uploads", new).await
}

fn path(upload: &Answer) -> String {
    format!("/api/v1/uploads/{}", upload.json["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_to_the_executor_and_goes_on_where_it_was_interrupted() {
    let world = World::start().await;
    let executor = world.executor_of(Engine::Libvirt).await;
    let (uploads, works) = executor.keeps_uploads().await;
    let (ada, file) = (world.user("ada", "user").await, file());
    let begun = begin(&ada, json!({})).await.expect(200);
    let path = path(&begun);
    assert_eq!((begun.header("upload-offset"), &begun.json["owner"], &begun.json["sha256"]), ("0", &json!("ada"), &Value::Null));

    // The connection breaks in the middle: what had come is kept, to the last byte.
    let half = file.len() / 2;
    let address = ada.address().trim_start_matches("http://").to_owned();
    let mut broken = tokio::net::TcpStream::connect(&address).await.unwrap();
    let token = ada.headers().find(|(name, _)| *name == "authorization").unwrap().1.to_owned();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {token}\r\nContent-Length: {}\r\n\r\n", file.len());
    broken.write_all(head.as_bytes()).await.unwrap();
    broken.write_all(&file[..half]).await.unwrap();
    broken.shutdown().await.unwrap();
    let kept = || async { Ok(Some(ada.get(&path).await).filter(|answer| answer.json["received"] == half)) };
    let kept = orrery_tests::eventually("the first half to be kept", SOON, kept).await.unwrap();
    assert_eq!(kept.header("upload-offset"), half.to_string());

    // Elsewhere, of another file, or in no place that can be read.
    let size = file.len();
    let ahead = ada.put(&path, Some(&format!("bytes {}-{}/{size}", half + 1, size - 1)), file[half + 1..].to_vec()).await.expect(409);
    assert!(ahead.json["detail"].as_str().unwrap().ends_with(&format!("go on at {half}")), "{}", ahead.text);
    assert_eq!(ada.put(&path, Some(&format!("bytes {half}-{size}/{}", size + 1)), vec![0]).await.expect(422).code(), "invalid_request");
    assert_eq!(ada.put(&path, Some("bytes from here"), vec![0]).await.expect(400).code(), "malformed_request");
    assert_eq!(ada.put(&path, None, vec![255; 10]).await.expect(409).code(), "conflict");

    let whole = ada.put(&path, Some(&format!("bytes {half}-{}/{size}", size - 1)), file[half..].to_vec()).await.expect(200);
    assert_eq!((&whole.json["received"], &whole.json["sha256"]), (&json!(size), &json!(Digest::of(&file))));
    assert_eq!(uploads.bytes(begun.json["id"].as_str().unwrap().parse().unwrap()), file);
    assert_eq!(ada.put(&path, None, file.clone()).await.expect(200).json, whole.json, "all of it again");

    works.into_iter().for_each(|work| work.abort());
    assert_eq!(ada.get(&path).await.expect(503).code(), "executor_away");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_its_owners_and_becomes_a_box_by_one_command() {
    let world = World::start().await;
    let executor = world.executor_of(Engine::Libvirt).await;
    executor.keeps_uploads().await;
    let (ada, eve, file) = (world.user("ada", "user").await, world.user("eve", "user").await, file());
    assert_eq!(begin(&ada, json!({"name": "No Name"})).await.expect(422).code(), "invalid_request");
    assert_eq!(begin(&ada, json!({"sha256": "a1"})).await.expect(422).code(), "invalid_request");
    assert_eq!(begin(&world.user("vera", "viewer").await, json!({})).await.expect(403).code(), "forbidden");
    let twice = ada.clone().with("idempotency-key", "once");
    let upload = begin(&twice, json!({})).await.expect(200);
    assert_eq!(begin(&twice, json!({})).await.json["id"], upload.json["id"], "a second click");
    let path = path(&upload);

    assert_eq!(eve.get(&path).await.expect(404).code(), "not_found");
    assert_eq!(eve.put(&path, None, file.clone()).await.expect(404).code(), "not_found");
    assert_eq!(eve.post_nothing(&format!("{path}/remove")).await.expect(404).code(), "not_found");
    let seen = async |caller: &Caller| caller.get("/api/v1/uploads").await.expect(200).json["items"].as_array().unwrap().len();
    assert_eq!((seen(&eve).await, seen(&ada).await, seen(&world.admin()).await), (0, 1, 1));

    let sum = ada.put(&path, None, file).await.expect(200).json["sha256"].clone();
    for strange in [
        json!({"name": "debian"}),
        json!({"name": "debian", "upload": sum, "url": "https://boxes.example/x"}),
        json!({"name": "debian", "upload": "x"}),
    ] {
        assert_eq!(ada.post("/api/v1/boxes", strange).await.expect(422).code(), "invalid_request");
    }
    let command = ada.post("/api/v1/boxes", json!({"name": "debian", "upload": sum})).await.expect(202);
    assert_eq!(command.json["type"], "box.import");

    // While the command waits for its executor, nobody takes its upload away.
    let tomorrow = Time::from(OffsetDateTime::now_utc() + std::time::Duration::from_secs(86_400));
    assert_eq!(ada.post_nothing(&format!("{path}/remove")).await.expect(409).code(), "conflict");
    assert_eq!(sweep(&world.api, tomorrow).await.unwrap(), 0);
    ada.post_nothing(&format!("/api/v1/commands/{}/cancel", command.json["seq"])).await.expect(202);
    let gone = || async { Ok(Some(sweep(&world.api, tomorrow).await.unwrap()).filter(|removed| *removed == 1)) };
    orrery_tests::eventually("what nobody waits for to be swept", SOON, gone).await.unwrap();
    assert_eq!(ada.get(&path).await.expect(404).code(), "not_found");
}
