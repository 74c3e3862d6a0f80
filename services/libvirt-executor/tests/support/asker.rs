//! Somebody who asks the executor over the broker, as the api does.

use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures::StreamExt as _;
use orrery_contracts::figures::{MachineSample, MachineSamples};
use orrery_contracts::rpc::{
    Answer, MachinePlanQuestion, MachineQuestion, Raw, StreamControl, StreamFrame, UPLOAD_PIECE, UploadPiece, UploadsQuestion,
};
use orrery_contracts::{Engine, MachineId, Plan, Problem, Upload, UploadOf, subjects};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// How long an answer may take: guests run in software, beside other tests.
const SOON: Duration = Duration::from_secs(120);

pub struct Asker(pub Client);

impl Asker {
    /// What an apply would do.
    pub async fn plan(&self, question: &MachinePlanQuestion) -> Result<Plan, Problem> {
        self.ask("plan", question).await
    }

    /// Uploads a file for a box, as the api does, from where it lies already; answers it whole.
    pub async fn upload(&self, of: &UploadOf, file: &[u8]) -> Result<Upload, Problem> {
        let mut upload: Upload = self.ask("upload.begin", of).await?;
        while upload.sha256.is_none() {
            let from = usize::try_from(upload.received).unwrap();
            let bytes = Raw(file[from..file.len().min(from + UPLOAD_PIECE)].to_vec());
            upload = self.ask("upload.put", &UploadPiece { id: of.id, at: upload.received, bytes }).await?;
        }
        Ok(upload)
    }

    /// The uploads that lie there.
    pub async fn uploads(&self) -> Vec<Upload> {
        self.ask("uploads", &UploadsQuestion { id: None }).await.unwrap()
    }

    /// Asks something that is answered once.
    pub async fn ask<T: DeserializeOwned>(&self, verb: &str, question: &impl Serialize) -> Result<T, Problem> {
        let (subject, body) = (subjects::rpc(Engine::Libvirt, "local", verb), serde_json::to_vec(question).unwrap());
        let asked = async || self.0.request(subject.clone(), body.clone().into()).await.ok();
        let answer = super::executor::until(&format!("an answer to {verb}"), asked).await;
        match serde_json::from_slice(&answer.payload).unwrap() {
            Answer::Ok(answer) => Ok(answer),
            Answer::Err(problem) => Err(problem),
        }
    }

    /// Looks at a machine's `console`, `screen` or `screenshot`.
    pub async fn look(&self, verb: &str, machine_id: MachineId) -> Result<Viewer, Problem> {
        let inbox = self.0.new_inbox();
        let mut frames = self.0.subscribe(inbox.clone()).await.unwrap();
        let question = serde_json::to_vec(&MachineQuestion { machine_id }).unwrap();
        let subject = subjects::rpc(Engine::Libvirt, "local", verb);
        self.0.publish_with_reply(subject, inbox, question.into()).await.unwrap();
        let first = timeout(SOON, frames.next()).await.expect("it is answered").unwrap();
        assert_eq!(first.status, None, "the executor is there");
        match serde_json::from_slice(&first.payload).unwrap() {
            StreamFrame::Open { control } => Ok(Viewer { client: self.0.clone(), frames, control, heard: Vec::new() }),
            StreamFrame::End { problem: Some(problem) } => Err(problem),
            StreamFrame::End { problem: None } | StreamFrame::Lines(_) | StreamFrame::Bytes(_) => panic!("{:?}", first.payload),
        }
    }

    /// What machines use, as it is told.
    pub async fn samples(&self) -> Samples {
        let heard = self.0.subscribe(subjects::ALL_MACHINE_SAMPLES).await.unwrap();
        self.0.flush().await.unwrap();
        Samples(heard)
    }

    /// Why it is not shown.
    pub async fn refusal(&self, verb: &str, machine_id: MachineId) -> Problem {
        self.look(verb, machine_id).await.err().expect("it is refused")
    }
}

/// Somebody who looks at a machine.
pub struct Viewer {
    client: Client,
    frames: Subscriber,
    control: String,
    pub heard: Vec<u8>,
}

impl Viewer {
    async fn tell(&self, control: StreamControl) {
        self.client.publish(self.control.clone(), serde_json::to_vec(&control).unwrap().into()).await.unwrap();
    }

    pub async fn say(&self, bytes: impl AsRef<[u8]>) {
        self.tell(StreamControl::Bytes(Raw(bytes.as_ref().to_vec()))).await;
    }

    pub async fn leaves(self) {
        self.tell(StreamControl::Close).await;
    }

    /// The next bytes; none at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let message = timeout(SOON, self.frames.next()).await.expect("something comes").unwrap();
        self.tell(StreamControl::Credit(1)).await;
        match serde_json::from_slice(&message.payload).unwrap() {
            StreamFrame::Bytes(bytes) => Some(bytes.0),
            StreamFrame::End { problem: None } => None,
            StreamFrame::End { problem: Some(_) } | StreamFrame::Open { .. } | StreamFrame::Lines(_) => panic!("{:?}", message.payload),
        }
    }

    /// Looks until this was said, and forgets all up to there.
    pub async fn sees(&mut self, text: &str) {
        loop {
            if let Some(at) = self.heard.windows(text.len()).position(|part| part == text.as_bytes()) {
                self.heard.drain(..at + text.len());
                return;
            }
            assert!(self.hears().await, "it ended before {text:?}: {:?}", String::from_utf8_lossy(&self.heard));
        }
    }

    /// The next so many bytes.
    pub async fn takes(&mut self, count: usize) -> Vec<u8> {
        while self.heard.len() < count {
            assert!(self.hears().await, "it ended after {} bytes", self.heard.len());
        }
        self.heard.drain(..count).collect()
    }

    /// Everything up to the end.
    pub async fn all(mut self) -> Vec<u8> {
        while self.hears().await {}
        self.heard
    }

    async fn hears(&mut self) -> bool {
        let more = self.next().await;
        self.heard.extend(more.iter().flatten());
        more.is_some()
    }
}

/// Somebody who hears what machines use.
pub struct Samples(Subscriber);

impl Samples {
    /// The next message that satisfies.
    pub async fn until(&mut self, mut wanted: impl FnMut(&[MachineSample]) -> bool) -> Vec<MachineSample> {
        let heard = async {
            loop {
                let message = self.0.next().await.unwrap();
                let told: MachineSamples = serde_json::from_slice(&message.payload).unwrap();
                assert_eq!((message.subject.as_str(), told.host.as_str()), ("orrery.metrics.machine.local", "local"));
                if wanted(&told.machines) {
                    return told.machines;
                }
            }
        };
        timeout(SOON, heard).await.expect("it is told")
    }
}
