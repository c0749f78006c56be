//! The tries of one call. The SDK tries again by itself and its error tells the last try only: a first try whose answer was
//! lost may have taken effect, although the last one was plainly refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::error::AwsError;

/// Watches the tries of one call; given to that call as an interceptor, and asked for the error afterwards.
///
/// For calls whose failure is undone: what may have happened must not be undone unseen.
#[derive(Debug, Clone, Default)]
pub struct Tries {
    unanswered: Arc<AtomicBool>,
}

impl Tries {
    /// Classifies the call's error. It is ambiguous if any of its tries was.
    pub fn error<E>(&self, operation: &'static str, error: SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata,
    {
        let mut error = AwsError::new(operation, error);
        error.ambiguous |= self.unanswered.load(Ordering::Relaxed);
        error
    }
}

#[dyn_dispatch_hint]
impl Intercept for Tries {
    fn name(&self) -> &'static str {
        "Tries"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let succeeded = matches!(context.output_or_error(), Some(Ok(_)));
        // Without a code it is tried no more, so that the error itself tells (`AwsError::new`).
        let refused = context.response().is_some_and(|answer| answer.status().is_client_error());
        if !succeeded && !refused {
            self.unanswered.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
