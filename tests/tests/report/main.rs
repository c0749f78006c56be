//! `producer report`, end to end: every number counted anew from the sandbox's own state, what could not be read said, the forecast
//! held against what workers then do.

mod alone;
mod coverage;
mod forecast;
mod numbers;
mod size;
mod stage;
