//! Every key of a definition, and what libvirt then has: each is compiled, defined on a real daemon, and looked for in the definition that
//! comes back. Nothing starts. What no definition of libvirt's says is looked for where it goes instead.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use orrery_contracts::command::BoxFormat;
use orrery_contracts::{BoxHead, Digest, MachineId, Time};
use orrery_libvirt_executor::definition::{Desired, Host, Identity, Pool, compile};
use orrery_libvirt_executor::engine::{Accelerator, Act, Hypervisor as _, Kind, LibvirtEngine};
use orrery_libvirt_executor::forward::ways;
use orrery_machine::schema::{Object, Shape, TOP};
use orrery_machine::{Files, load};
use orrery_test_libvirt::Libvirtd;
use uuid::Uuid;

const VM: &str = "kind: vm\nsource: {box: a}\n";
const CONTAINER: &str = "kind: container\nsource: {archive: r}\n";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE0DI0JofUny5789zHGNIwRc7t1kWQ3WzMwW3lYLV8eG anna@example.com";

/// Keys, a definition that has them, and what libvirt's definition then has, and has not.
type Row = (&'static [&'static str], String, &'static [&'static str], &'static [&'static str]);

/// Keys, a definition that has them, and whether that came where it goes.
type Elsewhere = (&'static [&'static str], String, fn(&Desired) -> bool);

fn row(keys: &'static [&'static str], begin: &str, more: &str, has: &'static [&'static str], lacks: &'static [&'static str]) -> Row {
    (keys, format!("{begin}{more}\n"), has, lacks)
}

/// What libvirt's definition says.
fn rows() -> Vec<Row> {
    let mut all = machines();
    all.extend(disks());
    all.extend(networks());
    all.extend(containers());
    all
}

fn machines() -> Vec<Row> {
    let iso = "kind: vm\nsource: {iso: i}\ndisks: [{size: 1GiB}]\n";
    let kernel = "kind: vm\nsource: {kernel: k, initramfs: n, cmdline: console=ttyS0 <quiet>}\n";
    vec![
        row(
            &["kind", "source", "source.box"],
            VM,
            "",
            &["<domain type='qemu'", "<type arch='x86_64'", "file='/pool/{id}.root.qcow2'", "<name>web</name>", "<boot dev='hd'/>"],
            &["<description>", "cdrom", "<kernel>"],
        ),
        row(&["source.iso"], iso, "", &["device='cdrom'", "file='/pool/box.i'", "<readonly/>", "<boot dev='hd'/><boot dev='cdrom'/>"], &[]),
        row(
            &["source.kernel", "source.initramfs", "source.cmdline"],
            kernel,
            "",
            &["<kernel>/pool/box.k</kernel>", "<initrd>/pool/box.n</initrd>", "<cmdline>console=ttyS0 &lt;quiet&gt;</cmdline>"],
            &["<disk "],
        ),
        row(&["description"], VM, "description: 'a & b'", &["<description>a &amp; b</description>"], &[]),
        row(&["cpus"], VM, "cpus: 3", &["<vcpu placement='static'>3</vcpu>"], &[]),
        row(&["memory"], VM, "memory: 1GiB", &["<memory unit='KiB'>1048576</memory>"], &[]),
        row(
            &["shares", "shares.cpu", "shares.cpu_limit", "shares.memory_limit", "shares.memory_reservation"],
            VM,
            "shares: {cpu: 5, cpu_limit: 1.5, memory_limit: 1GiB, memory_reservation: 64MiB}",
            &[
                "<shares>5</shares>",
                "<global_period>100000</global_period>",
                "<global_quota>150000</global_quota>",
                "<hard_limit unit='KiB'>1048576</hard_limit>",
                "<soft_limit unit='KiB'>65536</soft_limit>",
            ],
            &[],
        ),
        row(&["firmware"], VM, "firmware: uefi", &["<os firmware='efi'>", "<feature enabled='no' name='secure-boot'/>"], &[]),
        row(&["firmware"], VM, "firmware: bios", &[], &["firmware='efi'"]),
        row(&["cloud_init"], VM, "cloud_init: {}", &["file='/pool/{id}.seed-", "<target dev='vdz' bus='virtio'/><readonly/>"], &[]),
        row(&["boot"], VM, "boot: [network, disk]", &["<boot dev='network'/><boot dev='hd'/>"], &[]),
        row(&["console"], VM, "console: true", &["<serial type='pty'>", "<console type='pty'>"], &[]),
        row(&["console"], VM, "console: false", &[], &["<serial", "<console"]),
        row(&["screen"], VM, "screen: vnc", &["<graphics type='vnc'", "<listen type='none'/>", "<model type='vga'"], &[]),
        row(&["screen"], VM, "screen: none", &["<model type='none'/>"], &["<graphics"]),
        row(&["restart"], VM, "restart: always", &["<on_poweroff>restart<", "<on_reboot>restart<", "<on_crash>restart<"], &[]),
        row(&["restart"], VM, "restart: on-failure", &["<on_poweroff>destroy<", "<on_reboot>restart<", "<on_crash>restart<"], &[]),
        row(&["restart"], VM, "restart: no", &["<on_poweroff>destroy<", "<on_reboot>restart<", "<on_crash>destroy<"], &[]),
    ]
}

fn disks() -> Vec<Row> {
    const SCSI: &str = "<controller type='scsi' index='0' model='virtio-scsi'>";
    vec![
        row(&["disks", "disks.name"], VM, "disks: [{name: first}]", &["file='/pool/{id}.first.qcow2'"], &[]),
        row(
            &["disks.volume"],
            VM,
            "disks: [{}, {name: v, volume: v.raw}]",
            &["type='raw'", "file='/pool/v.raw'", "dev='vdb' bus='virtio'"],
            &[],
        ),
        row(&["disks.bus"], VM, "disks: [{bus: virtio}]", &["<target dev='vda' bus='virtio'/>"], &["scsi"]),
        row(&["disks.bus"], VM, "disks: [{bus: scsi}]", &["<target dev='sda' bus='scsi'/>", SCSI], &["index='1' model='virtio-scsi'"]),
        row(&["disks.bus"], VM, "disks: [{bus: sata}]", &["<target dev='sda' bus='sata'/>"], &["scsi"]),
        row(&["disks.bus"], VM, "disks: [{bus: ide}]", &["<target dev='hda' bus='ide'/>", "machine='pc"], &["scsi"]),
        // A controller holds seven names, and libvirt would add one of its own choice for the eighth.
        (
            &["disks.bus"],
            format!("{VM}disks: [{{}}{}]\n", (1..18).map(|n| format!(", {{name: d{n}, size: 1MiB, bus: scsi}}")).collect::<String>()),
            &["<target dev='sdr' bus='scsi'/>", SCSI, "<controller type='scsi' index='2' model='virtio-scsi'>"],
            &["lsilogic"],
        ),
    ]
}

fn networks() -> Vec<Row> {
    vec![
        row(&["networks", "networks.nat"], VM, "networks: [{nat: b}]", &["<source network='b'/>", "<model type='virtio'/>"], &[]),
        row(&["networks"], VM, "networks: []", &[], &["<interface"]),
        row(&["networks.bridge"], VM, "networks: [{bridge: b}]", &["<interface type='bridge'>", "<source bridge='b'/>"], &[]),
        row(&["networks.isolated"], VM, "networks: [{isolated: b}]", &["<interface type='network'>", "<source network='b'/>"], &[]),
        row(&["networks.user"], VM, "networks: [{user: true}]", &["<interface type='user'>"], &["passt"]),
        row(&["networks.mac"], VM, "networks: [{nat: b, mac: '02:00:00:00:00:0A'}]", &["<mac address='02:00:00:00:00:0a'/>"], &[]),
        row(&["networks.model"], VM, "networks: [{nat: b, model: e1000e}]", &["<model type='e1000e'/>"], &[]),
        row(&["networks.model"], VM, "networks: [{nat: b, model: e1000}]", &["<model type='e1000'/>"], &[]),
        row(&["networks.model"], VM, "networks: [{nat: b, model: rtl8139}]", &["<model type='rtl8139'/>"], &[]),
    ]
}

fn containers() -> Vec<Row> {
    let more = "memory: 64MiB\nshares: {cpu: 5, cpu_limit: 0.5, memory_reservation: 32MiB}";
    vec![
        row(
            &["kind", "source.archive", "init", "idmap"],
            CONTAINER,
            "",
            &[
                "<domain type='lxc'",
                "<source dir='/pool/{id}.rootfs'/><target dir='/'/>",
                "<init>/sbin/init</init>",
                "<uid start='0' target='100000' count='65536'/>",
                "<gid start='0' target='100000' count='65536'/>",
            ],
            &[],
        ),
        row(&["idmap"], CONTAINER, "idmap: false", &[], &["<idmap>"]),
        row(&["init"], CONTAINER, "init: [/bin/a, -b, c d]", &["<init>/bin/a</init><initarg>-b</initarg><initarg>c d</initarg>"], &[]),
        row(&["environment"], CONTAINER, "environment: {A: b}", &["<initenv name='A'>b</initenv>"], &[]),
        row(
            &["memory", "shares.cpu", "shares.cpu_limit", "shares.memory_reservation"],
            CONTAINER,
            more,
            &[
                "<memory unit='KiB'>65536</memory>",
                "<shares>5</shares>",
                "<period>100000</period><quota>50000</quota>",
                "<soft_limit unit='KiB'>32768</soft_limit>",
            ],
            &[],
        ),
        row(
            &["networks.address"],
            CONTAINER,
            "networks: [{nat: b, address: 10.0.0.2}]",
            &[
                "<ip address='10.0.0.2' family='ipv4' prefix='24'/>",
                "<route family='ipv4' address='0.0.0.0' prefix='0' gateway='10.0.0.1'/>",
            ],
            &[],
        ),
        row(&["networks"], CONTAINER, "networks: []", &["<privnet/>"], &["<interface"]),
        row(&["console"], CONTAINER, "console: true", &["<console type='pty'"], &[]),
    ]
}

/// What libvirt's definition does not say, and what is made of it here.
fn elsewhere() -> Vec<Elsewhere> {
    let short = |line: &str| format!("{VM}cloud_init: {{{line}}}\n");
    let user = |more: &str| short(&format!("users: [{{name: anna, {more}}}]"));
    vec![
        (&["disks.size"], format!("{VM}disks: [{{size: 5GiB}}]\n"), |made| made.disks[0].capacity == 5 << 30),
        (&["networks.address"], format!("{VM}networks: [{{nat: b, address: 10.0.0.2}}]\n"), |made| {
            made.reservations().iter().any(|(network, one)| network == "b" && one.ip.to_string() == "10.0.0.2")
        }),
        (&["ports", "ports.host", "ports.guest"], format!("{VM}ports: ['1:2']\n"), |made| door(made) == "1/tcp -> 2"),
        (&["ports.host_ip"], format!("{VM}ports: ['127.0.0.1:1:2']\n"), |made| door(made) == "127.0.0.1:1/tcp -> 2"),
        (&["ports.protocol"], format!("{VM}ports: ['1:2/udp']\n"), |made| door(made) == "1/udp -> 2"),
        (&["cloud_init.hostname"], short("hostname: b"), |made| seed_says(made, "\"local-hostname\": \"b\"")),
        (&["cloud_init.user_data"], short("user_data: user.yaml"), |made| seed_says(made, "#cloud-config\n# of the bundle")),
        (&["cloud_init.network_data"], short("network_data: user.yaml"), |made| seed_says(made, "# of the bundle")),
        (&["cloud_init.users", "cloud_init.users.name"], user("sudo: false"), |made| seed_says(made, "anna")),
        (&["cloud_init.users.ssh_keys"], user(&format!("ssh_keys: [{KEY}]")), |made| seed_says(made, KEY)),
        (&["cloud_init.users.sudo"], user("sudo: true"), |made| seed_says(made, "NOPASSWD")),
        (&["cloud_init.users.groups"], user("groups: [adm]"), |made| seed_says(made, "adm")),
        (&["cloud_init.users.shell"], user("shell: /bin/other"), |made| seed_says(made, "/bin/other")),
        (&["cloud_init.users.password_hash"], user("password_hash: $6$saltsalt$abcdefghijklmnop"), |made| seed_says(made, "$6$saltsalt$")),
        (&["cloud_init.ssh_keys"], short(&format!("ssh_keys: [{KEY}]")), |made| seed_says(made, KEY)),
        (&["cloud_init.packages"], short("packages: [vim]"), |made| seed_says(made, "vim")),
        (&["cloud_init.run"], short("run: [[echo, hello]]"), |made| seed_says(made, "hello")),
        (
            &["cloud_init.write_files", "cloud_init.write_files.path", "cloud_init.write_files.content"],
            short("write_files: [{path: /etc/b, content: words}]"),
            |made| seed_says(made, "/etc/b") && (seed_says(made, "words") || seed_says(made, "d29yZHM=")),
        ),
        (&["cloud_init.write_files.file"], short("write_files: [{path: /b, file: user.yaml}]"), |made| {
            seed_says(made, "of the bundle") || seed_says(made, "I2Nsb3VkLWNvbmZpZwojIG9mIHRoZSBidW5kbGU")
        }),
        (&["cloud_init.write_files.permissions"], short("write_files: [{path: /b, content: c, permissions: '0640'}]"), |made| {
            seed_says(made, "0640")
        }),
    ]
}

/// Keys of which neither libvirt nor a guest hears: the executor goes by them, and tests of its own show it.
const OF_THE_EXECUTOR: [&str; 10] = [
    "labels",
    "autostart",
    "ready",
    "ready.running",
    "ready.address",
    "ready.agent",
    "ready.tcp",
    "ready.console",
    "ready.timeout",
    "stop_grace_period",
];
/// What passt carries is held against the definition that is sent, by a test below: not every libvirt has passt.
const OF_PASST: &str = "ports.by";

fn door(made: &Desired) -> String {
    let found = ways(&made.machine, made.identity.machine, made.domain(), ("web", "ada"));
    found.iter().map(|way| format!("{} -> {}", way.front, way.guest)).collect()
}

fn seed_says(made: &Desired, words: &str) -> bool {
    let image = &made.seed.as_ref().expect("there is a seed").image;
    image.windows(words.len()).any(|part| part == words.as_bytes())
}

fn boxes() -> BTreeMap<String, BoxHead> {
    let one = |name: &str, format| BoxHead {
        name: name.parse().unwrap(),
        owner: "ada".parse().unwrap(),
        host: "local".into(),
        format,
        volume: format!("box.{name}"),
        sha256: Digest::of(b""),
        size: 1 << 20,
        capacity: 1 << 20,
        description: String::new(),
        origin: "https://host/a".into(),
        imported_at: Time::parse("2026-01-01T00:00:00Z").unwrap(),
        deleted: false,
        command: 1,
    };
    let all = [("a", BoxFormat::Qcow2), ("i", BoxFormat::Iso), ("k", BoxFormat::File), ("n", BoxFormat::File), ("r", BoxFormat::Rootfs)];
    all.into_iter().map(|(name, format)| (name.to_owned(), one(name, format))).collect()
}

fn id() -> MachineId {
    MachineId::new(Uuid::from_u128(7))
}

fn compiled(yaml: &str) -> Desired {
    let files: Files = [("machine.yaml", yaml), ("user.yaml", "#cloud-config\n# of the bundle\n")].into_iter().collect();
    let outcome = load(&files);
    let machine = outcome.machine.unwrap_or_else(|| panic!("{yaml}: {:?}", outcome.problems));
    let identity =
        Identity { installation: Uuid::from_u128(1), machine: id(), owner: "ada".into(), domain: "web".into(), version: 1, command: 7 };
    let host = Host {
        pool: Pool { path: "/pool".into() },
        accelerator: Accelerator::Tcg,
        passt: true,
        libvirt: "9.0.0".into(),
        volumes: BTreeMap::from([("v.raw".to_owned(), "raw".to_owned())]),
        subnets: BTreeMap::new(),
    };
    compile(&machine, &identity, &host, &boxes()).unwrap_or_else(|faults| panic!("{yaml}: {faults:?}"))
}

/// Every key of the format, by its path.
fn keys(path: &str, object: &'static Object, all: &mut BTreeSet<String>) {
    for key in object.keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        all.insert(path.clone());
        let inner = if let Shape::List(inner, _) = key.shape { *inner } else { key.shape };
        if let Shape::Object(object) | Shape::Short(_, object) = inner {
            keys(&path, object, all);
        }
    }
}

#[test]
fn every_key_goes_somewhere() {
    let mut all = BTreeSet::new();
    keys("", &TOP, &mut all);
    let (rows, elsewhere) = (rows(), elsewhere());
    let shown = rows.iter().flat_map(|(keys, ..)| keys.iter()).chain(elsewhere.iter().flat_map(|(keys, ..)| keys.iter()));
    let shown: BTreeSet<String> = shown.chain(OF_THE_EXECUTOR.iter()).chain([&OF_PASST]).map(|key| (*key).to_owned()).collect();
    assert_eq!(shown, all);
    for (keys, yaml, holds) in elsewhere {
        assert!(holds(&compiled(&yaml)), "{keys:?}:\n{yaml}");
    }
}

#[tokio::test]
async fn what_a_key_says_libvirt_has() {
    let libvirt = Libvirtd::start().unwrap();
    let engine = LibvirtEngine::start(&support::uris(&libvirt));
    for (keys, yaml, has, lacks) in rows() {
        let desired = compiled(&yaml);
        let domain = desired.domain();
        let define = Act::Define { kind: domain.kind, xml: desired.xml(&desired.record()) };
        engine.act(&define, &|_| {}).await.unwrap_or_else(|error| panic!("{keys:?}: {error}\n{yaml}"));
        let uri = if domain.kind == Kind::Vm { libvirt.vm() } else { libvirt.container() };
        let told = told(&uri);
        for words in has {
            assert!(told.contains(&words.replace("{id}", &id().to_string())), "{keys:?}: there is no {words} in\n{told}\nof\n{yaml}");
        }
        for words in lacks {
            assert!(!told.contains(words), "{keys:?}: there is {words} in\n{told}\nof\n{yaml}");
        }
        engine.act(&Act::Undefine { domain }, &|_| {}).await.unwrap();
    }
}

/// What libvirt kept of it, without the white space between elements.
fn told(uri: &str) -> String {
    let output = Command::new("virsh").args(["-c", uri, "dumpxml", "--inactive", "web"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::trim).collect()
}

/// By libvirt's own schema, and word by word: not every libvirt has passt, and one without leaves out what it does not know.
#[tokio::test]
async fn what_passt_carries_is_written_as_libvirt_reads_it() {
    let ports = "networks: [{nat: a}, {user: true}, {user: true}]\nports: ['1:2', {host: 3, guest: 4, by: passt}, \
                 {host_ip: 127.0.0.1, host: 5, guest: 6, protocol: udp, by: passt}]\n";
    let desired = compiled(&format!("{VM}{ports}"));
    let sent = desired.xml(&desired.record());
    let document = roxmltree::Document::parse(&sent).unwrap();
    let interfaces: Vec<_> = document.descendants().filter(|node| node.has_tag_name("interface")).collect();
    let [nat, first, second] = interfaces.as_slice() else { panic!("{sent}") };
    let backend = |node: &roxmltree::Node<'_, '_>| {
        node.children().find(|child| child.has_tag_name("backend")).and_then(|found| found.attribute("type").map(str::to_owned))
    };
    assert_eq!([backend(nat), backend(first), backend(second)], [None, Some("passt".to_owned()), None]);
    let forwards = first.children().filter(|child| child.has_tag_name("portForward")).map(|forward| {
        let range = forward.first_element_child().unwrap();
        let of = |node: roxmltree::Node<'_, '_>, name: &str| node.attribute(name).unwrap_or_default().to_owned();
        [of(forward, "proto"), of(forward, "address"), of(range, "start"), of(range, "to")].join(" ")
    });
    assert_eq!(forwards.collect::<Vec<_>>(), ["tcp  3 4", "udp 127.0.0.1 5 6"]);
    assert_eq!(door(&desired), "1/tcp -> 2", "the rest is ours");
    let libvirt = Libvirtd::start().unwrap();
    let engine = LibvirtEngine::start(&support::uris(&libvirt));
    let define = Act::Define { kind: Kind::Vm, xml: sent.clone() };
    // Debian's libvirt 9.0.0 knows passt by its schema alone, which comes first.
    match engine.act(&define, &|_| {}).await {
        Ok(_) => assert!(told(&libvirt.vm()).contains("<range start='3' to='4'/>")),
        Err(error) => assert!(error.to_string().contains("'backend': 'passt'"), "{error}\n{sent}"),
    }
}
