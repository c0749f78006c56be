//! Users whose new key could not be stored while a message was worked on, in a way that a person has to mend.
//!
//! The message may be tried again for other users of the account; for these another try would only make and delete another key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use key_rotation_aws::AwsError;
use rotation::UserName;

/// With so many messages all are forgotten, because those that another worker has finished are never removed one by one. At worst one
/// more key is created and deleted.
const MAX_MESSAGES: usize = 10_000;

/// By message, and user.
#[derive(Debug, Default)]
pub struct StorageRefusals(Mutex<HashMap<String, HashMap<UserName, AwsError>>>);

impl StorageRefusals {
    /// Why this user's key could not be stored, in an earlier delivery of the message to this worker.
    pub fn get(&self, message: &str, user: &UserName) -> Option<AwsError> {
        self.messages().get(message)?.get(user).cloned()
    }

    pub fn remember(&self, message: &str, user: &UserName, error: &AwsError) {
        let mut messages = self.messages();
        if messages.len() >= MAX_MESSAGES {
            messages.clear();
        }
        messages.entry(message.to_owned()).or_default().insert(user.clone(), error.clone());
    }

    /// The message has come to its end.
    pub fn forget(&self, message: &str) {
        self.messages().remove(message);
    }

    fn messages(&self) -> std::sync::MutexGuard<'_, HashMap<String, HashMap<UserName, AwsError>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
