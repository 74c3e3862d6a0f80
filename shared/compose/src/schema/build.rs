//! Keys of `build` and `develop`.

use super::service::{FILE_MOUNT, HOOK};
use super::{Emit, Key, Object, Shape, idle, refused, works};

const BUILDKIT: &str = "The engine's own builder cannot do it.";

pub(super) static BUILD: Object = Object { what: "a build", keys: BUILD_KEYS, required: &[], extensible: true };

static BUILD_KEYS: &[Key] = &[
    works("context", Shape::Context, "Folder of the bundle that is given to the build."),
    works("dockerfile", Shape::Text, "The Dockerfile, relative to the context."),
    works("dockerfile_inline", Shape::Text, "A Dockerfile written here."),
    refused("entitlements", Shape::Texts, "Extra privileges of the build.", BUILDKIT),
    works("args", Shape::Environment, "Build arguments."),
    refused("ssh", Shape::Ssh, "SSH agents or keys for the build.", "Fetch the sources before, and put them into the bundle."),
    works("labels", Shape::Pairs, "Labels of the image."),
    works("cache_from", Shape::Texts, "Images to take layers from."),
    idle("cache_to", Shape::Texts, "Where the build cache is exported to.", "The engine keeps its cache itself."),
    works("no_cache", Shape::Bool, "Build every layer anew."),
    refused("additional_contexts", Shape::Contexts, "Further named contexts.", "Copy the files into the bundle, below the context."),
    works("network", Shape::Text, "Network of the RUN instructions."),
    idle("provenance", Shape::BoolText, "Provenance attestation.", BUILDKIT),
    idle("sbom", Shape::BoolText, "Bill of materials.", BUILDKIT),
    works("pull", Shape::Bool, "Pull base images even when they are here."),
    works("target", Shape::Text, "The stage to build."),
    works("shm_size", Shape::Bytes, "Size of /dev/shm during the build."),
    works("extra_hosts", Shape::Hosts, "Further host names for the RUN instructions."),
    idle("isolation", Shape::Text, "Isolation technology.", super::WINDOWS),
    refused("privileged", Shape::Bool, "Run the build with every privilege.", BUILDKIT),
    refused("secrets", Shape::List(&Shape::Short(&Shape::Object(&FILE_MOUNT))), "Secrets for the build.", BUILDKIT),
    works("tags", Shape::Texts, "Further names for the image."),
    idle("ulimits", Shape::Map(&Shape::Ulimit), "Limits during the build.", "A build has the engine's own limits (default-ulimits)."),
    works("platforms", Shape::Texts, "Platforms to build for; one of them at most."),
];

pub(super) static DEVELOP: Object = Object { what: "a develop section", keys: DEVELOP_KEYS, required: &[], extensible: true };

static DEVELOP_KEYS: &[Key] = &[works("watch", Shape::List(&Shape::Object(&WATCH)), "What to do when files change.")];

static WATCH: Object = Object { what: "a watch", keys: WATCH_KEYS, required: &["path", "action"], extensible: true };

static WATCH_KEYS: &[Key] = &[
    works("ignore", Shape::TextOrTexts, "Patterns to leave out."),
    works("include", Shape::TextOrTexts, "Patterns to take."),
    works("path", Shape::Path, "Folder to watch."),
    works("action", Shape::Choice(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]), "What to do."),
    works("target", Shape::Text, "Folder in the container."),
    works("exec", Shape::Object(&HOOK), "What to run after a sync.").emit(Emit::Always),
    works("initial_sync", Shape::Flag, "Sync at the start too."),
];
