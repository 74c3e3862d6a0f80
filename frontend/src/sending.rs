//! A file on its way to the host: which part is next, whether a file is the one that was begun, and what follows from a refusal.

use orrery_contracts::{Code, Upload};

/// How much is sent in one request: what is lost with a connection, and how often the page says how far it is.
const PART: u64 = 4 << 20;

/// What the page knows of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// In milliseconds since 1970.
    pub(crate) modified: u64,
}

/// A part of a file: from the first byte to before the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Part {
    /// The next part of an upload; none when all of it has come.
    pub(crate) fn next(upload: &Upload) -> Option<Self> {
        let (from, size) = (upload.received, upload.of.size);
        (upload.sha256.is_none() && from < size).then(|| Self { from, to: from.saturating_add(PART).min(size) })
    }

    /// Its place, as `Content-Range` says it.
    pub(crate) fn range(self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.from, self.to.saturating_sub(1))
    }
}

/// Why a file is not the one that an upload was begun with.
pub(crate) fn other_file(upload: &Upload, file: &Known) -> Option<String> {
    let of = &upload.of;
    if of.size != file.size {
        return Some(format!("{} has {} bytes, and the upload is of a file with {}.", file.name, file.size, of.size));
    }
    if of.modified.is_some_and(|modified| modified != file.modified) {
        return Some(format!("{} was changed since the upload began: cancel it, and begin anew.", file.name));
    }
    None
}

/// Whether a refused part is worth another try: something is away, and comes back.
pub(crate) fn comes_back(code: Option<Code>) -> bool {
    match code {
        None => true,
        Some(code) => matches!(code, Code::BrokerAway | Code::ExecutorAway | Code::DatabaseAway | Code::MalformedRequest | Code::Conflict),
    }
}

/// How long to wait before another try, in seconds, after so many in vain.
pub(crate) fn pause(tries: u32) -> u32 {
    2_u32.saturating_pow(tries.min(4)).min(10)
}

/// After so many tries in vain the person is asked to go on.
pub(crate) const TRIES: u32 = 20;

/// How far it is, in words: `40 % of 1.5 GiB`.
pub(crate) fn far(upload: &Upload) -> String {
    let size = upload.of.size.max(1);
    let percent = u128::from(upload.received).saturating_mul(100).checked_div(u128::from(size)).unwrap_or_default();
    format!("{percent} % of {}", crate::words::memory(upload.of.size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(size: u64, received: u64) -> Upload {
        let of = serde_json::json!({"id": uuid(), "owner": "ada", "name": "debian", "size": size, "file": "d.img", "modified": 7,
            "received": received, "sha256": null, "touched_at": "2026-01-01T00:00:00Z"});
        serde_json::from_value(of).unwrap()
    }

    fn uuid() -> &'static str {
        "01997f2e-6f0a-7c3e-9a51-3f0b8a4a2c11"
    }

    #[test]
    fn parts_cover_a_file_to_its_last_byte() {
        let size = 2 * PART + 5;
        let (mut at, mut ranges) = (0, Vec::new());
        while let Some(part) = Part::next(&upload(size, at)) {
            assert_eq!(part.from, at);
            ranges.push(part.range(size));
            at = part.to;
        }
        assert_eq!((at, ranges.len()), (size, 3));
        assert_eq!(ranges[2], format!("bytes {}-{}/{size}", 2 * PART, size - 1));
    }

    #[test]
    fn another_file_is_told_by_its_size_or_its_time() {
        let begun = upload(10, 4);
        let file = |size, modified| Known { name: "d.img".into(), size, modified };
        assert_eq!(other_file(&begun, &file(10, 7)), None);
        assert!(other_file(&begun, &file(11, 7)).unwrap().contains("11 bytes"));
        assert!(other_file(&begun, &file(10, 8)).unwrap().contains("changed"));
    }

    #[test]
    fn what_is_away_is_waited_for_and_what_is_wrong_is_said() {
        assert!(comes_back(None) && comes_back(Some(Code::ExecutorAway)));
        assert!(!comes_back(Some(Code::DiskFull)) && !comes_back(Some(Code::NotFound)) && !comes_back(Some(Code::InvalidRequest)));
        assert_eq!((pause(0), pause(1), pause(9)), (1, 2, 10));
    }

    #[test]
    fn how_far_it_is() {
        assert_eq!(far(&upload(3 << 20, 1 << 20)), "33 % of 3 MiB");
    }
}
