//! A bundle as it is uploaded: `t`, `g` or `z` and a tar archive, a gzipped one or a zip; everything else is JSON.

use orrery_api::bundles::{Kind, tar_of, unpack};
use orrery_contracts::bundle::check_path;
use orrery_contracts::{Bundle, BundleLimits};

/// Small, so that the fuzzer meets them.
const LIMITS: BundleLimits = BundleLimits { bytes: 256 * 1024, files: 50, file_bytes: 128 * 1024 };

/// What must hold of any upload.
pub fn run(bytes: &[u8]) {
    let (kind, archive) = match bytes.split_first() {
        Some((b't', rest)) => (Kind::Tar, rest),
        Some((b'g', rest)) => (Kind::TarGz, rest),
        Some((b'z', rest)) => (Kind::Zip, rest),
        Some(_) | None => {
            if let Ok(bundle) = serde_json::from_slice::<Bundle>(bytes) {
                is_kept_as_it_is(&bundle, &LIMITS);
            }
            return;
        }
    };
    let Ok(bundle) = unpack(kind, archive, &LIMITS) else { return };
    assert!(bundle.files.len() <= LIMITS.files, "{} files", bundle.files.len());
    let total: usize = bundle.files.values().map(|file| file.bytes.len()).sum();
    assert!(total <= LIMITS.bytes, "{total} bytes");
    for path in bundle.files.keys() {
        assert_eq!(check_path(path), Ok(()), "{path:?}");
    }
    is_kept_as_it_is(&bundle, &LIMITS);
}

/// What is stored under its digest, and what is given back as an archive, is the bundle that was sent.
pub(crate) fn is_kept_as_it_is(bundle: &Bundle, limits: &BundleLimits) {
    let stored = bundle.canonical_bytes();
    let read: Bundle = serde_json::from_slice(&stored).expect("what is stored can be read");
    assert_eq!(&read, bundle);
    assert_eq!(read.canonical_bytes(), stored, "the stored form is one");
    if !bundle.faults(limits).is_empty() {
        return;
    }
    let folder = "shop";
    let Ok(packed) = tar_of(bundle, folder) else { return };
    // A folder that is no definition's is not taken off again.
    let unpacked = unpack(Kind::Tar, &packed, limits).expect("what was packed can be unpacked");
    let is_definition = orrery_compose::load::FILE_NAMES.iter().any(|name| bundle.files.contains_key(*name));
    if is_definition {
        assert_eq!(&unpacked, bundle, "an archive of a bundle is that bundle");
    } else {
        let below = unpacked.files.into_iter().map(|(path, file)| (path.strip_prefix("shop/").map(str::to_owned).unwrap_or(path), file));
        assert_eq!(&below.collect::<std::collections::BTreeMap<_, _>>(), &bundle.files);
    }
}
