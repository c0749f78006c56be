//! Everything that can change in the sandbox, as values.

use jiff::Timestamp;
use serde::Serialize;

/// One change, with when and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EffectRecord {
    /// Its place in the order of all changes, from 1.
    pub seq: u64,
    /// The number of the call that made it.
    pub call: u64,
    /// When, by the sandbox's clock.
    pub at: Timestamp,
    /// The account that was changed.
    pub account: String,
    /// The access key id the call was signed with.
    pub access_key_id: String,
    #[serde(flatten)]
    pub effect: Effect,
}

/// A change. `name` is a secret's, `id` a message's; the rest say what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "effect")]
pub enum Effect {
    /// An IAM user was made.
    UserCreated { user: String },
    /// An access key was made.
    KeyCreated { user: String, key: String },
    /// An access key was switched on or off.
    KeyStatusChanged { user: String, key: String, active: bool },
    /// An access key was removed; `was_active` says in which state it was.
    KeyDeleted { user: String, key: String, was_active: bool },
    /// A tag was put on a user.
    UserTagged { user: String, key: String, value: String },
    /// A tag was taken off a user.
    UserUntagged { user: String, key: String },
    /// A group was made.
    GroupCreated { group: String },
    /// A user joined a group.
    GroupMemberAdded { group: String, user: String },
    /// A user left a group.
    GroupMemberRemoved { group: String, user: String },
    /// A managed policy was attached to a user.
    PolicyAttached { user: String, policy: String },

    /// A secret was made, with or without a value.
    SecretCreated { name: String },
    /// A version was stored, under these stages.
    SecretVersionPut { name: String, version: String, stages: Vec<String> },
    /// `AWSCURRENT` moved to `version`, from the version that held it.
    SecretPublished { name: String, version: String, from: Option<String> },
    /// Any other stage moved.
    SecretStageMoved { name: String, stage: String, version: Option<String>, from: Option<String> },
    /// A secret was scheduled for deletion, or deleted at once.
    SecretDeleted { name: String },
    /// A secret's deletion was called off.
    SecretRestored { name: String },
    /// A resource policy was set.
    SecretPolicyPut { name: String },
    /// A secret was replicated to a region.
    SecretReplicated { name: String, region: String },
    /// A tag was put on a secret.
    SecretTagged { name: String, key: String, value: String },

    /// A sender was verified.
    IdentityCreated { identity: String },
    /// An address was put on the suppression list.
    AddressSuppressed { address: String },
    /// A mail was accepted for sending.
    MailAccepted { from: String, to: Vec<String>, subject: String, message_id: String },

    /// A queue was made.
    QueueCreated { queue: String },
    /// A queue's attributes were changed.
    QueueAttributesSet { queue: String },
    /// A queue's tags were changed.
    QueueTagged { queue: String },
    /// A message was put on a queue.
    MessageSent { queue: String, id: String },
    /// A message was handed to a consumer, for the `receive_count`th time.
    MessageReceived { queue: String, id: String, receive_count: u32 },
    /// A message was deleted by a consumer.
    MessageDeleted { queue: String, id: String },
    /// A message was moved to a dead-letter queue by the redrive policy.
    MessageDeadLettered { queue: String, dead_letter_queue: String, id: String },
    /// A message was moved back by a move task.
    MessageMoved { from: String, to: String, id: String },
}
