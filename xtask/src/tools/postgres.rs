//! PostgreSQL's programs, and the user who may run them: PostgreSQL refuses root.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::apt;
use crate::folders;
use crate::say;
use crate::shell;

/// The oldest that the tables need.
const OLDEST: u32 = 14;

/// Where Debian keeps the versions that are installed.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The programs of one version.
pub(crate) struct Programs {
    pub(crate) folder: PathBuf,
    pub(crate) major: String,
    pub(crate) account: Account,
}

/// Who runs the cluster.
pub(crate) struct Account {
    /// The user and group to become; nobody else when we are not root.
    become_: Option<(u32, u32)>,
}

impl Programs {
    pub(crate) fn find_or_install() -> Result<Self> {
        if let Some(found) = find() {
            return found.with_account();
        }
        leave_no_cluster_behind()?;
        apt::install(&["postgresql"], "PostgreSQL")?;
        find().context("PostgreSQL was installed, and its programs are not in /usr/lib/postgresql")?.with_account()
    }
}

struct Found {
    folder: PathBuf,
    major: u32,
}

impl Found {
    fn with_account(self) -> Result<Programs> {
        Ok(Programs { major: self.major.to_string(), account: Account::choose()?, folder: self.folder })
    }
}

/// The newest version that is complete and new enough.
fn find() -> Option<Found> {
    let debian = std::fs::read_dir(DEBIAN).into_iter().flatten().filter_map(|entry| entry.ok().map(|entry| entry.path().join("bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .chain(std::env::split_paths(&path))
        .filter(|folder| ["postgres", "initdb", "psql"].iter().all(|program| shell::is_program(&folder.join(program))))
        .filter_map(|folder| {
            let major = major(&folder)?;
            (major >= OLDEST).then_some(Found { folder, major })
        })
        .max_by_key(|found| found.major)
}

fn major(folder: &Path) -> Option<u32> {
    let text = shell::quiet(shell::command(folder.join("postgres")).arg("--version")).ok()?;
    let number = text.split_whitespace().nth(2)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Debian's package makes and starts a cluster of its own when it is installed; ours is all that is needed.
fn leave_no_cluster_behind() -> Result<()> {
    let settings = Path::new("/etc/postgresql-common/createcluster.conf");
    if folders::is_root() && !settings.exists() {
        std::fs::create_dir_all("/etc/postgresql-common")?;
        std::fs::write(settings, "create_main_cluster = false\n")?;
        say::step("postgres", "the package is told to make no cluster of its own");
    }
    Ok(())
}

impl Account {
    fn choose() -> Result<Self> {
        if !folders::is_root() {
            return Ok(Self { become_: None });
        }
        let user = ["postgres", "nobody"]
            .iter()
            .find_map(|name| account(name))
            .context("there is neither a user `postgres` nor `nobody` to run PostgreSQL")?;
        Ok(Self { become_: Some(user) })
    }

    /// A command that runs as this account. `setpriv` becomes the program, so the pid stays the same.
    pub(crate) fn command(&self, program: &Path) -> Command {
        match self.become_ {
            None => shell::command(program),
            Some((user, group)) => {
                let mut command = shell::command("setpriv");
                command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).args(["--clear-groups", "--"]).arg(program);
                command
            }
        }
    }

    /// Gives it a file or folder.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        match self.become_ {
            None => Ok(()),
            Some((user, group)) => {
                chown(path, Some(user), Some(group)).with_context(|| format!("cannot give {} to the database's user", path.display()))
            }
        }
    }
}

fn account(name: &str) -> Option<(u32, u32)> {
    let line = shell::quiet(shell::command("getent").args(["passwd", name])).ok()?;
    let mut fields = line.trim().split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
