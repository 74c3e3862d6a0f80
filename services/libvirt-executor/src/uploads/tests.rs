//! Uploads on a real folder.

use orrery_contracts::rpc::{Raw, UploadPiece};
use orrery_contracts::{Code, Digest, Upload, UploadOf};
use uuid::Uuid;

use super::Uploads;

struct Lab {
    folder: tempfile::TempDir,
    uploads: Uploads,
    id: Uuid,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(folder.path().join("uploads"), 1 << 20);
        Self { folder, uploads, id: Uuid::now_v7() }
    }

    fn of(&self, size: u64) -> UploadOf {
        let (owner, name) = ("ada".parse().unwrap(), "debian".parse().unwrap());
        let file = "debian.img".to_owned();
        UploadOf { id: self.id, owner, name, size, file, modified: None, expected: None, format: None, description: String::new() }
    }

    fn begin(&self, of: UploadOf) -> Result<Upload, Code> {
        self.uploads.begin(of).map_err(|problem| problem.code)
    }

    fn put(&self, at: u64, bytes: &[u8]) -> Result<Upload, Code> {
        self.uploads.put(&UploadPiece { id: self.id, at, bytes: Raw(bytes.to_vec()) }).map_err(|problem| problem.code)
    }

    /// The same folder, as the next process finds it.
    fn again(&mut self) {
        self.uploads = Uploads::new(self.folder.path().join("uploads"), 1 << 20);
    }

    fn left(&self) -> usize {
        self.folder.path().join("uploads").read_dir().unwrap().count()
    }
}

#[test]
fn what_comes_in_pieces_is_whole_at_the_end_whoever_ended_in_between() {
    let mut lab = Lab::new();
    assert_eq!(lab.begin(lab.of(11)).unwrap().received, 0);
    assert_eq!(lab.put(0, b"hello").unwrap().received, 5);
    lab.again();
    assert_eq!(lab.uploads.list(Some(lab.id)).unwrap()[0].received, 5);
    let whole = lab.put(5, b" world").unwrap();
    assert_eq!((whole.received, whole.sha256), (11, Some(Digest::of(b"hello world"))));
    let (found, path) = lab.uploads.whole(&Digest::of(b"hello world")).unwrap().unwrap();
    assert_eq!((found.of.id, std::fs::read(path).unwrap().as_slice()), (lab.id, b"hello world".as_slice()));
    lab.uploads.remove(lab.id).unwrap();
    lab.uploads.remove(lab.id).unwrap();
    assert_eq!((lab.left(), lab.put(11, b"")), (0, Err(Code::NotFound)));
}

#[test]
fn bytes_may_come_twice_and_never_differently_or_elsewhere() {
    let lab = Lab::new();
    lab.begin(lab.of(10)).unwrap();
    lab.put(0, b"01234").unwrap();
    assert_eq!(lab.put(6, b"6"), Err(Code::Conflict), "a gap");
    assert_eq!(lab.put(3, b"3x"), Err(Code::Conflict), "another file");
    assert_eq!(lab.put(0, b"01234").unwrap().received, 5, "the same again");
    assert_eq!(lab.put(5, b"567890"), Err(Code::TooLarge));
    assert_eq!(lab.put(3, b"3456789").unwrap().sha256, Some(Digest::of(b"0123456789")), "the rest, and some of it again");
    assert_eq!(lab.put(9, b"9").unwrap().received, 10, "the last word was not heard");
    assert_eq!(lab.put(9, b"x"), Err(Code::Conflict));
}

#[test]
fn another_file_than_was_expected_is_thrown_away() {
    let lab = Lab::new();
    lab.begin(UploadOf { expected: Some(Digest::of(b"right")), ..lab.of(5) }).unwrap();
    assert_eq!(lab.put(0, b"wrong"), Err(Code::InvalidRequest));
    assert_eq!((lab.left(), lab.uploads.list(None).unwrap()), (0, Vec::new()));
    lab.begin(UploadOf { expected: Some(Digest::of(b"right")), ..lab.of(5) }).unwrap();
    assert!(lab.put(0, b"right").unwrap().sha256.is_some());
}

#[test]
fn an_end_that_was_interrupted_is_made_up_for() {
    let mut lab = Lab::new();
    lab.begin(lab.of(2)).unwrap();
    lab.put(0, b"ab").unwrap();
    std::fs::remove_file(lab.folder.path().join(format!("uploads/{}.sha256", lab.id))).unwrap();
    std::fs::write(lab.folder.path().join(format!("uploads/{}.part", Uuid::now_v7())), "no record").unwrap();
    lab.again();
    assert_eq!(lab.left(), 2, "what belongs to no upload is gone");
    assert_eq!(lab.put(2, b"").unwrap().sha256, Some(Digest::of(b"ab")));
}

#[test]
fn there_is_a_limit_to_each_and_to_all() {
    let mut lab = Lab::new();
    let first = lab.begin(lab.of(1)).unwrap();
    assert_eq!(lab.begin(lab.of(1)), Ok(first), "the same request again");
    assert_eq!(lab.begin(lab.of(2)), Err(Code::IdempotencyKeyReused));
    lab.id = Uuid::now_v7();
    assert_eq!((lab.begin(lab.of(0)), lab.begin(lab.of(2 << 20))), (Err(Code::InvalidRequest), Err(Code::TooLarge)));
    for _ in 1..super::MOST.0 {
        lab.id = Uuid::now_v7();
        lab.begin(lab.of(1)).unwrap();
    }
    lab.id = Uuid::now_v7();
    assert_eq!(lab.begin(lab.of(1)), Err(Code::QuotaExceeded));
    lab.begin(UploadOf { owner: "eve".parse().unwrap(), ..lab.of(1) }).unwrap();
    let vast = Uploads::new(lab.folder.path().join("vast"), u64::MAX);
    assert_eq!(vast.begin(lab.of(1 << 60)).map_err(|problem| problem.code), Err(Code::DiskFull));
}
