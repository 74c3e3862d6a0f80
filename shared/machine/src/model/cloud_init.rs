//! What cloud-init does at the first boot.

use serde::{Serialize, Serializer};

/// The cloud-init section of a vm. [`crate::cloud_init::documents`] makes the documents of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CloudInit {
    /// Host name of the guest. Without one, the guest keeps its image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub user_data: UserData,
    /// A network configuration of the author's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_data: Option<BundleFile>,
}

/// What cloud-init is told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum UserData {
    /// A document of the author's own.
    File {
        /// The file.
        user_data: BundleFile,
    },
    /// The short forms of the definition.
    Short(Short),
}

/// The short forms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Short {
    /// Users to make. The image's default user is made when there are none, or when `ssh_keys` has keys for it.
    pub users: Vec<User>,
    /// Keys of the image's default user.
    pub ssh_keys: Vec<String>,
    /// Packages to install.
    pub packages: Vec<String>,
    /// Commands to run at the end of the first boot, as root.
    pub run: Vec<Run>,
    /// Files to write.
    pub write_files: Vec<WriteFile>,
}

/// A user of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Name to log in with.
    pub name: String,
    /// Public keys.
    pub ssh_keys: Vec<String>,
    /// Whether it may become root without a password.
    pub sudo: bool,
    /// Further groups.
    pub groups: Vec<String>,
    /// Its shell, an absolute path.
    pub shell: String,
    /// Its password, hashed as `crypt(5)` does. Without one, no password opens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
}

/// A command of the first boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Run {
    /// A line for the shell.
    Line(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

/// A file of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WriteFile {
    /// Its absolute path in the guest.
    pub path: String,
    /// What is in it.
    #[serde(flatten)]
    pub content: Content,
    /// Its permissions, in octal digits.
    pub permissions: String,
}

/// What is in a file of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// A text of the definition.
    Text {
        /// The text.
        content: String,
    },
    /// A file of the bundle.
    File {
        /// The file.
        file: BundleFile,
    },
}

/// A file of the bundle that the definition names, with its content. It serialises to its path alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFile {
    /// Its path in the bundle.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
}

impl Serialize for BundleFile {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.path)
    }
}
