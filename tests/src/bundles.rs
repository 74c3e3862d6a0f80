//! Bundles for tests: the examples as they lie in the repository, and small definitions written in a test.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use orrery_contracts::{Bundle, FileContent};

/// The repository.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// One of `examples/`, whole, but for its README.
///
/// # Errors
/// When a file cannot be read.
pub fn example(name: &str) -> anyhow::Result<Bundle> {
    let root = repository().join("examples").join(name);
    let mut bundle = Bundle::default();
    add_folder(&mut bundle, &root, &root)?;
    bundle.files.remove("README.md");
    Ok(bundle)
}

/// A bundle of one `compose.yaml`.
#[must_use]
pub fn compose(text: impl Into<String>) -> Bundle {
    with(Bundle::default(), "compose.yaml", text)
}

/// The same bundle with one file put or replaced.
#[must_use]
pub fn with(mut bundle: Bundle, path: &str, text: impl Into<String>) -> Bundle {
    bundle.files.insert(path.to_owned(), FileContent::text(text));
    bundle
}

/// The same bundle with a word of one file replaced.
///
/// # Errors
/// When the file or the word is not there: a test that changes nothing proves nothing.
pub fn replacing(mut bundle: Bundle, path: &str, from: &str, to: &str) -> anyhow::Result<Bundle> {
    let file = bundle.files.get_mut(path).with_context(|| format!("{path} is not in the bundle"))?;
    let text = file.as_text().with_context(|| format!("{path} is no text"))?;
    anyhow::ensure!(text.contains(from), "{path} does not contain {from:?}");
    *file = FileContent::text(text.replace(from, to));
    Ok(bundle)
}

fn add_folder(bundle: &mut Bundle, root: &Path, folder: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            add_folder(bundle, root, &path)?;
            continue;
        }
        let name = path.strip_prefix(root)?.to_str().context("a path that is no text")?.to_owned();
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        bundle.files.insert(name, FileContent { bytes, executable: false });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use orrery_contracts::BundleLimits;

    use super::example;

    #[test]
    fn every_example_is_a_bundle_that_fits_into_one_command() {
        for name in ["static-site", "web-app", "pipeline"] {
            let bundle = example(name).unwrap();
            assert_eq!(bundle.faults(&BundleLimits::default()), [], "{name}");
            assert!(bundle.files.contains_key("compose.yaml") && bundle.files.contains_key(".env"), "{name}");
            assert!(bundle.canonical_bytes().len() < 256 * 1024, "{name} is too large for one message");
        }
    }
}
