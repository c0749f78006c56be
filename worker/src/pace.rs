//! How many users of an account are worked on at once: a few to begin with, fewer at the first sign that AWS throttles the account, and
//! slowly more while there is none. IAM's rates are per account and not published, and other programs use them too.

/// Users at once to begin with: what an account of a hundred users, of which a few are looked at, never gets beyond.
const BEGIN_WITH: f64 = 4.0;

/// The pace in one account.
#[derive(Debug, Clone)]
pub struct UserPace {
    most: f64,
    at_once: f64,
}

impl UserPace {
    /// That of an account which nothing is known of yet.
    pub fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self { most, at_once: BEGIN_WITH.min(most) }
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

    /// Users without a sign until so many are worked on at once.
    fn users_until(pace: &mut UserPace, at_once: usize) -> usize {
        let mut users = 0;
        while pace.at_once() < at_once {
            pace.after_user(false);
            users += 1;
        }
        users
    }

    #[test]
    fn the_pace_halves_with_every_sign_and_grows_one_by_one_without() {
        let mut pace = UserPace::new(8);
        assert_eq!(pace.at_once(), 4);
        let users = users_until(&mut pace, 8);
        assert!((22..=28).contains(&users), "about 4 + 5 + 6 + 7 users: {users}");
        pace.after_user(false);
        assert_eq!(pace.at_once(), 8, "never more than may be");
        let mut paces = Vec::new();
        for sign in [true, true, true, true] {
            pace.after_user(sign);
            paces.push(pace.at_once());
        }
        assert_eq!(paces, [4, 2, 1, 1], "never none");
        let users = users_until(&mut pace, 8);
        assert!((28..=40).contains(&users), "about 1 + 2 + ... + 7 users: {users}");
    }

    #[test]
    fn a_setting_below_the_beginning_is_kept_to() {
        assert_eq!(UserPace::new(3).at_once(), 3);
        assert_eq!(UserPace::new(0).at_once(), 1);
    }
}
