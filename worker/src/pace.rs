//! How many users of an account are worked on at once: fewer at the first sign that AWS throttles the account, and slowly more again.
//! IAM's rates are per account, and other programs there live on them too.

/// The pace in one account.
#[derive(Debug, Clone)]
pub struct UserPace {
    most: f64,
    at_once: f64,
}

impl UserPace {
    /// As fast as may be.
    pub fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self { most, at_once: most }
    }

    /// Users to be worked on at once: at least one.
    pub fn at_once(&self) -> usize {
        self.at_once as usize
    }

    /// After each user: half as many where calls were throttled meanwhile, otherwise one more once as many users are done as were
    /// worked on at once.
    pub fn after_user(&mut self, calls_were_throttled: bool) {
        self.at_once = match calls_were_throttled {
            true => (self.at_once / 2.0).max(1.0),
            false => (self.at_once + 1.0 / self.at_once).min(self.most),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_halves_with_every_sign_and_comes_back_one_by_one() {
        let mut pace = UserPace::new(8);
        let mut paces = Vec::new();
        for sign in [true, true, true, true] {
            pace.after_user(sign);
            paces.push(pace.at_once());
        }
        assert_eq!(paces, [4, 2, 1, 1], "never none");
        let mut quiet = 0;
        while pace.at_once() < 8 {
            pace.after_user(false);
            quiet += 1;
        }
        assert!((28..=40).contains(&quiet), "about 1 + 2 + ... + 7 users without a sign: {quiet}");
        pace.after_user(false);
        assert_eq!(pace.at_once(), 8, "never more than may be");
    }
}
