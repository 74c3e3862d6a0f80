//! The documents that cloud-init finds on the seed disk (its NoCloud source): a FAT image labelled `CIDATA` with the files
//! `meta-data`, `user-data` and `network-config`.
//!
//! What is made here is JSON, which is YAML too: every text stands in quotes, so that cloud-init's reader, which follows YAML 1.1,
//! finds no number and no truth value in one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::canonical::sorted;
use crate::model::{Attachment, CloudInit, Content, Interface, Mac, Machine, Run, Short, User, UserData, WriteFile};

/// The contents of the seed disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents {
    /// The file `meta-data`.
    pub meta_data: Vec<u8>,
    /// The file `user-data`.
    pub user_data: Vec<u8>,
    /// The file `network-config`.
    pub network_config: Vec<u8>,
}

/// The documents of a machine; `None` when it has no cloud-init section, and so no seed disk.
///
/// cloud-init does its work once for each `instance_id`: a new one makes the next boot a first boot. `macs` are the hardware
/// addresses of the interfaces, in the order of [`Machine::networks`]; an interface that has none there is left alone.
/// The guest's host name is the definition's; for another one, set it in the machine first.
pub fn documents(machine: &Machine, instance_id: &str, macs: &[Mac]) -> Option<Documents> {
    let section = machine.cloud_init()?;
    let network_config = match &section.network_data {
        Some(file) => file.content.clone(),
        None => written("", network_config(&machine.networks, macs)),
    };
    Some(Documents { meta_data: written("", meta_data(section, instance_id)), user_data: user_data(&section.user_data), network_config })
}

fn written(head: &str, value: Value) -> Vec<u8> {
    format!("{head}{:#}\n", sorted(value)).into_bytes()
}

fn meta_data(section: &CloudInit, instance_id: &str) -> Value {
    let mut meta = Map::new();
    meta.insert("instance-id".to_owned(), instance_id.into());
    if let Some(hostname) = &section.hostname {
        meta.insert("local-hostname".to_owned(), hostname.as_str().into());
    }
    Value::Object(meta)
}

/// Version 2 of cloud-init's network configuration. Interfaces are found by their hardware addresses and named in order; without
/// a name, what cloud-init renders for ifupdown would speak of interfaces that do not exist. The boot waits for the first alone.
fn network_config(interfaces: &[Interface], macs: &[Mac]) -> Value {
    let ethernets: Map<String, Value> = interfaces
        .iter()
        .zip(macs)
        .enumerate()
        .map(|(index, (interface, mac))| (format!("eth{index}"), ethernet(index, interface, *mac)))
        .collect();
    json!({"version": 2, "ethernets": ethernets})
}

fn ethernet(index: usize, interface: &Interface, mac: Mac) -> Value {
    let mut ethernet = json!({"match": {"macaddress": mac}, "set-name": format!("eth{index}"), "dhcp4": true});
    let Some(map) = ethernet.as_object_mut() else { return ethernet };
    if index > 0 {
        map.insert("optional".to_owned(), true.into());
    }
    // Nothing leads out of an isolated network, whatever a DHCP server in it says.
    if matches!(interface.attachment, Attachment::Isolated(_)) {
        map.insert("dhcp4-overrides".to_owned(), json!({"use-routes": false, "use-dns": false}));
    }
    ethernet
}

fn user_data(data: &UserData) -> Vec<u8> {
    match data {
        UserData::File { user_data } => user_data.content.clone(),
        UserData::Short(short) => written("#cloud-config\n", cloud_config(short)),
    }
}

fn cloud_config(short: &Short) -> Value {
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
    if !short.users.is_empty() {
        let default = (!short.ssh_keys.is_empty()).then(|| Value::from("default"));
        set("users", default.into_iter().chain(short.users.iter().map(user)).collect());
    }
    if !short.ssh_keys.is_empty() {
        set("ssh_authorized_keys", short.ssh_keys.clone().into());
    }
    if !short.packages.is_empty() {
        set("package_update", true.into());
        set("packages", short.packages.clone().into());
    }
    if !short.write_files.is_empty() {
        set("write_files", short.write_files.iter().map(write_file).collect());
    }
    if !short.run.is_empty() {
        set("runcmd", short.run.iter().map(run).collect());
    }
    Value::Object(config)
}

fn user(user: &User) -> Value {
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| map.insert(key.to_owned(), value);
    set("name", user.name.as_str().into());
    set("shell", user.shell.as_str().into());
    set("lock_passwd", user.password_hash.is_none().into());
    if let Some(hash) = &user.password_hash {
        set("passwd", hash.as_str().into());
    }
    if !user.ssh_keys.is_empty() {
        set("ssh_authorized_keys", user.ssh_keys.clone().into());
    }
    if !user.groups.is_empty() {
        set("groups", user.groups.clone().into());
    }
    if user.sudo {
        set("sudo", "ALL=(ALL) NOPASSWD:ALL".into());
    }
    Value::Object(map)
}

fn run(run: &Run) -> Value {
    match run {
        Run::Line(line) => line.as_str().into(),
        Run::Words(words) => words.clone().into(),
    }
}

/// A file; what is no text travels as base64.
fn write_file(file: &WriteFile) -> Value {
    let mut map = Map::new();
    let mut set = |key: &str, value: &str| map.insert(key.to_owned(), value.into());
    set("path", &file.path);
    set("permissions", &file.permissions);
    match &file.content {
        Content::Text { content } => {
            set("content", content);
        }
        Content::File { file } => match std::str::from_utf8(&file.content) {
            Ok(text) if !text.chars().any(|c| crate::words::forbidden(c, true)) => {
                set("content", text);
            }
            Ok(_) | Err(_) => {
                set("encoding", "b64");
                set("content", &STANDARD.encode(&file.content));
            }
        },
    }
    Value::Object(map)
}
