//! The passwords of the database's roles. PostgreSQL's container gives them to the roles at each of its starts, so that one
//! is changed by removing its file here and starting everything again.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::handed::{Shelf, read, write_private};
use crate::members::Member;

/// The owner, who migrates, and the two services.
const ROLES: [&str; 3] = ["owner", "projector", "api"];

/// Makes what is missing. The owner's address stays here: only migrations use it.
pub(crate) fn make(data: &Path) -> Result<()> {
    for role in ROLES {
        let path = password(data, role);
        if !path.is_file() {
            write_private(&path, &new_password()?)?;
        }
    }
    write_private(&data.join("database/owner.url"), &url(data, "owner")?)
}

/// PostgreSQL gets all passwords, each service the address with its own.
pub(crate) fn hand_out(data: &Path, shelf: &Shelf) -> Result<()> {
    for role in ROLES {
        shelf.put(Member::Postgres, &format!("{role}.password"), &read(&password(data, role))?)?;
    }
    shelf.put(Member::Api, "database.url", &url(data, "api")?)?;
    shelf.put(Member::Projector, "database.url", &url(data, "projector")?)
}

fn password(data: &Path, role: &str) -> PathBuf {
    data.join("database").join(format!("{role}.password"))
}

fn url(data: &Path, role: &str) -> Result<String> {
    Ok(format!("postgres://orrery_{role}:{}@postgres:5432/orrery", read(&password(data, role))?))
}

/// 32 random bytes as hexadecimal letters.
fn new_password() -> Result<String> {
    let mut bytes = [0_u8; 32];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("the system gives no randomness")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path()).unwrap();
        let first = url(folder.path(), "api").unwrap();
        make(folder.path()).unwrap();
        assert_eq!(url(folder.path(), "api").unwrap(), first);
        assert!(first.starts_with("postgres://orrery_api:") && first.ends_with("@postgres:5432/orrery"), "{first}");
        assert_ne!(url(folder.path(), "projector").unwrap(), first.replace("api", "projector"));
    }
}
