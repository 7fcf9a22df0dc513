//! Curves of arrival as SVG.

use plotters::prelude::*;

use super::spread::Report;

/// Picture size in pixels.
const SIZE: (u32, u32) = (900, 520);

/// The value below which a share of the sorted values lies; 0 of none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
}

/// Share of nodes over time: one curve for each report, and the fastest ways of the first.
///
/// # Errors
/// What the plotter says.
pub fn picture(reports: &[Report]) -> Result<String, String> {
    let mut svg = String::new();
    draw(reports, &mut svg).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(reports: &[Report], svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let longest = reports.iter().map(|report| report.max_ms).fold(100.0, f64::max).min(3_000.0);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let nodes = reports.first().map_or(0, |report| report.options.nodes);
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("A card on its way to {nodes} nodes"), ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..longest * 1.05, 0.0..100.0)?;
    chart.configure_mesh().x_desc("ms since it was published").y_desc("nodes that have it, %").draw()?;
    let mut curve = |sorted: &[f64], name: String, colour: RGBColor, width: u32| {
        let all = sorted.len().max(1) as f64;
        let steps = (sorted.len() / 400).max(1);
        let points = sorted.iter().enumerate().step_by(steps).map(move |(at, ms)| (*ms, (at + 1) as f64 * 100.0 / all));
        let style = colour.stroke_width(width);
        let series = chart.draw_series(LineSeries::new(points.collect::<Vec<_>>(), style))?;
        series.label(name).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
        Ok::<(), Box<dyn std::error::Error>>(())
    };
    if let Some(first) = reports.first() {
        curve(&first.fastest_ms, "fastest way over the same links".to_owned(), RGBColor(150, 150, 150), 1)?;
    }
    let colours = [RGBColor(20, 110, 180), RGBColor(210, 110, 20), RGBColor(40, 140, 80), RGBColor(150, 60, 150)];
    for (report, colour) in reports.iter().zip(colours.iter().cycle()) {
        let name = format!(
            "loss {} %, churn {} %/s: p50 {:.0}, p99 {:.0}, max {:.0} ms, {:.1} copies",
            report.options.loss * 100.0,
            report.options.churn * 100.0,
            report.p50_ms,
            report.p99_ms,
            report.max_ms,
            report.copies
        );
        curve(&report.arrivals_ms, name, *colour, 2)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([quantile(&sorted, 0.5), quantile(&sorted, 0.99), quantile(&sorted, 1.0)], [50.0, 99.0, 100.0]);
        assert_eq!(quantile(&[], 0.99), 0.0);
    }
}
