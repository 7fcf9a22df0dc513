//! Figures of several rounds side by side: the median round of each, and how many times as fast ours is.

use super::driver::Figure;
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::{Value, json};

/// Above this part of the machine in foreign hands a figure is marked: it says more about the neighbours.
pub const NOISY: f64 = 0.12;

/// One thing that was measured in several rounds.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was asked for, such as `lock, one hot account`.
    pub case: String,
    /// Callers at once.
    pub clients: usize,
    /// Who was asked: `comity` or `postgresql 15.18`.
    pub side: String,
    /// One figure per round, in the order taken.
    pub rounds: Vec<Figure>,
}

impl Row {
    /// The round with the median rate: one real run, not a mixture of several.
    pub fn median(&self) -> Option<&Figure> {
        let mut order: Vec<&Figure> = self.rounds.iter().collect();
        order.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        order.get(order.len() / 2).copied()
    }
}

/// One case: ours, and what it is compared with if that was measured.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Ours; absent when only the reference was measured.
    pub ours: Option<Row>,
    /// The reference.
    pub reference: Option<Row>,
}

impl Comparison {
    /// Our median rate divided by the reference's.
    pub fn ratio(&self) -> Option<f64> {
        let ours = self.ours.as_ref()?.median()?.per_second;
        let reference = self.reference.as_ref()?.median()?.per_second;
        (reference > 0.0).then_some(ours / reference)
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.ours.iter().chain(&self.reference)
    }
}

/// The table a person reads.
pub fn table(comparisons: &[Comparison]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(HEADS);
    for comparison in comparisons {
        for row in comparison.rows() {
            let Some(figure) = row.median() else { continue };
            let ours = comparison.ours.as_ref().is_some_and(|ours| std::ptr::eq(ours, row));
            let ratio = if ours { comparison.ratio() } else { None };
            table.add_row(cells(row, figure, ratio));
        }
    }
    for column in FIRST_NUMBER..HEADS.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let medians = || comparisons.iter().flat_map(Comparison::rows).filter_map(Row::median);
    if medians().any(is_noisy) {
        text.push_str(
            "! others used more than 12 % of this machine meanwhile: the figure says little, run it again alone\n",
        );
    }
    for figure in medians().filter(|figure| figure.errors > 0) {
        let first = figure.first_error.as_deref().unwrap_or("not told");
        text.push_str(&format!("{} calls failed, the first: {first}\n", figure.errors));
    }
    text
}

const HEADS: [&str; 11] = [
    "case",
    "side",
    "clients",
    "per s",
    "ratio",
    "p50 ms",
    "p99 ms",
    "CPU µs/op",
    "syncs/op",
    "bytes/op",
    "others' CPU",
];
/// Columns from here on are numbers.
const FIRST_NUMBER: usize = 2;

fn is_noisy(figure: &Figure) -> bool {
    figure.foreign.is_some_and(|share| share > NOISY)
}

fn cells(row: &Row, figure: &Figure, ratio: Option<f64>) -> Vec<Cell> {
    let known = |value: Option<f64>, digits: usize| value.map_or("unknown".to_owned(), |v| format!("{v:.digits$}"));
    let ms = |us: u64| format!("{:.2}", us as f64 / 1000.0);
    let foreign = figure.foreign.map_or("unknown".to_owned(), |share| {
        format!("{:.0} %{}", share * 100.0, if is_noisy(figure) { "!" } else { "" })
    });
    let texts = [
        row.case.clone(),
        row.side.clone(),
        row.clients.to_string(),
        format!("{:.0}", figure.per_second),
        ratio.map_or(String::new(), |ratio| format!("{ratio:.2} x")),
        ms(figure.p50_us),
        ms(figure.p99_us),
        known(figure.cpu_us, 0),
        known(figure.syncs, 3),
        known(figure.bytes, 0),
        foreign,
    ];
    texts.into_iter().map(Cell::new).collect()
}

/// The same for programs: one object per measured side, rounds in the order taken.
pub fn objects(comparisons: &[Comparison]) -> Vec<Value> {
    let mut all = Vec::new();
    for comparison in comparisons {
        for row in comparison.rows() {
            let ours = comparison.ours.as_ref().is_some_and(|ours| std::ptr::eq(ours, row));
            all.push(json!({
                "case": row.case,
                "clients": row.clients,
                "side": row.side,
                "median": row.median().map(object),
                "rounds": row.rounds.iter().map(object).collect::<Vec<_>>(),
                "ratio": if ours { comparison.ratio() } else { None },
            }));
        }
    }
    all
}

fn object(figure: &Figure) -> Value {
    json!({
        "per_second": figure.per_second,
        "operations": figure.operations,
        "errors": figure.errors,
        "first_error": figure.first_error,
        "p50_us": figure.p50_us,
        "p99_us": figure.p99_us,
        "max_us": figure.max_us,
        "cpu_us_per_operation": figure.cpu_us,
        "foreign_cpu": figure.foreign,
        "syncs_per_operation": figure.syncs,
        "bytes_per_operation": figure.bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(side: &str, rates: &[f64]) -> Row {
        let figure = |rate: &f64| Figure { per_second: *rate, foreign: Some(0.02), ..Figure::default() };
        Row { case: "lock".into(), clients: 64, side: side.into(), rounds: rates.iter().map(figure).collect() }
    }

    #[test]
    fn the_ratio_is_that_of_the_median_rounds() {
        let comparison = Comparison {
            ours: Some(row("comity", &[900.0, 10.0, 300.0])),
            reference: Some(row("db", &[100.0, 1.0, 400.0])),
        };
        assert_eq!(comparison.ratio(), Some(3.0));
        let alone = Comparison { ours: None, ..comparison.clone() };
        assert_eq!(alone.ratio(), None);
        let objects = objects(&[comparison]);
        assert_eq!(objects[0]["ratio"], 3.0);
        assert_eq!(objects[0]["rounds"].as_array().map(Vec::len), Some(3));
        assert_eq!(objects[1]["ratio"], Value::Null);
    }

    #[test]
    fn a_noisy_figure_is_marked_and_failures_are_told() {
        let mut ours = row("comity", &[5.0]);
        assert!(!table(&[Comparison { ours: Some(ours.clone()), reference: None }]).contains('!'));
        assert!(!table(&[Comparison { ours: Some(ours.clone()), reference: None }]).contains("failed"));
        ours.rounds[0].foreign = Some(0.5);
        ours.rounds[0].errors = 3;
        let text = table(&[Comparison { ours: Some(ours), reference: None }]);
        assert!(text.contains("50 %!") && text.contains("3 calls failed"), "{text}");
    }
}
