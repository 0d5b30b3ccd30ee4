//! The state machine: registers by key, and the sessions of clients.
//!
//! A command takes effect once, however often it is in the log: each client has a session, in which commands are
//! numbered, and the machine keeps the answer to the last of each (thesis, §6.3).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A register's name.
pub type Key = u8;
/// What a register holds; 0 from the start.
pub type Value = u64;
/// A session, by the index of the entry that opened it.
pub type SessionId = u64;

/// What an entry of the log does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Opens a session. The client chooses a number to know the answer by.
    Open {
        /// The number.
        nonce: u64,
    },
    /// Writes in a session.
    Write {
        /// In which session.
        session: SessionId,
        /// Counts the commands of the session, from 1.
        number: u64,
        /// What is written.
        write: Write,
    },
}

/// A change of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Write {
    /// Sets it.
    Put {
        /// Which.
        key: Key,
        /// To what.
        value: Value,
    },
    /// Sets it if it holds `expected`.
    Swap {
        /// Which.
        key: Key,
        /// What it must hold.
        expected: Value,
        /// To what.
        value: Value,
    },
}

impl Write {
    /// The register that it is about.
    pub fn key(self) -> Key {
        match self {
            Write::Put { key, .. } | Write::Swap { key, .. } => key,
        }
    }
}

/// What became of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The session is open.
    Opened(SessionId),
    /// The write is done: whether the register has been set.
    Written(bool),
    /// There is no such session, or a later command of it has been answered.
    Refused,
}

/// The last command of a session and its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Last {
    number: u64,
    outcome: Outcome,
}

/// The registers and the sessions.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    registers: BTreeMap<Key, Value>,
    sessions: BTreeMap<SessionId, Last>,
    /// Those that were opened, by the numbers that their clients chose: asking twice opens one.
    opened: BTreeMap<u64, SessionId>,
}

/// What applying a command came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The answer.
    pub outcome: Outcome,
    /// Whether it took effect now; otherwise it had before, or never will.
    pub fresh: bool,
}

impl Machine {
    /// Carries out the command of the entry at `index`.
    pub fn apply(&mut self, index: u64, command: Command) -> Applied {
        match command {
            Command::Open { nonce } => {
                let fresh = !self.opened.contains_key(&nonce);
                let session = *self.opened.entry(nonce).or_insert(index);
                let outcome = Outcome::Opened(session);
                self.sessions.entry(session).or_insert(Last { number: 0, outcome });
                Applied { outcome, fresh }
            }
            Command::Write { session, number, write } => {
                let Some(last) = self.sessions.get_mut(&session) else {
                    return Applied { outcome: Outcome::Refused, fresh: false };
                };
                if number <= last.number {
                    let outcome = if number == last.number { last.outcome } else { Outcome::Refused };
                    return Applied { outcome, fresh: false };
                }
                let held = self.registers.get(&write.key()).copied().unwrap_or(0);
                let (done, value) = match write {
                    Write::Put { value, .. } => (true, value),
                    Write::Swap { expected, value, .. } => (held == expected, value),
                };
                if done {
                    self.registers.insert(write.key(), value);
                }
                let outcome = Outcome::Written(done);
                *last = Last { number, outcome };
                Applied { outcome, fresh: true }
            }
        }
    }

    /// What a register holds.
    pub fn get(&self, key: Key) -> Value {
        self.registers.get(&key).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(session: SessionId, number: u64, value: Value) -> Command {
        Command::Write { session, number, write: Write::Put { key: 1, value } }
    }

    #[test]
    fn a_command_that_comes_twice_takes_effect_once() {
        let mut machine = Machine::default();
        let Outcome::Opened(session) = machine.apply(1, Command::Open { nonce: 7 }).outcome else { panic!() };
        assert!(machine.apply(2, put(session, 1, 10)).fresh);
        assert!(machine.apply(3, put(session, 2, 20)).fresh);
        let again = machine.apply(4, put(session, 2, 20));
        assert_eq!(again, Applied { outcome: Outcome::Written(true), fresh: false });
        let late = machine.apply(5, put(session, 1, 10));
        assert_eq!(late, Applied { outcome: Outcome::Refused, fresh: false });
        assert_eq!(machine.get(1), 20);
    }

    #[test]
    fn a_session_is_opened_once_and_only_open_ones_write() {
        let mut machine = Machine::default();
        assert_eq!(machine.apply(1, put(9, 1, 1)).outcome, Outcome::Refused);
        let first = machine.apply(2, Command::Open { nonce: 7 });
        assert_eq!(first, Applied { outcome: Outcome::Opened(2), fresh: true });
        let again = machine.apply(3, Command::Open { nonce: 7 });
        assert_eq!(again, Applied { outcome: Outcome::Opened(2), fresh: false });
    }

    #[test]
    fn a_swap_wants_what_it_expects() {
        let mut machine = Machine::default();
        machine.apply(1, Command::Open { nonce: 7 });
        let swap = |number, expected, value| Command::Write {
            session: 1,
            number,
            write: Write::Swap { key: 3, expected, value },
        };
        assert_eq!(machine.apply(2, swap(1, 5, 6)).outcome, Outcome::Written(false));
        assert_eq!(machine.apply(3, swap(2, 0, 6)).outcome, Outcome::Written(true));
        assert_eq!((machine.get(3), machine.get(4)), (6, 0));
    }
}
