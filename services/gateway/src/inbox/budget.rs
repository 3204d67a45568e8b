//! What bodies under way may hold in memory: all together, and those of one client, so that a client that sends slowly
//! closes the inbox for nobody else.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fedsx_runtime::code::{Code, Refusal};

/// The bytes that are taken. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    all: usize,
    of_one_client: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl Budget {
    /// A budget in bytes.
    pub(crate) fn new(all: usize, of_one_client: usize) -> Self {
        Self {
            all,
            of_one_client,
            taken: Arc::default(),
        }
    }

    /// A client's share, of nothing yet.
    pub(crate) fn share(&self, client: IpAddr) -> Share {
        Share {
            budget: self.clone(),
            client,
            bytes: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one body holds; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    client: IpAddr,
    bytes: usize,
}

impl Share {
    /// Takes more.
    ///
    /// # Errors
    /// [`Code::RateLimited`] where the client has taken its part, [`Code::Unavailable`] where everything is taken.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let mut taken = self.budget.lock();
        let of_client = taken.by_client.get(&self.client).copied().unwrap_or(0);
        if of_client + bytes > self.budget.of_one_client {
            let detail = "the client's address has too many bodies under way";
            return Err(Refusal::new(Code::RateLimited, detail));
        }
        if taken.all + bytes > self.budget.all {
            return Err(Refusal::new(Code::Unavailable, "too many bodies are under way"));
        }
        taken.all += bytes;
        taken.by_client.insert(self.client, of_client + bytes);
        drop(taken);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.budget.lock();
        taken.all = taken.all.saturating_sub(self.bytes);
        let left = taken
            .by_client
            .get(&self.client)
            .map_or(0, |bytes| bytes.saturating_sub(self.bytes));
        if left == 0 {
            taken.by_client.remove(&self.client);
        } else {
            taken.by_client.insert(self.client, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn code(taken: Result<(), Refusal>) -> Option<Code> {
        taken.err().map(|refusal| refusal.code)
    }

    #[test]
    fn one_client_takes_its_part_and_leaves_the_rest_to_others() {
        let budget = Budget::new(10, 4);
        let (mut one, mut two, mut three) = (
            budget.share(address(1)),
            budget.share(address(1)),
            budget.share(address(2)),
        );
        assert_eq!(code(one.grow(3)), None);
        assert_eq!(code(two.grow(2)), Some(Code::RateLimited));
        assert_eq!(code(three.grow(4)), None);
        assert_eq!(code(budget.share(address(3)).grow(4)), Some(Code::Unavailable));
        drop((one, three));
        assert_eq!(code(two.grow(4)), None);
        drop(two);
        assert!(budget.lock().by_client.is_empty() && budget.lock().all == 0);
    }
}
