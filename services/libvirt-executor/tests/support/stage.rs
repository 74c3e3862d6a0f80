//! One installation in memory with its host: the broker and libvirt are simulated, the folders of the executor and the pool are real.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use orrery_contracts::bundle::BundleLimits;
use orrery_contracts::command::BoxFormat;
use orrery_contracts::rpc::{Raw, UploadPiece};
use orrery_contracts::{Change, Digest, Engine as Which, MachineEvent, Status, TransitionMessage, UploadOf, subjects};
use orrery_libvirt_executor::commands::LibvirtExecutor;
use orrery_libvirt_executor::definition::{Pool, box_volume};
use orrery_libvirt_executor::engine::MemoryEngine;
use orrery_libvirt_executor::uploads::Uploads;
use orrery_queue::Definitions;
use orrery_simulation::{Control, Weather, Wire, World};
use serde_json::Value;
use tokio::time::sleep;
use uuid::Uuid;

use crate::wired::{Mischief, Wired};

/// One installation with its host, and an executor that can be killed.
pub struct Stage {
    pub world: World,
    pub engine: Arc<MemoryEngine>,
    pub acts: Arc<AtomicU64>,
    folder: PathBuf,
    published: u128,
    /// The port that machines ask for, as their definitions have it.
    pub port: String,
    /// What was uploaded, by SHA-256: a disk image, and the archive of a root filesystem.
    pub disk: String,
    pub archive: String,
}

/// What is left at the end, line by line: of libvirt, of the broker, and in the folders.
pub type End = BTreeSet<String>;

/// What two ends differ by.
pub fn difference(found: &End, wanted: &End) -> Vec<String> {
    let only = |what: &str, a: &End, b: &End| a.difference(b).map(|line| format!("{what}: {line}")).collect::<Vec<_>>();
    [only("too much", found, wanted), only("missing", wanted, found)].concat()
}

/// A folder for stages, in memory where the host has such: thousands of them are made.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

impl Stage {
    /// In this folder, which is emptied: its path stands in definitions, so that ends can be compared.
    pub fn new(folder: &Path) -> Self {
        let world = World::new(1, false);
        world.weather(Weather { delay: 1, ..Weather::default() });
        let folder = folder.join("host");
        let (disk, archive) = (disk(), archive());
        let _ = std::fs::remove_dir_all(&folder);
        let uploads = Uploads::new(folder.join("uploads"), 1 << 20);
        uploaded(&uploads, 1, &disk);
        uploaded(&uploads, 2, &archive);
        let [disk, tree] = [&disk, &archive].map(|bytes| Digest::of(bytes).to_string());
        // libvirt in memory keeps no bytes, and a root filesystem is unpacked from where its box lies.
        std::fs::create_dir(folder.join("pool")).unwrap();
        std::fs::write(folder.join("pool").join(box_volume("tree", BoxFormat::Rootfs)), archive).unwrap();
        Self {
            world,
            engine: Arc::new(MemoryEngine::new()),
            acts: Arc::default(),
            folder,
            published: 0,
            port: String::new(),
            disk,
            archive: tree,
        }
    }

    /// An address of the host that no other process listens on.
    pub fn host_ip(&self) -> String {
        let mut hasher = std::hash::DefaultHasher::new();
        self.folder.hash(&mut hasher);
        let [a, b, c, ..] = hasher.finish().to_be_bytes();
        format!("127.{}.{b}.{}", a | 0x80, c.clamp(1, 254))
    }

    pub fn start(&mut self, mischief: Mischief) -> (Arc<Wire>, tokio::task::AbortHandle) {
        let wire = self.world.wire(Control::None);
        let (engine, acts) = (Arc::clone(&self.engine), Arc::clone(&self.acts));
        let engine = Arc::new(Wired { engine, wire: Arc::clone(&wire), mischief, acts });
        let (definitions, pool) = (Definitions::new(&wire.streams()), Pool { path: self.folder.join("pool") });
        let limits = BundleLimits::default();
        let executor = LibvirtExecutor::new(definitions, engine, pool, &self.folder, limits, "local".to_owned());
        let task = self.world.start(&wire, Which::Libvirt, 0, executor).abort_handle();
        (wire, task)
    }

    pub fn publish(&mut self, body: &Value) -> u64 {
        self.published += 1;
        self.world.publish(self.published, body.to_string().into()).unwrap()
    }

    fn last(&self, seq: u64) -> Option<TransitionMessage> {
        self.world.last(subjects::EVENTS, &subjects::transition(seq)).map(|item| serde_json::from_slice(&item.body).unwrap())
    }

    /// Waits until a command has stopped, in one way or another.
    pub async fn stopped(&self, seq: u64) -> Change {
        for _ in 0..100_000 {
            let stopped = |last: &TransitionMessage| !matches!(last.change.status(), Status::Running | Status::Pending);
            if let Some(last) = self.last(seq).filter(stopped) {
                return last.change;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("command {seq} does not stop: {:?}", self.last(seq));
    }

    pub async fn done(&self, seq: u64) {
        let change = self.stopped(seq).await;
        assert!(matches!(change, Change::Done { .. }), "command {seq}: {change:?}");
    }

    /// The domains, in full but for the reason of their state.
    pub fn domains(&self) -> Vec<String> {
        let all = self.engine.inventory().into_iter().filter(|line| line.starts_with("domain "));
        all.filter_map(|line| Some([line.split_once(" (")?.0, line.split_once(')')?.1].concat())).collect()
    }

    pub fn end(&self) -> End {
        assert_eq!(self.world.broken(), None);
        let mut heads = BTreeMap::new();
        for item in self.world.all(&format!("KV_{}", subjects::HEADS)) {
            if item.subject.contains(".machine.") || item.subject.contains(".box.") {
                let mut head: Value = serde_json::from_slice(&item.body).unwrap();
                for time in ["created_at", "imported_at"] {
                    if let Some(time) = head.get_mut(time) {
                        time.take();
                    }
                }
                heads.insert(item.subject, head);
            }
        }
        let events = self.world.all(subjects::EVENTS).into_iter().filter(|item| item.subject.starts_with("orrery.events.machine."));
        let told =
            events.map(|item| serde_json::from_slice::<MachineEvent>(&item.body).unwrap()).map(|event| format!("{:?}", event.change));
        let versions = self.world.all(subjects::VERSIONS).len();
        let mut files = BTreeSet::new();
        files_below(&self.folder, &self.folder, &mut files);
        let heads = heads.into_values().map(|head| format!("head {head}"));
        let files = files.into_iter().map(|file| format!("file {}", file.display()));
        let told = told.map(|told| format!("told {told}"));
        let all = self.engine.inventory().into_iter().chain(heads).chain(told).chain(files);
        all.chain([format!("{versions} versions")]).collect()
    }
}

fn files_below(root: &Path, folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        found.insert(entry.path().strip_prefix(root).unwrap().to_owned());
        if entry.file_type().unwrap().is_dir() {
            files_below(root, &entry.path(), found);
        }
    }
}

/// The beginning of an empty qcow2 image of a mebibyte (QEMU, docs/interop/qcow2.txt).
fn disk() -> Vec<u8> {
    let mut image = b"QFI\xfb".to_vec();
    image.extend(3_u32.to_be_bytes());
    image.extend([0; 12]);
    image.extend(16_u32.to_be_bytes());
    image.extend((1_u64 << 20).to_be_bytes());
    image.resize(512, 0);
    image
}

fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_size(2);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    builder.append_data(&mut header, "sbin/init", b"#!".as_slice()).unwrap();
    builder.into_inner().unwrap()
}

/// A whole upload.
fn uploaded(uploads: &Uploads, number: u128, bytes: &[u8]) {
    let (id, owner, name) = (Uuid::from_u128(number), "ci".parse().unwrap(), "box".parse().unwrap());
    let (size, file, description) = (bytes.len() as u64, "file".to_owned(), String::new());
    uploads.begin(UploadOf { id, owner, name, size, file, modified: None, expected: None, format: None, description }).unwrap();
    uploads.put(&UploadPiece { id, at: 0, bytes: Raw(bytes.to_vec()) }).unwrap();
}
