//! Who may say and hear what: the one table that the broker enforces, the README shows and the tests try.
//!
//! Allow-lists only. What is not named here is refused, JetStream's own subjects included: a user reaches a stream only
//! through the requests that are listed for it, and nobody but `ops` makes or changes one.

use async_nats::jetstream::stream::Config;
use orrery_queue::topology;

use crate::users::{User, inbox_prefix};

/// One subject, and why it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The subject, with the broker's wildcards.
    pub subject: String,
    /// What it is for.
    pub why: &'static str,
}

/// What a user may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects on which it publishes.
    pub publish: Vec<Grant>,
    /// Subjects that it hears.
    pub subscribe: Vec<Grant>,
    /// Streams that it reads, and how: each stands for the requests of [`Read::requests`].
    pub reads: Vec<(Read, &'static str)>,
    /// Whether it may answer a request once on whatever reply subject the request carried.
    pub answers: bool,
}

/// How a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Its state and single messages.
    Look,
    /// Its state, single messages, and consumers that it is asked for the next messages of.
    Follow,
    /// Its state, single messages, and consumers that send as it comes: how clients read buckets and object stores.
    Watch,
}

impl Read {
    /// The broker's requests that this way of reading needs.
    pub fn requests(self, stream: &str) -> Vec<String> {
        let look = ["STREAM.INFO.<s>", "STREAM.MSG.GET.<s>", "DIRECT.GET.<s>", "DIRECT.GET.<s>.>"];
        let consume = ["CONSUMER.CREATE.<s>", "CONSUMER.CREATE.<s>.>", "CONSUMER.INFO.<s>.*", "CONSUMER.DELETE.<s>.*"];
        let request = |pattern: &&str| format!("$JS.API.{}", pattern.replace("<s>", stream));
        let looked = look.iter().map(request);
        let consumed = || consume.iter().map(request);
        match self {
            Self::Look => looked.collect(),
            Self::Follow => looked.chain(consumed()).chain([format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.*")]).collect(),
            Self::Watch => looked.chain(consumed()).chain([format!("$JS.FC.{stream}.>")]).collect(),
        }
    }
}

impl Permissions {
    fn says(mut self, why: &'static str, subjects: &[&str]) -> Self {
        self.publish.extend(grants(why, subjects));
        self
    }

    fn says_all(mut self, why: &'static str, subjects: Vec<String>) -> Self {
        self.publish.extend(subjects.into_iter().map(|subject| Grant { subject, why }));
        self
    }

    fn hears_all(mut self, why: &'static str, subjects: Vec<String>) -> Self {
        self.subscribe.extend(subjects.into_iter().map(|subject| Grant { subject, why }));
        self
    }

    fn hears(mut self, why: &'static str, subjects: &[&str]) -> Self {
        self.subscribe.extend(grants(why, subjects));
        self
    }

    fn reads(mut self, how: Read, streams: &[&'static str]) -> Self {
        self.reads.extend(streams.iter().map(|stream| (how, *stream)));
        self
    }

    /// Every subject on which it publishes, the requests for reading included.
    pub fn publishes(&self) -> Vec<String> {
        self.publish
            .iter()
            .map(|grant| grant.subject.clone())
            .chain(self.reads.iter().flat_map(|(how, stream)| how.requests(stream)))
            .collect()
    }

    fn own_inbox(self, name: &str) -> Self {
        let inbox = format!("{}.>", inbox_prefix(name));
        self.hears("its own answers", &[&inbox])
    }
}

fn grants(why: &'static str, subjects: &[&str]) -> impl Iterator<Item = Grant> {
    subjects.iter().map(move |subject| Grant { subject: (*subject).to_owned(), why })
}

/// What a user of the account `ORRERY` may do.
pub fn of(user: User) -> Permissions {
    let own = Permissions::default().own_inbox(user.name());
    match user {
        User::Api => api(own),
        User::Projector => projector(own),
        User::DockerExecutor => executor(own, &DOCKER),
        User::LibvirtExecutor => executor(own, &LIBVIRT),
        User::Ops => ops(own),
        User::System => own
            .says("look at the server", &["$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.*"])
            .says("have it take up a changed configuration", &["$SYS.REQ.SERVER.*.RELOAD"]),
    }
}

fn api(own: Permissions) -> Permissions {
    let mut permissions = own
        .says("enqueue", &["orrery.commands.api.*"])
        .says(
            "cancel and retry: its two transitions and the request to a running command",
            &["orrery.events.command.*", "orrery.events.command.*.cancel"],
        )
        .says("users, roles and quotas", &["$KV.POLICY.user.*", "$KV.POLICY.publisher.*"])
        .says("bundles too large for a command", &["$O.UPLOADS.C.*", "$O.UPLOADS.M.*", "$JS.API.STREAM.PURGE.OBJ_UPLOADS"])
        .says("ask an executor, and steer its streaming answer", &["orrery.rpc.docker.>", "orrery.rpc.libvirt.>"])
        .reads(Read::Look, &["COMMANDS", "EVENTS", "BUNDLES", "KV_HEADS", "KV_POLICY"])
        .reads(Read::Watch, &["OBJ_UPLOADS"])
        .hears("publishers' status requests", &["orrery.rpc.api.status.*"])
        .hears("which executors are alive", &["orrery.metrics.heartbeat.>"])
        .hears("what machines use", &["orrery.metrics.machine.*"]);
    permissions.answers = true;
    permissions
}

fn projector(own: Permissions) -> Permissions {
    own.reads(Read::Look, &["KV_HEADS"]).reads(Read::Follow, &["COMMANDS", "EVENTS", "VERSIONS", "OBSERVED"])
}

/// What one engine's executor owns, spelled for subjects.
struct Domain {
    engine: &'static str,
    /// Heads, versions and events of these nouns are its own.
    nouns: &'static [&'static str],
    /// The kinds of things that it observes.
    observes: &'static [&'static str],
    /// The kinds of things whose use it tells.
    measures: &'static [&'static str],
}

const DOCKER: Domain = Domain { engine: "docker", nouns: &["stack"], observes: &["container"], measures: &[] };

const LIBVIRT: Domain = Domain { engine: "libvirt", nouns: &["machine", "box"], observes: &["machine", "box"], measures: &["machine"] };

fn executor(own: Permissions, domain: &Domain) -> Permissions {
    let Domain { engine, nouns, observes, measures } = domain;
    let each = |names: &[&str], spell: &dyn Fn(&str) -> String| -> Vec<String> { names.iter().map(|name| spell(name)).collect() };
    own.says("transitions and steps of the commands it owns", &["orrery.events.command.*", "orrery.events.command.*.step"])
        .says_all("what became of what it owns", each(nouns, &|noun| format!("orrery.events.{noun}.*")))
        .says("progress and log lines", &["orrery.progress.*"])
        .says_all("versions that it makes", each(nouns, &|noun| format!("orrery.versions.{noun}.*.*")))
        .says("bundles of those versions", &["orrery.bundles.*.*"])
        .says_all("heads of what it owns", each(nouns, &|noun| format!("$KV.HEADS.{noun}.*")))
        .says_all(
            "its mark in the queue and the schemas it reads",
            vec![format!("$KV.HEADS.queue.{engine}"), format!("$KV.HEADS.schemas.{engine}")],
        )
        .says_all("what its engine says", each(observes, &|kind| format!("orrery.observed.*.{kind}.*")))
        .says_all("that a listing of its engine is complete", vec![format!("orrery.observed.*.marker.{engine}")])
        .says_all("that it is alive", vec![format!("orrery.metrics.heartbeat.{engine}.*")])
        .says_all("what its machines use", each(measures, &|kind| format!("orrery.metrics.{kind}.*")))
        .says("answers to the api", &["_INBOX.api.>"])
        .reads(Read::Look, &["VERSIONS", "BUNDLES", "OBSERVED"])
        .reads(Read::Follow, &["COMMANDS", "EVENTS"])
        .reads(Read::Watch, &["KV_HEADS", "KV_POLICY", "OBJ_UPLOADS"])
        .hears_all("questions to it, and the steering of its streaming answers", vec![format!("orrery.rpc.{engine}.>")])
}

fn ops(own: Permissions) -> Permissions {
    let streams = topology::streams(&topology::Settings::default());
    let request = |stream: &Config| ["INFO", "CREATE", "UPDATE"].map(|verb| format!("$JS.API.STREAM.{verb}.{}", stream.name));
    own.says_all("make, check and change the streams; never delete or purge one", streams.iter().flat_map(request).collect())
        .says("the installation's record", &["$KV.HEADS.installation"])
        .says("commands of the tools", &["orrery.commands.ops.*"])
        .reads(Read::Look, &["COMMANDS", "EVENTS", "KV_HEADS"])
}

/// What a publisher may do in his own account; the imports carry it into `ORRERY`.
pub fn of_publisher(name: &str) -> Permissions {
    Permissions::default()
        .own_inbox(name)
        .says("enqueue: becomes `orrery.commands.<name>.<id>`", &["orrery.commands.*"])
        .says("ask about his own commands: becomes `orrery.rpc.api.status.<name>`", &["orrery.status"])
}
