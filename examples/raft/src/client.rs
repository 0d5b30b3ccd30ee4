//! A client of the store: it finds the leader, asks again until it is answered, and notes down what it asked when and
//! what it was told.

use crate::consensus::ServerId;
use crate::history::{History, Operation};
use crate::kv::{Command, Key, Outcome, SessionId, Value, Write};
use crate::server::{Answer, Ask, CLIENT_PORT, Elsewhere};
use sim::Sim;
use sim::net::rpc;
use sim::rand;
use sim::time::{Duration, sleep};

/// How long a client waits before it asks again, about; it waits longer each time.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// A client with a session.
#[derive(Debug)]
pub struct Client {
    servers: Vec<rpc::Client>,
    /// Who is taken for the leader.
    leader: usize,
    /// How long it waits for an answer before it asks somebody else.
    attempt: Duration,
    session: Option<SessionId>,
    /// The number of its last command.
    number: u64,
    history: History,
}

impl Client {
    /// A client of so many servers.
    pub fn new(servers: u8, attempt: Duration, history: History) -> Self {
        let servers = (0..servers).map(|id| connect(&server_name(id))).collect();
        Client { servers, leader: 0, attempt, session: None, number: 0, history }
    }

    /// Reads a register.
    pub async fn read(&mut self, sim: Sim, key: Key) -> Value {
        let place = self.history.begin(sim.elapsed(), key, Operation::Read);
        let Answer::Value(value) = self.ask(Ask::Read(key)).await else { return 0 };
        self.history.end(sim.elapsed(), place, value);
        value
    }

    /// Writes a register: whether it is set. The write takes effect once, however often it is asked for.
    pub async fn write(&mut self, sim: Sim, write: Write) -> bool {
        let session = self.session().await;
        self.number += 1;
        let place = self.history.begin(sim.elapsed(), write.key(), Operation::Write(write));
        let command = Command::Write { session, number: self.number, write };
        let Answer::Done(Outcome::Written(done)) = self.ask(Ask::Do(command)).await else { return false };
        self.history.end(sim.elapsed(), place, done.into());
        done
    }

    /// Its session, which is opened with the first command.
    async fn session(&mut self) -> SessionId {
        if let Some(session) = self.session {
            return session;
        }
        let open = Ask::Do(Command::Open { nonce: rand::u64() });
        loop {
            if let Answer::Done(Outcome::Opened(session)) = self.ask(open).await {
                return *self.session.insert(session);
            }
        }
    }

    /// Asks until somebody answers.
    async fn ask(&mut self, ask: Ask) -> Answer {
        let mut pause = LEAST_PAUSE;
        loop {
            let next = match self.servers[self.leader].call_within(self.attempt, ask).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(Elsewhere(leader))) => leader,
                Err(_) => {
                    // After minutes of silence TCP would try again only after minutes, so it is another connection then.
                    self.servers[self.leader] = connect(&server_name(self.leader as ServerId));
                    None
                }
            };
            self.leader = next.map_or_else(|| self.another(), usize::from);
            // Where nobody leads, asking more often does not help.
            sleep(pause / 2 + Duration::from_micros(rand::range(0..pause.as_micros() as u64))).await;
            pause = (pause * 2).min(self.attempt / 4);
        }
    }

    fn another(&self) -> usize {
        (self.leader + 1 + rand::range(0..self.servers.len() as u64 - 1) as usize) % self.servers.len()
    }
}

fn connect(server: &str) -> rpc::Client {
    rpc::Client::new(format!("{server}:{CLIENT_PORT}"))
}

/// Its name, by which clients find it.
pub fn server_name(id: ServerId) -> String {
    format!("server-{id}")
}
