//! The message of a command, as any publisher may write it: whose it is, what it says of itself, and whether it is one.

use orrery_contracts::command::{
    Action, Apply, BoxAction, BoxImport, BoxSource, BundleSource, CommandMessage, Create, Glance, MachineAction, MachineDelete,
    MachineShutdown, NewCommand, NoFields, Rollback, SecretPut, SecretRemove, SnapshotCreate, SnapshotName, StackAction, StackDelete,
    Target, VersionCreate, Versioning,
};
use orrery_contracts::rpc::StatusQuestion;
use orrery_contracts::{Bundle, BundleLimits, Digest, Engine, engine, subjects};
use serde::Serialize;
use serde_json::Value;

/// What must hold of any message.
pub fn run(body: &[u8]) {
    let owner = engine::owner(body);
    assert_eq!(owner, engine::owner(&[b" ", body, b"\n"].concat()), "white space around a message does not change its owner");
    if owner == Engine::Libvirt {
        says_that_it_is_a_machines(body);
    }
    let glance = Glance::at(body);
    for text in [glance.r#type, glance.target, glance.on_failure, glance.actor].into_iter().flatten() {
        assert!(text.chars().count() <= 200, "what is shown of a message is short");
    }
    if let Ok(message) = CommandMessage::read(body) {
        assert_eq!(owner, Engine::Docker, "every type of this release is the docker-executor's");
        assert_eq!(CommandMessage::read(&written(&message)).as_ref(), Ok(&message), "a command is read back as it was written");
        for publisher in [subjects::API_PUBLISHER, "ci", "", "not a name"] {
            acts_for_himself_or_by_the_api(&message, publisher);
        }
    }
    if let Ok(question) = serde_json::from_slice::<StatusQuestion>(body) {
        crate::is_read_back(&question);
    }
    if let Ok(subject) = std::str::from_utf8(body) {
        is_spelled_as_it_was_read(subject);
    }
}

/// Where serde can make a value of it, its type is a machine's.
fn says_that_it_is_a_machines(body: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    let kind = value.get("type").and_then(Value::as_str).expect("what libvirt owns has a type");
    assert!(kind.starts_with("machine.") || kind.starts_with("box."), "{kind}");
}

fn acts_for_himself_or_by_the_api(message: &CommandMessage, publisher: &str) {
    let Ok(actor) = message.actor_for(publisher) else { return };
    if publisher == subjects::API_PUBLISHER {
        assert_eq!(Some(&actor), message.actor.as_ref());
    } else {
        assert_eq!(actor.as_str(), publisher, "who is not the api acts for himself");
    }
}

fn is_spelled_as_it_was_read(subject: &str) {
    if let Some((publisher, id)) = subjects::parse_command(subject)
        && let Ok(id) = id.parse()
    {
        assert_eq!(subjects::command(publisher, id), subject);
    }
    // An event's number may be spelled in several ways; what is read of it is one thing.
    if let Some(event) = subjects::parse_event(subject) {
        let spelled = match event {
            subjects::EventSubject::Transition(seq) => subjects::transition(seq),
            subjects::EventSubject::Step(seq) => subjects::step(seq),
            subjects::EventSubject::Cancel(seq) => subjects::cancel(seq),
            subjects::EventSubject::Stack(id) => subjects::stack_event(id),
            subjects::EventSubject::Machine(id) => subjects::machine_event(id),
        };
        assert_eq!(subjects::parse_event(&spelled), Some(event));
    }
}

/// The message as the api would write it.
fn written(message: &CommandMessage) -> Vec<u8> {
    match &message.action {
        Action::Stack(StackAction::Versioning(of)) | Action::Machine(MachineAction::Versioning(of)) => versioning(message, of),
        Action::Stack(StackAction::Delete { volumes }) => new(message, StackDelete { volumes: *volumes }),
        Action::Stack(StackAction::SecretPut { name, sealed }) => new(message, SecretPut { name: name.clone(), sealed: sealed.clone() }),
        Action::Stack(StackAction::SecretRemove { name }) => new(message, SecretRemove { name: name.clone() }),
        Action::Machine(MachineAction::Delete { disks }) => new(message, MachineDelete { disks: *disks }),
        Action::Machine(MachineAction::Shutdown { grace_seconds }) => new(message, MachineShutdown { grace_seconds: *grace_seconds }),
        Action::Machine(MachineAction::SnapshotCreate { name, description }) => {
            new(message, SnapshotCreate { name: name.clone(), description: Some(description.clone()) })
        }
        Action::Machine(MachineAction::SnapshotRevert { name } | MachineAction::SnapshotDelete { name }) => {
            new(message, SnapshotName { name: name.clone() })
        }
        Action::Box(BoxAction::Import { source, format, sha256, description }) => {
            let (url, upload) = match source {
                BoxSource::Url(url) => (Some(url.clone()), None),
                BoxSource::Upload(digest) => (None, Some(digest.clone())),
            };
            let description = Some(description.clone());
            new(message, BoxImport { format: *format, url, upload, sha256: sha256.clone(), description })
        }
        Action::Stack(StackAction::Start | StackAction::Stop | StackAction::Restart)
        | Action::Machine(
            MachineAction::Start | MachineAction::Stop | MachineAction::Reboot | MachineAction::Suspend | MachineAction::Resume,
        )
        | Action::Box(BoxAction::Remove) => new(message, NoFields {}),
    }
}

fn versioning(message: &CommandMessage, of: &Versioning) -> Vec<u8> {
    match of {
        Versioning::Create { source, comment } => {
            let (bundle, digest) = files(source);
            new(message, Create { bundle, digest, comment: Some(comment.clone()) })
        }
        Versioning::Version { source, comment, expected_version } | Versioning::Deploy { source, comment, expected_version } => {
            let (bundle, digest) = files(source);
            new(message, VersionCreate { bundle, digest, comment: Some(comment.clone()), expected_version: *expected_version })
        }
        Versioning::Apply { version, digest } => {
            new(message, Apply { version: Some(*version), digest: digest.clone(), bundle: None, comment: None })
        }
        Versioning::Rollback { version, digest } => new(message, Rollback { version: *version, digest: digest.clone() }),
    }
}

fn new<P: Serialize>(message: &CommandMessage, payload: P) -> Vec<u8> {
    let command = NewCommand {
        r#type: message.action.command_type(),
        schema: 1,
        target: match &message.target {
            Target::Id(id) => id.to_string(),
            Target::Own(name) => name.to_string(),
            Target::Of(owner, name) => format!("{owner}/{name}"),
        },
        payload,
        on_failure: message.on_failure,
        actor: message.actor.clone(),
        deadline_seconds: message.deadline_seconds,
    };
    serde_json::to_vec(&command).expect("a command can be written")
}

fn files(source: &BundleSource) -> (Option<Bundle>, Option<Digest>) {
    match source {
        BundleSource::Inline(bundle) => {
            crate::bundle::is_kept_as_it_is(bundle, &BundleLimits::default());
            (Some(bundle.clone()), None)
        }
        BundleSource::Digest(digest) => (None, Some(digest.clone())),
    }
}
