//! A whole Debian, made from its packages, boots from a box, and cloud-init makes of it what the definition says. What it made is looked at
//! from outside, by ssh.
#![cfg(target_arch = "x86_64")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use support::executor::{Lab, definition};
use support::guests;

/// A new key, and its public half.
fn key(folder: &Path) -> (PathBuf, String) {
    let key = folder.join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "anna@example.com", "-f"]).arg(&key).status();
    assert!(made.unwrap().success(), "ssh-keygen makes a key");
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    (key, public.trim().to_owned())
}

/// What a user of the guest is answered, and whether it went well.
fn inside(lab: &Lab, key: &Path, user: &str, words: &str) -> (bool, String) {
    let mut ssh = Command::new("ssh");
    ssh.args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]);
    ssh.args(["-o", "ConnectTimeout=60", "-F", "none", "-i"]).arg(key).arg(format!("{user}@10.9.8.50")).arg(words);
    let output = lab.libvirt.network().unwrap().run(move || ssh.output().unwrap());
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_debian_is_configured_by_cloud_init() {
    let lab = Lab::start().await;
    let (key, public) = key(lab.folder());
    let summary = lab.import("debian", std::fs::read(guests::debian()).unwrap(), json!({})).await;
    assert!(summary.starts_with("box debian imported: qcow2"), "{summary}");

    // The last command opens the port that the apply waits for: by then everything else is done.
    let machine = format!(
        "kind: vm\nsource: {{box: debian}}\nmemory: 512MiB\nnetworks: [{{nat: outside, address: 10.9.8.50}}]\nstop_grace_period: 1s\n\
         cloud_init:\n  hostname: observatory\n  users: [{{name: anna, ssh_keys: [{public}], sudo: true, groups: [adm]}}]\n  \
         write_files:\n    - {{path: /etc/orrery/greeting, content: \"hello, café\\n\", permissions: \"0640\"}}\n  \
         run:\n    - hostname > /run/named-by-then\n    - [/usr/sbin/sshd, -p, \"8000\"]\n\
         ready: {{tcp: 8000, timeout: 10m}}\n"
    );
    lab.machine_of("web", definition(&machine)).await;

    let (well, said) = inside(
        &lab,
        &key,
        "anna",
        "hostname; cat /run/named-by-then; id -nG; sudo stat -c %a:%U /etc/orrery/greeting; sudo cat /etc/orrery/greeting; \
         . /etc/os-release; echo $ID; sudo cloud-init status --wait | tail -n 1; ip -br -4 address show eth0",
    );
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("sudo: unable to resolve")).map(str::trim).collect();
    assert!(well, "{said}");
    assert_eq!(lines[..7], ["observatory", "observatory", "anna adm", "640:root", "hello, café", "debian", "status: done"], "{said}");
    assert!(lines[7].starts_with("eth0") && lines[7].contains("10.9.8.50/24"), "{said}");
    // The image's default user was not asked for.
    assert!(!inside(&lab, &key, "debian", "true").0);
}
