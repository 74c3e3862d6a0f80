//! Boxes from uploads, on a real broker and a real libvirtd: a file comes in pieces, whoever dies in between, and becomes a box.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use orrery_contracts::rpc::{Raw, UPLOAD_PIECE, UploadPiece, UploadsQuestion};
use orrery_contracts::{Change, Code, Digest, Problem, Upload, UploadOf};
use serde_json::json;
use support::executor::{Lab, definition};
use uuid::Uuid;

fn of(name: &str, size: usize, expected: Option<Digest>) -> UploadOf {
    let (owner, name) = ("ada".parse().unwrap(), name.parse().unwrap());
    let (file, description) = ("file.img".to_owned(), String::new());
    UploadOf {
        id: Uuid::now_v7(),
        owner,
        name,
        size: u64::try_from(size).unwrap(),
        file,
        modified: None,
        expected,
        format: None,
        description,
    }
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_file_that_was_uploaded_becomes_a_box_and_the_box_a_machine() {
    let mut lab = Lab::start().await;
    let asker = lab.asker().await;
    let image = orrery_test_libvirt::sector::disk();
    let sum = Digest::of(&image);
    let upload = of("sector", image.len(), Some(sum.clone()));

    // Half of it has come when the executor dies; the rest goes on where that ended.
    let _: Upload = asker.ask("upload.begin", &upload).await.unwrap();
    let piece = |at: usize| UploadPiece {
        id: upload.id,
        at: u64::try_from(at).unwrap(),
        bytes: Raw(image[at..image.len().min(at + UPLOAD_PIECE)].to_vec()),
    };
    let _: Upload = asker.ask("upload.put", &piece(0)).await.unwrap();
    let import = json!({"upload": sum});
    let early = lab.refused("box.import", "sector", import.clone()).await;
    assert!(early.contains(&format!("there is no upload with SHA-256 {sum}")), "{early}");
    lab.kill();
    lab.start_again();
    assert_eq!(asker.uploads().await[0].received, u64::try_from(UPLOAD_PIECE).unwrap());
    let whole = asker.upload(&upload, &image).await.unwrap();
    assert_eq!((whole.sha256, whole.received), (Some(sum), upload.size));

    let summary = lab.done("box.import", "sector", import.clone()).await;
    assert_eq!(summary, format!("box sector imported: raw, {} bytes", image.len()));
    assert_eq!(asker.uploads().await, [], "what became a box is gone");
    let again = lab.refused("box.import", "other", import).await;
    assert!(again.contains("there is no upload"), "{again}");
    lab.machine_of("web", definition("kind: vm\nsource: {box: sector}\nmemory: 64MiB\nnetworks: []\nready: {console: that is all}\n"))
        .await;
}

#[tokio::test]
async fn an_import_that_was_interrupted_goes_on_and_needs_its_upload_no_more() {
    let mut lab = Lab::start().await;
    let asker = lab.asker().await;
    for (round, pause) in [0, 20, 60, 150, 400].into_iter().enumerate() {
        let (name, content) = (format!("box{round}"), vec![u8::try_from(round).unwrap(); 3 << 20]);
        let whole = asker.upload(&of(&name, content.len(), None), &content).await.unwrap();
        let seq = lab.send("box.import", &name, json!({"upload": whole.sha256})).await;
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        lab.kill();
        lab.start_again();
        let ended = lab.ended(seq).await;
        assert!(matches!(ended, Change::Done { .. }), "round {round}: {ended:?}\n{}", lab.log());
        assert_eq!(asker.uploads().await, [], "round {round}");
        assert!(lab.virsh(&["vol-list", "--pool", "orrery"]).contains(&name), "round {round}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_upload_is_said_and_leaves_nothing() {
    let lab = Lab::start().await;
    let asker = lab.asker().await;
    let wrong = asker.upload(&of("a", 5, Some(Digest::of(b"right"))), b"wrong").await.unwrap_err();
    assert_eq!(wrong.code, Code::InvalidRequest);
    assert!(wrong.detail.contains(Digest::of(b"wrong").as_str()) && wrong.detail.ends_with("it was thrown away"), "{}", wrong.detail);
    assert_eq!(asker.uploads().await, []);
    let vast: Result<Upload, Problem> = asker.ask("upload.begin", &of("a", 1 << 50, None)).await;
    assert_eq!(vast.unwrap_err().code, Code::TooLarge);

    // A file that is no root filesystem is thrown away; one that was cancelled is gone too.
    let whole = asker.upload(&of("a", 5, None), b"plain").await.unwrap();
    let why = lab.run("box.import", "a", json!({"upload": whole.sha256, "format": "rootfs"})).await.1;
    assert!(matches!(&why, Change::Cancelled { reason } if reason.contains("no archive of a root filesystem")), "{why:?}");
    assert_eq!(asker.uploads().await, []);
    let whole = asker.upload(&of("a", 5, None), b"plain").await.unwrap();
    let () = asker.ask("upload.remove", &UploadsQuestion { id: Some(whole.of.id) }).await.unwrap();
    let gone: Result<Upload, Problem> = asker.ask("upload.put", &UploadPiece { id: whole.of.id, at: 5, bytes: Raw(Vec::new()) }).await;
    assert_eq!((gone.unwrap_err().code, asker.uploads().await), (Code::NotFound, Vec::new()));
}
