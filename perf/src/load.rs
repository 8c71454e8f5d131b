//! Many clients on one thread: as fast as they are answered, at a pace, or at rest.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;

use crate::client::{BUFFER, Client, Progress, Question};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Events that are taken at once.
const EVENTS: usize = 64;

/// Clients that all ask the same.
pub struct Clients {
    question: Question,
    epoll: Epoll,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    /// Whether all have asked.
    running: bool,
}

impl Clients {
    /// So many, connected.
    ///
    /// # Errors
    /// Somebody is not accepted.
    pub fn connect(question: Question, count: usize) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let (clients, buffer) = (Vec::new(), vec![0; BUFFER]);
        let mut all = Self { question, epoll, clients, buffer, running: false };
        for number in 0..count {
            let client = all.client(number)?;
            all.clients.push(client);
        }
        Ok(all)
    }

    fn client(&self, number: usize) -> io::Result<Client> {
        let client = Client::connect(&self.question)?;
        self.epoll.add(&client, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        Ok(client)
    }

    /// All ask once, one after the other, and are at rest again.
    ///
    /// # Errors
    /// Somebody is not answered.
    pub fn ask(&mut self) -> io::Result<()> {
        for number in 0..self.clients.len() {
            self.clients[number].ask(&self.question)?;
            let mut answered = false;
            while !answered {
                for ready in self.ready(LIMIT)? {
                    // Others may be told of new session tickets.
                    let progress = self.clients[ready].read(&mut self.buffer)?;
                    answered |= progress == Progress::Answered;
                }
            }
        }
        Ok(())
    }

    /// All ask, and ask again when they are answered, each over a new connection where this one is closed, for
    /// so long; returns how many answers there were. What is on its way then is for the next such time.
    ///
    /// # Errors
    /// Somebody is not answered.
    pub fn run(&mut self, time: Duration) -> io::Result<u64> {
        if !std::mem::replace(&mut self.running, true) {
            self.clients.iter_mut().try_for_each(|client| client.ask(&self.question))?;
        }
        let (end, mut answers) = (Instant::now() + time, 0);
        while Instant::now() < end {
            for number in self.ready(LIMIT)? {
                match self.clients[number].read(&mut self.buffer)? {
                    Progress::Waiting => continue,
                    Progress::Answered => {
                        answers += 1;
                        if self.question.close {
                            continue;
                        }
                    }
                    Progress::Closed => self.clients[number] = self.client(number)?,
                }
                self.clients[number].ask(&self.question)?;
            }
        }
        Ok(answers)
    }

    /// Asks at this pace, however long answers take, and returns how long each took since it was due: whoever
    /// waits for a connection waits, too.
    ///
    /// # Errors
    /// Somebody is not answered.
    pub fn paced(&mut self, per_second: f64, time: Duration) -> io::Result<Vec<Duration>> {
        let mut free: VecDeque<usize> = (0..self.clients.len()).collect();
        let mut dues = vec![Instant::now(); self.clients.len()];
        let gap = 1.0 / per_second;
        let start = Instant::now();
        let due = |number: usize| start + Duration::from_secs_f64(gap * number as f64);
        let all = (time.as_secs_f64() * per_second) as usize;
        let (mut sent, mut times) = (0, Vec::with_capacity(all));
        while times.len() < all {
            while sent < all && due(sent) <= Instant::now() {
                let Some(number) = free.pop_front() else { break };
                self.clients[number].ask(&self.question)?;
                dues[number] = due(sent);
                sent += 1;
            }
            // Who is late waits for somebody to be free.
            let wait = if free.is_empty() || sent == all {
                LIMIT
            } else {
                due(sent).saturating_duration_since(Instant::now())
            };
            // Epoll itself knows no less than a millisecond.
            let mut any = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
            if ppoll(&mut any, Some(TimeSpec::from_duration(wait)), None)? == 0 {
                if wait == LIMIT {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                continue;
            }
            for number in self.ready(Duration::ZERO)? {
                if self.clients[number].read(&mut self.buffer)? == Progress::Answered {
                    times.push(dues[number].elapsed());
                    free.push_back(number);
                }
            }
        }
        Ok(times)
    }

    /// Who can read.
    fn ready(&self, wait: Duration) -> io::Result<impl Iterator<Item = usize> + use<>> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let wait_for = EpollTimeout::try_from(wait).map_err(io::Error::other)?;
        let count = self.epoll.wait(&mut events, wait_for)?;
        if count == 0 && !wait.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(events.into_iter().take(count).map(|event| event.data() as usize))
    }
}
