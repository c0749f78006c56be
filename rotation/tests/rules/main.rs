//! The rules, held to their word: one test per rule and named after it, the stories of tools that harmed their users, the
//! message in both spellings, hostile input, and whole simulated years.

mod forced;
mod given;
mod harm;
mod hostile_input;
mod inactive_keys;
mod message;
mod one_key;
mod policy_status;
mod properties;
mod restore;
mod selection;
mod settings;
mod tags;
mod two_keys;
mod unused_keys;
mod years;
