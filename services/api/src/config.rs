//! The configuration of the service, read from the environment once.
//!
//! It must not make folders: reading it has no effects.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use orrery_contracts::{BundleLimits, Name, PolicyEntry, Quota, Role};
use thiserror::Error;

/// What the service runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Where the page and REST are served.
    pub listen: SocketAddr,
    /// The database, as the role of this service.
    pub database_url: String,
    /// The first administrator's password, when it is given; first start only.
    pub admin_password: Option<String>,
    /// The folder of the built page.
    pub web_dir: PathBuf,
    /// Who else may publish, with his rights.
    pub publishers: Vec<(Name, PolicyEntry)>,
    /// How much a bundle may hold.
    pub limits: BundleLimits,
    /// Whether the service stands behind TLS, so that cookies are `Secure`.
    pub behind_tls: bool,
}

/// A setting that cannot be used.
#[derive(Debug, Error)]
#[error("{name}: {what}")]
pub struct ConfigError {
    name: &'static str,
    what: String,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// The first setting that is missing or cannot be read.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// Reads settings from wherever `get` finds them.
    ///
    /// # Errors
    /// The first setting that is missing or cannot be read.
    pub fn from_lookup(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let data_dir = get("ORRERY_DATA_DIR").map_or_else(|| default_data_dir(&get), PathBuf::from);
        let listen = address(&get, "ORRERY_LISTEN", SocketAddr::from(([127, 0, 0, 1], 8080)))?;
        let database_url = database_url(&get)?;
        let fallback = BundleLimits::default();
        let limits = BundleLimits {
            bytes: parsed(&get, "ORRERY_BUNDLE_MAX_BYTES", fallback.bytes)?,
            files: parsed(&get, "ORRERY_BUNDLE_MAX_FILES", fallback.files)?,
            file_bytes: parsed(&get, "ORRERY_BUNDLE_MAX_FILE_BYTES", fallback.file_bytes)?,
        };
        let publishers = get("ORRERY_PUBLISHERS").unwrap_or_else(|| "ci".to_owned());
        Ok(Self {
            data_dir,
            listen,
            database_url,
            admin_password: get("ORRERY_ADMIN_PASSWORD"),
            web_dir: get("ORRERY_WEB_DIR").map_or_else(default_web_dir, PathBuf::from),
            publishers: publishers.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(publisher).collect::<Result<_, _>>()?,
            limits,
            behind_tls: switch(&get, "ORRERY_BEHIND_TLS")?,
        })
    }
}

fn wrong(name: &'static str, what: impl Into<String>) -> ConfigError {
    ConfigError { name, what: what.into() }
}

/// The database's address, which holds a password: given, or in a file.
fn database_url(get: &impl Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let (given, file) = ("ORRERY_DATABASE_URL", "ORRERY_DATABASE_URL_FILE");
    match (get(given), get(file)) {
        (Some(url), _) => Ok(url),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path).map_err(|error| wrong(file, format!("{path} cannot be read: {error}")))?;
            Ok(text.trim().to_owned())
        }
        (None, None) => Err(wrong(given, "is not set, nor is ORRERY_DATABASE_URL_FILE: postgres://orrery_api@…/orrery")),
    }
}

fn parsed<T: std::str::FromStr>(get: &impl Fn(&str) -> Option<String>, name: &'static str, fallback: T) -> Result<T, ConfigError>
where
    T::Err: std::fmt::Display,
{
    match get(name) {
        Some(text) => text.parse().map_err(|error| wrong(name, format!("{text:?} cannot be read: {error}"))),
        None => Ok(fallback),
    }
}

/// An address by number or by a name of this host, as `localhost:8080`.
fn address(get: &impl Fn(&str) -> Option<String>, name: &'static str, fallback: SocketAddr) -> Result<SocketAddr, ConfigError> {
    let Some(text) = get(name) else { return Ok(fallback) };
    let mut found = text.to_socket_addrs().map_err(|error| wrong(name, format!("{text:?} cannot be read: {error}")))?;
    found.next().ok_or_else(|| wrong(name, format!("{text:?} is no address of this host")))
}

/// A setting that is on or off; off when it is not set.
fn switch(get: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<bool, ConfigError> {
    match get(name).as_deref() {
        Some("1" | "true") => Ok(true),
        None | Some("0" | "false") => Ok(false),
        Some(other) => Err(wrong(name, format!("{other:?} is neither on nor off; use 1 or 0"))),
    }
}

/// One entry of `ORRERY_PUBLISHERS`: `name` or `name:role`.
fn publisher(entry: &str) -> Result<(Name, PolicyEntry), ConfigError> {
    let (name, role) = entry.split_once(':').unwrap_or((entry, "user"));
    let name: Name = name.parse().map_err(|error| wrong("ORRERY_PUBLISHERS", format!("{error}")))?;
    let role = match role {
        "admin" => Role::Admin,
        "user" => Role::User,
        "viewer" => Role::Viewer,
        other => return Err(wrong("ORRERY_PUBLISHERS", format!("{other:?} is no role; use admin, user or viewer"))),
    };
    if [orrery_contracts::subjects::API_PUBLISHER, orrery_contracts::subjects::OPS_PUBLISHER].contains(&name.as_str()) {
        return Err(wrong("ORRERY_PUBLISHERS", format!("{name} is reserved")));
    }
    Ok((name, PolicyEntry { role, quota: Quota::default() }))
}

fn default_data_dir(get: &impl Fn(&str) -> Option<String>) -> PathBuf {
    let home = get("XDG_DATA_HOME").map(PathBuf::from).or_else(|| get("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    match home {
        Some(folder) if !rustix::process::geteuid().is_root() => folder.join("orrery"),
        Some(_) | None => PathBuf::from("/var/lib/orrery"),
    }
}

fn default_web_dir() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(|folder| folder.join("web")));
    beside.unwrap_or_else(|| PathBuf::from("web"))
}

#[cfg(test)]
mod tests {
    use super::Config;
    use orrery_contracts::Role;

    fn read(settings: &[(&str, &str)]) -> Result<Config, String> {
        let get = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::from_lookup(get).map_err(|error| error.to_string())
    }

    #[test]
    fn a_publisher_is_a_user_unless_told_otherwise() {
        let config = read(&[("ORRERY_DATABASE_URL", "postgres:///x"), ("ORRERY_PUBLISHERS", "ci, robot:admin")]).unwrap();
        let roles: Vec<_> = config.publishers.iter().map(|(name, entry)| (name.as_str(), entry.role)).collect();
        assert_eq!(roles, [("ci", Role::User), ("robot", Role::Admin)]);
    }

    #[test]
    fn a_switch_is_on_or_off_by_number_or_word() {
        let secure = |value| read(&[("ORRERY_DATABASE_URL", "x"), ("ORRERY_BEHIND_TLS", value)]).map(|config| config.behind_tls);
        assert_eq!(secure("1"), Ok(true));
        assert_eq!(secure("true"), Ok(true));
        assert_eq!(secure("0"), Ok(false));
        assert_eq!(secure("yes please").unwrap_err(), "ORRERY_BEHIND_TLS: \"yes please\" is neither on nor off; use 1 or 0");
    }

    #[test]
    fn the_database_is_named_or_named_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url").display().to_string();
        let named = |settings: &[(&str, &str)]| read(settings).map(|config| config.database_url);
        assert!(named(&[("ORRERY_DATABASE_URL_FILE", &file)]).unwrap_err().starts_with("ORRERY_DATABASE_URL_FILE"));
        std::fs::write(&file, "postgres:///in-a-file\n").unwrap();
        assert_eq!(named(&[("ORRERY_DATABASE_URL_FILE", &file)]), Ok("postgres:///in-a-file".to_owned()));
        assert_eq!(named(&[("ORRERY_DATABASE_URL_FILE", &file), ("ORRERY_DATABASE_URL", "given")]), Ok("given".to_owned()));
    }

    #[test]
    fn a_setting_that_cannot_be_read_names_itself() {
        let error = read(&[("ORRERY_DATABASE_URL", "x"), ("ORRERY_LISTEN", "somewhere")]).unwrap_err();
        assert!(error.starts_with("ORRERY_LISTEN: \"somewhere\""), "{error}");
        assert!(read(&[]).unwrap_err().starts_with("ORRERY_DATABASE_URL"));
        assert!(read(&[("ORRERY_DATABASE_URL", "x"), ("ORRERY_PUBLISHERS", "api")]).unwrap_err().contains("reserved"));
    }
}
