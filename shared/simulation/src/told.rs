//! A value that is waited for, by many, who wake in the order in which they came. Tokio's `watch` wakes its receivers in an
//! order that is drawn by chance, and no seed can be given to it: here each waiter has a channel of his own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The value.
#[derive(Debug)]
pub(crate) struct Told<T>(Mutex<(T, Vec<watch::Sender<T>>)>);

impl<T: Clone + PartialEq> Told<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new((value, Vec::new())))
    }

    fn lock(&self) -> MutexGuard<'_, (T, Vec<watch::Sender<T>>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self) -> T {
        self.lock().0.clone()
    }

    pub(crate) fn set(&self, value: T) {
        let mut told = self.lock();
        told.0 = value.clone();
        told.1.retain(|listener| listener.send(value.clone()).is_ok());
    }

    /// A channel of one's own.
    pub(crate) fn listen(&self) -> watch::Receiver<T> {
        let mut told = self.lock();
        let (tell, listener) = watch::channel(told.0.clone());
        told.1.retain(|listener| !listener.is_closed());
        told.1.push(tell);
        listener
    }

    /// Waits until the value is so.
    pub(crate) async fn until(&self, so: impl Fn(&T) -> bool) {
        if so(&self.lock().0) {
            return;
        }
        // The sender lives as long as this does.
        let _ = self.listen().wait_for(so).await;
    }
}
