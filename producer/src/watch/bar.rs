//! The progress of a queue on stderr: a bar on a terminal; elsewhere a line when something has changed, at most one in ten
//! seconds, so that a log of hours stays readable.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use key_rotation_aws::Depth;

/// At most one plain line in this time.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(super) enum Bar {
    Terminal(ProgressBar),
    Lines(Lines),
}

impl Bar {
    /// For a queue with this many messages to come.
    pub(super) fn new(sent: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Bar::Lines(Lines::default());
        }
        let bar = ProgressBar::with_draw_target(Some(sent), ProgressDrawTarget::stderr());
        let style = "{bar:40} {pos}/{len} {msg}  {rate} a second, {eta} left";
        let rate = |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{:.1}", state.per_sec());
        };
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("rate", rate));
        Bar::Terminal(bar)
    }

    /// Shows what is left after this time.
    pub(super) fn show(&mut self, depth: Depth, elapsed: Duration) {
        match self {
            Bar::Terminal(bar) => {
                let most = bar.length().unwrap_or(0).max(depth.total());
                bar.set_length(most);
                bar.set_position(most - depth.total());
                bar.set_message(format!("({} in flight)", depth.in_flight));
            }
            Bar::Lines(lines) => {
                if let Some(line) = lines.line(depth, elapsed) {
                    tracing::info!("{line}");
                }
            }
        }
    }

    /// Leaves the terminal as it was found.
    pub(super) fn finish(self) {
        match self {
            Bar::Terminal(bar) => bar.finish_and_clear(),
            Bar::Lines(_) => {}
        }
    }
}

#[derive(Default)]
pub(super) struct Lines {
    last: Option<(Depth, Duration)>,
    most: u64,
}

impl Lines {
    /// The line to write now, if one is due.
    fn line(&mut self, depth: Depth, elapsed: Duration) -> Option<String> {
        self.most = self.most.max(depth.total());
        let due = match self.last {
            None => true,
            Some((last, at)) => last != depth && (elapsed.saturating_sub(at) >= LINE_EVERY || depth.total() == 0),
        };
        if !due {
            return None;
        }
        self.last = Some((depth, elapsed));
        let Depth { waiting, in_flight, delayed } = depth;
        let done = self.most - depth.total();
        let rate = done as f64 / elapsed.as_secs_f64().max(1.0);
        let left = if done == 0 || depth.total() == 0 {
            String::new()
        } else {
            format!(", about {:.0} s left", depth.total() as f64 / rate)
        };
        Some(format!("{waiting} waiting, {in_flight} in flight, {delayed} delayed; {rate:.1} a second{left}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(waiting: u64) -> Depth {
        Depth { waiting, in_flight: 0, delayed: 0 }
    }

    #[test]
    fn a_line_is_written_at_first_then_every_ten_seconds_and_at_the_end() {
        let mut lines = Lines::default();
        let mut at = |waiting, seconds| lines.line(depth(waiting), Duration::from_secs(seconds));
        assert_eq!(at(100, 0).as_deref(), Some("100 waiting, 0 in flight, 0 delayed; 0.0 a second"));
        assert_eq!(at(90, 1), None);
        let line = "50 waiting, 0 in flight, 0 delayed; 5.0 a second, about 10 s left";
        assert_eq!(at(50, 10).as_deref(), Some(line));
        assert_eq!(at(50, 21), None, "nothing has changed");
        assert!(at(0, 22).is_some(), "the end is told at once");
    }
}
