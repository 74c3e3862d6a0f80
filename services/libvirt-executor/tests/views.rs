//! What the executor answers over the broker: consoles and screens of real guests, and what an apply would do to a machine.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use orrery_contracts::rpc::{MachinePlanQuestion, PlanTarget};
use orrery_contracts::{Code, MachineId};
use serde_json::{Value, json};
use support::executor::{Lab, definition};
use support::guests;

fn yaml(more: &str) -> String {
    format!(
        "kind: vm\nsource: {{kernel: kernel, initramfs: initrd, cmdline: console=ttyS0 quiet}}\nmemory: 192MiB\nnetworks: []\n\
         stop_grace_period: 2s\n{more}"
    )
}

const GREETS: &str = "ready: {console: hello from the guest}\n";

fn vm(more: &str) -> Value {
    definition(&yaml(more))
}

#[tokio::test(flavor = "multi_thread")]
async fn several_people_look_at_one_console_and_who_comes_back_finds_what_was_said() {
    let mut lab = Lab::start().await;
    lab.boxes().await;
    let asker = lab.asker().await;
    let (seq, _) = lab.run("machine.create", "web", vm(GREETS)).await;
    let id = lab.id_of(seq).await;
    let nothing = asker.refusal("console", id).await;
    assert!(nothing.code == Code::Conflict && nothing.detail.contains("apply a version first"), "{nothing:?}");
    lab.done("machine.apply", "web", json!({"version": 1})).await;

    let mut first = asker.look("console", id).await.unwrap();
    first.sees("hello from the guest").await;
    first.say("one\n").await;
    first.sees("got one").await;
    let mut second = asker.look("console", id).await.unwrap();
    second.sees("hello from the guest").await;
    second.sees("got one").await;
    second.say("two\n").await;
    first.sees("got two").await;
    second.sees("got two").await;
    first.leaves().await;
    second.say("three\n").await;
    second.sees("got three").await;
    let mut back = asker.look("console", id).await.unwrap();
    for said in ["hello from the guest", "got one", "got two", "got three"] {
        back.sees(said).await;
    }

    // The executor dies: whoever comes back is heard again.
    lab.kill();
    lab.start_again();
    lab.done("machine.apply", "web", json!({"version": 1})).await;
    let mut third = asker.look("console", id).await.unwrap();
    third.say("four\n").await;
    third.sees("got four").await;

    // Another boot is another life, told in the same place.
    lab.done("machine.stop", "web", json!({})).await;
    third.all().await;
    let off = asker.refusal("console", id).await;
    assert!(off.code == Code::Conflict && off.detail == "web is off: start it first", "{off:?}");
    lab.done("machine.start", "web", json!({})).await;
    let mut fourth = asker.look("console", id).await.unwrap();
    fourth.sees("got four").await;
    fourth.sees("hello from the guest").await;
    fourth.say("five\n").await;
    fourth.sees("got five").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_is_shown_and_pictured_without_any_port() {
    let lab = Lab::start().await;
    lab.boxes().await;
    let asker = lab.asker().await;
    let id = lab.machine_of("web", vm(&format!("{GREETS}screen: vnc\n"))).await;
    let mut screen = asker.look("screen", id).await.unwrap();
    // The handshake of RFC 6143, section 7.1, up to the size of the screen.
    assert_eq!(screen.takes(12).await, b"RFB 003.008\n");
    screen.say("RFB 003.008\n").await;
    assert_eq!(screen.takes(2).await, [1, 1], "one kind of security, which is none: nobody but this stream gets there");
    screen.say([1]).await;
    assert_eq!(screen.takes(4).await, [0; 4], "it is let in");
    screen.say([1]).await;
    let shown = screen.takes(24).await;

    let picture = asker.look("screenshot", id).await.unwrap().all().await;
    let mut decoded = png::Decoder::new(std::io::Cursor::new(picture)).read_info().unwrap();
    let (width, height) = decoded.info().size();
    let size = [u16::try_from(width).unwrap().to_be_bytes(), u16::try_from(height).unwrap().to_be_bytes()].concat();
    assert_eq!(shown[..4], size, "{width} by {height}");
    let mut pixels = vec![0; decoded.output_buffer_size().unwrap()];
    decoded.next_frame(&mut pixels).unwrap();
    assert!(width >= 640 && pixels.iter().any(|value| *value > 0), "the firmware has written on it");
    assert!(lab.virsh(&["dumpxml", "web"]).contains("<listen type='none'/>"), "no port is open");

    lab.done("machine.stop", "web", json!({})).await;
    let off = asker.refusal("screenshot", id).await;
    assert!(off.code == Code::Conflict && off.detail == "web is off: start it first", "{off:?}");
    screen.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_has_not_is_said() {
    let lab = Lab::start().await;
    lab.boxes().await;
    let asker = lab.asker().await;
    let id = lab.machine_of("web", vm("console: false\n")).await;
    for (verb, words) in [("console", "`console: false`"), ("screen", "`screen: vnc`"), ("screenshot", "`screen: vnc`")] {
        let refused = asker.refusal(verb, id).await;
        assert!(refused.code == Code::Conflict && refused.detail.contains(words), "{verb}: {refused:?}");
    }
    lab.done("machine.delete", "web", json!({"disks": true})).await;
    let gone = asker.refusal("console", id).await;
    assert!(gone.detail.contains("the machine has no domain"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_a_console_and_no_screen() {
    let lab = Lab::start().await;
    let name = format!("{}-view", lab.libvirt.tag);
    lab.import("small", guests::archive(lab.folder()), json!({"format": "rootfs"})).await;
    let yaml = format!("kind: container\nsource: {{archive: small}}\nmemory: 64MiB\ninit: /bin/boot\nnetworks: []\n{GREETS}");
    let id = lab.machine_of(&name, definition(&yaml)).await;
    let asker = lab.asker().await;
    let (mut first, mut second) = (asker.look("console", id).await.unwrap(), asker.look("console", id).await.unwrap());
    first.sees("hello from the guest").await;
    second.sees("hello from the guest").await;
    first.say("one\n").await;
    first.sees("got one").await;
    second.sees("got one").await;
    for verb in ["screen", "screenshot"] {
        let refused = asker.refusal(verb, id).await;
        assert!(refused.code == Code::Conflict && refused.detail.contains("a container has no screen"), "{verb}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_what_the_apply_then_does() {
    let lab = Lab::start().await;
    lab.boxes().await;
    let asker = lab.asker().await;
    let files = |yaml: String| PlanTarget::Bundle(serde_json::from_value(json!({"files": {"machine.yaml": yaml}})).unwrap());
    let ask = |machine_id: Option<MachineId>, target| MachinePlanQuestion { machine_id, domain: "web".into(), actor: "ada".into(), target };
    let disk = "disks: [{name: data, size: 16MiB}]\n";

    // Of a machine that is not made yet, and of one whose definition this host cannot give.
    let new = asker.plan(&ask(None, files(yaml(disk)))).await.unwrap();
    let planned: Vec<String> = new.actions.iter().map(|action| format!("planned: {} ({})", action.action, action.reason)).collect();
    assert!(!new.empty && !planned.is_empty(), "{new:?}");
    let unfit = yaml(disk).replace("kernel: kernel", "kernel: nothing");
    let refused = asker.plan(&ask(None, files(unfit))).await.unwrap_err();
    assert!(refused.code == Code::InvalidDefinition && refused.errors[0].message.contains("there is no box nothing"), "{refused:?}");

    // The apply plans the very same, and nothing is left to do.
    let (seq, _) = lab.run("machine.create", "web", vm(disk)).await;
    let id = lab.id_of(seq).await;
    let version = asker.plan(&ask(Some(id), PlanTarget::Version(1))).await.unwrap();
    assert_eq!(version.actions.len(), new.actions.len(), "{version:?}");
    let (seq, _) = lab.run("machine.apply", "web", json!({"version": 1})).await;
    let carried_out: Vec<String> = lab.steps(seq).await.into_iter().filter(|step| step.starts_with("planned: ")).collect();
    assert_eq!(carried_out, planned);
    let done = asker.plan(&ask(Some(id), PlanTarget::Version(1))).await.unwrap();
    assert!(done.empty && done.actions.is_empty(), "{done:?}");
    let more = asker.plan(&ask(Some(id), files(yaml(&format!("{disk}shares: {{cpu: 512}}\n"))))).await.unwrap();
    assert!(!more.empty && more.actions.len() == 1, "{more:?}");
    let missing = asker.plan(&ask(Some(id), PlanTarget::Version(7))).await.unwrap_err();
    assert!(missing.code == Code::NotFound && missing.detail == "web has no version 7", "{missing:?}");
    assert_eq!(lab.virsh(&["domstate", "web"]), "running", "asking changes nothing");
}
