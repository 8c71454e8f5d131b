//! The figures as a picture: an SVG file, which every browser shows.

use std::fmt::Write;

use crate::figure::{Figure, short};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 60.0;
const HEIGHT: f64 = 300.0;
/// Between a panel's picture and the next panel's.
const GAP: f64 = 120.0;

/// Colours that people with any kind of sight tell apart (Okabe and Ito).
const COLOURS: [&str; 8] =
    ["#0072b2", "#56b4e9", "#009e73", "#66c2a5", "#d55e00", "#e69f00", "#7f7f7f", "#b3b3b3"];

/// Time per packet over the number of flows, a line for each case, and below it the rates in
/// comparison with testpmd's.
pub fn svg(figures: &[Figure]) -> String {
    let mut svg = String::new();
    let total = TOP + 2.0 * (HEIGHT + GAP);
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <rect width=\"{WIDTH}\" height=\"{total}\" fill=\"#fff\"/>\n"
    );
    let times: Vec<_> = figures.iter().filter(|f| f.unit == "ns/packet").collect();
    let rates: Vec<_> = figures.iter().filter(|f| f.unit == "Mpps").collect();
    lines(&mut svg, &times, TOP);
    bars(&mut svg, &rates, TOP + HEIGHT + GAP);
    svg.push_str("</svg>\n");
    svg
}

/// A frame with a title and a scale from 0 to at least `greatest`. Returns what one unit is high.
fn frame(svg: &mut String, top: f64, title: &str, unit: &str, greatest: f64) -> f64 {
    let step = step(greatest);
    let marks = (greatest / step).ceil().max(1.0);
    let scale = HEIGHT / (marks * step);
    text(svg, LEFT, top - 20.0, "start", "font-size=\"17\" font-weight=\"bold\"", title);
    let (x, y) = (20.0, top + HEIGHT / 2.0);
    text(svg, x, y, "middle", &format!("transform=\"rotate(-90 {x} {y})\""), unit);
    let mut value = 0.0;
    while value <= marks * step + step / 2.0 {
        let y = top + HEIGHT - value * scale;
        let colour = if value == 0.0 { "#222" } else { "#ddd" };
        line(svg, (LEFT, y), (right(), y), colour, "1");
        text(svg, LEFT - 8.0, y + 4.5, "end", "", &format!("{value}"));
        value += step;
    }
    scale
}

fn lines(svg: &mut String, figures: &[&Figure], top: f64) {
    let mut flows: Vec<_> = figures.iter().filter_map(|f| f.flows).collect();
    flows.sort_unstable();
    flows.dedup();
    let greatest = figures.iter().map(|f| f.greatest).fold(1.0, f64::max);
    let title =
        "Forwarder: parse, hash, look up, encapsulate (median, least and greatest of rounds)";
    let scale = frame(svg, top, title, "ns per packet", greatest);
    let plot = right() - LEFT - 210.0;
    let across = |n: u64| {
        let at = flows.iter().position(|&f| f == n).unwrap_or(0) as f64;
        LEFT + plot * (at + 0.5) / flows.len().max(1) as f64
    };
    let up = |value: f64| top + HEIGHT - value.max(0.0) * scale;
    for &n in &flows {
        text(svg, across(n), top + HEIGHT + 20.0, "middle", "", &short(n));
    }
    text(svg, LEFT + plot / 2.0, top + HEIGHT + 40.0, "middle", "", "flows");

    let mut names: Vec<&str> = Vec::new();
    for figure in figures {
        if !names.contains(&figure.name.as_str()) {
            names.push(&figure.name);
        }
    }
    for (i, name) in names.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let dashed = if name.starts_with("IPv6") { " stroke-dasharray=\"6 4\"" } else { "" };
        let mut own: Vec<_> = figures.iter().filter(|f| f.name == *name).collect();
        own.sort_by_key(|f| f.flows);
        let mut points = String::new();
        for figure in own {
            let (x, y) = (across(figure.flows.unwrap_or(0)), up(figure.median));
            let _ = write!(points, "{x:.1},{y:.1} ");
            line(svg, (x, up(figure.least)), (x, up(figure.greatest)), colour, "1.5");
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashed}/>"
        );
        let y = top + 12.0 + i as f64 * 22.0;
        let x = right() - 190.0;
        let _ = writeln!(
            svg,
            "<path d=\"M{x} {y}h28\" stroke=\"{colour}\" stroke-width=\"3\"{dashed}/>"
        );
        text(svg, x + 36.0, y + 4.5, "start", "", name);
    }
}

fn bars(svg: &mut String, figures: &[&Figure], top: f64) {
    let greatest = figures.iter().map(|f| f.greatest).fold(1.0, f64::max);
    let title = "Processes on the same port and packets, one core";
    let scale = frame(svg, top, title, "million packets per second", greatest);
    let share = (right() - LEFT) / figures.len().max(1) as f64;
    for (i, figure) in figures.iter().enumerate() {
        let (x, height) = (LEFT + share * (i as f64 + 0.5), figure.median * scale);
        let y = top + HEIGHT - height;
        let colour = if figure.name.starts_with("palier") { COLOURS[4] } else { COLOURS[0] };
        let (left, width) = (x - share * 0.3, share * 0.6);
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
        );
        let at = |value: f64| (x, top + HEIGHT - value * scale);
        line(svg, at(figure.least), at(figure.greatest), "#222", "1.5");
        text(svg, x, top + HEIGHT + 20.0, "middle", "", &figure.name);
        let value = format!("{:.1}", figure.median);
        text(svg, left, y - 6.0, "start", "", &value);
    }
}

fn right() -> f64 {
    WIDTH - 20.0
}

/// The distance of the scale's marks: 1, 2 or 5 times a power of ten, some five of them.
fn step(greatest: f64) -> f64 {
    let rough = greatest.max(f64::MIN_POSITIVE) / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|s| *s >= rough).unwrap_or(rough)
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, width: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, more: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {more}>{text}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Spread;

    #[test]
    fn marks_are_round_and_about_five() {
        for (greatest, distance) in [(1.0, 0.2), (34.0, 10.0), (90.0, 20.0), (7.0, 2.0)] {
            assert_eq!(step(greatest), distance, "{greatest}");
        }
    }

    #[test]
    fn every_figure_is_in_the_picture_and_its_name_is_escaped() {
        let spread = Spread { median: 11.0, least: 10.0, greatest: 13.0 };
        let figures = [
            Figure::new("pipeline", "IPv4 <hits>", "ns/packet", spread).with_flows(1000),
            Figure::new("pipeline", "IPv4 <hits>", "ns/packet", spread).with_flows(1_000_000),
            Figure::new("processes", "palier", "Mpps", spread),
        ];
        let svg = svg(&figures);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert!(
            svg.contains("IPv4 &lt;hits>") && svg.contains(">1 M<") && svg.contains(">palier<")
        );
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }
}
