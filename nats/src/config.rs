//! The text of `nats-server.conf`: accounts, users, permissions and limits from the code, the rest from the template.
//!
//! Rendering the same settings and users twice gives the same text.

use std::fmt::Write as _;
use std::path::Path;

use crate::errors::NatsError;
use crate::layout::Layout;
use crate::permissions::{self, Permissions};
use crate::publishers::{self, Publisher};
use crate::secrets;
use crate::settings::{Settings, Tls};
use crate::users::User;

const TEMPLATE: &str = include_str!("../templates/nats-server.conf");

/// The limits of a publisher's account: a third party cannot exhaust the broker.
const PUBLISHER_LIMITS: &str = "{ max_connections: 64, max_subscriptions: 256, max_payload: 1MB, max_leafnodes: 0 }";

/// How long an answer to a question may take before the permission to give it lapses.
const ANSWER_WITHIN: &str = "5m";

/// Makes whatever is missing in the data folder (passwords, the first publisher) and writes the configuration.
///
/// Says whether the configuration changed, which is when a running broker has to reload it.
pub fn install(layout: &Layout, settings: &Settings) -> Result<bool, NatsError> {
    secrets::private_folder(&layout.broker())?;
    secrets::private_folder(&layout.users())?;
    if settings.store.is_none() {
        secrets::private_folder(&layout.store())?;
    }
    settings.save(layout)?;
    let url = settings.url();
    publishers::add(layout, publishers::FIRST, &url)?;
    let publishers = publishers::list(layout)?;
    for publisher in &publishers {
        publishers::write_credentials(layout, publisher, &url)?;
    }
    let text = render(layout, settings, &publishers)?;
    let path = layout.config();
    if secrets::read_optional(&path)?.as_deref() == Some(text.as_str()) {
        return Ok(false);
    }
    secrets::write_private(&path, &text)?;
    Ok(true)
}

/// The whole configuration.
fn render(layout: &Layout, settings: &Settings, publishers: &[Publisher]) -> Result<String, NatsError> {
    Ok(filled(layout, settings, &accounts(layout, publishers)?))
}

/// The configuration of a broker that has one user, who may do everything with the streams.
pub(crate) fn render_for_recovery(layout: &Layout, settings: &Settings, user: &str, hash: &str) -> String {
    let accounts = format!(
        "  SYS {{}}\n  ORRERY {{\n    jetstream: enabled\n    users: [\n      {{ user: \"{user}\", password: \"{hash}\" }}\n    ]\n  }}\n"
    );
    filled(layout, settings, &accounts)
}

fn filled(layout: &Layout, settings: &Settings, accounts: &str) -> String {
    // A broker with a folder of its own writes nothing into the data folder.
    let pid_file = settings.store.as_ref().map_or_else(|| layout.pid_file(), |own| own.join("nats-server.pid"));
    let store = settings.store.clone().unwrap_or_else(|| layout.store());
    TEMPLATE
        .replace("{{listen}}", &format!("{}:{}", settings.host, settings.port))
        .replace("{{pid_file}}", &quoted(&pid_file))
        .replace("{{monitor}}", &settings.monitor_port.map(|port| format!("http: \"127.0.0.1:{port}\"\n")).unwrap_or_default())
        .replace("{{store}}", &quoted(&store))
        .replace("{{max_file_store}}", &settings.max_file_store.to_string())
        .replace("{{tls}}", &tls(settings.tls.as_ref()))
        .replace("{{accounts}}", accounts)
}

fn accounts(layout: &Layout, publishers: &[Publisher]) -> Result<String, NatsError> {
    let mut text = String::from("  SYS {\n    users: [\n");
    text.push_str(&service_user(layout, User::System)?);
    text.push_str("    ]\n  }\n  ORRERY {\n    jetstream: enabled\n    users: [\n");
    for user in User::ALL {
        match user {
            User::System => {}
            User::Api | User::Projector | User::DockerExecutor | User::LibvirtExecutor | User::Ops => {
                text.push_str(&service_user(layout, user)?)
            }
        }
    }
    text.push_str("    ]\n    exports: [\n");
    for Publisher { name, .. } in publishers {
        let _ = write!(
            text,
            "      {{ service: \"orrery.commands.{name}.*\", accounts: [\"P_{name}\"] }}\n      \
             {{ service: \"orrery.rpc.api.status.{name}\", accounts: [\"P_{name}\"] }}\n"
        );
    }
    text.push_str("    ]\n  }\n");
    for publisher in publishers {
        text.push_str(&publisher_account(layout, publisher)?);
    }
    Ok(text)
}

fn service_user(layout: &Layout, user: User) -> Result<String, NatsError> {
    let password = secrets::password_at(&layout.password(user))?;
    let hash = secrets::hash_at(&layout.hash(user.name()), user.name(), &password)?;
    Ok(user_block(user.name(), &hash, &permissions::of(user)))
}

fn publisher_account(layout: &Layout, publisher: &Publisher) -> Result<String, NatsError> {
    let Publisher { name, password } = publisher;
    let hash = secrets::hash_at(&layout.hash(&format!("publisher.{name}")), name, password)?;
    let user = user_block(name, &hash, &permissions::of_publisher(name));
    Ok(format!(
        "  \"P_{name}\" {{\n    limits: {PUBLISHER_LIMITS}\n    users: [\n{user}    ]\n    imports: [\n      \
         {{ service: {{ account: ORRERY, subject: \"orrery.commands.{name}.*\" }}, to: \"orrery.commands.*\" }}\n      \
         {{ service: {{ account: ORRERY, subject: \"orrery.rpc.api.status.{name}\" }}, to: \"orrery.status\" }}\n    \
         ]\n  }}\n"
    ))
}

fn user_block(name: &str, hash: &str, permissions: &Permissions) -> String {
    let line = |subject: &String| format!("            \"{subject}\"\n");
    let publish: String = permissions.publishes().iter().map(line).collect();
    let subscribe: String = permissions.subscribe.iter().map(|grant| line(&grant.subject)).collect();
    let answers = if permissions.answers {
        format!("          allow_responses: {{ max: 1, expires: \"{ANSWER_WITHIN}\" }}\n")
    } else {
        String::new()
    };
    format!(
        "      {{ user: \"{name}\", password: \"{hash}\"\n        permissions {{\n          \
         publish: {{ allow: [\n{publish}          ] }}\n          subscribe: {{ allow: [\n{subscribe}          ] }}\n{answers}        \
         }}\n      }}\n"
    )
}

fn tls(tls: Option<&Tls>) -> String {
    tls.map_or_else(String::new, |Tls { certificate, key }| {
        format!("\ntls {{\n  cert_file: \"{}\"\n  key_file: \"{}\"\n  timeout: 5\n}}\n", quoted(certificate), quoted(key))
    })
}

/// A path as it stands between the quotation marks of the configuration.
fn quoted(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_twice_changes_nothing_and_a_new_publisher_does() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let settings = Settings::on_port(4222);
        assert!(install(&layout, &settings).unwrap());
        assert!(!install(&layout, &settings).unwrap());
        publishers::add(&layout, "release-bot", &settings.url()).unwrap();
        assert!(install(&layout, &settings).unwrap());
    }

    #[test]
    fn a_broker_of_a_host_of_its_own_has_its_name_and_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let (host, known_as, store) = ("0.0.0.0".to_owned(), Some("nats".to_owned()), Some("/broker".into()));
        let settings = Settings { host, known_as, store, monitor_port: Some(8222), ..Settings::on_port(4222) };
        install(&layout, &settings).unwrap();
        assert_eq!(Settings::load(&layout).unwrap(), Some(settings.clone()));
        assert_eq!(settings.url(), "nats://nats:4222");
        let text = std::fs::read_to_string(layout.config()).unwrap();
        for line in
            ["listen: \"0.0.0.0:4222\"", "store_dir: \"/broker\"", "pid_file: \"/broker/nats-server.pid\"", "http: \"127.0.0.1:8222\""]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!layout.store().exists());
    }

    #[test]
    fn no_password_stands_in_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        install(&layout, &Settings::on_port(4222)).unwrap();
        let text = std::fs::read_to_string(layout.config()).unwrap();
        for user in User::ALL {
            let password = std::fs::read_to_string(layout.password(user)).unwrap();
            assert!(password.len() > 40);
            assert!(!text.contains(password.trim()), "{user:?}");
        }
        let ci = publishers::list(&layout).unwrap().remove(0);
        assert!(!text.contains(&ci.password));
    }
}
