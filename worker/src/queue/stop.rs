//! The signal to stop, in two degrees: in good order, and (asked again) at once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Whether a worker is to stop. Clones share one answer.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: CancellationToken,
    asked_again: CancellationToken,
}

impl Stop {
    /// Asks to stop: receive nothing more, let work in flight end within the stop grace. The second time: hand back at once
    /// what is in flight.
    pub fn ask(&self) {
        if self.asked.is_cancelled() { self.asked_again.cancel() } else { self.asked.cancel() }
    }

    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Ends when it is asked for.
    pub async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Ends when work in flight may not go on: the grace is over since it was asked for, or it was asked for again.
    pub async fn out_of_time(&self, grace: Duration) {
        self.asked.cancelled().await;
        tokio::select! {
            () = self.asked_again.cancelled() => {}
            () = tokio::time::sleep(grace) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(60 * 60);

    #[tokio::test]
    async fn the_first_signal_leaves_work_in_flight_its_grace_and_the_second_ends_it() {
        let stop = Stop::default();
        assert!(stop.out_of_time(Duration::ZERO).now_or_never().is_none(), "nobody has asked");
        stop.ask();
        stop.asked().await;
        assert!(stop.is_asked());
        assert!(stop.out_of_time(LONG).now_or_never().is_none());
        stop.out_of_time(Duration::ZERO).await;
        stop.ask();
        stop.out_of_time(LONG).await;
    }
}
