//! Keys of the cloud-init section.

use super::form::{GROUP, GUEST_PATH, HASH, HOST_NAME, LINE, MODE, SSH_KEY, USER};
use super::{Choice, Key, Object, Shape, boot};

pub(super) static CLOUD_INIT: Object = Object { what: "a cloud_init section", keys: KEYS, required: &[], choice: None };

static KEYS: &[Key] = &[
    boot("hostname", Shape::Text(&HOST_NAME), "Host name of the guest."),
    boot("user_data", Shape::File, "A file of the bundle, given to cloud-init as it is. It excludes the short forms below."),
    boot("network_data", Shape::File, "A file of the bundle: a network configuration instead of the one that is made from `networks`."),
    boot(
        "users",
        Shape::List(&Shape::Object(&USER_OBJECT), 64),
        "Users to make. The image's default user is made too when there are none here, or when `ssh_keys` has keys for it.",
    )
    .default("[]"),
    boot("ssh_keys", Shape::List(&Shape::Text(&SSH_KEY), 64), "Public keys of the image's default user.").default("[]"),
    boot("packages", Shape::List(&Shape::Text(&LINE), 512), "Packages to install.").default("[]"),
    boot(
        "run",
        Shape::List(&Shape::Command, 512),
        "Commands to run last, as root: a line for the shell, or a list of a program and its arguments.",
    )
    .default("[]"),
    boot("write_files", Shape::List(&Shape::Object(&FILE), 128), "Files to write.").default("[]"),
];

static USER_OBJECT: Object = Object { what: "a user", keys: USER_KEYS, required: &["name"], choice: None };

static USER_KEYS: &[Key] = &[
    boot("name", Shape::Text(&USER), "Name to log in with."),
    boot("ssh_keys", Shape::List(&Shape::Text(&SSH_KEY), 64), "Public keys.").default("[]"),
    boot("sudo", Shape::Bool, "May become root without a password.").default("false"),
    boot("groups", Shape::List(&Shape::Text(&GROUP), 64), "Further groups.").default("[]"),
    boot("shell", Shape::Text(&GUEST_PATH), "The shell.").default("/bin/bash"),
    boot("password_hash", Shape::Text(&HASH), "The password as `mkpasswd -m sha-512` prints it. Without one, no password opens it."),
];

static FILE: Object = Object {
    what: "a file to write",
    keys: FILE_KEYS,
    required: &["path"],
    choice: Some(Choice { of: &["content", "file"], needed: true }),
};

static FILE_KEYS: &[Key] = &[
    boot("path", Shape::Text(&GUEST_PATH), "Its path in the guest."),
    boot("content", Shape::Prose, "What is in it."),
    boot("file", Shape::File, "A file of the bundle that is copied to it."),
    boot("permissions", Shape::Text(&MODE), "Its permissions, in octal digits.").default("\"0644\""),
];
