//! A frame: a pure function of the model, what was chosen, and the size of the screen.

use admin::Status;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Row, Table, Widget};

use super::model::{Flow, Model, Rates};
use crate::text::{human_ms, si, wrap};

/// A screen from this size on shows all panels at once.
const ALL_AT_ONCE: (u16, u16) = (110, 30);

const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
const GOOD: Style = Style::new().fg(Color::Green);
const BAD: Style = Style::new().fg(Color::Red);

/// What is shown below the totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Panel {
    /// L7 nodes.
    #[default]
    Nodes,
    /// Services.
    Services,
    /// Drops by reason.
    Drops,
    /// Workers.
    Workers,
}

impl Panel {
    const ALL: [Self; 4] = [Self::Nodes, Self::Services, Self::Drops, Self::Workers];

    const fn title(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Services => "services",
            Self::Drops => "drops",
            Self::Workers => "workers",
        }
    }
}

/// What keys have chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// The panel that is shown, and scrolled.
    pub(super) panel: Panel,
    /// Its first line.
    pub(super) scroll: usize,
}

impl Choice {
    /// The next panel, from its top.
    pub(super) fn next(self) -> Self {
        self.further(1)
    }

    /// The one before.
    pub(super) fn previous(self) -> Self {
        self.further(Panel::ALL.len() - 1)
    }

    fn further(self, by: usize) -> Self {
        let at = Panel::ALL.iter().position(|panel| *panel == self.panel).unwrap_or(0);
        Self { panel: Panel::ALL[(at + by) % Panel::ALL.len()], scroll: 0 }
    }
}

/// A frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// What there is to show.
    pub(super) model: &'a Model,
    /// What of it is wanted.
    pub(super) choice: Choice,
    /// Whether somebody is at the keys.
    pub(super) keys: bool,
}

impl Widget for View<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let notes = self.notes(area.width.into());
        let heights = [
            Constraint::Length(1),
            Constraint::Length(notes.len() as u16),
            Constraint::Length(2),
            Constraint::Min(0),
            Constraint::Length(self.keys.into()),
        ];
        let [title, trouble, totals, panels, keys] = Layout::vertical(heights).areas(area);
        self.title().render(title, buffer);
        for (note, row) in notes.into_iter().zip(trouble.rows()) {
            note.render(row, buffer);
        }
        for (line, row) in self.totals().into_iter().zip(totals.rows()) {
            line.render(row, buffer);
        }
        if let Some(rates) = &self.model.rates {
            self.panels(rates, panels, buffer);
        }
        Line::styled("q quit   tab next panel   up/down scroll", FAINT).render(keys, buffer);
    }
}

/// Sessions with routers, of those that are wanted; nothing where none is.
fn routers(status: &Status) -> Option<String> {
    let sessions = || status.routers.iter().flat_map(|router| &router.sessions);
    let (all, up) = (sessions().count(), sessions().filter(|session| session.up).count());
    let routes: usize = sessions().map(|session| session.announced.len()).sum();
    let bfd = || sessions().filter_map(|session| session.bfd.as_ref());
    let watched = match bfd().count() {
        0 => String::new(),
        watched => format!(", BFD {} of {watched}", bfd().filter(|bfd| bfd.up).count()),
    };
    let routes = if routes == 1 { "1 route".into() } else { format!("{routes} routes") };
    (all > 0).then(|| format!("  BGP {up} of {all}{watched}, {routes}"))
}

impl View<'_> {
    /// Who this is, and since when.
    fn title(&self) -> Line<'static> {
        let mut words = vec![Span::styled("palier", STRONG)];
        if let Some(status) = &self.model.status {
            words.push(Span::raw(format!("  {} of {}", status.node, status.site)));
        }
        let routers = self.model.status.as_deref().and_then(routers);
        if let Some(rates) = &self.model.rates {
            let generation = rates
                .generation
                .map_or_else(|| "no Snapshot yet".into(), |number| format!("generation {number}"));
            words.push(Span::raw(format!("  {generation}  up {}", human_ms(rates.uptime_ms))));
        }
        words.extend(routers.map(Span::raw));
        Line::from(words)
    }

    /// What is wrong: at most three things, of two lines each.
    fn notes(&self, width: usize) -> Vec<Line<'static>> {
        let Model { dataplane_away, control_away, status, .. } = self.model;
        let mut notes = Vec::new();
        if let Some(reason) = dataplane_away {
            notes.push(format!("dataplane away: {reason}"));
        }
        if let Some(reason) = control_away {
            notes.push(format!("control away: {reason}"));
        }
        let alarms = status.as_ref().map(|status| status.alarms.as_slice()).unwrap_or_default();
        if let [first, others @ ..] = alarms {
            let more = match others.len() {
                0 => String::new(),
                more => format!("  (and {more} more: palierctl status)"),
            };
            notes.push(format!("! {first}{more}"));
        }
        let folded = |note: &String| wrap(note, width, 2).into_iter().take(2);
        notes.iter().flat_map(folded).map(|line| Line::styled(line, BAD)).collect()
    }

    /// Headings, and the numbers under them.
    fn totals(&self) -> [Line<'static>; 2] {
        let Some(rates) = &self.model.rates else {
            return [Line::styled("waiting for two samples ...", FAINT), Line::default()];
        };
        let Flow { packets, bits, new_flows, connections } = rates.total;
        let columns = [
            ("received/s", si(rates.received)),
            ("forwarded/s", si(packets)),
            ("bit/s", si(bits)),
            ("new flows/s", si(new_flows)),
            ("connections", si(connections as f64)),
            ("dropped/s", si(rates.dropped)),
        ];
        let pad = |text: &str| format!("{text:>12} ");
        let headings: String = columns.iter().map(|(heading, _)| pad(heading)).collect();
        let mut numbers: Vec<_> =
            columns.iter().map(|(_, number)| Span::styled(pad(number), STRONG)).collect();
        if rates.dropped > 0.0
            && let Some(dropped) = numbers.last_mut()
        {
            dropped.style = BAD;
        }
        [Line::styled(headings, FAINT), Line::from(numbers)]
    }

    fn panels(&self, rates: &Rates, area: Rect, buffer: &mut Buffer) {
        if area.width < ALL_AT_ONCE.0 || area.height < ALL_AT_ONCE.1 {
            self.panel(self.choice.panel, &Panel::ALL, rates, area, buffer);
            return;
        }
        let parts = [Constraint::Percentage(60), Constraint::Percentage(40)];
        let [upper, lower] = Layout::vertical(parts).areas(area);
        let halves = Layout::horizontal([Constraint::Percentage(50); 2]).spacing(2);
        let [nodes, services] = halves.areas(upper);
        let [drops, workers] = halves.areas(lower);
        for (panel, area) in Panel::ALL.into_iter().zip([nodes, services, drops, workers]) {
            self.panel(panel, &[panel], rates, area, buffer);
        }
    }

    /// A panel under the titles of those that can be chosen in its place.
    fn panel(
        &self,
        panel: Panel,
        titles: &[Panel],
        rates: &Rates,
        area: Rect,
        buffer: &mut Buffer,
    ) {
        let chosen = panel == self.choice.panel;
        let mut block = Block::new().borders(Borders::TOP).border_style(FAINT);
        for title in titles {
            let style = if *title == self.choice.panel { STRONG } else { FAINT };
            block = block.title(Span::styled(format!(" {} ", title.title()), style));
        }
        let (headings, widths, rows): (Vec<_>, Vec<_>, Vec<_>) = match panel {
            Panel::Nodes => (flow_headings("NODE"), flow_widths(), flow_rows(&rates.nodes)),
            Panel::Services => {
                (flow_headings("SERVICE"), flow_widths(), flow_rows(&rates.services))
            }
            Panel::Drops => (
                vec!["COUNTER".into(), right("/S", 8), right("IN ALL", 12)],
                vec![Constraint::Fill(1), Constraint::Length(8), Constraint::Length(12)],
                drop_rows(rates),
            ),
            Panel::Workers => (
                ["CPU", "RX/S", "TX/S", "DROP/S", "TABLE"].map(|text| right(text, 6)).to_vec(),
                [6, 6, 6, 6, 6, 12].map(Constraint::Length).to_vec(),
                worker_rows(rates),
            ),
        };
        // Beyond the end the last line stays.
        let skip = if chosen { self.choice.scroll.min(rows.len().saturating_sub(1)) } else { 0 };
        let table = Table::new(rows.into_iter().skip(skip), widths)
            .header(Row::new(headings).style(FAINT))
            .block(block);
        Widget::render(table, area, buffer);
    }
}

fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

fn flow_headings(first: &str) -> Vec<String> {
    let numbers = ["PKT/S", "BIT/S", "NEW/S", "CONNS"].map(|text| right(text, 6));
    [first.to_string()].into_iter().chain(numbers).chain(["STATE".into(), String::new()]).collect()
}

fn flow_widths() -> Vec<Constraint> {
    let numbers = [6; 4].map(Constraint::Length);
    let ends = [Constraint::Length(11), Constraint::Fill(1)];
    [Constraint::Min(10)].into_iter().chain(numbers).chain(ends).collect()
}

fn flow_rows(rows: &[super::model::Row]) -> Vec<Row<'static>> {
    let most = rows.iter().map(|row| row.flow.packets).fold(0.0, f64::max);
    let row = |row: &super::model::Row| {
        let Flow { packets, bits, new_flows, connections } = row.flow;
        let number = |number| Line::raw(right(&si(number), 6));
        let (well, word) = &row.state;
        Row::new([
            Line::raw(row.name.clone()),
            number(packets),
            number(bits),
            number(new_flows),
            number(connections as f64),
            Line::styled(word.clone(), if *well { GOOD } else { BAD }),
            Line::styled(bar(packets, most, 8), GOOD),
        ])
    };
    rows.iter().map(row).collect()
}

fn drop_rows(rates: &Rates) -> Vec<Row<'static>> {
    let row = |(name, rate, count): &(String, f64, u64)| {
        let style = if *rate > 0.0 { BAD } else { Style::new() };
        Row::new([name.clone(), right(&si(*rate), 8), right(&count.to_string(), 12)]).style(style)
    };
    rates.drops.iter().map(row).collect()
}

fn worker_rows(rates: &Rates) -> Vec<Row<'static>> {
    let row = |worker: &super::model::WorkerRow| {
        let (entries, capacity) = worker.table;
        let full = 100.0 * entries as f64 / (capacity.max(1)) as f64;
        // A worker turns its loop each millisecond, also when it sleeps.
        let hangs = worker.heartbeat_ms > 100;
        let state = match hangs {
            true => format!("hangs {}", human_ms(worker.heartbeat_ms)),
            false => bar(full, 100.0, 8),
        };
        let numbers = [
            worker.cpu.to_string(),
            si(worker.received),
            si(worker.forwarded),
            si(worker.dropped),
            format!("{full:.0}%"),
        ];
        let numbers = numbers.map(|text| Line::raw(right(&text, 6)));
        let state = Line::styled(state, if hangs { BAD } else { GOOD });
        Row::new(numbers.into_iter().chain([state]))
    };
    rates.workers.iter().map(row).collect()
}

/// A bar of at most `width`; what is not nothing is at least a little.
fn bar(part: f64, whole: f64, width: usize) -> String {
    let eighths = if whole > 0.0 { part / whole * (8 * width) as f64 } else { 0.0 };
    let eighths = (eighths.round() as usize).clamp((part > 0.0).into(), 8 * width);
    let rest = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8];
    format!("{}{rest}", "█".repeat(eighths / 8)).trim_end().to_string()
}

#[cfg(test)]
mod tests;
