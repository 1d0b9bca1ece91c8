//! The pictures of a backtest: calibration and ROC, as SVG.
//!
//! Knows how to draw. Must never compute a score: it draws changes as they were judged.

use super::Judged;
use super::table::calibration as bins;
use crate::domain::risk::Scored;
use anyhow::{Context, anyhow};
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (640, 640);
const LINES: [RGBColor; 4] =
    [RGBColor(0, 92, 197), RGBColor(111, 66, 193), RGBColor(215, 58, 73), RGBColor(140, 110, 0)];

/// Draws what was said against what came, with a line where both are equal.
pub(super) fn calibration(path: &Path, scored: &[Scored], count: usize) -> anyhow::Result<()> {
    let points: Vec<(f64, f64)> = bins(scored, count).iter().map(|bin| (bin.said, bin.came)).collect();
    let most = points.iter().fold(0.1_f64, |most, (said, came)| most.max(*said).max(*came));
    let end = (most * 10.0).ceil() / 10.0;
    let drawn = (|| {
        let root = SVGBackend::new(path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption("Calibration: what was said, and what came", ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..end, 0.0..end)?;
        chart
            .configure_mesh()
            .x_desc("probability that was said")
            .y_desc("share of changes that went wrong")
            .x_label_formatter(&|x| format!("{:.0} %", x * 100.0))
            .y_label_formatter(&|y| format!("{:.0} %", y * 100.0))
            .draw()?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (end, end)], BLACK.mix(0.4)))?;
        chart.draw_series(LineSeries::new(points.iter().copied(), LINES[0].stroke_width(2)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, LINES[0].filled())))?;
        root.present()
    })();
    named(path, drawn)
}

/// Draws, for each model, the share of bad changes found against the share of good ones looked at in vain.
pub(super) fn roc(path: &Path, judged: &[Judged]) -> anyhow::Result<()> {
    let drawn = (|| {
        let root = SVGBackend::new(path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption("Receiver operating characteristic", ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
        chart
            .configure_mesh()
            .x_desc("share of good changes looked at in vain")
            .y_desc("share of bad changes found")
            .draw()?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], BLACK.mix(0.4)))?;
        for (one, colour) in judged.iter().zip(LINES) {
            chart
                .draw_series(LineSeries::new(curve(&one.scored), colour.stroke_width(2)))?
                .label(one.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.4))
            .draw()?;
        root.present()
    })();
    named(path, drawn)
}

/// The corners of the curve, from nothing looked at to everything.
pub(super) fn curve(scored: &[Scored]) -> Vec<(f64, f64)> {
    let mut falling: Vec<&Scored> = scored.iter().collect();
    falling.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let bad_all = scored.iter().filter(|change| change.bad).count().max(1) as f64;
    let good_all = scored.iter().filter(|change| !change.bad).count().max(1) as f64;
    let (mut good, mut bad) = (0.0, 0.0);
    let mut corners = vec![(0.0, 0.0)];
    for equal in falling.chunk_by(|a, b| a.probability == b.probability) {
        for change in equal {
            if change.bad { bad += 1.0 } else { good += 1.0 }
        }
        corners.push((good / good_all, bad / bad_all));
    }
    corners
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn named(path: &Path, drawn: Drawn<'_>) -> anyhow::Result<()> {
    drawn.map_err(|error| anyhow!("{error}")).with_context(|| format!("cannot draw {}", path.display()))
}
