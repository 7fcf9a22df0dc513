//! The figures of one moment, and the text that they make. The text is the encoder's of `prometheus_client`.

use super::table::{Name, PREFIX, ROWS, Row};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, NoLabelSet, text},
    metrics::{MetricType, histogram::Histogram},
    registry::Registry,
};
use std::fmt::{self, Display};

/// The media type of the text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
enum Value {
    Whole(u64),
    Part(f64),
    Spread(Histogram),
}

/// One value, with the labels of its row in their order.
#[derive(Debug)]
struct Sample {
    labels: Vec<String>,
    value: Value,
}

/// What was gathered, by row.
#[derive(Debug)]
pub(super) struct Page(Vec<Vec<Sample>>);

impl Page {
    pub(super) fn new() -> Page {
        Page(ROWS.iter().map(|_| Vec::new()).collect())
    }

    fn put(&mut self, name: Name, labels: &[&dyn Display], value: Value) {
        let labels = labels.iter().map(ToString::to_string).collect();
        if let Some(samples) = self.0.get_mut(name as usize) {
            samples.push(Sample { labels, value });
        }
    }

    /// A number of things, or money in minor units.
    pub(super) fn whole(&mut self, name: Name, labels: &[&dyn Display], value: u64) {
        self.put(name, labels, Value::Whole(value));
    }

    pub(super) fn count(&mut self, name: Name, labels: &[&dyn Display], value: usize) {
        self.whole(name, labels, value as u64);
    }

    pub(super) fn flag(&mut self, name: Name, labels: &[&dyn Display], is_so: bool) {
        self.whole(name, labels, u64::from(is_so));
    }

    /// Milliseconds, as the seconds that they are.
    pub(super) fn seconds(&mut self, name: Name, labels: &[&dyn Display], ms: u64) {
        self.put(name, labels, Value::Part(ms as f64 / 1_000.0));
    }

    pub(super) fn spread(&mut self, name: Name, labels: &[&dyn Display], histogram: Histogram) {
        self.put(name, labels, Value::Spread(histogram));
    }

    /// The whole page.
    pub(super) fn text(self) -> String {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        // Writing into memory does not fail; a page that is cut off has no end mark, so nobody takes it for whole.
        let _whole = text::encode(&mut page, &registry);
        page
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (row, samples) in ROWS.iter().zip(&self.0).filter(|(_, samples)| !samples.is_empty()) {
            let (help, unit) = (format!("{}.", row.help), row.unit());
            let mut metric = encoder.encode_descriptor(row.name, &help, unit.as_ref(), row.kind)?;
            if let ([], [sample]) = (row.labels, samples.as_slice()) {
                one(row, &sample.value, metric)?;
                continue;
            }
            for sample in samples {
                let texts = sample.labels.iter().map(String::as_str);
                let labels: Vec<(&str, &str)> = row.labels.iter().copied().zip(texts).collect();
                match row.kind {
                    // An info's labels are its value.
                    MetricType::Info => metric.encode_info(&labels)?,
                    _ => one(row, &sample.value, metric.encode_family(&labels)?)?,
                }
            }
        }
        Ok(())
    }
}

fn one(row: &Row, value: &Value, mut encoder: MetricEncoder<'_>) -> fmt::Result {
    match (row.kind, value) {
        (MetricType::Counter, Value::Whole(count)) => encoder.encode_counter::<NoLabelSet, u64, f64>(count, None),
        (MetricType::Gauge, Value::Whole(value)) => encoder.encode_gauge(value),
        (MetricType::Gauge, Value::Part(value)) => encoder.encode_gauge(value),
        (MetricType::Histogram, Value::Spread(histogram)) => histogram.encode(encoder),
        // A row of another kind: the page stays without its end.
        _ => Err(fmt::Error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_by_the_table_and_ends() {
        let mut page = Page::new();
        page.whole(Name::RaftTerm, &[], 7);
        page.seconds(Name::LedgerTime, &[], 1_500);
        page.whole(Name::Node, &[&"cm1", &"a\"b\\", &"k", &"0.1.0"], 1);
        page.count(Name::HttpRequests, &[&"GET", &"/metrics", &"2xx"], 3);
        let histogram = Histogram::new([0.5]);
        histogram.observe(0.25);
        page.spread(Name::HttpDuration, &[&"GET", &"/metrics"], histogram);
        let expected = "\
# HELP comity_node Whose node this is, and its program.
# TYPE comity_node info
comity_node_info{domain=\"cm1\",name=\"a\\\"b\\\\\",key=\"k\",version=\"0.1.0\"} 1
# HELP comity_raft_term Raft term.
# TYPE comity_raft_term gauge
comity_raft_term 7
# HELP comity_ledger_time_seconds Ledger time: the newest entry's stamp, Unix time.
# TYPE comity_ledger_time_seconds gauge
# UNIT comity_ledger_time_seconds seconds
comity_ledger_time_seconds 1.5
# HELP comity_http_requests Answers by route and class of status.
# TYPE comity_http_requests counter
comity_http_requests_total{method=\"GET\",route=\"/metrics\",status=\"2xx\"} 3
# HELP comity_http_request_duration_seconds From a request to the head of its answer.
# TYPE comity_http_request_duration_seconds histogram
# UNIT comity_http_request_duration_seconds seconds
comity_http_request_duration_seconds_sum{method=\"GET\",route=\"/metrics\"} 0.25
comity_http_request_duration_seconds_count{method=\"GET\",route=\"/metrics\"} 1
comity_http_request_duration_seconds_bucket{le=\"0.5\",method=\"GET\",route=\"/metrics\"} 1
comity_http_request_duration_seconds_bucket{le=\"+Inf\",method=\"GET\",route=\"/metrics\"} 1
# EOF
";
        assert_eq!(page.text(), expected);
    }

    #[test]
    fn a_value_that_its_row_cannot_hold_makes_no_whole_page() {
        let mut page = Page::new();
        page.seconds(Name::HttpRequests, &[&"GET", &"/", &"2xx"], 1);
        assert!(!page.text().ends_with("# EOF\n"));
    }
}
