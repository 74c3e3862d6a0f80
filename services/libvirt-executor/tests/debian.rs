//! Whole Debians, made from its packages. One boots from a box, and cloud-init makes of it what the definition says; what it made is looked
//! at from outside, by ssh, and what runs in it is reached from another host. Another is a container, with its services.
#![cfg(target_arch = "x86_64")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use orrery_contracts::MachineId;
use orrery_contracts::figures::MachineSample;
use orrery_test_libvirt::{Inside, Neighbour};
use serde_json::json;
use support::executor::{Lab, definition, until};
use support::{guests, talk};

/// Its network, past what is made from the definition: the second interface asks nobody for its address.
const NETWORK: &str = "version: 2\nethernets:\n  \
    eth0: {match: {macaddress: '52:54:00:00:08:50'}, set-name: eth0, dhcp4: true}\n  \
    eth1: {match: {macaddress: '52:54:00:00:07:77'}, set-name: eth1, addresses: [10.9.7.77/24], optional: true}\n";

/// Says on UDP what it has heard.
const HEARD: &str = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('0.0.0.0', 5353))\nwhile True:\n    \
    said, peer = s.recvfrom(65535)\n    s.sendto(b'heard ' + said, peer)\n";

/// A container of Docker's, from no registry: what serves the page is the guest's own busybox, and the page says in which container.
const CONTAINER: &str = "set -e; sudo systemctl start docker; mkdir -p image/bin image/www; cp /bin/busybox image/bin/; ln -s busybox image/bin/sh; \
    tar -C image -c . | sudo docker import - small >/dev/null; \
    sudo docker run -d --name page -p 12345:80 small /bin/sh -c \
    'echo \"container $HOSTNAME\" >/www/index.html; exec /bin/busybox httpd -f -p 80 -h /www' >id; \
    echo \"container $(cut -c 1-12 id)\"; \
    sudo readlink /proc/1/ns/net /proc/$(sudo docker inspect -f '{{.State.Pid}}' page)/ns/net";

/// Writes a disk and sends what it reads from it, which takes processors too.
const WORK: &str = "sudo dd if=/dev/zero of=/dev/sda bs=1M oflag=direct 2>/dev/null; sudo dd if=/dev/sda bs=1M iflag=direct 2>/dev/null";

/// Somebody who signs in to a guest with a key.
#[derive(Clone)]
struct User {
    key: PathBuf,
    network: Inside,
}

impl User {
    /// One with a new key, and its public half.
    fn new(lab: &Lab) -> (Self, String) {
        let key = lab.folder().join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "anna@example.com", "-f"]).arg(&key).status();
        assert!(made.unwrap().success(), "ssh-keygen makes a key");
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        (Self { key, network: lab.libvirt.network().unwrap() }, public.trim().to_owned())
    }

    /// What he is answered, and whether it went well.
    fn runs(&self, user: &str, words: &str) -> (bool, String) {
        let mut ssh = ssh(&self.key, user, words);
        let output = self.network.run(move || ssh.output().unwrap());
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (
            output.status.success(),
            said.lines().filter(|line| !line.starts_with("sudo: unable to resolve")).map(|line| format!("{}\n", line.trim())).collect(),
        )
    }

    /// The same where only what it costs counts.
    fn works(&self, words: &str) {
        let mut ssh = ssh(&self.key, "anna", words);
        self.network.run(move || ssh.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap());
    }
}

fn ssh(key: &Path, user: &str, words: &str) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]);
    ssh.args(["-o", "ConnectTimeout=60", "-F", "none", "-i"]).arg(key).arg(format!("{user}@10.9.8.50")).arg(words).stdin(Stdio::null());
    ssh
}

fn machine(public: &str) -> serde_json::Value {
    // The last command opens a port: by then everything else is done.
    let machine = format!(
        "kind: vm\nsource: {{box: debian}}\ncpus: 2\nmemory: 768MiB\ndisks: [{{name: root}}, {{name: data, size: 64MiB, bus: scsi}}]\n\
         networks:\n  - {{nat: outside, address: 10.9.8.50, mac: '52:54:00:00:08:50'}}\n  - {{isolated: inside, mac: '52:54:00:00:07:77'}}\n\
         ports: ['12345:12345', '5353:5353/udp']\nstop_grace_period: 1s\n\
         cloud_init:\n  hostname: observatory\n  network_data: network.yaml\n  \
         users: [{{name: anna, ssh_keys: [{public}], sudo: true, groups: [adm]}}]\n  \
         write_files:\n    - {{path: /etc/orrery/greeting, content: \"hello, café\\n\", permissions: \"0640\"}}\n    \
         - {{path: /usr/local/sbin/heard.py, file: heard.py}}\n  \
         run:\n    - hostname > /run/named-by-then\n    - [systemd-run, python3, /usr/local/sbin/heard.py]\n    \
         - [/usr/sbin/sshd, -p, \"8000\"]\n\
         ready: {{agent: true, timeout: 10m}}\n"
    );
    json!({"bundle": {"files": {"machine.yaml": machine, "network.yaml": NETWORK, "heard.py": HEARD}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_debian_is_configured_by_cloud_init_and_what_runs_in_it_is_reached_from_outside() {
    let lab = Lab::start().await;
    let (user, public) = User::new(&lab);
    let summary = lab.import("debian", std::fs::read(guests::debian()).unwrap(), json!({})).await;
    assert!(summary.starts_with("box debian imported: qcow2"), "{summary}");
    let id = lab.machine_of("web", machine(&public)).await;
    let pong = lab.virsh(&["qemu-agent-command", "web", r#"{"execute": "guest-ping"}"#]);
    assert_eq!(pong, r#"{"return":{}}"#, "the agent that the apply waited for answers");

    let last = SocketAddr::from(([10, 9, 8, 50], 8000));
    until("cloud-init to come to its end", async || talk::greeting(&user.network, last)).await;
    configured(&user);
    let both = ["10.9.7.77", "10.9.8.50"];
    let seen = async || lab.machine(id).await.filter(|seen| seen.addresses == both);
    until("its lease, and what only its agent knows, to be observed", seen).await;

    reached(&lab, &user).await;
    figures(&lab, &user, id).await;
}

/// What cloud-init made, and what the definition says of the machine.
fn configured(user: &User) {
    let (well, said) = user.runs(
        "anna",
        "hostname; cat /run/named-by-then; id -nG; sudo stat -c %a:%U /etc/orrery/greeting; sudo cat /etc/orrery/greeting; \
         . /etc/os-release; echo $ID; sudo cloud-init status --wait | tail -n 1; cat /sys/block/sda/size; \
         basename $(readlink -f /sys/block/sda/device/../../../driver); ip -br -4 address show",
    );
    let lines: Vec<&str> = said.lines().collect();
    assert!(well, "{said}");
    assert_eq!(lines[..7], ["observatory", "observatory", "anna adm", "640:root", "hello, café", "debian", "status: done"], "{said}");
    assert_eq!(lines[7..9], ["131072", "virtio_scsi"], "its disk hangs on what every Linux knows: {said}");
    for (interface, address) in [("eth0", "10.9.8.50/24"), ("eth1", "10.9.7.77/24")] {
        assert!(lines[9..].iter().any(|line| line.starts_with(interface) && line.contains(address)), "{said}");
    }
    // The image's default user was not asked for.
    assert!(!user.runs("debian", "true").0);
}

/// A container publishes 12345 inside of the guest, which is behind address translation; a client on another host reaches it at an
/// address of this one, by one forward. And a datagram goes there and back.
async fn reached(lab: &Lab, user: &User) {
    let (well, said) = user.runs("anna", CONTAINER);
    let lines: Vec<&str> = said.lines().collect();
    assert!(well && lines.len() == 3, "{said}");
    assert!(lines[1].starts_with("net:[") && lines[2].starts_with("net:[") && lines[1] != lines[2], "it has a network of its own: {said}");
    let neighbour = lab.neighbour();
    let at = |ip: IpAddr, port| SocketAddr::new(ip, port);
    let page = async || talk::page(&neighbour.network, at(Neighbour::HOST, 12345), "/index.html");
    assert_eq!(until("the page of the container", page).await, lines[0]);
    assert_eq!(talk::page(&user.network, at([127, 0, 0, 1].into(), 12345), "/index.html").as_deref(), Some(lines[0]));
    assert_eq!(talk::page(&neighbour.network, at([10, 9, 8, 50].into(), 12345), "/index.html"), None, "there is no way past the forward");
    for word in ["one", "two"] {
        let heard = talk::udp(&neighbour.network, at(Neighbour::HOST, 5353), word);
        assert_eq!(heard, Some(format!("heard {word}")));
    }
}

/// The figures move when the guest works, and again when it rests.
async fn figures(lab: &Lab, user: &User, id: MachineId) {
    let mut samples = lab.asker().await.samples().await;
    let worker = user.clone();
    let work = tokio::task::spawn_blocking(move || worker.works(WORK));
    let (mut most, megabyte): (Option<MachineSample>, u64) = (None, 1 << 20);
    let of = |told: &[MachineSample]| told.iter().copied().find(|sample| sample.machine_id == id);
    samples
        .until(|told| {
            let Some(now) = of(told) else { return false };
            assert!((now.cpus, now.memory) == (2, 768 << 20) && now.resident > 64 << 20, "{now:?}");
            let most = most.get_or_insert(now);
            most.cpu = most.cpu.max(now.cpu);
            (most.read, most.written) = (most.read.max(now.read), most.written.max(now.written));
            (most.received, most.sent) = (most.received.max(now.received), most.sent.max(now.sent));
            let disk = most.read > Some(megabyte) && most.written > Some(megabyte);
            disk && most.cpu > 200 && most.sent > megabyte && most.received > 1000
        })
        .await;
    work.await.unwrap();
    let little = |rate: Option<u64>| rate.is_some_and(|rate| rate < megabyte);
    let rests = |now: MachineSample| little(now.read) && little(now.written) && now.sent < megabyte && now.cpu < 1000;
    samples.until(|told| of(told).is_some_and(rests)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debian_is_a_container_whose_services_are_reached_whatever_starts_again() {
    let mut lab = Lab::start().await;
    let (name, neighbour) = (format!("{}-debian", lab.libvirt.tag), lab.neighbour());
    let web = name.as_str();
    let summary = lab.import("root", std::fs::read(guests::debian_root()).unwrap(), json!({"format": "rootfs"})).await;
    assert!(summary.starts_with("box root imported: rootfs"), "{summary}");
    let machine = "kind: container\nsource: {archive: root}\nmemory: 256MiB\nautostart: true\nnetworks: [{nat: outside, address: 10.9.8.70}]\n\
                   ports: ['8080:80', '5353:5353/udp']\nstop_grace_period: 60s\nready: {console: of a Debian, timeout: 4m}\n";
    let id = lab.machine_of(web, definition(machine)).await;
    let seen = until("its address to be observed", async || lab.machine(id).await.filter(|seen| !seen.addresses.is_empty())).await;
    assert_eq!(seen.addresses, ["10.9.8.70"]);

    let page = |path: &str| talk::page(&neighbour.network, SocketAddr::new(Neighbour::HOST, 8080), path);
    let heard = |word: &str| talk::udp(&neighbour.network, SocketAddr::new(Neighbour::HOST, 5353), word);
    let served = async |boots: &str| {
        until(&format!("boot {boots} to serve its page"), async || page("/boots").filter(|number| number == boots)).await;
        assert_eq!(page("/index.html").as_deref(), Some("the page of a Debian"));
        assert_eq!(until("a datagram to be answered", async || heard(boots)).await, format!("heard {boots}"));
    };
    served("1").await;
    assert_eq!(lab.done("machine.reboot", web, json!({})).await, "the guest boots again");
    served("2").await;

    lab.broker_starts_again().await;
    lab.kill();
    assert_eq!(page("/boots"), None, "nobody listens without the executor");
    lab.start_again();
    served("2").await;
    assert_eq!(lab.done("machine.shutdown", web, json!({})).await, "the guest has ended");
    assert_eq!(page("/boots"), None);
    lab.done("machine.start", web, json!({})).await;
    served("3").await;
    lab.libvirt.kill().unwrap();
    lab.libvirt.start_again().unwrap();
    served("3").await;

    // The host starts again, and with it what starts with the host.
    lab.virsh_lxc(&["destroy", web]);
    lab.host_starts_again();
    served("4").await;
}
