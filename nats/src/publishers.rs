//! Publishers: third parties with an account of their own and one file of credentials each.
//!
//! An account of its own is what makes a publisher's name a proof: the broker itself writes the name into the subject,
//! and no reply subject that a publisher invents leaves his account.

use std::fs;

use crate::errors::NatsError;
use crate::layout::Layout;
use crate::secrets;
use crate::users::User;

/// The publisher that exists from the start.
pub const FIRST: &str = "ci";

/// A publisher's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// His name: the user name, and the token in the subjects of his commands.
    pub name: String,
    /// His password.
    pub password: String,
}

/// Whether `name` may be a publisher's.
pub fn check_name(name: &str) -> Result<(), NatsError> {
    let refuse = |why| Err(NatsError::PublisherName { name: name.to_owned(), why });
    if User::parse(name).is_some() {
        return refuse("it is reserved");
    }
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match name.as_bytes() {
        [] => refuse("it is empty"),
        [_, rest @ ..] if rest.len() > 62 => refuse("it is longer than 63 characters"),
        [first, rest @ ..] if is_letter(*first) && rest.iter().all(|byte| is_letter(*byte) || matches!(byte, b'_' | b'-')) => Ok(()),
        [_, ..] => refuse("it has a character that is not allowed there"),
    }
}

/// The publishers that have a file of credentials, by name.
pub fn list(layout: &Layout) -> Result<Vec<Publisher>, NatsError> {
    let folder = layout.publishers();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(NatsError::file("list", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(NatsError::file("list", &folder))?;
        let file = entry.file_name();
        if let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".env")) {
            check_name(name)?;
            names.push(name.to_owned());
        }
    }
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let password = known_password(layout, &name)?;
            Ok(Publisher { name, password })
        })
        .collect()
}

/// Makes a publisher, or leaves the one of that name as he is.
pub fn add(layout: &Layout, name: &str, url: &str) -> Result<Publisher, NatsError> {
    check_name(name)?;
    secrets::private_folder(&layout.publishers())?;
    let path = layout.publisher(name);
    let password = if path.exists() { known_password(layout, name)? } else { secrets::new_password()? };
    let publisher = Publisher { name: name.to_owned(), password };
    write_credentials(layout, &publisher, url)?;
    Ok(publisher)
}

/// Writes the file of credentials, with the address that holds now.
pub fn write_credentials(layout: &Layout, publisher: &Publisher, url: &str) -> Result<(), NatsError> {
    let Publisher { name, password } = publisher;
    let text = format!("NATS_URL={url}\nNATS_USER={name}\nNATS_PASSWORD={password}\n");
    let path = layout.publisher(name);
    if secrets::read_optional(&path)?.as_deref() == Some(text.as_str()) {
        return Ok(());
    }
    secrets::write_private(&path, &text)
}

fn known_password(layout: &Layout, name: &str) -> Result<String, NatsError> {
    let path = layout.publisher(name);
    let text = secrets::read_optional(&path)?.unwrap_or_default();
    text.lines()
        .find_map(|line| line.trim().strip_prefix("NATS_PASSWORD="))
        .filter(|password| !password.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| NatsError::file("find NATS_PASSWORD in", path)(std::io::ErrorKind::InvalidData.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_forge_a_subject_or_a_service_are_refused() {
        for good in ["ci", "a", "0", "release-bot_2", &"a".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "api", "ops", "sys", "projector", "-ci", "_x", "CI", "a.b", "a*", "a>", "a b", "ä", "../x", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn adding_a_publisher_again_keeps_his_password_and_renews_the_address() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let first = add(&layout, "ci", "nats://127.0.0.1:4222").unwrap();
        let second = add(&layout, "ci", "nats://127.0.0.1:5222").unwrap();
        assert_eq!(first, second);
        assert_eq!(list(&layout).unwrap(), vec![first]);
        let text = fs::read_to_string(layout.publisher("ci")).unwrap();
        assert!(text.contains("NATS_URL=nats://127.0.0.1:5222\n"), "{text}");
    }
}
