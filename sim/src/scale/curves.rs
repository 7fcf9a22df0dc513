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

/// One line of a picture: sorted milliseconds, what it is, how it looks.
struct Curve<'a> {
    sorted_ms: &'a [f64],
    name: String,
    colour: RGBColor,
    width: u32,
}

const COLOURS: [RGBColor; 4] =
    [RGBColor(20, 110, 180), RGBColor(210, 110, 20), RGBColor(40, 140, 80), RGBColor(150, 60, 150)];

/// Share of nodes over time: one curve for each report, and the fastest ways of the first.
///
/// # Errors
/// What the plotter says.
pub fn picture(reports: &[Report]) -> Result<String, String> {
    let longest = reports.iter().map(|report| report.max_ms).fold(100.0, f64::max).min(3_000.0);
    let nodes = reports.first().map_or(0, |report| report.options.nodes);
    let fastest = reports.first().map(|first| Curve {
        sorted_ms: &first.fastest_ms,
        name: "fastest way over the same links".to_owned(),
        colour: RGBColor(150, 150, 150),
        width: 1,
    });
    let name_of = |report: &Report| {
        format!(
            "loss {} %, churn {} %/s: p50 {:.0}, p99 {:.0}, max {:.0} ms, {:.1} copies",
            report.options.loss * 100.0,
            report.options.churn * 100.0,
            report.p50_ms,
            report.p99_ms,
            report.max_ms,
            report.copies
        )
    };
    let curves = reports.iter().zip(COLOURS.iter().cycle()).map(|(report, colour)| Curve {
        sorted_ms: &report.arrivals_ms,
        name: name_of(report),
        colour: *colour,
        width: 2,
    });
    let curves: Vec<Curve<'_>> = fastest.into_iter().chain(curves).collect();
    let title = format!("A card on its way to {nodes} nodes");
    plot(&title, ["ms since it was published", "nodes that have it, %"], longest, &curves)
}

/// Share of nodes that hold a dead one for failed, over time; `None` when nobody was let die.
///
/// # Errors
/// What the plotter says.
pub fn detection_picture(reports: &[Report]) -> Option<Result<String, String>> {
    let detections = || reports.iter().filter_map(|report| Some((report, report.failure_detection.as_ref()?)));
    let longest = detections().map(|(_, detection)| detection.max_ms).fold(1_000.0, f64::max);
    let (first, _) = detections().next()?;
    let curves: Vec<Curve<'_>> = detections()
        .zip(COLOURS.iter().cycle())
        .map(|((report, detection), colour)| Curve {
            sorted_ms: &detection.times_ms,
            name: format!(
                "loss {} %: p50 {:.0}, p99 {:.0}, max {:.0} ms",
                report.options.loss * 100.0,
                detection.p50_ms,
                detection.p99_ms,
                detection.max_ms
            ),
            colour: *colour,
            width: 2,
        })
        .collect();
    let title = format!("A death becomes known to {} nodes", first.options.nodes);
    Some(plot(&title, ["ms since it died", "nodes that hold it for failed, %"], longest, &curves))
}

fn plot(title: &str, axes: [&str; 2], longest: f64, curves: &[Curve<'_>]) -> Result<String, String> {
    let mut svg = String::new();
    draw(&mut svg, title, axes, longest, curves).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    title: &str,
    [x_desc, y_desc]: [&str; 2],
    longest: f64,
    curves: &[Curve<'_>],
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..longest * 1.05, 0.0..100.0)?;
    chart.configure_mesh().x_desc(x_desc).y_desc(y_desc).draw()?;
    for curve in curves {
        let sorted = curve.sorted_ms;
        let all = sorted.len().max(1) as f64;
        let steps = (sorted.len() / 400).max(1);
        let points = sorted.iter().enumerate().step_by(steps).map(move |(at, ms)| (*ms, (at + 1) as f64 * 100.0 / all));
        let style = curve.colour.stroke_width(curve.width);
        let series = chart.draw_series(LineSeries::new(points.collect::<Vec<_>>(), style))?;
        series.label(&curve.name).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
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
