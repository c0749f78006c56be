//! How often the calls of one session had to be tried again: the sign that an account is asked too much. IAM gives no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Counts the tries of calls after each call's first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Retries(Arc<AtomicU64>);

impl Retries {
    /// How many there have been since the last time this was asked.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Retries {
    fn name(&self) -> &'static str {
        "Retries"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if cfg.load::<RequestAttempts>().is_some_and(|tries| tries.attempts() > 1) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
