//! An AWS Organization on localhost: the one stand-in for AWS.
pub mod call;
