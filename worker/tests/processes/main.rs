//! The worker as it is deployed: the release binary, as real processes that can be killed, frozen and told to stop, against a
//! sandbox that the test itself serves. The library's own proofs drop a worker at a call; here the operating system takes it.

#![cfg(unix)]

mod attempts;
mod frozen;
mod kills;
mod population;
mod process;
mod settings;
mod stop;
