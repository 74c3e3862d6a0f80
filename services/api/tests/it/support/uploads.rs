//! A hand that keeps uploads, as the executor of machines does, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_nats::Message;
use futures::StreamExt as _;
use orrery_contracts::rpc::{Answer, UploadPiece, UploadsQuestion};
use orrery_contracts::{Code, Digest, Problem, Time, Upload, UploadOf};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Executor;

type Kept = Arc<Mutex<BTreeMap<Uuid, (Upload, Vec<u8>)>>>;

/// What it has.
#[derive(Clone, Default)]
pub struct Uploads(Kept);

impl Uploads {
    /// The bytes of one.
    pub fn bytes(&self, id: Uuid) -> Vec<u8> {
        self.0.lock().unwrap()[&id].1.clone()
    }

    fn begin(&self, of: UploadOf) -> Result<Upload, Box<Problem>> {
        let upload = Upload { of, received: 0, sha256: None, touched_at: Time::from(OffsetDateTime::now_utc()) };
        Ok(self.0.lock().unwrap().entry(upload.of.id).or_insert((upload, Vec::new())).0.clone())
    }

    fn put(&self, piece: UploadPiece) -> Result<Upload, Box<Problem>> {
        let mut kept = self.0.lock().unwrap();
        let (upload, bytes) = kept.get_mut(&piece.id).ok_or_else(|| Box::new(Problem::new(Code::NotFound, "it is gone")))?;
        let at = usize::try_from(piece.at).unwrap();
        if bytes.get(at..).is_none_or(|there| there.iter().zip(&piece.bytes.0).any(|(there, came)| there != came)) {
            return Err(Box::new(Problem::new(Code::Conflict, "another file")));
        }
        let known = bytes.len() - at;
        bytes.extend(piece.bytes.0.iter().skip(known));
        upload.received = u64::try_from(bytes.len()).unwrap();
        upload.sha256 = (upload.received == upload.of.size).then(|| Digest::of(bytes));
        Ok(upload.clone())
    }

    fn list(&self, asked: UploadsQuestion) -> Result<Vec<Upload>, Box<Problem>> {
        let kept = self.0.lock().unwrap();
        Ok(kept.values().map(|(upload, _)| upload.clone()).filter(|upload| asked.id.is_none_or(|id| id == upload.of.id)).collect())
    }

    fn remove(&self, asked: UploadsQuestion) -> Result<(), Box<Problem>> {
        self.0.lock().unwrap().remove(&asked.id.unwrap());
        Ok(())
    }
}

impl Executor {
    /// Keeps uploads until it is dropped; ends when all its handles are aborted.
    pub async fn keeps_uploads(&self) -> (Uploads, Vec<JoinHandle<()>>) {
        let uploads = Uploads::default();
        let works = vec![
            self.does(&uploads, "upload.begin", Uploads::begin).await,
            self.does(&uploads, "upload.put", Uploads::put).await,
            self.does(&uploads, "uploads", Uploads::list).await,
            self.does(&uploads, "upload.remove", Uploads::remove).await,
        ];
        (uploads, works)
    }

    async fn does<Q, A>(&self, uploads: &Uploads, verb: &str, work: fn(&Uploads, Q) -> Result<A, Box<Problem>>) -> JoinHandle<()>
    where
        Q: DeserializeOwned + 'static,
        A: Serialize + 'static,
    {
        let (mut questions, client, uploads) = (self.questions(verb).await, self.client.clone(), uploads.clone());
        tokio::spawn(async move {
            while let Some(Message { reply, payload, .. }) = questions.next().await {
                let done = work(&uploads, serde_json::from_slice(&payload).unwrap());
                let answer = serde_json::to_vec(&done.map_or_else(|problem| Answer::Err(*problem), Answer::Ok)).unwrap();
                client.publish(reply.unwrap(), answer.into()).await.unwrap();
            }
        })
    }
}
