//! A broker with a certificate: who knows its authority signs in, who does not or speaks in clear is turned away.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

use orrery_nats::settings::Tls;
use orrery_nats::testing::{self, Broker};
use orrery_nats::{NatsError, User};

/// An authority and a certificate of it for the loopback address.
fn certificates(folder: &Path) -> Tls {
    std::fs::write(folder.join("leaf.ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    openssl(folder, &[&["req", "-x509", "-days", "1", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"][..], &key].concat());
    openssl(folder, &[&["req", "-subj", "/CN=broker", "-keyout", "leaf.key", "-out", "leaf.csr"][..], &key].concat());
    let sign = ["x509", "-req", "-days", "1", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl(folder, &[&sign[..], &["-extfile", "leaf.ext", "-out", "leaf.pem"]].concat());
    Tls { certificate: folder.join("leaf.pem"), key: folder.join("leaf.key") }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn only_who_knows_the_authority_signs_in() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::with_tls(certificates(folder.path())).await.unwrap();
    assert!(broker.url().starts_with("tls://"));
    let stranger = broker.credentials(User::Api).unwrap();
    let mut knowing = stranger.clone();
    knowing.authority = Some(folder.path().join("ca.pem"));
    assert!(testing::connect(&knowing).await.is_ok());
    assert!(matches!(testing::connect(&stranger).await, Err(NatsError::Connect { .. })));

    let mut in_clear = stranger;
    in_clear.url = in_clear.url.replace("tls://", "nats://");
    assert!(matches!(testing::connect(&in_clear).await, Err(NatsError::Connect { .. })));
}
