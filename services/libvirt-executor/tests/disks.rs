//! What disks a machine can have, each tried on a guest that reads it: overlays on boxes, growth, further disks, volumes that were there, ISOs
//! and the seed of cloud-init.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use orrery_test_libvirt::sector;
use serde_json::json;
use support::executor::{Lab, definition};

/// A machine of this source, whose guest is to say this.
fn says(source: &str, text: &str, more: &str) -> serde_json::Value {
    definition(&format!(
        "kind: vm\nsource: {source}\nmemory: 32MiB\nnetworks: []\nstop_grace_period: 1s\nready: {{console: {text:?}, timeout: 4m}}\n{more}"
    ))
}

#[tokio::test]
async fn a_disk_lies_over_its_box_and_grows() {
    let lab = Lab::start().await;
    for (name, content, format) in [("raw", sector::disk(), "raw"), ("cow", sector::qcow2(lab.folder()), "qcow2")] {
        let imported = lab.import(name, content, json!({})).await;
        assert!(imported.starts_with(&format!("box {name} imported: {format}, ")), "{imported}");
        // Two of them count their boots, each on a disk of its own.
        for machine in ["one", "two"] {
            lab.machine_of(machine, says(&format!("{{box: {name}}}"), "boot 1 of 00001000", "")).await;
        }
        lab.done("machine.stop", "one", json!({})).await;
        lab.done("machine.version.create", "one", says(&format!("{{box: {name}}}"), "boot 2 of 00001000", "")).await;
        lab.done("machine.apply", "one", json!({"version": 2})).await;
        lab.done("machine.start", "one", json!({})).await;
        // A disk grows, and what is on it stays.
        let larger = says(&format!("{{box: {name}}}"), "boot 3 of 00010000", "disks: [{name: root, size: 32MiB}]\n");
        lab.done("machine.version.create", "one", larger).await;
        assert_eq!(lab.done("machine.apply", "one", json!({"version": 3})).await, "machine restarted");
        // It keeps its size where an earlier version names none.
        let smaller = lab.done("machine.version.create", "one", says(&format!("{{box: {name}}}"), "boot 4 of 00010000", "")).await;
        assert_eq!(smaller, "version 4 saved");
        assert_eq!(lab.done("machine.apply", "one", json!({"version": 4})).await, "machine updated");

        let refused = lab.refused("box.remove", name, json!({})).await;
        assert_eq!(refused, format!("rejected: the box {name} is used by one, two"));
        let gone = lab.done("machine.delete", "one", json!({"disks": true})).await;
        assert_eq!(gone, "machine and 1 volume(s) removed");
        let kept = lab.done("machine.delete", "two", json!({"disks": false})).await;
        assert_eq!(kept, "machine removed; 1 disk(s) stay in the pool");
        let refused = lab.refused("box.remove", name, json!({})).await;
        let (_, word) = refused.split_once('`').unwrap();
        let volume = word.trim_end_matches("`)").strip_prefix("virsh vol-delete --pool orrery ").unwrap();
        lab.virsh(&["vol-delete", "--pool", "orrery", volume]);
        assert_eq!(lab.done("box.remove", name, json!({})).await, format!("box {name} removed"));
    }
}

#[tokio::test]
async fn further_disks_and_volumes_that_were_there() {
    let lab = Lab::start().await;
    lab.import("boots", sector::disk(), json!({})).await;
    let with = |text: &str, more: &str| says("{box: boots}", text, &format!("disks: [{{name: root}}, {more}]\n"));
    lab.machine_of("web", with("boot 1", "{name: data, size: 1MiB}, {name: old, size: 1MiB, bus: sata}")).await;
    let refused = |definition| async {
        lab.done("machine.version.create", "web", definition).await;
        lab.refused("machine.apply", "web", json!({"version": 2})).await
    };
    let why = refused(with("boot 2", "{volume: shared, bus: sata}")).await;
    assert_eq!(why, "rejected: disks.shared.volume: there is no volume shared in the pool orrery; make it first, or give the disk a size");
    lab.virsh(&["vol-create-as", "orrery", "shared", "1MiB", "--format", "qcow2"]);
    let filled = lab.folder().join("filled");
    let mut content = b"what stands on the volume".to_vec();
    content.resize(1 << 20, 0);
    std::fs::write(&filled, content).unwrap();
    let volume = lab.libvirt.folder().join("pool/shared");
    let converted =
        std::process::Command::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&filled).arg(&volume).status().unwrap();
    assert!(converted.success());
    lab.done("machine.version.create", "web", with("what stands on the volume", "{volume: shared, bus: sata}")).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 3})).await, "machine restarted");
    // What is no disk of the definition any more stays; what it only named stays in any case.
    let gone = lab.done("machine.delete", "web", json!({"disks": true})).await;
    assert_eq!(gone, "machine and 3 volume(s) removed");
    assert!(volume.exists());

    lab.done("machine.create", "thief", says("{box: boots}", "boot 1", "disks: [{name: root}, {volume: box.boots.raw, name: x}]\n")).await;
    let why = lab.refused("machine.apply", "thief", json!({"version": 1})).await;
    assert!(why.contains("the volume box.boots.raw is the box boots, and no disk"), "{why}");
}

#[tokio::test]
async fn an_iso_boots_beside_an_empty_disk_and_is_held_while_it_is_used() {
    let lab = Lab::start().await;
    let imported = lab.import("installer", sector::disc(), json!({})).await;
    assert!(imported.starts_with("box installer imported: iso, "), "{imported}");
    lab.machine_of("web", says("{iso: installer}", "from the disc", "disks: [{name: root, size: 1MiB}]\n")).await;
    assert_eq!(lab.refused("box.remove", "installer", json!({})).await, "rejected: the box installer is used by web");
    lab.done("machine.delete", "web", json!({"disks": true})).await;
    assert_eq!(lab.done("box.remove", "installer", json!({})).await, "box installer removed");
}

#[tokio::test]
async fn the_seed_of_cloud_init_is_a_disk_of_each_version() {
    let lab = Lab::start().await;
    lab.import("boots", sector::disk(), json!({})).await;
    let seeded = |hostname: &str| {
        let section = format!("cloud_init: {{hostname: {hostname}, run: [[echo, line of the seed]]}}\n");
        says("{box: boots}", "that is all", &section)
    };
    let id = lab.machine_of("web", seeded("first")).await;
    let seeds = || -> Vec<String> {
        let volumes = lab.virsh(&["vol-list", "orrery"]);
        let names = volumes.lines().filter_map(|line| line.split_whitespace().next());
        names.filter(|name| name.starts_with(&format!("{id}.seed-")) && name.ends_with(".img")).map(str::to_owned).collect()
    };
    let [first] = <[String; 1]>::try_from(seeds()).unwrap();
    assert!(lab.virsh(&["domblklist", "web"]).contains(&first), "it hangs on the machine");

    // The BIOS leaves out virtio disks that it need not boot from; another guest reads the same disk by SATA.
    lab.done("machine.stop", "web", json!({})).await;
    let reader = format!("disks: [{{name: root}}, {{name: seed, volume: {first}, bus: sata}}]\n");
    lab.machine_of("reader", says("{box: boots}", "line of the seed", &reader)).await;
    lab.done("machine.delete", "reader", json!({"disks": true})).await;
    assert_eq!(seeds(), [first.as_str()]);

    lab.done("machine.version.create", "web", seeded("second")).await;
    assert_eq!(lab.done("machine.apply", "web", json!({"version": 2})).await, "machine updated, started");
    let [second] = <[String; 1]>::try_from(seeds()).unwrap();
    assert_ne!(first, second, "the seed of the version before is gone");
}

#[tokio::test]
async fn a_box_comes_over_tls_from_whom_the_host_trusts() {
    let lab = Lab::start().await;
    let url = lab.served_over_tls(sector::disk());
    let imported = lab.done("box.import", "boots", json!({"url": url})).await;
    assert!(imported.starts_with("box boots imported: raw, "), "{imported}");
    let why = lab.refused("box.import", "other", json!({"url": lab.served_by_a_stranger(sector::disk())})).await;
    assert!(why.contains("cannot be fetched") && why.contains("certificate"), "{why}");
}

/// Files packed by tar and gzip.
fn archive(folder: &std::path::Path, files: &[(&str, &[u8])]) -> Vec<u8> {
    let place = folder.join("archive");
    std::fs::create_dir_all(&place).unwrap();
    for (name, content) in files {
        std::fs::write(place.join(name), content).unwrap();
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let packed = std::process::Command::new("tar").arg("-C").arg(&place).args(["-czf", "-"]).args(names).output().unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    packed.stdout
}

#[tokio::test]
async fn a_box_of_vagrant_becomes_its_disk() {
    let lab = Lab::start().await;
    let image = sector::qcow2(lab.folder());
    let metadata = br#"{"provider": "libvirt", "format": "qcow2", "virtual_size": 1}"#;
    let of = |metadata: &[u8]| {
        archive(lab.folder(), &[("metadata.json", metadata), ("Vagrantfile", b"Vagrant.configure(2)"), ("box.img", &image)])
    };
    // What it is, is found out.
    let imported = lab.import("vagrant", of(metadata), json!({})).await;
    assert_eq!(imported, format!("box vagrant imported: qcow2, {} bytes", image.len()));
    lab.machine_of("web", says("{box: vagrant}", "boot 1 of 00001000", "")).await;
    let named = std::fs::read_dir(lab.folder().join("downloads")).map(|all| all.flatten().count());
    assert_eq!(named.unwrap_or_default(), 0, "nothing stays of what was unpacked");

    let why = lab.refused("box.import", "other", lab.payload(of(br#"{"provider": "virtualbox"}"#), json!({}))).await;
    assert!(why.contains("it is a box for virtualbox, and one for libvirt is needed"), "{why}");
    let why = lab.refused("box.import", "other", lab.payload(of(br#"{"disks": [{"path": "a"}, {"path": "b"}]}"#), json!({}))).await;
    assert!(why.contains("it has 2 disks"), "{why}");
    let why = lab.refused("box.import", "other", lab.payload(b"no archive".to_vec(), json!({"format": "vagrant"}))).await;
    assert!(why.contains("this box of Vagrant cannot be used: "), "{why}");
}

/// The guest would read what the host lets QEMU read.
#[tokio::test]
async fn an_image_that_names_another_file_of_the_host_is_refused() {
    let lab = Lab::start().await;
    let image = lab.folder().join("behind.qcow2");
    let made = |arguments: &[&str]| {
        let made =
            std::process::Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).args(arguments).arg(&image).arg("1M").status();
        assert!(made.unwrap().success());
        std::fs::read(&image).unwrap()
    };
    let behind = made(&["-u", "-b", "/etc/shadow", "-F", "raw"]);
    let beside = made(&["-o", &format!("data_file={}", lab.folder().join("beside.raw").display())]);
    for (content, what) in [(behind, "a backing file"), (beside, "a data file beside it")] {
        let why = lab.refused("box.import", "spy", lab.payload(content, json!({}))).await;
        assert!(why.contains(&format!("this image has {what}, which does not come with it")), "{why}");
    }
}
