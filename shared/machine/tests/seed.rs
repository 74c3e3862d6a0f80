//! What the seed disk holds.

#![allow(clippy::unwrap_used)]

mod telling;

use orrery_machine::cloud_init::{Documents, documents};
use orrery_machine::model::Mac;
use serde_json::{Value, json};
use telling::{KEY, container, machine, vm, with};

const ID: &str = "iid-1";

fn macs(count: u8) -> Vec<Mac> {
    (0..count).filter_map(|last| Mac::new([0x52, 0x54, 0, 0, 0, last])).collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn config(documents: &Documents) -> Value {
    serde_json::from_str(text(&documents.user_data).strip_prefix("#cloud-config\n").unwrap()).unwrap()
}

#[test]
fn short_forms_become_a_cloud_config() {
    let lines = format!(
        "cloud_init:
  hostname: web
  users:
    - {{name: anna, ssh_keys: [{KEY}], sudo: true, groups: [adm]}}
    - {{name: ben, password_hash: $6$saltsalt$abcdefghijklmnop, shell: /bin/sh}}
  ssh_keys: [{KEY}]
  packages: [nginx, 'no', '1.0']
  run: ['systemctl start nginx', [echo, 'a b']]
  write_files:
    - {{path: /etc/motd, content: \"hello\\n\"}}
    - {{path: /etc/text, file: text, permissions: '0600'}}
    - {{path: /etc/blob, file: blob}}
networks: [{{nat: default}}, {{isolated: lab}}, {{bridge: br0}}]"
    );
    let mut files = with(vm(&lines), "text", "plain\n");
    files.insert("blob", b"\x00\xff".to_vec());
    let documents = documents(&machine(&files), ID, &macs(3)).unwrap();
    let all = [&documents.meta_data, &documents.network_config, &documents.user_data].map(|bytes| text(bytes)).join("---\n");
    insta::assert_snapshot!("seed", all);
}

#[test]
fn the_default_user_is_made_unless_others_take_its_place() {
    let of = |lines: &str| config(&documents(&machine(&vm(&format!("cloud_init: {lines}"))), ID, &macs(1)).unwrap());
    assert_eq!(of("{}"), json!({}));
    assert_eq!(of(&format!("{{ssh_keys: [{KEY}]}}")), json!({"ssh_authorized_keys": [KEY]}));
    let user = format!("users: [{{name: anna, ssh_keys: [{KEY}]}}]");
    let names = |value: &Value| {
        let users = value["users"].as_array().unwrap().iter();
        users.map(|user| user["name"].as_str().or(user.as_str()).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&of(&format!("{{{user}}}"))), ["anna"]);
    assert_eq!(names(&of(&format!("{{{user}, ssh_keys: [{KEY}]}}"))), ["default", "anna"]);
}

#[test]
fn a_user_without_a_hash_has_no_password() {
    let lines =
        format!("cloud_init: {{users: [{{name: a, ssh_keys: [{KEY}]}}, {{name: b, password_hash: $6$saltsalt$abcdefghijklmnop}}]}}");
    let users = config(&documents(&machine(&vm(&lines)), ID, &macs(1)).unwrap())["users"].clone();
    assert_eq!((&users[0]["lock_passwd"], &users[0]["passwd"]), (&json!(true), &Value::Null));
    assert_eq!((&users[1]["lock_passwd"], &users[1]["passwd"]), (&json!(false), &json!("$6$saltsalt$abcdefghijklmnop")));
}

#[test]
fn documents_of_the_author_are_given_as_they_are() {
    let script = "#!/bin/sh\necho hello\n";
    let files = with(vm("cloud_init: {user_data: first.sh, network_data: net.yaml, hostname: a}"), "first.sh", script);
    let files = with(files, "net.yaml", "version: 2\n");
    let documents = documents(&machine(&files), ID, &macs(1)).unwrap();
    assert_eq!((text(&documents.user_data), text(&documents.network_config)), (script, "version: 2\n"));
    assert!(text(&documents.meta_data).contains("local-hostname"));
}

#[test]
fn without_a_section_there_is_no_seed() {
    assert_eq!(documents(&machine(&vm("")), ID, &macs(1)), None);
    assert_eq!(documents(&machine(&container("")), ID, &macs(1)), None);
}

#[test]
fn an_interface_without_an_address_of_its_own_is_left_alone() {
    let machine = machine(&vm("cloud_init: {}\nnetworks: [{nat: a}, {nat: b}]"));
    let config: Value = serde_json::from_slice(&documents(&machine, ID, &macs(1)).unwrap().network_config).unwrap();
    assert_eq!(config["ethernets"].as_object().unwrap().len(), 1);
}
