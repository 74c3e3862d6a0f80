//! How registries know a stack: the secret `docker-config` of a stack is a `config.json` as `docker login` writes it
//! (`auths.<registry>.auth`, `user:password` in base64).

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

/// The registry of names that say none, as Docker's configuration spells it.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The names by which people call that registry.
const HUB_NAMES: [&str; 4] = ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// How one registry knows us.
#[derive(Clone, PartialEq)]
pub struct Credentials(pub(crate) DockerCredentials);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.0.serveraddress.as_deref().unwrap_or_default())
    }
}

/// How registries know a stack, by their hosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registries(BTreeMap<String, Credentials>);

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Registries {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// Why it says nothing that could be used; never what it says.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let config: Config = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is no config.json of Docker: line {}, column {}", error.line(), error.column()))?;
        let mut known = BTreeMap::new();
        for (address, auth) in config.auths {
            let host = host_of_address(&address);
            let Some(credentials) = auth.credentials(&host).map_err(|why| format!("auths of {host}: {why}"))? else { continue };
            known.insert(host, Credentials(credentials));
        }
        if known.is_empty() {
            let elsewhere = config.store.is_some() || !config.helpers.is_empty();
            let why = if elsewhere {
                "its credentials lie in a store of the machine where it was written; write `auths` with `auth` (user:password in base64)"
            } else {
                "it has no `auths` with `auth`, `username` and `password`, or `identitytoken`"
            };
            return Err(why.to_owned());
        }
        Ok(Self(known))
    }

    /// What the registry of an image wants to know.
    #[must_use]
    pub fn of_image(&self, reference: &str) -> Option<&Credentials> {
        self.0.get(host_of_image(reference))
    }

    /// All of them, as a build takes them.
    #[must_use]
    pub fn all(&self) -> Option<HashMap<String, DockerCredentials>> {
        let named = |(host, known): (&String, &Credentials)| (host.clone(), known.0.clone());
        (!self.0.is_empty()).then(|| self.0.iter().map(named).collect())
    }
}

impl Auth {
    fn credentials(self, host: &str) -> Result<Option<DockerCredentials>, &'static str> {
        let serveraddress = Some(host.to_owned());
        if let Some(token) = self.identitytoken.filter(|token| !token.is_empty()) {
            return Ok(Some(DockerCredentials { identitytoken: Some(token), serveraddress, ..DockerCredentials::default() }));
        }
        let pair = match self.auth.filter(|auth| !auth.is_empty()) {
            Some(auth) => {
                let bytes = STANDARD.decode(auth.trim()).map_err(|_| "`auth` is no base64")?;
                let text = String::from_utf8(bytes).map_err(|_| "`auth` is no text")?;
                let (user, password) = text.split_once(':').ok_or("`auth` is not user:password")?;
                Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
            }
            None => self.username.zip(self.password),
        };
        let credentials = pair.map(|(user, password)| DockerCredentials {
            username: Some(user),
            password: Some(password),
            serveraddress,
            ..DockerCredentials::default()
        });
        Ok(credentials)
    }
}

/// `https://registry.example.com/v2/` and `registry.example.com` are one.
fn host_of_address(address: &str) -> String {
    let bare = address.trim_start_matches("https://").trim_start_matches("http://");
    let host = bare.split('/').next().unwrap_or_default();
    if HUB_NAMES.contains(&host) { DOCKER_HUB.to_owned() } else { host.to_owned() }
}

/// The registry in an image's name: its first part, where that has a dot, a colon, or is `localhost`.
fn host_of_image(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if HUB_NAMES.contains(&first) => DOCKER_HUB,
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        Some(_) | None => DOCKER_HUB,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_finds_its_registry() {
        let config = r#"{"auths": {
            "127.0.0.1:5000": {"auth": "Y2k6czpjcmV0"},
            "https://index.docker.io/v1/": {"username": "me", "password": "mine"},
            "https://ghcr.io/v2/": {"identitytoken": "t"},
            "empty.example.com": {}
        }, "HttpHeaders": {}}"#;
        let known = Registries::read(config.as_bytes()).unwrap();
        let user = |image: &str| known.of_image(image).and_then(|known| known.0.username.clone());
        assert_eq!(user("127.0.0.1:5000/team/web:1").as_deref(), Some("ci"));
        assert_eq!(known.of_image("127.0.0.1:5000/web").unwrap().0.password.as_deref(), Some("s:cret"));
        assert_eq!(user("nginx").as_deref(), Some("me"));
        assert_eq!(user("library/nginx@sha256:00").as_deref(), Some("me"));
        assert_eq!(user("docker.io/library/nginx").as_deref(), Some("me"));
        assert_eq!(known.of_image("ghcr.io/a/b").unwrap().0.identitytoken.as_deref(), Some("t"));
        assert_eq!(known.of_image("empty.example.com/a"), None);
        assert!(!format!("{known:?}").contains("s:cret"));
    }

    #[test]
    fn what_is_no_configuration_is_told_without_what_it_says() {
        let told = |text: &str| Registries::read(text.as_bytes()).unwrap_err();
        assert_eq!(told("hunter2"), "it is no config.json of Docker: line 1, column 1");
        assert!(told(r#"{"auths":{},"credsStore":"desktop"}"#).starts_with("its credentials lie in a store"), "{}", told("{}"));
        assert!(told("{}").starts_with("it has no `auths`"));
        assert_eq!(told(r#"{"auths":{"a.example":{"auth":"aHVudGVyMg=="}}}"#), "auths of a.example: `auth` is not user:password");
    }
}
