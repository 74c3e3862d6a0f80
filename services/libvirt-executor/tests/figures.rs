//! What real guests use, as the executor tells it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use orrery_contracts::MachineId;
use orrery_contracts::figures::MachineSample;
use serde_json::json;
use support::executor::{Lab, definition};
use support::guests;

/// It boots for some seconds in software, and that takes a whole processor.
const LINUX: &str = "kind: vm\nsource: {kernel: kernel, initramfs: initrd, cmdline: console=ttyS0 quiet}\nmemory: 192MiB\nnetworks: []\n";

fn of(machines: &[MachineSample], id: MachineId) -> Option<MachineSample> {
    machines.iter().copied().find(|sample| sample.machine_id == id)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_told_with_what_it_uses_and_what_is_off_is_not() {
    let lab = Lab::start().await;
    lab.boxes().await;
    lab.import("small", guests::archive(lab.folder()), json!({"format": "rootfs"})).await;
    let mut samples = lab.asker().await.samples().await;
    let (web, other) = (lab.machine_of("web", definition(LINUX)).await, lab.machine_of("other", definition(LINUX)).await);
    let container = format!("{}-figures", lab.libvirt.tag);
    let yaml = "kind: container\nsource: {archive: small}\nmemory: 64MiB\ninit: /bin/boot\nnetworks: []\nready: {running: true}\n";
    let small = lab.machine_of(&container, definition(yaml)).await;

    let told = samples.until(|told| of(told, web).is_some_and(|sample| sample.cpu > 100)).await;
    let busy = of(&told, web).unwrap();
    assert!((busy.cpus, busy.memory) == (1, 192 << 20) && busy.resident > 16 << 20, "{busy:?}");
    assert_eq!((busy.received, busy.sent), (0, 0), "it has no interface");
    let told = samples.until(|told| of(told, small).is_some()).await;
    let small = of(&told, small).unwrap();
    assert!(small.memory > 0 && (small.read, small.written) == (None, None), "nobody counts what goes over its disks: {small:?}");

    lab.done("machine.stop", "web", json!({})).await;
    samples.until(|told| of(told, other).is_some() && of(told, web).is_none()).await;
    lab.done("machine.start", "web", json!({})).await;
    let again = samples.until(|told| of(told, web).is_some_and(|sample| sample.read.is_some())).await;
    let again = of(&again, web).unwrap();
    assert!(again.cpu < 4000, "another life is counted from nothing: {again:?}");
    assert_eq!((again.read, again.written), (Some(0), Some(0)), "it has no disk: {again:?}");
}
