//! What there is to be shown now.

use std::collections::VecDeque;
use std::fs;
use std::time::{Duration, Instant};

use super::Clients;
use super::ring::{Entry, Ring};
use super::view::View;
use crate::hub::{Hub, WeakHub};
use crate::list;
use crate::state::DRIVEN;

/// The rates are those of this last time.
const WINDOW: Duration = Duration::from_secs(2);

/// How often it is looked for what takes long: who has a terminal open, and the lines, which some adapters
/// have to ask their hardware for while all clients wait.
const SELDOM: Duration = Duration::from_secs(1);

pub(super) struct Pulse {
    hub: WeakHub,
    ring: Ring,
    port: String,
    clients: Clients,
    /// Who they were, and when that was found.
    named: Option<(Instant, Vec<String>)>,
    /// Likewise, the port's lines.
    lines: Option<(Instant, Option<u32>)>,
    /// When was looked, and the bytes until then: from the port and to it.
    looks: VecDeque<(Instant, [u64; 2])>,
    is_hex: bool,
    /// What was there when it was paused.
    paused: Option<Vec<Entry>>,
}

impl Pulse {
    pub(super) fn new(hub: WeakHub, ring: Ring, port: String, clients: Clients) -> Self {
        Self {
            hub,
            ring,
            port,
            clients,
            named: None,
            lines: None,
            looks: VecDeque::new(),
            is_hex: false,
            paused: None,
        }
    }

    pub(super) fn toggle_hex(&mut self) {
        self.is_hex = !self.is_hex;
    }

    pub(super) fn toggle_pause(&mut self) {
        self.paused = match self.paused {
            Some(_) => None,
            None => Some(self.ring.latest(usize::MAX)),
        };
    }

    pub(super) fn clear(&mut self) {
        self.ring.clear();
        self.paused = self.paused.take().map(|_| Vec::new());
    }

    /// The rows of a screen of this size; `None` once there is nobody any more to ask.
    pub(super) fn rows(&mut self, (rows, columns): (usize, usize)) -> Option<Vec<String>> {
        let now = Instant::now();
        let hub = self.hub.upgrade()?;
        let lines = self.lines(&hub, now);
        let (stats, settings, driven, is_lost, processes) = hub.queue().look(|state| {
            let settings = *state.settings();
            let driven = state.driven();
            let processes = state.processes();
            (state.stats(), settings, driven, state.is_lost(), processes)
        });
        let rates = self.rates([stats.received, stats.sent], now);
        let view = View {
            port: self.port.clone(),
            settings,
            lines: lines.map(|lines| lines & !DRIVEN | driven),
            is_lost,
            stats,
            rates,
            clients: self.names(&processes, now),
            is_hex: self.is_hex,
            is_paused: self.paused.is_some(),
        };
        let entries = match &self.paused {
            Some(entries) => entries.clone(),
            None => self.ring.latest(rows),
        };
        Some(view.rows(&entries, rows, columns))
    }

    fn rates(&mut self, bytes: [u64; 2], now: Instant) -> [f64; 2] {
        self.looks.push_back((now, bytes));
        let old = |look: &(Instant, [u64; 2])| now.saturating_duration_since(look.0) >= WINDOW;
        while self.looks.get(1).is_some_and(old) {
            self.looks.pop_front();
        }
        let (since, before) = self.looks.front().copied().unwrap_or((now, bytes));
        let time = now.saturating_duration_since(since).as_secs_f64();
        [0, 1].map(|way| match time > 0.0 {
            true => bytes[way].saturating_sub(before[way]) as f64 / time,
            false => 0.0,
        })
    }

    /// The lines of the port, as they were not long ago.
    fn lines(&mut self, hub: &Hub, now: Instant) -> Option<u32> {
        let ask = || (now, hub.change(|state, _| state.lines().ok()));
        let (then, lines) = self
            .lines
            .filter(|known| is_fresh(known.0, now))
            .unwrap_or_else(ask);
        self.lines = Some((then, lines));
        lines
    }

    fn names(&mut self, processes: &[u32], now: Instant) -> Vec<String> {
        match &self.clients {
            Clients::Device => {
                let name = |id: &u32| {
                    let name = fs::read(format!("/proc/{id}/comm")).unwrap_or_default();
                    let name = String::from_utf8_lossy(name.trim_ascii_end());
                    format!("{name}({id})")
                };
                processes.iter().map(name).collect()
            }
            Clients::Terminal(path) => {
                let known = self.named.take();
                let ask = || (now, list::holders().remove(path).unwrap_or_default());
                let (then, names) = known
                    .filter(|known| is_fresh(known.0, now))
                    .unwrap_or_else(ask);
                self.named = Some((then, names.clone()));
                names
            }
        }
    }
}

fn is_fresh(then: Instant, now: Instant) -> bool {
    now.saturating_duration_since(then) < SELDOM
}
