//! Charts: bars on a logarithmic scale, as SVG that needs no font or script of ours.

use std::fmt::Write;

use crate::{Row, rate_of};

const WIDTH: f64 = 760.0;
const LABELS: f64 = 210.0;
const BAR: f64 = 13.0;
const GAP: f64 = 10.0;
const TOP: f64 = 56.0;
/// Of the peers, in their order; told apart by people who see no colours, too.
const COLOURS: [&str; 4] = ["#1b6ca8", "#e08e0b", "#7a4fa3", "#9a9a9a"];

/// A chart of some rows: a bar for each peer.
pub fn svg(title: &str, peers: &[&str], rows: &[&Row]) -> String {
    let rates: Vec<Vec<Option<f64>>> =
        rows.iter().map(|row| row.samples.iter().map(|samples| rate_of(samples)).collect()).collect();
    let all = || rates.iter().flatten().flatten().copied();
    let (lowest, highest) = (all().fold(f64::MAX, f64::min), all().fold(1.0, f64::max));
    let (low, high) = (lowest.min(highest).log10().floor(), highest.log10().ceil());
    let place = |rate: f64| LABELS + (rate.log10() - low) / (high - low).max(1.0) * (WIDTH - LABELS - 70.0);

    let of_row = |rates: &[Option<f64>]| rates.iter().flatten().count() as f64 * BAR + GAP;
    let height = TOP + rates.iter().map(|row| of_row(row)).sum::<f64>() + 24.0;
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">"#
    );
    out += r#"<rect width="100%" height="100%" fill="white"/>"#;
    let _ = write!(out, r#"<text x="8" y="18" font-size="14" font-weight="bold">{}</text>"#, escaped(title));
    for (i, peer) in peers.iter().enumerate() {
        let x = 8.0 + 110.0 * i as f64;
        let _ = write!(
            out,
            r#"<rect x="{x}" y="28" width="10" height="10" fill="{}"/><text x="{}" y="37">{}</text>"#,
            COLOURS[i % COLOURS.len()],
            x + 14.0,
            escaped(peer)
        );
    }
    for decade in low as i32..=high as i32 {
        let x = place(10f64.powi(decade));
        let _ = write!(
            out,
            r##"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{:.1}" stroke="#ddd"/><text x="{x:.1}" y="{:.1}" text-anchor="middle" fill="#666">{}</text>"##,
            height - 20.0,
            height - 6.0,
            short(10f64.powi(decade))
        );
    }
    let mut y = TOP;
    for (row, rates) in rows.iter().zip(&rates) {
        let threads =
            if row.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", row.threads) };
        let middle = y + (of_row(rates) - GAP) / 2.0 + 4.0;
        let name = escaped(&format!("{}, {threads}", row.case.name));
        let _ = write!(out, r#"<text x="{}" y="{middle:.1}" text-anchor="end">{name}</text>"#, LABELS - 6.0);
        for (i, rate) in rates.iter().enumerate() {
            let Some(rate) = *rate else { continue };
            let end = place(rate);
            let _ = write!(
                out,
                r#"<rect x="{LABELS}" y="{y:.1}" width="{:.1}" height="{}" fill="{}"/><text x="{:.1}" y="{:.1}">{}</text>"#,
                (end - LABELS).max(1.0),
                BAR - 2.0,
                COLOURS[i % COLOURS.len()],
                end + 4.0,
                y + 10.0,
                short(rate)
            );
            y += BAR;
        }
        y += GAP;
    }
    out + "</svg>\n"
}

/// A number in few characters.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 1e4 => format!("{:.0}k", v / 1e3),
        v if v >= 1e3 => format!("{:.1}k", v / 1e3),
        v if v >= 10.0 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
